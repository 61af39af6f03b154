"""A difference that the audit found."""

from __future__ import annotations

from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """One difference: the check that found it, its subject, the difference in words, and the place to look it up."""

    check: str
    subject: str
    what: str
    where: str = ""

    def __str__(self) -> str:
        return f"{self.check}: {self.subject}: {self.what}" + (f" ({self.where})" if self.where else "")

    def as_json(self) -> dict[str, str]:
        """Plain data for `--json`."""
        return asdict(self)
