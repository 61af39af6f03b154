"""The verdict of a group-buy: a pure function of the pledged joins in log order, the granted stock, and the terms.

Inputs and result have one canonical text each, so a stored verdict can be replayed from its stored inputs and gives the
same bytes. The inputs name the version of the rules; a version is never changed, since `tests/unit/golden` has its
texts. Other rules, or another field, are a new version beside the old ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from pydantic import TypeAdapter

from contracts.events.campaign import CampaignGood, Measure, Rule, Threshold
from contracts.values import Unit

PORTION_G = 500
"""The "one" of `at-least-one-each` for weighed goods: a jin. Of goods by the piece it is a piece."""


@dataclass(frozen=True, slots=True)
class Pledge:
    """One line of a pledged join: `n` is the join's place in the log, `asked` is in the item's unit."""

    join: UUID
    n: int
    member: int
    line: int
    item: str
    asked: int
    amount_fen: int


@dataclass(frozen=True, slots=True)
class Grant:
    """The quantity of an item that inventory granted to the whole campaign."""

    item: str
    quantity: int


@dataclass(frozen=True, slots=True)
class Inputs:
    """The complete inputs of a verdict. A join has at most one line of an item.

    `version` is that of the rules; texts without one are of version 1.
    """

    threshold: Threshold
    rule: Rule
    goods: tuple[CampaignGood, ...]
    pledges: tuple[Pledge, ...]
    granted: tuple[Grant, ...]
    version: int = 1


@dataclass(frozen=True, slots=True)
class Share:
    """The granted share of one line, and the reason."""

    join: UUID
    line: int
    asked: int
    granted: int
    why: str


@dataclass(frozen=True, slots=True)
class CampaignVerdict:
    """The result: formed or not, the sum of the pledges in the threshold's unit, every line's share in log order."""

    formed: bool
    reached: int
    reason: str
    shares: tuple[Share, ...]


_INPUTS, _VERDICT = TypeAdapter(Inputs), TypeAdapter(CampaignVerdict)


def decide(inputs: Inputs) -> CampaignVerdict:
    """Return the verdict by the rules of the inputs' version. Raises `ValueError` for an unknown version."""
    if inputs.version not in _RULES:
        known = ", ".join(map(str, _RULES))
        raise ValueError(f"unknown rules version {inputs.version}, expected one of {known}; upgrade this service")
    return _RULES[inputs.version](inputs)


def _rules_1(inputs: Inputs) -> CampaignVerdict:
    """Judge by version 1: formed where the pledges reach the threshold and stock was granted; then each item is split
    by the shortfall rule.

    The threshold counts pledged quantities, not granted ones: a short harvest does not undo a group. No line gets more
    than it asked for, and each item's shares add up to the smaller of the granted and the pledged quantity.
    """
    reached, of = measure(inputs), inputs.threshold.of
    enough = reached >= inputs.threshold.at_least
    reason = f"{of}: {reached} of at least {inputs.threshold.at_least}"
    if enough and not any(grant.quantity for grant in inputs.granted):
        enough, reason = False, "no stock was granted"
    if not enough:
        none = tuple(Share(p.join, p.line, p.asked, 0, "the group was not formed") for p in inputs.pledges)
        return CampaignVerdict(False, reached, reason, none)
    shares: dict[tuple[UUID, int], Share] = {}
    for good in inputs.goods:
        lines = [pledge for pledge in inputs.pledges if pledge.item == good.item]
        granted = sum(grant.quantity for grant in inputs.granted if grant.item == good.item)
        shares |= {(share.join, share.line): share for share in _split(inputs.rule, good, lines, granted)}
    return CampaignVerdict(True, reached, reason, tuple(shares[p.join, p.line] for p in inputs.pledges))


def measure(inputs: Inputs) -> int:
    """Sum the pledges in the threshold's unit: different people, pieces, grams, or fen. Joins of one person count as
    one person.
    """
    goods = {good.item: good for good in inputs.goods}
    pledges = inputs.pledges
    match inputs.threshold.of:
        case Measure.PEOPLE:
            return len({pledge.member for pledge in pledges})
        case Measure.QUANTITY:
            return sum(pledge.asked for pledge in pledges if goods[pledge.item].unit is Unit.PIECE)
        case Measure.WEIGHT:
            return sum(_weight_g(goods[pledge.item], pledge.asked) for pledge in pledges)
        case Measure.AMOUNT:
            return sum(pledge.amount_fen for pledge in pledges)
        case _:
            raise ValueError(f"unknown kind of threshold {inputs.threshold.of!r}, expected one of {', '.join(Measure)}")


def _weight_g(good: CampaignGood, asked: int) -> int:
    return asked if good.unit is Unit.GRAM else asked * good.unit_g


def _split(rule: Rule, good: CampaignGood, lines: Sequence[Pledge], granted: int) -> Iterator[Share]:
    """Split an item first come, first served; under `at-least-one-each` after one portion for each person, in log
    order.
    """
    portion = 0 if rule is Rule.FIRST_COME else PORTION_G if good.unit is Unit.GRAM else 1
    left, portions, served = granted, [0] * len(lines), set[int]()
    for index, line in enumerate(lines):
        if portion and line.member not in served:
            served.add(line.member)
            portions[index] = min(portion, line.asked, left)
            left -= portions[index]
    for first, line in zip(portions, lines, strict=True):
        more = min(line.asked - first, left)
        yield Share(line.join, line.line, line.asked, first + more, _reason(rule, line, first, more, left))
        left -= more


def _reason(rule: Rule, line: Pledge, first: int, more: int, left: int) -> str:
    # These texts are part of a verdict's canonical bytes: they never change within a version of the rules.
    if first + more == line.asked:
        return "granted in full"
    if rule is Rule.FIRST_COME:
        return f"first come, first served: {left} were left when number {line.n} was served"
    return f"one portion each: {first}; then first come, first served: {left} were left for number {line.n}"


_RULES: Mapping[int, Callable[[Inputs], CampaignVerdict]] = {1: _rules_1}
LATEST = max(_RULES)
"""The version of the rules for new verdicts."""


def inputs_text(inputs: Inputs) -> bytes:
    """Return the canonical JSON of the inputs: equal inputs, equal bytes."""
    return _INPUTS.dump_json(inputs)


def verdict_text(verdict: CampaignVerdict) -> bytes:
    """Return the canonical JSON of a verdict: equal verdicts, equal bytes."""
    return _VERDICT.dump_json(verdict)


def replay(inputs: bytes) -> bytes:
    """Return the verdict's text from the text of its inputs alone."""
    return verdict_text(decide(_INPUTS.validate_json(inputs)))
