"""Text from outside, as summary and tables may show it."""

LONGEST = 1_000
"""The most characters that are shown of one text. Names and tags have at most 255; `output-file` has everything."""


def shown(text: str) -> str:
    """Format text from outside on one line: without control characters, and cut when it is very long."""
    text = text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
    return text if text.isprintable() else "".join(each if each.isprintable() else "�" for each in text)
