"""The run as JSON: every field of GitHub's schemas, and what was decided and done."""

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from package_keeper.decisions.deciding import Judgement
from package_keeper.decisions.plan import PlannedWrite, WriteKind, WriteRecord
from package_keeper.decisions.used import ImageReference
from package_keeper.decisions.vocabulary import Decision, Reason
from package_keeper.inventory.health import CheckedImage
from package_keeper.inventory.package import Package, PackageName
from package_keeper.inventory.version import Version
from package_keeper.report.contents import Contents, count
from package_keeper.report.matrix import matrix

OUTPUT_LIMIT = 1_000_000
"""Bytes in UTF-16 that all outputs of a step may take together; GitHub allows a job 1 MB (docs/github-behaviour.md,
"The Actions runner"), counted that way."""

_SMALL_OUTPUTS = 8_000
"""Bytes set aside for the outputs that are no JSON arrays."""


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
        "rows": contents.rows,
        "receipt": contents.receipt,
        "file": contents.file,
        "messages": list(contents.messages),
    }


def outputs(contents: Contents) -> dict[str, str]:
    """The outputs of the step. JSON arrays are cut after a whole entry where GitHub's limit demands it."""
    found = {"result": contents.result} | {name: str(number) for name, number in count(contents).by_output().items()}
    room = OUTPUT_LIMIT - _SMALL_OUTPUTS
    all_packages = list(packages(contents))
    any_versions = next(versions(contents), None) is not None
    matrix_text = dumps(package_matrix(contents))
    cut_matrix = _size(matrix_text) > room // 4
    # part of a matrix would leave out packages without a word
    matrix_text = "" if cut_matrix else matrix_text
    room -= _size(matrix_text)
    # a quarter for packages when versions need the rest; all that packages leave for versions
    packages_text, cut_packages = _array(all_packages, room // 4 if any_versions else room)
    rows_text, cut_rows = "", False
    if contents.rows is not None:
        # half for the rows when they were asked for: they are the answer
        rows_text, cut_rows = _array(contents.rows, (room - _size(packages_text)) // 2 if any_versions else room // 2)
    versions_text, cut_versions = _array(versions(contents), room - _size(packages_text) - _size(rows_text))
    return found | {
        "packages": packages_text,
        "versions": versions_text,
        "matrix": matrix_text,
        "rows": rows_text,
        "receipt": contents.receipt,
        "file": contents.file,
        "truncated": "true" if cut_packages or cut_versions or cut_rows or cut_matrix else "false",
    }


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
        for judgement in contents.listed:
            yield _judged(judgement)
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
        "tags": list(version.tags),
    }


def _written(contents: Contents) -> Iterator[tuple[PlannedWrite, WriteRecord | None]]:
    """What was acted on, or, in a dry run or before an early end, what was planned."""
    if contents.records:
        yield from ((record.write, record) for record in contents.records)
    else:
        yield from ((write, None) for write in contents.plan.writes)


def _checked(image: CheckedImage) -> dict[str, Any]:
    missing = [
        {
            "digest": part.digest,
            "restorable": part.deleted is not None,
            "version-id": part.deleted.id if part.deleted else None,
            "restorable-until": _time(part.restorable_until),
        }
        for part in image.missing
    ]
    found: dict[str, Any] = {"decision": Decision.KEEP, "reason": Reason.NOT_SELECTED, "broken": image.is_broken}
    return version_document(image.root) | found | {"missing": missing, "unreadable": image.unreadable}


def _judged(judgement: Judgement) -> dict[str, Any]:
    decided: dict[str, Any] = {"decision": judgement.decision, "reason": judgement.why}
    if judgement.rule:
        decided["rule"] = judgement.rule
    if judgement.root is not None:
        decided["root"] = judgement.root.name
    return version_document(judgement.version) | decided


def _kept(contents: Contents) -> Iterator[dict[str, Any]]:
    """Every version that stays, in short, with the reason."""
    for judgement in contents.plan.judgements:
        if judgement.decision is not Decision.KEEP:
            continue
        version = judgement.version
        kept: dict[str, Any] = {
            "package": version.package.name,
            "package-type": version.package.type,
            "id": version.id,
            "name": version.name,
            "tags": list(version.tags),
            "decision": judgement.decision,
            "reason": judgement.why,
        }
        if judgement.rule:
            kept["rule"] = judgement.rule
        if judgement.root is not None:
            kept["root"] = judgement.root.name
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
    decided: dict[str, Any] = {"decision": write.decision, "reason": write.why}
    if write.rule:
        decided["rule"] = write.rule
    if write.root is not None:
        decided["root"] = write.root
    if write.tag is not None:
        decided["tag"] = write.tag
    if record is not None:
        decided["outcome"] = record.outcome
        if record.message:
            decided["message"] = record.message
    return decided


def _array(entries: Iterable[dict[str, Any]], room: int) -> tuple[str, bool]:
    """A JSON array of as many leading entries as fit into `room` bytes of UTF-16, and whether any was cut."""
    taken: list[str] = []
    used = _size("[]")
    for entry in entries:
        text = dumps(entry)
        used += _size(text) + _size(",")
        if used > room:
            return f"[{','.join(taken)}]", True
        taken.append(text)
    return f"[{','.join(taken)}]", False


def _size(text: str) -> int:
    return len(text.encode("utf-16-le"))


def _time(moment: datetime | None) -> str | None:
    return moment.isoformat().replace("+00:00", "Z") if moment else None
