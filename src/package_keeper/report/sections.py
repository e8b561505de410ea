"""The tables and folded parts of a summary."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime

from package_keeper.model.images import ImageReference, Remedy, VerifiedImage
from package_keeper.model.packages import DIGEST, PackageName, Version, display_name, own_page
from package_keeper.model.plan import Action, Decision, Outcome, PlannedWrite, WriteKind, spoken
from package_keeper.model.run import Run
from package_keeper.report import rescue
from package_keeper.report.headline import is_dry
from package_keeper.report.images import ImageWrites, PackageCounts, image_writes, package_counts, records_by_write
from package_keeper.report.markdown import code, escape, folded, link, table
from package_keeper.report.sizes import size_text
from package_keeper.report.tables import MANY_TAGS, listed_columns
from package_keeper.report.words import REASONS, age_text, day_text, number_of
from package_keeper.settings import Operation, Settings

PACKAGES_SHOWN = 5
"""Rows of the table of packages that are not folded."""

LISTED_SHOWN = 10
"""Rows of a list that are not folded."""

LONGEST_ROW = 600
"""Characters of a row that is not folded."""

TAGS_OF_A_REASON = 40
"""Tags that are named for one reason to stay."""


def long_table(
    header: Sequence[str], rows: Sequence[Sequence[str]], most: int, run: Run, numbers: Iterable[str] = ()
) -> str:
    """A table of at most `most` rows, with a line that says where the others are."""
    if not rows:
        return ""
    text = table(header, rows[:most], numbers)
    return f"{text}\n\n{more_text(len(rows) - most, run)}" if len(rows) > most else text


def more_text(number: int, run: Run) -> str:
    """Say how many rows are left out, and where to find them."""
    where = (
        f"the file {code(run.output_file, in_table=False)} has all of them"
        if run.output_file
        else "to get all of them, set `output-file`"
    )
    return f"… and {number:,} more; {where}."


def _hosts(settings: Settings | None) -> frozenset[str]:
    """The hosts to which links may lead."""
    return settings.page_hosts if settings is not None else frozenset()


def _namer(packages: Iterable[PackageName]) -> Callable[[PackageName], str]:
    """How to name packages in a table: without their type when all have the same. A name may break after a slash."""
    is_plain = len({package.type for package in packages}) == 1
    return lambda package: escape(package.name if is_plain else str(package)).replace("/", "/<wbr>")


# --- packages ---


def packages_table(run: Run, settings: Settings | None, most: int) -> list[str]:
    """One row for each package and their total. The rows beyond the first few are folded."""
    rows = package_counts(run, _hosts(settings))
    if not rows:
        return []
    columns = _columns(rows, dry=is_dry(settings))
    named = _namer(row.package for row in rows)
    header = ["package", *columns]
    cells = [[link(named(row.package), row.address), *(cell(row) for cell in columns.values())] for row in rows[:most]]
    total = _total(rows, run)
    totals = [["**total**", *(f"**{cell(total)}**" for cell in columns.values())]]
    if len(rows) <= PACKAGES_SHOWN + 1:
        return [table(header, [*cells, *(totals if len(rows) > 1 else [])], columns)]
    note = f"\n\n{more_text(len(rows) - most, run)}" if len(rows) > most else ""
    return [
        table(header, [*cells[:PACKAGES_SHOWN], *totals], columns),
        folded(f"All {len(rows):,} packages", table(header, [*cells, *totals], columns) + note),
    ]


def _columns(rows: Sequence[PackageCounts], *, dry: bool) -> Mapping[str, Callable[[PackageCounts], str]]:
    """The columns that say something, and how to make a cell of each."""

    def shown(number: int | None) -> str:
        return "?" if number is None else f"{number:,}"

    every: dict[str, tuple[bool, Callable[[PackageCounts], str]]] = {
        "before": (any(row.before is not None for row in rows), lambda row: shown(row.before)),
        "goes" if dry else "went": (any(row.gone for row in rows), lambda row: shown(row.gone)),
        "tags gone": (any(row.untagged for row in rows), lambda row: shown(row.untagged)),
        "restored": (any(row.restored for row in rows), lambda row: shown(row.restored)),
        "refused": (any(row.refused for row in rows), lambda row: shown(row.refused)),
        "failed": (any(row.failed for row in rows), lambda row: shown(row.failed)),
        "left": (any(row.left for row in rows), lambda row: shown(row.left)),
        "stays": (any(row.before is not None for row in rows), lambda row: shown(row.stays)),
        "size": (any(row.freed for row in rows), lambda row: size_text(row.freed) if row.freed else ""),
    }
    return {name: cell for name, (says_something, cell) in every.items() if says_something}


def _total(rows: Sequence[PackageCounts], run: Run) -> PackageCounts:
    befores = [row.before for row in rows if row.before is not None]
    return PackageCounts(
        package=rows[0].package,
        before=sum(befores) if len(befores) == len(rows) else None,
        gone=sum(row.gone for row in rows),
        untagged=sum(row.untagged for row in rows),
        restored=sum(row.restored for row in rows),
        refused=sum(row.refused for row in rows),
        failed=sum(row.failed for row in rows),
        left=sum(row.left for row in rows),
        freed=sum(size or 0 for size in run.sizes.values()),
    )


# --- images ---


def written(run: Run, settings: Settings | None, now: datetime, most: int) -> str:
    """What goes or went, or is restored: one row for each image, the newest first."""
    images = image_writes(run)
    if not images:
        return ""
    images.reverse()
    records = records_by_write(run)
    header = ["package", "image", "parts", "age", "reason", *(["outcome"] if records else [])]
    shown = images[:most]
    named = _namer(image.first.package for image in images)
    rows = [
        [
            named(image.first.package),
            *_image_row(image, run, settings, now),
            *([_outcome(image, records)] if records else []),
        ]
        for image in shown
    ]
    if not any(row[2] for row in rows):
        header.remove("parts")
        rows = [[*row[:2], *row[3:]] for row in rows]
    if len({image.first.package for image in images}) == 1:
        header, rows = header[1:], [row[1:] for row in rows]
    note = f"\n\n{more_text(len(images) - most, run)}" if len(images) > most else ""
    return folded(_written_title(run, settings, images), table(header, rows, ["parts"]) + note)


_TITLES = {
    False: ("What would go", "What went", "What was to go, and what came of it"),
    True: ("What would be restored", "What was restored", "What was to be restored, and what came of it"),
}
"""Titles for a dry run, for a run that did everything, and for one that did not."""


def _written_title(run: Run, settings: Settings | None, images: Sequence[ImageWrites]) -> str:
    restores = all(image.first.action is Action.RESTORE for image in images)
    has_parts = any(len(image.writes) > 1 for image in images)
    would, was, planned = _TITLES[restores]
    ended = [record.outcome for record in run.records]
    what = would if is_dry(settings) else was if ended and set(ended) == {Outcome.DONE} else planned
    kinds = {image.first.kind for image in images}
    nouns = {WriteKind.PACKAGE: "package", WriteKind.TAG: "tag"}
    noun = "image" if has_parts else nouns.get(min(kinds), "version") if len(kinds) == 1 else "write"
    return f"{what}: {number_of(len(images), noun)}, newest first"


def _image_row(image: ImageWrites, run: Run, settings: Settings | None, now: datetime) -> list[str]:
    first = image.first
    page = own_page(first.version.html_url, _hosts(settings)) if first.version is not None else ""
    moment = first.version.at(run.plan.timestamp) if first.version is not None else None
    parts = len(image.writes) - 1
    return [
        _write_name(first, page),
        f"{parts:,}" if parts else "",
        age_text(moment, now) if first.version is not None else "",
        reason_text(first),
    ]


def _write_name(write: PlannedWrite, page: str) -> str:
    if write.kind is WriteKind.PACKAGE:
        versions = f", {number_of(len(write.contains), 'version')}" if write.contains else ""
        return f"the whole package{versions}"
    if write.tag is not None:
        return f"tag {code(write.tag)} of {link(code(display_name(write.version_name)), page)}"
    return _image_name(write.version_name, write.tags, page)


def _image_name(name: str, tags: Sequence[str], page: str) -> str:
    """The tags of an image as code, linked; the name where it says more than a digest, or there is no tag."""
    if tags and DIGEST.fullmatch(name):
        return link(code(tags[0]), page) + (f" {tags_text(tags[1:])}" if tags[1:] else "")
    return f"{link(code(display_name(name)), page)} {tags_text(tags)}".rstrip()


def tags_text(tags: Sequence[str], most: int = MANY_TAGS) -> str:
    """Tags as code, and how many more there are."""
    more = f" and {len(tags) - most:,} more" if len(tags) > most else ""
    return " ".join(code(tag) for tag in tags[:most]) + more


def reason_text(write: PlannedWrite) -> str:
    """The reason of a write: its word, and what it means where the word does not say it."""
    return _reason(write.why, REASONS.get(write.reason, ""))


def _reason(word: str, words: str) -> str:
    return code(word) + (f" {words}" if words and words != word else "")


def _outcome(image: ImageWrites, records: Mapping[int, object]) -> str:
    found = [records.get(id(write)) for write in image.writes]
    outcomes = list(dict.fromkeys(str(getattr(each, "outcome", "")) for each in found if each is not None))
    return ", ".join(outcomes)


# --- what stays ---


def kept(run: Run, settings: Settings | None, most: int) -> str:
    """What stays and why, grouped by reason, with the tags of images that stay."""
    if settings is not None and settings.lists_versions:
        return ""
    groups: dict[tuple[str, str], list[Decision]] = {}
    for decision in run.plan.decisions:
        if decision.action is Action.KEEP:
            words = REASONS.get(decision.reason, "")
            groups.setdefault((spoken(decision.reason, decision.rule), words), []).append(decision)
    if not groups:
        return ""
    ordered = sorted(groups.items(), key=lambda item: (-len(item[1]), item[0]))
    rows = []
    for (word, words), decisions in ordered[:most]:
        tags = [tag for decision in decisions for tag in decision.version.image_tags]
        names = tags_text(tags, min(TAGS_OF_A_REASON, most)) if tags else ""
        rows.append([_reason(word, words), f"{len(decisions):,}", names])
    header = ["reason", "versions", "tags"]
    number = sum(map(len, groups.values()))
    return folded(
        f"What stays, and why: {number_of(number, 'version')}", long_table(header, rows, most, run, ["versions"])
    )


# --- verify ---


def verified(run: Run, settings: Settings | None, now: datetime, most: int) -> list[str]:
    """The broken images with what is missing; the whole ones are folded."""
    if settings is None or settings.operation is not Operation.VERIFY:
        return []
    broken = [image for image in run.verified if image.is_broken]
    whole = [image for image in run.verified if not image.is_broken]
    named = _namer(image.root.package for image in run.verified)
    header = ["package", "image", "missing", "can be restored"]
    rows = [[named(image.root.package), *_broken_row(image, settings, now)] for image in broken[:most]]
    if any(image.remedy is Remedy.REBUILD for image in broken):
        header += ["build anew", "from"]
        for row, image in zip(rows, broken, strict=False):
            row += [escape(rescue.to_build(image)), code(rescue.origin_text(image))]
    found = _first_rows(
        header,
        rows,
        run,
        (len(broken), "broken image"),
        shown=PACKAGES_SHOWN,
    )
    rows = [[*version_cells(image.root, settings), size_text(image.size), "whole"] for image in whole[:most]]
    note = f"\n\n{more_text(len(whole) - most, run)}" if len(whole) > most else ""
    header = ["package", "version", "tags", "size", "image"]
    return [*found, folded(number_of(len(whole), "whole image"), table(header, rows) + note)] if rows else found


def _broken_row(image: VerifiedImage, settings: Settings, now: datetime) -> list[str]:
    missing = [code(display_name(part.digest)) for part in image.missing[:MANY_TAGS]]
    if len(image.missing) > MANY_TAGS:
        missing.append(f"and {len(image.missing) - MANY_TAGS:,} more")
    if image.unreadable:
        missing.append(escape(image.unreadable))
    name = _image_name(image.root.name, image.root.image_tags, own_page(image.root.html_url, _hosts(settings)))
    return [name, " ".join(missing), _restorable(image, now)]


def _restorable(image: VerifiedImage, now: datetime) -> str:
    """Whether everything that is missing can be restored, and until when."""
    restorable = [part for part in image.missing if part.deleted is not None]
    if not restorable:
        return "no, build it anew" if image.missing else "?"
    days = [part.restorable_until for part in restorable if part.restorable_until is not None]
    until = f", until {day_text(min(days))}" if days else ""
    soon = " (soon)" if days and (min(days) - now).days < 3 else ""
    return f"{'yes' if len(restorable) == len(image.missing) else 'some of it'}{until}{soon}"


# --- lists ---


def listed_packages(run: Run, settings: Settings | None, most: int) -> list[str]:
    """The packages, for operations on whole packages that write nothing."""
    if settings is None or not settings.concerns_packages or run.plan.writes:
        return []
    packages = run.scope.packages
    rows = [
        [
            link(code(str(package.key)), own_page(package.html_url, _hosts(settings))),
            "?" if package.version_count is None else f"{package.version_count:,}",
            package.visibility or "",
        ]
        for package in packages[:most]
    ]
    return _first_rows(["package", "versions", "visibility"], rows, run, (len(packages), "package"))


def listed_versions(run: Run, settings: Settings | None, most: int) -> list[str]:
    """The versions that `list` shows."""
    if settings is None or not settings.lists_versions or run.rows is not None:
        return []
    columns = listed_columns(run, decided=settings.explains)
    header = ["package", "version", "tags", *columns]
    rows = [
        [*version_cells(each.version, settings), *(escape(cell(each)) for cell in columns.values())]
        for each in run.listed[:most]
    ]
    return _first_rows(header, rows, run, (len(run.listed), "version"))


def queried(run: Run, most: int) -> list[str]:
    """The rows of a query."""
    if not run.rows:
        return []
    header = [escape(name) for name in run.rows[0]]
    rows = [["" if value is None else code(str(value)) for value in row.values()] for row in run.rows[:most]]
    return _first_rows(header, rows, run, (len(run.rows), "row"))


def _first_rows(
    header: Sequence[str], rows: Sequence[Sequence[str]], run: Run, of: tuple[int, str], *, shown: int = LISTED_SHOWN
) -> list[str]:
    """A table of the first rows, and a folded one of all. `of` says how many there are, and what they are."""
    if not rows:
        return []
    total, noun = of
    few = rows if total <= shown else rows[:shown]
    # a long cell makes a row of many lines
    few = [row for row in few if sum(map(len, row)) < LONGEST_ROW]
    if len(few) == total:
        return [table(header, rows)]
    note = f"\n\n{more_text(total - len(rows), run)}" if len(rows) < total else ""
    return [
        *([table(header, few)] if few else []),
        folded(f"All {number_of(total, noun)}", table(header, rows) + note),
    ]


def version_cells(version: Version, settings: Settings) -> list[str]:
    """The package, the name and the tags of a version."""
    return [
        code(str(version.package)),
        link(code(f"{display_name(version.name)} ({version.id})"), own_page(version.html_url, _hosts(settings))),
        tags_text(version.tags) if version.tags_known else "unknown",
    ]


# --- the rest ---


def images_in_use(run: Run, most: int) -> str:
    """The references in files that keep images."""
    if not run.references:
        return ""
    files = len({reference.file for reference in run.references})
    rows = [[code(each.place), code(each.text), _what_stays(each)] for each in run.references[:most]]
    note = f"\n\n{more_text(len(run.references) - most, run)}" if len(run.references) > most else ""
    title = f"Images in use: {number_of(len(run.references), 'reference')} in {number_of(files, 'file')}"
    return folded(title, table(["place", "reference", "stays"], rows) + note)


def _what_stays(reference: ImageReference) -> str:
    if reference.package == "*":
        return "every package"
    return "the whole package" if reference.whole else "the image"


def asked(inputs: Mapping[str, str]) -> str:
    """The inputs that differ from their defaults."""
    rows = [[f"`{name}`", code(" ".join(text.split())) or "empty"] for name, text in inputs.items()]
    return folded(f"What was asked: {number_of(len(rows), 'input')}", table(["input", "value"], rows)) if rows else ""


def files(run: Run) -> str:
    """The files that the run wrote."""
    lines = []
    if run.plan_file:
        lines.append(f"Plan: {code(run.plan_file, in_table=False)}, SHA-256 {code(run.plan_sha256)}")
    if run.receipt:
        lines.append(f"Receipt: {code(run.receipt, in_table=False)}")
    if run.output_file:
        lines.append(f"Whole result: {code(run.output_file, in_table=False)}")
    return "<br>\n".join(lines)
