"""The pages of the service have the state diagram of an order and the fields of the catalogue as they are in code."""

from __future__ import annotations

import re
from pathlib import Path

from services.orders.api.schemas.catalog import BODIES
from services.orders.domain.order.diagram import mermaid


def test_the_diagram_is_current(root: Path):
    text = (root / "services/orders/domain/README.md").read_text(encoding="utf-8")
    begin, end = "<!-- the life of an order: begin -->", "<!-- the life of an order: end -->"
    drawn = text.split(begin)[1].split(end)[0].strip()
    assert drawn == f"```mermaid\n{mermaid()}\n```", "paste the output of services/orders/domain/order/diagram.py"


def test_the_fields_of_the_catalogue_are_current(root: Path):
    section = (root / "services/orders/api/README.md").read_text(encoding="utf-8").split("## Putting a catalogue")[1]
    rows = re.findall(r"^\| `([a-z-]+)` \| (.+) \|$", section.split("\n- **")[0], re.M)
    assert [kind for kind, _ in rows] == list(BODIES), "in an order in which they can be put"
    for kind, text in rows:
        shown = dict(re.findall(r"\b([a-z_]+)(\??)(?=[,:`\]}])", re.sub(r"\(.*?\)|\{.*?\}|: (?!\[).*", "", text)))
        fields = {name: field for name, field in BODIES[kind].model_fields.items() if name != "id"}
        assert {name: not mark for name, mark in shown.items()} == {n: f.is_required() for n, f in fields.items()}, kind
