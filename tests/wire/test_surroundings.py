"""What surrounds a run and cannot be used: proxies, certificates, closed pipes, bytes that are no UTF-8, special files.

The real program runs as a process of its own. What is wrong with its inputs ends it before the first request; what
happens to its output while it runs changes nothing of what it does.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.scenarios.program import ENTRYPOINT, ROOT, Ended, Place, decoded, read_outputs, receipt_lines
from tests.simulator import Simulator, push_image
from tests.wire.interrupting import Directed, Held
from tests.wire.test_budgets import NPM, names, run, versions
from tests.wire.world import TOKEN, environment

# proxies and certificates


PROXIES = [
    "socks5://127.0.0.1:1080",
    "socks5h://user:sesame@127.0.0.1:1080",
    "SOCKS4://127.0.0.1",
    "ftp://127.0.0.1:21",
    "http://",
    "http://:3128",
    "http://127.0.0.1:99999",
    "127.0.0.1:port",
    "://127.0.0.1",
    "http://[::1",
]


@pytest.mark.parametrize("variable", ["http_proxy", "all_proxy", "ALL_PROXY"])
@pytest.mark.parametrize("proxy", PROXIES)
def test_a_proxy_that_cannot_be_used_is_bad_input(sim: Simulator, place: Place, variable: str, proxy: str) -> None:
    versions(sim, 3)
    ended = place.run([], environment(sim, place, **NPM) | {variable: proxy})
    assert (ended.status, ended.outputs["result"], sim.requests) == (2, "failed", []), ended.said
    (text,) = ended.annotations["error"]
    assert f"{variable}: '" in text
    assert "accepted is http://HOST:PORT or https://HOST:PORT" in text
    assert "sesame" not in ended.said


def test_a_proxy_that_is_not_used_does_not_matter(sim: Simulator, place: Place) -> None:
    versions(sim, 3)
    surroundings = {"http_proxy": "socks5://127.0.0.1:1080", "no_proxy": "127.0.0.1", "https_proxy": "ftp://x"}
    ended = place.run([], environment(sim, place, **NPM) | surroundings)
    assert (ended.status, ended.count("deleted")) == (0, 2), ended.said


def test_a_proxy_without_a_scheme_is_one_of_http(sim: Simulator, place: Place) -> None:
    versions(sim, 3)
    proxy = sim.url.removeprefix("http://")
    ended = place.run([], environment(sim, place, **NPM) | {"http_proxy": proxy})
    assert "is no proxy" not in ended.said
    assert sim.requests != []
    # a proxy is asked for whole addresses, which GitHub's description does not know
    sim.contract.violations.clear()


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_certificates_that_are_not_there_are_bad_input(sim: Simulator, place: Place, variable: str) -> None:
    inputs = environment(sim, place, **NPM, api_url="https://127.0.0.1:9/api/v3")
    ended = place.end(place.start([], inputs | {variable: "/nowhere/ca.pem"}))
    assert (ended.status, ended.outputs["result"]) == (2, "failed"), ended.said
    (text,) = ended.annotations["error"]
    assert f"{variable}: '/nowhere/ca.pem' does not exist" in text


# output that nobody takes


CLEAN = ["delete", "--owner", "acme", "--owner-type", "organization", "--package-type", "npm", "--package", "app"]


def terminal(sim: Simulator, place: Place, *more: str) -> tuple[list[str], dict[str, str]]:
    arguments = [*CLEAN, "--versions", "*", "--api-url", sim.url, "--no-dry-run", "--output-file", "all.json", *more]
    files = {"GITHUB_OUTPUT": str(place.output_file()), "GITHUB_STEP_SUMMARY": str(place.summary_file())}
    return arguments, place.terminal_environment({"GH_TOKEN": TOKEN, **files})


def action(sim: Simulator, place: Place) -> tuple[list[str], dict[str, str]]:
    return [], environment(sim, place, **NPM, output_file="all.json", summary="true")


DOORS = {"the command line": terminal, "the action": action}
OUTPUTS = {
    "closed": "exec >&- 2>&-",
    "output closed": "exec 1>&-",
    "errors closed": "exec 2>&-",
    "all closed": "exec 0<&- 1>&- 2>&-",
    "full": "exec >/dev/full 2>&1",
    "output full": "exec >/dev/full",
    "nobody reads": "exec > >(exec 0<&-) 2>&1; sleep 0.3",
}


def left_behind(place: Place, status: int, deleted: int) -> Ended:
    """A run that deleted so many of its versions, and left everything that it leaves."""
    outputs = read_outputs(place.output_file().read_text(encoding="utf-8"))
    summary = place.summary_file().read_text(encoding="utf-8")
    ended = Ended(status=status, stdout="", stderr="", outputs=outputs, summary=summary, workspace=place.workspace)
    assert (status, outputs["result"], ended.count("deleted")) == (0, "done", deleted)
    done = [line["outcome"] for line in receipt_lines(place.workspace / outputs["receipt"])]
    assert done.count("done") == ended.document["deleted-count"] == deleted
    assert "deleted" in summary
    return ended


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("output", OUTPUTS)
def test_a_run_goes_on_when_nobody_takes_what_it_says(sim: Simulator, place: Place, output: str, door: str) -> None:
    package = versions(sim, 30)
    arguments, surroundings = DOORS[door](sim, place)
    place.output_file().touch()
    command = f'{OUTPUTS[output]}; exec "$@"'
    ended = subprocess.run(
        ["bash", "-c", command, "bash", sys.executable, "-I", str(ENTRYPOINT), *arguments],
        cwd=place.workspace,
        env=surroundings,
        stdin=subprocess.DEVNULL,
        timeout=60,
        check=False,
        capture_output=True,
    )
    assert names(package) == ["1.29.0"]
    left_behind(place, ended.returncode, 29)
    if output == "output full" and door == "the command line":
        assert b"standard output cannot be written (No space left on device)" in ended.stderr


def test_a_reader_who_has_seen_enough_does_not_stop_the_run(sim: Simulator, place: Place) -> None:
    """That is `package-keeper delete ... 2>&1 | head -3`."""
    package = versions(sim, 30)
    arguments, surroundings = terminal(sim, place)
    place.output_file().touch()
    reads, writes = os.pipe()
    with subprocess.Popen(
        [sys.executable, "-I", str(ENTRYPOINT), *arguments],
        cwd=place.workspace,
        env=surroundings,
        stdin=subprocess.DEVNULL,
        stdout=writes,
        stderr=writes,
    ) as process:
        os.close(writes)
        with os.fdopen(reads, "rb") as pipe:
            assert len([pipe.readline() for _ in range(3)]) == 3
        status = process.wait(timeout=60)
    assert names(package) == ["1.29.0"]
    left_behind(place, status, 29)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp437"])
def test_what_an_encoding_does_not_have_is_written_as_an_escape(sim: Simulator, place: Place, encoding: str) -> None:
    versions(sim, 3)
    arguments, surroundings = terminal(sim, place)
    place.output_file().touch()
    ended = subprocess.run(
        [sys.executable, str(ENTRYPOINT), *arguments],
        cwd=place.workspace,
        env=surroundings | {"PYTHONIOENCODING": encoding},
        timeout=60,
        check=False,
        capture_output=True,
    )
    left_behind(place, ended.returncode, 2)
    assert b"1.0.0" in ended.stdout


def test_a_terminal_that_is_closed_cancels_the_run(sim: Simulator, place: Place) -> None:
    package = versions(sim, 30)
    second = Held(sim, "DELETE", "/versions/", after=1)
    run = Directed(place, *terminal(sim, place, "--pace", "polite"), forked=False)
    second.wait()
    run.send_signal(signal.SIGHUP)
    second.release()
    ended = run.end()
    assert (ended.status, ended.outputs["result"]) == (130, "cancelled"), ended.said
    assert (ended.count("deleted"), len(package.active())) == (2, 28)


# bytes that are no UTF-8


BYTES = os.fsdecode(b"pr-\xff")
INPUTS = {
    "tags": BYTES,
    "keep-tags": f"v1,{BYTES}",
    "versions": f"1.*\n{BYTES}",
    "package": f"app,{BYTES}",
    "where": f"name <> '{BYTES}'",
    "receipt": f"{BYTES}.jsonl",
    "output-file": f"{BYTES}.json",
    "policy": f"{BYTES}.yml",
    "keep-used-in": BYTES,
    "repository": BYTES,
    "owner": BYTES,
    "log-level": BYTES,
}


@pytest.mark.parametrize("name", INPUTS)
@pytest.mark.parametrize("door", DOORS)
def test_bytes_that_are_no_utf_8_are_bad_input(sim: Simulator, place: Place, name: str, door: str) -> None:
    versions(sim, 3)
    arguments, surroundings = DOORS[door](sim, place)
    if door == "the action":
        surroundings[f"INPUT_{name.upper()}"] = INPUTS[name]
    elif f"--{name}" in arguments:
        arguments[arguments.index(f"--{name}") + 1] = INPUTS[name]
    else:
        arguments += [f"--{name}", INPUTS[name]]
    ended = place.run(arguments, surroundings)
    assert (ended.status, ended.outputs["result"], sim.requests) == (2, "failed", []), ended.said
    told = [line for line in decoded(ended.said).splitlines() if "holds bytes that are no UTF-8" in line]
    assert [line.split("- ")[-1].partition(":")[0] for line in told] == [name]
    assert "Traceback" not in ended.said
    assert "no UTF-8" in ended.summary


def test_a_token_of_such_bytes_is_not_shown(sim: Simulator, place: Place) -> None:
    inputs = environment(sim, place, **NPM) | {"INPUT_TOKEN": os.fsdecode(b"sesame\xff")}
    ended = place.run([], inputs)
    assert (ended.status, sim.requests) == (2, []), ended.said
    assert "token: holds bytes that are no UTF-8" in ended.said
    assert not any("sesame" in line for line in ended.said.splitlines() if not line.startswith("::add-mask::"))


@pytest.mark.parametrize("arguments", [[BYTES], ["delete", BYTES], ["delete", f"--{BYTES}", "x"], ["schema", BYTES]])
def test_arguments_of_such_bytes_are_bad_input(sim: Simulator, place: Place, arguments: list[str]) -> None:
    ended = place.run(arguments, terminal(sim, place)[1])
    assert ended.status == 2, ended.said
    assert "Traceback" not in ended.said


def test_the_rest_of_the_environment_may_have_any_bytes(sim: Simulator, place: Place) -> None:
    package = versions(sim, 3)
    odd = dict.fromkeys(("GITHUB_WORKFLOW", "GITHUB_ACTOR", "GITHUB_REPOSITORY", "GITHUB_REPOSITORY_OWNER"), BYTES)
    del odd["GITHUB_REPOSITORY_OWNER"]
    ended = place.run([], environment(sim, place, **NPM) | odd)
    assert (ended.status, names(package)) == (0, ["1.2.0"]), ended.said
    lines = receipt_lines(place.workspace / ended.outputs["receipt"])
    assert {line["run"]["actor"] for line in lines} == {"pr-\ufffd"}


@pytest.mark.parametrize("glob", ["deploy/*", "/deploy/"])
def test_a_file_whose_name_has_such_bytes_is_read(sim: Simulator, place: Place, glob: str) -> None:
    package = sim.add_package("acme", "container", "app")
    for tag in ("old", "used", "used-too"):
        push_image(package, tag, seed=tag, created_at="2026-01-01T00:00:00Z")
    (place.workspace / "deploy").mkdir()
    # two names that look the same
    for name, tag in ((b"pr-\xff", "used"), (b"pr-\xfe", "used-too")):
        file = place.workspace / "deploy" / os.fsdecode(name)
        file.write_text(f"image: ghcr.io/acme/app:{tag}\n", encoding="utf-8")
    ended = run(sim, place, versions="*", keep_used_in=glob, output_file="all.json", summary="true")
    assert (ended.status, sorted(package.tags())) == (0, ["used", "used-too"]), ended.said
    assert "deploy/pr-\ufffd" in json.dumps(ended.document, ensure_ascii=False)


# what is no regular file


@contextlib.contextmanager
def special(place: Path, kind: str) -> Iterator[None]:
    """Something at `place` that is no file."""
    with contextlib.ExitStack() as stack:
        if kind == "device":
            os.mknod(place, 0o666 | stat.S_IFCHR, os.makedev(1, 5))
        elif kind == "socket":
            # a path may be too long for it
            with contextlib.chdir(place.parent):
                stack.enter_context(socket.socket(socket.AF_UNIX)).bind(place.name)
        else:
            os.mkfifo(place)
        if kind == "open fifo":
            stack.callback(os.close, os.open(place, os.O_RDWR))
        yield


KINDS = ["fifo", "open fifo", "socket"]
if os.getuid() == 0:
    KINDS.append("device")
FILES = ["output-file", "policy", "receipt", "undo", "keep-used-in", "manifest-cache"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", FILES)
def test_what_is_no_file_is_neither_read_nor_written(sim: Simulator, place: Place, name: str, kind: str) -> None:
    versions(sim, 3)
    inputs = {"policy": {}, "undo": {"operation": "restore"}, "manifest-cache": {"tags": "x"}}.get(name, NPM)
    with special(place.workspace / "special", kind):
        ended = run(sim, place, **inputs, **{name.replace("-", "_"): "special"})
    assert (ended.status, ended.outputs["result"], sim.requests) == (2, "failed", []), ended.said
    wanted = "is a file; accepted is a folder" if name == "manifest-cache" else "is no regular file; accepted is"
    assert f"{name}: 'special' {wanted}" in ended.said


@pytest.mark.parametrize("kind", KINDS)
def test_an_entry_of_the_cache_that_is_no_file_is_as_good_as_none(sim: Simulator, place: Place, kind: str) -> None:
    package = sim.add_package("acme", "container", "app")
    for tag in ("old", "v1"):
        push_image(package, tag, platforms=["linux/amd64"], created_at="2026-01-01T00:00:00Z")
    inputs = {"tags": "old", "manifest_cache": "cache"}
    assert run(sim, place, **inputs, dry_run="true").status == 0
    entries = [entry for entry in (place.workspace / "cache").rglob("*") if entry.is_file()]
    with contextlib.ExitStack() as stack:
        for entry in entries:
            entry.unlink()
            stack.enter_context(special(entry, kind))
        ended = run(sim, place, **inputs)
    assert (ended.status, ended.outputs["result"], sorted(package.tags())) == (0, "done", ["v1"]), ended.said
    assert all(entry.is_file() for entry in entries), "and takes its place"


IMPATIENT = f"""
import sys
sys.path.insert(0, {str(ROOT / "src")!r})
from package_keeper.main import action_or_command_line
from package_keeper.runner import logs
logs.PATIENCE_SECONDS = 0.3
action_or_command_line()
"""
"""The program, which waits for a reader less long."""


@pytest.mark.parametrize("variable", ["GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY"])
def test_a_file_of_the_runner_that_nobody_reads_does_not_hold_the_run(
    sim: Simulator, place: Place, variable: str
) -> None:
    package = versions(sim, 3)
    pipe = place.runner / "pipe"
    os.mkfifo(pipe)
    inputs = environment(sim, place, **NPM, output_file="all.json", summary="true")
    impatient = place.runner / "impatient.py"
    impatient.write_text(IMPATIENT, encoding="utf-8")
    ended = place.run([], inputs | {variable: str(pipe)}, impatient)
    assert (ended.status, names(package)) == (1, ["1.2.0"]), ended.said
    assert "cannot be written" in ended.said


def test_a_pipe_of_the_runner_that_is_read_gets_everything(sim: Simulator, place: Place) -> None:
    package = versions(sim, 300)
    pipe = place.runner / "pipe"
    os.mkfifo(pipe)
    sim.limits.configure(points_per_minute=None)
    process = place.start([], environment(sim, place, **NPM, dry_run="true") | {"GITHUB_OUTPUT": str(pipe)})
    text = pipe.read_text(encoding="utf-8")
    ended = place.end(process)
    assert ended.status == 0, ended.said
    assert len(json.loads(read_outputs(text)["versions"])) == len(package.active())
