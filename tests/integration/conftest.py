"""Fixtures of the kit's integration tests."""

from collections.abc import AsyncIterator

import pytest

from tests.integration.probe.world import World, open_world
from tests.stack import TestStack


@pytest.fixture
async def world(stack: TestStack, prefix: str) -> AsyncIterator[World]:
    """A probe service with a database and topics of its own."""
    async with open_world(stack, prefix) as found:
        yield found
