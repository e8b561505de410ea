"""Evidence that an image is in use: deployment records and releases."""

from collections.abc import Iterable, Mapping

from msgspec import Struct

from package_keeper.model.plan import Reason

DECOMMISSIONED = "decommissioned"
"""The status of a record that is no use any more (docs/github-behaviour.md, "What GitHub knows about artifacts")."""


class DeploymentRecord(Struct, frozen=True, kw_only=True):
    """One deployment of an artifact. Texts are GitHub's, or empty where it does not say."""

    environment: str = ""
    cluster: str = ""
    deployment: str = ""
    status: str = ""

    @property
    def is_use(self) -> bool:
        """Whether the artifact may still run there."""
        return self.status.lower() != DECOMMISSIONED

    def __str__(self) -> str:
        """Name the place: `production, cluster eu-1, deployment web`."""
        cluster = f"cluster {self.cluster}" if self.cluster else ""
        deployment = f"deployment {self.deployment}" if self.deployment else ""
        return ", ".join(filter(None, (self.environment, cluster, deployment)))


class Use(Struct, frozen=True, kw_only=True):
    """Why evidence keeps a version: `keep-deployed`, `keep-released` or `unknown-use`, and where it is used."""

    reason: Reason
    where: str = ""


Uses = Mapping[int, Use]
"""The versions that evidence keeps, by id. For images these are the roots."""


def released_names(tags: Iterable[str]) -> dict[str, str]:
    """Map the names that a version of a release may have to the tag of the release.

    A version may have the tag with or without `v` in front, and registries spell `+` as `_` or `-`.
    """
    names: dict[str, str] = {}
    for tag in tags:
        for name in (tag, tag.removeprefix("v"), f"v{tag}"):
            for spelling in (name, name.replace("+", "_"), name.replace("+", "-")):
                if spelling:
                    names.setdefault(spelling, tag)
    return names
