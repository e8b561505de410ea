"""Settings: what every input accepts, which inputs contradict each other, and that no text crashes the parser."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from package_keeper.errors import BadInput
from package_keeper.inputs.definitions import INPUTS, INPUTS_BY_NAME, Kind
from package_keeper.inputs.parser import parse_report_options, parse_settings
from package_keeper.inputs.sources import Request, ShowAndExit, from_action, from_command_line
from package_keeper.model.packages import PackageType
from package_keeper.settings import LogLevel, OutputFormat, ReportOptions, Secret, Settings
from tests.unit.making import NOW

BASE = {"token": "tok", "owner": "acme", "api-url": "https://api.github.com"}
DELETE = {"operation": "delete", "package-type": "npm", "package": "app", "versions": "1.*"}


def read(**texts: str) -> Settings:
    given_texts = BASE | {name.replace("_", "-"): text for name, text in texts.items()}
    return parse_settings(given_texts, defaults={}, now=NOW)


def problems(**texts: str) -> list[str]:
    with pytest.raises(BadInput) as caught:
        read(**texts)
    return caught.value.problems


def attempt(texts: dict[str, str], defaults: dict[str, str] | None = None) -> tuple[Settings | None, list[str]]:
    try:
        return parse_settings(texts, defaults=defaults or {}, now=NOW), []
    except BadInput as bad:
        return None, bad.problems


def delete(**texts: str) -> dict[str, str]:
    return {name.replace("-", "_"): text for name, text in DELETE.items()} | texts


def test_an_empty_text_means_the_default() -> None:
    assert read(**{name.replace("-", "_"): "" for name in INPUTS_BY_NAME if name not in BASE}) == read()


@pytest.mark.parametrize("text", ["true", "True", "TRUE", " true "])
def test_spellings_of_true(text: str) -> None:
    assert read(**delete(dry_run=text)).writes is False


@pytest.mark.parametrize("text", ["false", "False", "FALSE", "false\n"])
def test_spellings_of_false(text: str) -> None:
    assert read(**delete(dry_run=text)).writes is True


@pytest.mark.parametrize("text", ["no", "0", "fALSE", "off", "n", "f", "falsey", "${{ inputs.dry }}"])
def test_any_other_text_of_a_boolean_is_a_problem(text: str) -> None:
    assert any(problem.startswith("dry-run: ") for problem in problems(**delete(dry_run=text)))


@pytest.mark.parametrize("operation", ["list", "conflicts", "verify"])
def test_an_operation_that_only_reads_never_writes(operation: str) -> None:
    assert not read(operation=operation, dry_run="true").writes


@pytest.mark.parametrize(
    ("texts", "meant"),
    [
        ({}, "delete-package"),
        ({"operation": "list", "package": "app"}, "delete-package"),
        ({"package": "app", "tags": "pr-*"}, "operation: delete,"),
        ({"package": "app", "older-than": "30d"}, "operation: delete,"),
        ({"package": "app", "keep-latest": "3"}, "operation: delete,"),
        ({"package": "app", "keep-tags": "v*"}, "operation: delete,"),
        ({"package": "app", "state": "deleted", "tags": "v*"}, "operation: restore,"),
        ({"undo": "receipt.jsonl"}, "operation: restore,"),
        ({"operation": "verify", "package": "app"}, "operation: repair,"),
        ({"operation": "conflicts"}, "conflicts writes nothing"),
    ],
)
def test_dry_run_false_is_refused_by_an_operation_that_only_reads(texts: dict[str, str], meant: str) -> None:
    _, found = attempt(BASE | texts | {"dry-run": "false"})
    assert len(found) == 1
    assert found[0].startswith("dry-run: 'false'")
    assert meant in found[0]


def test_a_misspelt_operation_is_the_only_problem() -> None:
    _, found = attempt(BASE | {"operation": "delet", "dry-run": "false", "package": "app", "tags": "x"})
    assert [problem.partition(":")[0] for problem in found] == ["operation"]


@pytest.mark.parametrize("text", ["-1", "1.5", "1e3", "ten", "0x10", "٣", "1 000", "+1", "9" * 5_000])
def test_a_text_that_is_not_a_whole_number_is_a_problem(text: str) -> None:
    assert any(problem.startswith("limit: ") for problem in problems(**delete(limit=text)))


@pytest.mark.parametrize(
    ("name", "text", "hint"),
    [
        ("operation", "delete-packages", "did you mean 'delete-package'"),
        ("owner-type", "organisation", "did you mean 'organization'"),
        ("package-type", "npm,dockr", "did you mean 'docker'"),
        ("tag-status", "untaged", "did you mean 'untagged'"),
        ("on-last-version", "keeps", "did you mean 'keep'"),
        ("log-level", "verbose", "debug"),
        ("fail-on", "errors", "did you mean 'error'"),
        ("age-of", "create", "did you mean 'created'"),
    ],
)
def test_a_wrong_word_names_the_nearest_one(name: str, text: str, hint: str) -> None:
    found = problems(**delete(**{name.replace("-", "_"): text}))
    assert any(problem.startswith(f"{name}: ") and hint in problem for problem in found), found


def report_options(**texts: str) -> ReportOptions:
    texts = {name.replace("_", "-"): text for name, text in texts.items()}
    return parse_report_options(Request(texts=texts, defaults={}))


def test_report_options_have_defaults() -> None:
    assert report_options() == ReportOptions(
        token=Secret(""),
        log_level=LogLevel.INFO,
        summary=True,
        output_file="",
        summary_file="",
        output_format=OutputFormat.TABLE,
    )


def test_report_options_are_parsed() -> None:
    found = report_options(token=" tok\n", log_level="debug", summary="FALSE", output_file=" result.json ")
    assert found.token.text == "tok"
    assert found.log_level is LogLevel.DEBUG
    assert found.summary is False
    assert found.output_file == "result.json"
    assert parse_report_options(request("list", "--format", "json")).output_format is OutputFormat.JSON


def test_the_log_level_warn_is_warning() -> None:
    assert report_options(log_level="warn").log_level is LogLevel.WARNING


@pytest.mark.parametrize(("name", "text"), [("log_level", "verbose"), ("summary", "no"), ("token", "two words")])
def test_a_wrong_report_option_is_its_default_and_a_problem_of_the_full_parse(name: str, text: str) -> None:
    found = report_options(**{name: text})
    assert found.log_level is LogLevel.INFO
    assert found.summary is True
    assert any(problem.startswith(f"{name.replace('_', '-')}: ") for problem in problems(**{name: text}))


@given(st.dictionaries(st.sampled_from(sorted(INPUTS_BY_NAME)), st.text()))
def test_report_options_never_fail(texts: dict[str, str]) -> None:
    parse_report_options(Request(texts=texts, defaults={}))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "api.github.com",
        "ftp://x",
        "https://",
        "https://user:secret@host",
        "https://host?x=1",
        "https://h:0",
        "https://h:99999",
        "https://a b",
    ],
)
def test_a_text_that_is_not_a_base_url_is_a_problem(text: str) -> None:
    if text:
        found = problems(api_url=text)
        assert any(problem.startswith("api-url: ") for problem in found)
        assert not any("secret" in problem for problem in found)
    else:
        assert read(api_url=text).api_url == "https://api.github.com"


@pytest.mark.parametrize("text", ["https://ghes.example/api/v3/", "http://127.0.0.1:8080", "https://api.sub.ghe.com"])
def test_base_urls_are_accepted(text: str) -> None:
    assert read(api_url=text).api_url == text.rstrip("/")


def test_a_token_is_never_shown() -> None:
    settings = read(token="ghp_secret")
    assert "ghp_secret" not in f"{settings!r} {settings} {settings.token!r} {settings.token}"
    found = problems(token="ghp_secret with blanks", limit="x")
    assert any(problem.startswith("token: ") for problem in found)
    assert not any("ghp_secret" in problem for problem in found)


@pytest.mark.parametrize("text", ["v1_x", "ghp_123", "x", "github_pat_11AAAA", "not.a.known.shape-at_all"])
def test_a_token_is_not_judged_by_its_shape(text: str) -> None:
    assert read(token=text).token.text == text


def test_types_and_packages_are_parsed() -> None:
    settings = read(package_type="npm,maven\n container,npm", package="ghcr.io/ACME/team/app,!x")
    assert settings.package_types == (PackageType.NPM, PackageType.MAVEN, PackageType.CONTAINER)
    assert settings.packages is not None
    assert settings.packages.accepts("Team/App")
    assert not settings.packages.accepts("X")


def test_ages_are_relative_to_now() -> None:
    age = read(**delete(older_than="30d", newer_than="2026-01-01")).rules.inputs.age
    assert age.older_than == NOW - timedelta(days=30)
    assert age.newer_than is not None
    assert age.newer_than.year == 2026
    assert age.timestamp == "updated"
    assert read(**delete(operation="restore", older_than="1d")).rules.inputs.age.timestamp == "deleted"


CONTRADICTIONS: list[tuple[dict[str, str], str]] = [
    ({"versions": ""}, "must not mean everything"),
    ({"operation": "restore", "versions": ""}, "must not mean everything"),
    ({"package": ""}, "at least one entry that includes"),
    ({"package": "!app"}, "at least one entry that includes"),
    ({"operation": "restore", "package": ""}, "at least one entry"),
    ({"operation": "delete-package", "versions": "", "package": "a*"}, "exact names"),
    ({"operation": "delete-package", "versions": "", "package": "/a/"}, "exact names"),
    ({"operation": "restore-package", "versions": "", "package": "*"}, "exact names"),
    ({"operation": "delete-package"}, "versions"),
    ({"operation": "delete-package", "versions": "", "older-than": "3d"}, "older-than"),
    ({"operation": "restore-package", "versions": "", "keep-versions": "1.*"}, "keep-versions"),
    ({"operation": "restore", "keep-versions": "1.*"}, "keep-versions"),
    ({"operation": "restore", "keep-latest": "3"}, "keep-latest"),
    ({"package-type": "container", "versions": "", "tags": "a", "tag-status": "untagged"}, "nothing can be selected"),
    ({"tags": "v*"}, "tags"),
    ({"keep-tags": "v*"}, "keep-tags"),
    ({"tag-status": "tagged"}, "tag-status"),
    ({"package-type": "container", "versions": "v1.*"}, "tags"),
    ({"package-type": "container", "versions": "*", "keep-versions": "v1.*"}, "keep-tags"),
    ({"versions": "!*"}, "excludes everything"),
    ({"older-than": "30d", "newer-than": "10d"}, "nothing can be selected"),
    ({"older-than": "30d", "age-of": "deleted"}, "age-of"),
    ({"state": "deleted"}, "state"),
    ({"undo": "r.jsonl"}, "undo"),
    ({"operation": "restore", "undo": "r.jsonl"}, "versions"),
    ({"operation": "restore", "undo": "r.jsonl", "versions": "", "older-than": "3d"}, "older-than"),
    ({"package-type": "container", "versions": "", "tag-status": "untagged", "images": "raw"}, "images"),
    ({"owner": ""}, "owner"),
    ({"owner": "acme/app"}, "owner"),
    ({"keep-digests": "sha256:abc", "package-type": "container"}, "keep-digests"),
    ({"package": "ghcr.io/umbrella/app"}, "umbrella"),
]


@pytest.mark.parametrize(("change", "word"), CONTRADICTIONS)
def test_contradictions_are_errors(change: dict[str, str], word: str) -> None:
    texts = BASE | DELETE | change
    with pytest.raises(BadInput) as caught:
        parse_settings(texts, defaults={}, now=NOW)
    assert any(word in problem for problem in caught.value.problems), caught.value.problems


def test_undo_needs_no_package() -> None:
    settings = read(operation="restore", undo="r.jsonl", dry_run="false")
    assert settings.undo == "r.jsonl"
    assert settings.packages is None


def test_an_input_without_effect_is_a_warning_when_the_run_only_reads() -> None:
    settings = read(operation="list", on_last_version="fail", undo="")
    assert any(warning.startswith("on-last-version: ") for warning in settings.warnings)
    assert read(operation="list", dry_run="true").warnings == ()


VALUES = st.sampled_from(
    [
        "",
        " ",
        "x",
        "true",
        "false",
        "0",
        "7",
        "-1",
        "*",
        "!*",
        "/(/",
        "/a/",
        "a b",
        "npm",
        "container",
        "list",
        "delete",
        "restore",
        "delete-package",
        "conflicts",
        "30d",
        "3m",
        "2026-01-01",
        "sha256:" + "a" * 64,
        "../x",
        "r.jsonl",
        "any",
        "untagged",
        "raw",
        "https://h",
        "9" * 5_000,
        "\x00",
        "é🚀",
        "[",
        "12,13",
        "deleted",
        "never",
        "ghcr.io/a/b",
        "a,b\n!c",
    ]
) | st.text(max_size=12)


@given(st.dictionaries(st.sampled_from(sorted(INPUTS_BY_NAME)), VALUES))
def test_any_texts_are_settings_or_problems_that_name_their_inputs(texts: dict[str, str]) -> None:
    names = tuple(f"{name}:" for name in (*INPUTS_BY_NAME, "delete", "restore"))
    settings, found = attempt(texts, {"owner": "acme"})
    assert all(problem.startswith(names) for problem in found), found
    assert (settings is None) is bool(found)
    if settings is not None:
        assert settings.token.text
        if settings.writes:
            assert texts["dry-run"].strip().lower() == "false"
            assert settings.undo or (settings.packages is not None and settings.packages.includes)


@given(st.dictionaries(st.sampled_from(sorted(INPUTS_BY_NAME)), VALUES.filter(lambda text: "\x00" not in text)))
def test_the_action_and_the_command_line_read_the_same(texts: dict[str, str]) -> None:
    action = from_action({f"INPUT_{name.upper()}": text for name, text in texts.items()})
    assert action.problems == []
    assert action.texts == texts
    arguments = ["list"]
    for definition in INPUTS:
        text = texts.get(definition.name)
        if definition.name in ("operation", "token") or text is None:
            continue
        lines = text.split("\n") if definition.is_list else [text]
        arguments += [f"--{definition.name}={line}" for line in lines]
    found = from_command_line(arguments, {"GH_TOKEN": texts.get("token", "")})
    same = {name: text for name, text in texts.items() if name not in ("operation", "token")}
    assert {name: found.texts[name] for name in same} == same
    assert found.problems == []


def request(*arguments: str, **environ: str) -> Request:
    return from_command_line(arguments, environ)


def test_the_command_line_reads_the_token_from_the_environment() -> None:
    assert request("list", GH_TOKEN="a", GITHUB_TOKEN="b").texts["token"] == "a"
    assert request("list", GH_TOKEN="", GITHUB_TOKEN="b").texts["token"] == "b"
    assert request("list").texts["token"] == ""


def test_options_of_the_command_line_are_read() -> None:
    found = request("delete", "--tags", "a", "--tags=b", "--no-dry-run", "--limit", "5", GITHUB_REPOSITORY_OWNER="acme")
    assert found.texts["operation"] == "delete"
    assert found.texts["tags"] == "a\nb"
    assert found.texts["dry-run"] == "false"
    assert found.texts["limit"] == "5"
    assert found.defaults["owner"] == "acme"
    assert request("delete", "--dry-run", "--limit", "5").texts["dry-run"] == "true"
    assert request("delete", "--dry-run", "false").texts["dry-run"] == "false"
    assert request("list", "--format", "json").output_format == "json"


@pytest.mark.parametrize(
    "arguments",
    [
        ["list", "app"],
        ["list", "--nonsense"],
        ["list", "--tag", "x"],
        ["list", "--limit"],
        ["--owner", "acme"],
        ["list", "--token", "x"],
        ["list", "--token=x"],
        ["list", "--format", "xml"],
        ["list", "--limit", "1", "--limit", "2"],
        ["list", "--no-owner"],
        ["list", "-x"],
    ],
)
def test_a_wrong_command_line_is_a_problem(arguments: list[str]) -> None:
    assert request(*arguments).problems


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"], ["delete", "--help"], ["--version"]])
def test_help_and_version_are_shown(arguments: list[str]) -> None:
    with pytest.raises(ShowAndExit) as shown:
        request(*arguments)
    assert "package-keeper" in shown.value.text


@pytest.mark.parametrize(
    ("variable", "nearest"),
    [
        ("INPUT_KEEP-TAG", "keep-tags"),
        ("INPUT_KEEP_TAGS", "keep-tags"),
        ("INPUT_PACKAGES", "package"),
        ("INPUT_DRYRUN", "dry-run"),
        ("INPUT_OLDER_THAN", "older-than"),
    ],
)
def test_a_misspelt_input_names_the_nearest(variable: str, nearest: str) -> None:
    found = from_action({variable: ""}).problems
    assert len(found) == 1
    assert f"'{nearest}'" in found[0]


def test_variables_of_the_runner_are_not_inputs() -> None:
    found = from_action(
        {"INPUT_ENTRYPOINT": "/x", "INPUT_ARGS": "a", "PATH": "/bin", "INPUTS": "x", "INPUT_LIMIT": "3"}
    )
    assert found.problems == []
    assert found.texts == {"limit": "3"}


def test_every_declared_choice_is_accepted() -> None:
    for definition in INPUTS:
        values: dict[str, Any] = {Kind.CHOICE: definition.choices, Kind.WORDS: definition.choices}
        for word in values.get(definition.kind, ()):
            _, found = attempt(BASE | {definition.name: word})
            assert not any(f"{definition.name}: '{word}' is not one" in problem for problem in found)
