"""Stall sale: inventory keeps its id, so that it takes effect once."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Sale:
    """A sale that took effect or, `voided`, that has none; a void that arrives before its sale is kept as well."""

    id: UUID
    terminal: str
    pool: str
    voided: bool = False

    @property
    def cause(self) -> str:
        """The cause of its movements."""
        return sale_cause(self.id)


def sale_cause(sale: UUID) -> str:
    """Return the cause of a sale's movements."""
    return f"sale/{sale}"
