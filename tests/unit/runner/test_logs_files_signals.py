"""Logs that contain no commands, paths inside the workspace, and signals."""

from __future__ import annotations

import base64
import contextlib
import io
import json
import os
import re
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from package_keeper.errors import Cancelled, without_secret
from package_keeper.runner.logs import ANNOTATION_LENGTH, ActionsLog, Place, TerminalLog, harmless, write_outputs
from package_keeper.runner.process import Interruption, SystemClock
from package_keeper.runner.workspace import FileUnwritable, PathProblem, Workspace
from package_keeper.stopping import STOPPING
from tests.hostile import is_command
from tests.scenarios.program import decoded, read_outputs
from tests.unit.making import HOSTILE

COMMANDS = st.text(
    st.sampled_from(":#[] \t\u00a0\u2003\ufeff\x1b\r\naddmskerorgup") | st.characters(exclude_categories=["Cs"]),
    max_size=30,
)


@given(COMMANDS)
def test_a_harmless_line_is_one_line_and_no_command(text: str) -> None:
    line = harmless(text)
    assert not is_command(line)
    assert "\n" not in line
    assert "\r" not in line
    assert all(character.isprintable() or character == "\t" for character in line)


@pytest.mark.parametrize("text", ["v1.0", "a: b", "a::b", "x ::error:: y", "# heading", "[1]", "Grüße 🚀"])
def test_ordinary_text_is_left_alone(text: str) -> None:
    assert harmless(text) == text


@given(st.lists(st.tuples(st.sampled_from(["error", "warning", "notice", "info", "debug"]), COMMANDS), max_size=30))
def test_no_logged_text_becomes_a_workflow_command(said: list[tuple[str, str]]) -> None:
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        log = ActionsLog("debug", "")
        for kind, text in said:
            getattr(log, kind)(text)
    for line in out.getvalue().splitlines():
        if line.startswith("::"):
            kind, text = re.match(r"::(error|warning|notice) title=[^:]*::(.*)", line).groups()  # type: ignore[union-attr]
            assert kind in ("error", "warning", "notice")
            assert not any(is_command(one) for one in decoded(text).split("\n"))
        else:
            assert not is_command(line)


def test_annotations_are_few_and_short(capsys: pytest.CaptureFixture[str]) -> None:
    log = ActionsLog("info", "")
    for number in range(30):
        log.warning(f"{'y' * number} {'x' * 9_000}", title="long")
    lines = capsys.readouterr().out.splitlines()
    annotations = [line for line in lines if line.startswith("::warning title=long::")]
    assert len(annotations) == 10
    assert all(len(line) <= ANNOTATION_LENGTH + len("::warning title=long::") for line in annotations)
    assert len(lines) == 30, "the others are plain lines"
    assert len(log.messages) == 30


def test_one_cause_is_one_annotation(capsys: pytest.CaptureFixture[str]) -> None:
    log = ActionsLog("info", "")
    for number in range(3):
        log.warning(f"npm/app{number}: nothing is deleted, since 'v{number}' cannot be read")
    log.error("policy: p.yml, line 3: unknown", place=Place("p.yml", 3))
    log.error("policy: p.yml, line 4: unknown", place=Place("p.yml", 4))
    assert capsys.readouterr().out.splitlines() == [
        "::warning title=npm/app0::npm/app0: nothing is deleted, since 'v0' cannot be read",
        "warning: npm/app1: nothing is deleted, since 'v1' cannot be read",
        "warning: npm/app2: nothing is deleted, since 'v2' cannot be read",
        "::error title=policy,file=p.yml,line=3::policy: p.yml, line 3: unknown",
        "::error title=policy,file=p.yml,line=4::policy: p.yml, line 4: unknown",
    ]


def test_a_hostile_title_or_path_adds_no_property_and_no_command(capsys: pytest.CaptureFixture[str]) -> None:
    log = ActionsLog("info", "")
    log.error("x,file=a::error::b: c\n::stop-commands::t", place=Place("p,line=9::set-env name=A::b\n::x", 1))
    (line,) = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"::error title=[^:,]*,file=[^:,]*,line=1::.*", line)


class Hands:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def test_progress_is_a_line_every_ten_seconds_with_rate_and_time_left(capsys: pytest.CaptureFixture[str]) -> None:
    now = Hands()
    log = ActionsLog("info", "", now)
    for done in range(0, 61, 2):
        now.seconds = float(done)
        log.progress("writing", done, 120)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "writing: 10 of 120, 60 a minute, 2 min left"
    assert lines[-1] == "writing: 60 of 120, 60 a minute, 60 s left"
    assert len(lines) == 6
    now.seconds = 75.0
    log.tick()
    assert capsys.readouterr().out == "writing: 60 of 120, 48 a minute, 75 s left\n", "a wait is shown too"


def test_short_steps_and_quiet_logs_show_no_progress(capsys: pytest.CaptureFixture[str]) -> None:
    now = Hands()
    for level in ("warning", "info"):
        log = ActionsLog(level, "", now)
        log.progress("writing", 0, 10)
        now.seconds += 60.0 if level == "warning" else 9.0
        log.progress("writing", 5, 10)
    assert capsys.readouterr().out == ""


def test_a_bar_stands_on_one_line_and_goes_before_other_lines() -> None:
    now, stream = Hands(), io.StringIO()
    log = TerminalLog("info", "", stream, now, bar=True)
    for done in (1, 2):
        now.seconds += 1.0
        log.progress("writing", done, 4)
    log.info("waiting")
    *drawn, erased = stream.getvalue().split("\r\x1b[K")
    assert [text.partition(" ")[0] for text in drawn] == ["", "writing", "writing"]
    assert " 2/4, 60 a minute, 2 s left" in drawn[-1]
    assert all(len(text) < 80 for text in drawn)
    assert erased == "waiting\n"


def test_colours_are_for_the_first_word_alone() -> None:
    stream = io.StringIO()
    TerminalLog("info", "", stream, colours=True).error("bad\x1b[31m\nmore")
    assert stream.getvalue() == "\x1b[31merror:\x1b[0m bad�[31m\n  more\n"


SECRET = "ghp_0123456789abcdef"


def test_a_token_is_never_logged(capsys: pytest.CaptureFixture[str]) -> None:
    for kind in ("error", "warning", "notice", "info", "debug"):
        stream = io.StringIO()
        for log in (ActionsLog("debug", SECRET), TerminalLog("debug", SECRET, stream)):
            capsys.readouterr()
            getattr(log, kind)(f"the token is {SECRET}!")
            assert SECRET not in capsys.readouterr().out + stream.getvalue() + "".join(log.messages)


@given(st.text(st.characters(codec="ascii"), min_size=6, max_size=40), st.binary(max_size=9), st.binary(max_size=9))
def test_a_secret_is_hidden_as_headers_urls_and_json_encode_it(secret: str, before: bytes, after: bytes) -> None:
    between = before + secret.encode() + after
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        # the characters at both ends have bits of what is around it
        inner = encode(secret.encode()).decode().rstrip("=")[:-1]
        left = without_secret(encode(between).decode(), secret)
        assert "***" in left
        assert inner not in left
    for encoded in (quote(secret, safe=""), json.dumps(secret)[1:-1]):
        assert without_secret(f"x{encoded}x", secret) == "x***x"


@pytest.mark.parametrize(("level", "lines"), [("error", 1), ("warning", 3), ("info", 4), ("debug", 5)])
def test_a_level_shows_what_is_at_least_as_important(level: str, lines: int) -> None:
    stream = io.StringIO()
    log = TerminalLog(level, "", stream)
    for kind in ("error", "warning", "notice", "info", "debug"):
        getattr(log, kind)(kind)
    assert len(stream.getvalue().splitlines()) == lines
    assert log.messages == ["error", "warning", "notice"], "the summary has them whatever the level"


@given(
    st.dictionaries(
        st.sampled_from(["result", "versions", "receipt"]), HOSTILE.map(lambda text: text.replace("\r", "")), min_size=1
    )
)
def test_outputs_are_read_back_as_written(
    tmp_path_factory: pytest.TempPathFactory, given_outputs: dict[str, str]
) -> None:
    place = tmp_path_factory.mktemp("runner") / "output"
    place.write_text("before=x<<y\n", encoding="utf-8")
    place.write_text("", encoding="utf-8")
    write_outputs({"GITHUB_OUTPUT": str(place)}, given_outputs)
    with place.open(encoding="utf-8", newline="") as file:
        assert read_outputs(file.read()) == given_outputs


def test_without_a_runner_no_output_is_written() -> None:
    write_outputs({}, {"result": "done"})


@pytest.mark.parametrize(
    "text",
    [
        "..",
        "../x",
        "/etc/passwd",
        "a/../../x",
        ".",
        "",
        "a/..",
        "link/x",
        "dangling",
        "a\0b",
        "a\nb",
        "x" * 5_000,
        "loop",
    ],
)
def test_paths_stay_inside_the_workspace(tmp_path: Path, text: str) -> None:
    root = tmp_path / "workspace"
    root.mkdir()
    (root / "link").symlink_to(tmp_path)
    (root / "dangling").symlink_to(tmp_path / "nowhere")
    (root / "loop").symlink_to(root / "loop")
    with pytest.raises(PathProblem):
        Workspace(root).resolve(text)


def test_paths_inside_are_relative_to_the_workspace(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    for text in ("a", "a/b.json", "./a", "b/../a", str(tmp_path / "a")):
        assert workspace.resolve(text).is_relative_to(tmp_path)
    assert workspace.write("out/deep/file.json", "{}") == "out/deep/file.json"
    assert workspace.read("out/deep/file.json") == "{}"
    with pytest.raises(PathProblem, match="does not exist"):
        workspace.read("nowhere")


def test_unusable_paths_are_reported_before_the_run(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("", encoding="utf-8")
    problems = Workspace(tmp_path).problems({"receipt": "folder", "output-file": "file/below"})
    assert [problem.partition(":")[0] for problem in problems] == ["receipt", "output-file"]
    assert Workspace(tmp_path).problems({"receipt": "new/r.jsonl", "output-file": "out.json"}) == []
    assert Workspace(tmp_path).problems({"receipt": "folder"}, unwritten=["receipt"])
    assert len(Workspace(tmp_path).problems({"receipt": "same", "output-file": "./same"})) == 1


def test_a_receipt_never_overwrites(tmp_path: Path) -> None:
    (tmp_path / "r.jsonl").write_text("old\n", encoding="utf-8")
    workspace = Workspace(tmp_path)
    made = [workspace.create_receipt("r.jsonl") for _ in range(3)]
    assert [one.path for one in made] == ["r-2.jsonl", "r-3.jsonl", "r-4.jsonl"]
    for number, one in enumerate(made):
        one.append(f"line {number}\n".encode())
        one.append(b"more\n")
        one.close()
    assert (tmp_path / "r.jsonl").read_text(encoding="utf-8") == "old\n"
    assert (tmp_path / "r-3.jsonl").read_text(encoding="utf-8") == "line 1\nmore\n"


def test_a_receipt_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(FileUnwritable):
        Workspace(tmp_path).create_receipt("file/r.jsonl")
    closed = Workspace(tmp_path).create_receipt("r.jsonl")
    closed.close()
    with pytest.raises(FileUnwritable):
        closed.append(b"line\n")


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give files away")
def test_files_belong_to_the_owner_of_the_workspace(tmp_path: Path) -> None:
    os.chown(tmp_path, 1234, 4321)
    workspace = Workspace(tmp_path)
    workspace.write("out/file.json", "{}")
    workspace.create_receipt("audit/r.jsonl").close()
    for name in ("out", "out/file.json", "audit", "audit/r.jsonl"):
        found = (tmp_path / name).stat()
        assert (found.st_uid, found.st_gid) == (1234, 4321)


@pytest.fixture
def interruption() -> Iterator[Interruption]:
    before = {number: signal.getsignal(number) for number in STOPPING}
    made = Interruption()
    made.install()
    yield made
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_cancels_at_once_outside_a_shield(interruption: Interruption, number: signal.Signals) -> None:
    with pytest.raises(Cancelled) as caught:
        signal.raise_signal(number)
    assert not caught.value.in_flight


def shielded(interruption: Interruption, *signals: signal.Signals) -> list[str]:
    """What a block under a shield reaches when signals come in its middle, and how it ends."""
    reached = []
    try:
        with interruption.shield():
            for number in signals:
                signal.raise_signal(number)
            reached.append("the end")
    except Cancelled as cancelled:
        reached.append("cut off" if cancelled.in_flight else "cancelled")
    return reached


def test_a_shield_delays_the_first_signal_and_not_the_second(interruption: Interruption) -> None:
    assert shielded(interruption) == ["the end"]
    assert shielded(interruption, signal.SIGINT) == ["the end", "cancelled"]
    assert shielded(interruption, signal.SIGTERM) == ["cut off"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_two_signals_in_a_row_cancel_inside_a_shield(interruption: Interruption, number: signal.Signals) -> None:
    assert shielded(interruption, signal.SIGINT, number) == ["cut off"]


def test_a_wait_ends_when_the_run_is_cancelled(interruption: Interruption) -> None:
    clock = SystemClock(interruption)
    clock.sleep(0)
    clock.sleep(-5)
    timer = threading.Timer(0.1, lambda: os.kill(os.getpid(), signal.SIGTERM))
    timer.start()
    began = clock.monotonic()
    with pytest.raises(Cancelled), interruption.shield():
        clock.sleep(30)
    timer.join()
    assert clock.monotonic() - began < 5


def test_no_signal_interrupts_the_report(interruption: Interruption) -> None:
    interruption.finish()
    signal.raise_signal(signal.SIGINT)
    signal.raise_signal(signal.SIGTERM)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "latin-1"])
def test_names_in_files_are_found_in_every_encoding(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "deploy.yaml").write_bytes("# é\nimage: ghcr.io/acme/app:v1\n".encode(encoding))
    readings = Workspace(tmp_path).readings("deploy.yaml")
    assert any("ghcr.io/acme/app:v1" in reading for reading in readings)


@pytest.mark.parametrize(
    "content",
    [
        b"\xff\xfe\xfa image: ghcr.io/acme/app:v1\n",
        b"\x00\x01\x02 ghcr.io/acme/app:v1\x00",
        b"\xc3\x28 ghcr.io/acme/app:v1",
    ],
)
def test_names_in_binary_files_are_found(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "image.bin").write_bytes(content)
    assert any("ghcr.io/acme/app:v1" in reading for reading in Workspace(tmp_path).readings("image.bin"))


def test_a_strictly_read_file_must_be_valid_text(tmp_path: Path) -> None:
    (tmp_path / "policy.yml").write_bytes("name: é".encode("latin-1"))
    with pytest.raises(PathProblem, match="no UTF-8 text"):
        Workspace(tmp_path).read_strictly("policy.yml")
    (tmp_path / "policy.yml").write_bytes("name: é".encode())
    assert Workspace(tmp_path).read_strictly("policy.yml") == "name: é"
