"""The tables of the services in memory, with the same behaviour as in PostgreSQL (`tests/contract/stores`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.simulation.stores.dispatch import MemoryWaves

STORES: dict[str, Callable[[Any], Any]] = {"dispatch": MemoryWaves}
"""By service, the store over a connection or pool of the memory database."""
