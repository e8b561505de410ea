"""A usage file that somebody changes after it was checked ends the run: a row that is lost would look like disuse."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from package_keeper.errors import BadInput
from package_keeper.inputs.parser import parse_settings
from package_keeper.inputs.sources import Request
from package_keeper.main.input_files import NamedFiles
from package_keeper.runner.workspace import Workspace

NOW = datetime(2026, 6, 15, tzinfo=UTC)
HEADER = "package,tag,last_used\n"


@pytest.mark.parametrize(
    "change",
    [
        lambda file: file.write_text(HEADER + "app,v1,2026-01-01\napp,v2,20"),
        lambda file: file.write_bytes(b"\xff"),
        lambda file: file.unlink(),
    ],
    ids=["cut off", "no text", "gone"],
)
def test_a_usage_file_that_changes_ends_the_run(tmp_path: Path, change: Callable[[Path], object]) -> None:
    file = tmp_path / "usage.csv"
    file.write_text(HEADER + "app,v1,2026-01-01\napp,v2,2026-01-01\n")
    texts = {"operation": "delete", "package": "app", "unused-for": "30d", "usage": "usage.csv"}
    texts |= {"token": "tok-of-a-test", "owner": "acme"}
    files = NamedFiles.read(Request(texts=texts, defaults={}), Workspace(tmp_path), "", NOW)
    assert files.problems == []
    settings = parse_settings(texts, defaults={}, now=NOW, files=files.inputs)
    read = files.read_usage(Workspace(tmp_path), settings)
    assert len(list(read())) == 2
    change(file)
    with pytest.raises(BadInput, match="was changed while the run read it"):
        list(read())
