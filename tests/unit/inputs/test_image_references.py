"""Image references: the forms that real files have, and a plain name between any texts."""

from __future__ import annotations

import re
from pathlib import Path
from time import process_time

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from package_keeper.inputs.image_references import ReferenceFinder
from package_keeper.model.images import Image, independent_images
from package_keeper.policy.images_in_use import ImagesInUse
from tests.unit.making import key, version

DIGEST = f"sha256:{'0123456789abcdef' * 4}"
FORMS: dict[str, dict[str, str]] = yaml.safe_load(
    (Path(__file__).parent / "image_forms.yaml").read_text(encoding="utf-8")
)
PACKAGES = ("app", "web", "clean", "team/app", "charts/app", "repo/app", "tap/jq", "app-extra")


def used(text: str, file: str = "some.file", *, own: bool = False) -> ImagesInUse:
    finder = ReferenceFinder(["acme"], "acme/clean")
    finder.search(file, text, is_own_workflow=own)
    return ImagesInUse.of(finder.references(), {})


def images(package: str) -> dict[str, Image]:
    """Three images of a package: two with tags, and one with the digest that forms name."""
    of = key("container", package)
    versions = [
        version(1, of=of, name=f"sha256:{1:064x}", tags=("v1",)),
        version(2, of=of, name=f"sha256:{2:064x}", tags=("v2",)),
        version(3, of=of, name=DIGEST),
    ]
    return dict(zip((":v1", ":v2", "@digest"), independent_images(versions), strict=True))


def kept(found: ImagesInUse) -> str:
    """What stays, as the forms say it."""
    stays = []
    for package in PACKAGES:
        ends = [end for end, image in images(package).items() if found.name(image)]
        stays += [package] if len(ends) == 3 else [package + end for end in ends]
    return "*" if stays == list(PACKAGES) else " ".join(sorted(stays))


@pytest.mark.parametrize("title", FORMS)
def test_each_form_keeps_the_images_that_it_names_and_no_others(title: str) -> None:
    form = FORMS[title]
    text = form["text"].replace("{digest}", DIGEST)
    found = used(text, form.get("file", "some.file"), own="own" in form)
    assert kept(found) == " ".join(sorted(form["keeps"].split()))


PIECES = st.sampled_from(
    [
        *"$#%{}()<>[]@:;,.-_/\\\"'`~+=*!?&|^ \n\r\t\0",
        *("${", "$(", "{{", "}}", "${{", "$[", "{%", "%}", "<%", "%>", "$X", "${X}", "{x}", "%X%", "<x>", "X:-"),
        *("&#47;", "%2F", "%3A", "\\/", "\\n", "\\\n", "\\\n  ", '"+"', "\ue010", "a", "1", "é"),
        *("docker://", "https://", "ghcr.io/", "x/", "v2/", "repos/", "image: ", "uses: ", "FROM ", "- ", "# "),
    ]
)
AROUND = st.lists(PIECES, max_size=8).map("".join)


@given(
    before=AROUND,
    owner=st.sampled_from(["acme", "ACME", "nginx-inc", "r2", "tools"]),
    reference=st.sampled_from(["app:v1", "App:v1", "team/app:v1", f"app:v1@{DIGEST}"]),
    after=AROUND,
)
@example(before="\\", owner="nginx-inc", reference="app:v1", after="")
@example(before="${", owner="acme", reference="app:v1", after="}")
@example(before="${X:-", owner="acme", reference="app:v1", after="}")
def test_a_plain_name_is_found_between_any_texts(before: str, owner: str, reference: str, after: str) -> None:
    # a letter or digit makes another owner, or another tag, of it, and $acme or $.acme is a variable
    if re.search(r"[A-Za-z0-9][-._]*$|\$(?:\.|env:)?_*$", before) or re.match(r"[-._]*[A-Za-z0-9]", after):
        return
    finder = ReferenceFinder([owner.lower()])
    finder.search("some.file", f"{before}{owner}/{reference}{after}")
    package = reference.partition(":")[0].lower()
    assert ImagesInUse.of(finder.references(), {}).name(images(package)[":v1"])


@given(st.lists(PIECES | st.sampled_from(["acme", "app", ":v1", "\n"]), max_size=60).map("".join))
def test_any_text_can_be_searched(text: str) -> None:
    finder = ReferenceFinder(["acme"], "acme/app")
    finder.search("some.file", text)
    lines = text.count("\n") + 1
    assert all(1 <= int(each.place.rpartition(":")[2]) <= lines for each in finder.references())


EVIL = (
    *("$", "{", "{{", "}}", "a/", "a.", "\\", '"+', " ", "<a", "${", "$(", "%", "@A", "a:", "[", "{%", "&#", "v2/"),
    *("acme", "acme/", "acme/$X/", "acme/app:v1 ", "${a}/", "${a}", "${a:-", "{{ a\n", "\\\n", '{"Ref"', "= var.a\n"),
    *("image: ", "image: ${x}\n", "image:\n - $X\n", "repository: ${x}\n", "repo: app\n", "ghcr.io/acme\n"),
    *("docker run $X ", "FROM $X\n"),
)


def test_a_search_takes_linear_time() -> None:
    # what is quadratic anywhere takes minutes
    began = process_time()
    for unit in EVIL:
        finder = ReferenceFinder(["acme"], "acme/clean")
        finder.search("some.file", unit * (100_000 // len(unit)))
        finder.references()
    assert process_time() - began < 60
