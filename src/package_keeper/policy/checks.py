"""Checks of a guarded plan: what must hold before anything is written, counted anew from the inventory.

The plan was made so that all of it holds. A check that fails is a defect of this program, and stops the run.
"""

from collections.abc import Iterator, Sequence

from package_keeper.model.packages import display_name
from package_keeper.model.plan import Action, GuardedPlan, PlannedWrite, Reason
from package_keeper.model.run import Check, PackageEvaluation
from package_keeper.policy.retention import KeepLists


def check_plan(guarded: GuardedPlan, packages: Sequence[PackageEvaluation], lists: KeepLists) -> tuple[Check, ...]:
    """Check a plan. `packages` are the evaluations from which deletions were planned; other plans have none."""
    if not packages:
        return (_writes_are_the_decisions(guarded),)
    writes = [write for write in guarded.plan.writes if write.expected is None]
    going = {write.version_id for write in writes if write.action is Action.DELETE}
    return (
        _no_image_loses_a_part(packages, going),
        _nothing_kept_goes(packages, writes, lists),
        _every_part_follows_its_root(writes),
        _writes_are_the_decisions(guarded),
    )


def _no_image_loses_a_part(packages: Sequence[PackageEvaluation], going: set[int | None]) -> Check:
    """No image that stays loses a part. Where images are not understood (`images: raw`) the user chose versions."""
    counted = 0
    problems: list[str] = []
    for package in packages:
        staying = [image for image in package.images if package.graph is not None and image.root.id not in going]
        counted += len(staying)
        problems += [
            f"{package.package}: the image {display_name(image.root.name)} would lose {display_name(part.name)}"
            for image in staying
            for part in image.parts
            if part.id in going
        ]
    return Check(name="no image that stays loses a part", counted=counted, problems=tuple(problems))


def _nothing_kept_goes(
    packages: Sequence[PackageEvaluation], writes: Sequence[PlannedWrite], lists: KeepLists
) -> Check:
    """No image that a keep list names is deleted or loses a tag."""
    written = {write.version_id for write in writes}
    kept = [image for package in packages for image in package.images if lists.reason_to_keep(image) is not None]
    problems = tuple(
        f"{image.root.package}: {display_name(image.root.name)} is on a keep list"
        for image in kept
        if image.root.id in written
    )
    return Check(name="nothing on a keep list goes", counted=len(kept), problems=problems)


def _every_part_follows_its_root(writes: Sequence[PlannedWrite]) -> Check:
    """Every part that goes belongs to an image that goes, and whatever points to it goes before it."""
    deletions = [write for write in writes if write.action is Action.DELETE]
    roots = {(write.package, write.version_name) for write in deletions if write.reason is not Reason.PART_OF}
    seen: set[int] = set()
    problems: list[str] = []
    for write in deletions:
        if write.reason is Reason.PART_OF and (write.package, write.root) not in roots:
            problems.append(f"{write.package}: the root of {display_name(write.version_name)} does not go")
        if not write.after <= seen:
            problems.append(f"{write.package}: {display_name(write.version_name)} goes before what points to it")
        seen.add(write.version_id or 0)
    return Check(name="every part that goes follows its root", counted=len(deletions), problems=tuple(problems))


def _writes_are_the_decisions(guarded: GuardedPlan) -> Check:
    """The writes are those that the decisions ask for; each is sent now, later or with its package.

    A write of a saved plan that is not sent may have no decision, since its version or package is not listed any more.
    """
    plan = guarded.plan
    decided = list(_decided(guarded))
    known = set(decided)
    planned = [_place(write) for write in plan.writes if write.expected is None or _place(write) in known]
    sent = [*guarded.now, *guarded.later, *guarded.with_package]
    problems: list[str] = []
    if plan.decisions and sorted(decided) != sorted(planned):
        problems.append(f"{len(decided)} decisions to act, and {len(planned)} writes")
    if sorted(map(id, sent)) != sorted(map(id, plan.writes)):
        problems.append(f"{len(plan.writes)} writes, of which {len(sent)} are sent now or later")
    return Check(name="the writes are the decisions", counted=len(plan.writes), problems=tuple(problems))


def _place(write: PlannedWrite) -> tuple[int, str]:
    return write.version_id or 0, write.tag or ""


def _decided(guarded: GuardedPlan) -> Iterator[tuple[int, str]]:
    for decision in guarded.plan.decisions:
        if decision.action is Action.UNTAG:
            yield from ((decision.version.id, tag) for tag in decision.untag)
        elif decision.action is not Action.KEEP:
            yield decision.version.id, ""
