"""A receipt is true wherever it is truncated, and no text crashes its reader."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from package_keeper.execution.receipt import (
    Append,
    Ending,
    ReceiptProblem,
    ReceiptWriter,
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
    told = [(line["seq"], line["outcome"]) for line in map(json.loads, paper.data.splitlines())]
    assert told == [(1, "started"), (2, "started"), (3, "started"), (1, "done"), (2, "out-of-time")]


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
