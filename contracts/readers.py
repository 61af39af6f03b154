"""The services that read each type, from `consumers/<service>.yaml`: the consumers' side of the contract."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

FOLDER = Path(__file__).resolve().parent / "consumers"
NO_READER = "none"
Reads = dict[str, list[str]]


def reads(text: str) -> Reads:
    """Return type -> dotted fields. These files use two YAML shapes only: `type:` and `  - field`.

    Raises `ValueError` naming a line that is neither.
    """
    found: Reads = {}
    for number, line in enumerate(text.splitlines(), 1):
        bare = line.split("#")[0].rstrip()
        if not bare:
            continue
        if not bare.startswith(" ") and bare.endswith(":"):
            fields = found.setdefault(bare[:-1], [])
        elif bare.startswith("  - ") and found:
            fields.append(bare[4:])
        else:
            raise ValueError(f"line {number} is neither `type:` nor `  - field`: {line!r}")
    return found


def listed() -> dict[str, Reads]:
    """Return service -> types and fields that it reads, from the committed lists.

    Raises `ValueError` naming the file and line.
    """
    found: dict[str, Reads] = {}
    for path in sorted(FOLDER.glob("*.yaml")):
        try:
            found[path.stem] = reads(path.read_text(encoding="utf-8"))
        except ValueError as wrong:
            raise ValueError(f"{path.name}: {wrong}") from wrong
    return found


def _readers() -> dict[str, str]:
    services: dict[str, list[str]] = defaultdict(list)
    for service, types in listed().items():
        for name in types:
            services[f"market.{name}"].append(service)
    return {type: ",".join(names) for type, names in services.items()}


READERS: dict[str, str] = _readers()
"""Full type -> the services that read it, comma-separated in order of name. A type that is not in it has no reader."""
