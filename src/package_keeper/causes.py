"""The catalogue of errors that users can fix: for each its symptom, the likely causes in order, and a fix to paste.

docs/troubleshooting.md has a heading for each, which is its title; tests/wire/test_causes.py provokes each. An error or
a problem with an input refers to its cause; the log adds the advice, once a run.
"""

import re
from enum import Enum
from typing import Self

from msgspec import Struct

PAGE = "troubleshooting.md"
"""The page in `docs/` with the headings."""


class Advice(Struct, frozen=True, kw_only=True):
    """What a log says about a cause. `fix` may be empty, where the message itself has it."""

    title: str
    likely: tuple[str, ...]
    fix: str = ""

    @property
    def anchor(self) -> str:
        """What GitHub makes of the heading."""
        return re.sub(r"[^\w\- ]", "", self.title.lower()).replace(" ", "-")

    def text(self, link: str) -> str:
        """The advice, with the address of the section about it."""
        likely = [f"likely: {'; or '.join(self.likely)}"]
        fix = ["fix:", *(f"  {line}" for line in self.fix.splitlines())] if self.fix else []
        return "\n".join([*likely, *fix, f"more: {link}"])


class Cause(Enum):
    """The causes. Their texts are here alone."""

    TLS = Advice(
        title="The TLS certificate is not trusted",
        likely=(
            "a private certificate authority signed it, as is usual on GitHub Enterprise Server",
            "a proxy on the way opens TLS connections with a certificate of its own",
            "the host in api-url or registry-url is another one, or its certificate is expired",
        ),
        fix="env:\n  REQUESTS_CA_BUNDLE: ${{ github.workspace }}/ca.pem  # the certificates of your authority",
    )
    DNS = Advice(
        title="The host name cannot be resolved",
        likely=(
            "the host in api-url or registry-url is misspelt",
            "this machine reaches other hosts through a proxy only",
            "the name service of the network does not know the host",
        ),
        fix="env:\n  https_proxy: http://proxy.example:3128",
    )
    PROXY = Advice(
        title="The proxy cannot be used",
        likely=(
            "the address in https_proxy is wrong, or nothing answers there",
            "the proxy asks for a user and a password, or does not let requests to this host pass",
            "the host is reached without a proxy, and no_proxy does not name it",
        ),
        fix="env:\n  https_proxy: http://USER:PASSWORD@proxy.example:3128\n  no_proxy: github.example",
    )
    UNREACHABLE = Advice(
        title="GitHub cannot be reached",
        likely=(
            "GitHub or the network between has an incident (https://www.githubstatus.com); run again later",
            "the host or port in api-url is wrong",
            "a firewall drops the connections of this machine",
        ),
    )
    HTML = Advice(
        title="An HTML page came instead of JSON",
        likely=(
            "api-url is the address of the website; that of GitHub Enterprise Server ends in /api/v3",
            "a proxy or a login page answers instead of GitHub",
        ),
        fix="with:\n  api-url: https://github.example/api/v3  # or https://api.github.com",
    )
    OWNER = Advice(
        title="The owner does not exist",
        likely=(
            "owner is misspelt; it is an account, such as acme, without a repository",
            "api-url is another GitHub than the one with this account",
            "the account is hidden from this token",
        ),
        fix="with:\n  owner: acme\n  api-url: https://api.github.com  # GitHub Enterprise Server: https://HOST/api/v3",
    )
    PACKAGE = Advice(
        title="The package does not exist",
        likely=(
            "the name is misspelt; it has no owner, host or tag",
            "it is a package of another type",
            "the token may not see it, or it belongs to another owner",
        ),
        fix="with:\n  operation: list  # without package, it shows the names\n  package-type: container",
    )
    PACKAGE_TAG = Advice(
        title="A tag was given with the package",
        likely=("package has a whole image reference; the name of a package has no tag and no digest",),
        fix="with:\n  package: app\n  tags: v1",
    )
    CHECKOUT = Advice(
        title="The file is not in the workspace",
        likely=(
            "the repository was not checked out before this step",
            "the path is not relative to the workspace, or misspelt",
            "an earlier step or job wrote the file elsewhere",
        ),
        fix="- uses: actions/checkout@v7  # before this step; needs permissions: contents: read",
    )
    NO_MATCH = Advice(
        title="A pattern matches nothing",
        likely=(
            "it is misspelt, or has other capitals",
            "it is a regular expression, which stands between slashes: /^v[0-9]+$/",
            "there is nothing to match today",
        ),
        fix="with:\n  operation: list  # shows the names that a pattern can match",
    )
    NO_OPERATION = Advice(
        title="`dry-run: false` without an operation that writes",
        likely=("operation is missing, and list is the default",),
        fix="with:\n  operation: delete\n  dry-run: false",
    )
    TOKEN_EMPTY = Advice(
        title="The token is empty",
        likely=(
            "the secret does not exist, or has another name",
            "the event may not read secrets, as those of forks and Dependabot",
            "on a command line, neither GH_TOKEN nor GITHUB_TOKEN is set: GH_TOKEN=$(gh auth token)",
        ),
        fix="with:\n  token: ${{ github.token }}",
    )
    CREDENTIALS = Advice(
        title="The token is not accepted",
        likely=(
            "it is expired or revoked; the token of an app lives one hour",
            "it belongs to another GitHub than that of api-url",
        ),
    )
    SCOPE = Advice(
        title="A scope is missing",
        likely=("the classic token was made without it",),
    )
    ADMIN_ROLE = Advice(
        title="The permission to write is missing",
        likely=(
            "the repository does not have the Admin role on the package",
            "the job has no permissions: packages: write, or runs for a fork",
            "the token is fine-grained, which the Packages API does not accept",
        ),
    )
    SAML = Advice(
        title="The token is not authorized for single sign-on",
        likely=("the organization enforces SAML single sign-on, and the token's owner has not authorized it there",),
    )
    LISTING = Advice(
        title="Container packages cannot be listed",
        likely=("GITHUB_TOKEN and app tokens may not list them; an exact name in package needs no list",),
        fix="with:\n  package: |\n    app\n    team/service",
    )


class Caused(str):
    """A problem with an input whose cause is in the catalogue."""

    __slots__ = ("cause",)

    cause: Cause

    def __new__(cls, text: str, cause: Cause) -> Self:
        """Make the text of a problem, with its cause."""
        made = super().__new__(cls, text)
        made.cause = cause
        return made


def causes_of(problems: "list[str]") -> tuple[Cause, ...]:
    """The causes of problems, each once, in their order."""
    return tuple(dict.fromkeys(problem.cause for problem in problems if isinstance(problem, Caused)))
