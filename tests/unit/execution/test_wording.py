"""How messages name writes, versions and what became of them."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from package_keeper.errors import Cancelled, NotAuthorized, OutOfTime, Unreachable
from package_keeper.execution.wording import FEW, describe, describe_stubs, few, not_tried, stubs_and_what_to_do, tell
from package_keeper.model.plan import Action, Outcome, PlannedWrite, Reason, WriteRecord
from tests.unit.making import NOW, key, version

IMAGE = key("container")
DIGEST = f"sha256:{'ab' * 32}"
TAGGED = PlannedWrite.of(version(7, of=IMAGE, name=DIGEST, tags=("v1", "new")), Action.DELETE, Reason.SELECTED)
PLAIN = PlannedWrite.of(version(8, name="1.0.0"), Action.DELETE, Reason.SELECTED)
WHOLE = PlannedWrite(action=Action.RESTORE, reason=Reason.SELECTED, package=IMAGE)
STUBS = [
    version(number, of=IMAGE, name=f"stub-{number}", tags=(f"pr-{number}",) * (number == 1)) for number in range(8)
]
DELETED = [replace(stub, deleted_at=NOW) for stub in STUBS]


@pytest.mark.parametrize(
    ("names", "most", "expected"),
    [
        ([], 2, ""),
        (["a"], 2, "a"),
        (["a", "b"], 2, "a, b"),
        (["a", "b", "c"], 2, "a, b and 1 more"),
        (["a", "b", "c", "d"], 2, "a, b and 2 more"),
        (map(str, range(FEW)), FEW, "0, 1, 2, 3, 4"),
    ],
)
def test_only_the_first_names_are_listed(names: list[str], most: int, expected: str) -> None:
    assert few(names, most) == expected
    assert few("abcdefg") == "a, b, c, d, e and 2 more"


@pytest.mark.parametrize(
    ("write", "expected"),
    [
        (TAGGED, "container/app sha256:abababababab [v1, new] (id 7)"),
        (PLAIN, "npm/app 1.0.0 (id 8)"),
        (replace(TAGGED, action=Action.UNTAG, tag="v1"), "container/app tag v1 of sha256:abababababab (id 7)"),
        (WHOLE, "container/app"),
    ],
)
def test_a_write_is_named_by_its_target(write: PlannedWrite, expected: str) -> None:
    assert describe(write) == expected


@pytest.mark.parametrize(
    ("write", "outcome", "message", "expected"),
    [
        (PLAIN, Outcome.DONE, "", "npm/app 1.0.0 (id 8): deleted, selected"),
        (replace(TAGGED, action=Action.UNTAG, tag="v1"), Outcome.DONE, "", "(id 7): untagged, selected"),
        (WHOLE, Outcome.DONE, "", "container/app: restored, selected"),
        (PLAIN, Outcome.LAST_VERSION, "", "npm/app 1.0.0 (id 8): last-version, selected"),
        (PLAIN, Outcome.FAILED, "no", "npm/app 1.0.0 (id 8): failed, selected (no)"),
    ],
)
def test_a_record_says_what_became_of_a_write(
    write: PlannedWrite, outcome: Outcome, message: str, expected: str
) -> None:
    assert tell(WriteRecord(write=write, outcome=outcome, message=message)).endswith(expected)


def test_stubs_are_named_with_what_to_do() -> None:
    one = "1 version is an empty manifest by which untagging took a tag away, and no image: stub-1 [pr-1] (id 1)"
    assert describe_stubs(STUBS[1:2]) == one
    assert stubs_and_what_to_do(STUBS[1:2]) == f"{one}; version-ids: 1 deletes it"
    assert stubs_and_what_to_do(DELETED[1:2]) == f"{one}; restore passes over it"
    two = "2 versions are empty manifests by which untagging took tags away, and no images: stub-1 [pr-1] (id 1)"
    assert stubs_and_what_to_do(STUBS[1:3]) == f"{two}, stub-2 (id 2); version-ids: 1,2 deletes them"
    assert stubs_and_what_to_do(DELETED[1:3]) == f"{two}, stub-2 (id 2); restore passes over them"
    # one that is still there has to be deleted, whatever became of the other
    assert stubs_and_what_to_do([DELETED[1], STUBS[2]]).endswith("version-ids: 1,2 deletes them")
    assert stubs_and_what_to_do(STUBS).endswith("(id 4) and 3 more; version-ids: 0,1,2,3,4 deletes them")


def test_what_was_not_tried_has_the_outcome_of_what_ended_the_run() -> None:
    for ended in (Cancelled(), OutOfTime()):
        assert not_tried(PLAIN, ended) == WriteRecord(write=PLAIN, outcome=Outcome.OUT_OF_TIME)
    assert not_tried(PLAIN, NotAuthorized("no")) == WriteRecord(
        write=PLAIN, outcome=Outcome.NO_PERMISSION, message="not tried"
    )
    assert not_tried(PLAIN, Unreachable("no")) == WriteRecord(write=PLAIN, outcome=Outcome.FAILED, message="not tried")
