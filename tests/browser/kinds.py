"""The kinds of run whose summaries are looked at: worlds of the simulator, and the real program at work in them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.hostile import TEXTS
from tests.scenarios.program import Place
from tests.simulator import Package, Simulator
from tests.simulator.images import push_image
from tests.wire.timed import DIRECTED
from tests.wire.world import TOKEN, furnished

DIRECTED_KINDS = ("many", "permissions")
BOTH = ("linux/amd64", "linux/arm64")
WORKFLOW = ".github/workflows/clean.yml"
UPLOAD = """\
      - uses: actions/upload-artifact@v7
        with: {path: "${{ steps.keeper.outputs.receipt }}"}
"""
POLICY = """\
version: 1
rules:
  - name: releases stay
    match: {tags: ["v*"]}
    keep: all
  - name: nightlies
    match: {tags: ["nightly-*"]}
    keep: {latest: 3}
  - name: leftovers
    match: {tag-status: untagged}
    delete: {older-than: 2d}
"""


def summary_of(kind: str, folder: Path) -> str:
    """The summary of one kind of run."""
    with Simulator() as sim:
        place = Place.below(folder)
        inputs = {"token": TOKEN, "operation": "delete", "package": "app", "dry-run": "false"}
        inputs |= {name.replace("_", "-"): text for name, text in KINDS[kind](furnished(sim), place).items()}
        sim.limits.configure(points_per_minute=None, primary=None)
        surroundings = place.action_environment(
            inputs,
            {
                "GITHUB_API_URL": sim.url,
                "GITHUB_SERVER_URL": "https://github.com",
                "GITHUB_ACTION_REPOSITORY": "OWNER/package-keeper",
                "GITHUB_ACTION_REF": "v0",
                "GITHUB_WORKFLOW_REF": f"acme/clean/{WORKFLOW}@refs/heads/main",
            },
        )
        # the program sends no more than 180 deletions a minute: thousands take no time where a test directs the clock
        directed = ([str(place.runner / "passed")], surroundings, DIRECTED)
        ended = place.run(*directed) if kind in DIRECTED_KINDS else place.run([], surroundings)
        assert "Traceback" not in ended.said, ended.said
        assert ended.summary, ended.said
        return ended.summary


def _ago(days: float) -> str:
    return (datetime.now(UTC) - timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")


def _images(sim: Simulator, name: str, number: int) -> Package:
    """A package with releases, nightlies and leftovers."""
    package = sim.add_package("acme", "container", name, repository=name.partition("/")[0])
    for place in range(number):
        day = 7.0 * (number - place)
        push_image(
            package, f"v1.{place}.0", seed=f"{name} {place}", platforms=BOTH, attested=True, created_at=_ago(day)
        )
        push_image(package, f"nightly-{place}", seed=f"{name} n{place}", platforms=BOTH, created_at=_ago(day - 1))
        push_image(package, None, seed=f"{name} u{place}", created_at=_ago(day - 2))
    return package


def _four_packages(sim: Simulator, place: Place) -> dict[str, str]:
    for name in ("web", "api", "worker", "tools/backup"):
        _images(sim, name, 6)
    return {"package": "*", "tags": "nightly-*", "keep_latest": "2", "older_than": "10d"}


def dry(sim: Simulator, place: Place) -> dict[str, str]:
    return _four_packages(sim, place) | {"dry_run": "true", "plan_out": "plan.json"}


def real(sim: Simulator, place: Place) -> dict[str, str]:
    return _four_packages(sim, place) | {"output_file": "result.json"}


def refusals(sim: Simulator, place: Place) -> dict[str, str]:
    popular = sim.add_package("acme", "npm", "popular", visibility="public", repository="popular")
    for number in range(6):
        popular.add_version(f"1.{number}.0", downloads=9_000 if number < 3 else 10, created_at=_ago(90 - number))
    alone = sim.add_package("acme", "npm", "alone", repository="alone")
    for number in range(3):
        alone.add_version(f"0.{number}.0", created_at=_ago(80 - number))
    odd = sim.add_package("acme", "npm", "odd", repository="odd")
    for number in range(6):
        odd.add_version(f"3.{number}.0", created_at=_ago(70 - number))
    sim.faults.add("DELETE", "/npm/odd/versions/", status=400, message="Something went wrong on our side.", times=3)
    return {"package": "*", "package_type": "npm", "versions": "*", "older_than": "30d"}


def mixed(sim: Simulator, place: Place) -> dict[str, str]:
    """Most of it works; one package lacks the Admin role, and some versions have too many downloads."""
    (place.workspace / WORKFLOW).parent.mkdir(parents=True)
    (place.workspace / WORKFLOW).write_text(UPLOAD, "utf-8")
    for name in ("web", "api", "worker"):
        _images(sim, name, 6)
    popular = sim.add_package("acme", "container", "base", visibility="public", repository="base")
    for number in range(4):
        image = push_image(popular, f"nightly-{number}", seed=f"base {number}", created_at=_ago(60 - number))
        image.downloads = 9_000 if number < 1 else 10
    sim.add_token("not-all", admin_on=["web", "worker", "base"])
    return {"token": "not-all", "package": "*", "tags": "nightly-*", "keep_latest": "2", "older_than": "10d"}


def nothing(sim: Simulator, place: Place) -> dict[str, str]:
    _images(sim, "app", 3)
    return {"tags": "nightly-*", "older_than": "1y"}


def many(sim: Simulator, place: Place) -> dict[str, str]:
    package = sim.add_package("acme", "npm", "app", repository="app")
    for number in range(3_010):
        package.add_version(f"1.0.{number}", created_at=_ago(400 - number / 10))
    return {"package_type": "npm", "versions": "*", "keep_latest": "10"}


def permissions(sim: Simulator, place: Place) -> dict[str, str]:
    sim.add_token("no-admin", kind="actions", admin_on=[], permissions=None)
    for number in range(170):
        package = sim.add_package("acme", "npm", f"service-{number}", repository=f"service-{number}")
        for minor in range(3):
            package.add_version(f"1.{minor}.0", created_at=_ago(60 - minor))
    names = ",".join(f"service-{number}" for number in range(170))
    return {"token": "no-admin", "package": names, "package_type": "npm", "versions": "1.0.*"}


def broken(sim: Simulator, place: Place) -> dict[str, str]:
    for name in ("web", "api"):
        package = _images(sim, name, 8)
        for version in package.active():
            if "v1.2.0" in version.tags or "nightly-3" in version.tags:
                part = next(each for each in package.active() if each.id == version.id - 1)
                package.remove(part)
    return {"operation": "verify", "package": "*", "dry_run": ""}


def policy(sim: Simulator, place: Place) -> dict[str, str]:
    (place.workspace / "policy.yml").write_text(POLICY, "utf-8")
    for name in ("web", "api"):
        _images(sim, name, 8)
    return {"package": "*", "policy": "policy.yml"}


def untag(sim: Simulator, place: Place) -> dict[str, str]:
    package = sim.add_package("acme", "container", "app", repository="app")
    for number in range(4):
        image = push_image(package, f"pr-{number}", seed=str(number), platforms=BOTH, created_at=_ago(50 - number))
        package.move_tag(f"v{number}", image)
    return {"tags": "pr-*", "partial_match": "untag"}


def hostile(sim: Simulator, place: Place) -> dict[str, str]:
    image = sim.add_package("acme", "docker", "image")
    image.add_version("2.0.0", tags=("v2",), created_at=_ago(60))
    for number, text in enumerate(TEXTS.values()):
        package = sim.add_package("acme", "npm", text)
        for version in (text, "2.0.0"):
            package.add_version(version, description=text, created_at=_ago(90))
        image.add_version(text, tags=(text, f"v1-{number}"), description=text, created_at=_ago(90))
        sim.faults.add("DELETE", "/versions/", status=400, body={"message": text})
    return {"package": "*", "package_type": "npm,docker", "versions": "*", "output_file": "all.json"}


def bad_inputs(sim: Simulator, place: Place) -> dict[str, str]:
    return {"older_than": "30m", "keep_latest": "many", "tagz": "v*", "limit": "-1"}


def problems(sim: Simulator, place: Place) -> dict[str, str]:
    for number in range(40):
        sim.add_package("acme", "npm", f"service-{number}").add_version("1.0.0", created_at=_ago(60))
    message = "Resource protected by organization SAML enforcement. You must grant your token access."
    headers = {"X-GitHub-SSO": "required; url=https://github.com/orgs/acme/sso?authorization_request=ABC"}
    sim.faults.add("GET", "/versions", status=403, message=message, headers=headers, times=None)
    return {"package": "*", "package_type": "npm", "versions": "1.*"}


def listed(sim: Simulator, place: Place) -> dict[str, str]:
    _images(sim, "app", 20)
    return {"operation": "list", "package": "*", "dry_run": ""}


KINDS: dict[str, Callable[[Simulator, Place], dict[str, str]]] = {
    "dry": dry,
    "real": real,
    "mixed": mixed,
    "refusals": refusals,
    "nothing": nothing,
    "many": many,
    "permissions": permissions,
    "broken": broken,
    "policy": policy,
    "untag": untag,
    "hostile": hostile,
    "bad-inputs": bad_inputs,
    "problems": problems,
    "list": listed,
}
