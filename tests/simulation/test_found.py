"""What seeds have found in the product, each as small as it can be said."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from services.dispatch.commands import waves
from services.dispatch.domain import wave as domain
from services.dispatch.domain.wave import Wave
from tests.simulation.market import hour


def test_a_wave_ends_once_however_many_desks_look():
    """Two workers saw the same released wave; the second told of its end again after waiting for the lock."""
    told: list[Any] = []
    stored: dict[str, Wave] = {}
    book: Any = SimpleNamespace(
        jobs={}, put_wave=lambda wave: stored.update({wave.id: wave}), uow=SimpleNamespace(emit=told.append)
    )
    wave = Wave("w1", "d1", "st1", hour(11), hour(13), hour(10), 6, state=domain.WaveState.RELEASED)
    waves.finish(book, wave)
    waves.finish(book, stored["w1"])
    assert stored["w1"].state is domain.WaveState.DONE
    assert len(told) == 1
