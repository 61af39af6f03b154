"""The picture in the page of the service is the table in its code."""

from __future__ import annotations

from pathlib import Path

from services.orders.domain.diagram import mermaid


def test_the_diagram_is_current(root: Path):
    text = (root / "services/orders/README.md").read_text(encoding="utf-8")
    begin, end = "<!-- the life of an order: begin -->", "<!-- the life of an order: end -->"
    drawn = text.split(begin)[1].split(end)[0].strip()
    assert drawn == f"```mermaid\n{mermaid()}\n```", "paste the output of services/orders/domain/diagram.py"
