"""`make demo` shows what it promises, and notices when the program does not keep it."""

import pytest

from tests import demo
from tests.program.forked import READ_AT_START, Forked


def test_the_demo_ends_well(capsys: pytest.CaptureFixture[str]) -> None:
    assert demo.main() == 0
    shown = capsys.readouterr()
    assert shown.err == ""
    assert "versions are there again" in shown.out
    assert "images are whole" in shown.out
    assert max(map(len, shown.out.splitlines())) <= 110
    assert len(shown.out.splitlines()) < 100


@pytest.mark.parametrize(
    ("sabotaged", "noticed"),
    [
        ({"undo": {"operation": "list", "undo": "", "dry-run": "true"}}, "versions are missing or changed"),
        ({"older-than": {"dry-run": "false"}}, "the dry run ended with done"),
        ({"older-than": {"versions": "*", "images": "raw", "keep-latest": "0"}}, "images that stay lost a part"),
        ({"undo": {"package": "app", "package-type": "container"}}, "versions are missing or changed"),
    ],
)
def test_the_demo_notices(
    sabotaged: dict[str, dict[str, str]],
    noticed: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = demo.Runner.run

    def other(runner: demo.Runner, **inputs: str) -> demo.Finished:
        for name, changes in sabotaged.items():
            if name in inputs:
                inputs |= changes
        return run(runner, **inputs)

    def forked(runner: demo.Runner, environment: dict[str, str]) -> tuple[int, str]:
        plain = {name: text for name, text in environment.items() if not name.startswith(READ_AT_START)}
        process = Forked(demo.ROOT / "entrypoint.py", [], runner.workspace, plain)
        stdout, stderr = process.communicate()
        return process.returncode, stdout + stderr

    monkeypatch.setattr(demo.Runner, "run", other)
    # how the program is started is what `test_the_demo_ends_well` shows
    monkeypatch.setattr(demo.Runner, "start", forked)
    assert demo.main() == 1
    assert noticed in capsys.readouterr().err
