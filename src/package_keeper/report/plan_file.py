"""The plan file: what a run sets out to do, every decision that led there, and the checks that it passed.

A plan holds a digest of its own text, so that an edited or truncated one can be told (docs/reference.md, "Plan file").
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from package_keeper.model.packages import Owner, PackageName, Version
from package_keeper.model.plan import Decision, PlannedWrite
from package_keeper.model.run import Run
from package_keeper.settings import Settings

SCHEMA = 1
_SEAL = re.compile(r',"digest":"(sha256:[0-9a-f]{64})"\}\n')


def plan_document(run: Run, settings: Settings, owner: Owner, inputs: Mapping[str, str], tool: str) -> dict[str, Any]:
    """The plan of a run that passed the guards, without its digest.

    `inputs` are those that were given, as written, without the token. `tool` names the program and its version.
    """
    return {
        "schema": SCHEMA,
        "kind": "plan",
        "tool": tool,
        "made-at": _time(settings.rules.now),
        "owner": owner.login,
        "owner-type": owner.type,
        "operation": settings.operation,
        "inputs": dict(sorted(inputs.items())),
        "on-last-version": settings.guards.on_last_version,
        "packages": [
            {"package-type": package.type, "package": package.name, "id": package.id} for package in run.scope.packages
        ],
        "checks": [
            {"name": check.name, "counted": check.counted, "problems": list(check.problems)}
            for check in run.checks or ()
        ],
        "bytes": run.bytes_planned,
        "writes": list(_writes(run)),
        "decisions": [_decision(decision) for decision in run.plan.decisions],
    }


def sealed(text: str) -> str:
    """The text of a plan with the digest of itself. `text` is one JSON object on one line."""
    # a file that is no UTF-8 has surrogates in its text, and is no plan of ours
    digest = hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()
    return f'{text[:-1]},"digest":"sha256:{digest}"}}\n'


def is_sealed(text: str) -> bool:
    """Whether the text of a plan has the digest of itself: it was neither edited nor truncated."""
    found = _SEAL.search(text, max(len(text) - 100, 0))
    return found is not None and found.end() == len(text) and sealed(f"{text[: found.start()]}}}") == text


def _writes(run: Run) -> Iterator[dict[str, Any]]:
    for number, group in enumerate(run.plan.groups, start=1):
        for write in group:
            yield {
                "action": write.action,
                "kind": write.kind,
                "reason": write.why,
                **_package(write.package),
                **(_version(write.version) if write.version is not None else _known(write)),
                "tag": write.tag,
                "root": write.root,
                "after": sorted(write.after),
                "expected": write.expected,
                "image": number,
                **({"versions": list(map(_version, write.contains))} if write.contains else {}),
            }


def _decision(decision: Decision) -> dict[str, Any]:
    return {
        **_package(decision.version.package),
        **_version(decision.version),
        "decision": decision.action,
        "reason": decision.why,
        "root": decision.root.name if decision.root else None,
    }


def _package(package: PackageName) -> dict[str, Any]:
    return {"package-type": package.type, "package": package.name}


def _version(version: Version) -> dict[str, Any]:
    return {
        "id": version.id,
        "name": version.name,
        "tags": list(version.tags) if version.tags_known else None,
        "created_at": _time(version.created_at),
        "updated_at": _time(version.updated_at),
    }


def _known(write: PlannedWrite) -> dict[str, Any]:
    """What is known of a version that stands in a receipt alone, or of a whole package."""
    name = write.version_name or write.package.name
    return {"id": write.version_id, "name": name, "tags": list(write.tags), "created_at": None, "updated_at": None}


def _time(moment: datetime | None) -> str | None:
    return moment.isoformat().replace("+00:00", "Z") if moment is not None else None
