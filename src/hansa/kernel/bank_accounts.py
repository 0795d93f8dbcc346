"""What tells a bank's account apart: IBAN and BIC, by form and check digits."""

import re

BIC = re.compile(r"[A-Z0-9]{4}[A-Z]{2}[A-Z0-9]{2}([A-Z0-9]{3})?")
"""BICFIDec2014Identifier. Source: ISO 9362 and the published XSD of pain.001.001.09."""

IBAN = re.compile(r"[A-Z]{2}[0-9]{2}[a-zA-Z0-9]{1,30}")
"""IBAN2007Identifier. Source: ISO 13616 and the published XSD."""


def is_iban(number: str) -> bool:
    """The form is right and the remainder by 97 is one. Source: ISO 13616 (ISO 7064, mod 97-10)."""
    if not IBAN.fullmatch(number) or len(number) < 15:
        return False
    turned = number[4:] + number[:4]
    return int("".join(str(int(character, 36)) for character in turned)) % 97 == 1
