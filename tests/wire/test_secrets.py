"""A server that echoes the token in what it says: nothing that the run leaves behind holds it.

The real program runs as a process; its log, outputs and summary, and every file of the workspace, are looked through.
"""

from __future__ import annotations

import base64
from typing import Any

import pytest

from tests.scenarios.program import Place, receipt_lines
from tests.simulator import Simulator
from tests.wire.test_budgets import NPM, run, versions
from tests.wire.world import TOKEN

MASK = "::add-mask::"
ENCODED = base64.b64encode(TOKEN.encode()).decode()
SSO = {"X-GitHub-SSO": f"required; url=https://github.com/orgs/acme/sso?authorization_request={TOKEN}"}
ECHOES: dict[str, dict[str, Any]] = {
    "message": {"status": 400, "message": f"Authorization: Bearer {TOKEN}\n::error::{TOKEN}"},
    "scope": {"status": 403, "message": f"the token {TOKEN} lacks a scope"},
    "single sign-on": {"status": 403, "message": f"protected by organization SAML {TOKEN}", "headers": SSO},
    "redirect": {"status": 302, "headers": {"Location": f"https://user:{TOKEN}@github.com/{TOKEN}"}},
    "limit": {"status": 429, "message": f"rate limit of {TOKEN}", "headers": {"Retry-After": "1"}},
    "no message": {"status": 422, "body": f"<html>{TOKEN} {ENCODED}</html>"},
}


@pytest.mark.parametrize("echo", ECHOES)
def test_a_token_that_is_echoed_is_left_nowhere(sim: Simulator, place: Place, echo: str) -> None:
    versions(sim, 4)
    sim.faults.add("DELETE", "/versions/", **ECHOES[echo])
    ended = run(sim, place, **NPM, log_level="debug", output_file="report.json")
    lines = [line for line in (ended.stdout + ended.stderr).splitlines() if not line.startswith(MASK)]
    left = {"log": "\n".join(lines), "summary": ended.summary, "outputs": "\n".join(ended.outputs.values())}
    left |= {str(file): file.read_text("utf-8") for file in place.workspace.rglob("*") if file.is_file()}
    assert len(left) >= 5, "with a receipt and a report"
    assert [name for name, text in left.items() if TOKEN in text or ENCODED in text] == []
    if "SAML" in ECHOES[echo].get("message", ""):
        messages = [line.get("message", "") for line in receipt_lines(place.workspace / ended.outputs["receipt"])]
        assert any("https://github.com/orgs/acme/sso?authorization_request=***" in text for text in messages)
