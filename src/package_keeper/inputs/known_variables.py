"""Variables of a workflow whose value is known: whose repository it is, and what it is called.

In a workflow of the run's own repository they have the run's values. Anywhere else the same text may be that of another
repository: the owner may be ours, and the name any.
"""

import re

from package_keeper.inputs.marked_text import ANY

_FORMS = re.compile(
    r"\$\{\{\s*(?P<expression>[\w.]+)\s*\}\}|\$\{(?:env:)?(?P<shell>\w+)(?P<change>[#%,^@:/].*)?\}"
    r"|\$(?:env:)?(?P<plain>\w+)|%(?P<windows>\w+)%|\$\((?P<pipeline>\w+)\)",
    re.ASCII | re.DOTALL,
)
_REPOSITORY = frozenset(
    ("github.repository", "github.event.repository.full_name", "env.github_repository", "github_repository")
)
_OWNER = frozenset(
    (
        "github.repository_owner",
        "github.event.repository.owner.login",
        "github.event.organization.login",
        "env.github_repository_owner",
        "github_repository_owner",
    )
)
_NAME = frozenset(("github.event.repository.name",))


def value_of(variable: str, *, login: str, repository: str) -> str | None:
    """The value of a variable as written, or `None`. `repository` is empty when it may be any."""
    form = _FORMS.fullmatch(variable)
    if form is None:
        return None
    word = next(each for each in form.group("expression", "shell", "plain", "windows", "pipeline") if each).lower()
    owner, _, name = repository.partition("/") if repository else (login, "/", ANY)
    # in small or capital letters it is the same; cut or replaced it may be anything
    change = (form["change"] or "").replace(",,", "").replace("^^", "").replace("@L", "")
    if word in _REPOSITORY:
        return {"": f"{owner}/{name}", "#*/": name, "##*/": name, "%/*": owner, "%%/*": owner}.get(change)
    if change:
        return None
    return owner if word in _OWNER else name if word in _NAME else None
