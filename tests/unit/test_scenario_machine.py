"""The speed of a day follows the machine."""

import time

import pytest

from deploy.scenarios.machine import CoreShare, fitting


@pytest.mark.parametrize(
    ("share", "cores", "speed"),
    [(1.0, 2, 1440), (0.8, 2, 1440), (0.5, 2, 1200), (0.2, 2, 600), (0.5, 1, 900), (1.0, 16, 1440), (0.01, 2, 36)],
)
def test_a_busy_machine_gets_a_slower_day(share: float, cores: int, speed: float):
    assert fitting(1440, share, cores) == pytest.approx(speed, rel=0.01)


def test_the_share_is_measured_for_long_enough_and_never_nothing():
    began = time.monotonic()
    with CoreShare() as core:
        pass
    assert time.monotonic() - began > 0.5
    assert 0 < core.share <= 1
