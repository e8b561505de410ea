"""Ready-made worlds, for demo, benchmarks, and for pointing other tools at the simulator."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import TYPE_CHECKING

from .images import image_manifest, push_image, push_referrer

if TYPE_CHECKING:
    from collections.abc import Callable

    from .simulator import Simulator

TOKEN = "ghp_simulated"
ACTIONS_TOKEN = "ghs_simulated"
PLATFORMS = ("linux/amd64", "linux/arm64")
AGES = (1, 2, 5, 9, 16, 30, 45, 70, 120, 200, 365, 700)


def empty(simulator: Simulator) -> None:
    """Prepare an organization `acme` and a user `octocat`, and nothing in them."""
    simulator.add_owner("acme", "Organization")
    simulator.add_owner("octocat", "User")
    simulator.add_token(TOKEN, login="octocat")
    simulator.add_token(ACTIONS_TOKEN, kind="actions", login="github-actions[bot]")


def demo(simulator: Simulator) -> None:
    """Prepare a dozen versions of each type, pull-request, nightly and attested images, a popular package."""
    empty(simulator)
    _flat_packages(simulator)
    _application(simulator)
    popular = simulator.add_package("acme", "nuget", "Popular", visibility="public", repository="popular")
    for number, age in enumerate(reversed(AGES)):
        downloads = 7_214 if number == 4 else 10 * number
        popular.add_version(f"2.{number}.0", created_at=_ago(simulator, age), downloads=downloads)
    conflicting = simulator.add_package("acme", "docker", "conflicting", repository="legacy", conflict=True)
    conflicting.add_version("1.0", created_at=_ago(simulator, 900), tags=["1.0"])
    for name in ("dotfiles", "toolbox"):
        package = simulator.add_package("octocat", "container", name, visibility="public")
        for age in AGES[:6]:
            push_image(package, f"v{age}", seed=f"{name} {age}", created_at=_ago(simulator, age))


def pages(simulator: Simulator) -> None:
    """Prepare 250 packages, and one of them with 1,203 versions: more than a page of everything."""
    empty(simulator)
    for number in range(250):
        package = simulator.add_package("acme", "npm", f"package-{number:03}", repository="monorepo")
        for patch in range(1_203 if number == 0 else 2):
            package.add_version(f"1.0.{patch}", created_at=_ago(simulator, 1_300 - patch))


def _ago(simulator: Simulator, days: float) -> str:
    return simulator.clock.stamp(-timedelta(days=days))


def _flat_packages(simulator: Simulator) -> None:
    names = {
        "npm": "left-pad",
        "maven": "com.acme.core",
        "rubygems": "acme",
        "nuget": "Acme.Core",
        "docker": "legacy/app",
    }
    for kind, name in names.items():
        package = simulator.add_package("acme", kind, name, repository=kind, created_at=_ago(simulator, 800))
        for number, age in enumerate(reversed(AGES)):
            version = f"1.{number}.0" + ("-beta.1" if number % 4 == 3 else "")
            tags = [version] if kind == "docker" else []
            package.add_version(version, created_at=_ago(simulator, age), tags=tags, downloads=age)
        if kind == "docker":
            package.add_version("docker-base-layer", created_at=_ago(simulator, 800), docker_key="tag")


def _application(simulator: Simulator) -> None:
    """Add `acme/app`: releases, nightlies, pull requests, some closed, and what builds leave behind."""
    app = simulator.add_package("acme", "container", "app", visibility="private", repository="app")
    repository = simulator.add_repository("acme", "app")
    repository.branches += ["feature/open"]
    for number, age in enumerate((400, 200, 90, 10)):
        tag = f"v1.{number}.0"
        release = push_image(app, tag, platforms=PLATFORMS, attested=True, created_at=_ago(simulator, age))
        repository.tags.append(tag)
        push_referrer(app, release, "fallback", created_at=_ago(simulator, age))
        if number == 3:
            push_referrer(app, release, "sig", created_at=_ago(simulator, age))
            app.push(*app.manifests[release.name], "latest", _ago(simulator, age))
    for age in range(14, 0, -1):
        push_image(app, f"nightly-{_ago(simulator, age)[:10]}", created_at=_ago(simulator, age))
    for number in range(11, 23):
        is_open = number > 19
        repository.add_pull(number, "feature/open" if is_open else f"feature/{number}", "open" if is_open else "closed")
        push_image(app, f"pr-{number}", platforms=PLATFORMS, created_at=_ago(simulator, 3 * (24 - number)))
    for number, age in enumerate((60, 61, 62)):
        app.push(image_manifest(app, f"leftover {number}"), created_at=_ago(simulator, age))
    shades = random.Random(7)
    service = simulator.add_package("acme", "container", "team/service", visibility="internal", repository="app")
    for age in AGES:
        push_image(
            service,
            f"build-{shades.randrange(10_000)}",
            seed=f"service {age}",
            created_at=_ago(simulator, age),
        )


SCENARIOS: dict[str, Callable[[Simulator], None]] = {"empty": empty, "demo": demo, "pages": pages}
