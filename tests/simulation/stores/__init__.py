"""The tables of the services in memory, with the same behaviour as in PostgreSQL (`tests/contract/stores`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.simulation.stores.dispatch import MemoryWaves
from tests.simulation.stores.inventory import MemoryStock
from tests.simulation.stores.orders import MemoryOrders

STORES: dict[str, Callable[[Any], Any]] = {
    "orders": MemoryOrders,
    "inventory": MemoryStock,
    "dispatch": MemoryWaves,
}
"""By service, the store over a connection or pool of the memory database."""
