"""The matrix: every package in exactly one entry, at most 256 entries, and as few names in an entry as possible."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from package_keeper.model.packages import Package, PackageName, PackageType
from package_keeper.report.documents import MOST_JOBS, matrix


def package(name: str, kind: PackageType) -> Package:
    return Package(
        id=1,
        key=PackageName(type=kind, name=name),
        visibility="private",
        version_count=None,
        created_at=None,
        updated_at=None,
        url=None,
        html_url=None,
        owner=None,
        repository=None,
        repository_name=None,
    )


COUNTS = st.dictionaries(st.sampled_from(list(PackageType)), st.integers(0, 700), max_size=6)


@given(COUNTS)
def test_every_package_is_in_one_entry_of_its_type(counts: dict[PackageType, int]) -> None:
    packages = [package(f"p{number}", kind) for kind, count in counts.items() for number in range(count)]
    include = matrix(packages)["include"]
    found = [(entry["package-type"], name) for entry in include for name in entry["package"].split(",")]
    assert sorted(found) == sorted((str(each.type), each.name) for each in packages)
    assert len(include) <= MOST_JOBS
    largest = max((len(entry["package"].split(",")) for entry in include), default=1)
    with_one_name_less = sum(-(-count // (largest - 1)) for count in counts.values()) if largest > 1 else 0
    assert largest == 1 or with_one_name_less > MOST_JOBS


def test_packages_that_follow_each_other_share_an_entry() -> None:
    packages = [package(f"p{number:03}", PackageType.NPM) for number in reversed(range(257))]
    include = matrix(packages)["include"]
    assert include[0] == {"package": "p000,p001", "package-type": "npm"}
    assert include[-1] == {"package": "p256", "package-type": "npm"}


def test_packages_known_by_name_only_are_in_the_matrix() -> None:
    key = PackageName(type=PackageType.NPM, name="gone")
    assert matrix([], [key]) == {"include": [{"package": "gone", "package-type": "npm"}]}


def test_nothing_in_scope_is_an_empty_list() -> None:
    assert matrix([]) == {"include": []}
