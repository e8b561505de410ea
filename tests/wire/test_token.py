"""The token reaches the API and the registry that the inputs name, and nothing else; a run leaves no trace of it.

Every kind of run, at `debug`, against servers that try to get at the token: they lead to a bystander on another port by
redirects, links, addresses in answers and the realm of the registry, and repeat the token in whatever they say. All
connections, processes and files of the program are noted by `tests/program/watched.py`.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest

from package_keeper.errors import BASIC_USER
from tests.program import watched
from tests.scenarios.program import Ended, Place
from tests.simulator import Simulator, push_image
from tests.wire.machinery import Scripted, answer

TOKEN = "ghp_T0ken+of/a~test_=?&%41"
BASIC = base64.b64encode(f"{BASIC_USER}:{TOKEN}".encode()).decode()
BASE64 = base64.b64encode(TOKEN.encode()).decode()
FORMS = (TOKEN, quote(TOKEN, safe=""), quote(TOKEN), BASE64, BASE64.rstrip("=")[:-1], BASIC, json.dumps(TOKEN)[1:-1])
SENT = {f"Bearer {TOKEN}", f"token {TOKEN}", f"Bearer {BASE64}", f"Basic {BASIC}"}
"""How the token may be sent."""
MASK = "::add-mask::"
OLD = "2026-01-01T00:00:00Z"
ECHO = f"You sent Authorization: Bearer {TOKEN}, Basic {BASIC}, {BASE64} and ?token={quote(TOKEN, safe='')}"
FILES = {
    "log-level": "debug",
    "output-file": "out/all.json",
    "summary-file": "out/summary.md",
    "plan-out": "out/plan.json",
    "manifest-cache": "cache",
    "receipt": "out/receipt.jsonl",
}
CLEAN = {"operation": "delete", "package": "app", "older-than": "1d", "keep-used-in": "deploy.yml", "dry-run": "false"}
WEB = {"package": "web", "package-type": "npm"}
RUNS: dict[str, dict[str, str]] = {
    "list": {"operation": "list", "package-type": "npm,container", "package": "*", "query": "SELECT * FROM versions"},
    "packages": {"operation": "list", "package-type": "npm"},
    "conflicts": {"operation": "conflicts", "package-type": "docker"},
    "verify": {"operation": "verify", "package": "app"},
    "delete": CLEAN | {"tag-status": "untagged"},
    "gone": CLEAN | {"gone": "pr-{pull-request}", "partial-match": "untag"},
    "gone, soon over": CLEAN | {"gone": "pr-{pull-request}", "time-limit": "2s"},
    "untag": CLEAN | {"tags": "pr-*", "partial-match": "untag"},
    "policy": CLEAN | {"policy": "policy.yml", "older-than": ""},
    "plan": CLEAN
    | {"package": "web", "package-type": "npm", "versions": "1.0.*", "dry-run": "true", "plan-out": "p.json"},
    "apply": {"operation": "apply", "plan": "p.json", "dry-run": "false", "plan-out": ""},
    "repair": {"operation": "repair", "package": "app", "dry-run": "false"},
    "restore": {"operation": "restore", "package": "app", "versions": "*", "dry-run": "false"},
    "delete-package": {"operation": "delete-package", "package": "web", "package-type": "npm", "dry-run": "false"},
    "restore-package": {"operation": "restore-package", "package": "old", "package-type": "npm", "dry-run": "false"},
    "owner": {"operation": "list", "owner-type": "auto", "package": "app"},
    "bad input": {"operation": "delete", "package": f"app,{TOKEN}", "tags": f"{TOKEN} x", "owner": TOKEN},
}
POLICY = "version: 1\nrules: [{name: all, match: {tags: ['pr-*']}, delete: all}]\n"


@pytest.fixture
def bystander() -> Iterator[Scripted]:
    with Scripted(
        [answer(200, b'{"token": "mine", "id": 1, "full_name": "acme/app", "default_branch": "main"}')]
    ) as other:
        yield other


@pytest.fixture
def sim(bystander: Scripted) -> Iterator[Simulator]:
    with Simulator() as simulator:
        furnish(simulator, bystander.url)
        yield simulator
        assert simulator.errors == []


def furnish(sim: Simulator, elsewhere: str) -> None:
    """Packages of which GitHub tells the token, and addresses of somebody else."""
    sim.add_owner("acme")
    sim.add_token(TOKEN)
    said: dict[str, Any] = {name: f"{elsewhere}/{name}" for name in ("url", "html_url", "package_html_url")}
    said |= {"description": ECHO, "license": TOKEN}
    repository = sim.add_repository("acme", "app")
    repository.add_pull(1, "gone")
    for name in ("web", "old"):
        package = sim.add_package("acme", "npm", name)
        for number in range(3):
            package.add_version(f"1.{number}.0", created_at=OLD, **said)
        if name == "old":
            package.delete()
    package = sim.add_package("acme", "container", "app", repository="app")
    for tag in ("v1", "pr-1", None):
        version = push_image(package, tag, seed=f"{tag}", platforms=["linux/amd64"], created_at=OLD)
        version.extra.update(said)
    package.remove(push_image(package, "away", seed="away", created_at=OLD))
    both = push_image(package, "pr-1", seed="both", created_at=OLD)
    package._move("v2", both)


def redirecting(status: int, method: str, path: str) -> Callable[[Simulator, str], None]:
    def apply(sim: Simulator, elsewhere: str) -> None:
        sim.faults.add(method, path, status=status, headers={"Location": f"{elsewhere}/{path.strip('/')}"}, times=None)

    return apply


def linking(sim: Simulator, elsewhere: str) -> None:
    links = f'<{elsewhere}/list?page=2>; rel="next", <{elsewhere}/list?page=9>; rel="last"'
    sim.faults.add(
        "GET", r"/(versions|packages|pulls|branches|tags)(\?|$)", status=200, body=[], headers={"Link": links}
    )


def naming_a_realm(sim: Simulator, elsewhere: str) -> None:
    challenge = f'Bearer realm="{elsewhere}/token",service="x",scope="repository:acme/app:pull"'
    sim.faults.add(None, "/v2/", status=401, headers={"WWW-Authenticate": challenge}, times=None)


def asking_for_basic(sim: Simulator, elsewhere: str) -> None:
    challenge = f'Bearer realm="{sim.url}/token",service="x",scope="repository:acme/app:pull"'
    sim.faults.add(None, "/v2/", status=401, headers={"WWW-Authenticate": challenge}, times=2)


def telling_addresses(sim: Simulator, elsewhere: str) -> None:
    """The repository as PyGithub reads it: with addresses of all its parts."""
    parts = {f"{name}_url": f"{elsewhere}/{name}" for name in ("branches", "pulls", "tags", "git_refs", "html")}
    body = {"id": 1, "full_name": "acme/app", "default_branch": "main", "url": f"{elsewhere}/repos/acme/app", **parts}
    sim.faults.add("GET", "/repos/acme/app$", status=200, body=body, times=None)


def repeating(status: int, method: str, path: str) -> Callable[[Simulator, str], None]:
    def apply(sim: Simulator, elsewhere: str) -> None:
        sso = f"required; url={elsewhere}/sso?token={quote(TOKEN, safe='')}".replace("http:", "https:")
        headers = {"X-GitHub-SSO": sso, "X-Echo": TOKEN}
        sim.faults.add(method, path, status=status, message=f"SAML: {ECHO}", headers=headers, times=None)

    return apply


TRAPS: dict[str, tuple[Callable[[Simulator, str], None], tuple[str, ...]]] = {
    "none": (lambda sim, elsewhere: None, tuple(RUNS)),
    "301 of reads": (redirecting(301, "GET", "/packages"), ("list", "delete")),
    "302 of reads": (redirecting(302, "GET", "/packages"), ("packages", "restore")),
    "307 of writes": (redirecting(307, "DELETE", "/versions/"), ("delete",)),
    "308 of restorations": (redirecting(308, "POST", "/restore"), ("restore", "restore-package")),
    "302 of manifests": (redirecting(302, "GET", "/v2/"), ("verify", "delete")),
    "307 of the registry": (redirecting(307, "PUT", "/v2/"), ("untag",)),
    "301 of the repository": (redirecting(301, "GET", "/repos/"), ("gone",)),
    "302 of the repository": (redirecting(302, "GET", "/repos/"), ("gone, soon over",)),
    "307 of the owner": (redirecting(307, "GET", "/(users|orgs)/acme$"), ("owner",)),
    "links": (linking, ("list", "gone")),
    "a realm": (naming_a_realm, ("verify", "untag")),
    "an own realm": (asking_for_basic, ("verify", "untag")),
    "addresses": (telling_addresses, ("gone", "list")),
    "the token in refusals of reads": (repeating(403, "GET", "/packages"), ("list", "delete")),
    "the token in refusals of writes": (repeating(400, "DELETE", "/"), ("delete", "delete-package")),
    "the token in refusals of restorations": (repeating(403, "POST", "/"), ("restore", "restore-package")),
    "the token in refusals of the registry": (repeating(403, "GET", "/v2/"), ("verify", "untag")),
    "the token in refusals of the repository": (repeating(403, "GET", "/repos/"), ("gone",)),
}
"""What servers do to get at the token, and the runs that meet it."""


def run(sim: Simulator, place: Place, inputs: dict[str, str]) -> tuple[Ended, list[Any]]:
    """One run, and what it did beyond itself."""
    (place.workspace / "deploy.yml").write_text("image: ghcr.io/acme/app:v1\n", "utf-8")
    (place.workspace / "policy.yml").write_text(POLICY, "utf-8")
    # requests would prefer this to the header that carries the token
    (place.runner / ".netrc").write_text("machine 127.0.0.1 login evil password evil\n", "utf-8")
    (place.runner / ".netrc").chmod(0o600)
    given = {"token": TOKEN, "owner": "acme", "owner-type": "organization", "api-url": sim.url, **FILES, **inputs}
    notes = place.runner / "notes"
    notes.unlink(missing_ok=True)
    surroundings = place.action_environment(given) | {"WATCHED": str(notes)}
    ended = place.run([], surroundings, Path(watched.__file__))
    return ended, [json.loads(line) for line in notes.read_text("utf-8").splitlines()]


def traces(place: Place, ended: Ended) -> list[str]:
    """Where a run left the token, in whatever form."""
    log = "\n".join(line for line in ended.said.splitlines() if not line.startswith(MASK))
    left = {"log": log}
    for folder in (place.workspace, place.runner):
        left |= {str(file): file.read_bytes().decode(errors="replace") for file in folder.rglob("*") if file.is_file()}
    return [f"{name}: {form}" for name, text in left.items() for form in FORMS if form in text]


@pytest.mark.parametrize("trap", TRAPS)
def test_the_token_goes_nowhere_else_and_is_left_nowhere(
    sim: Simulator, place: Place, bystander: Scripted, trap: str
) -> None:
    set_up, runs = TRAPS[trap]
    set_up(sim, bystander.url)
    address = [urlsplit(sim.url).hostname, urlsplit(sim.url).port]
    for name in runs:
        ended, notes = run(sim, place, RUNS[name])
        said = f"{name}: {ended.said}"
        assert ended.status in (0, 1, 2, 4, 5), said
        assert ("Traceback" in ended.said, "defect" in ended.said) == (False, False), said
        assert traces(place, ended) == [], said
        assert bystander.requests == [], said
        assert {tuple(what) for event, what in notes if event == "socket.connect"} <= {tuple(address)}, said
        assert [note for note in notes if note[0] in watched.PROCESSES] == [], said
        inside = (str(place.workspace), str(place.output_file()), str(place.summary_file()), ":memory:", "/dev/null")
        opened = [what for event, what in notes if event == "open" or event in watched.FILES]
        assert [what for what in opened if not what.startswith(inside)] == [], said
    assert {request.headers.get("authorization") for request in sim.requests if not request.is_registry} <= SENT
    # the registry has given out bearer tokens of its own
    asked = [request for request in sim.requests if request.path == "/token"]
    assert {request.headers.get("authorization") for request in asked} <= {f"Basic {BASIC}"}
    assert not any(form in request.target for request in sim.requests for form in FORMS)
    if trap == "none":
        done = {(request.method, request.path.split("/")[1]) for request in sim.requests if request.status < 300}
        assert done >= {("DELETE", "orgs"), ("POST", "orgs"), ("PUT", "v2"), ("GET", "v2"), ("GET", "repos")}


def test_the_command_line_leaves_no_token_either(sim: Simulator, place: Place) -> None:
    repeating(403, "GET", "/versions")(sim, "http://127.0.0.1:9")
    arguments = ["list", "--owner", "acme", "--package", "app", "--versions", "*", "--api-url", sim.url]
    surroundings = place.terminal_environment({"GH_TOKEN": TOKEN})
    for more in ([], ["--format", "json"], ["--token", TOKEN], [f"--token={TOKEN}"], [TOKEN], ["--tags", TOKEN]):
        ended = place.run([*arguments, *more, "--log-level", "debug"], surroundings)
        assert ended.status in (1, 2, 4)
        assert traces(place, ended) == [], ended.said
