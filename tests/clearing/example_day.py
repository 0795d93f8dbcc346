"""The worked example of docs/clearing.md: three cities, eight rides, one business day."""

from dataclasses import dataclass
from datetime import UTC, date, datetime
from fractions import Fraction

from hansa import clearing, identity, ledger, payments, trust
from hansa.kernel import FixedClock, Money, fact_id
from hansa.store import Context

AT = datetime(2026, 11, 17, 12, tzinfo=UTC)
DAY = date(2026, 11, 17)
OVER = datetime(2026, 11, 17, 20, tzinfo=UTC)
"""04:00 of the next morning in Shanghai: the cut-off."""

CURRENCY = {"beijing-subway": "CNY", "hangzhou-metro": "CNY", "hong-kong-mtr": "HKD"}
HOME = {"beijing-card": "CNY", "hangzhou-card": "CNY", "hong-kong-card": "HKD"}

ACCOUNTS = {
    "beijing": "HNSACNBJXXX/6222020000000017",
    "hangzhou": "HNSACNHZXXX/6222020000000025",
    "hong-kong": "HNSAHKHHXXX/004-888-000017",
    "league": "GB33BUKB20201555555555",
    "league-bank": "HNSASGSGXXX/001-0000001",
}


@dataclass(frozen=True)
class Ride:
    """A line of the example: who carried the money, whose gates, what the fare was."""

    number: int
    issuer_id: str
    operator_id: str
    minor: int
    rider: int


RIDES = [
    Ride(1, "hangzhou-card", "beijing-subway", 700, 1),
    Ride(2, "hangzhou-card", "beijing-subway", 400, 1),
    Ride(3, "beijing-card", "hangzhou-metro", 500, 2),
    Ride(4, "beijing-card", "beijing-subway", 300, 2),
    Ride(5, "hangzhou-card", "beijing-subway", -200, 1),
    Ride(6, "hong-kong-card", "beijing-subway", 600, 3),
    Ride(7, "beijing-card", "hong-kong-mtr", 1_150, 2),
    Ride(8, "hangzhou-card", "hong-kong-mtr", 2_000, 4),
]


def open_league(ctx: Context) -> None:
    """Members, positions between all of them, rates."""
    clears_as = {
        **{f"{city}-card": city for city in ACCOUNTS},
        **{op: op.rsplit("-", 1)[0] for op in CURRENCY},
    }
    members = [
        trust.Member(
            trust.MemberId(member_id),
            member_id.replace("-", " ").title(),
            "bank" if member_id == "league-bank" else "league" if member_id == "league" else "city",
            None,
            trust.MemberId(member_id),
            account,
        )
        for member_id, account in ACCOUNTS.items()
    ]
    members += [
        trust.Member(
            trust.MemberId(member_id),
            member_id.replace("-", " ").title(),
            "issuer" if member_id in HOME else "operator",
            None,
            trust.MemberId(clears_as[member_id]),
            "",
        )
        for member_id in (*HOME, *CURRENCY)
    ]
    with ctx.tx() as tx:
        trust.add_members(tx, members)
        payments.set_rates(tx, DAY, [("CNY", "HKD", Fraction(1087, 1000))])
    clearing.open_positions(
        ctx, [(issuer, operator, CURRENCY[operator]) for issuer in HOME for operator in CURRENCY]
    )


def rider(number: int) -> identity.AccountId:
    """Riders 1 to 3 have money, rider 4 has none."""
    return identity.AccountId(fact_id(None, "example rider", number))


def top_up(ctx: Context) -> None:
    """What riders 1 to 3 bring: 50.00 each."""
    issuers = {ride.rider: ride.issuer_id for ride in RIDES}
    payments.top_up(
        ctx,
        [
            payments.TopUp(
                fact_id(AT, "example top-up", number),
                rider(number),
                issuers[number],
                Money(5_000, HOME[issuers[number]]),
                AT,
            )
            for number in (1, 2, 3)
        ],
    )


def charge_of(ride: Ride) -> payments.Charge:
    """The charge of a ride; what is below zero corrects."""
    unit = CURRENCY[ride.operator_id]
    return payments.Charge(
        charge_id=fact_id(AT, "example charge", ride.number),
        account_id=rider(ride.rider),
        issuer_id=ride.issuer_id,
        wallet_currency=HOME[ride.issuer_id],
        amount=Money(ride.minor, unit),
        payee=clearing.position_account(ride.issuer_id, ride.operator_id, unit),
        at=AT,
        rate_day=DAY,
        reference=journey_of(ride),
        code=ledger.TransferCode.FARE if ride.minor > 0 else ledger.TransferCode.FARE_CORRECTION,
    )


def journey_of(ride: Ride) -> "identity.AccountId":
    """What the ride's posting refers to."""
    return identity.AccountId(fact_id(AT, "example journey", ride.number))


def ride_all(ctx: Context) -> None:
    """The league is open, riders have topped up, and the eight rides are charged."""
    open_league(ctx)
    top_up(ctx)
    payments.charge(ctx, [charge_of(ride) for ride in RIDES])


def set_clock(ctx: Context, at: datetime) -> None:
    """Let the test's clock stand at another instant."""
    assert isinstance(ctx.clock, FixedClock)
    ctx.clock.at = at
