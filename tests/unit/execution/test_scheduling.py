"""Which deletion waits for which: parts for what holds them, and the last of a package for all the others."""

from __future__ import annotations

from dataclasses import replace

import pytest

from package_keeper.execution.scheduling import A_FEW, after_holders
from package_keeper.inventory.version import Version
from tests.unit.execution.test_receipt import deletion
from tests.unit.making import key, version

UNTAGGED = [deletion(number) for number in range(1, A_FEW + 2)]
TAGGED = [deletion(number, tags=(f"v{number}",)) for number in range(A_FEW + 2, 2 * A_FEW + 3)]
WRITES = UNTAGGED + TAGGED
LAST = len(WRITES) - 1
PACKAGE = WRITES[0].package
OTHER = key("container", "other")


def waiting(staying: list[Version], count: int = len(WRITES)) -> dict[int, set[int]]:
    """By the places of those that wait: the places that they wait for."""
    return {place: wait for place, wait in enumerate(after_holders(WRITES[-count:], staying)) if wait}


def test_the_newest_goes_last_where_a_whole_package_goes() -> None:
    assert waiting([]) == {LAST: set(range(LAST))}
    assert waiting([version(99, of=OTHER, tags=("stable",))]) == {LAST: set(range(LAST))}


def test_nothing_waits_where_a_tagged_version_stays() -> None:
    assert waiting([version(99, of=PACKAGE, tags=("stable",))]) == {}


def test_the_last_tagged_one_waits_for_the_tagged_where_only_untagged_ones_stay() -> None:
    assert waiting([version(99, of=PACKAGE)]) == {LAST: set(range(len(UNTAGGED), LAST))}


@pytest.mark.parametrize("tags", [(), ("stable",)])
def test_a_few_go_in_order_whatever_stays(tags: tuple[str, ...]) -> None:
    assert waiting([version(99, of=PACKAGE, tags=tags)], 2) == {1: {0}}


@pytest.mark.parametrize("tags", [(), ("stable",)])
def test_a_part_always_waits_for_what_holds_it(tags: tuple[str, ...]) -> None:
    writes = [*WRITES]
    writes[5] = replace(writes[5], after=frozenset({1, 3}))
    assert after_holders(writes, [version(99, of=PACKAGE, tags=tags)])[5] == {0, 2}
