"""Prints results as a table, as JSON lines and as a chart."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import orjson

from tests.bench.score import Line, Rule

_COLUMNS = (12, 26, 12, 9, 9, 12, 8, 11, 6)
_NAMES = ("metric", "workload", "unit", "ours", "peer", "beside", "ratio", "bar", "held")


def _row(cells: Sequence[str]) -> str:
    return " ".join(cell.ljust(width) for cell, width in zip(cells, _COLUMNS, strict=True)).rstrip()


HEAD = _row(_NAMES)


def as_row(line: Line) -> str:
    """Return the line for a terminal."""
    bar = f"{line.rule.value} {line.bar:g}" + ("x" if line.rule is not Rule.OURS_AT_MOST else "") if line.bar else ""
    ratio = f"{line.ratio:.2f}x" if line.peer else ""
    figures = (f"{line.ours:g}", f"{line.peer:g}" if line.peer else "", line.peer_name, ratio)
    return _row((line.metric, line.workload, line.unit, *figures, bar, "yes" if line.held else "NO"))


def as_json(line: Line) -> str:
    """Return the line as one JSON object."""
    return orjson.dumps(line.document()).decode()


_HEIGHT, _LEFT, _WIDTH = 22, 330, 420


def svg(lines: Sequence[Line]) -> str:
    """Return a chart: each line's distance from its bar, on a scale where twice as good is twice as long."""
    lines = [line for line in lines if line.bar]
    rows = "\n".join(_bar(n, line) for n, line in enumerate(lines))
    height = _HEIGHT * (len(lines) + 1) + 10
    middle = _LEFT + _WIDTH / 3
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_LEFT + _WIDTH + 130}" height="{height}" '
        f'font-family="sans-serif" font-size="12">\n<rect width="100%" height="100%" fill="white"/>\n{rows}\n'
        f'<line x1="{middle}" x2="{middle}" y1="4" y2="{height - _HEIGHT}" stroke="black"/>\n'
        f'<text x="{middle}" y="{height - 8}" text-anchor="middle">the bar</text>\n</svg>\n'
    )


def _bar(n: int, line: Line) -> str:
    y, length = 6 + n * _HEIGHT, min(3.0, margin(line)) * _WIDTH / 3
    name = escape(f"{line.metric}, {line.workload} ({line.unit})")
    figures = escape(f"{line.ours:g}" + (f" beside {line.peer:g} {line.peer_name}" if line.peer else ""))
    return (
        f'<text x="{_LEFT - 8}" y="{y + 13}" text-anchor="end">{name}</text>'
        f'<rect x="{_LEFT}" y="{y}" width="{length:.1f}" height="16" fill="{"#2a7f62" if line.held else "#c0392b"}"/>'
        f'<text x="{_LEFT + length + 6:.1f}" y="{y + 13}">{figures}</text>'
    )


def margin(line: Line) -> float:
    """Return 1 at the bar, 2 if twice as good; 0 if the reconciliation failed."""
    measured = line.ours if line.rule is Rule.OURS_AT_MOST else line.ratio
    if not measured or not line.bar:
        return 0.0
    return measured / line.bar if line.rule is Rule.RATIO_AT_LEAST else line.bar / measured
