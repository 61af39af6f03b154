"""Readiness with a real database and a real broker."""

import pytest

from services.kit.errors import NotReady
from services.kit.http.health import CheckResult, Readiness
from services.kit.process import readiness
from tests.integration.probe.service import Add
from tests.integration.probe.world import World
from tests.integration.test_http import SERVICE, make_context
from tests.stack import eventually

pytestmark = pytest.mark.stack


async def test_a_worker_says_what_stands_in_its_way(world: World) -> None:
    here = make_context(world.settings, world.pool)
    wrong = here.settings.model_copy(update={"kafka_bootstrap": "127.0.0.1:1"})
    state = Readiness()
    kafka = readiness.Kafka(wrong, ["probe.in.v1"])
    state.checks |= readiness.worker_checks(SERVICE, here, kafka)
    is_ready, found = await state.report()
    assert not is_ready
    for cause in ("nothing listens", "password is wrong", "expects a login"):
        assert cause in str(found["kafka"].detail)
    assert found["database"].ok
    assert found["outbox"] == found["parked"] == CheckResult(True, 0.0)


async def test_readiness_sees_the_real_broker_and_the_backlog(world: World) -> None:
    here = make_context(world.settings, world.pool)
    kafka = readiness.Kafka(here.settings, readiness.topics_of(SERVICE))
    state = Readiness()
    state.checks |= readiness.worker_checks(SERVICE, here, kafka)

    async def ready() -> bool:
        return (await state.report())[0]

    await eventually(ready)
    await world.add(Add(account="a", n=1))
    await world.pool.execute("update outbox set created_at = created_at - interval '1 minute'")
    is_ready, found = await state.report()
    assert not is_ready
    assert float(found["outbox"].detail) > 59
    with pytest.raises(NotReady, match=r"no\.such\.v1: UnknownTopic"):
        await readiness.Kafka(here.settings, ["no.such.v1"]).require()
    await kafka.close()
