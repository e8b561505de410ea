"""Up to so many deletions of a package go in order, whatever stays there; from one more on the newest need not wait."""

from __future__ import annotations

import pytest

from package_keeper.execution.scheduling import A_FEW, after_holders
from tests.unit.execution.test_receipt import deletion
from tests.unit.making import version


@pytest.mark.parametrize("tags", [("v1",), ()], ids=["tagged", "untagged"])
@pytest.mark.parametrize("stays", [("stable",), ()], ids=["beside a tagged one", "beside an untagged one"])
@pytest.mark.parametrize("more", [0, 1])
def test_a_few_go_in_order_and_one_more_does_not(tags: tuple[str, ...], stays: tuple[str, ...], more: int) -> None:
    writes = [deletion(number, tags=tags) for number in range(1, A_FEW + more + 1)]
    last = after_holders(writes, [version(99, of=writes[0].package, tags=stays)])[-1]
    # of tagged ones the last waits where no other is tagged
    in_order = not more or (tags and not stays)
    assert last == (set(range(len(writes) - 1)) if in_order else set())


def test_a_few_tagged_ones_go_in_order_among_many() -> None:
    untagged = [deletion(number) for number in range(1, A_FEW + 2)]
    for more in (0, 1):
        tagged = [deletion(100 + number, tags=(f"v{number}",)) for number in range(A_FEW + more)]
        writes = untagged + tagged
        last = after_holders(writes, [version(999, of=writes[0].package, tags=("stable",))])[-1]
        assert last == (set() if more else set(range(len(untagged), len(writes) - 1)))
