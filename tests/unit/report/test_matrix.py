"""The matrix: every package in exactly one entry, never more than 256 entries, of about equal size."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from package_keeper.inventory.package import Package, PackageName, PackageType
from package_keeper.report.matrix import MOST_JOBS, matrix


def package(name: str, kind: PackageType, versions: int | None = None) -> Package:
    return Package(
        id=1,
        key=PackageName(type=kind, name=name),
        visibility="private",
        version_count=versions,
        created_at=None,
        updated_at=None,
        url=None,
        html_url=None,
        owner=None,
        repository=None,
        repository_name=None,
    )


COUNTS = st.dictionaries(st.sampled_from(list(PackageType)), st.integers(0, 700), max_size=6)
SIZES = st.sampled_from([None, 0, 1, 5, 3_000])


@given(COUNTS, st.lists(SIZES, min_size=1, max_size=9))
def test_every_package_is_in_one_entry_of_its_type(counts: dict[PackageType, int], sizes: list[int | None]) -> None:
    packages = [
        package(f"p{number}", kind, sizes[number % len(sizes)])
        for kind, count in counts.items()
        for number in range(count)
    ]
    include = matrix(packages)["include"]
    found = [(entry["package-type"], name) for entry in include for name in entry["package"].split(",")]
    assert sorted(found) == sorted((str(each.type), each.name) for each in packages)
    assert len(include) == min(len(packages), MOST_JOBS)


def test_a_large_package_has_a_job_of_its_own() -> None:
    packages = [package(f"p{number}", PackageType.NPM, 1) for number in range(1_000)]
    packages.append(package("huge", PackageType.NPM, 100_000))
    include = matrix(packages)["include"]
    assert {"package": "huge", "package-type": "npm"} in include
    sizes = sorted(len(entry["package"].split(",")) for entry in include)
    assert sizes[-1] - sizes[1] <= 1


def test_what_is_known_by_name_alone_is_there_too() -> None:
    key = PackageName(type=PackageType.NPM, name="gone")
    assert matrix([], [key]) == {"include": [{"package": "gone", "package-type": "npm"}]}


def test_nothing_in_scope_is_an_empty_list() -> None:
    assert matrix([]) == {"include": []}
