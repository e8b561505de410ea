"""The policy of the documentation, and the table that says what it decides, as the rules decide it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from package_keeper.inputs.patterns import parse_patterns
from package_keeper.inputs.policy_file import read_policy
from package_keeper.model.images import independent_images
from package_keeper.model.packages import PackageType, Timestamp
from package_keeper.model.repository import RepositoryState
from package_keeper.policy.evaluation import evaluate_deletions
from package_keeper.policy.retention import KeepLists
from package_keeper.policy.rules import Rules
from package_keeper.policy.selection import Facts
from package_keeper.policy.sql import Inventory
from tests.unit.making import NOW, key, package, version

ROOT = Path(__file__).resolve().parent.parent.parent
POLICY = (ROOT / "docs" / "policy.yml").read_text(encoding="utf-8")

ROWS = [
    (("2.1.0", "latest"), "keep", "rule:current releases"),
    (("pr-7", "edge"), "keep", "rule:moving tags"),
    (("pr-7", "demo"), "untag", "rule:closed pull requests"),
    (("pr-7",), "delete", "rule:closed pull requests"),
    (("pr-8",), "keep", "not-selected"),
    (("build-12", "demo"), "keep", "not-selected"),
    (("build-12",), "delete", "rule:builds that nobody promoted"),
    (("nightly-1",), "keep", "keep-tags"),
    (("nightly-2",), "keep", "keep-daily"),
    (("1.0.0",), "keep", "keep-latest"),
    (("branch-topic-a",), "delete", "rule:gone branches"),
    ((), "delete", "rule:leftovers"),
]
"""Tags of an image that is 400 days old, and what is decided about it."""


def test_the_reference_shows_the_policy() -> None:
    assert f"```yaml\n{POLICY}```" in (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(("tags", "decision", "reason"), ROWS, ids=str)
def test_what_the_policy_decides(tags: tuple[str, ...], decision: str, reason: str) -> None:
    problems: list[str] = []
    policy = read_policy("policy.yml", POLICY, types=(PackageType.CONTAINER,), now=NOW, problems=problems)
    assert problems == []
    of = key("container")
    old = NOW - timedelta(days=400)
    image = version(1, of=of, name=f"sha256:{1:064x}", tags=tags, created_at=old, updated_at=old)
    keep_tags, _ = parse_patterns("nightly-1")
    rules = Rules(rules=policy.rules, is_policy=True, now=NOW, lists=KeepLists(tags=keep_tags))
    tables = Inventory(
        packages=[package(kind="container")],
        versions=[image],
        owner="acme",
        now=NOW,
        timestamp=Timestamp.UPDATED,
        may_go_on=lambda: True,
    )
    life = RepositoryState(
        full_name="acme/app",
        open_pulls=frozenset({8}),
        closed_pulls=frozenset({7}),
        closed_heads=frozenset({"topic/a"}),
    )
    selected = {expression: tables.selected(expression) for expression in rules.expressions}
    (judged,) = evaluate_deletions(
        independent_images([image]), rules, Facts(repositories={of: life}, selected=selected)
    )
    assert (judged.action, judged.why) == (decision, reason)


def test_the_table_of_the_reference_is_among_the_rows() -> None:
    page = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")
    table = page.partition("With the policy above:")[2].partition("\n\n`")[0]
    shown = {line.split("|")[4].strip(" `") for line in table.splitlines() if line.startswith("| `")}
    assert len(shown) == 5
    assert shown <= {reason for _, _, reason in ROWS}
