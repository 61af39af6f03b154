"""Loads a scenario's files."""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from deploy.scenarios.model import Scenario, ScenarioError

HERE = Path(__file__).parent


def names() -> list[str]:
    """Return the names of the scenarios in the project."""
    return sorted(file.parent.name for file in HERE.glob("*/day.toml"))


def load(name: str) -> Scenario:
    """Return the scenario of that name from its TOML files. Raises `ScenarioError`."""
    return _checked(name, _content(name) | {"name": name})


def _content(name: str) -> dict[str, Any]:
    """Return the files' content; keys that are missing come from the scenario that this one is `like`."""
    if name not in names():
        raise ScenarioError(f"unknown scenario {name!r}, expected one of: {', '.join(names())}")
    content: dict[str, Any] = {}
    for file in sorted((HERE / name).glob("*.toml")):
        try:
            content |= tomllib.loads(file.read_text(encoding="utf-8"))
        except tomllib.TOMLDecodeError as wrong:
            raise ScenarioError(f"scenario {name}: {file.name}: {wrong}") from None
    like = content.pop("like", None)
    return _content(like) | content if like else content


def _checked(name: str, content: dict[str, Any]) -> Scenario:
    try:
        scenario = Scenario.model_validate(content)
    except ValidationError as wrong:
        first = wrong.errors()[0]
        raise ScenarioError(f"scenario {name}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    for what, named, known in _references(scenario):
        if missing := sorted(set(named) - set(known)):
            raise ScenarioError(f"scenario {name}: {what} {', '.join(missing)} is referenced but not defined")
    for (site, item), count in Counter((site, item) for site, item, _ in scenario.shortages()).items():
        if count > 1 or not scenario.good(item).scarce:
            raise ScenarioError(
                f"scenario {name}: {item} at {site}: only a scarce good can be short, and for one reason"
            )
    return scenario


def _references(scenario: Scenario) -> Iterator[tuple[str, Iterable[str], Iterable[str]]]:
    """Yield each kind of reference, the referenced ids, and the known ids."""
    goods = [good.id for good in scenario.goods]
    terminals = [f"{group.site}-{n + 1}" for group in scenario.terminals for n in range(group.stalls)]
    sites = [site.id for site in scenario.sites]
    villages = [village.id for village in scenario.villages]
    yield "village", (origin for good in scenario.goods for origin in good.origins), villages
    yield "village", (c.paired_with for c in scenario.communities if c.paired_with), villages
    yield "station", (site.station for site in scenario.sites), [station.id for station in scenario.stations]
    served = [community for site in scenario.sites for community in site.communities]
    yield "community", served, [community.id for community in scenario.communities]
    yield "community with no site", (community.id for community in scenario.communities), served
    yield "site", (scarce.site for scarce in scenario.scarce), sites
    yield "site", (group.site for group in scenario.terminals), sites
    yield "site", (site for burst in scenario.bursts for site in burst.sites), sites
    yield "station", (fleet.station for fleet in scenario.couriers), [station.id for station in scenario.stations]
    yield "community", (buy.community for buy in scenario.group_buys), served
    yield "good", (scarce.item for scarce in scenario.scarce), goods
    yield "good", (item for burst in scenario.bursts for item in (*burst.goods, burst.scarce)), goods
    yield "good", (buy.item for buy in scenario.group_buys), goods
    yield "terminal", (terminal for scarce in scenario.scarce for terminal in scarce.terminals), terminals
