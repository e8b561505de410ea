"""What `make mutation` changes, and what it leaves alone; the list of its accepted survivors."""

from __future__ import annotations

import ast
import warnings

import pytest

from tests.mutation.__main__ import accepted_survivors
from tests.mutation.mutants import all_mutants, mutants, mutated_tree, path_of


def changes(source: str) -> list[str]:
    """All changes of a source; each is taken back before the next one."""
    tree = ast.parse(source)
    before = ast.dump(tree)
    found = [mutant.change for mutant in mutants("some/module", tree)]
    assert ast.dump(tree) == before
    return found


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (
            "def f(a): return a < 3",
            ["return a < 3  ->  return None", "return a < 3  ->  return a <= 3", "return a < 3  ->  return a < 4"],
        ),
        (
            "def f(a, b):\n    if a and not b:\n        g(a)",
            [
                "a and (not b)  ->  a or not b",
                "a and (not b)  ->  not b",
                "a and (not b)  ->  a",
                "a and (not b)  ->  a and b",
                "g(a)  ->  pass",
            ],
        ),
        ("def f(a=True): pass", ["a=True  ->  a=False"]),
        ("class C:\n    limit: int = 0", ["limit: int = 0  ->  limit: int = 1"]),
        ("FEW = 2", ["FEW = 2  ->  FEW = 3"]),
        (
            "def f(a):\n    for x in a:\n        if x in (1, y): continue",
            [
                "x in (1, y)  ->  x not in (1, y)",
                "x in (1, y)  ->  x in (y,)",
                "x in (1, y)  ->  x in (1,)",
                "x in (1, y)  ->  x in (2, y)",
                "continue  ->  pass",
            ],
        ),
        (
            "def f(a):\n    a.b = g(x=1)",
            ["a.b = g(x=1)  ->  pass", "a.b = g(x=1)  ->  a.b = g()", "a.b = g(x=1)  ->  a.b = g(x=2)"],
        ),
        (
            "def f():\n    try:\n        g()\n    except E:\n        h()",
            ["try: except E: h()  ->  try: except E: raise", "g()  ->  pass", "h()  ->  pass"],
        ),
    ],
)
def test_each_small_change_is_made_once(source: str, expected: list[str]) -> None:
    assert changes(source) == expected


@pytest.mark.parametrize("module", ["policy/checks", "policy/usage"])
def test_every_mutant_compiles_and_differs(module: str) -> None:
    source = path_of(module).read_text(encoding="utf-8")
    original = ast.dump(ast.parse(source))
    for mutant in all_mutants(module):
        tree = mutated_tree(mutant, source)
        with warnings.catch_warnings():
            # such as a comparison with `is` that is mutated
            warnings.simplefilter("ignore")
            compile(tree, module, "exec")
        assert ast.dump(tree) != original, mutant


@pytest.mark.parametrize(
    "source",
    [
        'def f(a):\n    self._log.debug(f"{a + 1}")',
        'def f(a):\n    x = f"{a + 1}"',
        "class E(StrEnum):\n    A = 1",
        "class P(Protocol):\n    def f(self, a: int = 1) -> int: ...",
        "if TYPE_CHECKING:\n    A = 1",
        "_Key = tuple[int | None, str]",
        "@dataclass(frozen=True)\nclass C:\n    a: int | None",
        'def f():\n    """Text."""',
    ],
)
def test_wording_and_types_are_left_alone(source: str) -> None:
    assert changes(source) == []


def test_a_call_of_the_log_may_be_lost_but_its_text_does_not_change() -> None:
    assert changes('def f(a):\n    log.warning("x" if a else "y")') == ["log.warning('x' if a else 'y')  ->  pass"]


def test_accepted_survivors_are_mutants_and_have_a_reason() -> None:
    accepted = accepted_survivors()
    keys = {mutant.key for module in {module for module, _, _ in accepted} for mutant in all_mutants(module)}
    assert {key for key in accepted if key not in keys} == set()
    assert all(len(why) > len("equivalent") for why in accepted.values())
