"""Tables of a result: one row for each image, in a section for each package, for a terminal, a pipe and the log."""

import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import groupby

from msgspec import Struct, field

from package_keeper.model.packages import Package, PackageName, PackageType, Version, display_name
from package_keeper.model.plan import Action, Decision, Outcome, PlannedWrite
from package_keeper.model.run import Run
from package_keeper.report import rescue
from package_keeper.report.outside import shown
from package_keeper.report.sizes import size_text
from package_keeper.report.totals import amount
from package_keeper.settings import Operation, Settings

MANY_TAGS = 6
"""The most tags that a table shows of a version; the number of the others follows."""

NARROWEST = 8
"""No column is made narrower than this, even if the lines do not fit then."""

_CUTTABLE = frozenset({"image", "package", "reason", "rule"})
"""The columns that are cut when a table is too wide. The others, such as ids, can always be copied whole."""

_DROPPED = ("updated", "versions")
"""The columns that are left out, in this order, when a table is too wide."""

GAP = "  "

Paint = Callable[[str, str], str]
"""Colours a text, given its column; for a title and a header the column is `title` and `header`."""


def plain(text: str, column: str) -> str:
    """No colour."""
    del column
    return text


_CODES = {
    "title": "1",
    "header": "2",
    "delete": "31",
    "untag": "33",
    "restore": "32",
    "done": "32",
    "whole": "32",
    "broken": "31",
    Outcome.FAILED.value: "31",
    Outcome.NO_PERMISSION.value: "31",
}
_COLOURED = frozenset({"decision", "outcome", "health"})


def coloured(text: str, column: str) -> str:
    """The colours of a terminal: titles, headers, and words in columns with few words."""
    code = _CODES.get(column if column in ("title", "header") else text.strip())
    return f"\x1b[{code}m{text}\x1b[0m" if code and (column in ("title", "header") or column in _COLOURED) else text


class Section(Struct, frozen=True, kw_only=True):
    """Rows under a title, which may be empty. `left` is the number of further rows that are not in it."""

    title: str
    header: tuple[str, ...]
    rows: Sequence[Sequence[str]]
    left: int = 0


def sections(run: Run, settings: Settings | None, *, most: int | None = None) -> Iterator[Section]:
    """The result, with one section for each package and `most` rows in each. A query shows its own rows only."""
    if run.rows is not None:
        if run.rows:
            texts = [_texts(row.values()) for row in run.rows[:most]]
            header = tuple(map(one_line, run.rows[0]))
            yield Section(title="", header=header, rows=texts, left=len(run.rows) - len(texts))
    elif (images := _images(run, settings)) is not None:
        for package, found in groupby(images, key=lambda image: image.package):
            of_package = list(found)
            rows = [image.cells() for image in of_package[:most]]
            yield Section(
                title=_title(package, of_package),
                header=of_package[0].header,
                rows=rows,
                left=len(of_package) - len(rows),
            )
    elif settings is not None and settings.concerns_packages and run.scope.packages:
        packages = run.scope.packages[:most]
        yield Section(
            title="",
            header=("package", "id", "versions", "visibility", "updated"),
            rows=[_package_cells(package) for package in packages],
            left=len(run.scope.packages) - len(packages),
        )


def tab_separated(run: Run, settings: Settings | None) -> Iterator[str]:
    """The result for another program: a line for each image or row, without a header, with nothing cut."""
    if run.rows is not None:
        yield from map(_tabs, (_texts(row.values()) for row in run.rows))
    elif (images := _images(run, settings)) is not None:
        for image in images:
            yield _tabs(image.all_cells())
    elif settings is not None and settings.concerns_packages:
        yield from map(_tabs, map(_package_cells, run.scope.packages))


def lines(section: Section, *, width: int, paint: Paint = plain) -> Iterator[str]:
    """The lines of a section, for `width` columns. One row is one line: texts that are too long are cut."""
    table = [[one_line(cell) for cell in row] for row in (section.header, *section.rows)]
    if section.title:
        table = _without_dropped(table, width - 1)
    header = table[0]
    widths = _widths(table)
    _fit(widths, [name in _CUTTABLE or not section.title for name in header], width - 1)
    if section.title:
        yield paint(cut(one_line(section.title), width - 1), "title")
    for number, row in enumerate(table):
        cells = zip(row, widths, header, strict=True)
        names = ((cut(cell, limit), limit, name if number else "header") for cell, limit, name in cells)
        yield GAP.join(paint(f"{cell}{' ' * (limit - columns(cell))}", name) for cell, limit, name in names).rstrip()
    if section.left:
        yield f"and {section.left:,} more"


def _without_dropped(table: list[list[str]], width: int) -> list[list[str]]:
    """The table without a column that says nothing, and without some more where it would not fit."""
    if all(row[table[0].index("versions")] == "1" for row in table[1:]):
        table = _without(table, "versions")
    for name in _DROPPED:
        if _least_width(table) > width:
            table = _without(table, name)
    return table


def _without(table: list[list[str]], name: str) -> list[list[str]]:
    places = [place for place, column in enumerate(table[0]) if column != name]
    return [[row[place] for place in places] for row in table]


def _least_width(table: list[list[str]]) -> int:
    widths = zip(_widths(table), table[0], strict=True)
    least = [min(width, NARROWEST) if column in _CUTTABLE else width for width, column in widths]
    return sum(least) + len(GAP) * (len(least) - 1)


def _widths(table: Iterable[Sequence[str]]) -> list[int]:
    return [max(map(columns, cells)) for cells in zip(*table, strict=True)]


def _fit(widths: list[int], cuttable: Sequence[bool], width: int) -> None:
    """Make the widest columns narrower until all of them fit into `width`."""
    over = sum(widths) + len(GAP) * (len(widths) - 1) - width
    while over > 0:
        place = max(range(len(widths)), key=lambda each: widths[each] if cuttable[each] else 0)
        if not cuttable[place] or widths[place] <= NARROWEST:
            return
        widths[place] -= 1
        over -= 1


def one_line(text: str) -> str:
    """Format text from outside on one line, without control characters and without commands to the runner."""
    return shown(text).replace("##[", "## [")


def columns(text: str) -> int:
    """The columns that text takes in a terminal: two for a wide character, none for a combining one."""
    if text.isascii():
        return len(text)
    seen = [each for each in unicodedata.normalize("NFC", text) if unicodedata.category(each) not in ("Mn", "Me")]
    return len(seen) + sum(unicodedata.east_asian_width(each) in "WF" for each in seen)


def cut(text: str, width: int) -> str:
    """The text, or as much of it as fits into `width` columns with an ellipsis."""
    if columns(text) <= width:
        return text
    while text and columns(text) >= width:
        text = text[:-1]
    return f"{text}…"


def _tabs(cells: Iterable[str]) -> str:
    return "\t".join(map(one_line, cells))


def _texts(values: Iterable[object]) -> list[str]:
    return ["" if value is None else str(value) for value in values]


# --- one row for each image ---


class _Image(Struct, frozen=True, kw_only=True):
    """An image or a version alone, or a whole package. `more` are further cells by column."""

    package: PackageName
    id: str = ""
    name: str = ""
    tags: tuple[str, ...] | None = ()
    updated: str = ""
    versions: int = 1
    more: Mapping[str, str] = field(default_factory=dict)

    @property
    def header(self) -> tuple[str, ...]:
        return ("image", "id", "updated", "versions", *self.more)

    def cells(self) -> tuple[str, ...]:
        return (self._label(), self.id, self.updated[:10], str(self.versions), *self.more.values())

    def all_cells(self) -> tuple[str, ...]:
        tags = "unknown" if self.tags is None else ",".join(self.tags)
        head = (str(self.package), self.id, self.name, tags, self.updated, str(self.versions))
        return (*head, *self.more.values())

    def _label(self) -> str:
        """What people call it: its tags, or else its name."""
        if not self.id:
            return "whole package"
        if self.tags is None:
            return f"{display_name(self.name)} [unknown tags]"
        more = f" and {len(self.tags) - MANY_TAGS} more" if len(self.tags) > MANY_TAGS else ""
        tags = ", ".join(self.tags[:MANY_TAGS]) + more
        if not tags:
            return display_name(self.name)
        return tags if self.package.type is PackageType.CONTAINER else f"{display_name(self.name)} [{tags}]"


def _title(package: PackageName, images: Sequence[_Image]) -> str:
    number = sum(image.versions for image in images)
    if package.type is PackageType.CONTAINER and number > len(images):
        return f"{package}: {amount(len(images), 'image')}, {amount(number, 'version')}"
    return f"{package}: {amount(number, 'version')}"


def _images(run: Run, settings: Settings | None) -> Iterator[_Image] | None:
    if settings is not None and settings.lists_versions:
        return _listed(run, decided=settings.explains)
    if settings is not None and settings.operation is Operation.VERIFY:
        return _verified(run)
    return _written(run) if run.plan.writes else None


def _by_package(images: Iterable[_Image]) -> Iterator[_Image]:
    """All images of a package after each other; packages in the order of their first images."""
    found: dict[PackageName, list[_Image]] = {}
    for image in images:
        found.setdefault(image.package, []).append(image)
    for several in found.values():
        yield from several


def listed_columns(run: Run, *, decided: bool) -> Mapping[str, Callable[[Decision], str]]:
    """The columns of listed versions behind those of every version: how to make a cell of each."""
    found: dict[str, Callable[[Decision], str]] = {}
    if sizes := run.image_sizes:
        # a part has no size of its own
        found["size"] = lambda each: size_text(sizes[each.version.id]) if each.version.id in sizes else ""
    if decided:
        found |= {"decision": lambda each: each.action, "reason": lambda each: each.why}
        # the reason does not name the rule when a count or an age of the rule decided
        if any(each.rule for each in run.listed):
            found["rule"] = lambda each: each.rule
    return found


def _listed(run: Run, *, decided: bool) -> Iterator[_Image]:
    """Roots with the number of their versions. A part has its own row when its root has none or fares otherwise."""
    actions = {each.version.id: each.action for each in run.listed}
    roots = [_root(each, actions) for each in run.listed]
    parts = Counter(root for root in roots if root is not None)
    more = listed_columns(run, decided=decided)
    return _by_package(
        _version_row(each.version, {name: cell(each) for name, cell in more.items()}, 1 + parts[each.version.id])
        for each, root in zip(run.listed, roots, strict=True)
        if root is None
    )


def _root(part: Decision, actions: Mapping[int, Action]) -> int | None:
    """The id of the root in whose row a version is counted; `None` for a version with a row of its own."""
    root = part.root
    if root is None or root.id == part.version.id or actions.get(root.id) is not part.action:
        return None
    return root.id


def _verified(run: Run) -> Iterator[_Image]:
    return _by_package(
        _version_row(
            image.root,
            {"size": size_text(image.size), "health": "broken" if image.is_broken else "whole"}
            | ({"remedy": rescue.remedy_text(image)} if run.broken else {}),
        )
        for image in sorted(run.verified, key=lambda image: not image.is_broken)
    )


def _version_row(version: Version, more: Mapping[str, str], versions: int = 1) -> _Image:
    return _Image(
        package=version.package,
        id=str(version.id),
        name=version.name,
        tags=version.tags if version.tags_known else None,
        updated=_day(version.updated_at),
        versions=versions,
        more=more,
    )


def _written(run: Run) -> Iterator[_Image]:
    outcomes: dict[int, str] = {id(record.write): record.outcome for record in run.records}
    not_begun = "refused" if run.result == "refused" else "planned"
    return _by_package(
        _write_row(group, [outcomes.get(id(write)) or write.expected or not_begun for write in group])
        for group in run.plan.groups
    )


def _write_row(group: Sequence[PlannedWrite], outcomes: Sequence[str]) -> _Image:
    write = group[0]
    several = Counter(outcomes)
    outcome = outcomes[0] if len(several) == 1 else ", ".join(f"{number} {word}" for word, number in several.items())
    return _Image(
        package=write.package,
        id=str(write.version_id or ""),
        name=write.version_name,
        tags=(write.tag,) if write.tag else write.tags,
        updated=_day(write.version.updated_at) if write.version else "",
        versions=len(group),
        more={"decision": write.action, "reason": write.why, "outcome": outcome},
    )


def _package_cells(package: Package) -> list[str]:
    versions = "" if package.version_count is None else str(package.version_count)
    return [str(package.key), str(package.id), versions, package.visibility or "", _day(package.updated_at)]


def _day(moment: datetime | None) -> str:
    return moment.strftime("%Y-%m-%d %H:%M") if moment else "unknown"
