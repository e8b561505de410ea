"""Sizes for people: rounded down, so that what is said to be freed at least was freed."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from package_keeper.report.sizes import size_text

FACTORS = {"byte": 1, "bytes": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12, "PB": 10**15, "EB": 10**18}


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (None, "unknown"),
        (0, "0 bytes"),
        (1, "1 byte"),
        (999, "999 bytes"),
        (1_000, "1.0 kB"),
        (999_999, "999.9 kB"),
        (1_000_000, "1.0 MB"),
        (1_290_000_000, "1.2 GB"),
        (5 * 10**21, "5000.0 EB"),
    ],
)
def test_sizes_are_shown_in_powers_of_1000(size: int | None, text: str) -> None:
    assert size_text(size) == text


@given(st.integers(0, 10**22))
def test_a_size_is_never_shown_as_more_than_it_is(size: int) -> None:
    found = re.fullmatch(r"(\d+)(?:\.(\d))? (\w+)", size_text(size))
    assert found is not None
    shown = (int(found[1]) * 10 + int(found[2] or 0)) * FACTORS[found[3]] // 10
    assert shown <= size
    assert size - shown < max(FACTORS[found[3]] // 10, 1)
