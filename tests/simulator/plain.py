"""A plain client for the simulator's own tests: no retries, no redirects, one token."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Self

import requests

from .simulator import Simulator

FULL = ("read:packages", "write:packages", "delete:packages", "repo")


class Client:
    """Sends what it is told, and follows nothing."""

    def __init__(self, simulator: Simulator, token: str | None = None) -> None:
        self.url = simulator.url
        self.session = requests.Session()
        if token is not None:
            self.session.headers["Authorization"] = f"Bearer {token}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.session.close()

    def __call__(self, method: str, path: str, **more: Any) -> requests.Response:
        """Send a request to a path, or to a whole URL."""
        url = path if path.startswith("http") else self.url + path
        return self.session.request(method, url, allow_redirects=False, timeout=10, **more)

    def refusal(self, method: str, path: str) -> tuple[int, str]:
        """Send what is refused; check the form of the error and give status and message back."""
        response = self(method, path)
        body = response.json()
        if body["status"] != str(response.status_code):
            raise AssertionError(f"status is {body['status']!r}")
        if not body["documentation_url"].startswith("https://docs.github.com/"):
            raise AssertionError(body["documentation_url"])
        return response.status_code, body["message"]

    def ids(self, path: str) -> list[int]:
        """Read a list and give the ids in it back."""
        response = self("GET", path)
        if response.status_code != 200:
            raise AssertionError(response.text)
        return [item["id"] for item in response.json()]

    def walk(self, path: str, per_page: int) -> list[int]:
        """Read all pages of a list, up to one that is not full."""
        found: list[int] = []
        chunk: list[int] = [0] * per_page
        while len(chunk) == per_page:
            page = len(found) // per_page + 1
            chunk = self.ids(f"{path}{'&' if '?' in path else '?'}per_page={per_page}&page={page}")
            found += chunk
        return found


ClientFactory = Callable[..., Client]


@contextmanager
def checked() -> Iterator[Simulator]:
    """Run a simulator with an organization and a full token ``tok``; fail if it broke the contract."""
    with Simulator() as simulator:
        simulator.add_owner("Acme")
        simulator.add_token("tok", login="octocat", scopes=FULL)
        yield simulator
    problems = [*map(str, simulator.contract_violations), *simulator.errors]
    if problems:
        raise AssertionError("\n".join(problems))


@contextmanager
def clients_of(simulator: Simulator) -> Iterator[ClientFactory]:
    """Make clients, and close them all in the end; the default token is ``tok``."""
    made: list[Client] = []

    def make(token: str | None = "tok") -> Client:
        made.append(Client(simulator, token))
        return made[-1]

    yield make
    for client in made:
        client.session.close()
