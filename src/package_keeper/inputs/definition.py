"""What one input is: how its text is read, on which operations it has an effect, and what it protects."""

from dataclasses import dataclass, field
from enum import StrEnum

from package_keeper.inputs.operations import ALL, Operation


class Kind(StrEnum):
    """How the text of an input is read."""

    SECRET = "secret"  # noqa: S105  # reason: the kind of an input, no secret
    TEXT = "text"
    URL = "URL"
    WORDS = "words"
    PATTERNS = "patterns"
    IDS = "ids"
    DIGESTS = "digests"
    CHOICE = "choice"
    BOOLEAN = "boolean"
    NUMBER = "number"
    AGE = "age"
    DURATION = "duration"
    RANGE = "range"
    TEMPLATES = "templates"
    GLOBS = "globs"
    GROUPING = "grouping"
    SQL = "SQL"
    PATH = "path"


@dataclass(frozen=True, kw_only=True)
class Input:
    """One input.

    `default` is what an empty string means; `action_default` is the expression that `action.yml` declares instead.
    `operations` are those on which it has an effect. `narrows` marks inputs that protect or restrict: where they
    would have no effect on a writing operation, the run is refused instead of warned about.
    """

    name: str
    section: str
    kind: Kind
    meaning: str
    default: str = ""
    action_default: str = ""
    choices: tuple[str, ...] = ()
    aliases: dict[str, str] = field(default_factory=dict)
    operations: frozenset[Operation] = ALL
    narrows: bool = False
    needs_tags: bool = False
    needs_images: bool = False
    example: str = ""

    @property
    def is_list(self) -> bool:
        """Whether repeated options add entries."""
        return self.kind in _LISTS


_LISTS = (Kind.WORDS, Kind.PATTERNS, Kind.IDS, Kind.DIGESTS, Kind.TEMPLATES, Kind.GLOBS)
