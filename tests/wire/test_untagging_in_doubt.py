"""An untagging that can neither be finished nor taken back leaves a receipt by which `undo` gives the tag back."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.simulator import Simulator
from tests.simulator.images import push_image

ROOT = Path(__file__).resolve().parents[2]


def run(simulator: Simulator, workspace: Path, *arguments: str) -> int:
    environment = {
        "PATH": os.environ["PATH"],
        "GH_TOKEN": "a-token-of-tests",
        "GITHUB_API_URL": simulator.url,
        "GITHUB_WORKSPACE": str(workspace),
    }
    command = [sys.executable, "-I", str(ROOT / "entrypoint.py"), *arguments, "--owner", "acme"]
    return subprocess.run([*command, "--no-dry-run"], env=environment, capture_output=True, check=False).returncode


def test_undo_gives_back_a_tag_that_was_left_on_an_empty_manifest(tmp_path: Path) -> None:
    with Simulator() as simulator:
        simulator.add_owner("acme")
        simulator.add_token("a-token-of-tests")
        package = simulator.add_package("acme", "container", "app")
        image = push_image(package, "v1", seed="image", created_at="2026-01-01T00:00:00Z")
        package.move_tag("pr-1", image)
        simulator.faults.add(method="DELETE", path="/versions/", status=403, message="Resource not accessible")
        simulator.faults.add(method="PUT", path="/manifests/pr-1", status=403, after=1, message="denied")

        status = run(simulator, tmp_path, "delete", "--package", "app", "--tags", "pr-*", "--partial-match", "untag")

        assert status == 1
        assert package.tags()["pr-1"].name != image.name
        lines = [json.loads(line) for line in (tmp_path / "package-keeper-receipt.jsonl").read_text().splitlines()]
        assert [(line["kind"], line["action"], line["outcome"]) for line in lines] == [
            ("tag", "untag", "started"),
            ("tag", "untag", "failed"),
        ]
        assert lines[1]["certain"] is False

        simulator.faults.clear()
        assert run(simulator, tmp_path, "restore", "--undo", "package-keeper-receipt.jsonl") == 0
        assert package.tags()["pr-1"].name == image.name
        assert [version.name for version in package.active()] == [image.name]
