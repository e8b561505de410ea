"""Whether a workflow keeps the receipt of its run, read from its file as text."""

import re

_COMMENT = re.compile(r"(?:^|\s)#.*", re.MULTILINE)
_STEP = re.compile(r"^\s*- ", re.MULTILINE)
_UPLOAD = re.compile(r"\buses:\s*['\"]?[\w./-]*upload-artifact@")


def uploads_receipt(workflow: str, receipt: str) -> bool:
    """Whether a step uploads the receipt as an artifact: it names the file, the output, or a pattern of such files."""
    steps = _STEP.split(_COMMENT.sub("", workflow))
    # a number is added to the name of a file that exists
    name = re.sub(r"(-\d+)?\.jsonl$", "", receipt.rpartition("/")[2])
    return any(
        _UPLOAD.search(step) and any(text in step for text in ("outputs.receipt", "*.jsonl", name)) for step in steps
    )
