"""What in a run needs somebody's attention: one finding for each cause, however many versions it concerns."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from msgspec import Struct, field

from package_keeper.model.packages import Package, PackageName, own_page
from package_keeper.model.permissions import ADMIN_ROLE
from package_keeper.model.plan import Outcome, PlannedWrite, WriteKind
from package_keeper.model.run import Forecast, Problem, Run
from package_keeper.report.words import number_of
from package_keeper.settings import IfMissing, Settings

_NAMES_TO_PASTE = 5
"""The most names in a fix."""

PLAIN_NAME = re.compile(r"[\w.+:@/-]{1,200}", re.ASCII)
"""A name that means itself in a list of patterns, and in YAML."""

MISSING_NAMES = 10
"""The most names of missing packages in a text."""

BAD_INPUT, CANCELLED = 2, 130
"""Exit statuses (docs/reference.md, "Exit status")."""

_PERMISSIONS = ("permissions:", "  contents: read", "  packages: write")

_UNATTENDED = frozenset(
    {Outcome.DONE, Outcome.ALREADY_GONE, Outcome.ALREADY_ACTIVE, Outcome.OVER_LIMIT, Outcome.OUT_OF_TIME}
)
"""Outcomes that need nobody's attention."""

_FOLLOWS = ("stays, since what it belongs to is still there", "not tried")
"""Messages of writes that were not sent because of another one."""

_ANCHORS = {
    "the rules take every version": "the-rules-take-every-version-of--packages",
    "the rules take every tagged": "the-rules-take-every-tagged-version-of--packages-but-not-the-untagged-ones",
    "the token lacks": "the-token-lacks-deletepackages-so-github-will-refuse-the-writes-to--packages",
    "the token is the GITHUB_TOKEN": "the-token-is-the-github_token-of--which-is-not-the-repository-of--packages",
    "an earlier receipt shows": ("an-earlier-receipt-shows-that-github-refuses-to-delete-public-versions-of--packages"),
}
"""The sections about forecasts, by how the forecasts begin."""


class FindingPackage(Struct, frozen=True, kw_only=True):
    """A package that a finding concerns. `detail` is plain text."""

    package: PackageName
    address: str | None = None
    detail: str = ""


class Finding(Struct, frozen=True, kw_only=True):
    """`title`, `said` and `remedy` are plain text; `fix` are lines to paste, `anchor` a section of the docs.

    `said` is GitHub's own text, or ours. With `links_settings`, the addresses of packages are their settings.
    `is_failure` is false for what makes no run fail.
    """

    title: str
    said: str = ""
    remedy: str = ""
    fix: tuple[str, ...] = ()
    anchor: str = ""
    packages: tuple[FindingPackage, ...] = ()
    links_settings: bool = False
    is_failure: bool = True


class _Group(Struct):
    """Writes that ended alike, for one cause."""

    outcome: Outcome
    said: str
    writes: list[PlannedWrite] = field(default_factory=list)


def findings(run: Run, settings: Settings | None) -> list[Finding]:
    """Everything that needs attention: failures first."""
    hosts = settings.page_hosts if settings is not None else frozenset()
    known = {package.key: package for package in run.scope.packages if own_page(package.html_url, hosts)}
    if_missing = settings.if_missing if settings is not None else IfMissing.FAIL
    found = [*_of_problems(run.scope.problems, known), *(_of_group(group, known) for group in _groups(run))]
    found = [*_of_end(run, found), *found, *_of_missing(run.scope.missing, if_missing)]
    found += [*_of_forecasts(run), *_of_broken(run)]
    return sorted(found, key=lambda finding: not finding.is_failure)


def kind_of(text: str) -> str:
    """What is left of a text without quoted texts, digests and numbers: the same for texts of one kind."""
    return re.sub(r"'.*?'|\[[^\]]*\]|sha256:[0-9a-f]+|[0-9a-f]{12,}|[0-9]+", "", text, flags=re.DOTALL)


def _of_end(run: Run, others: Iterable[Finding]) -> list[Finding]:
    """What ended the run early, unless another finding tells it already."""
    text = str(run.ended_by or "")
    status = run.ended_by.status if run.ended_by is not None else 0
    is_told = any(finding.said and finding.said.splitlines()[0] in text for finding in others)
    if status in (0, CANCELLED) or is_told:
        return []
    title, _, rest = text.partition("\n")
    return [
        Finding(title=title.removesuffix(":"), said=rest, anchor="inputs-exit-status-2" if status == BAD_INPUT else "")
    ]


def _of_missing(missing: Sequence[str], if_missing: IfMissing) -> list[Finding]:
    """Packages that do not exist."""
    if not missing or if_missing is IfMissing.IGNORE:
        return []
    return [
        Finding(
            title=f"{number_of(len(missing), 'named package')} not found",
            said=", ".join(missing[:MISSING_NAMES]) + (" and more" if len(missing) > MISSING_NAMES else ""),
            remedy="They do not exist, or the token may not see them. To pass over them, use:",
            fix=("if-missing: warn",),
            anchor="does-not-exist--or-the-token-may-not-see-it",
            is_failure=if_missing is IfMissing.FAIL,
        )
    ]


def _of_broken(run: Run) -> list[Finding]:
    """Broken images, and how to repair them."""
    if not run.broken:
        return []
    parts = [part for image in run.verified for part in image.missing]
    packages = dict.fromkeys(image.root.package for image in run.verified if image.is_broken)
    is_plain = len(packages) <= _NAMES_TO_PASTE and all(PLAIN_NAME.fullmatch(package.name) for package in packages)
    names = ",".join(package.name for package in packages) if packages and is_plain else '"*"'
    title = f"{number_of(run.broken, 'image')} {'is' if run.broken == 1 else 'are'} broken"
    anchor = "broken-count-is-not-0-after-a-deletion"
    if run.verified and not any(part.deleted for part in parts):
        return [
            Finding(title=title, remedy="Nothing of what is missing can be restored: build them anew.", anchor=anchor)
        ]
    return [
        Finding(
            title=title,
            remedy="Restore what is missing, as far as GitHub still has it:",
            fix=("operation: repair", f"package: {names}", "dry-run: false"),
            anchor=anchor,
        )
    ]


def _groups(run: Run) -> list[_Group]:
    """The writes that need attention, by cause, the largest group first."""
    groups: dict[tuple[Outcome, str], _Group] = {}
    of_package: dict[tuple[Outcome, PackageName], _Group] = {}
    followers: list[tuple[Outcome, PlannedWrite]] = []
    for outcome, write, message in _unfinished(run):
        if message.startswith(_FOLLOWS):
            followers.append((outcome, write))
            continue
        said = message.removesuffix(ADMIN_ROLE).removesuffix(". ").strip()
        kind = _permission(said) if outcome is Outcome.NO_PERMISSION else _without_names(said, write)
        group = groups.setdefault((outcome, kind), _Group(outcome, said))
        group.writes.append(write)
        if outcome is Outcome.NO_PERMISSION and len(said) > len(group.said):
            # only the first answer of a package is looked into
            group.said = said
        of_package.setdefault((outcome, write.package), group)
    for outcome, write in followers:
        first = next((group for group in groups.values() if group.outcome is outcome), None)
        group = (
            of_package.get((outcome, write.package)) or first or groups.setdefault((outcome, ""), _Group(outcome, ""))
        )
        group.writes.append(write)
    return sorted(groups.values(), key=lambda group: -len(group.writes))


def _unfinished(run: Run) -> Iterator[tuple[Outcome, PlannedWrite, str]]:
    """The writes that did not end well, or that cannot, with what is said about them."""
    explained = any(forecast.what.startswith("the rules take") for forecast in run.forecasts)
    ends = (
        ((record.outcome, record.write, record.message) for record in run.records)
        if run.records
        else ((write.expected, write, "") for write in run.plan.writes)
    )
    for outcome, write, message in ends:
        # a forecast explains these, with every package
        is_explained = explained and write.expected in (Outcome.LAST_VERSION, Outcome.FAILED)
        if outcome is not None and outcome not in _UNATTENDED and not is_explained:
            yield outcome, write, message


def _without_names(said: str, write: PlannedWrite) -> str:
    for name in (write.package.name, write.version_name, *write.tags):
        said = said.replace(name, "") if len(name) > 3 else said
    return kind_of(said)


def _permission(said: str) -> str:
    """Which permission is missing, by GitHub's text."""
    lowered = said.lower()
    if "saml" in lowered:
        return "SSO"
    if "bad credentials" in lowered:
        return "token"
    return "scope" if "scope" in lowered else "role"


def _of_group(group: _Group, known: Mapping[PackageName, Package]) -> Finding:
    writes, said = group.writes, group.said
    one_kind = {write.kind for write in writes}
    noun = {WriteKind.PACKAGE: "package", WriteKind.TAG: "tag"}.get(writes[0].kind, "version")
    counts = Counter(write.package for write in writes)
    where = f" in {number_of(len(counts), 'package')}" if one_kind != {WriteKind.PACKAGE} else ""
    what = number_of(len(writes), noun if len(one_kind) == 1 else "write") + where
    in_settings = group.outcome is Outcome.NO_PERMISSION and _permission(said) == "role"
    details = {key: f"{number:,}" if number > 1 and len(counts) > 1 else "" for key, number in counts.items()}
    packages = tuple(_package(key, known, details[key], settings=in_settings) for key in counts)
    advice = _advice(group)
    return Finding(
        title=f"{what}: {advice.title}",
        said=said,
        remedy=advice.remedy,
        fix=advice.fix,
        anchor=advice.anchor,
        packages=packages,
        links_settings=in_settings,
        is_failure=group.outcome.is_failed,
    )


def _package(key: PackageName, known: Mapping[PackageName, Package], detail: str, *, settings: bool) -> FindingPackage:
    package = known.get(key)
    address = None if package is None else package.settings_url if settings else package.html_url
    return FindingPackage(package=key, address=address, detail=detail)


class _Advice(NamedTuple):
    """What to say about an outcome: see `Finding`."""

    title: str
    remedy: str = ""
    fix: tuple[str, ...] = ()
    anchor: str = ""


def _advice(group: _Group) -> _Advice:
    match group.outcome:
        case Outcome.NO_PERMISSION:
            return _permission_advice(group.said)
        case Outcome.LAST_VERSION:
            return _Advice(
                title="GitHub deletes neither the last version of a package nor its last tagged image",
                remedy="The newest image stays. To keep more, use keep-latest or keep-tags. To delete the whole"
                " package with it, use:",
                fix=("on-last-version: delete-package",),
                anchor="last-version",
            )
        case Outcome.PROTECTED_BY_DOWNLOADS:
            names = [write.version_name for write in group.writes if PLAIN_NAME.fullmatch(write.version_name)]
            first = " (here are the first)" if len(names) > _NAMES_TO_PASTE else ""
            lines = ("keep-versions: |", *(f"  {name}" for name in dict.fromkeys(names[:_NAMES_TO_PASTE])))
            return _Advice(
                title="public, with more than 5,000 downloads",
                remedy=f"Only GitHub Support can delete them. To pass over them{first}, use:",
                fix=lines if names else (),
                anchor="protected-by-downloads",
            )
        case Outcome.TAG_IN_USE:
            ids = [str(write.version_id) for write in group.writes if write.version_id is not None]
            return _Advice(
                title="an active version has the tag by now",
                remedy="To restore them all the same, name them:",
                fix=(f"version-ids: {','.join(ids[:_NAMES_TO_PASTE])}",),
                anchor="tag-in-use-on-restoring",
            )
        case Outcome.CHANGED_SINCE_PLAN:
            return _Advice(
                title="changed since the plan was made",
                remedy="They stay. The next run decides about them anew.",
                anchor="changed-since-plan-it-is-no-longer-as-it-was-planned",
            )
        case _:
            return _Advice(title="failed", anchor="github-says-no-to-one")


def _permission_advice(said: str) -> _Advice:
    match _permission(said):
        case "SSO":
            address = re.search(r"https://\S+", said)
            return _Advice(
                title="the token is not authorized for the organization (SAML single sign-on)",
                remedy=f"Authorize the token{', at this address:' if address else ', under Personal access tokens.'}",
                fix=(address[0],) if address else (),
                anchor="the-token-is-not-authorized-for-single-sign-on",
            )
        case "token":
            return _Advice(
                title="GitHub does not accept the token",
                remedy="The token is wrong, expired or revoked. Give a valid one.",
                anchor="the-token-is-not-accepted",
            )
        case "scope":
            return _Advice(
                title="the token lacks a scope",
                remedy="Give the classic token these scopes:",
                fix=("read:packages, delete:packages, write:packages",),
                anchor="a-scope-is-missing",
            )
        case _:
            return _Advice(
                title="no permission",
                remedy="In the settings of each package, give the repository the role Admin under Manage Actions access"
                " (a person: under Manage access). The workflow needs:",
                fix=_PERMISSIONS,
                anchor="the-permission-to-write-is-missing",
            )


def _of_problems(problems: Iterable[Problem], known: Mapping[PackageName, Package]) -> Iterator[Finding]:
    """What could not be read: one finding for all packages with the same error."""
    groups: dict[str, list[Problem]] = {}
    for problem in problems:
        names = [problem.package.name] if problem.package is not None and len(problem.package.name) > 3 else []
        text = str(problem.error)
        for name in names:
            text = text.replace(name, "")
        groups.setdefault(kind_of(text), []).append(problem)
    for several in groups.values():
        keys = dict.fromkeys(problem.package for problem in several if problem.package is not None)
        what = number_of(len(keys), "package") if keys else several[0].what
        error = several[0].error
        is_role = error.remedy == ADMIN_ROLE
        role = _permission_advice("")
        yield Finding(
            title=f"{what} could not be read",
            said=str(error),
            remedy=role.remedy if is_role else error.remedy,
            fix=role.fix if is_role else (),
            anchor=role.anchor if is_role else "",
            packages=tuple(_package(key, known, "", settings=is_role) for key in keys),
            links_settings=is_role,
        )


def _of_forecasts(run: Run) -> Iterator[Finding]:
    """What was known beforehand. After the writes, their outcomes say it better, but for what was never sent."""
    for forecast in run.forecasts:
        if not run.records or forecast.what.startswith("the rules take"):
            yield _of_forecast(forecast)


def _of_forecast(forecast: Forecast) -> Finding:
    anchor = next((each for start, each in _ANCHORS.items() if forecast.what.startswith(start)), "")
    packages = tuple(
        FindingPackage(package=each.package, address=each.settings_url, detail=each.detail)
        for each in forecast.packages
    )
    return Finding(
        title=forecast.what, remedy=f"{forecast.remedy}.", anchor=anchor, packages=packages, is_failure=False
    )
