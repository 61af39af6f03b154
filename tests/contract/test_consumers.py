"""The consumer lists of the services equal their subscriptions, and their permissions allow them."""

import pytest

from contracts.envelope import Event
from contracts.readers import listed
from contracts.tools.schemas import stem
from contracts.topics import BY_NAME, SERVICES
from services.dispatch.app import SERVICE as DISPATCH
from services.inventory.app import SERVICE as INVENTORY
from services.kit.process.service import Service
from services.orders.app import SERVICE as ORDERS

ALL = [ORDERS, INVENTORY, DISPATCH]


def handled(service: Service) -> set[str]:
    classes = [found for subscription in service.subscriptions for found in subscription.handlers]
    return {stem(found.TYPE) for found in classes if issubclass(found, Event)}


@pytest.mark.parametrize("service", ALL, ids=lambda service: service.name)
def test_a_service_lists_exactly_the_types_that_it_handles(service: Service) -> None:
    assert set(listed()[service.name]) == handled(service)
    assert all(listed()[service.name].values())


@pytest.mark.parametrize("service", ALL, ids=lambda service: service.name)
def test_a_service_subscribes_to_what_it_may_read(service: Service) -> None:
    for subscription in service.subscriptions:
        topic = BY_NAME[subscription.topic]
        assert service.name in topic.readers
        assert all(topic.name == found.TOPIC for found in subscription.handlers if issubclass(found, Event))


def test_nobody_may_read_more_than_somebody_handles() -> None:
    used = {(service.name, subscription.topic) for service in ALL for subscription in service.subscriptions}
    may = {(reader, topic.name) for topic in BY_NAME.values() for reader in topic.readers}
    assert may - used == {("orders", "inventory.lot.v1")}  # recalls will come there
    assert set(SERVICES) == {service.name for service in ALL}
