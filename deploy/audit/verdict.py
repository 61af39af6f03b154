"""Runs the checks on the evidence and makes the verdict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from contracts.topics import DISPATCH, INVENTORY, ORDERS
from deploy.audit.checks import CHECKS, ENDED
from deploy.audit.checks.records import replaced
from deploy.audit.evidence import catalogue
from deploy.audit.evidence.evidence import Evidence
from deploy.audit.finding import Finding


@dataclass(frozen=True, slots=True)
class Verdict:
    """Result of an audit. Dead letters explain differences about their subjects, so they do not make it fail;
    `dead_letters` counts those that are not discarded. `lines` are the report as text, `findings` the differences, the
    first one first.
    """

    ok: bool
    dead_letters: int
    lines: list[str]
    findings: list[Finding]

    def as_json(self) -> dict[str, Any]:
        """Plain data for `--json`."""
        findings = [finding.as_json() for finding in self.findings]
        return {"ok": self.ok, "parked": self.dead_letters, "lines": self.lines, "findings": findings}


def judge(evidence: Evidence, *, require_terminal: bool = False) -> Verdict:
    """Run every check. Pure: the same evidence gives the same verdict."""
    findings: list[Finding] = []
    lines = [_size(evidence)]
    for check in (*CHECKS, ENDED) if require_terminal else CHECKS:
        found = list(check.findings(evidence))
        lines.append(f"{'FAILED' if found else 'ok':>7}  {check.claim}")
        findings += found
    blocked = [f"  blocked  wave {row['id']}: {row['blocked']}" for row in evidence.rows(DISPATCH, "wave")]
    broken = [f"  unreadable  {where}: {why}" for where, why in catalogue.unreadable(evidence)]
    lines += [*_dead_letters(evidence), *_replaced(evidence), *blocked, *broken]
    dead_letters = sum(not row["discarded"] for _, row in evidence.dead_letters)
    waits = {"Waves that can't be planned": len(blocked), "Catalogue entries that can't be read": len(broken)}
    return Verdict(not findings, dead_letters, [*lines, *_summary(findings, dead_letters, waits)], findings)


def _size(evidence: Evidence) -> str:
    topics, repeats = len({record.topic for record in evidence.log.records}), len(evidence.topics.repeats)
    return (
        f"Read {len(evidence.log.records)} records in {topics} topics ({repeats} of them repeats), "
        f"{len(evidence.rows(ORDERS, 'orders'))} orders, {len(evidence.rows(ORDERS, 'stall_sale'))} stall sales, "
        f"{len(evidence.rows(INVENTORY, 'movement'))} movements of stock."
    )


def _dead_letters(evidence: Evidence) -> list[str]:
    return [
        f"  {'discarded' if row['discarded'] else 'dead letter'}  {service}/{row['id']}  {row['consumer']}  "
        f"{row['scope']}: {row['why'] if row['discarded'] else row['error']}"
        for service, row in evidence.dead_letters
    ]


def _replaced(evidence: Evidence) -> list[str]:
    return [
        f"  replaced  {record.subject}: {record.type} can't be read by its contract, and a "
        f"later record of its key can ({record.where})"
        for record in replaced(evidence)
    ]


def _summary(findings: list[Finding], dead_letters: int, waits: Mapping[str, int]) -> list[str]:
    if not findings:
        passed = f"The audit passed; dead letters: {dead_letters}" if dead_letters else "The audit passed."
        return [passed, *(f"{what}: {count}" for what, count in waits.items() if count)]
    more = [f"   then  {finding}" for finding in findings[1:10]]
    rest = [f"   and {len(findings) - 10} more"] if len(findings) > 10 else []
    return [f"  first  {findings[0]}", *more, *rest, f"The audit failed: {len(findings)} differences."]
