"""Tests that the in-memory tables decide as PostgreSQL does: the same work gives the same results on both."""

from __future__ import annotations

import asyncio

import pytest

from services.kit.database import connect_pool
from services.kit.http.group_commit import GroupCommit
from services.kit.settings import Settings
from tests.simulation.mirror import Mirror, direct_submit
from tests.simulation.run import SERVICES, Run
from tests.stack import TestStack


@pytest.mark.stack
@pytest.mark.parametrize("seed", [2, 8])
def test_the_same_work_tells_the_same_on_both(stack: TestStack, seed: int):
    with asyncio.Runner() as runner:
        urls = {service.name: runner.run(stack.database(service.name)) for service in SERVICES}
        pools = {name: runner.run(connect_pool(Settings(database_url=url))) for name, url in urls.items()}
        run = Run(seed, quiet=True, bugs=[(GroupCommit, "submit", direct_submit)])
        run.world.faults.redelivery, run.world.faults.lost_answer = 0.2, 0.1
        mirror = Mirror(run, pools, runner)
        outcome = run.play()
        assert not outcome.invariant, f"{outcome.invariant}: {outcome.observed}"
        mirror.compare_tables()
        assert mirror.compared > 100
        for pool in pools.values():
            pool.terminate()
