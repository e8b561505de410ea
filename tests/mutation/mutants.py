"""The mutants of a module: each is its source with one small change that a test should notice.

What is mutated: comparisons, `and`/`or`/`not`, conditions and branches, arithmetic, numbers and booleans, defaults of
parameters and fields, constants of modules, members of literal sets, keyword arguments, returned values, and whole
statements (calls, assignments to attributes and items, `raise`, `break`, `continue`, `return`, handlers, cases).

What is not, because only a wording or a type depends on it: strings and what is built into them, arguments of the log,
calls of `log.debug` and `log.info` and their conditions, annotations, decorators, enumerations, protocols, `strict=` of
`zip`, and the 0 of `version_id or 0`.
"""

from __future__ import annotations

import ast
import functools
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "src" / "package_keeper"

_Step = Callable[[], object]

_COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
_ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
}
_CALLS = {"min": "max", "max": "min", "any": "all", "all": "any", "sorted": "list", "reversed": "list"}
_KEPT_ARGUMENTS = {"strict", "default_factory", None}
_OF_TEXT = {"lower", "upper", "casefold", "strip", "lstrip", "rstrip"}
_QUIET, _LOUD = {"debug", "info"}, {"warning", "error", "notice"}
_UNSEEN_FIELDS = {"annotation", "returns", "decorator_list", "type_params", "ctx", "bases", "keywords_of_class"}
_ENOUGH = 30
"""A change is shown with what stands around it, until it is this long."""

_AROUND = 40


@dataclass(frozen=True, kw_only=True)
class Mutant:
    """One change. `module`, `function` and `change` name it, and stay the same when lines move."""

    module: str
    function: str
    change: str
    first: int
    last: int
    """The lines that a test has to reach in order to notice it."""
    kind: str = "body"
    """`body` of a function, `default` of its parameters, or a `value` that is made when the module is imported."""
    subject: str = ""
    """The qualified name of the function to replace, or of the constant or field."""
    at: int = 0
    """The line in which the function to replace begins."""
    number: int = 0
    """Its place among all mutants of the module, as the module is now."""

    @property
    def key(self) -> tuple[str, str, str]:
        return self.module, self.function, self.change

    def __str__(self) -> str:
        return f"{self.module}:{self.first} {self.function}\n    {self.change}"


@dataclass(frozen=True, kw_only=True)
class _Where:
    """What encloses a node."""

    function: str = "<module>"
    scope: tuple[str, ...] = ()
    kind: str = "value"
    subject: str = ""
    at: int = 0
    first: int = 0
    last: int = 0


def path_of(module: str) -> Path:
    """The file of a module that is named as `policy/guards`."""
    return PACKAGE / f"{module}.py"


def mutants(module: str, tree: ast.Module) -> Iterator[Mutant]:
    """Give each mutant while `tree` has its change, and take the change back after that."""
    seen: Counter[tuple[str, str]] = Counter()
    for found in _Walk(module).visit(tree, _Where()):
        number = seen[found.function, found.change] = seen[found.function, found.change] + 1
        yield found if number == 1 else replace(found, change=f"{found.change} (occurrence {number})")


def mutated_tree(mutant: Mutant, source: str) -> ast.Module:
    """The tree of a module that has the change of a mutant."""
    tree = ast.parse(source)
    # only this one is made; to show all of them would take most of the time of a trial
    for _ in _Walk(mutant.module, only=mutant.number).visit(tree, _Where()):
        _WithoutPairsOfOne().visit(tree)
        return ast.fix_missing_locations(tree)
    raise LookupError(f"no such mutant: {mutant}")


class _Walk:
    def __init__(self, module: str, only: int | None = None) -> None:
        self.module = module
        self.only = only
        self.number = -1
        self.parents: dict[ast.AST, ast.AST] = {}

    def visit(self, node: ast.AST, where: _Where) -> Iterator[Mutant]:
        """All mutants of what is below `node`."""
        for field, value in ast.iter_fields(node):
            if field in _UNSEEN_FIELDS or (field == "keywords" and isinstance(node, ast.ClassDef)):
                continue
            for place, child in enumerate(value if isinstance(value, list) else [value]):
                if isinstance(child, ast.AST):
                    self.parents[child] = node
                    put = _setter(node, field, place if isinstance(value, list) else None)
                    yield from self._child(node, field, child, _entered(node, field, child, where), put)

    def _child(
        self, node: ast.AST, field: str, child: ast.AST, where: _Where, put: Callable[[ast.AST], None]
    ) -> Iterator[Mutant]:
        if _is_unseen(child):
            return
        if where.kind != "class":
            yield from self._changes(node, field, child, where, put)
        if isinstance(child, ast.Call) and _called(child) in _QUIET | _LOUD and _is_log(child):
            return
        yield from self.visit(child, where)

    def _changes(
        self, node: ast.AST, field: str, child: ast.AST, where: _Where, put: Callable[[ast.AST], None]
    ) -> Iterator[Mutant]:
        if isinstance(child, ast.stmt):
            changed: Iterator[ast.AST] = _of_statement(child)
        elif isinstance(child, ast.expr):
            changed = _of_expression(child, field)
        else:
            changed = iter(())
        for new in changed:
            yield from self._applied(child, new, where, partial(put, new), partial(put, child))
        for apply, undo in _inner(child):
            yield from self._applied(child, child, where, apply, undo)

    def _applied(self, old: ast.AST, new: ast.AST, where: _Where, apply: _Step, undo: _Step) -> Iterator[Mutant]:
        self.number += 1
        if self.only is not None:
            if self.number == self.only:
                apply()
                yield Mutant(module=self.module, function="", change="", first=0, last=0)
            return
        shown = self._shown(old)
        before = _text(shown)
        if new is not old:
            ast.copy_location(new, old)
            self.parents[new] = self.parents[old]
        apply()
        after = _text(new if shown is old else shown)
        first, last = _lines(old, self.parents)
        try:
            yield Mutant(
                module=self.module,
                function=where.function,
                change=_difference(before, after),
                first=where.first or first,
                last=where.last or last,
                kind=where.kind,
                subject=where.subject,
                at=where.at,
                number=self.number,
            )
        finally:
            undo()

    def _shown(self, node: ast.AST) -> ast.AST:
        """What to show of a change: the node, or enough of what it stands in."""
        while (
            not isinstance(node, ast.stmt | ast.excepthandler | ast.match_case | ast.arguments)
            and len(_text(node)) < _ENOUGH
        ):
            parent = self.parents[node]
            if hasattr(parent, "body") and not isinstance(parent, ast.Lambda | ast.IfExp):
                break
            node = parent
        return node


class _WithoutPairsOfOne(ast.NodeTransformer):
    """Puts the value itself in the place of an `and` or `or` of one value, which Python does not compile."""

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.expr:
        self.generic_visit(node)
        return node if len(node.values) > 1 else node.values[0]


def _setter(node: ast.AST, field: str, place: int | None) -> Callable[[ast.AST], None]:
    def put(new: ast.AST) -> None:
        if place is None:
            setattr(node, field, new)
        else:
            getattr(node, field)[place] = new

    return put


def _entered(node: ast.AST, field: str, child: ast.AST, where: _Where) -> _Where:
    """Where a child is, when its parent is at `where`."""
    if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) and where.kind != "body":
        name = ".".join((*where.scope, getattr(child, "name", "<lambda>")))
        at = min([child.lineno, *(each.lineno for each in getattr(child, "decorator_list", ()))])
        return _Where(function=name, scope=(*where.scope, name), kind="body", subject=name, at=at)
    if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
        return replace(where, function=f"{where.function}.{child.name}")
    if isinstance(child, ast.ClassDef):
        return replace(where, scope=(*where.scope, child.name), kind="class")
    if isinstance(child, ast.arguments) and where.subject and where.at:
        function = node
        body = function.body if isinstance(function.body, list) else [function.body]  # type: ignore[attr-defined]
        return replace(where, kind="default", first=body[0].lineno, last=body[-1].end_lineno or 0)
    if where.kind == "class" and isinstance(node, ast.AnnAssign) and field == "value":
        name = f"{'.'.join(where.scope)}.{ast.unparse(node.target)}"
        return replace(where, function=name, kind="value", subject=name)
    if where.kind == "value" and not where.scope and isinstance(child, ast.Assign | ast.AnnAssign):
        target = child.target if isinstance(child, ast.AnnAssign) else child.targets[0]
        return replace(where, function=ast.unparse(target), subject=ast.unparse(target))
    return where


def _is_unseen(node: ast.AST) -> bool:
    match node:
        case ast.JoinedStr() | ast.Import() | ast.ImportFrom():
            return True
        case ast.ClassDef(bases=bases):
            names = {ast.unparse(base).split("[")[0] for base in bases}
            return bool(names & {"Enum", "StrEnum", "Protocol"})
        case ast.If(test=ast.Name(id="TYPE_CHECKING")):
            return True
        case ast.Expr(value=ast.Constant()):
            return True
        case ast.If(body=[ast.Expr() as only], orelse=[]):
            # a condition of a line in the log
            return _is_unseen(only)
        case ast.Expr(value=ast.Call() as call) | (ast.Call() as call):
            return _called(call) == "assert_never" or (_called(call) in _QUIET and _is_log(call))
        case ast.keyword(arg="strict"):
            return True
        case ast.BoolOp(
            op=ast.Or(), values=[ast.Attribute(attr="version_id") | ast.Name(id="version_id"), ast.Constant()]
        ):
            # for the type checker: only whole packages have no id
            return True
        case ast.Assign(value=ast.Subscript()) | ast.Assign(value=ast.BinOp(op=ast.BitOr())):
            # an alias of a type
            return isinstance(node.targets[0], ast.Name) and node.targets[0].id.lstrip("_")[:1].isupper()
        case _:
            return False


def _called(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def _is_log(call: ast.Call) -> bool:
    return isinstance(call.func, ast.Attribute) and ast.unparse(call.func.value).split(".")[-1].lstrip("_") == "log"


# --- changes that put another node in the place of one ---


def _of_statement(node: ast.stmt) -> Iterator[ast.AST]:
    match node:
        case ast.Expr(value=ast.Call()) | ast.Raise() | ast.Break() | ast.Continue() | ast.Delete() | ast.AugAssign():
            yield ast.Pass()
        case ast.Expr(value=ast.YieldFrom() | ast.Yield()):
            yield ast.Pass()
        case ast.Assign(targets=[ast.Attribute() | ast.Subscript()]) | ast.Return(value=None):
            yield ast.Pass()
        case ast.Return(value=ast.Constant(value=None) | ast.Constant(value=bool())):
            pass
        case ast.Return():
            yield ast.Return(value=ast.Constant(value=None))
        case _:
            pass


def _of_expression(node: ast.expr, field: str) -> Iterator[ast.AST]:
    # the others have mutants that are harder to notice
    if field == "test" and isinstance(node, ast.Name | ast.Attribute | ast.Call | ast.NamedExpr):
        yield ast.UnaryOp(op=ast.Not(), operand=node)
    match node:
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            yield operand
        case ast.BoolOp(op=op, values=values):
            yield ast.BoolOp(op=ast.And() if isinstance(op, ast.Or) else ast.Or(), values=values)
        case ast.BinOp(op=op, left=left, right=right) if type(op) in _ARITHMETIC and not _is_text(left, right):
            yield ast.BinOp(op=_ARITHMETIC[type(op)](), left=left, right=right)
        case ast.Constant(value=bool() as value):
            yield ast.Constant(value=not value)
        case ast.Constant(value=int() | float() as number):
            yield ast.Constant(value=number + 1)
        case ast.Call(func=ast.Name(id=name), args=args, keywords=keywords) if name in _CALLS:
            kept = [] if _CALLS[name] == "list" else keywords
            yield ast.Call(func=ast.Name(id=_CALLS[name], ctx=ast.Load()), args=args, keywords=kept)
        case ast.Call(func=ast.Attribute(value=value, attr=name), args=[]) if name in _OF_TEXT:
            yield value


def _is_text(*nodes: ast.expr) -> bool:
    return any(
        isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))
        for node in nodes
    )


# --- changes inside a node ---


def _inner(node: ast.AST) -> Iterator[tuple[_Step, _Step]]:
    """Steps that make a change inside a node, each with the step that takes it back."""
    if isinstance(node, ast.stmt | ast.comprehension):
        yield from _inner_of_statement(node)
    match node:
        case ast.Compare(ops=ops, comparators=comparators):
            for place, op in enumerate(ops):
                yield _item(ops, place, _COMPARISONS[type(op)]())
                operand = comparators[place]
                if isinstance(op, ast.In | ast.NotIn) and isinstance(operand, ast.Tuple | ast.List):
                    yield from _without_each(operand.elts)
        case ast.BoolOp(values=values):
            yield from _without_each(values)
        case ast.IfExp():
            yield _swapped(node, "body", "orelse")
        case ast.Slice():
            yield from (_attribute(node, bound, None) for bound in ("lower", "upper") if getattr(node, bound))
        case ast.Call(keywords=keywords):
            yield from _without_each(keywords, least=0, kept=lambda each: each.arg in _KEPT_ARGUMENTS)
        case _:
            pass
    if isinstance(node, ast.Set | ast.Call) and (elements := _members(node)):
        yield from _without_each(elements)


def _inner_of_statement(node: ast.stmt | ast.comprehension) -> Iterator[tuple[_Step, _Step]]:
    match node:
        case ast.AugAssign(op=op) if type(op) in _ARITHMETIC:
            yield _attribute(node, "op", _ARITHMETIC[type(op)]())
        case ast.comprehension(ifs=ifs):
            yield from _without_each(ifs, least=0)
        case ast.Try(handlers=handlers):
            for handler in handlers:
                if not (len(handler.body) == 1 and isinstance(handler.body[0], ast.Raise)):
                    yield _attribute(handler, "body", [ast.copy_location(ast.Raise(), handler.body[0])])
        case ast.Match(cases=cases):
            yield from _without_each(cases, kept=lambda each: "assert_never" in ast.unparse(each))
        case _:
            pass


def _members(node: ast.expr) -> list[ast.expr]:
    """The members of a literal set, or of the list or tuple that a frozen set is made of."""
    if isinstance(node, ast.Call) and _called(node) == "frozenset" and node.args:
        node = node.args[0]
        return node.elts if isinstance(node, ast.Tuple | ast.List) and len(node.elts) > 1 else []
    return node.elts if isinstance(node, ast.Set) and len(node.elts) > 1 else []


def _item(items: list[ast.cmpop], place: int, new: ast.cmpop) -> tuple[_Step, _Step]:
    old = items[place]
    return partial(items.__setitem__, place, new), partial(items.__setitem__, place, old)


def _attribute(node: ast.AST, name: str, new: object) -> tuple[_Step, _Step]:
    old = getattr(node, name)
    return partial(setattr, node, name, new), partial(setattr, node, name, old)


def _swapped(node: ast.AST, one: str, other: str) -> tuple[_Step, _Step]:
    def swap() -> None:
        first, second = getattr(node, one), getattr(node, other)
        setattr(node, one, second)
        setattr(node, other, first)

    return swap, swap


def _without_each(
    items: list[Any], least: int = 1, kept: Callable[[Any], bool] = lambda _: False
) -> Iterator[tuple[_Step, _Step]]:
    if len(items) <= least:
        return
    for place, item in enumerate(items):
        if not kept(item):
            yield partial(items.__delitem__, place), partial(items.insert, place, item)


# --- texts and lines ---


def _difference(before: str, after: str) -> str:
    """Both texts, without most of what they have in common when they are long."""
    start = _common(before, after)
    end = _common(before[start:][::-1], after[start:][::-1])
    # whole words, and some of what is around them
    left = before.rfind(" ", 0, max(start - _AROUND, 0)) + 1
    right = before.find(" ", len(before) - end + _AROUND)
    tail = len(before) - right if right >= 0 else 0
    shown = [
        f"{'… ' if left else ''}{text[left : len(text) - tail].strip()}{' …' if tail else ''}"
        for text in (before, after)
    ]
    return "  ->  ".join(shown)


def _common(one: str, other: str) -> int:
    """How many characters two texts begin with alike."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((place for place, (first, second) in pairs if first != second), min(len(one), len(other)))


def _text(node: ast.AST) -> str:
    """What a node looks like, on one line; of a statement with a body only its head."""
    match node:
        case ast.If(test=test) | ast.While(test=test):
            return f"{type(node).__name__.lower()} {ast.unparse(test)}:"
        case ast.For(target=target, iter=iterable):
            return f"for {ast.unparse(target)} in {ast.unparse(iterable)}:"
        case ast.Try(handlers=handlers):
            return "try: " + " ".join(_text(handler) for handler in handlers)
        case ast.ExceptHandler(type=kind, body=body):
            return f"except {ast.unparse(kind) if kind else ''}: {_text(body[0])}"
        case ast.Match(subject=subject, cases=cases):
            return f"match {ast.unparse(subject)}: " + ", ".join(_text(case) for case in cases)
        case ast.match_case(pattern=pattern, guard=guard):
            return f"case {ast.unparse(pattern)}" + (f" if {ast.unparse(guard)}" if guard else "")
        case ast.With(items=items):
            return f"with {', '.join(ast.unparse(item) for item in items)}:"
        case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
            return name
        case ast.arguments() | ast.arg():
            return ast.unparse(node)
        case _:
            return " ".join(ast.unparse(node).split())


def _lines(node: ast.AST, parents: dict[ast.AST, ast.AST]) -> tuple[int, int]:
    """The lines of which a test has to reach one: of the statement, of the head of one with a body."""
    while not hasattr(node, "lineno"):
        node = parents[node]
    if isinstance(node, ast.Continue | ast.Break):
        # Python jumps on without a stop in this line
        return _head(parents[node])[0], node.lineno
    statement = node
    while not isinstance(statement, ast.stmt | ast.excepthandler) and statement in parents:
        statement = parents[statement]
    if hasattr(statement, "body") or hasattr(statement, "cases"):
        if node is statement:
            return _head(statement)
        return node.lineno, node.end_lineno or node.lineno  # type: ignore[attr-defined]
    return statement.lineno, statement.end_lineno or statement.lineno  # type: ignore[attr-defined]


def _head(statement: ast.AST) -> tuple[int, int]:
    if isinstance(statement, ast.Try):
        return statement.handlers[0].lineno, statement.handlers[-1].end_lineno or 0
    return statement.lineno, statement.lineno  # type: ignore[attr-defined]


def all_mutants(module: str) -> list[Mutant]:
    """Every mutant of a module, in the order of its source."""
    return list(mutants(module, ast.parse(path_of(module).read_text(encoding="utf-8"))))


@functools.cache
def uses(name: str) -> list[tuple[str, int]]:
    """Where the program names a constant or a class: modules and lines."""
    return [
        (module, node.lineno)
        for module, tree in _trees()
        for node in ast.walk(tree)
        if (isinstance(node, ast.Name) and node.id == name) or (isinstance(node, ast.Attribute) and node.attr == name)
    ]


@functools.cache
def _trees() -> list[tuple[str, ast.Module]]:
    files = sorted(PACKAGE.rglob("*.py"))
    return [
        (str(file.relative_to(PACKAGE).with_suffix("")), ast.parse(file.read_text(encoding="utf-8"))) for file in files
    ]
