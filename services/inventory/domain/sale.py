"""A stall sale as inventory remembers it: by its id alone, so that it takes effect once."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Sale:
    """A sale that took effect or, `voided`, that has none; a void without its sale is remembered as well."""

    id: UUID
    terminal: str
    pool: str
    voided: bool = False

    @property
    def cause(self) -> str:
        """What its movements are found by."""
        return sale_cause(self.id)


def sale_cause(sale: UUID) -> str:
    """What the movements of a sale are found by."""
    return f"sale/{sale}"
