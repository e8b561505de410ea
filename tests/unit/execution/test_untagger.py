"""Removing one tag, step by step, over a registry in memory: afterwards the tag is gone, or it is where it was.

Each step may fail, may lose its answer, or may be interrupted; and somebody else may push in between.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from package_keeper.errors import ApiError, ApiErrorKind, Cancelled, OutOfTime, RateLimitedError
from package_keeper.execution.untag import Untagger
from package_keeper.model.manifest import stubs
from package_keeper.model.packages import PackageName, Version
from package_keeper.model.plan import Action, PlannedWrite, Reason
from tests.unit.execution.test_executor import Listener
from tests.unit.making import NOW, key, version

APP = key("container")
IMAGE, OTHER, PUSHED = b"image", b"other", b"pushed"


def digest(body: bytes) -> str:
    return f"sha256:{hashlib.sha256(body).hexdigest()}"


def no(kind: ApiErrorKind = ApiErrorKind.OTHER, *, lost: bool = False) -> ApiError:
    return ApiError(kind, "no", sent_before=lost)


@dataclass
class Registry:
    """One package: manifests, the digest under each tag, and the list of versions.

    `before` and `after` hold what happens around the numbered call of a method, such as `put 1`: an error, or anything
    else that somebody does.
    """

    bodies: dict[str, bytes] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    ids: dict[str, int] = field(default_factory=dict)
    listed_after: int = 0
    """How often the list does not show yet what was put last."""
    hidden: dict[str, int] = field(default_factory=dict)
    before: dict[str, Any] = field(default_factory=dict)
    after: dict[str, Any] = field(default_factory=dict)
    calls: Counter[str] = field(default_factory=Counter)
    slept: list[float] = field(default_factory=list)
    times: dict[str, dict[str, Any]] = field(default_factory=dict)
    """What the list shows of some versions in place of their times."""
    log: Listener = field(default_factory=Listener)

    def push(self, body: bytes, *tags: str) -> str:
        name = digest(body)
        self.bodies[name] = body
        self.ids.setdefault(name, len(self.ids) + 1)
        self.tags.update(dict.fromkeys(tags, name))
        return name

    @contextmanager
    def _step(self, name: str) -> Iterator[None]:
        self.calls[name] += 1
        self._happens(self.before, f"{name} {self.calls[name]}")
        yield
        self._happens(self.after, f"{name} {self.calls[name]}")

    def _happens(self, events: dict[str, Any], name: str) -> None:
        event = events.get(name)
        if isinstance(event, Exception):
            raise event
        if event is not None:
            event()

    # the registry

    def tag_digest(self, package: PackageName, tag: str) -> str | None:
        with self._step("look"):
            return self.tags.get(tag)

    def manifest_bytes(self, package: PackageName, name: str) -> bytes:
        with self._step("read"):
            return self.bodies[name]

    def is_stub(self, package: PackageName, name: str) -> bool:
        self.calls["is_stub"] += 1
        return any(name in stubs(tag) for tag in ("a", "b", "c"))

    def put(self, package: PackageName, tag: str, body: bytes) -> str:
        with self._step("put"):
            self.hidden = dict.fromkeys([digest(body)], self.listed_after)
            return self.push(body, tag)

    # REST

    def versions(self, package: PackageName, *, deleted: bool = False) -> list[Version]:
        with self._step("list"):
            late = {name for name, times in self.hidden.items() if times}
            self.hidden = {name: times - 1 for name, times in self.hidden.items() if times}
            return [self.made(name) for name in reversed(self.ids) if name in self.bodies and name not in late]

    def made(self, name: str) -> Version:
        number = self.ids[name]
        at = NOW + timedelta(seconds=number)
        tags = tuple(sorted(tag for tag, where in self.tags.items() if where == name))
        times = {"created_at": at, "updated_at": at} | self.times.get(name, {})
        return version(number, of=APP, name=name, tags=tags, **times)

    def version(self, package: PackageName, version_id: int) -> Version:
        with self._step("get"):
            for one in self.versions(package):
                if one.id == version_id:
                    return one
            raise no(ApiErrorKind.NOT_FOUND)

    def delete_version(self, package: PackageName, version_id: int, permit: object = None) -> None:
        with self._step("delete"):
            (name,) = [name for name, number in self.ids.items() if number == version_id]
            if self.bodies.pop(name, None) is None:
                raise no(ApiErrorKind.NOT_FOUND)
            self.tags = {tag: where for tag, where in self.tags.items() if where != name}

    # time

    def sleep(self, seconds: float, why: str = "") -> None:
        self.slept.append(seconds)

    @contextmanager
    def finishing(self) -> Iterator[None]:
        yield

    @property
    def untagger(self) -> Untagger:
        return Untagger(self, self, self, self, self.log)  # type: ignore[arg-type]

    @property
    def places(self) -> dict[str, bytes]:
        """What is under each tag."""
        return {tag: self.bodies[name] for tag, name in self.tags.items()}

    @property
    def left_stubs(self) -> list[str]:
        return [name for name in self.bodies if self.is_stub(APP, name)]


def started(**more: Any) -> tuple[Registry, PlannedWrite]:
    """An image with the tags `a` and `b`, another one, and the write that removes `a`."""
    registry = Registry(**more)
    registry.push(OTHER, "c")
    image = registry.made(registry.push(IMAGE, "a", "b"))
    return registry, PlannedWrite.of(image, Action.UNTAG, Reason.SELECTED, tag="a")


GONE = {"b": IMAGE, "c": OTHER}
THERE = {"a": IMAGE, "b": IMAGE, "c": OTHER}


def test_a_tag_is_removed_and_nothing_else() -> None:
    registry, write = started(listed_after=2)
    registry.untagger.untag(write)
    assert registry.places == GONE
    assert registry.left_stubs == []
    assert registry.slept == [0.0, 1.0, 2.0], "the list is read again until it shows the stub"


def test_the_last_tag_of_an_image_is_not_removed() -> None:
    registry, write = started()
    assert write.version is not None
    last = replace(write, version=replace(write.version, tags=("a", f"sha256-{'a' * 64}.sig")))
    with pytest.raises(ApiError, match="last tag"):
        registry.untagger.untag(last)
    del registry.tags["b"]
    with pytest.raises(ApiError, match="have changed"):
        registry.untagger.untag(write)
    assert registry.places == {"a": IMAGE, "c": OTHER}


def test_a_write_whose_version_was_not_read_is_checked_against_the_list() -> None:
    registry, write = started()
    registry.untagger.untag(replace(write, version=None))
    assert registry.places == GONE


def test_a_tag_is_not_taken_from_an_image_that_is_gone_or_lost_it() -> None:
    registry, write = started()
    registry.before["list 1"] = lambda: registry.bodies.pop(write.version_name)
    with pytest.raises(ApiError, match="have changed") as raised:
        registry.untagger.untag(write)
    assert raised.value.kind is ApiErrorKind.CHANGED
    registry, write = started()
    registry.tags["d"] = write.version_name
    registry.before["list 1"] = lambda: registry.push(PUSHED, "a")
    with pytest.raises(ApiError, match="have changed"):
        registry.untagger.untag(write)
    assert registry.calls["put"] == 0


def test_a_tag_that_moved_is_left_where_it_is() -> None:
    for moved, text in (("list 1", "have changed"), ("look 1", "names another image")):
        registry, write = started()
        registry.before[moved] = lambda registry=registry: registry.push(PUSHED, "a")
        with pytest.raises(ApiError, match=text) as raised:
            registry.untagger.untag(write)
        assert raised.value.kind is ApiErrorKind.CHANGED
        assert registry.places == {"a": PUSHED, "b": IMAGE, "c": OTHER}


@pytest.mark.parametrize("error", [no(), no(lost=True), Cancelled(), OutOfTime()])
@pytest.mark.parametrize("step", ["before put 1", "after put 1", "before list 2", "before look 2", "before delete 1"])
def test_a_removal_that_fails_or_is_interrupted_gives_the_tag_back(step: str, error: Exception) -> None:
    registry, write = started()
    when, _, name = step.partition(" ")
    getattr(registry, when)[name] = error
    if when == "after" and isinstance(error, ApiError):
        # only then may the request have been carried out
        error.sent_before = True
    if when == "after" and isinstance(error, Cancelled):
        registry.after[name] = Cancelled(in_flight=True)
    if when == "after" and isinstance(error, OutOfTime):
        return
    with pytest.raises((ApiError, Cancelled, OutOfTime)) as raised:
        registry.untagger.untag(write)
    assert isinstance(raised.value, type(error))
    assert registry.places == THERE
    assert registry.left_stubs == []


@pytest.mark.parametrize("error", [no(lost=True), OutOfTime()])
def test_a_removal_whose_last_answer_was_lost_is_done(error: Exception) -> None:
    registry, write = started()
    registry.after["delete 1"] = error
    registry.untagger.untag(write)
    assert registry.places == GONE


def test_a_removal_that_was_cancelled_at_its_end_does_not_say_that_nothing_happened() -> None:
    registry, write = started()
    registry.after["delete 1"] = Cancelled()
    with pytest.raises(Cancelled) as raised:
        registry.untagger.untag(write)
    assert raised.value.in_flight
    assert registry.places == GONE


@pytest.mark.parametrize("second", [no(), OutOfTime(), Cancelled()])
def test_when_the_tag_cannot_be_given_back_the_answer_is_uncertain(second: Exception) -> None:
    for first in (no(), Cancelled()):
        registry, write = started()
        registry.before = {"delete 1": first, "put 2": second}
        with pytest.raises((ApiError, Cancelled)) as raised:
            registry.untagger.untag(write)
        if isinstance(raised.value, ApiError):
            assert (type(first), isinstance(second, Cancelled)) == (ApiError, False)
            assert raised.value.sent_before
            assert "restore with undo" in raised.value.message
        else:
            assert isinstance(raised.value, Cancelled)
            assert raised.value.in_flight


@pytest.mark.parametrize("error", [no(), Cancelled()])
def test_a_tag_that_somebody_removes_before_the_stub_is_not_told_to_be_removed_here(error: Exception) -> None:
    registry, write = started()

    def remove() -> None:
        del registry.tags["a"]
        raise error

    registry.before["put 1"] = remove
    with pytest.raises((ApiError, Cancelled)) as raised:
        registry.untagger.untag(write)
    assert raised.value is error
    assert not (isinstance(error, Cancelled) and error.in_flight), "no request was in flight"


def test_a_removal_that_fails_leaves_the_tag_where_somebody_pushed_it() -> None:
    registry, write = started()

    def push() -> None:
        registry.push(PUSHED, "a")
        raise no()

    registry.before["delete 1"] = push
    with pytest.raises(ApiError):
        registry.untagger.untag(write)
    assert registry.places == {"a": PUSHED, "b": IMAGE, "c": OTHER}


def test_a_tag_that_never_moved_needs_no_manifest_to_show_it() -> None:
    registry, write = started()
    registry.before["put 1"] = no(lost=True)
    with pytest.raises(ApiError):
        registry.untagger.untag(write)
    assert (registry.places, registry.calls["put"], registry.calls["is_stub"]) == (THERE, 1, 0)


def test_a_tag_that_github_keeps_after_all_is_not_told_to_be_gone() -> None:
    registry, write = started()
    registry.delete_version = lambda *_: None  # type: ignore[method-assign]
    with pytest.raises(ApiError) as raised:
        registry.untagger.untag(write)
    assert raised.value.kind is ApiErrorKind.UNCONFIRMED
    assert registry.places == THERE


@pytest.mark.parametrize(("there", "gone"), [(False, True), (True, False)])
def test_a_stub_that_is_not_found_is_looked_up(there: bool, gone: bool) -> None:
    registry, write = started()

    def vanish() -> None:
        (stub,) = registry.left_stubs
        if not there:
            registry.bodies.pop(stub)
            del registry.tags["a"]
        raise no(ApiErrorKind.NOT_FOUND)

    registry.before["delete 1"] = vanish
    if gone:
        registry.untagger.untag(write)
        assert registry.places == GONE
    else:
        with pytest.raises(ApiError):
            registry.untagger.untag(write)
        assert registry.places == THERE
    # a question without an answer is no proof that it is gone
    registry, write = started()
    registry.before |= {"delete 1": no(ApiErrorKind.NOT_FOUND), "get 1": no(ApiErrorKind.UNREACHABLE)}
    with pytest.raises(ApiError):
        registry.untagger.untag(write)
    assert registry.places == THERE


def test_a_stub_that_is_never_listed_is_not_left_under_the_tag() -> None:
    registry, write = started(listed_after=6)
    with pytest.raises(ApiError, match="not listed"):
        registry.untagger.untag(write)
    assert registry.slept == [0.0, 1.0, 2.0, 4.0, 8.0, 15.0]
    assert registry.places == THERE


# --- pushes in between ---


def pushes(*several: tuple[bytes, tuple[str, ...]]) -> Callable[[Registry], Callable[[], None]]:
    def by_somebody(registry: Registry) -> Callable[[], None]:
        def push() -> None:
            for body, tags in several:
                registry.push(body, *tags)

        return push

    return by_somebody


@pytest.mark.parametrize(
    ("pushed", "expected"),
    [
        # one new image had the tag, so it gets it back
        (pushes((PUSHED, ("a",))), {"a": PUSHED, "b": IMAGE, "c": OTHER}),
        # of several untagged ones the newest: its parts are pushed before it
        (pushes((b"part", ()), (PUSHED, ("a",))), {"a": PUSHED, "b": IMAGE, "c": OTHER}),
        # a signature never had it
        (pushes((b"signature", (f"sha256-{'a' * 64}.sig",))), None),
    ],
)
def test_a_tag_that_was_pushed_before_the_stub_goes_back_to_what_was_pushed(
    pushed: Callable[[Registry], Callable[[], None]], expected: dict[str, bytes] | None
) -> None:
    registry, write = started()
    registry.before["put 1"] = pushed(registry)
    registry.untagger.untag(write)
    assert {tag: body for tag, body in registry.places.items() if len(tag) == 1} == (expected or GONE)
    assert registry.left_stubs == []
    assert bool([text for kind, text in registry.log.said if kind == "warning"]) is (expected is not None)


@pytest.mark.parametrize("is_gone", [True, False])
@pytest.mark.parametrize("error", [no(ApiErrorKind.NOT_FOUND), no()])
def test_a_stub_without_a_tag_that_is_not_found_is_looked_up(error: ApiError, *, is_gone: bool) -> None:
    registry, write = started()
    registry.before["put 1"] = pushes((PUSHED, ("a",)))(registry)

    def refuse() -> None:
        # the tag is back on what was pushed
        if is_gone:
            registry.bodies.pop(next(name for name in registry.bodies if name not in registry.tags.values()))
        raise error

    registry.before["delete 1"] = refuse
    if is_gone and error.kind is ApiErrorKind.NOT_FOUND:
        registry.untagger.untag(write)
    else:
        with pytest.raises(ApiError) as raised:
            registry.untagger.untag(write)
        assert raised.value is error
    assert registry.places == {"a": PUSHED, "b": IMAGE, "c": OTHER}
    assert len(registry.left_stubs) == (not is_gone)


def test_a_stub_without_a_tag_is_not_gone_when_nobody_can_say_so() -> None:
    registry, write = started()
    registry.before["put 1"] = pushes((PUSHED, ("a",)))(registry)
    registry.before |= {"delete 1": no(ApiErrorKind.NOT_FOUND), "get 1": no(ApiErrorKind.UNREACHABLE)}
    with pytest.raises(ApiError) as raised:
        registry.untagger.untag(write)
    assert raised.value.kind is ApiErrorKind.NOT_FOUND


LEFT = b"left"
"""A leftover that was there before."""
STUB_AT = NOW + timedelta(seconds=5)
EARLIER, LATER = STUB_AT - timedelta(seconds=1), STUB_AT + timedelta(seconds=1)


@pytest.mark.parametrize(
    ("pushed", "times", "stub_times", "is_back"),
    [
        # a new image: when it was created decides, since losing the tag changes it too
        (PUSHED, {"created_at": EARLIER, "updated_at": LATER}, {}, True),
        (PUSHED, {"created_at": STUB_AT, "updated_at": LATER}, {}, True),
        (PUSHED, {"created_at": LATER, "updated_at": LATER}, {}, False),
        (PUSHED, {"created_at": None, "updated_at": LATER}, {}, True),
        (PUSHED, {"created_at": LATER, "updated_at": LATER}, {"created_at": None}, True),
        # one that was there: when it was changed decides
        (LEFT, {"updated_at": EARLIER}, {}, True),
        (LEFT, {"updated_at": STUB_AT}, {}, True),
        (LEFT, {"updated_at": LATER}, {}, False),
        (LEFT, {"updated_at": None}, {}, True),
    ],
)
def test_the_tag_goes_back_to_what_may_have_had_it_before_the_stub(
    pushed: bytes, times: dict[str, Any], stub_times: dict[str, Any], *, is_back: bool
) -> None:
    registry, write = started()
    registry.push(LEFT)

    def push() -> None:
        registry.times |= {name: {"created_at": STUB_AT} | stub_times for name in stubs("a")}
        registry.times[registry.push(pushed, "a")] = times

    registry.before["put 1"] = push
    registry.untagger.untag(write)
    assert registry.places == GONE | ({"a": pushed} if is_back else {})
    assert registry.left_stubs == []


@pytest.mark.parametrize(("body", "is_back"), [(PUSHED, False), (LEFT, True)])
def test_a_new_version_with_a_larger_id_was_pushed_after_the_stub(body: bytes, *, is_back: bool) -> None:
    registry, write = started()
    registry.ids[registry.push(LEFT)] = 50

    def push() -> None:
        registry.ids.setdefault(digest(PUSHED), 60)
        registry.times |= {name: {"created_at": LATER} for name in stubs("a")}
        registry.times[registry.push(body, "a")] = {"updated_at": EARLIER, "created_at": EARLIER}

    registry.before["put 1"] = push
    registry.untagger.untag(write)
    assert registry.places == GONE | ({"a": body} if is_back else {})


def test_a_version_that_lost_another_tag_meanwhile_did_not_have_this_one() -> None:
    registry, write = started()

    def move() -> None:
        registry.tags["c"] = write.version_name
        registry.times[digest(OTHER)] = {"updated_at": NOW}

    registry.before["put 1"] = move
    registry.untagger.untag(write)
    assert registry.places == {"b": IMAGE, "c": IMAGE}


def test_the_image_itself_is_not_taken_for_one_that_was_pushed() -> None:
    registry, write = started()
    # the list shows the change already, but still the tag
    seen = registry.made

    def outdated(name: str) -> Version:
        found = seen(name)
        if name != write.version_name or not registry.left_stubs:
            return found
        return replace(found, tags=("a", "b"), updated_at=NOW + timedelta(seconds=2.5))

    registry.made = outdated  # type: ignore[method-assign]
    registry.untagger.untag(write)
    assert registry.places == GONE


def test_a_tag_is_not_put_on_an_image_that_has_another_tag() -> None:
    registry, write = started()
    registry.before["put 1"] = pushes((PUSHED, ("d",)))(registry)
    with pytest.raises(ApiError, match=rf"someone pushed meanwhile \({digest(PUSHED)[:19]}\), perhaps") as raised:
        registry.untagger.untag(write)
    assert raised.value.kind is ApiErrorKind.CHANGED
    assert registry.places == THERE | {"d": PUSHED}


@pytest.mark.parametrize("order", [1, -1])
def test_with_several_candidates_the_tag_goes_back_to_its_image(order: int) -> None:
    registry, write = started()
    pushed = [(PUSHED, ("a",)), (b"second", ("d",))]
    registry.before["put 1"] = pushes(*pushed[::order])(registry)
    with pytest.raises(ApiError, match="someone pushed meanwhile"):
        registry.untagger.untag(write)
    assert registry.places == THERE | {"d": b"second"}


def test_what_is_pushed_after_the_stub_keeps_its_tag() -> None:
    registry, write = started()
    registry.before["list 2"] = pushes((PUSHED, ("a",)))(registry)
    registry.untagger.untag(write)
    assert registry.places == {"a": PUSHED, "b": IMAGE, "c": OTHER}
    assert registry.left_stubs == []


# --- giving back ---


def retag(registry: Registry, write: PlannedWrite) -> None:
    registry.untagger.retag(replace(write, action=Action.RESTORE))


def test_a_tag_is_given_back_unless_another_image_has_it() -> None:
    registry, write = started()
    retag(registry, write)
    assert registry.calls["put"] == 0, "it is there already"
    registry.untagger.untag(write)
    registry.calls.clear()
    retag(registry, write)
    assert registry.places == THERE
    assert (registry.calls["is_stub"], registry.calls["list"]) == (0, 0), "nothing was under the tag"
    registry.push(PUSHED, "a")
    with pytest.raises(ApiError) as raised:
        retag(registry, write)
    assert raised.value.kind is ApiErrorKind.CHANGED
    assert registry.places["a"] == PUSHED


def test_a_tag_is_taken_from_a_stub_which_is_deleted() -> None:
    registry, write = started()
    registry.push(min(stubs("a").values()), "a")
    retag(registry, write)
    assert (registry.places, registry.left_stubs) == (THERE, [])


def test_a_tag_that_the_registry_did_not_move_is_not_told_to_be_back() -> None:
    registry, write = started()
    registry.untagger.untag(write)
    registry.after["put 2"] = lambda: registry.tags.pop("a")
    with pytest.raises(ApiError) as raised:
        retag(registry, write)
    assert raised.value.kind is ApiErrorKind.UNCONFIRMED


def test_a_rate_limit_delays_giving_back_and_a_stub_that_stays_is_only_a_warning() -> None:
    registry, write = started()
    limited = RateLimitedError(no(), 7.0, sent_before=False)
    registry.before = {"delete 1": no(), "put 2": limited, "delete 2": no()}
    with pytest.raises(ApiError, match="no"):
        registry.untagger.untag(write)
    assert registry.places == THERE
    assert registry.slept == [0.0, 7.0]
    assert len(registry.left_stubs) == 1
    assert [text for kind, text in registry.log.said if kind == "warning" and "is left without a tag" in text]


def test_a_new_stub_is_used_each_time_and_there_is_an_end_of_them() -> None:
    registry, write = started()
    for body in stubs("a").values():
        registry.push(body)
    with pytest.raises(ApiError, match="too many stubs"):
        registry.untagger.untag(write)
    registry.bodies.pop(min(stubs("a")))
    registry.untagger.untag(write)
    assert registry.places == GONE
