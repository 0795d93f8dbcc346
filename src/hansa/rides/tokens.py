"""Ride tokens: whom they stand for."""

from collections.abc import Sequence

from hansa.kernel import CURRENCY_EXPONENTS, UnknownCurrency
from hansa.rides import tokens_store
from hansa.rides.model import Token, TokenConflict
from hansa.store import Tx


def register_tokens(tx: Tx, tokens: Sequence[Token]) -> None:
    """Tell whom ride tokens stand for. Again with the same is harmless.

    Errors: UnknownCurrency; TokenConflict when a token id is known with anything else. Nothing is kept then.
    """
    if not tokens:
        return
    for token in tokens:
        if token.wallet_currency not in CURRENCY_EXPONENTS:
            raise UnknownCurrency(f"{token.wallet_currency!r} is no active currency of ISO 4217.")
    tokens_store.insert_tokens(tx, tokens)
    known = tokens_store.find_tokens(tx, [token.cti for token in tokens])
    for token in tokens:
        if known[token.cti] != token:
            raise TokenConflict(
                f"The token {token.cti.hex()} already stands for another account, class or life."
            )
