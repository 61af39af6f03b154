"""Phone numbers in one spelling."""

from __future__ import annotations

import re
from functools import lru_cache

_MARKS = str.maketrans("", "", " -")
_MOBILE = re.compile(r"(?:\+?86)?(1[3-9][0-9]{9})")


@lru_cache(maxsize=4096)
def e164(text: str) -> str | None:
    """Return the number as E.164, read as one of mainland China where it has no country code; None for no number."""
    import phonenumbers  # eight megabytes, which only this needs

    try:
        number = phonenumbers.parse(text, "CN")
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_valid_number(number):
        return None
    return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))


def spelled(text: str) -> str | None:
    """Return what `e164` does, or for a number that no network has assigned, its spelling as a mobile number of
    mainland China; None for others. In a hundredth of the time for nearly all numbers, because nothing is looked up.
    """
    mobile = _MOBILE.fullmatch(text.translate(_MARKS))
    return f"+86{mobile[1]}" if mobile else e164(text)
