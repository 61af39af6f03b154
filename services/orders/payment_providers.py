"""The port to payment providers, and the embedded default: Standard Webhooks, as the simulator of a provider signs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Protocol

from pydantic import AfterValidator, BaseModel, Field, ValidationError
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from contracts.values import MOBILE_ID
from services.kit.http.bounded import AmountFen, Instant
from services.kit.ids import Id
from services.orders.domain.payment import Notice
from services.orders.settings import StandardWebhooksSettings

PAYMENT_SUCCEEDED = "payment.succeeded"


class InvalidSignature(Exception):
    """The callback was not signed by the provider, or is older than five minutes."""


class UnreadableNotice(Exception):
    """The callback is the provider's, but not of the expected form; the text says where."""


class PaymentProvider(Protocol):
    """Reads the callbacks of one provider.

    A provider calls late, twice, out of order or never. WeChat Pay v3 fits: its notification is signed over
    `Wechatpay-Timestamp`, `Wechatpay-Nonce` and the body, names `transaction_id`, `amount` and, as `out_trade_no` of at
    most 32 characters, the order's id without hyphens; its certificates may have to be fetched, so `read` may wait.
    """

    async def read(self, headers: Mapping[str, str], body: bytes) -> Notice | None:
        """Verify the signature over the bytes of the body before anything of it is parsed, then return the payment that
        it is about; None for a callback about something else. Names of `headers` are in lower case.

        Raises `InvalidSignature` and `UnreadableNotice`.
        """


def _no_phone(id: str) -> str:
    if MOBILE_ID.search(id):  # it is published with a refund
        raise ValueError("must be the provider's id of the payment, not a telephone number")
    return id


class _Payment(BaseModel):
    order: Id
    transaction: Annotated[
        str, Field(min_length=1, max_length=47, pattern=r"^[A-Za-z0-9][A-Za-z0-9._~-]*$"), AfterValidator(_no_phone)
    ]
    amount_fen: Annotated[AmountFen, Field(gt=0)]
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
    paid_at: Instant


class _Event(BaseModel):
    type: str


class _Succeeded(BaseModel):
    data: _Payment


class StandardWebhooks(PaymentProvider):
    """A provider that signs as Standard Webhooks says: HMAC-SHA-256 over id, time and body, in the headers
    `webhook-id`, `webhook-timestamp` and `webhook-signature`. Its times count within five minutes of the real clock.
    """

    def __init__(self, name: str, settings: StandardWebhooksSettings) -> None:
        self._name, self._webhook = name, Webhook(settings.secret.get_secret_value())

    async def read(self, headers: Mapping[str, str], body: bytes) -> Notice | None:
        """Return the payment of a `payment.succeeded`, None for any other type."""
        try:
            self._webhook.verify(body, dict(headers), json_parse=False)
        # the library splits and decodes what a stranger sent without catching what that raises
        except (WebhookVerificationError, ValueError) as wrong:
            raise InvalidSignature from wrong
        try:
            if _Event.model_validate_json(body).type != PAYMENT_SUCCEEDED:
                return None
            data = _Succeeded.model_validate_json(body).data
        except ValidationError as wrong:
            found = ((".".join(map(str, e["loc"])) or "body", e["msg"]) for e in wrong.errors(include_input=False))
            raise UnreadableNotice("; ".join(f"{where}: {what}" for where, what in found)) from None
        return Notice(self._name, data.transaction, data.order, data.amount_fen, data.currency, data.paid_at)


def open_providers(configured: Mapping[str, StandardWebhooksSettings]) -> dict[str, PaymentProvider]:
    """Return the configured providers by name."""
    return {name: StandardWebhooks(name, settings) for name, settings in configured.items()}
