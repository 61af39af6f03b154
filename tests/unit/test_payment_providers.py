"""Callbacks of payment providers: the signature over the bytes comes first, and nothing of a stranger's is an error."""

from __future__ import annotations

import base64
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from pydantic import SecretStr, ValidationError

from services.kit.errors import UnusableSettings
from services.orders import payment_providers
from services.orders.payment_providers import InvalidSignature, StandardWebhooks, UnreadableNotice
from services.orders.settings import OrderSettings, StandardWebhooksSettings
from tests.payment_simulator import Callback, PaymentSimulator

SIMULATOR = PaymentSimulator()
ORDER = UUID(int=7)
PAID = SIMULATOR.paid(ORDER, 1200, "tx-1")


def provider(secret: str = SIMULATOR.secret) -> StandardWebhooks:
    return StandardWebhooks("simulator", StandardWebhooksSettings(kind="standard-webhooks", secret=SecretStr(secret)))


async def read(call: Callback, **headers: str) -> Any:
    return await provider().read(call.headers | headers, call.body)


async def test_a_signed_payment_is_read():
    notice = await read(SIMULATOR.callback(PAID))
    assert (notice.provider, notice.transaction, notice.order, notice.amount_fen) == ("simulator", "tx-1", ORDER, 1200)
    assert notice.paid.payment == "simulator:tx-1"
    assert (await read(SIMULATOR.callback(SIMULATOR.paid(ORDER.hex, 1200)))).order == ORDER  # 32 characters
    assert await read(SIMULATOR.callback({"type": "refund.succeeded", "data": {"order": 1}})) is None


@pytest.mark.parametrize("age", [timedelta(minutes=6), -timedelta(minutes=6)])
async def test_a_time_far_from_the_clock_is_refused(age: timedelta):
    with pytest.raises(InvalidSignature):
        await read(SIMULATOR.callback(PAID, age))


@pytest.mark.parametrize(
    "headers",
    [
        {"webhook-id": "msg_other"},
        {"webhook-id": ""},
        {"webhook-timestamp": "now"},
        {"webhook-timestamp": "1e400"},
        {"webhook-timestamp": "nan"},
        {"webhook-signature": "v1"},
        {"webhook-signature": "v1,"},
        {"webhook-signature": "v1,a"},
        {"webhook-signature": "v1,\u00e9"},
        {"webhook-signature": "v2,AAAA"},
        {"webhook-signature": "v1,AAAA v1"},
        {"webhook-signature": "v1," + base64.b64encode(bytes(32)).decode()},
    ],
)
async def test_headers_of_a_stranger_are_refused_and_never_an_error(headers: dict[str, str]):
    with pytest.raises(InvalidSignature):
        await read(SIMULATOR.callback(PAID), **headers)


async def test_the_bytes_are_signed_not_their_meaning():
    call = SIMULATOR.callback(PAID)
    for body in (call.body + b" ", call.body.replace(b"1200", b"1201"), b"", b"\xff"):
        with pytest.raises(InvalidSignature):
            await read(Callback(body, call.headers))
    with pytest.raises(InvalidSignature):
        await read(SIMULATOR.callback(PAID, secret="whsec_" + base64.b64encode(bytes(32)).decode()))


async def test_the_signature_comes_before_the_content(monkeypatch: pytest.MonkeyPatch):
    def parsed(*_args: Any) -> None:
        raise AssertionError("an unsigned body was parsed")

    monkeypatch.setattr(payment_providers._Event, "model_validate_json", parsed)
    call = SIMULATOR.callback(PAID)
    with pytest.raises(InvalidSignature):
        await read(Callback(b"{" * 9000, call.headers))


@pytest.mark.parametrize(
    ("more", "where"),
    [
        ({"amount_fen": "1200"}, "data.amount_fen"),
        ({"amount_fen": 0}, "data.amount_fen"),
        ({"amount_fen": True}, "data.amount_fen"),
        ({"currency": "cny"}, "data.currency"),
        ({"transaction": ""}, "data.transaction"),
        ({"transaction": "a:b"}, "data.transaction"),
        ({"transaction": "13900000000"}, "data.transaction"),
        ({"transaction": "x" * 48}, "data.transaction"),
        ({"order": "basket-7"}, "data.order"),
        ({"paid_at": 1}, "data.paid_at"),
    ],
)
async def test_content_that_does_not_fit_is_named_without_its_value(more: dict[str, Any], where: str):
    event = PAID | {"data": PAID["data"] | more}
    with pytest.raises(UnreadableNotice, match=where) as wrong:
        await read(SIMULATOR.callback(event))
    assert "13900000000" not in str(wrong.value)


@pytest.mark.parametrize("body", [b"[]", b"null", b"{", b'{"type":1}', b'{"type":"payment.succeeded"}', b"\xef\xbb"])
async def test_another_form_is_unreadable(body: bytes):
    expected = InvalidSignature if body == b"\xef\xbb" else UnreadableNotice  # what is no text was never signed
    with pytest.raises(expected):
        await read(SIMULATOR.callback(body))


@pytest.mark.parametrize(
    "secret",
    ["", "whsec_", "whsec_short", "hunter2" * 6, "whsec_" + "-" * 40, "whsec_" + base64.b64encode(bytes(65)).decode()],
)
def test_a_secret_that_would_be_a_weaker_key_is_refused(secret: str):
    with pytest.raises(ValidationError, match="openssl rand -base64 32"):
        provider(secret)


def test_the_settings_name_the_wrong_variable_and_no_secret(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HALFDAY_PAYMENTS", SIMULATOR.settings)
    loaded = OrderSettings.load()
    assert list(loaded.payments) == ["simulator"]
    assert SIMULATOR.secret not in repr(loaded)
    for wrong in ('{"simulator": {"kind": "standard-webhooks", "secret": "hunter2"}}', '{"A b": {}}'):
        monkeypatch.setenv("HALFDAY_PAYMENTS", wrong)
        with pytest.raises(UnusableSettings, match="HALFDAY_PAYMENTS") as refused:
            OrderSettings.load()
        assert "hunter2" not in str(refused.value)
