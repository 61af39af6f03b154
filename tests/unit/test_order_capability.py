"""The key of capabilities can be replaced, and a path names one order however it is spelled."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

import pytest
from pydantic import ValidationError

from services.orders.api.capability import OrderCapabilities
from services.orders.commands.use_cases import key_of
from services.orders.domain.capability import CapabilityKey, holder
from services.orders.settings import OrderSettings

ORDER, OTHER = UUID(int=2**100 + 7), UUID(int=2**100 + 8)
OLD, NEW = b"old" * 12, b"new" * 12


def test_a_capability_outlives_one_change_of_the_key():
    secret = CapabilityKey(OLD).secret(ORDER)
    assert CapabilityKey(NEW, OLD).opens(ORDER, secret)
    assert CapabilityKey(NEW, OLD).opens(ORDER, CapabilityKey(NEW).secret(ORDER))
    assert CapabilityKey(NEW, OLD).secret(ORDER) != secret
    assert not CapabilityKey(NEW).opens(ORDER, secret)
    assert not CapabilityKey(OLD).opens(OTHER, secret)
    assert not CapabilityKey(OLD).opens(ORDER, secret + "é")


def test_a_path_names_its_order():
    key = CapabilityKey(OLD)
    capabilities, secret = OrderCapabilities(key), key.secret(ORDER)
    plain = str(ORDER)
    for text in (plain, plain.upper(), ORDER.hex):
        for rest in ("", "/history", ":cancel", ":collect"):
            assert capabilities.holder(f"/v1/orders/{text}{rest}", secret) == holder(ORDER), text
    for path in (f"/v1/orders/{OTHER}", "/v1/orders/", "/v1/orders", f"/v1/campaigns/{plain}", f"/v2/v1/orders/{plain}",
                 f"/v1/orders/{plain}x", f"/v1/orders/x{plain}"):  # fmt: skip
        assert capabilities.holder(path, secret) is None, path


def test_only_the_route_that_places_an_order_needs_no_credential():
    capabilities = OrderCapabilities(CapabilityKey(OLD))
    assert capabilities.visitor("POST", "/v1/orders", "203.0.113.9") is not None
    for method, path in (("GET", "/v1/orders"), ("POST", "/v1/orders:batch"), ("POST", "/v1/orders/"), ("PUT", "/")):
        assert capabilities.visitor(method, path, "203.0.113.9") is None
    assert OrderCapabilities(None).visitor("POST", "/v1/orders", "") is None


def test_a_short_key_is_refused_and_none_is_shown(monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(ValidationError):
        OrderSettings(capability_key="short")  # type: ignore[arg-type]
    settings = OrderSettings(capability_key="a" * 32, capability_key_previous="b" * 32)  # type: ignore[arg-type]
    keys = key_of(settings)
    assert keys == CapabilityKey(b"a" * 32, b"b" * 32)
    assert "aaa" not in f"{settings!r}{keys!r}"
    assert key_of(OrderSettings()) is None
    assert keys is not None
    assert replace(keys, previous=None).opens(ORDER, keys.secret(ORDER))
