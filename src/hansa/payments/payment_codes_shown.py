"""Codes of our own that somebody shows to be paid: a shop, a shop's order, a person, a person's request. Pure.

They are merchant-presented codes of EMVCo like any other, so any reader reads name, amount and bill. What is ours is
one account template: our application identifier (26-00), and a letter and an id (26-01) that say whom to pay.
"""

import re
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from hansa.codes.emvco import Field, MerchantCode
from hansa.codes.payer import APPLICATION

ShownKind = Literal["merchant", "order", "person", "request"]

TAG = "26"
IDENTIFIER = APPLICATION.hex().upper()
"""The globally unique identifier of our template: the application identifier of payer codes, in hexadecimal."""
_KINDS: dict[str, ShownKind] = {"M": "merchant", "O": "order", "P": "person", "R": "request"}
_LETTERS = {kind: letter for letter, kind in _KINDS.items()}
_VALUE = re.compile(r"([MOPR])([0-9a-f]{32})", re.ASCII)


@dataclass(frozen=True, slots=True)
class ShownCode:
    """Whom one of our codes pays. id: of the merchant, the QR order, the account or the request."""

    kind: ShownKind
    id: UUID


def account_field(kind: ShownKind, id: UUID) -> Field:
    """The account template of a code of ours."""
    return Field(TAG, "", (Field("00", IDENTIFIER), Field("01", f"{_LETTERS[kind]}{id.hex}")))


def find_shown(code: MerchantCode) -> ShownCode | None:
    """Whom a code pays, where it has an account template of ours that is whole; else None."""
    for account in code.accounts:
        if account.identifier.upper() != IDENTIFIER:
            continue
        found = _VALUE.fullmatch(account.values.get("01", ""))
        if found is not None:
            return ShownCode(_KINDS[found[1]], UUID(found[2]))
    return None
