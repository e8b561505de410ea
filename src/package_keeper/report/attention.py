"""What needs somebody's attention, as alerts of a summary: one block for each finding, and the way back."""

import re
from collections.abc import Iterator, Mapping, Sequence

from package_keeper.model.images import RESTORABLE_FOR
from package_keeper.model.plan import Action
from package_keeper.model.run import Run
from package_keeper.report.findings import PLAIN_NAME, Finding, FindingPackage, findings, kind_of
from package_keeper.report.links import docs_link
from package_keeper.report.markdown import code, code_block, escape, folded, link, quoted
from package_keeper.report.words import day_text
from package_keeper.settings import Settings

SHOWN = 3
"""Blocks that are not folded."""

PACKAGES_SHOWN = 3
"""Packages that a block names before it folds the others."""

LINES_SHOWN = 5
"""Lines of a message that are not folded."""

LONGEST_LINE = 300
"""Characters of a line that are not folded. GitHub's own messages are shorter."""

PACKAGES = 500
"""Packages of one finding that are listed at all."""

MESSAGES = 50
"""Messages that are listed at all; the log has all of them."""

_OF_A_WRITE = re.compile(
    r"(?:\(id \d+\)|^(?:npm|maven|rubygems|docker|nuget|container)/[^\n]*):"
    r" (?:already-gone|protected-by-downloads|last-version|changed-since-plan|no-permission|failed|tag-in-use"
    r"|already-active), "
)
"""How the log tells the outcome of one write."""

_TOLD = re.compile(
    r"^package: '.*' does not exist among |versions stay as they are for want of this permission$"
    r"| misses sha256:[0-9a-f]+: | cannot be pulled: "
)
"""What the log says of things that have a block or a table of their own."""


def attention(run: Run, settings: Settings | None, docs: str) -> Iterator[str]:
    """The blocks: findings first, then the other messages of the log."""
    found = findings(run, settings)
    for finding in found[:SHOWN]:
        yield from _block(finding, docs)
    if len(found) > SHOWN:
        # GitHub knows no alerts inside of other elements
        rest = [part for finding in found[SHOWN : SHOWN + MESSAGES] for part in _block(finding, docs, is_alert=False)]
        yield folded(f"{len(found) - SHOWN} more causes", *rest)
    # a run whose writes have blocks tells their messages there
    yield from _messages(_other_messages(run), room=max(SHOWN - len(found), 1))


def _block(finding: Finding, docs: str, *, is_alert: bool = True) -> Iterator[str]:
    said = finding.said.splitlines()
    kind = ("CAUTION" if finding.is_failure else "WARNING") if is_alert else ""
    yield quoted([*_first_lines(finding, docs), *_fix(finding)], kind)
    if len(finding.packages) > PACKAGES_SHOWN:
        listed = [f"- {_package(each)}" for each in finding.packages[:PACKAGES]]
        if len(finding.packages) > PACKAGES:
            listed.append(f"- … and {len(finding.packages) - PACKAGES:,} more")
        where = ", with links to their settings" if finding.links_settings else ""
        yield folded(f"All {len(finding.packages):,} packages{where}", "\n".join(listed))
    if len(said) > LINES_SHOWN:
        yield folded(f"All {len(said):,} lines", "<br>\n".join(escape(line) for line in said[:PACKAGES]))


def _first_lines(finding: Finding, docs: str) -> Iterator[str]:
    """What it is, what GitHub said, and the first packages."""
    more = link("more about it", docs_link(docs, "troubleshooting.md", finding.anchor)) if finding.anchor else ""
    yield f"**{_bold(finding.title)}**{f' ({more})' if more else ''}"
    for line in finding.said.splitlines()[:LINES_SHOWN]:
        yield from ("<br>", escape(_cut(line)))
    packages = [_package(each) for each in finding.packages[:PACKAGES_SHOWN]]
    if packages:
        left = len(finding.packages) - len(packages)
        yield from ("", ", ".join(packages) + (f" and {left:,} more" if left else ""))


def _fix(finding: Finding) -> Iterator[str]:
    """What to do, and the lines to paste."""
    if finding.remedy:
        yield from ("", "<br>\n> ".join(escape(line) for line in finding.remedy.splitlines()))
    if finding.fix:
        yield from ("", *code_block(finding.fix))


def _bold(title: str) -> str:
    text = escape(_cut(title))
    return f"{text[:1].upper()}{text[1:]}"


def _cut(line: str) -> str:
    return line if len(line) <= LONGEST_LINE else f"{line[: LONGEST_LINE - 1]}…"


def _package(about: FindingPackage) -> str:
    linked = link(code(_cut(str(about.package)), in_table=False), about.address)
    return f"{linked} ({escape(_cut(about.detail))})" if about.detail else linked


def _other_messages(run: Run) -> list[str]:
    """The messages that no block and no table tells."""
    told = {str(problem) for problem in run.scope.problems} | {str(run.ended_by)}
    forecasts = tuple(forecast.what for forecast in run.forecasts)
    return [
        message
        for message in run.messages
        if message not in told
        and not (forecasts and message.startswith(forecasts))
        and not _TOLD.search(message)
        and not (run.records and _OF_A_WRITE.search(message))
    ]


def _messages(messages: Sequence[str], room: int) -> Iterator[str]:
    """The messages, each kind once, with the number of others like it."""
    kinds: dict[str, list[str]] = {}
    for message in messages:
        kinds.setdefault(kind_of(message), []).append(message)
    if not kinds:
        return
    lines = [_message(several) for several in list(kinds.values())[:room]]
    yield quoted([part for line in lines for part in ("", line)][1:], "NOTE")
    is_whole = len(kinds) == len(messages) and all(map(_is_short, messages))
    if len(kinds) > room or not is_whole:
        listed = [f"- {'<br>'.join(map(escape, message.splitlines()))}" for message in messages[:MESSAGES]]
        if len(messages) > MESSAGES:
            listed.append(f"- … and {len(messages) - MESSAGES:,} more, in the log")
        yield folded(f"All {len(messages):,} messages", "\n".join(listed))


def _message(several: Sequence[str]) -> str:
    """The first of several messages of one kind, cut where it is long."""
    lines = several[0].splitlines()
    texts = [escape(_cut(line)) for line in lines[:LINES_SHOWN]]
    if len(lines) > LINES_SHOWN:
        texts.append(f"… and {len(lines) - LINES_SHOWN:,} more lines")
    if len(several) > 1:
        texts.append(f"… and {len(several) - 1:,} more like this")
    return "<br>\n> ".join(texts)


def _is_short(message: str) -> bool:
    lines = message.splitlines()
    return len(lines) <= LINES_SHOWN and all(len(line) <= LONGEST_LINE for line in lines)


def way_back(run: Run, settings: Settings | None, inputs: Mapping[str, str], *, uploads_receipt: bool) -> Iterator[str]:
    """Until when and how what was done can be taken back."""
    done = any(record.is_done and record.write.action is not Action.RESTORE for record in run.records)
    if not done or not run.receipt or settings is None:
        return
    until = day_text(settings.rules.now + RESTORABLE_FOR)
    options = [f"{name}: {inputs[name]}" for name in ("owner", "api-url") if PLAIN_NAME.fullmatch(inputs.get(name, ""))]
    lines = [f"**Take it back until {until}**, with the receipt of this run:", ""]
    lines += code_block(["operation: restore", f"undo: {_yaml(run.receipt)}", *options, "dry-run: false"])
    if not uploads_receipt:
        lines += ["", "The receipt is lost with this job unless a later step keeps it:", ""]
        lines += code_block(
            [
                "- if: always()",
                "  uses: actions/upload-artifact@v7",
                "  with:",
                "    name: package-keeper-receipt",
                f"    path: {_yaml(run.receipt)}",
                f"    retention-days: {RESTORABLE_FOR.days}",
            ]
        )
    yield quoted(lines, "TIP")


def _yaml(text: str) -> str:
    """A path as a value of YAML."""
    return text if PLAIN_NAME.fullmatch(text) else "'" + text.replace("'", "''") + "'"
