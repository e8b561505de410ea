"""Which variables have a known value; a modified variable has none."""

from __future__ import annotations

import pytest

from package_keeper.inputs.reference_context import ANY, value_of


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("${{ github.repository }}", "acme/clean"),
        ("${{github.event.repository.full_name}}", "acme/clean"),
        ("${{ env.GITHUB_REPOSITORY }}", "acme/clean"),
        ("$GITHUB_REPOSITORY", "acme/clean"),
        ("${GITHUB_REPOSITORY}", "acme/clean"),
        ("${GITHUB_REPOSITORY,,}", "acme/clean"),
        ("${GITHUB_REPOSITORY@L}", "acme/clean"),
        ("$env:GITHUB_REPOSITORY", "acme/clean"),
        ("${env:GITHUB_REPOSITORY}", "acme/clean"),
        ("%GITHUB_REPOSITORY%", "acme/clean"),
        ("${GITHUB_REPOSITORY#*/}", "clean"),
        ("${GITHUB_REPOSITORY##*/}", "clean"),
        ("${GITHUB_REPOSITORY%/*}", "acme"),
        ("${{ github.event.repository.name }}", "clean"),
        ("${{ github.repository_owner }}", "acme"),
        ("${{ github.event.repository.owner.login }}", "acme"),
        ("${GITHUB_REPOSITORY_OWNER,,}", "acme"),
        # anything may come of these
        ("${GITHUB_REPOSITORY/\\//-}", None),
        ("${GITHUB_REPOSITORY#acme/}", None),
        ("${GITHUB_REPOSITORY:-acme/app}", None),
        ("${GITHUB_REPOSITORY:0:4}", None),
        ("${GITHUB_REPOSITORY_OWNER:0:2}", None),
        ("${{ github.repository || 'acme/app' }}", None),
        ("{{ github.repository }}", None),
        ("${{ github.repositoryUrl }}", None),
        ("${{ github.actor }}", None),
        ("${{ inputs.repository }}", None),
        ("$REPOSITORY", None),
    ],
)
def test_a_variable_has_the_value_of_the_run_or_is_unknown(written: str, value: str | None) -> None:
    assert value_of(written, login="acme", repository="acme/clean") == value
    # elsewhere only the owner may be ours
    elsewhere = None if value is None else value.replace("clean", ANY)
    assert value_of(written, login="acme", repository="") == elsewhere
