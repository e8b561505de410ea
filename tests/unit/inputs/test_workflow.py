"""Whether a workflow keeps the receipt of its run."""

from __future__ import annotations

import pytest

from package_keeper.inputs.workflow import uploads_receipt

CLEAN = "      - uses: acme/package-keeper@v1\n        with:\n          receipt: out/undo.jsonl\n"


def upload(path: str) -> str:
    return f"      - if: always()\n        uses: actions/upload-artifact@v7\n        with:\n          path: {path}\n"


@pytest.mark.parametrize(
    "path", ["out/undo.jsonl", "${{ steps.keeper.outputs.receipt }}", "'*.jsonl'", "|\n a\n out/undo.jsonl"]
)
def test_a_step_that_uploads_the_receipt_is_found(path: str) -> None:
    assert uploads_receipt(CLEAN + upload(path), "out/undo-2.jsonl")


@pytest.mark.parametrize(
    "workflow",
    ["", CLEAN, CLEAN + upload("coverage.xml"), CLEAN + "#" + upload("out/undo.jsonl").replace("\n", "\n#")],
)
def test_a_workflow_without_such_a_step_is_reminded(workflow: str) -> None:
    assert not uploads_receipt(workflow, "out/undo.jsonl")
