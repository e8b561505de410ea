"""Which plans are refused before the first request, and why."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from package_keeper.errors import GuardRefused
from package_keeper.inputs.parser import parse_settings
from package_keeper.inputs.sources import Request
from package_keeper.main.input_files import NamedFiles
from package_keeper.report.plan_file import sealed
from package_keeper.runner.workspace import Workspace

MADE = datetime(2026, 6, 15, 12, tzinfo=UTC)
WRITE: dict[str, Any] = {
    "action": "delete",
    "kind": "version",
    "reason": "selected",
    "package-type": "npm",
    "package": "app",
    "id": 7,
    "name": "1.0.0",
    "tags": [],
    "created_at": None,
    "updated_at": "2026-01-01T00:00:00Z",
    "tag": None,
    "root": None,
    "after": [],
    "expected": None,
    "image": 1,
}
PLAN: dict[str, Any] = {
    "schema": 1,
    "kind": "plan",
    "tool": "a test",
    "made-at": "2026-06-15T12:00:00Z",
    "owner": "acme",
    "owner-type": "organization",
    "operation": "delete",
    "inputs": {},
    "on-last-version": "keep",
    "packages": [{"package-type": "npm", "package": "app", "id": 1}],
    "checks": [],
    "writes": [WRITE],
    "decisions": [],
}


def check(folder: Path, text: str | bytes, now: datetime = MADE, **inputs: str) -> None:
    """Read a plan as a run does, and check it. Raises `GuardRefused`."""
    (folder / "plan.json").write_bytes(text if isinstance(text, bytes) else text.encode())
    texts = {"operation": "apply", "plan": "plan.json", "token": "tok-of-a-test", "owner": "acme"} | inputs
    files = NamedFiles.read(Request(texts=texts, defaults={}), Workspace(folder), "", now)
    settings = parse_settings(texts, defaults={}, now=now, problems=files.problems, files=files.inputs)
    files.check_plan(settings, now)


def plan(**changes: Any) -> str:
    return sealed(json.dumps(PLAN | changes, separators=(",", ":")))


def test_a_plan_is_accepted_until_its_age_is_over(tmp_path: Path) -> None:
    check(tmp_path, plan(), MADE + timedelta(days=7))
    check(tmp_path, plan(), MADE + timedelta(hours=2), **{"plan-max-age": "2h"})
    with pytest.raises(GuardRefused, match="longer ago than plan-max-age"):
        check(tmp_path, plan(), MADE + timedelta(days=7, seconds=1))
    with pytest.raises(GuardRefused, match="longer ago than plan-max-age"):
        check(tmp_path, plan(), MADE + timedelta(hours=3), **{"plan-max-age": "2h"})


def test_a_plan_from_the_future_is_refused_but_for_the_skew_of_clocks(tmp_path: Path) -> None:
    check(tmp_path, plan(), MADE - timedelta(minutes=5))
    with pytest.raises(GuardRefused, match="lies in the future"):
        check(tmp_path, plan(), MADE - timedelta(minutes=6))


def test_a_plan_of_another_owner_is_refused(tmp_path: Path) -> None:
    check(tmp_path, plan(owner="ACME"))
    with pytest.raises(GuardRefused, match="packages of umbrella, the owner is acme"):
        check(tmp_path, plan(owner="umbrella"))


@pytest.mark.parametrize(
    "changes",
    [
        {"schema": 2},
        {"kind": "receipt"},
        {"operation": "list"},
        {"operation": "apply"},
        {"operation": "explode"},
        {"made-at": "2026-06-15T12:00:00"},
        {"made-at": None},
        {"writes": [WRITE | {"id": None}]},
        {"writes": [WRITE | {"id": 0}]},
        {"writes": [WRITE | {"kind": "package"}]},
        {"writes": [WRITE | {"kind": "tag"}]},
        {"writes": [WRITE | {"tag": "v1"}]},
        {"writes": [WRITE | {"action": "explode"}]},
        {"writes": [WRITE | {"more": 1}]},
        {"writes": [WRITE, WRITE | {"package": "lib", "id": 8}]},
        {"writes": "all"},
        {"more": 1},
    ],
    ids=str,
)
def test_a_plan_that_this_version_cannot_read_is_refused(tmp_path: Path, changes: dict[str, Any]) -> None:
    with pytest.raises(GuardRefused, match="is refused"):
        check(tmp_path, plan(**changes))


@pytest.mark.parametrize(
    "text", ["", "{}", "null", "[]", b"\xff\xfe", b"\0", plan()[:-1], plan() + " ", plan()[1:]], ids=repr
)
def test_what_is_no_whole_plan_is_refused(tmp_path: Path, text: str | bytes) -> None:
    with pytest.raises(GuardRefused, match="edited or truncated"):
        check(tmp_path, text)
