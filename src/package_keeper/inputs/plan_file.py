"""The plan file (docs/reference.md, "Plan file"): parses the JSON of a saved plan.

The file is checked strictly: a plan of another version of the program must not be misread. `report/plan_file.py` writes
plans, and knows whether one was edited.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Literal

import msgspec

from package_keeper.model.packages import OwnerType, PackageName, PackageType, Version
from package_keeper.model.plan import Action, Outcome, PlannedWrite, Reason, WriteKind
from package_keeper.policy.guards import OnLastVersion
from package_keeper.settings import ImagesMode, Operation, SavedPlan

_Id = Annotated[int, msgspec.Meta(ge=1)]
_Time = Annotated[datetime, msgspec.Meta(tz=True)]


class PlanProblem(ValueError):
    """The file is no plan that this version can apply; the message says why."""


class _Strict(msgspec.Struct, forbid_unknown_fields=True, rename=lambda name: name.replace("_", "-")):
    pass


class _Package(_Strict):
    package_type: PackageType
    package: str
    id: _Id


class _Version(msgspec.Struct, forbid_unknown_fields=True):
    id: _Id
    name: str
    tags: list[str] | None
    created_at: _Time | None
    updated_at: _Time | None


class _Write(
    msgspec.Struct, forbid_unknown_fields=True, rename={"package_type": "package-type", "versions": "versions"}
):
    action: Action
    kind: WriteKind
    reason: str
    package_type: PackageType
    package: str
    id: _Id | None
    name: str
    tags: list[str] | None
    created_at: _Time | None
    updated_at: _Time | None
    tag: str | None
    root: str | None
    after: list[_Id]
    expected: Outcome | None
    image: int
    versions: list[_Version] = []


class _Decision(msgspec.Struct, rename={"package_type": "package-type"}):
    """Of the decisions only what says whether a package would be empty afterwards."""

    package_type: PackageType
    package: str
    decision: Action


class _Plan(_Strict):
    schema: Literal[1]
    kind: Literal["plan"]
    tool: str
    made_at: _Time
    owner: str
    owner_type: OwnerType
    operation: Operation
    inputs: dict[str, str]
    on_last_version: OnLastVersion
    packages: list[_Package]
    checks: list[msgspec.Raw]
    writes: list[_Write]
    decisions: list[_Decision]
    digest: str
    bytes: int | None = None


_PLAN = msgspec.json.Decoder(_Plan)


def read_plan(text: str) -> SavedPlan:
    """Parse the text of a plan. Raises `PlanProblem`."""
    try:
        plan = _PLAN.decode(text.encode())
    except (msgspec.MsgspecError, UnicodeEncodeError, RecursionError) as error:
        raise PlanProblem(f"it is no plan that this version of Package Keeper can apply ({error})") from None
    if not plan.operation.writes or plan.operation is Operation.APPLY:
        raise PlanProblem(f"it is a plan of {plan.operation}, which cannot be applied")
    names: dict[tuple[PackageType, str], PackageName] = {}
    groups: dict[int, list[PlannedWrite]] = {}
    for write in plan.writes:
        key = (write.package_type, write.package)
        groups.setdefault(write.image, []).append(_planned(write, names.setdefault(key, _name(*key))))
    if any(len({write.package for write in group}) > 1 for group in groups.values()):
        raise PlanProblem("an image in it belongs to two packages")
    return SavedPlan(
        operation=plan.operation,
        owner=plan.owner,
        made_at=plan.made_at,
        on_last_version=plan.on_last_version,
        is_raw=plan.inputs.get("images", "").strip() == ImagesMode.RAW,
        tags_may_move=bool(plan.inputs.get("undo", "").strip() or plan.inputs.get("version-ids", "").strip()),
        package_ids={_name(each.package_type, each.package): each.id for each in plan.packages},
        emptied=_emptied(plan),
        groups=tuple(map(tuple, groups.values())),
    )


def _planned(write: _Write, package: PackageName) -> PlannedWrite:
    is_whole = write.kind is WriteKind.PACKAGE
    if is_whole is not (write.id is None) or (write.tag is None) is (write.kind is WriteKind.TAG):
        raise PlanProblem(f"what is written of {package} ({write.name}) contradicts itself")
    version = None
    if write.id is not None:
        seen = _Version(write.id, write.name, write.tags, write.created_at, write.updated_at)
        version = _version(package, seen)
    return PlannedWrite(
        action=write.action,
        reason=Reason.PLAN,
        package=package,
        version=version,
        version_id=write.id,
        version_name="" if is_whole else write.name,
        tags=tuple(write.tags or ()),
        tag=write.tag,
        root=write.root,
        after=frozenset(write.after),
        expected=write.expected,
        contains=tuple(_version(package, each) for each in write.versions),
    )


def _version(package: PackageName, seen: _Version) -> Version:
    """A version with what a plan says about it."""
    return Version(
        id=seen.id,
        package=package,
        name=seen.name,
        tags=tuple(seen.tags or ()),
        created_at=seen.created_at,
        updated_at=seen.updated_at,
        deleted_at=None,
        description=None,
        license=None,
        url=None,
        html_url=None,
        package_html_url=None,
        metadata=None,
        tags_known=seen.tags is not None,
    )


def _emptied(plan: _Plan) -> frozenset[PackageName]:
    """The packages of which every version is to go."""
    staying: Mapping[tuple[PackageType, str], bool] = {
        (each.package_type, each.package): True for each in plan.decisions if each.decision is not Action.DELETE
    }
    decided = {(each.package_type, each.package) for each in plan.decisions}
    return frozenset(_name(*key) for key in decided - staying.keys())


def _name(package_type: PackageType, name: str) -> PackageName:
    return PackageName(type=package_type, name=name)
