"""Payments: money in and out of wallets.

Top-ups and charges flow in, from riders and from the rooms that price what they did; ledger transfers flow out, with
the one id that makes a repeat harmless. What a wallet cannot pay, its issuer carries on a named risk account; a wallet
in another currency pays at the day's exact rate. Payments knows no ride and no bill, only what a charge refers to.
"""

from hansa.payments.actions import (
    balance_of,
    charge,
    debts_of,
    finish,
    movements,
    open_cash_accounts,
    open_member_accounts,
    open_wallets,
    rate,
    set_rates,
    top_up,
)
from hansa.payments.model import (
    Charge,
    Charged,
    ChargeDiffers,
    Movement,
    MovementKind,
    NoRate,
    RateDiffers,
    Step,
    TopUp,
    TopUpDiffers,
    UnknownPayee,
    cash_account,
    exchange_account,
    no_step,
    quote,
    risk_account,
    wallet_id,
)

__all__ = [
    "Charge",
    "ChargeDiffers",
    "Charged",
    "Movement",
    "MovementKind",
    "NoRate",
    "RateDiffers",
    "Step",
    "TopUp",
    "TopUpDiffers",
    "UnknownPayee",
    "balance_of",
    "cash_account",
    "charge",
    "debts_of",
    "exchange_account",
    "finish",
    "movements",
    "no_step",
    "open_cash_accounts",
    "open_member_accounts",
    "open_wallets",
    "quote",
    "rate",
    "risk_account",
    "set_rates",
    "top_up",
    "wallet_id",
]
