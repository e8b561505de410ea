"""A summary is understood in ten seconds: at most two screens, nothing off-screen on a phone, light and dark."""

from __future__ import annotations

from typing import Any

import pytest

from tests.browser.chromium import measured, page
from tests.browser.kinds import KINDS, summary_of

pytestmark = pytest.mark.browser

SCREEN = 900
DESKTOP, PHONE = 1012, 360
MODES = ("light", "dark")
FITTING = ("dry", "real", "nothing", "many", "permissions", "policy", "untag")
"""Kinds whose tables fit on a phone. Tables with more columns or longer names are scrolled in a box of their own."""

HEADINGS = {
    "dry": "Dry run: 48 versions of 16 images would go",
    "real": "48 versions deleted",
    "mixed": "25 of 38 versions deleted, 12 failed, 1 refused by GitHub",
    "refusals": "6 of 15 versions deleted, 3 failed, 6 refused by GitHub",
    "nothing": "Nothing to do, all 27 versions stay",
    "many": "3,000 versions deleted",
    "permissions": "0 of 170 versions deleted, 170 failed",
    "broken": "4 of 32 images are broken",
    "untag": "4 tags removed",
    "bad-inputs": "Not started, since the inputs cannot be used",
    "problems": "40 of 40 packages could not be read, and nothing was written",
}


@pytest.fixture(scope="module")
def summaries(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return {kind: summary_of(kind, tmp_path_factory.mktemp(kind)) for kind in KINDS}


@pytest.fixture(scope="module")
def found(summaries: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    pages = {
        f"{kind} {mode} {width}": (width, page(summary, mode))
        for kind, summary in summaries.items()
        for mode in MODES
        for width in (DESKTOP, PHONE)
    }
    return measured(pages, tmp_path_factory.mktemp("pages"))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kind", KINDS)
def test_a_summary_has_at_most_two_screens(found: dict[str, dict[str, Any]], kind: str, mode: str) -> None:
    assert found[f"{kind} {mode} {DESKTOP}"]["height"] <= 2 * SCREEN


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_off_screen_on_a_phone(found: dict[str, dict[str, Any]], kind: str, mode: str) -> None:
    seen = found[f"{kind} {mode} {PHONE}"]
    assert seen["scrollWidth"] <= PHONE
    assert seen["wide"] == []
    if kind in FITTING:
        assert [each for each in seen["scrolled"] if each[0] == "TABLE"] == []


@pytest.mark.parametrize("kind", HEADINGS)
def test_a_summary_begins_with_its_outcome(found: dict[str, dict[str, Any]], kind: str) -> None:
    assert found[f"{kind} light {DESKTOP}"]["text"].splitlines()[0].partition(" ")[2] == HEADINGS[kind]


@pytest.mark.parametrize("kind", KINDS)
def test_every_alert_is_one(found: dict[str, dict[str, Any]], summaries: dict[str, str], kind: str) -> None:
    assert "[!" not in found[f"{kind} light {DESKTOP}"]["text"].replace("[![", "") or kind == "hostile"
    assert found[f"{kind} light {DESKTOP}"]["alerts"] == summaries[kind].count("> [!")
