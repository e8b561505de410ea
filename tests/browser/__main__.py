"""Takes the pictures of the documentation: `make pictures`."""

from __future__ import annotations

import tempfile
from pathlib import Path

from tests.browser.chromium import measured, page, take_picture
from tests.browser.kinds import summary_of

IMAGES = Path(__file__).resolve().parents[2] / "docs" / "images"
PICTURES = (
    ("delete", "mixed", "light"),
    ("delete-dark", "mixed", "dark"),
    ("dry-run", "dry", "light"),
    ("permissions", "permissions", "light"),
    ("verify", "broken", "light"),
)
"""The names of the pictures, the kinds of run that they show, and the mode."""

WIDTH = 840


def main() -> None:
    """Write every picture."""
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for title, kind, mode in PICTURES:
            source = page(summary_of(kind, folder / title), mode)
            height = measured({title: (WIDTH, source)}, folder)[title]["height"]
            take_picture(source, IMAGES / f"summary-{title}.png", WIDTH, height, folder)


if __name__ == "__main__":
    main()
