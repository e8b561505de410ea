"""The scripts of `examples/usage` write files that the input `usage` reads, from what nginx, Harbor and mirrors say."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import subprocess
import sys
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import parse_qs, urlsplit

import pytest

from package_keeper.inputs.usage_file import check_usage, read_usage
from tests.examples.commands import path_with
from tests.scenarios.program import ROOT

A, B = "sha256:" + "a" * 64, "sha256:" + "b" * 64


def run(script: str, *arguments: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(ROOT / "examples" / "usage" / script), *arguments],
        cwd=folder,
        env={"PATH": os.defpath} | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def uses(text: str) -> list[tuple[str, str, str, str]]:
    """Package, kind, name and time of each row, as the program reads them."""
    now, lines = datetime.now(UTC), text.splitlines(keepends=True)
    assert check_usage(lines, now) == []
    rows = read_usage(lines, now, pytest.fail)
    return [(row[1], row[3], row[4], row[5].isoformat()) for row in rows]


NEW_LOG = f"""\
10.0.0.7 - - [04/May/2026:02:17:31 +0000] "GET /v2/acme/app/manifests/v1 HTTP/1.1" 200 1024 "-" "containerd/2.1"
10.0.0.7 - - [03/May/2026:02:17:31 +0000] "HEAD /v2/acme/app/manifests/v1 HTTP/1.1" 200 0 "-" "containerd/2.1"
10.0.0.7 - j d [04/May/2026:04:17:31 +0200] "HEAD /v2/acme/team/app/manifests/{A} HTTP/2.0" 304 0 "-" "docker/28"
::1 - - [04/May/2026:02:17:31 +0000] "GET /v2/acme/app/manifests/sha256%3A{"b" * 64}?ns=x HTTP/1.1" 206 9 "-" "-"
10.0.0.7 - - [04/May/2026:02:17:32 +0000] "GET /v2/acme/app/manifests/v2 HTTP/1.1" 404 99 "-" "-"
10.0.0.7 - - [04/May/2026:02:17:32 +0000] "GET /v2/acme/app/manifests/v3 HTTP/1.1" 401 99 "-" "-"
10.0.0.7 - - [04/May/2026:02:17:32 +0000] "PUT /v2/acme/app/manifests/v4 HTTP/1.1" 201 99 "-" "-"
10.0.0.7 - - [04/May/2026:02:17:32 +0000] "GET /v2/acme/app/blobs/{A} HTTP/1.1" 200 99 "-" "-"
::1 - - [04/May/2026:02:17:32 +0000] "GET /v2/ HTTP/1.1" 200 2 "-" "] \\x22GET /v2/acme/app/manifests/v5 HTTP\\x22 200 "
10.0.0.7 - - [04/May/2026:02:17:32 +0000] "\\x16\\x03\\x01" 400 150 "-" "-"
10.0.0.7 - - [04/May/2026:02:17:32 +0000] "" 400 0 "-" "-"
10.0.0.7 - - [04/May/2026:02:17:32 +0000] "GET /v2/acme/app/manif
"""
OLD_LOG = '10.0.0.7 - - [01/Feb/2026:00:00:00 +0000] "GET /v2/acme/app/manifests/v1 HTTP/1.1" 200 9 "-" "cr\xe9"\n'


def test_the_log_of_nginx_gives_the_newest_pull_of_each_tag_and_digest(tmp_path: Path) -> None:
    (tmp_path / "access.log").write_text(NEW_LOG, encoding="utf-8")
    (tmp_path / "access.log.2.gz").write_bytes(gzip.compress(OLD_LOG.encode("latin-1")))
    done = run("nginx.py", "access.log", "access.log.2.gz", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert uses(done.stdout) == [
        ("acme/app", "digest", B, "2026-05-04T02:17:31+00:00"),
        ("acme/app", "tag", "v1", "2026-05-04T02:17:31+00:00"),
        ("acme/team/app", "digest", A, "2026-05-04T04:17:31+02:00"),
    ]
    assert done.stderr == "usage-since: 2026-02-01T00:00:00+00:00\n"


def test_a_log_without_a_pull_gives_no_file(tmp_path: Path) -> None:
    (tmp_path / "access.log").write_text("GET /v2/acme/app/manifests/v1 200\n", encoding="utf-8")
    done = run("nginx.py", "access.log", folder=tmp_path)
    assert done.returncode != 0
    assert done.stdout == ""


ARTIFACTS = [
    {"repository_name": "ghcr/acme/app", "digest": f"sha256:{number:064x}", **times}
    for number, times in enumerate(
        [
            {"push_time": "2026-01-02T03:04:05.678Z", "pull_time": "2026-05-04T02:17:31.123Z"},
            {"push_time": "2026-01-02T03:04:05.678Z", "pull_time": "0001-01-01T00:00:00.000Z"},
            *[{"push_time": "2025-01-02T03:04:05.678Z", "pull_time": "2025-02-03T04:05:06.000Z"}] * 120,
        ]
    )
]


class Harbor(BaseHTTPRequestHandler):
    """Lists the artifacts of the project `ghcr`, for whoever has the right password."""

    def do_GET(self) -> None:
        asked = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(asked.query).items()}
        right = f"Basic {b64encode(b'robot$usage:secret').decode()}" == self.headers["Authorization"]
        known = asked.path == "/api/v2.0/projects/ghcr/artifacts" and query["q"] == "base=*"
        start, size = (int(query["page"]) - 1) * int(query["page_size"]), int(query["page_size"])
        # Harbor lists at most 100 on a page
        assert size <= 100
        content = json.dumps(ARTIFACTS[start : start + size]).encode()
        self.send_response(200 if right and known else 401 if known else 404)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *_: object) -> None:  # noqa: A002 - as it is inherited
        """Print nothing."""


@contextmanager
def harbor() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Harbor) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_harbor_gives_the_last_pull_or_when_it_took_an_artifact_in(tmp_path: Path) -> None:
    with harbor() as address:
        done = run("harbor.py", address, "ghcr", folder=tmp_path, HARBOR_USER="robot$usage", HARBOR_PASSWORD="secret")
    assert done.returncode == 0, done.stderr
    found = uses(done.stdout)
    assert len(found) == len(ARTIFACTS)
    assert found[:2] == [
        ("acme/app", "digest", f"sha256:{0:064x}", "2026-05-04T02:17:31.123000+00:00"),
        ("acme/app", "digest", f"sha256:{1:064x}", "2026-01-02T03:04:05.678000+00:00"),
    ]


@pytest.mark.parametrize(("project", "password"), [("ghcr", "wrong"), ("other", "secret")])
def test_a_harbor_that_refuses_gives_no_file(tmp_path: Path, project: str, password: str) -> None:
    with harbor() as address:
        done = run("harbor.py", address, project, folder=tmp_path, HARBOR_USER="robot$usage", HARBOR_PASSWORD=password)
    assert done.returncode != 0
    assert done.stdout == ""


MANIFEST = '{"schemaVersion":2}\n'
M = "sha256:" + hashlib.sha256(MANIFEST.encode()).hexdigest()
MIRROR = "mirror.example.com:5000"
TOOLS = {
    "crane": {
        f"crane ls {MIRROR}/acme/app": "v1\nv2\n",
        f"crane digest {MIRROR}/acme/app:v1": f"{A}\n",
        f"crane digest {MIRROR}/acme/app:v2": f"{M}\n",
    },
    "skopeo": {
        f"skopeo list-tags docker://{MIRROR}/acme/app": json.dumps({"Repository": "x", "Tags": ["v2", "v3"]}),
        f"skopeo inspect --raw docker://{MIRROR}/acme/app:v2": MANIFEST,
        f"skopeo inspect --raw docker://{MIRROR}/acme/app:v3": MANIFEST,
    },
}
HELD = {"crane": [A, M], "skopeo": [M]}


@pytest.mark.parametrize("tool", TOOLS)
def test_a_mirror_adds_what_it_holds_to_the_history(tmp_path: Path, tool: str) -> None:
    old = (datetime.now(UTC) - timedelta(days=1)).isoformat(timespec="seconds")
    file, path = tmp_path / "usage.csv", path_with(TOOLS[tool], tmp_path / "bin")
    done = run("mirror.py", tool, MIRROR, "acme/app", folder=tmp_path, PATH=path)
    assert done.returncode == 0, done.stderr
    first = uses(file.read_text(encoding="utf-8"))
    assert [row[:3] for row in first] == [("acme/app", "digest", digest) for digest in sorted(HELD[tool])]
    assert done.stdout == f"since={first[0][3]}\n"

    file.write_text(f"package,digest,last_used\nacme/app,{B},{old}\n", encoding="utf-8")
    done = run("mirror.py", tool, MIRROR, "acme/app", folder=tmp_path, PATH=path)
    assert done.stdout == f"since={old}\n"
    assert [row[2] for row in uses(file.read_text(encoding="utf-8"))] == [B, *sorted(HELD[tool])]


@pytest.mark.parametrize("tool", TOOLS)
def test_after_a_gap_of_more_than_a_week_the_history_of_a_mirror_begins_again(tmp_path: Path, tool: str) -> None:
    old = (datetime.now(UTC) - timedelta(days=8)).isoformat(timespec="seconds")
    file = tmp_path / "usage.csv"
    file.write_text(f"package,digest,last_used\nacme/app,{B},{old}\n", encoding="utf-8")
    done = run(*("mirror.py", tool, MIRROR, "acme/app"), folder=tmp_path, PATH=path_with(TOOLS[tool], tmp_path / "bin"))
    found = uses(file.read_text(encoding="utf-8"))
    assert [row[2] for row in found] == sorted(HELD[tool])
    assert done.stdout == f"since={found[0][3]}\n"


@pytest.mark.parametrize(
    "commands",
    [
        {f"crane ls {MIRROR}/acme/other": ""},
        {f"crane ls {MIRROR}/acme/app": "v1\n"},
        {f"crane ls {MIRROR}/acme/app": ""},
    ],
    ids=["no list", "no digest", "no tag"],
)
def test_a_mirror_that_does_not_answer_changes_nothing(tmp_path: Path, commands: dict[str, str]) -> None:
    done = run("mirror.py", "crane", MIRROR, "acme/app", folder=tmp_path, PATH=path_with(commands, tmp_path / "bin"))
    assert done.returncode != 0
    assert (done.stdout, (tmp_path / "usage.csv").exists()) == ("", False)
