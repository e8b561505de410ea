"""Marks variables in texts, and decides by its surroundings whether a name with variables is an image.

A name that a variable hides completely may be any package. It counts as an image only with some evidence: a registry in
front, a tag or digest behind a path, the key or command before it, or the names of its variables
(docs/decisions/0020-hidden-image-names.md).
"""

import re
from collections.abc import Callable, Sequence
from functools import cached_property

from msgspec import Struct

LINE = "\ue000"
"""A line continuation in the middle of a word, where there may or may not be a blank."""

JOIN = "\ue001"
"""Joined strings, `"acme/" + name`, with unknown text between them."""

ANY = "\ue002"
"""An unknown part of a value."""

_FIRST = 0xE010
_MOST = 0xF8FF - _FIRST
_OTHER = "\uf8ff"
"""The mark of all further variables of a file with more variables than marks."""

MARK = "[\ue000-\uf8ff]"
"""The class of all marks, for regular expressions."""

_GOES_ON = "\v"
"""A line continuation after a blank."""

_NO_TEXT = re.compile(f"{MARK}|\0")
_OPEN_LINES = re.compile(r"[\\`^]\r?\n[ \t]{0,200}")
_ESCAPES = re.compile(
    r"\\(?:\\{0,7})(?:(?P<slash>/|u002[fF]|x2[fF])|(?P<colon>u003[aA]|x3[aA])|(?P<at>u0040|x40)|(?P<blank>[nrt]))"
    r"|%(?:25)?(?:(?P<slash_2>2[fF])|(?P<colon_2>3[aA])|(?P<at_2>40))"
    r"|&#(?:(?P<slash_3>x2[fF]|47)|(?P<colon_3>x3[aA]|58)|(?P<at_3>x40|64));"
)
_MEANINGS = {"slash": "/", "colon": ":", "at": "@", "blank": " "}
_JOINS = (
    re.compile(r"""["'`][ \t]{0,3}(?:\+|[ \t](?:\.\.|~)[ \t])"""),
    re.compile(r"""\+[ \t]{0,3}["'`]|\.\.[ \t]{1,3}["'`]|~[ \t]{1,3}["'`]"""),
)
_VARIABLES = re.compile(
    # these may be longer than a line
    r"\$\{\{[^{}]{0,1000}\}\}|\{\{[^{}]{0,1000}\}\}|\$\([^()]{0,1000}\)"
    r"|\$\{[^{}\n]*\}|\$\[[^\[\]\n]*\]|\$\$?(?:env:)?[A-Za-z_]\w*|\$[0-9@*]|\$\.[A-Za-z_][\w.]*"
    r"|#\{[^{}\n]*\}|\{%[^{}\n]*%\}|\{[A-Za-z_][\w.:!]*\}|\{\d{0,2}\}"
    r"|<%[^<>\n]*%>|<(?<=[/:@-]<)[A-Za-z_][\w. -]*>|<[A-Za-z_][\w. -]*>(?=[/:@-])"
    r"|%[A-Za-z_][\w.]*%|%(?:\([A-Za-z_]\w*\)|\[\d\]|\d\$)?[svdqi](?![\w%])|@[A-Z_]{2,}@",
    re.ASCII,
)
_NESTED = re.compile(
    rf"\$\{{\{{(?=[^{{}}]*{MARK})[^{{}}]{{0,1000}}\}}\}}|\{{\{{(?=[^{{}}]*{MARK})[^{{}}]{{0,1000}}\}}\}}"
    rf"|\$\((?=[^()]*{MARK})[^()]{{0,1000}}\)|\$\{{(?=[^{{}}\n]*{MARK})[^{{}}\n]*\}}|#\{{(?=[^{{}}\n]*{MARK})[^{{}}\n]*\}}"
)
_WITHOUT_SIGN = (
    # Terraform, CloudFormation, Jsonnet, Node.js; then CloudFormation in JSON
    re.compile(
        r"(?P<before>[:=][ \t])(?P<variable>(?:var|local|module|data|each)\.[A-Za-z_][\w.]*"
        r"|!(?:Ref|GetAtt|ImportValue|If|FindInMap|Select|Join)\b|std\.extVar\([^()\n]*\)|process\.env\.[A-Za-z_]\w*)",
        re.ASCII,
    ),
    re.compile(
        r'(?P<before>\{)(?P<variable>)(?=\s{0,60}"(?:Ref|Fn::(?:GetAtt|ImportValue|If|FindInMap|Select|Join))")'
    ),
)
_DEPTH = 8
"""How deeply nested variables are marked."""


class MarkedText(Struct, frozen=True):
    """A text with a mark in place of each variable.

    By mark, `variables` has the text of the variable, which may contain marks itself, and `values` its value, if known.
    """

    text: str
    variables: dict[str, str]
    values: dict[str, str]

    def lines(self, start: int, end: int) -> int:
        """Count the line ends of the original file between two places."""
        return sum(self.text.count(each, start, end) for each in ("\n", _GOES_ON, LINE))


def mark(text: str, value_of: Callable[[str], str | None]) -> MarkedText:
    """Mark the variables of `text`. `value_of` returns the value of a variable, or `None` when it is unknown."""
    marks: dict[str, str] = {}

    def mark_of(variable: str) -> str:
        return marks.setdefault(variable, chr(_FIRST + len(marks)) if len(marks) < _MOST else _OTHER)

    text = _joined(_without_escapes(text))

    def marked(found: re.Match[str]) -> str:
        # keep the line ends inside the variable, so that lines are counted correctly
        return mark_of(found[0]) + _GOES_ON * (found[0].count("\n") + found[0].count(_GOES_ON))

    text = _VARIABLES.sub(marked, text)
    for _ in range(_DEPTH):
        text, count = _NESTED.subn(marked, text)
        if not count:
            break
    for expression in _WITHOUT_SIGN:
        text = expression.sub(lambda found: found["before"] + mark_of(found["variable"]), text)
    variables = {character: written for written, character in marks.items()}
    values = {character: value for character, written in variables.items() if (value := value_of(written)) is not None}
    return MarkedText(text, variables, values)


def _without_escapes(text: str) -> str:
    if not text.isascii() or "\0" in text:
        text = _NO_TEXT.sub(" ", text)
    text = _OPEN_LINES.sub(_open_line, text)
    return _ESCAPES.sub(lambda found: _MEANINGS[str(found.lastgroup).partition("_")[0]], text)


def _open_line(found: re.Match[str]) -> str:
    if found.string[max(0, found.start() - 1) : found.start()] in (" ", "\t"):
        return _GOES_ON
    # ` and ^ continue a line only after a blank
    return LINE if found[0].startswith("\\") else found[0]


def _joined(text: str) -> str:
    for joins in _JOINS:
        text = joins.sub(JOIN, text)
    return text


_FORMS = re.compile(
    r"\$\{\{\s*(?P<expression>[\w.]+)\s*\}\}|\$\{(?:env:)?(?P<shell>\w+)(?P<change>[#%,^@:/].*)?\}"
    r"|\$(?:env:)?(?P<plain>\w+)|%(?P<windows>\w+)%|\$\((?P<pipeline>\w+)\)",
    re.ASCII | re.DOTALL,
)
_REPOSITORY_WORDS = frozenset(
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
    """The value of a variable of GitHub Actions, or `None`. `repository` is empty when it is unknown."""
    form = _FORMS.fullmatch(variable)
    if form is None:
        return None
    word = next(each for each in form.group("expression", "shell", "plain", "windows", "pipeline") if each).lower()
    owner, _, name = repository.partition("/") if repository else (login, "/", ANY)
    # another case does not change the meaning; after other changes the value may be anything
    change = (form["change"] or "").replace(",,", "").replace("^^", "").replace("@L", "")
    if word in _REPOSITORY_WORDS:
        return {"": f"{owner}/{name}", "#*/": name, "##*/": name, "%/*": owner, "%%/*": owner}.get(change)
    if change:
        return None
    return owner if word in _OWNER else name if word in _NAME else None


_OF_GITHUB = re.compile(r"(?:ghcr\.io|containers\.[\w.-]+|docker\.pkg\.[\w.-]+)(?::\d+)?", re.IGNORECASE | re.ASCII)
FIXED_REGISTRIES = re.compile(
    _OF_GITHUB.pattern + r"|(?:(?:index\.|registry-1\.)?docker\.io|quay\.io|mcr\.microsoft\.com|registry\.k8s\.io)",
    re.IGNORECASE | re.ASCII,
)
"""Registries in which a name begins with the owner."""

_REGISTRIES = re.compile(
    FIXED_REGISTRIES.pattern + r"|(?:[\w.-]*\.)?(?:gcr\.io|pkg\.dev|azurecr\.io|amazonaws\.com|ecr\.aws|jfrog\.io)"
    r"|(?:[\w-]+\.)*(?:registry|docker|cr|harbor|nexus|oci|containers?)\.[\w.-]+(?::\d+)?",
    re.IGNORECASE | re.ASCII,
)
_KEY = re.compile(
    r"(?:(?:image|img)s?(?:[_.-]?(?:name|repo|repository|uri|ref|reference))?|\bnew_?name|\bcontainer|from_?registry"
    r"|--from|,from|default-?repo)[\"'`]?[ \t]{0,4}(?::=|\?=|\+=|=>|[:=>(])[ \t]{0,4}(?:&\w+[ \t])?[>|]?"
    r"[\"'`({\[]{0,3}$"
    r"|(?:image|img)[ \t][\"'`]$|--[\w-]{0,40}(?:image|img)[ \t]{1,4}[\"']?$",
    re.IGNORECASE,
)
_OPENING = " \t\"'`{[|"
_ENDS_OF_KEYS = (":", "=", ">", "(", "image", "Image", "IMAGE", "img", "IMG")
_KEY_WORDS = ("image", "img", "repo", "container", "new_name", "newname", "from=", "from_registry", "fromregistry")
_FROM = re.compile(r"^[ \t]*FROM[ \t]+(?:--\S+[ \t]+){0,3}[\"']?$")
_REPOSITORY = re.compile(r"\b[rR]epository[\"']?[ \t]{0,4}[:=][ \t]{0,4}[\"']?$")
_BESIDE_REPOSITORY = re.compile(r"\b(?:tag|digest|pull_?policy|registry)[\"']?[ \t]{0,4}[:=]", re.IGNORECASE)
_OPEN_KEY = re.compile(
    r"(?:image|img)(?:s|_?names?)?[\"']?[ \t]{0,4}[:=][ \t]{0,4}[>|\[]?[-+]?[ \t]{0,4}$", re.IGNORECASE
)
_ITEM = re.compile(r"[ \t]*(?:-[ \t]+)?(?:[\"']?(?:name|repository)[\"']?[ \t]{0,4}[:=][ \t]{0,4})?[\"']?$")
_TOOLS = (
    *("docker", "podman", "nerdctl", "buildah", "skopeo", "crane", "regctl", "oras", "cosign", "ctr", "kubectl"),
    *("helm", "trivy", "grype", "syft", "apptainer", "singularity"),
)
_TOOL = re.compile(rf"\b(?P<name>{'|'.join(_TOOLS)})[ \t]")
_RUN_IMAGES = frozenset(("docker", "podman", "nerdctl", "ctr", "apptainer", "singularity"))
_RUNS = re.compile(
    r".*(?<!\bcompose )(?<!\bnetwork )(?<!\bvolume )(?<!\bcontext )(?<!\bsecret )(?<!\bconfig )(?<!\bpod )"
    r"\b(?:run|create)[ \t](?P<rest>.*)$"
)
_TAKES = re.compile(
    r"\b(?:pull|push|tag|copy|save|sign|verify|scan|from|image|docker-image|digest|manifest)"
    r"(?:[ \t]+[^\s;&|<>]+){0,4}[ \t]+[\"']?$"
)
_NAMES = re.compile(r"(?:[ \t]-t|--tag)[ \t=]+[\"']?$")
_BOOLEAN = re.compile(
    r"-[ditPq]+|--(?:rm|detach|interactive|tty|init|privileged|quiet|read-only|publish-all|replace|no-healthcheck)"
)
_VOLUME = re.compile(r"(?:(?:^|[ \t])-v|--volume|--mount)[ \t=]{0,4}[\"']?$")
_NAMED_IMAGE = re.compile(r"image|img", re.IGNORECASE)
_NAMED_REGISTRY = re.compile(r"registry", re.IGNORECASE)
_NAMED_OTHERWISE = re.compile(r"tag|version|digest|policy|secret|size|sha\b|user|pass|token|registry", re.IGNORECASE)
_NAMED_PATH = re.compile(
    r"\b(?:home|pwd|cwd|oldpwd|tmpdir|temp|dirname|cd|\w*(?:workspace|dir|root|folder)|server_url|api_url)\b",
    re.IGNORECASE,
)
_LONGEST_HOST = 253
_NEAR = 120
_LINE = 1000
"""How many characters before a place are searched."""


def is_registry(host: str, scheme: str) -> bool:
    """Whether a host is a registry, as far as its name shows. In a URL (`scheme`) only GitHub's registries count."""
    registries = _OF_GITHUB if scheme else _REGISTRIES
    return len(host) <= _LONGEST_HOST and registries.fullmatch(host) is not None


def are_called_image(variables: Sequence[str]) -> bool:
    """Whether the name of a variable says that it is an image."""
    return any(_NAMED_IMAGE.search(each) and not _NAMED_OTHERWISE.search(each) for each in variables)


def are_called_registry(variables: Sequence[str]) -> bool:
    """Whether the name of a variable says that it is a registry."""
    return any(_NAMED_REGISTRY.search(each) for each in variables)


def is_called_path(variable: str) -> bool:
    """Whether the name of a variable says that it is a path, or the address of a server."""
    return _NAMED_PATH.search(variable) is not None


class Surroundings:
    """Answers questions about the text before and after a word."""

    def __init__(self, text: str) -> None:
        self.text = text

    @cached_property
    def _has_keys(self) -> bool:
        lowered = self.text.lower()
        return "FROM " in self.text or any(word in lowered for word in _KEY_WORDS)

    @cached_property
    def _has_tools(self) -> bool:
        return any(f"{tool} " in self.text or f"{tool}\t" in self.text for tool in _TOOLS)

    @property
    def may_show_images(self) -> bool:
        """Whether the text has any key or tool that could announce an image."""
        return self._has_keys or self._has_tools

    def before(self, at: int, most: int = _NEAR) -> str:
        """The text before a place in its line, at most `most` characters."""
        return self.text[max(0, at - most) : at].rpartition("\n")[2]

    def key_wants_image(self, at: int) -> bool:
        """Whether a key, an instruction or an argument before the place announces an image."""
        if not self._has_keys:
            return False
        before = self.before(at)
        if (before.rstrip(_OPENING).endswith(_ENDS_OF_KEYS) or "&" in before) and _KEY.search(before):
            return True
        if "FROM" in before and _FROM.search(before):
            # SQL has lines that begin with FROM, too
            return "select" not in self.text[max(0, at - 2 * _LINE) : at + 2 * _LINE].lower()
        is_repository = "epository" in before and _REPOSITORY.search(before) is not None
        if is_repository and _BESIDE_REPOSITORY.search(self.text, max(0, at - 200), at + 200):
            # a repository of images, not of code
            return True
        return _ITEM.fullmatch(before) is not None and self._is_under_image_key(at - len(before), before)

    def command_wants_image(self, at: int, variables: Sequence[str]) -> bool:
        """Whether an image belongs at the place, in a command of a tool that works with images."""
        before = self.before(at, _LINE) if self._has_tools else ""
        tool = _TOOL.search(before)
        if tool is None:
            return False
        if are_called_image(variables):
            return True
        arguments = before[tool.end() - 1 :]
        runs = _RUNS.match(arguments) if tool["name"] in _RUN_IMAGES else None
        if runs is not None:
            return _is_first_operand(runs["rest"])
        return _NAMES.search(arguments) is not None or (
            _TAKES.search(arguments) is not None and not _is_value(arguments.rstrip("\"'").split())
        )

    def is_volume(self, at: int) -> bool:
        """Whether `A:B` is a volume here, not a name and a tag."""
        return _VOLUME.search(self.before(at)) is not None

    def _is_under_image_key(self, line: int, before: str) -> bool:
        """Whether the nearest line above with less indentation ends with a key for images."""
        indent = _indent(before)
        above = self.text[max(0, line - _LINE) : line].split("\n")[:-1]
        for each in reversed(above):
            if not each.strip():
                continue
            if _OPEN_KEY.search(each[-_NEAR:]):
                return _indent(each) <= indent
            if _indent(each) < indent:
                return False
        return False


def _is_value(words: Sequence[str]) -> bool:
    """Whether the next word is the value of an option."""
    option = words[-1] if words else ""
    return option.startswith("-") and "=" not in option and not _BOOLEAN.fullmatch(option)


def _is_first_operand(arguments: str) -> bool:
    """Whether the next word is the first operand: `arguments` are only options and their values."""
    before = arguments.rstrip("\"'")
    if before and not before[-1].isspace():
        return False
    words = iter(before.split())
    for word in words:
        if not word.startswith("-"):
            return False
        if "=" not in word and not _BOOLEAN.fullmatch(word) and next(words, None) is None:
            return False
    return True


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())
