"""Phone numbers in one spelling."""

from __future__ import annotations

import phonenumbers


def e164(text: str) -> str | None:
    """Return the number as E.164, read as one of mainland China where it has no country code; None for no number."""
    try:
        number = phonenumbers.parse(text, "CN")
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_valid_number(number):
        return None
    return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))
