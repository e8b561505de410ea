"""What is wrong between inputs: combinations that contradict, protect nothing, or would mean everything by accident."""

import re
from collections.abc import Iterator
from dataclasses import replace

from package_keeper.inputs.definitions import INPUTS_BY_NAME
from package_keeper.inputs.operations import Operation
from package_keeper.inputs.rule_reading import AGE_INPUTS, COUNT_INPUTS, RULE_INPUTS, SELECTION_INPUTS, version_problems
from package_keeper.inputs.settings import Settings
from package_keeper.inventory.package import PackageType

_LOGIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(\[bot\])?")


CHOOSING = tuple(name for name in RULE_INPUTS if name not in ("partial-match", "age-of", "keep-latest-per"))
"""The inputs that choose something by themselves; the others say how."""


_KEEP_LISTS = ("keep-tags", "keep-versions", "keep-digests", "keep-used-in")
_SELECTING = frozenset((*CHOOSING, *_KEEP_LISTS, "policy"))
_DECIDING = frozenset((*COUNT_INPUTS, "partial-match", "keep-tags", "keep-versions", "keep-digests"))


def cross_checks(settings: Settings, given: set[str], wrong: set[str]) -> tuple[list[str], list[str]]:
    """Find all problems and warnings. `given` are the inputs that say something else than their default.

    `wrong` are those that have a problem of their own: what cannot be read is not the same as missing.

    What concerns a single rule is checked where it is read (`rule_reading.rule_problems`), as rules of a policy are.
    """
    problems: list[str] = []
    warnings: list[str] = []
    for name in sorted(given, key=list(INPUTS_BY_NAME).index):
        if name == "dry-run" and not settings.operation.writes:
            # what is no operation at all is a problem already
            problems += [] if "operation" in wrong else [_writes_nothing(settings, given)]
            continue
        problem, warning = _without_effect(settings, name)
        problems += problem
        warnings += warning
    problems += _scope(settings)
    problems += _selection(settings, given, wrong)
    kept, types = settings.rules.lists.versions, set(settings.package_types)
    problems += version_problems("keep-versions", kept, types, tags="keep-tags")
    warnings += _warnings(settings, given)
    return problems, warnings


def _writes_nothing(settings: Settings, given: set[str]) -> str:
    """The problem with an explicit `dry-run: false`: somebody means to write, and this operation does not."""
    operation = "explain" if settings.explains and "policy" not in given else settings.operation
    match settings.operation:
        case Operation.VERIFY:
            meant = "operation: repair, which was probably meant, or "
        case Operation.CONFLICTS:
            meant = ""
        case _ if settings.undo or settings.deleted_state:
            meant = "operation: restore, which was probably meant, or "
        case _ if settings.explains or not given.isdisjoint(_SELECTING):
            meant = "operation: delete, which was probably meant, or "
        case _:
            meant = "operation: delete with a selection, or operation: delete-package, or "
    return f"dry-run: 'false': the operation {operation} writes nothing; write {meant}dry-run: true"


def with_warnings(settings: Settings, warnings: list[str]) -> Settings:
    """The same settings, with what the user should know."""
    return replace(settings, warnings=tuple(warnings))


def _without_effect(settings: Settings, name: str) -> tuple[list[str], list[str]]:
    definition = INPUTS_BY_NAME[name]
    operation = settings.operation
    if operation not in definition.operations:
        text = f"{name}: has no effect on the operation {operation}"
        if definition.narrows and operation.writes:
            accepted = ", ".join(sorted(definition.operations))
            return [f"{text}, so it would not restrict or protect anything; it is an input of: {accepted}"], []
        return [], [text]
    if definition.needs_tags and not any(kind.has_tags for kind in settings.package_types):
        types = ", ".join(settings.package_types)
        return [
            f"{name}: has no effect on {types}, whose versions carry no tags; accepted for container and docker"
        ], []
    if definition.needs_images and PackageType.CONTAINER not in settings.package_types:
        types = ", ".join(settings.package_types)
        return [f"{name}: has no effect on {types}; only container versions form images"], []
    return [], []


def _scope(settings: Settings) -> Iterator[str]:
    operation, packages, of_policy = settings.operation, settings.packages, settings.policy_packages
    if not settings.owner and settings.owner_type != "authenticated-user":
        yield "owner: empty; accepted is the login of the account that owns the packages"
    elif settings.owner and not _LOGIN.fullmatch(settings.owner):
        yield f"owner: '{settings.owner}' is not a login; accepted is the name of an account alone, such as acme"
    if settings.undo:
        return
    includes = any(patterns is not None and patterns.includes for patterns in (packages, of_policy))
    if operation.writes and not includes:
        yield (
            f"package: {operation} needs at least one entry that includes a package;"
            " name packages, or write * for all of them"
        )
        return
    if packages is None:
        return
    if operation is Operation.DELETE_PACKAGE:
        for pattern in packages.includes:
            if not pattern.is_exact and pattern.text != "*":
                yield f"package: '{pattern.text}': delete-package takes exact names, or * for all"
    if operation is Operation.RESTORE_PACKAGE:
        for pattern in packages.entries:
            if not pattern.is_exact:
                yield f"package: '{pattern.text}': restore-package takes exact names, as deleted packages have no list"


def _selection(settings: Settings, given: set[str], wrong: set[str]) -> Iterator[str]:
    rules, operation = settings.rules, settings.operation
    if operation not in (Operation.LIST, Operation.DELETE, Operation.RESTORE):
        return
    if settings.undo:
        clashing = sorted(given.intersection((*SELECTION_INPUTS, *AGE_INPUTS, "repository", "visibility")))
        if clashing:
            yield f"undo: takes back everything in the receipt; remove {', '.join(clashing)}"
        return
    if operation.writes and not rules.select_anything and wrong.isdisjoint(RULE_INPUTS):
        yield (
            f"{operation}: no selection, age or count is given, and an empty selection must not mean everything;"
            f" give one of {', '.join(name for name in CHOOSING if operation in INPUTS_BY_NAME[name].operations)}"
            + (", or a policy" if operation is Operation.DELETE else ", or undo")
            + " (versions: * is everything, said explicitly)"
        )
    if settings.explains and not rules.select_anything and wrong.isdisjoint(RULE_INPUTS):
        yield "explain: nothing to explain without a policy, a selection, an age or a count"
    if settings.explains and settings.deleted_state:
        yield "state: 'deleted': what is deleted already cannot be deleted; rules are explained for active versions"
    if not rules.raw:
        return
    selection = rules.inputs.selection
    if rules.judge_health:
        yield "condition: images: raw knows no images, so none has a condition; remove one of them"
    if operation.writes and (rules.is_policy or (selection.version_ids is None and selection.versions is None)):
        yield "images: 'raw' is accepted only with version-ids or versions, which name what may be torn out of an image"


def _warnings(settings: Settings, given: set[str]) -> Iterator[str]:
    rule = settings.rules.inputs
    if settings.operation is Operation.LIST and not settings.explains:
        idle = [name for name in INPUTS_BY_NAME if name in given and name in _DECIDING]
        if idle:
            yield (
                f"{', '.join(idle)}: has no effect on list, which decides nothing without a policy; explain on the"
                " command line, or delete as a dry run, shows what stays"
            )
    if "partial-match" in given and not rule.selection.judges_tags and settings.operation is Operation.DELETE:
        yield "partial-match: has no effect without tags, semver, prerelease or gone"
    if "age-of" in given and not (
        rule.age.is_given or rule.counts.is_given or rule.selection.where or settings.query or settings.guards.limit
    ):
        yield "age-of: has no effect without an age, a count, where or a limit"
    if settings.rules.raw and not settings.undo and settings.operation is Operation.DELETE:
        if PackageType.CONTAINER in settings.package_types:
            yield (
                "images: raw: versions are deleted without looking at what they belong to; an image that holds one of"
                " them can no longer be pulled whole"
            )
        else:
            yield "images: raw has an effect on containers only"
