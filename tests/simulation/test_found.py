"""Bugs that seeds found in the product, each reduced to a unit test."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from services.dispatch.commands.wave import finish_wave
from services.dispatch.domain.wave import Wave, WaveState
from services.kit.transaction.identity_map import IdentityMap
from tests.simulation.market import hour


def test_a_wave_ends_once_however_many_workers_see_it():
    """Two workers saw the same released wave; the second one published its end again after waiting for the lock."""
    published: list[Any] = []
    waves: IdentityMap[str, Wave] = IdentityMap(lambda wave: wave.id)
    repository: Any = SimpleNamespace(jobs={}, waves=waves, uow=SimpleNamespace(emit=published.append))
    wave = Wave("w1", "d1", "st1", hour(11), hour(13), hour(10), 6, state=WaveState.RELEASED)
    finish_wave(repository, wave)
    finish_wave(repository, waves["w1"])
    assert waves["w1"].state is WaveState.DONE
    assert len(published) == 1
