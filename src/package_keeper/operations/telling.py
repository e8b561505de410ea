"""Logs decisions, and warns about names and patterns that match nothing."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence

from package_keeper.causes import Cause
from package_keeper.errors import MOST_OF_A_KIND, kind_of
from package_keeper.execution.ports import Log
from package_keeper.execution.wording import (
    FEW,
    NOT_SENT,
    NOT_TRIED,
    describe,
    few,
    stubs_and_what_to_do,
    tell,
)
from package_keeper.model.packages import PackageName, Version, display_name
from package_keeper.model.permissions import permission_cause
from package_keeper.model.plan import Action, Decision, Outcome, Plan, Reason, WriteRecord
from package_keeper.model.run import Forecast, PackageEvaluation, Problem
from package_keeper.operations.context import Context
from package_keeper.operations.reading import Inventory
from package_keeper.policy.patterns import Pattern, Patterns
from package_keeper.policy.rules import Rules


def tell_evaluation(
    context: Context,
    inventory: Inventory,
    decisions: Sequence[Decision],
    stubs: Iterable[Version],
    packages: Iterable[PackageEvaluation] = (),
) -> None:
    """Log the decisions, and warn about inputs that match nothing."""
    _warn_about_unseen(inventory, context.rules, context.log, packages)
    _warn_about_needed(decisions, context.rules.version_ids, context.log)
    tell_stubs(stubs, context.log)
    _tell_decisions(decisions, context.log)


def _warn_about_unseen(inventory: Inventory, rules: Rules, log: Log, packages: Iterable[PackageEvaluation]) -> None:
    """Warn about patterns, ids and digests in the inputs that match nothing."""
    versions = inventory.versions
    if inventory.scope.packages:
        _warn_about_idle_patterns(versions, rules, log)
    ids = {version.id for version in versions}
    names = {version.name for version in versions}
    names |= {digest for package in packages for image in package.images for digest in image.missing}
    nowhere = "was found in no package in scope"
    _warn(log, [f"version-ids: {version_id} {nowhere}" for version_id in sorted(rules.version_ids - ids)])
    _warn(log, [f"keep-digests: {display_name(each)} {nowhere}" for each in sorted(rules.lists.digests - names)])


def _warn_about_idle_patterns(versions: Collection[Version], rules: Rules, log: Log) -> None:
    """Warn about entries that match no tag or version name, in one line for each list."""
    tags = [tag for version in versions for tag in version.image_tags]
    names = [version.name for version in versions]
    for label, patterns, is_about_tags in _pattern_lists(rules):
        _warn_about_idle(
            label, patterns, tags if is_about_tags else names, "tags" if is_about_tags else "version names", log
        )


def _pattern_lists(rules: Rules) -> Iterator[tuple[str, Patterns, bool]]:
    for rule in rules.rules:
        where = f"policy, rule '{rule.name}', " if rule.name else ""
        if rule.selection.tags is not None:
            yield f"{where}tags", rule.selection.tags, True
        if rule.selection.versions is not None:
            yield f"{where}versions", rule.selection.versions, False
    if rules.lists.tags is not None:
        yield "keep-tags", rules.lists.tags, True
    if rules.lists.versions is not None:
        yield "keep-versions", rules.lists.versions, False


def _warn_about_idle(label: str, patterns: Patterns, names: list[str], what: str, log: Log) -> None:
    known = frozenset(names)
    entries = [("", pattern) for pattern in patterns.includes] + [("!", pattern) for pattern in patterns.excludes]
    idle = [(mark, pattern) for mark, pattern in entries if not _matches_any(pattern, known)]
    if not idle:
        return
    shown = few(f"'{mark}{pattern.text}'" for mark, pattern in idle)
    hint = next((_as_expression(pattern, mark) for mark, pattern in idle if pattern.looks_like_expression), "")
    verb = "matches" if len(idle) == 1 else "match"
    log.warning(f"{label}: {shown} {verb} none of the {len(names)} {what} in scope{hint}", causes=[Cause.NO_MATCH])


def _matches_any(pattern: Pattern, names: frozenset[str]) -> bool:
    return pattern.text in names if pattern.is_exact else any(map(pattern.matches, names))


def _warn_about_needed(decisions: Iterable[Decision], ids: Collection[int], log: Log) -> None:
    """Warn about versions in `version-ids` that stay because an image needs them."""
    needed = []
    for decision in decisions:
        if decision.version.id in ids and decision.reason is Reason.NEEDED_BY:
            root = display_name(decision.root.name) if decision.root else "an image"
            needed.append(f"version-ids: {decision.version.id} stays, since the image {root} needs it")
    _warn(log, needed)


def _warn(log: Log, texts: Sequence[str]) -> None:
    """Log the first warnings of one kind, and how many more there are."""
    for text in texts[:MOST_OF_A_KIND]:
        log.warning(text)
    if len(texts) > MOST_OF_A_KIND:
        log.warning(f"{texts[0].partition(':')[0]}: {len(texts) - MOST_OF_A_KIND} more like these")


def warn_about_unknown_tags(decisions: Iterable[Decision], log: Log) -> None:
    """Warn about versions that are not restored because their tags, or the tags in use, are unknown."""
    left = sum(decision.reason is Reason.UNREADABLE for decision in decisions)
    if left:
        log.warning(
            f"{left} versions are not restored, since GitHub does not tell which tags they had, or which are in use by"
            " now. To restore one all the same, name it in version-ids"
        )


def tell_stubs(stubs: Iterable[Version], log: Log) -> None:
    """Log which versions are stubs."""
    by_package: dict[PackageName, list[Version]] = {}
    for stub in stubs:
        by_package.setdefault(stub.package, []).append(stub)
    texts = [f"{package}: {stubs_and_what_to_do(several)}" for package, several in by_package.items()]
    if texts:
        more = f"\nand {len(texts) - FEW} more packages with such versions" if len(texts) > FEW else ""
        log.notice("\n".join(texts[:FEW]) + more, title="empty manifests")


def _tell_decisions(decisions: Iterable[Decision], log: Log) -> None:
    """Log for each package how many versions got which decision and reason, and at `debug` each version."""
    counts: dict[PackageName, Counter[str]] = {}
    for decision in decisions:
        version = decision.version
        counts.setdefault(version.package, Counter())[f"{decision.action} {decision.why}"] += 1
        if log.shows_details:
            root = f" ({display_name(decision.root.name)})" if decision.root else ""
            log.debug(
                f"{version.package} {display_name(version.name)} [{', '.join(version.tags)}] (id {version.id}):"
                f" {decision.action} {decision.why}{root}"
            )
    for package, reasons in counts.items():
        shown = ", ".join(f"{number} {reason}" for reason, number in sorted(reasons.items()))
        log.info(f"{package}: {shown}")


def tell_forecasts(forecasts: Iterable[Forecast], log: Log) -> None:
    """Warn about each cause once, with the first packages that it concerns."""
    for forecast in forecasts:
        shown = [
            f"- {each.package}{f' ({each.detail})' if each.detail else ''} {each.settings_url}".rstrip()
            for each in forecast.packages[:FEW]
        ]
        if len(forecast.packages) > FEW:
            shown.append(f"- and {len(forecast.packages) - FEW} more")
        log.warning("\n".join([f"{forecast.what}:", *shown, forecast.remedy]), title="forecast")


def warn_about_torn_images(plan: Plan, gone: Collection[int], log: Log) -> None:
    """Warn about deleted images with parts that still exist."""
    torn = [
        group[0]
        for group in plan.groups
        if group[0].version_id in gone and any(write.version_id not in gone for write in group)
    ]
    if torn:
        names = ", ".join(display_name(write.version_name) for write in torn[:3]) + (", ..." if len(torn) > 3 else "")
        log.warning(
            f"{len(torn)} images are deleted, but not all of their parts ({names}): the parts that stay have no tag any"
            " more, so that the same selection may not find them: tag-status: untagged selects them"
        )


def tell_outcomes(records: Iterable[WriteRecord], log: Log) -> None:
    """Log one message for each cause for which writes were not done, with how many it concerns."""
    causes: dict[tuple[Outcome, str], list[WriteRecord]] = {}
    for record in records:
        if _is_told(record):
            # one missing permission is the reason for all records of its kind
            message = "" if record.outcome is Outcome.NO_PERMISSION else kind_of(record.message)
            causes.setdefault((record.outcome, message), []).append(record)
    for (outcome, _), found in causes.items():
        first = next((each for each in found if each.message not in (NOT_SENT, NOT_TRIED)), found[0])
        others = few(describe(each.write) for each in found if each is not first)
        text = tell(first) + (f"\nand {len(found) - 1} more: {others}" if others else "")
        known = [permission_cause(first.message)] if outcome is Outcome.NO_PERMISSION else []
        (log.error if outcome.is_failed else log.warning)(text, title=outcome.value, causes=known)


def _is_told(record: WriteRecord) -> bool:
    if record.outcome is Outcome.FAILED:
        # the error that ended the run is the reason for what was not tried
        return record.message != NOT_TRIED
    # a warning was logged once for the package, when a refusal was expected
    is_expected = record.write.expected is not None and record.write.action is Action.DELETE
    return record.outcome.is_failed or (record.outcome.is_skipped and not is_expected)


def tell_problems(problems: Iterable[Problem], log: Log) -> None:
    """Log what could not be read, one message for each cause."""
    causes: dict[tuple[str, str], list[Problem]] = {}
    for problem in problems:
        causes.setdefault((kind_of(str(problem.error)), problem.error.remedy), []).append(problem)
    for first, *others in causes.values():
        more = f"\nand {len(others)} more: {few(each.what for each in others)}" if others else ""
        remedy = f"\n{first.error.remedy}" if first.error.remedy else ""
        log.error(f"{first.what}: {first.error}{more}{remedy}", causes=first.error.causes)


def tell_no_package(patterns: Iterable[Patterns | None], log: Log) -> None:
    """Log that no package is in scope, with the entries that should have matched one."""
    entries = [entry for each in patterns if each is not None for entry in each.includes]
    if not entries:
        log.notice("no package matches")
        return
    shown = few(f"'{entry.text}'" for entry in entries)
    hint = next((_as_expression(entry) for entry in entries if entry.looks_like_expression), "")
    log.notice(f"package: no package matches {shown}{hint}", causes=[Cause.NO_MATCH])


def _as_expression(pattern: Pattern, mark: str = "") -> str:
    return f"; a regular expression stands between slashes: {mark}/{pattern.text}/"
