"""`verify`: check that every tagged image is whole, and say what is missing."""

from collections.abc import Iterator

from msgspec import Struct
from msgspec.structs import replace

from package_keeper.errors import PackageKeeperError
from package_keeper.execution.facts import Found
from package_keeper.execution.scope import attempt_each
from package_keeper.execution.verify import ImageVerifier, broken
from package_keeper.model.images import VerifiedImage
from package_keeper.model.packages import Package, PackageType, Version
from package_keeper.model.run import Problem, Run, Scope
from package_keeper.operations.context import Context
from package_keeper.operations.reading import find, read


def verify(context: Context) -> Iterator[Run]:
    """Verify the images of all container packages in scope, or only those that `where` selects."""
    scope = find_containers(context)
    yield Run(scope=scope)
    inventory = read(context, scope)
    yield inventory.run
    verified = verify_images_of(context, inventory.found, selected_roots(context, inventory.found))
    yield verified.added_to(inventory.run)


SIDE_BY_SIDE = 16
"""How many packages are read at once. What was read before an interruption is reported."""


class Verified(Struct, frozen=True, kw_only=True):
    """The verified images, the ids of listed versions that are deleted in fact, and what could not be read."""

    images: tuple[VerifiedImage, ...]
    gone: frozenset[int]
    problems: tuple[Problem, ...]
    ended_by: PackageKeeperError | None = None

    def added_to(self, run: Run) -> Run:
        """Return the run with these images as the result of the last verification."""
        scope = run.scope.adding(problems=self.problems, ended_by=self.ended_by)
        return replace(run, scope=scope, verified=self.images, broken=broken(self.images))


def find_containers(context: Context) -> Scope:
    """Find the container packages. Only their images can be verified."""
    types = context.settings.package_types
    others = [package_type for package_type in types if package_type is not PackageType.CONTAINER]
    if others:
        context.log.notice(f"only container images can be checked; {', '.join(others)} packages are passed over")
    return find(context, [PackageType.CONTAINER]) if PackageType.CONTAINER in types else Scope()


def selected_roots(context: Context, found: Found) -> frozenset[int] | None:
    """Return the ids of the versions that `where` selects. Without it `None`: then all images are verified."""
    expression = context.rules.inputs.selection.where
    return None if expression is None else context.facts.gather(found).selected[expression]


def verify_images_of(
    context: Context,
    found: Found,
    roots: frozenset[int] | None,
    *,
    repairs: bool = False,
    about_to_repair: bool = False,
) -> Verified:
    """Verify the images of every package. A package that cannot be read becomes a problem."""
    verifier = ImageVerifier(reader=context.reader, registry=context.registry, log=context.log, repairs=repairs)
    named = context.rules.lists.digests | context.rules.lists.used.digests()
    # `repair` looks first which listed versions are there
    groups = {} if repairs else {group[0][0].key: group for group in _groups(found)}

    def verify_one(each: tuple[Package, list[Version]]) -> list[VerifiedImage]:
        if group := groups.get(each[0].key):
            verifier.read_ahead(group, named, roots)
        return verifier.verify(*each, named, roots, about_to_repair=about_to_repair)

    tried = attempt_each(
        found,
        verify_one,
        lambda each: (str(each[0].key), each[0].key),
    )
    return Verified(
        images=tuple(image for images in tried.results for image in images),
        gone=frozenset(verifier.gone),
        problems=tried.problems,
        ended_by=tried.ended_by,
    )


def _groups(found: Found) -> Iterator[Found]:
    return (found[start : start + SIDE_BY_SIDE] for start in range(0, len(found), SIDE_BY_SIDE))
