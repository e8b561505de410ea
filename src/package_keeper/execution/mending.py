"""Bringing back the parts of images: after their root was restored, and for images that lost some (`repair`)."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from package_keeper.decisions.plan import Plan, PlannedWrite
from package_keeper.decisions.vocabulary import Decision, Outcome, Reason
from package_keeper.errors import Refusal, RefusalKind
from package_keeper.execution.image_reading import ManifestReader, Manifests
from package_keeper.execution.ports import Pause, Reader
from package_keeper.inventory.graph import tagged_subjects
from package_keeper.inventory.health import CheckedImage
from package_keeper.inventory.package import PackageName
from package_keeper.inventory.version import Timestamp, Version, age_order, display_name

READABLE_AFTER = (1.0, 3.0)
"""Seconds to wait before a restored manifest that cannot be read is asked for again."""


def plan_repair(checked: Iterable[CheckedImage], in_use: Mapping[PackageName, set[str]]) -> list[PlannedWrite]:
    """Plan to restore every missing part that can be; a part that several images need comes back once.

    `in_use` are the tags that active versions carry: a part that had one of them would take it away.
    """
    writes: dict[int, PlannedWrite] = {}
    for image in checked:
        for part in image.missing:
            if part.deleted is not None:
                write = restoration(
                    part.deleted,
                    Reason.NEEDED_BY,
                    root=image.root.name,
                    tags_in_use=in_use.get(part.deleted.package, set()),
                )
                writes.setdefault(part.deleted.id, write)
    return list(writes.values())


def restoration(version: Version, reason: Reason, *, root: str | None, tags_in_use: set[str]) -> PlannedWrite:
    """The write that restores one version, unless a tag that it had is in use by now."""
    taken = tags_in_use.intersection(version.image_tags)
    return PlannedWrite(
        decision=Decision.RESTORE,
        reason=reason,
        package=version.package,
        version=version,
        version_id=version.id,
        version_name=version.name,
        tags=version.tags,
        root=root,
        refusal=Outcome.TAG_IN_USE if taken else None,
    )


def plan_stub_deletions(stubs: Iterable[Version]) -> Plan:
    """Plan to delete what was restored and is a stub."""
    return Plan.of_singles(
        PlannedWrite(
            decision=Decision.DELETE,
            reason=Reason.GHOST,
            package=stub.package,
            version=stub,
            version_id=stub.id,
            version_name=stub.name,
            tags=stub.tags,
        )
        for stub in stubs
    )


@dataclass(kw_only=True)
class PartFinder:
    """Finds, round by round, what restored images of one package still lack.

    A registry serves active versions only, so what an index needs is known after it was restored. Referrers by tag
    come back with what they refer to; those known by `subject` alone come back with a receipt.
    """

    package: PackageName
    reader: Reader
    registry: ManifestReader
    active: set[str]
    tags: set[str]
    deleted: Sequence[Version]
    failed: Callable[[str, Refusal], None]
    pause: Pause
    seen: set[str] = field(default_factory=set)
    stubs: list[Version] = field(default_factory=list)
    """What was restored and turned out to be a stub: those of earlier versions are known by their manifests only."""

    def next_round(self, restored: Iterable[Version]) -> list[PlannedWrite]:
        """What the versions restored in the last round need. May raise `Refusal`."""
        names = {version.name: version for version in restored}
        self.active.update(names)
        manifests = self._read([version for name, version in names.items() if name not in self.seen])
        self.seen.update(names)
        for unreadable in manifests.unreadable.values():
            self.failed(
                f"{self.package} {display_name(unreadable.digest)}",
                Refusal(
                    RefusalKind.OTHER,
                    f"restored, but it cannot be read ({unreadable.why}), so its parts are not known; see repair",
                ),
            )
        newest: dict[str, Version] = {}
        for version in sorted(self.deleted, key=lambda version: age_order(version, Timestamp.DELETED)):
            newest[version.name] = version
        self.stubs += [names[name] for name, manifest in manifests.read.items() if manifest.is_stub]
        writes: dict[int, PlannedWrite] = {}
        for name, manifest in manifests.read.items():
            for child in manifest.children:
                if child.digest in self.active:
                    continue
                part = newest.get(child.digest)
                if part is None and not child.is_manifest:
                    continue
                if part is None:
                    self.failed(
                        f"{self.package} {display_name(name)}",
                        Refusal(
                            RefusalKind.OTHER, f"restored, but its part {display_name(child.digest)} is gone for good"
                        ),
                    )
                else:
                    writes.setdefault(part.id, restoration(part, Reason.PART_OF, root=name, tags_in_use=self.tags))
        for version in newest.values():
            subjects = [subject for subject in tagged_subjects(version) if subject in names]
            if subjects and version.name not in self.active and not version.image_tags:
                writes.setdefault(
                    version.id, restoration(version, Reason.PART_OF, root=subjects[0], tags_in_use=self.tags)
                )
        return list(writes.values())

    def _read(self, versions: Sequence[Version]) -> Manifests:
        """Read what was just restored; a registry may take a moment to have it again."""
        manifests = Manifests(self.package, versions, self.registry)
        manifests.take(version.name for version in versions)
        for seconds in READABLE_AFTER:
            if manifests.unreadable:
                self.pause.sleep(seconds, f"{self.package}: what was restored cannot be read yet")
                manifests = Manifests(self.package, versions, self.registry)
                manifests.take(version.name for version in versions)
        return manifests
