"""From evidence to a verdict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from contracts.topics import DISPATCH, INVENTORY, ORDERS
from deploy.audit.checks import CHECKS, ENDED, Check
from deploy.audit.checks.records import repeats, replaced
from deploy.audit.evidence import catalogue
from deploy.audit.evidence.evidence import Evidence
from deploy.audit.finding import Finding


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the books hold. `parked` records are accounted for and do not make them fail; `lines` say it in words;
    `findings` is what differs, the first first.
    """

    ok: bool
    parked: int
    lines: list[str]
    findings: list[Finding]

    def as_json(self) -> dict[str, Any]:
        """Plain data for `--json`."""
        findings = [finding.as_json() for finding in self.findings]
        return {"ok": self.ok, "parked": self.parked, "lines": self.lines, "findings": findings}


def judge(evidence: Evidence, *, require_terminal: bool = False) -> Verdict:
    """Runs every check. Pure: the same evidence gives the same verdict."""
    findings: list[Finding] = []
    lines = [_size(evidence)]
    for check in (*CHECKS, ENDED) if require_terminal else CHECKS:
        found = _run(check, evidence)
        lines.append(f"{'differs' if found else 'holds':>7}  {check.claim}")
        findings += found
    blocked = [f"  blocked  wave {row['id']}: {row['blocked']}" for row in evidence.rows(DISPATCH, "wave")]
    broken = [f"  unreadable  {where}: {why}" for where, why in catalogue.unreadable(evidence)]
    lines += [*_parked(evidence), *_replaced(evidence), *blocked, *broken]
    parked = sum(not row["discarded"] for _, row in evidence.parked)
    waits = {"Waves that can't be planned": len(blocked), "Catalogue entries that can't be read": len(broken)}
    return Verdict(not findings, parked, [*lines, *_words(findings, parked, waits)], findings)


def _run(check: Check, evidence: Evidence) -> list[Finding]:
    found = [finding for part in check.parts for finding in part(evidence)]
    if check.between:
        found = [finding for finding in found if finding.subject not in evidence.accounted]
    return found


def _size(evidence: Evidence) -> str:
    topics = len({record.topic for record in evidence.log.records})
    return (
        f"Read {len(evidence.log.records)} records in {topics} topics ({repeats(evidence)} of them repeats), "
        f"{len(evidence.rows(ORDERS, 'orders'))} orders, {len(evidence.rows(ORDERS, 'stall_sale'))} stall sales, "
        f"{len(evidence.rows(INVENTORY, 'movement'))} movements of stock."
    )


def _parked(evidence: Evidence) -> list[str]:
    return [
        f"  {'given up' if row['discarded'] else 'parked'}  {service}/{row['id']}  {row['consumer']}  {row['scope']}: "
        f"{row['why'] if row['discarded'] else row['error']}"
        for service, row in evidence.parked
    ]


def _replaced(evidence: Evidence) -> list[str]:
    return [
        f"  replaced  {told.subject}: {told.headers.get('ce_type')} can't be read by its contract, and a later record "
        f"of its key can ({told.where})"
        for told in replaced(evidence)
    ]


def _words(findings: list[Finding], parked: int, waits: Mapping[str, int]) -> list[str]:
    if not findings:
        books = f"The books are complete but parked: {parked}" if parked else "The books hold."
        return [books, *(f"{what}: {count}" for what, count in waits.items() if count)]
    more = [f"   then  {finding}" for finding in findings[1:10]]
    rest = [f"   and {len(findings) - 10} more"] if len(findings) > 10 else []
    return [f"  first  {findings[0]}", *more, *rest, f"The books do not hold: {len(findings)} differences."]
