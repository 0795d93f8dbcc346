"""The chart of accounts: what kinds of accounts and of transfers there are, and what each is for."""

import re
from dataclasses import dataclass
from enum import IntEnum, IntFlag
from typing import Literal


class AccountFlag(IntFlag):
    """What an account may not do. A limit is also a check constraint in the database.

    HISTORY: its balance after every transfer is kept. The journal keeps it for all accounts, so the flag says only that
    someone relies on it.
    """

    NONE = 0
    DEBITS_MUST_NOT_EXCEED_CREDITS = 1
    CREDITS_MUST_NOT_EXCEED_DEBITS = 2
    CLOSED = 4
    HISTORY = 8


class AccountCode(IntEnum):
    """What an account is, in a bookkeeper's words."""

    WALLET = 10
    CASH = 20
    POSITION = 30
    DUE = 40
    EARNED = 50
    RISK = 60
    EXCHANGE = 70
    SETTLEMENT = 80
    OPENING = 90
    SUBSIDY = 100
    COVER = 110
    LIMIT = 120
    HEADROOM = 130
    SENT = 140
    MERCHANT = 150
    RECEIVABLE = 160
    TRANSIT = 170
    PREPAID = 180
    DEPOSIT = 190


class TransferCode(IntEnum):
    """Why money moved."""

    TOP_UP = 1
    FARE = 2
    FARE_CORRECTION = 3
    EXCHANGE = 4
    CLEARED = 5
    FEE = 6
    SETTLED_IN = 7
    SETTLED_OUT = 8
    EARNED = 9
    RISK = 10
    REFUND = 11
    PAYMENT = 12
    OPENING = 13
    SUBSIDY = 14
    CHARGEBACK = 15
    FUNDS_IN = 16
    FUNDS_OUT = 17
    LIMIT = 18
    SEND = 19
    WITHDRAWAL = 20
    VOUCHER = 21
    PURCHASE = 22
    PURCHASE_REFUND = 23
    RECEIVED = 24
    CARD = 25


@dataclass(frozen=True, slots=True)
class ChartLine:
    """One line of the chart.

    normal: the side on which this kind of account usually stands. flags: the limits it is opened with.
    """

    name: str
    normal: Literal["debit", "credit", "either"]
    flags: AccountFlag
    meaning: str


_FREE = AccountFlag.NONE

CHART: dict[AccountCode, ChartLine] = {
    AccountCode.WALLET: ChartLine(
        "Wallet",
        "credit",
        AccountFlag.DEBITS_MUST_NOT_EXCEED_CREDITS,
        "what an issuer owes a rider; never below zero",
    ),
    AccountCode.CASH: ChartLine("Cash", "debit", _FREE, "a member's money at the settlement bank"),
    AccountCode.POSITION: ChartLine(
        "Position", "credit", _FREE, "what an issuer owes an operator for rides not yet cleared"
    ),
    AccountCode.DUE: ChartLine("Due", "credit", _FREE, "what a cleared day makes payable to a member"),
    AccountCode.EARNED: ChartLine("Earned", "credit", _FREE, "settled revenue and fees of a member"),
    AccountCode.RISK: ChartLine(
        "Risk", "debit", _FREE, "fares an issuer carries for riders whose wallets were empty"
    ),
    AccountCode.EXCHANGE: ChartLine(
        "Exchange", "either", _FREE, "an issuer's position in one currency from changing riders' money"
    ),
    AccountCode.SETTLEMENT: ChartLine(
        "Settlement", "either", _FREE, "money in transit at the league's bank; zero when a day is settled"
    ),
    AccountCode.OPENING: ChartLine("Opening", "either", _FREE, "what stood elsewhere before the books began"),
    AccountCode.SUBSIDY: ChartLine("Subsidy", "debit", _FREE, "what a member has paid of riders' fares"),
    AccountCode.COVER: ChartLine(
        "Cover",
        "credit",
        AccountFlag.DEBITS_MUST_NOT_EXCEED_CREDITS,
        "what the league holds for a member against its payments; never below zero",
    ),
    AccountCode.LIMIT: ChartLine("Limit", "debit", _FREE, "how much headroom a member was granted"),
    AccountCode.HEADROOM: ChartLine(
        "Headroom",
        "credit",
        AccountFlag.DEBITS_MUST_NOT_EXCEED_CREDITS,
        "what a member may still send to other members; never below zero",
    ),
    AccountCode.SENT: ChartLine(
        "Sent", "debit", _FREE, "what a member has sent to other members by payments that windows settle"
    ),
    AccountCode.MERCHANT: ChartLine("Merchant", "credit", _FREE, "what an acquirer owes a merchant"),
    AccountCode.RECEIVABLE: ChartLine(
        "Receivable",
        "debit",
        _FREE,
        "what an acquirer gave its merchants and people and awaits from clearing",
    ),
    AccountCode.TRANSIT: ChartLine(
        "Transit",
        "either",
        _FREE,
        "money between two wallets, or a wallet and a bank; zero when all has arrived",
    ),
    AccountCode.PREPAID: ChartLine(
        "Prepaid", "credit", _FREE, "what an issuer owes the holders of its vouchers"
    ),
    AccountCode.DEPOSIT: ChartLine(
        "Deposit",
        "credit",
        AccountFlag.DEBITS_MUST_NOT_EXCEED_CREDITS,
        "what an issuer owes the holders of its cards for their deposits; never below zero",
    ),
}
"""Every kind of account, by code."""


def account_path(code: AccountCode, *words: str) -> str:
    """Where an account stands in the tree: its kind, then whose, such as ``position:beijing-card:hong-kong-mtr``."""
    parts = (code.name.lower(), *words)
    return ":".join(_NOT_IN_A_PATH.sub("-", part.lower()).strip("-") or "x" for part in parts)


_NOT_IN_A_PATH = re.compile(r"[^a-z0-9-]+")
