"""Addresses of the documentation that belongs to the version in use."""

import re

PROJECT = "https://github.com/OWNER/package-keeper"


def docs_base(server: str, repository: str, ref: str) -> str:
    """The address of the repository's files at the version in use, or of the project's.

    `server`, `repository` and `ref` are what the runner says about the action: `GITHUB_SERVER_URL`,
    `GITHUB_ACTION_REPOSITORY` and `GITHUB_ACTION_REF`. They are empty outside of a workflow.
    """
    is_known = re.fullmatch(r"https?://[\w.:-]+", server, re.ASCII) and re.fullmatch(
        r"[\w.-]+/[\w.-]+", repository, re.ASCII
    )
    if not is_known:
        return f"{PROJECT}/blob/HEAD"
    version = ref if re.fullmatch(r"[\w./-]+", ref, re.ASCII) else "HEAD"
    return f"{server}/{repository}/blob/{version}"


def docs_link(base: str, page: str, anchor: str = "") -> str:
    """The address of a section: `page` is a file in `docs/`, `anchor` is what GitHub makes of its heading."""
    return f"{base}/docs/{page}{f'#{anchor}' if anchor else ''}"
