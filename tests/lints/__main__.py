"""Check every Python file of the project; exit 1 and one line per finding when a rule is broken."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.lints.rules import check

ROOT = Path(__file__).resolve().parents[2]


def main() -> int:
    """Print the findings; 0 when there are none."""
    files = [p for top in ("contracts", "services", "deploy", "tests") for p in sorted((ROOT / top).rglob("*.py"))]
    found = [line for p in files for line in check(p.relative_to(ROOT).as_posix(), p.read_text(encoding="utf-8"))]
    print("\n".join(found) if found else f"house rules hold in {len(files)} files")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
