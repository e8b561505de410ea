"""What `make docs` changes in pages: links to files outside docs/ lead to the repository.

The pages link to `../examples/nightly.yml` and `../CHANGELOG.md`, so that they work where the repository is browsed.
The site holds docs/ only. `mkdocs.yml` names this file as a hook.
"""

import pathlib
import re
from typing import Any

ROOT = pathlib.Path(__file__).resolve().parent.parent
LINK = re.compile(r"(?<=\]\()(?P<target>(?:\.\./)+[^)#\s]*)(?P<anchor>#[^)\s]*)?(?=\))")


def on_page_markdown(markdown: str, page: Any, config: Any, **_: Any) -> str:
    """Rewrite the links of one page; called by mkdocs."""
    docs = pathlib.Path(config["docs_dir"])

    def address(found: re.Match[str]) -> str:
        place = (docs / page.file.src_uri).parent.joinpath(found["target"]).resolve()
        # what does not exist is left for mkdocs to report
        if not place.exists() or place.is_relative_to(docs):
            return found[0]
        kind = "tree" if place.is_dir() else "blob"
        path = place.relative_to(ROOT).as_posix()
        return f"{config['repo_url']}/{kind}/main/{path}{found['anchor'] or ''}"

    return LINK.sub(address, markdown)
