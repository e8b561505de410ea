"""Forecasts: what GitHub will probably refuse of a plan, and what its rules may not have meant.

They are for people only. A forecast changes no plan, since it may be wrong (docs/decisions/0028).
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet

from msgspec import Struct, field

from package_keeper.model.packages import Package, PackageName, display_name, own_page
from package_keeper.model.permissions import CLASSIC_SCOPES, TokenFacts
from package_keeper.model.plan import Action, GuardedPlan, Outcome, Plan, PlannedWrite, WriteKind
from package_keeper.model.run import Forecast, ForecastPackage
from package_keeper.policy.guards import OnLastVersion

_NAMES = 3
"""How many versions of one package a forecast names."""

_N = "N packages"
"""Where a text says how many packages it is about."""

Refused = AbstractSet[tuple[PackageName, int | None]]
"""Versions by package and id, and whole packages with `None`."""


class Evidence(Struct, frozen=True, kw_only=True):
    """What is known beside the plan.

    `packages` are those in scope. `repository` is the one that the workflow belongs to, as `owner/name`, or empty.
    `refused_for_downloads` is what receipts of earlier runs show. `page_hosts` are the hosts of pages that
    may be shown as addresses; none means any.
    """

    packages: Mapping[PackageName, Package]
    token: TokenFacts = field(default_factory=TokenFacts)
    repository: str = ""
    refused_for_downloads: Refused = frozenset()
    page_hosts: frozenset[str] = frozenset()

    def settings_url(self, package: PackageName) -> str:
        """The address of a package's settings, or an empty text without a page on GitHub's own host."""
        known = self.packages.get(package)
        return known.settings_url if known is not None and own_page(known.html_url, self.page_hosts) else ""

    def forecast(self, what: str, details: Mapping[PackageName, str], remedy: str) -> list[Forecast]:
        """Make a forecast about packages, each with a detail; none without a package. `what` says `N packages`."""
        if not details:
            return []
        packages = tuple(
            ForecastPackage(package=package, detail=details[package], settings_url=self.settings_url(package))
            for package in sorted(details, key=lambda package: (package.type, package.name))
        )
        return [Forecast(what=what.replace(_N, _count(len(packages), "package")), packages=packages, remedy=remedy)]


def forecasts(guarded: GuardedPlan, on_last_version: OnLastVersion, evidence: Evidence) -> tuple[Forecast, ...]:
    """Say what users should know about a guarded plan before its first write, one forecast for each cause."""
    sent = [write for write in (*guarded.now, *guarded.with_package) if write.expected is None]
    return (
        *_last_versions(guarded.plan, on_last_version, evidence),
        *_missing_scopes(sent, evidence),
        *_other_repositories(sent, evidence),
        *_downloads(sent, evidence),
    )


def _last_versions(plan: Plan, on_last_version: OnLastVersion, evidence: Evidence) -> list[Forecast]:
    """The packages that the rules would empty, and those that would lose their last tagged version."""
    total = Counter(decision.version.package for decision in plan.decisions)
    going = _going(plan)
    staying: dict[PackageName, str] = {}
    for write in plan.writes:
        if write.action is Action.DELETE and write.expected in (Outcome.LAST_VERSION, Outcome.FAILED):
            tags = f" [{', '.join(write.tags)}]" if write.tags else ""
            staying.setdefault(write.package, f"{display_name(write.version_name)}{tags} stays")
    emptied = {
        package: "; ".join(filter(None, [_count(number, "version"), staying.pop(package, "")]))
        for package, number in going.items()
        if number == total[package]
    }
    all_go = (
        "on-last-version: delete-package deletes the whole package with them. To keep some, use keep-latest or"
        " keep-tags"
    )
    one_stays = (
        "GitHub refuses to delete the last version of a package, so the newest image stays. To keep more, use"
        " keep-latest or keep-tags; to delete the whole package, use on-last-version: delete-package"
    )
    remedy = all_go if on_last_version is OnLastVersion.DELETE_PACKAGE else one_stays
    return evidence.forecast(f"the rules take every version of {_N}", emptied, remedy) + evidence.forecast(
        f"the rules take every tagged version of {_N}, but not the untagged ones",
        staying,
        "GitHub refuses to delete the last tagged version of a container package, so the newest image stays. It can go"
        " once the package has another tagged version; delete-package deletes the whole package",
    )


def _going(plan: Plan) -> Counter[PackageName]:
    """How many versions of each package the rules delete, but for those of a saved plan that have changed since."""
    changed = {write.version_id for write in plan.writes if write.expected is Outcome.CHANGED_SINCE_PLAN}
    deleted = (each.version for each in plan.decisions if each.action is Action.DELETE)
    return Counter(version.package for version in deleted if version.id not in changed)


def _missing_scopes(sent: Iterable[PlannedWrite], evidence: Evidence) -> Iterator[Forecast]:
    """Packages for whose writes the scopes of a classic token are not enough."""
    missing: dict[PackageName, set[str]] = {}
    for package, action in dict.fromkeys((write.package, write.action) for write in sent):
        known = evidence.packages.get(package)
        scopes = evidence.token.missing_scopes(action, package.type, known.visibility if known is not None else None)
        missing.setdefault(package, set()).update(scopes)
    granted = ", ".join(sorted(evidence.token.scopes or ()))
    for lacking in dict.fromkeys(tuple(sorted(scopes)) for scopes in missing.values() if scopes):
        names = " and ".join(lacking)
        yield from evidence.forecast(
            f"the token lacks {names}, so GitHub will refuse the writes to {_N}",
            {package: "" for package, scopes in missing.items() if scopes == set(lacking)},
            f"Its scopes are {granted}. Add {names} in your account: Settings, Developer settings, Personal access"
            " tokens (classic)",
        )


def _other_repositories(sent: Iterable[PlannedWrite], evidence: Evidence) -> list[Forecast]:
    """Packages that are not linked to the repository whose `GITHUB_TOKEN` the run has."""
    ours = evidence.repository
    if not evidence.token.is_workflows or not ours:
        return []
    linked = {
        write.package: evidence.packages[write.package].repository_name
        for write in sent
        if write.package in evidence.packages
    }
    return evidence.forecast(
        f"the token is the GITHUB_TOKEN of {ours}, which is not the repository of {_N}: GitHub will refuse the writes"
        " unless it has the Admin role there",
        {
            package: f"linked to {repository or 'no repository'}"
            for package, repository in linked.items()
            if repository is None or repository.lower() != ours.lower()
        },
        f"In the package's settings, under Manage Actions access, add {ours} with the role Admin; or use another token:"
        f" {CLASSIC_SCOPES}",
    )


def _downloads(sent: Iterable[PlannedWrite], evidence: Evidence) -> list[Forecast]:
    """Public packages of which an earlier run could not delete something because of its downloads."""
    refused_packages = {package for package, _ in evidence.refused_for_downloads}
    refused: dict[PackageName, list[str]] = {}
    for write in sent:
        known = evidence.packages.get(write.package)
        if write.action is not Action.DELETE or known is None or known.visibility != "public":
            continue
        if write.kind is WriteKind.PACKAGE and write.package in refused_packages:
            refused.setdefault(write.package, [])
        elif (write.package, write.version_id) in evidence.refused_for_downloads:
            refused.setdefault(write.package, []).append(display_name(write.version_name))
    return evidence.forecast(
        f"an earlier receipt shows that GitHub refuses to delete public versions of {_N}: they have more than 5,000"
        " downloads",
        {package: _few(names) for package, names in refused.items()},
        "To pass over them, use keep-versions or keep-tags, or leave the package out; only GitHub Support can delete"
        " them",
    )


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _few(names: list[str]) -> str:
    more = f" and {len(names) - _NAMES} more" if len(names) > _NAMES else ""
    return ", ".join(names[:_NAMES]) + more
