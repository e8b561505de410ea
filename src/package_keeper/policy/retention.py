"""Retention: what stays although a rule selects it.

Keep lists keep the images that they name. Counts keep the newest images of a rule: the latest in each group, and the
newest of each day, week, month and year. Counts are independent: one image may take a place in several.
"""

import re
from collections import Counter
from collections.abc import Callable, Hashable, Iterable
from datetime import UTC, datetime
from enum import StrEnum

from msgspec import Struct, field

from package_keeper.model.images import Image
from package_keeper.model.packages import PackageName, Timestamp, Version, age_order
from package_keeper.model.plan import Reason
from package_keeper.policy.images_in_use import ImagesInUse
from package_keeper.policy.patterns import Patterns
from package_keeper.policy.semver import semantic_version


class KeepLists(Struct, frozen=True, kw_only=True):
    """The inputs `keep-tags`, `keep-versions`, `keep-digests` and `keep-used-in`, which win over every rule.

    `deployed` and `released` say that `keep-deployed` and `keep-released` are asked for. What they keep is among the
    facts.
    """

    tags: Patterns | None = None
    versions: Patterns | None = None
    digests: frozenset[str] = frozenset()
    used: ImagesInUse = field(default_factory=ImagesInUse)
    deployed: bool = False
    released: bool = False

    def ask_about_tags(self, package: PackageName) -> bool:
        """Whether a tag can keep an image of `package`."""
        return self.tags is not None or self.used.name_tags_of(package)

    def reason_to_keep(self, image: Image) -> Reason | None:
        """The list that keeps `image`, or `None`.

        One matching tag of the root is enough. A part's digest keeps every image that contains it.
        """
        if self.tags is not None and any(self.tags.accepts(tag) for tag in image.root.image_tags):
            return Reason.KEEP_TAGS
        if self.versions is not None and any(self.versions.accepts(digest) for digest in image.digests):
            return Reason.KEEP_VERSIONS
        if self.digests and not self.digests.isdisjoint(image.digests):
            return Reason.KEEP_DIGESTS
        return Reason.KEEP_USED_IN if self.used.name(image) else None


class GroupBy(StrEnum):
    """The words of the input `keep-latest-per`."""

    PACKAGE = "package"
    MAJOR = "major"
    MINOR = "minor"


class Grouping(Struct, frozen=True, kw_only=True):
    """The groups in which `keep-latest` counts.

    When `expression` is given, its first group names the group, and `by` has no effect.
    """

    by: GroupBy = GroupBy.PACKAGE
    expression: re.Pattern[str] | None = None

    def groups(self, version: Version) -> frozenset[Hashable]:
        """The groups of `version`, by its tags if its type has tags, otherwise by its name."""
        if self.expression is None and self.by is GroupBy.PACKAGE:
            return _ONE_GROUP
        names = version.image_tags if version.package.type.has_tags else (version.name,)
        return frozenset(group for group in map(self._group, names) if group is not None)

    def _group(self, name: str) -> Hashable | None:
        if self.expression is not None:
            found = self.expression.search(name)
            return (found.group(1) or None) if found else None
        semantic = semantic_version(name)
        if semantic is None:
            return None
        return semantic.major if self.by is GroupBy.MAJOR else (semantic.major, semantic.minor)


_ONE_GROUP: frozenset[Hashable] = frozenset({""})


class Counts(Struct, frozen=True, kw_only=True):
    """How many images of a rule stay: `latest` in each group, and the newest of each of the last periods."""

    latest: int = 0
    grouping: Grouping = field(default_factory=Grouping)
    daily: int = 0
    weekly: int = 0
    monthly: int = 0
    yearly: int = 0

    @property
    def is_given(self) -> bool:
        """Whether any count is given."""
        return any((self.latest, self.daily, self.weekly, self.monthly, self.yearly))

    def kept(self, images: Iterable[Image], timestamp: Timestamp) -> dict[int, Reason]:
        """The ids of the roots that stay, each with the first count that keeps it.

        Tagged and untagged images are counted apart. An image without a group stays (docs/reference.md,
        "keep-latest-per").
        """
        if not self.is_given:
            return {}
        newest_first = sorted(images, key=lambda image: age_order(image.root, timestamp), reverse=True)
        kept: dict[int, Reason] = {}
        for tagged in (True, False):
            roots = [image.root for image in newest_first if image.is_tagged is tagged]
            for root in self._latest(roots):
                kept.setdefault(root.id, Reason.KEEP_LATEST)
            for number, period, reason in (
                (self.daily, lambda moment: moment.date(), Reason.KEEP_DAILY),
                # an ISO week may belong to the year before or after that of its days
                (self.weekly, lambda moment: moment.isocalendar()[:2], Reason.KEEP_WEEKLY),
                (self.monthly, lambda moment: (moment.year, moment.month), Reason.KEEP_MONTHLY),
                (self.yearly, lambda moment: moment.year, Reason.KEEP_YEARLY),
            ):
                for root in _newest_of_periods(roots, timestamp, number, period):
                    kept.setdefault(root.id, reason)
        return kept

    def _latest(self, newest_first: Iterable[Version]) -> Iterable[Version]:
        if not self.latest:
            return
        taken: Counter[Hashable] = Counter()
        for root in newest_first:
            groups = self.grouping.groups(root)
            # an image with tags of several groups takes a place in each, and stays when one of them keeps it
            if not groups or any(taken[group] < self.latest for group in groups):
                yield root
            taken.update(groups)


def _newest_of_periods(
    newest_first: Iterable[Version], timestamp: Timestamp, number: int, period: Callable[[datetime], Hashable]
) -> Iterable[Version]:
    """The newest of each of the last `number` periods that have one."""
    seen: set[Hashable] = set()
    for root in newest_first:
        moment = root.at(timestamp)
        if moment is None:
            continue
        found = period(moment.astimezone(UTC))
        if found not in seen:
            if len(seen) == number:
                return
            seen.add(found)
            yield root
