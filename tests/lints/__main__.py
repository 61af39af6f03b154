"""Check the project's files: a line per finding, and exit code 1 when a rule is broken.

Rules of `rules.py` hold for Python files, those of `prose.py` for Python and Markdown.
Sizes over 300 lines a module or 40 a function are printed as warnings and pass.
"""

from __future__ import annotations

import sys

from tests.lints import prose
from tests.lints.prose import ROOT
from tests.lints.rules import check, size_warnings


def main() -> int:
    """Print warnings and findings; return 0 when there are no findings."""
    files = [p for top in ("contracts", "services", "deploy", "tests") for p in sorted((ROOT / top).rglob("*.py"))]
    texts = {p.relative_to(ROOT).as_posix(): p.read_text(encoding="utf-8") for p in files}
    for line in (line for path, text in texts.items() for line in size_warnings(path, text)):
        print(f"warning: {line}")
    found = [line for path, text in texts.items() for line in check(path, text)]
    found += prose.findings(prose.files())
    print("\n".join(found) if found else f"project rules hold in {len(files)} files")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
