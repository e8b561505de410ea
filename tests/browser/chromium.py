"""Shows Markdown as GitHub does, in Debian's Chromium: measures pages and takes pictures of them."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cmarkgfm
from cmarkgfm.cmark import Options

STYLE = Path(__file__).parent / "style"
BACKGROUNDS = {"light": "#ffffff", "dark": "#0d1117"}
SECONDS = 100

_EXTENSIONS = ["table", "autolink", "strikethrough", "tasklist", "tagfilter"]
_ALERT = re.compile(r"<blockquote>\s*<p>\[!(NOTE|TIP|IMPORTANT|WARNING|CAUTION)\]\s*")
_PAGE = """<!doctype html><html><head><meta charset="utf-8"><style>{style}</style><style>
html, body {{ margin: 0; background: {background}; scrollbar-width: none }}
.markdown-body {{ box-sizing: border-box; padding: 16px; max-width: 1012px }}
</style></head><body class="markdown-body">{body}</body></html>"""

_MEASURE = """<!doctype html><html><head><meta charset="utf-8"></head><body><pre id="found"></pre><script>
const pages = {pages};
const found = {{}};
for (const [name, [width, source]] of Object.entries(pages)) {{
  const frame = document.createElement("iframe");
  frame.style = `width: ${{width}}px; height: 900px; border: 0`;
  document.body.append(frame);
  const page = frame.contentDocument;
  page.open(); page.write(source); page.close();
  const root = page.documentElement;
  const visible = [...page.querySelectorAll("body *")].filter(each => each.checkVisibility());
  const wide = visible.filter(each => {{
    const box = each.getBoundingClientRect();
    return box.right > width + 0.5 && !each.closest("table, pre");
  }});
  const scrolled = [...page.querySelectorAll("table, pre")].filter(
    each => each.checkVisibility() && each.scrollWidth > each.clientWidth + 1);
  found[name] = {{
    alerts: page.querySelectorAll(".markdown-alert").length,
    text: page.body.innerText,
    height: Math.ceil(page.body.getBoundingClientRect().height),
    scrollWidth: root.scrollWidth,
    wide: wide.map(each => each.outerHTML.slice(0, 200)),
    scrolled: scrolled.map(each => [each.tagName, each.scrollWidth, each.textContent.slice(0, 100)]),
  }};
  frame.remove();
}}
document.getElementById("found").textContent = JSON.stringify(found);
</script></body></html>"""


def browser() -> str:
    """The path of Chromium. Raises `AssertionError` when there is none: nothing is skipped silently."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert found, "these tests need Chromium (Debian and Ubuntu: apt-get install chromium)"
    return found


def page(markdown: str, mode: str) -> str:
    """A whole page with the Markdown, as GitHub shows it in the mode `light` or `dark`."""
    options = Options.CMARK_OPT_UNSAFE | Options.CMARK_OPT_FOOTNOTES
    body = cmarkgfm.markdown_to_html_with_extensions(markdown, options=options, extensions=_EXTENSIONS)
    style = (STYLE / f"github-markdown-{mode}.css").read_text("utf-8")
    return _PAGE.format(style=style, background=BACKGROUNDS[mode], body=_with_alerts(body))


def _with_alerts(body: str) -> str:
    """Make alerts of quotations that begin with `[!NOTE]` and so on, where they are inside of nothing else.

    cmark-gfm leaves that to GitHub. The icon in front of an alert's title is left out.
    """
    text, depth, is_alert = "", 0, False
    for part in re.split(r"(<blockquote>\s*(?:<p>\[![A-Z]+\]\s*)?|</blockquote>|</?details>)", body):
        begun = _ALERT.fullmatch(part)
        if part in ("<details>", "</details>"):
            depth += 1 if part == "<details>" else -1
        if begun is not None and not depth:
            is_alert = True
            kind = begun[1].lower()
            text += f'<div class="markdown-alert markdown-alert-{kind}">'
            text += f'<p class="markdown-alert-title">{kind.capitalize()}</p><p>'
        elif part == "</blockquote>" and is_alert:
            is_alert = False
            text += "</div>"
        else:
            text += part
    return text


def measured(pages: Mapping[str, tuple[int, str]], folder: Path) -> dict[str, dict[str, Any]]:
    """The heights of pages, each in its width, and what of them is too wide."""
    source = json.dumps(pages).replace("</", "<\\/")
    file = folder / "measure.html"
    file.write_text(_MEASURE.format(pages=source), "utf-8")
    dumped = _run("--virtual-time-budget=20000", "--dump-dom", file.as_uri())
    found = re.search(r'<pre id="found">(.*?)</pre>', dumped, re.DOTALL)
    assert found is not None, dumped[:2_000]
    return dict(json.loads(html.unescape(found[1])))


def take_picture(source: str, target: Path, width: int, height: int, folder: Path) -> None:
    """Save a picture of the top of a page."""
    file = folder / "picture.html"
    file.write_text(source, "utf-8")
    _run(f"--screenshot={target}", f"--window-size={width},{height}", "--hide-scrollbars", file.as_uri())
    assert target.is_file()


def _run(*arguments: str) -> str:
    # as root there is no sandbox; the pages are our own
    command = [browser(), "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", *arguments]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=SECONDS)
    assert done.returncode == 0, done.stderr[-2_000:]
    return done.stdout
