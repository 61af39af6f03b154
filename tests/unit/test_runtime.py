"""A process from its first moment."""

from __future__ import annotations

from typing import Any

import pytest

from services.kit.process.runtime import Runtime
from services.kit.settings import Settings
from services.orders.app import SERVICE


@pytest.mark.parametrize("role", ["api", "worker", "all"])
async def test_a_process_that_listens_already_says_what_it_waits_for(
    monkeypatch: pytest.MonkeyPatch, role: str
) -> None:
    told: list[tuple[bool, list[str]]] = []

    async def listen(self: Runtime, _app: Any, _port: int) -> None:
        is_ready, findings = await self._health.report()
        told.append((is_ready, list(findings)))
        raise ConnectionError("far enough")

    monkeypatch.setattr(Runtime, "_listen", listen)
    settings = Settings(database_url="postgresql://nobody@127.0.0.1:1/none", kafka_bootstrap="127.0.0.1:1")
    runtime = Runtime(SERVICE, role, settings)
    with pytest.raises(ConnectionError):
        await runtime.run()
    await runtime.stop()
    assert told == [(False, ["start"])]
