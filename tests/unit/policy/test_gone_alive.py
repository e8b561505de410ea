"""A tag that one template shows to be alive keeps its image, whatever the other templates show."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from package_keeper.model.images import independent_images
from package_keeper.model.plan import Action
from package_keeper.model.repository import RepositoryState
from package_keeper.policy.evaluation import evaluate_deletions
from package_keeper.policy.gone import GoneTags, GoneTemplate, Tie
from package_keeper.policy.selection import Facts, PartialMatch
from tests.unit.making import key, patterns, rule, rules, version

LIFE = RepositoryState(
    full_name="acme/app",
    branches=frozenset({"main", "feature/x", "pr-2"}),
    open_pulls=frozenset({3, 4}),
    closed_pulls=frozenset({1, 2, 4}),
    open_heads=frozenset({"topic"}),
    closed_heads=frozenset({"old", "older", "topic", "pr-2"}),
)
ALIVE = {"main", "feature-x", "Feature-X", "topic", "pr-2", "pr-3", "pr-4"}
TAGS = st.lists(
    st.sampled_from([*sorted(ALIVE), "pr-1", "pr-5", "old", "older", "v1.0.0", "latest"]), max_size=4, unique=True
)
TEMPLATES = GoneTags((GoneTemplate(tie=Tie.PULL_REQUEST, before="pr-"), GoneTemplate(tie=Tie.BRANCH)))


@given(
    st.lists(TAGS, min_size=1, max_size=6),
    st.sampled_from(PartialMatch),
    st.sampled_from([None, "*", "pr-*", "!pr-3", "old*"]),
    st.sampled_from(["container", "docker"]),
)
def test_a_living_tag_keeps_its_image(
    several: list[list[str]], partial: PartialMatch, tags: str | None, kind: str
) -> None:
    versions = [
        version(number, of=key(kind), name=f"sha256:{number:064x}", tags=tuple(each))
        for number, each in enumerate(several)
    ]
    wanted = rules(rule(gone=TEMPLATES, tags=patterns(tags) if tags else None, partial_match=partial))
    decisions = evaluate_deletions(independent_images(versions), wanted, Facts(repositories={key(kind): LIFE}))
    for decision in decisions:
        alive = ALIVE.intersection(decision.version.tags)
        if alive:
            assert decision.action is not Action.DELETE
        assert alive.isdisjoint(decision.untag)
        if decision.action is not Action.KEEP:
            assert not {"pr-1", "old", "older"}.isdisjoint(decision.version.tags)


def test_a_pull_request_that_is_open_again_is_alive() -> None:
    assert not TEMPLATES.accepts("pr-4", LIFE)
    assert TEMPLATES.accepts("pr-1", LIFE)
