"""The tables of the services in memory, with the same behaviour as in PostgreSQL (`tests/contract/stores`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

STORES: dict[str, Callable[[Any], Any]] = {}
"""By service, the store over a connection or pool of the memory database."""
