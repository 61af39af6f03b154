"""The report: a table of faults and invariants in Markdown, and the same data as JSON beside it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.faults.matrix.catalogue import BY_NAME, FAULTS
from tests.faults.matrix.judge import INVARIANTS, Row, from_json

ENOUGH_S = 30.0
"""Seconds below which a fault counts as a trial only."""


def write(path: Path, rows: Sequence[Row]) -> None:
    """Write FILE.md and FILE.json. Rows of an earlier report are kept for faults that were not run now."""
    facts = path.with_suffix(".json")
    known = {name: from_json(found) for name, found in json.loads(facts.read_text()).items()} if facts.exists() else {}
    known |= {one.fault: one for one in rows}
    inorder = {fault.name: known[fault.name] for fault in FAULTS if fault.name in known}
    facts.write_text(json.dumps({name: one.as_json() for name, one in inorder.items()}, indent=1) + "\n")
    path.write_text(markdown(inorder))


def markdown(rows: Mapping[str, Row]) -> str:
    """Return the report as Markdown."""
    held = sum(one.ok for one in rows.values())
    lines = [f"# Fault matrix: {held} of {len(rows)} held", "", "## Invariants", ""]
    lines += ["● targeted by the fault, ○ checked, **✗** broken.", ""]
    lines += [f"- {name}: {text}" for name, text in INVARIANTS.items()]
    lines += ["", f"| F | Fault | {' | '.join(INVARIANTS)} |", f"|---|---|{'---|' * len(INVARIANTS)}"]
    lines += [f"| `{one.fault}` | {one.what} | {' | '.join(_marks(one))} |" for one in rows.values()]
    lines += ["", "## Actions and recovery", ""]
    lines += ["| F | at | under fault s | actions | orders | operations | unknown | records | duplicates "
              "| absorbed | caught up s (bound) | all ended s |", f"|{'---|' * 12}"]  # fmt: skip
    lines += [_figures(one) for one in rows.values()]
    if brief := [one.fault for one in rows.values() if one.seconds < ENOUGH_S]:
        lines += ["", f"Shorter than {ENOUGH_S:.0f} s: {', '.join(brief)}."]
    if missing := [f"{fault.name} ({fault.description})" for fault in FAULTS if fault.name not in rows]:
        lines += ["", f"Not in this report: {'; '.join(missing)}."]
    for one in rows.values():
        for name, found in one.broken.items():
            lines += ["", f"## F{one.fault} breaks {name}", "", *(f"- {line}" for line in found)]
    return "\n".join(lines) + "\n"


def _marks(one: Row) -> list[str]:
    targets = BY_NAME[one.fault].targets.split()
    return ["**✗**" if name in one.broken else "●" if name in targets else "○" for name in INVARIANTS]


def _figures(one: Row) -> str:
    cells = (
        f"`{one.fault}`", one.at, one.seconds, _did(one), one.orders, one.operations, one.unknown, one.records,
        one.twice, one.absorbed, f"{one.caught_up_s} ({one.bound_s:.0f})", one.ended_s,
    )  # fmt: skip
    return f"| {' | '.join(map(str, cells))} |"


def line(one: Row) -> str:
    """Return a row as one line for the terminal."""
    verdict = "held" if one.ok else f"BROKEN {', '.join(one.broken)}" if one.broken else "INCONCLUSIVE"
    return (
        f"{one.fault:>10}  {verdict}  {one.seconds:.0f} s under fault ({_did(one)}), {one.orders} orders, "
        f"{one.unknown} unknown, {one.twice} of {one.records} records duplicate, {one.absorbed} absorbed, "
        f"caught up in {one.caught_up_s} s, all ended in {one.ended_s} s"
    )


def _did(one: Row) -> str:
    return ", ".join(f"{what}: {count}" for what, count in one.did.items())
