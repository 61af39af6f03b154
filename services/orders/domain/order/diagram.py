"""The state diagram of an order, generated from the transition table so that the two cannot differ."""

from __future__ import annotations

import re

from services.orders.domain.order.order import TERMINAL, OrderState
from services.orders.domain.order.state_machine import TRANSITIONS


def mermaid() -> str:
    """Return a Mermaid state diagram: one arrow for each pair of states, labelled with its messages."""
    arrows: dict[tuple[OrderState, OrderState], list[str]] = {}
    for (state, message), step in TRANSITIONS.items():
        for after in step.to:
            if after is not state:
                arrows.setdefault((state, after), []).append(_kebab(message.__name__))
    order = list(OrderState)
    lines = ["stateDiagram-v2", "    [*] --> placed: accepted"]
    for (before, after), names in sorted(arrows.items(), key=lambda a: (order.index(a[0][0]), order.index(a[0][1]))):
        lines.append(f"    {before} --> {after}: {', '.join(sorted(names))}")
    lines += [f"    {state} --> [*]" for state in order if state in TERMINAL]
    return "\n".join(lines)


def _kebab(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "-", name).lower()
