"""What an evaluation warns of, what it checks again, and which images a run finds broken after its deletions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from typing import Any

import pytest
from msgspec.structs import replace

from package_keeper.errors import ApiError, ApiErrorKind
from package_keeper.execution.images import ImageEvaluator, LastLook, all_kept, look_after
from package_keeper.model.images import Condition
from package_keeper.model.manifest import Manifest, Obstacle, UnreadableManifest
from package_keeper.model.packages import PackageName, Version, display_name
from package_keeper.model.plan import Action, Outcome, PlannedWrite, Reason, WriteRecord
from package_keeper.model.run import PackageEvaluation
from package_keeper.policy.rules import Rules
from package_keeper.policy.selection import PartialMatch, TagStatus
from tests.unit.making import key, patterns, rule, rules, version
from tests.unit.model.memory import PACKAGE, Hub, Quiet
from tests.unit.model.worlds import APP, World, child, container, digest, index, plain, referrer_tag

A, B, C, D, E, F = (digest(number) for number in range(1, 7))


class GitHub(Hub):
    """A package in memory, with the answers of GitHub that are rare."""

    listed: list[Version] | None = None
    """What an outdated list shows."""
    list_fails: ApiError | None = None
    incomplete = False
    obstacles: Mapping[str, Obstacle] = {}
    looked_up: frozenset[int] = frozenset()
    """The versions that were asked for by id."""
    certain: tuple[AbstractSet[int], AbstractSet[int]] | None = None
    """What a list that must be certain was read with: the ids seen before, and those deleted."""

    def versions(self, package: PackageName, *, deleted: bool = False) -> list[Version]:
        found = super().versions(package, deleted=deleted)
        return found if self.listed is None or deleted else self.listed

    def versions_of(
        self,
        packages: Iterable[PackageName],
        *,
        deleted: bool = False,
        seen: Mapping[PackageName, AbstractSet[int]] | None = None,
        gone: AbstractSet[int] = frozenset(),
    ) -> dict[PackageName, list[Version] | ApiError]:
        self.certain = ((seen or {}).get(APP, frozenset()), gone)
        return {package: self.list_fails or self.versions(package) for package in packages}

    def are_active(self, versions: Mapping[int, PackageName]) -> dict[int, bool | ApiError]:
        self.looked_up |= versions.keys()
        return super().are_active(versions)

    def is_incomplete(self, package: PackageName) -> bool:
        return self.incomplete

    def read(self, package: PackageName, digests: Iterable[str]) -> dict[str, Manifest | UnreadableManifest]:
        names = list(digests)
        found = super().read(package, [name for name in names if name not in self.obstacles])
        for name in names:
            if name in self.obstacles:
                found[name] = UnreadableManifest(digest=name, why="why", obstacle=self.obstacles[name])
        return found


def hub(versions: list[Version], *manifests: Manifest) -> GitHub:
    """A package whose manifests are plain unless given."""
    known = {version.name: plain(version.name) for version in versions} | {each.digest: each for each in manifests}
    return GitHub(World(versions=tuple(versions), manifests=known))


def evaluated(github: Hub, given: Rules, versions: list[Version] | None = None) -> tuple[PackageEvaluation, Quiet]:
    log = Quiet()
    judge = ImageEvaluator(rules=given, registry=github, reader=github, log=log)
    return judge.evaluate(PACKAGE, list(github.active.values()) if versions is None else versions), log


def going(found: PackageEvaluation) -> set[int]:
    return {each.version.id for each in found.decisions if each.action is Action.DELETE}


def ids(*numbers: int, **more: Any) -> Rules:
    return rules(rule(version_ids=frozenset(numbers)), **more)


def test_versions_of_other_types_are_no_images() -> None:
    docker = replace(PACKAGE, key=key("docker"))
    versions = [
        version(number, of=docker.key, name=f"layer-{number}", tags=("v1",), tags_known=number != 2)
        for number in (1, 2, 3)
    ]
    github, log = hub(versions), Quiet()
    judge = ImageEvaluator(rules=rules(rule(tags=patterns("v1"))), registry=github, reader=github, log=log)
    assert going(judge.evaluate(docker, versions)) == {1, 3}
    assert (github.reads.total(), github.asked.total()) == (0, 0)
    assert [text.partition(",")[0] for text in log.said] == ["warning: docker/app: 1 versions stay"]


def test_manifests_that_were_read_are_kept_for_a_plan_that_is_made_again() -> None:
    github = hub([container(1, A, "v1"), container(2, B)], index(A, child(plain(B))))
    judge = ImageEvaluator(rules=rules(rule(tags=patterns("v1"))), registry=github, reader=github, log=Quiet())
    judge.evaluate(PACKAGE, list(github.active.values()))
    assert {name: set(found) for name, found in judge.seen.items()} == {APP: {A}}


# --- images: raw ---

RAW = [
    container(1, A, "v1"),
    container(2, B),
    container(3, C),
    container(4, D, "v2"),
    container(5, E),
    container(6, F, referrer_tag(E, ".sig")),
]
RAW_INDEX = index(A, child(plain(B)), child(plain(C)))


@pytest.mark.parametrize(
    ("numbers", "lost"),
    [([2], [B]), ([2, 3], [B, C]), ([5], None), ([6], None), ([1, 2], None), ([4, 6], None)],
)
def test_a_raw_deletion_warns_of_the_tagged_images_that_it_breaks(numbers: list[int], lost: list[str] | None) -> None:
    github = hub(RAW, RAW_INDEX)
    found, log = evaluated(github, ids(*numbers, raw=True))
    assert going(found) == set(numbers), "each version is an image of its own"
    assert github.reads.keys() == {A, D} - {RAW[number - 1].name for number in numbers}, "the tagged ones that stay"
    names = ", ".join(map(display_name, lost or ()))
    text = f"container/app: images: raw takes {names} out of the image {display_name(A)} [v1], which can then no longer"
    assert log.said == ([f"warning: {text} be pulled whole"] if lost else [])


def test_a_tagged_image_that_goes_with_its_signature_gives_no_warning() -> None:
    signed = [container(1, A, "v1"), container(2, B, referrer_tag(A, ".sig"))]
    for numbers, warnings in (([1, 2], 0), ([2], 1)):
        assert len(evaluated(hub(signed), ids(*numbers, raw=True))[1].said) == warnings


def test_a_raw_run_that_deletes_nothing_reads_nothing() -> None:
    github = hub(RAW, RAW_INDEX)
    assert going(evaluated(github, ids(9, raw=True))[0]) == set()
    assert not github.reads


# --- what is unknown stays ---


def test_versions_whose_tags_are_unknown_stay_with_a_warning() -> None:
    unknown = [replace(container(number, digest(number)), tags_known=False) for number in range(1, 8)]
    every = rules(rule(versions=patterns("*")))
    found, log = evaluated(hub([*unknown, container(9, digest(9))]), every)
    assert going(found) == {9}
    warning = "container/app: 7 versions stay, since GitHub does not tell their tags (ids 1, 2, 3, 4, 5 and 2 more)."
    assert [text for text in log.said if text.startswith(f"warning: {warning}")]
    assert evaluated(hub(unknown), replace(every, writing=False))[1].said == []
    assert evaluated(hub([*unknown, container(9, digest(9))]), ids(9))[1].said == [], "nothing selects them"
    # what stays for another reason
    circle = [index(A, child(index(B))), index(B, child(index(A)))]
    found, log = evaluated(hub([container(1, A), container(2, B)], *circle), every)
    assert ({each.reason for each in found.decisions}, log.said) == ({Reason.UNREADABLE}, [])
    assert evaluated(hub([container(9, digest(9))]), every)[1].said == []


def test_an_incomplete_list_keeps_everything_and_reads_nothing() -> None:
    versions = [container(1, A, "pr-1", "v1"), container(2, B, "pr-2"), container(3, C, "v3")]
    given = rules(rule(tags=patterns("pr-*"), partial_match=PartialMatch.UNTAG))
    whole, _ = evaluated(hub(versions), given)
    assert {each.action for each in whole.decisions} == {Action.UNTAG, Action.DELETE, Action.KEEP}
    github = hub(versions)
    github.incomplete = True
    found, _ = evaluated(github, given)
    told = {each.version.id: (each.action, each.reason, each.untag, each.root) for each in found.decisions}
    unreadable = (Action.KEEP, Reason.UNREADABLE, (), None)
    assert told == {1: unreadable, 2: unreadable, 3: (Action.KEEP, Reason.NOT_SELECTED, (), None)}
    assert not github.reads
    # what never writes need not keep anything
    assert going(evaluated(github, replace(given, writing=False))[0]) == {2}


@pytest.mark.parametrize(
    ("obstacle", "kind"),
    [
        (Obstacle.CONTENT, None),
        (Obstacle.FORBIDDEN, ApiErrorKind.NO_PERMISSION),
        (Obstacle.UNREACHABLE, ApiErrorKind.UNREACHABLE),
    ],
)
def test_a_manifest_that_cannot_be_read_keeps_its_package(obstacle: Obstacle, kind: ApiErrorKind | None) -> None:
    versions = [container(number, digest(number), f"v{number}") for number in range(1, 9)]
    given = rules(rule(tags=patterns("v*\n!v8")))
    github = hub(versions)
    github.obstacles = {digest(number): obstacle for number in range(2, 8)}
    found, log = evaluated(github, given)
    told = {each.version.id: (each.action, each.reason, each.root) for each in found.decisions}
    unreadable = (Action.KEEP, Reason.UNREADABLE, None)
    assert told == dict.fromkeys(range(1, 8), unreadable) | {8: (Action.KEEP, Reason.NOT_SELECTED, None)}
    assert {each.digest for each in found.unreadable} == set(github.obstacles)
    shown = ", ".join(display_name(digest(number)) for number in range(2, 7))
    text = f"nothing is deleted, since {shown} and 1 more cannot be read (why) and may need any other version."
    ending = "or delete it: version-ids: 2,3,4,5,6 with images: raw"
    if kind is None:
        assert found.problems == ()
        (said,) = log.said
        assert said.startswith(f"warning: container/app: {text}")
        assert said.endswith(ending)
    else:
        (problem,) = found.problems
        assert (problem.what, problem.package, problem.error.kind, log.said) == ("container/app", APP, kind, [])
        assert problem.error.message.startswith(text)
        assert problem.error.message.endswith(ending)


def test_each_reason_why_manifests_cannot_be_read_is_told_once() -> None:
    versions = [container(number, digest(number), f"v{number}") for number in range(1, 5)]
    github = hub(versions)
    github.obstacles = {A: Obstacle.FORBIDDEN, B: Obstacle.CONTENT, C: Obstacle.FORBIDDEN}
    found, log = evaluated(github, rules(rule(tags=patterns("v*"))))
    assert going(found) == set()
    assert [display_name(B) in said for said in log.said] == [True]
    assert [str(problem).count("version-ids: 1,3 ") for problem in found.problems] == [1]


def test_an_unreadable_manifest_says_nothing_when_nothing_would_be_deleted() -> None:
    versions = [container(1, A, "v1"), container(2, B, "v2"), container(3, C)]
    github = hub(versions, index(B, child(plain(C))))
    github.obstacles = {A: Obstacle.FORBIDDEN}
    found, log = evaluated(github, rules(rule(tag_status=TagStatus.UNTAGGED)))
    assert {each.digest for each in found.unreadable} == {A}
    assert (found.problems, log.said) == ((), [])
    assert Reason.UNREADABLE not in {each.reason for each in found.decisions}


# --- what depends on health is looked at again ---

PARTLY = [container(1, A, "v1"), container(2, B), container(4, D, "v2"), container(5, E)]
PARTLY_MANIFESTS = [index(A, child(plain(B)), child(plain(C))), index(D, child(plain(E)), child(plain(F)))]
PARTIAL = rules(rule(conditions=frozenset({Condition.PARTIAL})))


def test_images_go_for_missing_parts_only_if_a_second_look_misses_them_too() -> None:
    github = hub(PARTLY, *PARTLY_MANIFESTS)
    found, log = evaluated(github, PARTIAL)
    assert going(found) == {1, 2, 4, 5}
    assert log.said == []
    assert github.asked.keys() == {C, F}, "the registry is asked for each missing digest"
    # meanwhile the list shows one of the parts
    github = hub([*PARTLY, container(3, C)], *PARTLY_MANIFESTS)
    found, log = evaluated(github, PARTIAL, PARTLY)
    assert going(found) == {4, 5}
    told = {each.version.id: (each.action, each.reason, each.root) for each in found.decisions if each.version.id < 3}
    assert told == dict.fromkeys((1, 2), (Action.KEEP, Reason.NOT_SELECTED, None))
    assert log.said == ["warning: container/app: 1 images stay: a second look found what seemed to be missing"]
    assert github.asked.keys() == {F}, "what the list shows is not asked for"
    # or the registry has it, although no list does
    github.listed = PARTLY
    assert going(evaluated(github, PARTIAL, PARTLY)[0]) == {4, 5}


def test_a_signature_stays_when_a_second_look_finds_its_subject() -> None:
    orphans = rules(rule(conditions=frozenset({Condition.ORPHAN})))
    signed = [
        container(1, A, "v1"),
        container(2, B, referrer_tag(A, ".sig")),
        container(3, C, referrer_tag(D, ".sig")),
    ]
    assert going(evaluated(hub(signed), orphans)[0]) == {3}
    assert going(evaluated(hub([*signed, container(4, D)]), orphans, signed)[0]) == set()


def test_an_image_that_stays_anyway_is_not_looked_at_again() -> None:
    github = hub(PARTLY, *PARTLY_MANIFESTS)
    kept = replace(PARTIAL, lists=replace(PARTIAL.lists, tags=patterns("v2")))
    assert going(evaluated(github, kept)[0]) == {1, 2}
    assert github.asked.keys() == {C}


def test_without_missing_parts_there_is_no_second_look() -> None:
    whole = [container(1, A, "v1"), container(2, B)]
    for conditions in ({Condition.WHOLE}, {Condition.GHOST}):
        github = hub(whole, index(A, child(plain(B))))
        evaluated(github, rules(rule(conditions=frozenset(conditions))))
        assert (github.lists, github.asked.total()) == (0, 0)
    github = hub(PARTLY, *PARTLY_MANIFESTS)
    assert going(evaluated(github, rules(rule(tags=patterns("v1"))))[0]) == {1, 2}
    assert (github.lists, github.asked.total()) == (0, 0), "no rule asks for the health of images"


# --- after the deletions ---

STAYING = [container(1, A, "v1"), container(2, B), container(3, C), container(4, D, "old"), container(5, E)]
INDEX = index(A, child(plain(B)), child(plain(C)))


def cleaned(
    numbers: Iterable[int] = (4,),
    versions: list[Version] | None = None,
    *,
    outcome: Outcome = Outcome.DONE,
    parts: AbstractSet[int] = frozenset(),
) -> tuple[GitHub, PackageEvaluation, list[WriteRecord]]:
    """A package and what a run says that it deleted. `parts` are deleted as parts of an image."""
    github = hub(STAYING if versions is None else versions, INDEX)
    found, _ = evaluated(github, rules(rule(tags=patterns("*"))))
    records = []
    for number in numbers:
        root = D if number in parts else None
        write = PlannedWrite.of(github.active[number], Action.DELETE, Reason.SELECTED, root=root)
        records.append(WriteRecord(write=write, outcome=outcome))
        if outcome is Outcome.DONE:
            github.delete_version(APP, number)
    github.reads.clear()
    return github, found, records


def look(github: GitHub, found: PackageEvaluation, records: list[WriteRecord]) -> LastLook:
    return look_after([found], records, github, github)


LOOKED = LastLook(packages=frozenset({APP}))


def test_images_that_kept_their_parts_are_whole() -> None:
    github, found, records = cleaned()
    assert look(github, found, records) == LOOKED
    assert (github.lists, github.reads.total()) == (1, 0), "the run has read the manifests"
    assert github.looked_up == frozenset(), "the list shows all parts"
    assert github.certain == ({1, 2, 3, 4, 5}, {4})


def test_an_image_that_went_with_its_parts_lacks_none() -> None:
    github, found, records = cleaned([1, 2, 3], parts={2, 3})
    assert look(github, found, records) == LOOKED


def test_what_cannot_have_broken_an_image_is_not_looked_at() -> None:
    github, found, records = cleaned(outcome=Outcome.FAILED)
    assert look(github, found, records) == LastLook()
    lone = [container(4, D, "old"), container(5, E, "new")]
    github, found, records = cleaned(versions=lone)
    assert look(github, found, records) == LastLook()
    # when its image is gone too, nothing is left that could lack a part
    github, found, records = cleaned([1, 4])
    assert look(github, found, records) == LastLook()
    assert github.lists == 0
    # a part of another image may have been one of an image that was pushed meanwhile
    github, found, records = cleaned(versions=lone, parts={4})
    assert look(github, found, records) == LOOKED


def test_only_packages_with_deletions_are_looked_at() -> None:
    github, found, records = cleaned()
    other = replace(found, decisions=())
    assert look_after([other], records, github, github) == LastLook()


def test_an_image_that_lost_a_part_is_broken_whoever_deleted_it() -> None:
    github, found, records = cleaned()
    github.delete_version(APP, 3)
    assert look(github, found, records) == replace(LOOKED, broken={(APP, A): [C]})


def test_a_part_that_only_an_outdated_list_lacks_is_there() -> None:
    github, found, records = cleaned()
    github.listed = [each for each in github.active.values() if each.id != 3]
    assert look(github, found, records) == LOOKED


def test_a_part_that_this_run_deleted_is_not_taken_for_there() -> None:
    github, found, records = cleaned([3], parts={3})
    github.listed = [each for each in STAYING if each.id != 3]
    github.active[3] = github.deleted[3]
    assert look(github, found, records) == replace(LOOKED, broken={(APP, A): [C]})
    # nor when only an outdated list shows it
    github, found, records = cleaned([3], parts={3})
    github.listed = STAYING
    assert look(github, found, records) == replace(LOOKED, broken={(APP, A): [C]})


def test_what_github_still_has_is_told_apart_from_an_outdated_list() -> None:
    github, found, records = cleaned([4, 5])
    github.listed = STAYING
    assert look(github, found, records) == LOOKED
    github.active[5] = github.deleted.pop(5)
    assert look(github, found, records) == replace(LOOKED, still_there=frozenset({5}))


def test_an_image_whose_root_was_not_deleted_after_all_is_broken() -> None:
    github, found, records = cleaned([1, 2, 3], parts={2, 3})
    github.active[1] = github.deleted.pop(1)
    assert look(github, found, records) == replace(LOOKED, broken={(APP, A): [B, C]}, still_there=frozenset({1}))


def test_an_image_that_was_pushed_meanwhile_lacks_what_this_run_deleted() -> None:
    github, found, records = cleaned([4, 5], parts={5})
    pushed = index(F, child(plain(E)), child(plain(B)), child(plain(digest(77))))
    for tags in (("new",), ()):
        github.active[6] = container(6, F, *tags)
        github.world = replace(github.world, manifests={**github.world.manifests, F: pushed})
        github.reads.clear()
        assert look(github, found, records) == replace(LOOKED, broken={(APP, F): [E]})
        assert github.reads.keys() == {F}
    # a part that was pushed with it is not read
    github.active[6] = container(6, F, "new")
    github.active[8] = container(8, digest(77))
    github.world = replace(github.world, manifests={**github.world.manifests, digest(77): plain(digest(77))})
    github.reads.clear()
    assert look(github, found, records) == replace(LOOKED, broken={(APP, F): [E]})
    assert github.reads.keys() == {F}
    # its missing part came back under another id
    github.active[7] = container(7, E)
    assert look(github, found, records) == LOOKED


def test_a_package_that_is_gone_has_no_broken_image() -> None:
    github, found, records = cleaned()
    github.list_fails = ApiError(ApiErrorKind.NOT_FOUND, "Package not found.")
    assert look(github, found, records) == LOOKED
    github.list_fails = ApiError(ApiErrorKind.UNREACHABLE, "no answer")
    with pytest.raises(ApiError, match="no answer"):
        look(github, found, records)


def test_what_is_kept_for_an_incomplete_list_has_no_root_and_loses_no_tag() -> None:
    github = hub([container(1, A, "v1"), container(2, B)], index(A, child(plain(B))))
    found, _ = evaluated(github, rules(rule(tags=patterns("v1"))))
    assert [each.root for each in found.decisions if each.action is Action.DELETE] == [None, github.active[1]]
    told = [(each.action, each.reason, each.root) for each in all_kept(found.decisions)]
    assert told == [(Action.KEEP, Reason.UNREADABLE, None)] * 2
