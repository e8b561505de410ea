"""Every error of the catalogue, provoked: the program says what is likely, how to fix it, and where more is."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from package_keeper.causes import Cause
from tests.scenarios.program import ROOT, SCALED, Ended, Place, time_of
from tests.simulator import Simulator
from tests.simulator.images import push_image
from tests.wire.secured import Trickling, certificate
from tests.wire.world import environment, furnished

PAGE = ROOT / "docs" / "troubleshooting.md"
LINK = "https://github.com/OWNER/package-keeper/blob/HEAD/docs/troubleshooting.md"
NOWHERE = "http://127.0.0.1:1"


@dataclass(frozen=True, kw_only=True)
class Case:
    """How to provoke a cause: inputs and environment, and a part of the symptom."""

    symptom: str
    inputs: dict[str, str] = field(default_factory=dict)
    extra: dict[str, str] = field(default_factory=dict)
    prepare: Callable[[Simulator], object] = lambda sim: None
    status: int = 2


def html(sim: Simulator) -> None:
    page = "<!DOCTYPE html><html><head><title>Sign in to your\naccount</title></head></html>"
    sim.faults.add("GET", "^/users/", status=200, body=page, times=None)


CASES = {
    Cause.DNS: Case(
        symptom="the connection to GitHub failed: the host name cannot be resolved",
        inputs={"api_url": "http://github.invalid", "owner_type": "auto"},
        status=5,
    ),
    Cause.PROXY: Case(
        symptom="the proxy refused the connection to GitHub: connection refused",
        inputs={"api_url": "http://github.invalid", "owner_type": "auto"},
        extra={"http_proxy": NOWHERE},
        status=5,
    ),
    Cause.UNREACHABLE: Case(
        symptom="the connection to GitHub failed: connection refused",
        inputs={"api_url": NOWHERE, "owner_type": "auto"},
        status=5,
    ),
    Cause.HTML: Case(
        symptom="an HTML page came instead of JSON (HTTP 200, 'Sign in to your account')",
        inputs={"owner_type": "auto"},
        prepare=html,
        status=5,
    ),
    Cause.OWNER: Case(symptom="owner: 'acem' is no account that", inputs={"owner": "acem", "owner_type": "auto"}),
    Cause.PACKAGE: Case(
        symptom="'ap' does not exist among the container packages of acme, or the token may not see it\n"
        "did you mean 'app'?",
        inputs={"package": "ap", "tags": "v*"},
        status=1,
    ),
    Cause.PACKAGE_TAG: Case(
        symptom="write the name alone: app, and tags: v1", inputs={"package": "app:v1", "tags": "v1"}
    ),
    Cause.CHECKOUT: Case(
        symptom="policy: 'policy.yml' does not exist in the workspace; the workspace is empty",
        inputs={"policy": "policy.yml"},
    ),
    Cause.NO_MATCH: Case(
        symptom="tags: 'pr-.*' matches none of the 2 tags in scope; a regular expression stands between slashes: "
        "/pr-.*/",
        inputs={"tags": "pr-.*"},
        status=0,
    ),
    Cause.NO_OPERATION: Case(
        symptom="dry-run: 'false': the operation list writes nothing; write operation: delete",
        inputs={"operation": "", "tags": "v*"},
    ),
    Cause.TOKEN_EMPTY: Case(symptom="token: empty", inputs={"token": "", "tags": "v*"}),
    Cause.CREDENTIALS: Case(symptom="Bad credentials", inputs={"token": "ghp_wrong", "tags": "v*"}, status=4),
    Cause.SCOPE: Case(
        symptom="You need at least delete:packages scope",
        inputs={"token": "reader", "tags": "v*"},
        prepare=lambda sim: sim.add_token("reader", scopes=["read:packages"]),
        status=4,
    ),
    Cause.ADMIN_ROLE: Case(
        symptom="Resource not accessible by integration",
        inputs={"token": "job", "tags": "v*"},
        prepare=lambda sim: sim.add_token("job", kind="actions", login="github-actions[bot]", admin_on=["other"]),
        status=4,
    ),
    Cause.SAML: Case(
        symptom="Resource protected by organization SAML enforcement",
        inputs={"token": "sso", "tags": "v*"},
        prepare=lambda sim: sim.add_token("sso", sso_required_for=["acme"]),
        status=4,
    ),
    Cause.LISTING: Case(
        symptom="Invalid argument. (HTTP 400)",
        inputs={"token": "job", "package": "*", "tags": "v*"},
        prepare=lambda sim: sim.add_token("job", kind="actions", login="github-actions[bot]", admin_on=["app"]),
        status=4,
    ),
}


def provoke(case: Case, place: Place) -> Ended:
    # minutes of retries last seconds
    with Simulator(time_scale=30) as sim:
        furnished(sim)
        package = sim.add_package("acme", "container", "app")
        for tag in ("v1", "stays"):
            push_image(package, tag, created_at="2026-01-01T00:00:00Z")
        case.prepare(sim)
        variables = environment(sim, place, **({} if "policy" in case.inputs else {"tags": "v*"}) | case.inputs)
        variables["INPUT_REGISTRY-URL"] = sim.registry_url
        return place.run(time_of(sim), variables | case.extra, SCALED)


def said(ended: Ended) -> str:
    return "\n".join(text for texts in ended.annotations.values() for text in texts)


@pytest.mark.parametrize("cause", list(CASES), ids=lambda cause: cause.name)
def test_an_error_says_what_is_likely_how_to_fix_it_and_where_more_is(cause: Cause, place: Place) -> None:
    case = CASES[cause]
    ended = provoke(case, place)
    assert ended.status == case.status, ended.said
    text = said(ended)
    assert case.symptom in text
    assert cause.value.text(f"{LINK}#{cause.value.anchor}") in text
    assert text.count("likely: ") == 1


def test_a_private_certificate_is_named_at_once_and_accepted_when_its_authority_is_given(place: Place) -> None:
    for bundle in ({}, {"REQUESTS_CA_BUNDLE": certificate()}):
        with Trickling() as server, Simulator() as sim:
            variables = environment(sim, place, api_url=server.url, owner_type="auto", tags="v*", time_limit="4s")
            ended = place.end(place.start([], variables | bundle))
        text = said(ended)
        assert ended.status == 5
        if bundle:
            assert "did not answer in time" in text
            continue
        assert "the TLS connection to GitHub failed: self" in text
        assert Cause.TLS.value.text(f"{LINK}#the-tls-certificate-is-not-trusted") in text
        assert "trying again" not in ended.stdout


def test_every_cause_has_a_heading_with_its_anchor_and_a_test() -> None:
    headings = re.findall(r"^### (.+)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert [cause.name for cause in Cause if cause.value.title not in headings] == []
    assert set(Cause) - CASES.keys() == {Cause.TLS}


def test_links_lead_to_the_version_of_the_action_in_use(place: Place) -> None:
    runner = {
        "GITHUB_SERVER_URL": "https://github.example",
        "GITHUB_ACTION_REPOSITORY": "tools/keeper",
        "GITHUB_ACTION_REF": "v0.3",
    }
    case = Case(symptom="", inputs={"token": ""}, extra=runner)
    assert "more: https://github.example/tools/keeper/blob/v0.3/docs/troubleshooting.md#the-token-is-empty" in said(
        provoke(case, place)
    )


@pytest.mark.parametrize(("name", "hint"), [("left-pad", "'left-pad' exists as npm: package-type: npm"), ("zzz", "")])
def test_a_missing_package_is_found_in_another_type(name: str, hint: str, sim: Simulator, place: Place) -> None:
    sim.add_package("acme", "npm", "left-pad").add_version("1.0.0")
    ended = place.run([], environment(sim, place, package=name, tags="v*"))
    (text,) = ended.annotations["error"]
    assert ended.status == 1
    assert (hint or "exist as") in text if hint else "exists as" not in text and "did you mean" not in text


@pytest.mark.parametrize(("package", "plan"), [("none-*", False), ("app", True)])
def test_a_dry_run_offers_to_carry_out_a_plan_only_when_there_is_one(
    package: str, plan: bool, sim: Simulator, place: Place
) -> None:
    sim.add_package("acme", "npm", "app").add_version("1.0.0")
    sim.package("acme", "npm", "app").add_version("2.0.0")
    ended = place.run([], environment(sim, place, package_type="npm", package=package, versions="1.*", dry_run="true"))
    assert ("With dry-run: false the plan is carried out." in ended.said) is plan
    assert "This was a dry run: nothing was written." in ended.said
