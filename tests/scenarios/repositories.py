"""The part `repositories` of a world: `app: {branches: main x, tags: v1, issues: 3, pulls: {4: closed y}}`.

A repository belongs to `acme` unless its name has an owner, and is private unless `private` says otherwise. A pull
request is `open HEAD` or `closed HEAD`, where needed followed by `from OWNER/NAME` (a fork that is still there),
`from a deleted fork` or `from a deleted account`. `5-70: closed topic/{number}` are as many pull requests. `releases`
are tags; `v2=draft` and `v2-rc=prerelease` are no ordinary ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tests.simulator import Owner, Repository, Simulator

KEYS = {"branches", "tags", "issues", "pulls", "private", "releases"}
STRANGER = "stranger"


def find(simulator: Simulator, name: str) -> Repository:
    """Find a repository by the name that a case uses, or make it."""
    owner, _, last = name.rpartition("/")
    return simulator.add_repository(owner or "acme", last)


def add(simulator: Simulator, name: str, given: Mapping[str, Any]) -> None:
    """Put a repository there."""
    if unknown := given.keys() - KEYS:
        raise ValueError(f"repository {name}: unknown {', '.join(sorted(unknown))}")
    repository = find(simulator, name)
    repository.private = {"true": True, "false": False}[given.get("private", "true")]
    for kind in ("branches", "tags"):
        if kind in given:
            setattr(repository, kind, [each for text in given[kind].split() for each in _several(text)])
    for text in given.get("releases", "").split():
        tag, _, kind = text.partition("=")
        repository.releases.append((tag, kind))
    repository.issues.update(map(int, given.get("issues", "").split()))
    for numbers, text in given.get("pulls", {}).items():
        first, _, last = numbers.partition("-")
        for number in range(int(first), int(last or first) + 1):
            _add_pull(simulator, repository, number, text.replace("{number}", str(number)))


def do(simulator: Simulator, name: str, words: Sequence[str]) -> None:
    """Act in a repository as somebody else would: `close 7` (its branch goes), `push topic`, `drop topic`."""
    repository = find(simulator, name)
    match words:
        case ["push", branch]:
            repository.branches.append(branch)
        case ["drop", branch]:
            repository.branches.remove(branch)
        case ["close", number]:
            (pull,) = [pull for pull in repository.pulls if str(pull.number) == number]
            repository.close_pull(pull)
            if not pull.fork:
                repository.branches.remove(pull.head)
        case _:
            raise ValueError(f"nobody can {' '.join(words)} in a repository")


def _several(text: str) -> list[str]:
    """`topic/{1-120}` is as many branches; everything else is one."""
    start, brace, rest = text.partition("{")
    if not brace:
        return [text]
    numbers, _, end = rest.partition("}")
    first, last = map(int, numbers.split("-"))
    return [f"{start}{number}{end}" for number in range(first, last + 1)]


def _add_pull(simulator: Simulator, repository: Repository, number: int, text: str) -> None:
    state, head, *origin = text.split()
    if state not in ("open", "closed"):
        raise ValueError(f"a pull request is open or closed, not {state}")
    match origin:
        case []:
            repository.add_pull(number, head, state)
        case ["from", "a", "deleted", "fork", *of_own_account]:
            owner = repository.owner if of_own_account else _account(simulator)
            repository.add_pull(number, head, state, fork=True, fork_owner=owner)
        case ["from", "a", "deleted", "account"]:
            repository.add_pull(number, head, state, fork=True)
        case ["from", name]:
            _account(simulator)
            fork = find(simulator, name)
            fork.private = repository.private
            repository.add_pull(number, head, state, fork_repository=fork)
        case _:
            raise ValueError(f"a pull request cannot come {' '.join(origin)}")


def _account(simulator: Simulator) -> Owner:
    return simulator.store.owners.get(STRANGER) or simulator.add_owner(STRANGER, "User")
