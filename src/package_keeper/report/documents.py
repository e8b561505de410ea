"""The run as JSON: the result document, and the outputs of the step.

Packages and versions have every field of GitHub's schemas, and what was decided and done. Outputs are cut to the size
that GitHub accepts; `_Array` and `_share` divide the room among them.
"""

import itertools
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

from package_keeper.model.images import ImageReference, VerifiedImage
from package_keeper.model.packages import Package, PackageName, Version
from package_keeper.model.plan import Action, Decision, PlannedWrite, Reason, WriteKind, WriteRecord
from package_keeper.model.run import Run
from package_keeper.report.counts import count
from package_keeper.settings import Operation, Settings

MOST_JOBS = 256
"""The most jobs that GitHub accepts in a matrix (docs/github-behaviour.md, "The Actions runner")."""

OUTPUT_LIMIT = 1_000_000
"""The most bytes of all outputs of a step together, in UTF-16. GitHub allows 1 MB a job, counted that way
(docs/github-behaviour.md, "The Actions runner")."""

_NOT_ASCII = re.compile(r"[^ -~]")


def result_document(run: Run, settings: Settings | None) -> dict[str, Any]:
    """The whole result by the names of the outputs; nothing is cut."""
    return {
        "schema": 1,
        "operation": settings.operation if settings is not None else "",
        "dry-run": settings is not None and settings.operation.writes and settings.dry_run,
        "owner": run.owner.login if run.owner else None,
        "owner-type": run.owner.type if run.owner else None,
        "result": run.result,
        **count(run, settings).by_output(),
        "bytes-freed": run.bytes_freed,
        "packages": list(packages(run)),
        "versions": list(versions(run, settings)),
        "kept": [] if settings is not None and settings.lists_versions else list(_kept(run)),
        "used": [_reference_document(reference) for reference in run.references],
        "matrix": package_matrix(run),
        "rows": run.rows or [],
        "plan": run.plan_file,
        "plan-sha256": run.plan_sha256,
        "receipt": run.receipt,
        "file": run.output_file,
        "messages": list(run.messages),
    }


def outputs(run: Run, settings: Settings | None) -> dict[str, str]:
    """The outputs of the step. JSON arrays are cut after a whole entry when they exceed GitHub's limit."""
    found = {"result": run.result} | {name: str(number) for name, number in count(run, settings).by_output().items()}
    found["bytes-freed"] = "" if run.bytes_freed is None else str(run.bytes_freed)
    found |= {"plan": run.plan_file, "plan-sha256": run.plan_sha256, "receipt": run.receipt, "file": run.output_file}
    arrays = {"packages": packages(run), "versions": versions(run, settings), "rows": run.rows or ()}
    room = OUTPUT_LIMIT - sum(map(_size, [*found.values(), "false", *("[]" for _ in arrays)]))
    matrix_text = dumps(package_matrix(run))
    cut_matrix = _size(matrix_text) > room
    # a cut matrix would silently leave out packages
    found["matrix"] = "" if cut_matrix else matrix_text
    room -= _size(found["matrix"])
    texts = [_Array(entries, room) for entries in arrays.values()]
    _share(texts, room)
    found |= {name: str(text) for name, text in zip(arrays, texts, strict=True)}
    return found | {"truncated": "true" if cut_matrix or any(text.is_cut for text in texts) else "false"}


def dumps(document: object) -> str:
    """Encode JSON as in outputs: compact, on one line, without escapes for non-ASCII text."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))


def printable(document: object) -> str:
    """Encode JSON for a log or terminal: without control characters, and without `##[`, a command to the runner."""
    text = dumps(document).replace("##[", "#\\u0023[")
    return _NOT_ASCII.sub(lambda found: found[0] if found[0].isprintable() else json.dumps(found[0])[1:-1], text)


def package_matrix(run: Run) -> dict[str, Any]:
    """The packages in scope as a matrix for the jobs of a workflow."""
    named = dict.fromkeys(write.package for write in run.plan.writes if write.kind is WriteKind.PACKAGE)
    return matrix(run.scope.packages, named)


def matrix(packages: Iterable[Package], named: Iterable[PackageName] = ()) -> dict[str, Any]:
    """The packages as the `include` of a matrix: one entry each, or several names in an entry beyond 256 packages.

    Each entry has one `package-type`. `named` are packages of which only the name is known.
    """
    names: dict[str, list[str]] = {}
    for key in sorted({*named, *(package.key for package in packages)}, key=lambda key: (key.type, key.name)):
        names.setdefault(str(key.type), []).append(key.name)
    size = next(
        size for size in itertools.count(1) if sum(-(-len(each) // size) for each in names.values()) <= MOST_JOBS
    )
    return {
        "include": [
            {"package": ",".join(each[start : start + size]), "package-type": kind}
            for kind, each in names.items()
            for start in range(0, len(each), size)
        ]
    }


def packages(run: Run) -> Iterator[dict[str, Any]]:
    """The packages in scope, and those of which an operation on whole packages knows only the name."""
    decided: dict[PackageName, dict[str, Any]] = {}
    for write, record in _written(run):
        if write.kind is WriteKind.PACKAGE:
            decided[write.package] = _decided(write, record)
    for package in run.scope.packages:
        yield package_document(package) | decided.pop(package.key, {})
    for key, decision in decided.items():
        yield {"name": key.name, "package_type": key.type} | decision


def versions(run: Run, settings: Settings | None) -> Iterator[dict[str, Any]]:
    """The versions listed, planned or acted on."""
    if settings is not None and settings.lists_versions:
        for decision in run.listed:
            yield (
                version_document(decision.version)
                | _decision(decision, decided=settings.explains)
                | ({} if run.image_sizes is None else {"bytes": run.image_sizes.get(decision.version.id)})
            )
    elif settings is not None and settings.operation is Operation.VERIFY:
        for image in sorted(run.verified, key=lambda image: not image.is_broken):
            yield _verified(image)
    else:
        for write, record in _written(run):
            if write.kind is not WriteKind.PACKAGE:
                yield _write_document(write) | _decided(write, record)


def package_document(package: Package) -> dict[str, Any]:
    """One package with every field of the REST schema."""
    return {
        "id": package.id,
        "name": package.name,
        "package_type": package.type,
        "owner": package.owner,
        "version_count": package.version_count,
        "visibility": package.visibility,
        "url": package.url,
        "html_url": package.html_url,
        "created_at": _time(package.created_at),
        "updated_at": _time(package.updated_at),
        "repository": package.repository,
    }


def version_document(version: Version) -> dict[str, Any]:
    """One version with every field of the REST schema, and its package and tags."""
    return {
        "id": version.id,
        "name": version.name,
        "description": version.description,
        "license": version.license,
        "created_at": _time(version.created_at),
        "updated_at": _time(version.updated_at),
        "deleted_at": _time(version.deleted_at),
        "url": version.url,
        "html_url": version.html_url,
        "package_html_url": version.package_html_url,
        "metadata": version.metadata,
        "package": version.package.name,
        "package-type": version.package.type,
        "tags": _tags(version),
    }


def _tags(version: Version) -> list[str] | None:
    """The tags, or `None` when GitHub does not tell all of them."""
    return list(version.tags) if version.tags_known else None


def _written(run: Run) -> Iterator[tuple[PlannedWrite, WriteRecord | None]]:
    """The writes with their records, or the planned writes when there are no records, as in a dry run."""
    if run.records:
        yield from ((record.write, record) for record in run.records)
    else:
        yield from ((write, None) for write in run.plan.writes)


def _verified(image: VerifiedImage) -> dict[str, Any]:
    missing = [
        {
            "digest": part.digest,
            "platform": part.platform or None,
            "restorable": part.deleted is not None,
            "version-id": part.deleted.id if part.deleted else None,
            "restorable-until": _time(part.restorable_until),
        }
        for part in image.missing
    ]
    found: dict[str, Any] = {"decision": Action.KEEP, "reason": Reason.NOT_SELECTED, "broken": image.is_broken}
    found |= {
        "missing": missing,
        "unreadable": image.unreadable,
        "bytes": image.size,
        "remedy": image.remedy,
        "repairable-until": _time(image.repairable_until),
        "rebuild": list(image.to_rebuild),
        "source": image.origin.source or None,
        "revision": image.origin.revision or None,
    }
    return version_document(image.root) | found


def _decision(decision: Decision, *, decided: bool = True) -> dict[str, Any]:
    if not decided:
        return {"decision": "", "reason": ""}
    found: dict[str, Any] = {"decision": decision.action, "reason": decision.why}
    if decision.rule:
        found["rule"] = decision.rule
    if decision.root is not None:
        found["root"] = decision.root.name
    if decision.where:
        found["where"] = decision.where
    return found


def _kept(run: Run) -> Iterator[dict[str, Any]]:
    """Every version that stays, without the fields of GitHub's schema."""
    for decision in run.plan.decisions:
        if decision.action is not Action.KEEP:
            continue
        version = decision.version
        yield {
            "package": version.package.name,
            "package-type": version.package.type,
            "id": version.id,
            "name": version.name,
            "tags": _tags(version),
            **_decision(decision),
        }


def _reference_document(reference: ImageReference) -> dict[str, Any]:
    return {
        "text": reference.text,
        "place": reference.place,
        "package": reference.package,
        "tag": reference.tag,
        "digest": reference.digest,
        "whole-package": reference.whole,
    }


def _write_document(write: PlannedWrite) -> dict[str, Any]:
    if write.version is not None:
        return version_document(write.version)
    # a receipt tells only this of a version
    return {
        "id": write.version_id,
        "name": write.version_name,
        "description": None,
        "license": None,
        "created_at": None,
        "updated_at": None,
        "deleted_at": None,
        "url": None,
        "html_url": None,
        "package_html_url": None,
        "metadata": None,
        "package": write.package.name,
        "package-type": write.package.type,
        "tags": list(write.tags),
    }


def _decided(write: PlannedWrite, record: WriteRecord | None) -> dict[str, Any]:
    decided: dict[str, Any] = {"decision": write.action, "reason": write.why}
    if write.rule:
        decided["rule"] = write.rule
    if write.root is not None:
        decided["root"] = write.root
    if write.tag is not None:
        decided["tag"] = write.tag
    if record is None and write.expected is not None:
        decided["expected"] = write.expected
    if record is not None:
        decided["outcome"] = record.outcome
        if record.message:
            decided["message"] = record.message
    return decided


class _Array:
    """A JSON array that is cut to as many leading entries as there is room for."""

    def __init__(self, entries: Iterable[dict[str, Any]], most: int) -> None:
        self._texts: list[str] = []
        self._taken = 0
        self.wanted = 0
        """The size of all entries. Once it exceeds `most`, later entries are not counted."""
        for entry in entries:
            self._texts.append(dumps(entry))
            self.wanted += self._cost(len(self._texts) - 1)
            if self.wanted > most:
                break

    def take(self, room: int) -> int:
        """Take the next entries that fit into `room`, and return the room that is left."""
        while self.is_cut and self._cost(self._taken) <= room:
            room -= self._cost(self._taken)
            self._taken += 1
        return room

    @property
    def is_cut(self) -> bool:
        """Whether entries are cut."""
        return self._taken < len(self._texts)

    def _cost(self, place: int) -> int:
        return _size(self._texts[place]) + (_size(",") if place else 0)

    def __str__(self) -> str:
        """The array as JSON."""
        return f"[{','.join(self._texts[: self._taken])}]"


def _share(arrays: Sequence[_Array], room: int) -> None:
    """Give each array an equal share of `room`. What one array does not need goes to the others."""
    smallest_first = sorted(arrays, key=lambda array: array.wanted)
    for place, array in enumerate(smallest_first):
        share = room // (len(arrays) - place)
        room -= share - array.take(share)
    for array in smallest_first:
        room = array.take(room)


def _size(text: str) -> int:
    return len(text.encode("utf-16-le", errors="surrogatepass"))


def _time(moment: datetime | None) -> str | None:
    return moment.isoformat().replace("+00:00", "Z") if moment else None
