"""Generates buyers: names as in a chat list, unassigned phone numbers, doors near a community."""

from __future__ import annotations

from random import Random

from deploy.scenarios.model import Community
from deploy.scenarios.schedule import Address

SURNAMES = "李王张刘陈杨黄周吴彭谭罗邓曾肖唐何龙"
FORMS = ("姐", "哥", "阿姨", "叔", "伟", "敏", "芳", "军", "娟", "强")
# About 600 m to each side.
NEAR = 0.006


def name(rng: Random) -> str:
    """Return a name such as 李姐 or 王伟."""
    return rng.choice(SURNAMES) + rng.choice(FORMS)


def phone(rng: Random) -> str:
    """Return a mobile number with a block of zeros."""
    return phones(rng, 1)[0]


def phones(rng: Random, count: int) -> list[str]:
    """Return `count` different numbers."""
    return [f"1990000{number:04}" for number in rng.sample(range(10_000), count)]


def address(rng: Random, community: Community) -> Address:
    """Return a door in a community."""
    text = f"{community.name_zh}{rng.randint(1, 30)}栋{rng.randint(1, 4)}单元{rng.randint(1, 18)}{rng.randint(1, 4):02}"
    lat, lon = (round(centre + rng.uniform(-NEAR, NEAR), 6) for centre in (community.lat, community.lon))
    return Address(text, lat, lon)
