"""A receipt is true wherever it is truncated, and no text crashes its reader."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from math import inf
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from package_keeper.execution.receipt import (
    Append,
    Ending,
    Receipt,
    ReceiptProblem,
    ReceiptWriter,
    damage,
    read_receipt,
    refused_for_downloads,
)
from package_keeper.model.packages import Owner, OwnerType
from package_keeper.model.plan import Action, Outcome, PlannedWrite, Reason, WriteKind
from package_keeper.runner.workspace import Workspace
from tests.unit.making import HOSTILE, key

ACME = Owner(login="Acme", type=OwnerType.ORGANIZATION)


@dataclass
class Paper:
    """A file in memory."""

    data: bytes = b""
    lines: list[bytes] = field(default_factory=list)

    def append(self, line: bytes) -> None:
        self.lines.append(line)
        self.data += line


class Noon:
    """A clock that stands still."""

    def now(self) -> datetime:
        return datetime(2026, 6, 1, 12, tzinfo=UTC)

    def monotonic(self) -> float:
        return 0.0


def writer(paper: Paper) -> ReceiptWriter:
    return ReceiptWriter(lambda: paper.append, ACME, {"id": "1", "workflow": "Aufräumen 🧹"}, Noon())


def deletion(number: int, name: str = "1.0.0", package: str = "app", tags: tuple[str, ...] = ()) -> PlannedWrite:
    return PlannedWrite(
        action=Action.DELETE,
        reason=Reason.SELECTED,
        package=key("container", package),
        version_id=number,
        version_name=name,
        tags=tags,
    )


def test_a_line_has_the_documented_fields() -> None:
    paper = Paper()
    book = writer(paper)
    write = deletion(7, tags=("v1",))
    (number,) = book.started([write])
    book.ended([Ending(number, write, Outcome.FAILED, "GitHub says no")])
    started, ended = (json.loads(line) for line in paper.lines)
    assert started == {
        "schema": 1,
        "seq": 1,
        "at": "2026-06-01T12:00:00.000Z",
        "kind": "version",
        "action": "delete",
        "outcome": "started",
        "owner": "Acme",
        "owner-type": "organization",
        "package-type": "container",
        "package": "app",
        "id": 7,
        "name": "1.0.0",
        "tags": ["v1"],
        "root": None,
        "reason": "selected",
        "run": {"id": "1", "workflow": "Aufräumen 🧹"},
    }
    assert ended == started | {"outcome": "failed", "message": "GitHub says no"}


def test_without_writes_no_file_is_created() -> None:
    def never() -> Append:
        raise AssertionError("a file was created")

    ReceiptWriter(never, ACME, {}, Noon())


def told(paper: Paper, *more: str) -> list[tuple[Any, ...]]:
    """The number and outcome of each line, and other fields of it."""
    lines = map(json.loads, paper.data.splitlines())
    return [(line["seq"], line["outcome"], *(line.get(each) for each in more)) for line in lines]


WHOLE = PlannedWrite(action=Action.DELETE, reason=Reason.SELECTED, package=key("npm", "lib"))
UNTAG = replace(deletion(7, tags=("a", "b")), action=Action.UNTAG, tag="a")


def test_a_line_names_the_tag_or_the_package_that_is_written() -> None:
    paper = Paper()
    writer(paper).started([WHOLE, UNTAG, replace(deletion(1), root="sha256:r")])
    package, tag, part = (json.loads(line) for line in paper.data.splitlines())
    assert (package["kind"], package["id"], package["name"], "tag" in package) == ("package", None, "lib", False)
    assert (tag["kind"], tag["action"], tag["id"], tag["tag"], tag["tags"]) == ("tag", "untag", 7, "a", ["a", "b"])
    assert (part["kind"], part["root"], "tag" in part) == ("version", "sha256:r", False)


def test_several_writes_are_one_append_and_the_file_is_created_once() -> None:
    paper, opened = Paper(), []

    def create() -> Append:
        opened.append(1)
        return paper.append

    book = ReceiptWriter(create, ACME, {}, Noon())
    book.ended([])
    assert book.started([]) == []
    assert opened == [], "nothing was written yet"
    writes = [deletion(1), deletion(2)]
    assert book.started(writes) == [1, 2]
    book.ended([Ending(1, writes[0], Outcome.DONE), Ending(2, writes[1], Outcome.FAILED, certain=False)])
    assert (len(opened), len(paper.lines), paper.data.count(b"\n")) == (1, 2, 4)
    assert told(paper, "message", "certain")[2:] == [(1, "done", None, None), (2, "failed", None, False)]


def test_only_writes_that_were_recorded_as_done_are_corrected_once() -> None:
    paper = Paper()
    book = writer(paper)
    done, failed, other = deletion(1), deletion(2), deletion(3)
    book.started([done, failed])
    book.ended([Ending(1, done, Outcome.DONE), Ending(2, failed, Outcome.FAILED, "no")])
    book.correct([done, failed, other], "still there")
    book.correct([done], "still there")
    assert told(paper, "id", "message", "certain")[4:] == [(1, "failed", 1, "still there", False)]
    (entry,) = read_receipt(paper.data.decode()).entries
    assert (entry.version_id, entry.certain, entry.began, entry.ended) == (1, False, 1, 3)


def test_a_write_that_was_left_open_is_told_apart_by_all_that_names_it() -> None:
    paper = Paper()
    book = writer(paper)
    (number,) = book.started([UNTAG])
    book.leave_open(number, UNTAG)
    others = [
        replace(UNTAG, tag="b"),
        replace(UNTAG, version_id=8),
        replace(UNTAG, package=key("container", "lib")),
        replace(UNTAG, tag=None, action=Action.DELETE),
        replace(UNTAG, version_id=None),
    ]
    assert [book.left_open(each) for each in others] == [None] * 5
    assert book.started(others) == [2, 3, 4, 5, 6]
    assert (book.left_open(UNTAG), book.left_open(UNTAG)) == (1, None)
    assert book.started([UNTAG]) == [7]
    book.leave_open(7, UNTAG)
    assert book.close() == [Ending(7, UNTAG, Outcome.OUT_OF_TIME)]
    assert book.close() == []


OUTCOMES = st.sampled_from(
    [None, Outcome.DONE, Outcome.DONE, Outcome.FAILED, Outcome.LAST_VERSION, Outcome.OUT_OF_TIME]
)
TEXTS = HOSTILE.filter(bool)
WRITES = st.lists(
    st.tuples(st.integers(1, 9), TEXTS, TEXTS, st.lists(TEXTS, max_size=2), OUTCOMES), min_size=1, max_size=5
)


def test_a_rate_limited_write_keeps_its_number_and_ends_once() -> None:
    paper = Paper()
    book = writer(paper)
    first, second = deletion(1), deletion(2)
    for number, write in zip(book.started([first, second]), (first, second), strict=True):
        book.leave_open(number, write)
    assert book.started([deletion(3), first]) == [3, 1]
    book.ended([Ending(1, first, Outcome.DONE)])
    book.ended(book.close())
    book.ended(book.close())
    assert told(paper) == [(1, "started"), (2, "started"), (3, "started"), (1, "done"), (2, "out-of-time")]


def filled(writes: list[tuple[int, str, str, list[str], Outcome | None]]) -> Paper:
    paper = Paper()
    book = writer(paper)
    for number, name, package, tags, outcome in writes:
        planned = deletion(number, name, package, tuple(tags))
        (sequence,) = book.started([planned])
        if outcome is not None:
            book.ended([Ending(sequence, planned, outcome, "ünïcode 🚀" if outcome is Outcome.FAILED else "")])
    return paper


@given(WRITES)
def test_a_written_receipt_is_read_back(writes: list[tuple[int, str, str, list[str], Outcome | None]]) -> None:
    receipt = read_receipt(filled(writes).data.decode())
    assert receipt.owner == "Acme"
    wanted = [
        (WriteKind.VERSION, number, name, package, tuple(tags), outcome is not None)
        for number, name, package, tags, outcome in writes
        if outcome in (None, Outcome.DONE)
    ]
    found = [(one.kind, one.version_id, one.name, one.package.name, one.tags, one.certain) for one in receipt.entries]
    assert found == wanted


@given(WRITES, st.data())
def test_a_receipt_that_is_truncated_at_any_byte_is_a_true_prefix(
    writes: list[tuple[int, str, str, list[str], Outcome | None]], data: st.DataObject
) -> None:
    paper = filled(writes)
    cut = data.draw(st.integers(0, len(paper.data)))
    happened = {place for place, write in enumerate(writes, start=1) if write[-1] is Outcome.DONE}
    text = paper.data[:cut].decode(errors="replace")
    begun = sum(b'"started"' in line for line in paper.data[:cut].split(b"\n")[:-1])
    try:
        receipt = read_receipt(text)
    except ReceiptProblem:
        assert begun == 0
        return
    certain = [one for one in receipt.entries if one.certain]
    assert len(certain) <= len(happened)
    named = {(number, package) for number, _, package, _, _ in writes}
    assert all((one.version_id, one.package.name) in named for one in receipt.entries)
    assert len(receipt.entries) <= begun + 1


@given(WRITES)
def test_a_truncated_receipt_is_read_from_a_workspace(
    tmp_path_factory: pytest.TempPathFactory, writes: list[tuple[int, str, str, list[str], Outcome | None]]
) -> None:
    paper = filled(writes)
    folder = tmp_path_factory.mktemp("workspace")
    first = len(paper.lines[0])
    for cut in {first, first + 1, (first + len(paper.data)) // 2, len(paper.data) - 1, len(paper.data)}:
        (folder / "receipt").write_bytes(paper.data[:cut])
        assert read_receipt(Workspace(folder).read("receipt")).owner == "Acme"


def test_a_line_cut_inside_a_character_does_no_harm(tmp_path: Path) -> None:
    paper = Paper()
    writer(paper).started([deletion(1, name="ä" * 20)])
    broken = paper.data + '{"schema":1,"name":"ä'.encode()[:-1]
    (tmp_path / "receipt").write_bytes(broken)
    assert [one.version_id for one in read_receipt(Workspace(tmp_path).read("receipt")).entries] == [1]


GOOD = json.loads(filled([(7, "1.0.0", "app", ["v1"], None)]).lines[0])


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"schema": 2}, "schema"),
        ({"schema": None}, "schema"),
        ({"action": "explode"}, "explode"),
        ({"kind": "universe"}, "universe"),
        ({"outcome": "perhaps"}, "perhaps"),
        ({"id": None}, "id"),
        ({"id": "7"}, "id"),
        ({"id": True}, "id"),
        ({"package-type": "crate"}, "crate"),
        ({"seq": "x"}, "x"),
        ({"tags": 7}, "line 1"),
    ],
)
def test_a_line_with_an_invalid_field_is_a_problem(change: dict[str, object], problem: str) -> None:
    with pytest.raises(ReceiptProblem, match="line 1") as caught:
        read_receipt(json.dumps(GOOD | change) + "\n")
    assert problem in str(caught.value)


@pytest.mark.parametrize("name", sorted(set(GOOD) - {"at", "root", "reason", "run", "owner-type"}))
def test_a_line_without_a_required_field_is_a_problem(name: str) -> None:
    with pytest.raises(ReceiptProblem, match="line 1"):
        read_receipt(json.dumps({key: value for key, value in GOOD.items() if key != name}) + "\n")


@pytest.mark.parametrize("text", ["", "\n\n", "hello\n", "[]\n", "7\n", "null\n", "{}\n", "{\n", "[" * 100_000 + "\n"])
def test_a_file_that_is_not_a_receipt_is_a_problem(text: str) -> None:
    with pytest.raises(ReceiptProblem):
        read_receipt(text)


def test_several_owners_are_a_problem() -> None:
    with pytest.raises(ReceiptProblem, match="owners"):
        read_receipt(
            "\n".join(json.dumps(GOOD | {"owner": owner, "seq": number}) for number, owner in enumerate("ab", 1))
        )
    lines = [json.dumps(GOOD | {"owner": owner, "seq": number}) for number, owner in enumerate(("acme", "ACME"), 1)]
    assert len(read_receipt("\n".join(lines)).entries) == 2


def test_one_number_for_two_writes_is_a_problem() -> None:
    with pytest.raises(ReceiptProblem, match="line 2"):
        read_receipt("\n".join(json.dumps(GOOD | {"id": number}) for number in (1, 2)) + "\n")


def text(*changes: dict[str, Any]) -> str:
    """A receipt of lines that differ from a good one."""
    return "\n".join(json.dumps(GOOD | change) for change in changes)


DONE: dict[str, Any] = {"outcome": "done"}
TAG: dict[str, Any] = {"kind": "tag", "action": "untag", "tag": "v1"}


def test_what_is_taken_back_is_read_with_all_that_names_it() -> None:
    (entry,) = read_receipt(text(TAG, TAG | DONE | {"root": "sha256:r"})).entries
    assert (entry.kind, entry.package, entry.version_id, entry.name) == (WriteKind.TAG, key("container"), 7, "1.0.0")
    assert (entry.tag, entry.tags, entry.root, entry.certain) == ("v1", ("v1",), "sha256:r", True)
    assert (entry.began, entry.ended, entry.at) == (1, 2, datetime(2026, 6, 1, 12, tzinfo=UTC))
    (entry,) = read_receipt(text(DONE | {"kind": "package", "id": 5})).entries
    assert (entry.kind, entry.version_id, entry.tag, entry.root) == (WriteKind.PACKAGE, None, None, None)
    (entry,) = read_receipt(text({})).entries
    assert (entry.certain, entry.began, entry.ended) == (False, 1, inf)


@pytest.mark.parametrize(
    ("ends", "certain"),
    [
        (["done"], True),
        (["failed"], None),
        (["already-gone"], None),
        (["failed", "done"], True),
        (["done", "failed"], None),
        (["done", "failed?"], False),
        (["failed?"], False),
        (["done?"], False),
        ([], False),
    ],
)
def test_the_last_outcome_of_a_write_counts(ends: list[str], certain: bool | None) -> None:
    lines = [{"outcome": end.rstrip("?")} | ({"certain": False} if "?" in end else {}) for end in ends]
    found = [(entry.certain, entry.ended) for entry in read_receipt(text({}, *lines)).entries]
    assert found == ([] if certain is None else [(certain, 2 if ends else inf)])


def test_blank_lines_are_no_damage_and_an_outcome_counts_before_its_beginning() -> None:
    receipt = read_receipt(f"\n  \n{text(DONE, {})}\r\n\r\n")
    assert receipt.damaged == ()
    assert [(entry.certain, entry.began, entry.ended) for entry in receipt.entries] == [(True, 3, 3)]


def test_entries_are_in_the_order_in_which_they_began() -> None:
    receipt = read_receipt(text({"seq": 3, "id": 3}, {"seq": 1, "id": 1}, {"seq": 3, "id": 3} | DONE))
    assert [(entry.version_id, entry.began, entry.ended) for entry in receipt.entries] == [(3, 1, 3), (1, 2, inf)]


@pytest.mark.parametrize(
    ("numbers", "is_whole"), [([1], True), ([1, 2], True), ([2, 1], True), ([2], False), ([1, 3], False)]
)
def test_a_receipt_is_whole_when_no_number_is_left_out(numbers: list[int], is_whole: bool) -> None:
    assert read_receipt(text(*({"seq": number, "id": number} for number in numbers))).is_whole is is_whole


@pytest.mark.parametrize(
    "other",
    [{"id": 8}, {"name": "2"}, {"package": "lib"}, {"kind": "package"}, TAG | {"tag": "v2"}, {"package-type": "npm"}],
)
def test_lines_that_contradict_each_other_are_damaged_and_the_others_valid(other: dict[str, Any]) -> None:
    first = TAG if "tag" in other else {}
    receipt = read_receipt(f"{text(first, {'seq': 2}, other | {'seq': 1})}\n{{\n{text({'seq': 3})}")
    assert receipt.damaged == (1, 3, 4)
    assert [entry.began for entry in receipt.entries] == [2, 5]
    assert not receipt.is_whole
    with pytest.raises(ReceiptProblem, match="line 2 contradicts line 1: both have seq 1"):
        read_receipt(text(first, other))


def test_a_line_may_follow_a_truncated_one() -> None:
    for cut in ("{", '{"schema":1,"seq":', text({})[:-1]):
        receipt = read_receipt(f"{text({'seq': 1, 'id': 1})}\n{cut}{text({'seq': 2, 'id': 2})}")
        assert [entry.version_id for entry in receipt.entries] == [1, 2]
        assert receipt.damaged == (2,)
        assert receipt.is_whole


@pytest.mark.parametrize(
    "change",
    [
        {"id": 0},
        {"id": -1},
        {"seq": 0},
        {"seq": True},
        {"tags": "v1"},
        {"tags": [1]},
        {"root": 1},
        {"name": "\ud800"},
        {"owner": 7},
        {"package": 7},
        {"outcome": 7},
        TAG | {"package-type": "npm"},
        TAG | {"tag": None},
    ],
)
def test_a_line_that_nothing_can_be_made_of_is_damaged(change: dict[str, Any]) -> None:
    receipt = read_receipt(text(change, {"seq": 2, "id": 1}))
    assert (receipt.damaged, [entry.began for entry in receipt.entries]) == ((1,), [2])


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", "not an object"),
        (text({"schema": 2}), "schema 2 is not known"),
        (text({"id": 0}), "id of a version: 0 is no number of one"),
        (text({"seq": 0}), "seq: 0 is no number of one"),
        ("", "there is no line in it"),
    ],
)
def test_a_file_without_a_line_says_what_its_first_line_lacks(line: str, why: str) -> None:
    with pytest.raises(ReceiptProblem) as caught:
        read_receipt(f"{line}\n" if not line else f"{line}\n{{")
    assert why in str(caught.value)
    assert ("line 1" in str(caught.value)) is bool(line)


@pytest.mark.parametrize("at", [None, "yesterday", "2026-06-01T12:00:00", 7])
def test_a_time_that_cannot_be_read_is_unknown(at: object) -> None:
    (entry,) = read_receipt(text({"at": at})).entries
    assert entry.at is None


@pytest.mark.parametrize(
    ("damaged", "shown"),
    [
        ((1,), "1 lines of the receipt are damaged, and passed over: 1; "),
        ((1, 2), ": 1-2; "),
        ((1, 3), ": 1, 3; "),
        ((1, 2, 3, 7, 8), ": 1-3, 7-8; "),
        (tuple(range(1, 41, 2)), "37, 39; "),
        (tuple(range(1, 43, 2)), "37, 39, …; "),
    ],
)
def test_damaged_lines_are_told_by_ranges(damaged: tuple[int, ...], shown: str) -> None:
    message = damage(Receipt(owner="acme", damaged=damaged))
    assert message.startswith(f"{len(damaged)} lines")
    assert f"{shown}the other lines tell of every write" in message
    assert "what only they told is not taken back" in damage(Receipt(owner="acme", damaged=damaged, is_whole=False))


def test_restorations_in_a_receipt_are_not_taken_back() -> None:
    assert read_receipt(json.dumps(GOOD | {"action": "restore", "outcome": "done"})).entries == ()


@given(
    st.text(
        st.sampled_from('{}[]",:0123456789schemaseqownertru \n\\') | st.characters(exclude_categories=["Cs"]),
        max_size=60,
    )
)
def test_no_text_crashes_the_reader(text: str) -> None:
    with pytest.raises(ReceiptProblem):
        read_receipt(text)


def test_refusals_for_downloads_are_found_by_owner() -> None:
    paper = Paper()
    book = writer(paper)
    for number, outcome in ((7, Outcome.PROTECTED_BY_DOWNLOADS), (8, Outcome.DONE), (9, Outcome.LAST_VERSION)):
        write = deletion(number)
        (sequence,) = book.started([write])
        book.ended([Ending(sequence, write, outcome, "protected-by-downloads, says a message")])
    package = PlannedWrite(action=Action.DELETE, reason=Reason.SELECTED, package=key("npm", "lib"))
    book.ended([Ending(10, package, Outcome.PROTECTED_BY_DOWNLOADS)])
    text = paper.data.decode()
    assert list(refused_for_downloads(text, "ACME")) == [(key("container", "app"), 7), (key("npm", "lib"), None)]
    assert list(refused_for_downloads(text, "other")) == []


def test_a_tag_that_was_refused_for_downloads_says_nothing_about_its_version() -> None:
    refused = {"outcome": "protected-by-downloads"}
    both = text(TAG | refused, refused | {"action": "restore"})
    assert list(refused_for_downloads(both, "acme")) == []


@given(st.text() | st.binary().map(lambda data: data.decode("latin-1")), st.integers(0, 400))
def test_no_text_crashes_the_search_for_refusals(noise: str, cut: int) -> None:
    paper = Paper()
    write = deletion(7)
    writer(paper).ended([Ending(1, write, Outcome.PROTECTED_BY_DOWNLOADS)])
    line = paper.data.decode()
    text = f"{noise}protected-by-downloads\n{line[:cut]}\n{line}{{protected-by-downloads"
    assert set(refused_for_downloads(text, "acme")) == {(key("container", "app"), 7)}


def test_receipts_of_earlier_runs_are_found_with_their_numbers(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    for name in ("day.jsonl", "day-2.jsonl", "day-13.jsonl", "day-x.jsonl", "day.json", "yesterday.jsonl"):
        (tmp_path / name).write_text(name, encoding="utf-8")
    (tmp_path / "day-3.jsonl").mkdir()
    (tmp_path / "day-4.jsonl").symlink_to("/etc/hostname")
    assert sorted(workspace.receipts("day.jsonl")) == ["day-13.jsonl", "day-2.jsonl", "day.jsonl"]
    assert list(workspace.receipts("nowhere/day.jsonl")) == []
    assert list(workspace.receipts("../day.jsonl")) == []
