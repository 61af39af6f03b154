"""What the audit says when something differs."""

from __future__ import annotations

from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """One difference: which check saw it, about what thing, what differs, and where that can be looked up."""

    check: str
    subject: str
    what: str
    where: str

    def __str__(self) -> str:
        return f"{self.check}: {self.subject}: {self.what} ({self.where})"

    def as_json(self) -> dict[str, str]:
        """Plain data for `--json`."""
        return asdict(self)
