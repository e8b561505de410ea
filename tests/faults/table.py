"""The faults of the suite: how each is caused at a step, where it makes sense, and how the run may end then.

To add a fault, add a row to `FAULTS`.
"""

from __future__ import annotations

import resource
import signal
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.faults.worlds import OLD, RECEIPT, STEPS
from tests.simulator import push_image
from tests.simulator import wire as texts
from tests.simulator.images import INDEX, descriptor, image_manifest, index

if TYPE_CHECKING:
    from tests.faults.running import Case

WRITES = ("delete", "delete package", "restore", "restore package", "put")
REST_WRITES = WRITES[:-1]
REGISTRY = ("token", "manifest", "manifest's type", "tag", "put")
LISTS = ("versions", "versions, page 2", "deleted versions", "deleted versions, page 2")
READS = tuple(name for name in STEPS if name not in WRITES)
REST = tuple(name for name in STEPS if name not in REGISTRY)
REST_READS = tuple(name for name in READS if name not in REGISTRY)
SAID = tuple(name for name in STEPS if STEPS[name][0] != "HEAD")
"""What is answered with a message, if it is refused."""
WITH_BODY = tuple(name for name in READS if STEPS[name][0] == "GET")

ROLES = {"owner": "owner"}
ROLES |= dict.fromkeys(WRITES, "write") | dict.fromkeys(("token", "manifest", "manifest's type", "tag"), "registry")
ROLES |= dict.fromkeys(("repository", "pulls", "branches"), "repository")

Statuses = Mapping[str, Collection[int]]
"""The exit statuses that are right, by the role of the step where it goes wrong; `read` are all other steps."""


def statuses(
    owner: Collection[int], read: Collection[int], registry: Collection[int], write: Collection[int]
) -> Statuses:
    """Say which are right. What a repository does not tell keeps, which is no failure."""
    return {"owner": owner, "read": read, "registry": registry, "write": write, "repository": {0}}


UNREACHABLE = statuses({5}, {0, 1, 5}, {0, 1, 4, 5}, {0, 1, 5})
REFUSED = statuses({4}, {0, 1}, {0, 1, 5}, {1})
DENIED = statuses({4}, {4}, {1, 4}, {1, 4})
FOLLOWED = statuses({0}, {0}, {0, 1, 5}, {1})
"""A read is sent on, a write is not, since it would become another request."""
FORBIDDEN = statuses({4}, {0, 1, 4}, {0, 1, 4}, {1, 4})
MISSING = statuses({2}, {0, 1}, {0, 1, 5}, {0, 1, 4})
SKIPPED = statuses({4}, {0, 1}, {0, 1, 5}, {0, 1})
ODD_ANSWER = statuses({0, 1, 2, 5}, {0, 1}, {0, 1, 4}, {1})
FAILED = statuses({1}, {1}, {1}, {1})
STOPPED = {role: {130} for role in ("owner", "read", "registry", "write", "repository")}
WELL = statuses({0}, {0}, {0}, {0})
PERHAPS = statuses({0, 1}, {0, 1}, {0, 1}, {0, 1})
"""What somebody else deletes right after it was restored is not there when the run asks."""
FULL = statuses({0, 1}, {0, 1}, {0, 1}, {1})
"""The disk is full from that step on: what writes nothing to it does not notice."""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One row: what goes wrong, at which kinds of steps, and the exit statuses that are right then."""

    name: str
    cause: Callable[[Case], None]
    at: Collection[str]
    statuses: Statuses | None = None
    """Without them, the exit status and what is there in the end are those of a run without a fault."""
    on_terminal: bool = False
    """Whether the program runs on a command line, where no file is written but the receipt."""
    slow: bool = False
    """Whether the program must be impatient for this fault: it waits for an answer in real time."""
    more: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_harmless(self) -> bool:
        """Whether the run does all the same what it would have done."""
        return self.statuses is None

    @property
    def is_stop(self) -> bool:
        """Whether the program is told to stop, so that it begins nothing more."""
        return self.statuses is STOPPED

    @property
    def is_kill(self) -> bool:
        """Whether the program is killed."""
        return self.name.startswith("killed")

    def expected(self, kind: str, usual: int) -> Collection[int]:
        """Tell which exit statuses are right at a kind of step; `usual` is the one of a run without a fault."""
        return {usual} if self.statuses is None else self.statuses[ROLES.get(kind, "read")]


# --- ways to go wrong ---


def simulated(*, times: int | None = 1, **what: Any) -> Callable[[Case], None]:
    """Let the simulator do it: once, or from this step on."""
    return lambda case: case.fault(times=times, **what)


def at_step(act: Callable[[Case], None]) -> Callable[[Case], None]:
    """Do something in the middle of the run, when the request of the step arrives."""
    return lambda case: case.hook(lambda: act(case))


def time_passes(seconds: float) -> Callable[[Case], None]:
    """Let so much time pass while GitHub answers."""

    def act(case: Case) -> None:
        case.clock.until(case.clock.seconds + seconds)

    return at_step(act)


def limited(status: int, *, retry_after: bool, message: str, **headers: str) -> Callable[[Case], None]:
    """Let a limit refuse the step once."""
    more = {"retry-after": "60"} if retry_after else {}
    return simulated(status=status, message=message.format(request_id="1", user="1"), headers=more | headers)


def primary(case: Case) -> None:
    """Let the primary limit refuse the step once, for ten minutes."""
    headers = {"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(int(time.time()) + 600)}
    message = texts.PRIMARY_LIMIT.format(user="1", request_id="1")
    case.fault(status=403, message=message, headers=headers)


def redirected(status: int, target: str = "", *, times: int | None = 1) -> Callable[[Case], None]:
    """Redirect the step: to itself, or elsewhere."""

    def cause(case: Case) -> None:
        def act() -> None:
            request = case.sim.requests[-1]
            url = target or f"{case.sim.url}{request.target}"
            case.sim.faults.add(
                request.method, "", status=status, times=times, headers={} if target == "-" else {"location": url}
            )

        case.hook(act)

    return cause


def revoked(case: Case) -> None:
    """Let the token expire at this step."""
    case.fault(times=None, status=401, message=texts.BAD_CREDENTIALS)

    def act() -> None:
        case.sim.faults.add(None, "", status=401, message=texts.BAD_CREDENTIALS, times=None)

    case.hook(act)


def changed(change: Callable[[Any], Any], *, times: int | None = None) -> Callable[[Case], None]:
    """Change the JSON of the answers, from this step on."""
    return simulated(times=times, action="change", change=change)


def entries(change: Callable[[dict[str, Any]], Any]) -> Callable[[Any], Any]:
    """Change the first entry of a list, or the one document."""

    def changing(found: Any) -> Any:
        if isinstance(found, list):
            return [change(dict(found[0])), *found[1:]] if found else found
        return change(dict(found))

    return changing


def without(*names: str) -> Callable[[Any], Any]:
    """Leave a field out."""
    return entries(lambda entry: {name: value for name, value in entry.items() if name not in names})


def having(**fields: Any) -> Callable[[Any], Any]:
    """Give a field another value."""
    return entries(lambda entry: entry | fields)


def with_tags(tags: Any) -> Callable[[Any], Any]:
    """Give the first container version another value in the place of its tags."""
    return having(metadata={"package_type": "container", "container": {"tags": tags}})


# --- somebody else at work ---


def pushes(case: Case) -> None:
    """Somebody pushes an image that the rules would select, if they saw it."""
    if case.package.type != "container":
        version = case.package.add_version("1.9.0", created_at=OLD)
        case.others.versions.add(version.id)
        return
    version = push_image(case.package, "pr-9", created_at=OLD)
    case.others.versions.add(version.id)
    case.others.tags.add(("container/app", "pr-9"))


def needs(case: Case) -> None:
    """Somebody pushes an image that needs a part of what goes."""
    if case.package.type != "container":
        return
    other = image_manifest(case.package, "other")
    known = set(case.package.versions)
    case.package.push(other)
    case.package.push(index(descriptor(other), seed="new"), INDEX, "new")
    case.others.versions |= set(case.package.versions) - known
    case.others.tags.add(("container/app", "new"))


def deletes(case: Case) -> None:
    """Somebody deletes a version that goes."""
    going = [v for v in case.package.active() if v.name.startswith("1.") or v.tags in (["pr-2"], ["v2"])]
    if going:
        case.others.versions.add(going[0].id)
        case.others.tags |= {("container/app", tag) for tag in going[0].tags}
        case.package.remove(going[0])


def retags(case: Case) -> None:
    """Somebody moves a tag that goes to an image that stays."""
    found = [version for version in case.package.active() if "v1" in version.tags or "v2" in version.tags]
    if found and case.package.type == "container":
        case.others.tags.add(("container/app", "pr-2"))
        case.others.tags.add(("container/app", "pr-3"))
        case.package.move_tag("pr-2", found[-1])


def shuffles(case: Case) -> None:
    """The lists come in another order."""
    case.sim.paging.configure(shuffle=case.sim.requests[-1].sequence)


def repeats(case: Case) -> None:
    """The pages overlap."""
    case.sim.paging.configure(duplicate=True)


# --- the machine ---


def fills_the_disk(case: Case) -> None:
    """The receipt cannot grow any more."""
    file = case.place.workspace / RECEIPT
    size = file.stat().st_size if file.exists() else 0
    resource.prlimit(case.process.pid, resource.RLIMIT_FSIZE, (size + 100, resource.RLIM_INFINITY))


def blocks_the_output(case: Case) -> None:
    """There is a folder in the place of the output file."""
    (case.place.workspace / "out.json").mkdir()


def stopped(number: signal.Signals) -> Callable[[Case], None]:
    """Send a signal when the request arrives."""
    return at_step(lambda case: case.signal(number))


def killed(*, done: bool) -> Callable[[Case], None]:
    """Kill the program when the request arrives, which is carried out or not."""

    def cause(case: Case) -> None:
        case.killed = True
        if not done:
            case.fault(action="close")
        case.hook(lambda: case.signal(signal.SIGKILL))

    return cause


EVERYWHERE = tuple(STEPS)
SECONDARY = texts.SECONDARY_LIMIT
TOO_MANY = '{"errors": [{"code": "TOOMANYREQUESTS", "message": "retry-after: 127.4ms, allowed: 44000/minute"}]}'


def fault(name: str, cause: Callable[[Case], None], at: Collection[str] = EVERYWHERE, **more: Any) -> Fault:
    """Make a row."""
    return Fault(name=name, cause=cause, at=at, **more)


ONCE = [
    fault("closed once", simulated(action="close")),
    fault("reset once", simulated(action="reset")),
    fault("done and closed", simulated(action="close-after")),
    fault("truncated once", simulated(action="truncate"), WITH_BODY),
    fault("stalled once", simulated(action="stall"), slow=True),
    fault("500 once", simulated(status=500)),
    fault("502 once", simulated(status=502, body="<html>Bad Gateway</html>")),
    fault("503 once", simulated(status=503)),
    fault("Server Error once", simulated(status=400, message="Server Error"), REST),
    fault("500 and done", simulated(status=500, action="respond-after")),
    fault("malformed JSON once", simulated(action="garbage"), WITH_BODY),
    fault("empty answer once", simulated(status=200, body=b""), WITH_BODY),
    fault("secondary limit, 403", limited(403, retry_after=True, message=SECONDARY), SAID),
    fault("secondary limit, 429", limited(429, retry_after=True, message=SECONDARY)),
    fault("secondary limit without a time", limited(403, retry_after=False, message=SECONDARY), SAID),
    fault("registry limit", simulated(status=429, body=TOO_MANY), REGISTRY),
    fault("primary limit", primary, SAID),
    fault("slow", time_passes(20)),
    fault("very slow", time_passes(600)),
    fault("301", redirected(301), REST),
    fault("307", redirected(307), REST),
    fault("308", redirected(308), REST),
]
REFUSALS = [
    ("401", 401, texts.BAD_CREDENTIALS, DENIED),
    ("403 scope", 403, texts.NEEDS_SCOPE.format(scope="read:packages", action="do this"), FORBIDDEN),
    ("403 integration", 403, texts.NOT_FOR_INTEGRATIONS, FORBIDDEN),
    ("403 SAML", 403, texts.SAML, FORBIDDEN),
    ("404 package", 404, texts.PACKAGE_NOT_FOUND, MISSING),
    ("404 version", 404, texts.VERSION_NOT_FOUND, MISSING),
    ("404", 404, texts.NOT_FOUND, MISSING),
    ("410", 410, "Gone", MISSING),
    ("400", 400, "Problems parsing JSON", REFUSED),
    # the registry does not say this; there it is a refusal as any other
    ("400 argument", 400, texts.INVALID_ARGUMENT, {**FORBIDDEN, "registry": REFUSED["registry"]}),
    ("409", 409, "Conflict", REFUSED),
    ("422", 422, "Validation Failed", REFUSED),
    ("418", 418, "I am a teapot", REFUSED),
    ("400 downloads", 400, texts.TOO_MANY_DOWNLOADS, SKIPPED),
    ("400 last tagged", 400, texts.LAST_TAGGED, SKIPPED),
    ("400 last version", 400, texts.LAST_VERSION, SKIPPED),
    ("403 exists", 403, texts.VERSION_TAKEN, FORBIDDEN),
]
FOR_EVER = [
    fault("refused connections", at_step(lambda case: case.sim.refuse_connections()), statuses=UNREACHABLE),
    fault("closed for ever", simulated(action="close", times=None), statuses=UNREACHABLE),
    fault("reset for ever", simulated(action="reset", times=None), statuses=UNREACHABLE),
    fault("done and closed for ever", simulated(action="close-after", times=None), statuses=UNREACHABLE),
    fault("500 for ever", simulated(status=500, times=None), statuses=UNREACHABLE),
    fault("500 and done for ever", simulated(status=500, action="respond-after", times=None), statuses=UNREACHABLE),
    fault("truncated for ever", simulated(action="truncate", times=None), WITH_BODY, statuses=UNREACHABLE),
    fault("malformed JSON for ever", simulated(action="garbage", times=None), WITH_BODY, statuses=UNREACHABLE),
    fault(
        "limited for ever",
        simulated(status=429, message=SECONDARY, times=None),
        statuses=WELL,
        more={"time-limit": "1h"},
    ),
    fault("token expires", revoked, statuses=DENIED),
    fault("302", redirected(302), statuses=FOLLOWED),
    fault("303", redirected(303), statuses=FOLLOWED),
    fault("redirect to another host", redirected(307, "https://example.invalid/x"), statuses=REFUSED),
    fault("redirect without a target", redirected(301, "-"), statuses=REFUSED),
    fault("redirect for ever", redirected(307, times=None), statuses=REFUSED),
    fault("307 of the registry", redirected(307), REGISTRY, statuses=REFUSED),
    *(
        fault(f"{name} once", simulated(status=status, message=message), WRITES, statuses=right)
        for name, status, message, right in REFUSALS
    ),
    *(
        fault(name, simulated(status=status, message=message, times=None), statuses=right)
        for name, status, message, right in REFUSALS
    ),
]
UNTRUE = [
    fault("204 and not done", simulated(status=204, body=b""), REST_WRITES, statuses=FAILED),
    fault("204 and never done", simulated(status=204, body=b"", times=None), REST_WRITES, statuses=FAILED),
    fault("200 and not done", simulated(status=200, body={"message": "ok"}), WRITES, statuses=FAILED),
    fault("202 and not done", simulated(status=202, body=b"{}"), WRITES, statuses=FAILED),
    fault("201 and not done", simulated(status=201, body=b""), ("put",), statuses=FAILED),
]
ODD = {
    "no id": (without("id"), (*LISTS, "version", "package", "packages")),
    "id a text": (having(id="7"), (*LISTS, "version", "package", "packages")),
    "id zero": (having(id=0), (*LISTS, "version", "package", "packages")),
    "id huge": (having(id=2**63), (*LISTS, "version", "package", "packages")),
    "id of another": (having(id=999), (*LISTS, "version", "package")),
    "no name": (without("name"), (*LISTS, "version", "package", "packages")),
    "name a number": (having(name=5), (*LISTS, "version", "package", "packages")),
    "name of another": (having(name="other"), (*LISTS, "version", "package", "packages")),
    "no times": (without("created_at", "updated_at"), (*LISTS, "version", "package", "packages")),
    "times a number": (having(created_at=5, updated_at=5), (*LISTS, "version", "package", "packages")),
    "no time at all": (having(created_at="soon", updated_at="never"), (*LISTS, "version")),
    "no metadata": (without("metadata"), (*LISTS, "version")),
    "metadata a list": (having(metadata=[]), (*LISTS, "version")),
    "tags a number": (with_tags(5), (*LISTS, "version")),
    "tags of numbers": (with_tags([5]), (*LISTS, "version")),
    "null": (lambda _: None, WITH_BODY),
    "a list": (lambda _: [], WITH_BODY),
    "an object": (lambda _: {}, WITH_BODY),
    "a text": (lambda _: "text", WITH_BODY),
    "a list of numbers": (lambda _: [5], WITH_BODY),
    "a list of nulls": (lambda _: [None], WITH_BODY),
    "an entry is missing": (lambda found: found[1:] if isinstance(found, list) else found, (*LISTS, "packages")),
    "no login": (without("login"), ("owner",)),
    "type unknown": (having(type="Robot"), ("owner",)),
    "another login": (having(login="other"), ("owner",)),
    "no token": (without("token"), ("token",)),
    "token a number": (having(token=5), ("token",)),
    "another token": (having(token="wrong"), ("token",)),
    "children a number": (having(manifests=5), ("manifest",)),
    "children of numbers": (having(manifests=[5]), ("manifest",)),
    "no children": (having(manifests=[]), ("manifest",)),
    "number a text": (having(number="1"), ("pulls",)),
    "state unknown": (having(state="asleep"), ("pulls",)),
    "no head": (without("head"), ("pulls",)),
    "head null": (having(head=None), ("pulls",)),
    "no branch name": (without("name"), ("branches",)),
    "repository renamed": (having(full_name="acme/other"), ("repository",)),
}
WRONG = [fault(f"JSON: {name}", changed(change), at, statuses=ODD_ANSWER) for name, (change, at) in ODD.items()]
WRONG += [
    fault(f"JSON once: {name}", changed(change, times=1), at, statuses=ODD_ANSWER)
    for name, (change, at) in ODD.items()
    if name in ("null", "an object", "no id", "no name", "tags a number", "an entry is missing")
]
SHIFTS = [
    fault("someone pushes", at_step(pushes), statuses=WELL),
    fault("someone needs a part", at_step(needs), statuses=WELL),
    fault("someone deletes", at_step(deletes), statuses=PERHAPS),
    fault("someone moves a tag", at_step(retags), statuses=WELL),
    fault("another order", at_step(shuffles)),
    fault("overlapping pages", at_step(repeats)),
]
MACHINE = [
    fault("full disk", at_step(fills_the_disk), statuses=FULL, on_terminal=True),
    fault("no output file", at_step(blocks_the_output), statuses=FAILED),
    fault("SIGINT", stopped(signal.SIGINT), statuses=STOPPED),
    fault("SIGTERM", stopped(signal.SIGTERM), statuses=STOPPED),
    fault("killed, not done", killed(done=False), statuses=WELL),
    fault("killed, done", killed(done=True), statuses=WELL),
]
FAULTS = [*ONCE, *FOR_EVER, *UNTRUE, *WRONG, *SHIFTS, *MACHINE]
