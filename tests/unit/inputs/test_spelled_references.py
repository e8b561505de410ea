"""Names that formulas and charts take apart are spelled out as their tools do."""

from __future__ import annotations

import pytest

from package_keeper.inputs.spelled_references import spelled_out

FORMULA = """class X < Formula
{}
  bottle do
    root_url "https://ghcr.io/v2/acme/tap"
{}
  end
end
"""


@pytest.mark.parametrize(
    ("file", "lines", "bottle", "image"),
    [
        ("jq.rb", '  version "1.7"', "", "acme/tap/jq:1.7"),
        ("Formula/jq@2.rb", '  version "1.7"\n  revision 3', "    rebuild 2", "acme/tap/jq/2:1.7_3-2"),
        ("gtk+.rb", '  url "https://x.example/v3/gtk-3.24.1.tar.xz"', "    rebuild 0", "acme/tap/gtkx:3.24.1"),
        ("jq.rb", '  url "https://github.com/a/b/archive/refs/tags/v2.0.1.tar.gz"', "", "acme/tap/jq:2.0.1"),
        ("jq.rb", '  url "https://x.example/jq.git", tag: "v1"', "", "acme/tap/jq"),
        ("jq.rb", '  version "1"\n  version "2"', "", "acme/tap/jq"),
        ("jq.rb", '  stable do\n    version "2"\n  end', "", "acme/tap/jq"),
        ("jq.rb", '  version "2#{x}"\n  url "https://x.example/jq-1.2.tar.gz"', "", "acme/tap/jq"),
        ("jq.rb", '  on_arm do\n    version "2"\n  end\n  url "https://x.example/jq-1.2.tar.gz"', "", "acme/tap/jq"),
    ],
)
def test_a_bottle_is_called_as_homebrew_calls_it(file: str, lines: str, bottle: str, image: str) -> None:
    text = FORMULA.format(lines, bottle)
    found = spelled_out(file, text)
    assert f'root_url "docker://ghcr.io/{image}"' in found
    assert found.count("\n") == text.count("\n")


def test_other_files_stay_as_they_are() -> None:
    text = FORMULA.format('  version "1"', "") + "- name: x\n  repository: oci://ghcr.io/acme\n"
    assert spelled_out("jq.txt", text) == text
    assert spelled_out("values.yaml", text) == text
