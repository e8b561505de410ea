"""The run as JSON: every field of GitHub's schemas, and what was decided and done."""

import itertools
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from package_keeper.model.images import VerifiedImage
from package_keeper.model.packages import Package, PackageName, Version
from package_keeper.model.words import Action, Reason
from package_keeper.policy.evaluation import Decision
from package_keeper.policy.images_in_use import ImageReference
from package_keeper.policy.planning import PlannedWrite, WriteKind, WriteRecord
from package_keeper.report.contents import Contents, count

MOST_JOBS = 256
"""GitHub takes no matrix of more jobs (docs/github-behaviour.md, "The Actions runner")."""


def matrix(packages: Iterable[Package], named: Iterable[PackageName] = ()) -> dict[str, Any]:
    """The packages as `include` of a matrix, an entry each; beyond 256 they are grouped, several names in an entry.

    An entry has one `package-type`. `named` are packages that are known by name alone.
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


OUTPUT_LIMIT = 1_000_000
"""Bytes in UTF-16 that all outputs of a step may take together; GitHub allows a job 1 MB (docs/github-behaviour.md,
"The Actions runner"), counted that way."""


def result_document(contents: Contents) -> dict[str, Any]:
    """The whole result under the names of the outputs, with nothing cut."""
    return {
        "schema": 1,
        "operation": contents.operation,
        "dry-run": contents.dry_run,
        "owner": contents.owner.login if contents.owner else None,
        "owner-type": contents.owner.type if contents.owner else None,
        "result": contents.result,
        **count(contents).by_output(),
        "packages": list(packages(contents)),
        "versions": list(versions(contents)),
        "kept": [] if contents.listed is not None else list(_kept(contents)),
        "used": [_used_document(reference) for reference in contents.used],
        "matrix": package_matrix(contents),
        "rows": contents.rows or [],
        "receipt": contents.receipt,
        "file": contents.file,
        "messages": list(contents.messages),
    }


def outputs(contents: Contents) -> dict[str, str]:
    """The outputs of the step. JSON arrays are cut after a whole entry where GitHub's limit demands it."""
    found = {"result": contents.result} | {name: str(number) for name, number in count(contents).by_output().items()}
    found |= {"receipt": contents.receipt, "file": contents.file}
    arrays = {"packages": packages(contents), "versions": versions(contents), "rows": contents.rows or ()}
    room = OUTPUT_LIMIT - sum(map(_size, [*found.values(), "false", *("[]" for _ in arrays)]))
    matrix_text = dumps(package_matrix(contents))
    cut_matrix = _size(matrix_text) > room
    # part of a matrix would leave out packages without a word
    found["matrix"] = "" if cut_matrix else matrix_text
    room -= _size(found["matrix"])
    texts = [_Array(entries, room) for entries in arrays.values()]
    _share(texts, room)
    found |= {name: str(text) for name, text in zip(arrays, texts, strict=True)}
    return found | {"truncated": "true" if cut_matrix or any(text.is_cut for text in texts) else "false"}


def dumps(document: object) -> str:
    """Write JSON as it stands in outputs: compact, one line, other scripts readable."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))


def printable(document: object) -> str:
    """The same JSON for a log, where `##[` would be a command to the runner."""
    return dumps(document).replace("##[", "#\\u0023[")


def package_matrix(contents: Contents) -> dict[str, Any]:
    """The packages in scope for the jobs of a workflow."""
    named = dict.fromkeys(write.package for write in contents.plan.writes if write.kind is WriteKind.PACKAGE)
    return matrix(contents.packages, named)


def packages(contents: Contents) -> Iterator[dict[str, Any]]:
    """The packages in scope, and those that an operation on whole packages knows by name alone."""
    decided: dict[PackageName, dict[str, Any]] = {}
    for write, record in _written(contents):
        if write.kind is WriteKind.PACKAGE:
            decided[write.package] = _decided(write, record)
    for package in contents.packages:
        yield package_document(package) | decided.pop(package.key, {})
    for key, decision in decided.items():
        yield {"name": key.name, "package_type": key.type} | decision


def versions(contents: Contents) -> Iterator[dict[str, Any]]:
    """The versions listed, planned or acted on."""
    if contents.listed is not None:
        for decision in contents.listed:
            yield _listed(decision, decided=contents.explained)
        return
    if contents.checked is not None and contents.operation == "verify":
        for image in sorted(contents.checked, key=lambda image: not image.is_broken):
            yield _checked(image)
        return
    for write, record in _written(contents):
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
    """The tags, or nothing where GitHub does not tell all of them."""
    return list(version.tags) if version.tags_known else None


def _written(contents: Contents) -> Iterator[tuple[PlannedWrite, WriteRecord | None]]:
    """What was acted on, or, in a dry run or before an early end, what was planned."""
    if contents.records:
        yield from ((record.write, record) for record in contents.records)
    else:
        yield from ((write, None) for write in contents.plan.writes)


def _checked(image: VerifiedImage) -> dict[str, Any]:
    missing = [
        {
            "digest": part.digest,
            "restorable": part.deleted is not None,
            "version-id": part.deleted.id if part.deleted else None,
            "restorable-until": _time(part.restorable_until),
        }
        for part in image.missing
    ]
    found: dict[str, Any] = {"decision": Action.KEEP, "reason": Reason.NOT_SELECTED, "broken": image.is_broken}
    return version_document(image.root) | found | {"missing": missing, "unreadable": image.unreadable}


def _listed(decision: Decision, *, decided: bool) -> dict[str, Any]:
    if not decided:
        return version_document(decision.version) | {"decision": "", "reason": ""}
    found: dict[str, Any] = {"decision": decision.action, "reason": decision.why}
    if decision.rule:
        found["rule"] = decision.rule
    if decision.root is not None:
        found["root"] = decision.root.name
    return version_document(decision.version) | found


def _kept(contents: Contents) -> Iterator[dict[str, Any]]:
    """Every version that stays, in short, with the reason."""
    for decision in contents.plan.decisions:
        if decision.action is not Action.KEEP:
            continue
        version = decision.version
        kept: dict[str, Any] = {
            "package": version.package.name,
            "package-type": version.package.type,
            "id": version.id,
            "name": version.name,
            "tags": _tags(version),
            "decision": decision.action,
            "reason": decision.why,
        }
        if decision.rule:
            kept["rule"] = decision.rule
        if decision.root is not None:
            kept["root"] = decision.root.name
        yield kept


def _used_document(reference: ImageReference) -> dict[str, Any]:
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
    unknown: Mapping[str, Any] = dict.fromkeys(
        (
            "description",
            "license",
            "created_at",
            "updated_at",
            "deleted_at",
            "url",
            "html_url",
            "package_html_url",
            "metadata",
        )
    )
    return {
        "id": write.version_id,
        "name": write.version_name,
        **unknown,
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
    if record is None and write.refusal is not None:
        decided["expected"] = write.refusal
    if record is not None:
        decided["outcome"] = record.outcome
        if record.message:
            decided["message"] = record.message
    return decided


class _Array:
    """A JSON array of as many leading entries as it is given room for."""

    def __init__(self, entries: Iterable[dict[str, Any]], most: int) -> None:
        self._texts: list[str] = []
        self._taken = 0
        self.wanted = 0
        """Bytes that all entries take; when these are more than `most`, those of the first that are too many."""
        for entry in entries:
            self._texts.append(dumps(entry))
            self.wanted += self._cost(len(self._texts) - 1)
            if self.wanted > most:
                break

    def take(self, room: int) -> int:
        """Take further entries that fit into `room`, and give the room left."""
        while self.is_cut and self._cost(self._taken) <= room:
            room -= self._cost(self._taken)
            self._taken += 1
        return room

    @property
    def is_cut(self) -> bool:
        """Whether entries are left out."""
        return self._taken < len(self._texts)

    def _cost(self, place: int) -> int:
        return _size(self._texts[place]) + (_size(",") if place else 0)

    def __str__(self) -> str:
        """The array as JSON."""
        return f"[{','.join(self._texts[: self._taken])}]"


def _share(arrays: Sequence[_Array], room: int) -> None:
    """Give each array an equal share of `room`, and what one leaves free to the others."""
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
