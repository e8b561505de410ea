"""Images that are pushed during a run never lose a part, in random packages.

The real evaluation, plan, executor and refresh run over a registry in memory. From time to time the lists are too old.
While they are read again, somebody pushes an image that needs parts which the run is about to delete, or has deleted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from package_keeper.errors import ApiError
from package_keeper.execution.deletions import Deletions
from package_keeper.execution.executor import Executed
from package_keeper.execution.facts import FactGatherer
from package_keeper.execution.refresh import FRESH_SECONDS, Refresh
from package_keeper.execution.untag import Untagger
from package_keeper.model.packages import PackageName, Version
from package_keeper.model.plan import Outcome
from package_keeper.model.repository import RepositoryState
from package_keeper.operations.plans import Rereader, plan_images
from package_keeper.policy.guards import Guards, OnLastVersion, guard
from tests.unit.model.cases import Case, draw_case
from tests.unit.model.memory import PACKAGE, Hub, Paper, Quiet, evaluated, executor, planned
from tests.unit.model.worlds import NOW, SEEDS, Habits, World, naive_needs, torn
from tests.unit.pool import WritePool

CASES = st.builds(draw_case, SEEDS, st.integers(3, 30), st.just(Habits(missing=0.04, twins=0.1)))
ANEW = 1_000_000
"""Versions that are pushed again have ids of their own."""


class NoRepository:
    """No rule in these tests needs repositories."""

    def state(self, full_name: str) -> RepositoryState:
        raise AssertionError(full_name)

    def releases(self, full_name: str) -> frozenset[str]:
        raise AssertionError(full_name)


@dataclass
class Watch:
    """A clock that tests set."""

    seconds: float = 0.0

    def now(self) -> datetime:
        return NOW

    def monotonic(self) -> float:
        return self.seconds


class Busy(Hub):
    """A registry to which `late` versions are pushed, one at each look; `ages` says after how many writes those are.

    Its lists still show so many versions as `lag` says that were deleted last.
    """

    def __init__(self, world: World, late: Iterable[int], ages: Iterable[int], lag: int = 0) -> None:
        super().__init__(world)
        self._lag = lag
        self.watch = Watch()
        self.late = [self.active.pop(number) for number in sorted(set(late) & set(self.active))]
        self._ages = set(ages)
        self._by_name = {version.name: version for version in world.versions}
        self.looks = 0
        self.after_each = self._grow_old
        self._stand()

    def _stand(self) -> None:
        """From here on nothing that is there, or that it needs, may be torn."""
        self.base = World(versions=tuple(self.active.values()), manifests=self.world.manifests)
        self._needs = naive_needs(self.base)

    def _grow_old(self) -> None:
        assert torn(self.base, {version.id for version in self.base.versions} - set(self.active), self._needs) == []
        if len(self.writes) in self._ages:
            self.watch.seconds += FRESH_SECONDS + 1

    def versions_of(
        self,
        packages: Iterable[PackageName],
        *,
        deleted: bool = False,
        seen: Mapping[PackageName, AbstractSet[int]] | None = None,
        gone: AbstractSet[int] = frozenset(),
    ) -> dict[PackageName, list[Version] | ApiError]:
        self.looks += 1
        if self.late:
            self._push(self.late.pop())
        self._stand()
        late = (
            [replace(version, deleted_at=None) for version in self.deleted.values()][-self._lag :] if self._lag else []
        )
        return {package: [*self.versions(package, deleted=deleted), *late] for package in packages}

    def _push(self, version: Version) -> None:
        """Push an image as clients do: first its parts, as far as they are not there."""
        if version.name in {each.name for each in self.active.values()}:
            return
        for part in self.world.manifests[version.name].children:
            if part.digest in self._by_name and part.digest != version.name:
                self._push(self._by_name[part.digest])
        anew = replace(version, id=version.id + ANEW) if version.id in self.deleted else version
        self.active[anew.id] = anew


def clean(hub: Busy, case: Case, pool: WritePool) -> Executed:
    """Execute what the rules ask for, with a refresh whenever the lists are old."""
    log = Quiet()
    versions = list(hub.active.values())
    facts = FactGatherer(
        rules=case.rules,
        owner="acme",
        repositories=NoRepository(),
        repository="",
        fallback="",
        clock=hub.watch,
        log=log,
    )
    plan = guard(planned(evaluated(hub, case.rules), case.rules), Guards())
    replan = Rereader(hub, facts, [(PACKAGE, versions)]).replan_deletions(
        case.rules, hub, {}, partial(plan_images, rules=case.rules)
    )
    refresh = Refresh(replan=replan, clock=hub.watch, log=log, read_from=0.0, read_until=0.0)
    operation = Deletions(plan, hub, hub, Untagger(hub, hub, hub, hub, log), OnLastVersion.KEEP)
    return executor(Paper(), log, pool).execute(plan, operation, refresh)


@given(
    case=CASES,
    late=st.lists(st.integers(0, 60), max_size=4),
    ages=st.sets(st.integers(1, 12), max_size=4),
    lag=st.sampled_from([0, 0, 1, 3]),
    pool=st.builds(WritePool, width=st.integers(1, 8), seed=SEEDS),
)
def test_an_image_pushed_during_a_run_is_never_torn(
    case: Case, late: list[int], ages: set[int], lag: int, pool: WritePool
) -> None:
    ids = [version.id for version in case.world.versions]
    hub = Busy(case.world, [ids[place % len(ids)] for place in late if ids], ages, lag)
    executed = clean(hub, case, pool)
    assert executed.ended_by is None
    assert {record.write.version_id for record in executed.records if record.outcome is Outcome.DONE} == set(
        hub.deleted
    )


@given(
    case=CASES,
    ages=st.sets(st.integers(1, 12), min_size=1, max_size=4),
    lag=st.sampled_from([1, 3]),
    pool=st.builds(WritePool, width=st.integers(1, 8), seed=SEEDS),
)
def test_a_refresh_never_adds_a_write(case: Case, ages: set[int], lag: int, pool: WritePool) -> None:
    plain, hub, lagging = Busy(case.world, (), ()), Busy(case.world, (), ages), Busy(case.world, (), ages, lag)
    clean(plain, case, WritePool())
    clean(hub, case, pool)
    clean(lagging, case, replace(pool))
    assert lagging.deleted.keys() == hub.deleted.keys(), "a list that lags behind changes nothing"
    # what had a tag of its own in an image that is gone may be too young for the rules by itself
    assert set(hub.deleted) <= set(plain.deleted)
    assert bool(hub.deleted) == bool(plain.deleted)
