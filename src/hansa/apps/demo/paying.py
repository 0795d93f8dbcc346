"""A payment between two members of the demonstration, fully backed, and the alarm that it sets off.

Every id and every time hangs on the day that is ridden, so doing it again after a crash finds it done.
"""

from dataclasses import dataclass
from datetime import date, timedelta
from hashlib import sha256
from uuid import UUID

from hansa import hub
from hansa.apps.demo.agreeing import APPROVER, WRITER
from hansa.kernel import Money, fact_id
from hansa.store import Context

PAYER, PAYEE, CURRENCY = "hangzhou", "beijing", "CNY"
COVER_MINOR, CAP_MINOR, PAID_MINOR = 1_000_000, 800_000, 660_000
LASTS = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Paid:
    """What the closing page tells. refused: the state of a payment that was more than the payer may send."""

    payer: str
    payee: str
    amount: Money
    state: hub.State
    refused: Money
    refused_state: hub.State
    used_percent: int
    alarms: tuple[hub.AlarmKind, ...]


def pay_between_members(ctx: Context, day: date) -> Paid:
    """Both deposit, two persons book it, one pays the other; then it asks for more than it may send."""
    hub.open_liquidity(ctx, [(PAYER, CURRENCY), (PAYEE, CURRENCY)])
    for member in (PAYER, PAYEE):
        hub.propose_funds(
            ctx,
            funds_id=_id("funds", member, day),
            member_id=member,
            currency=CURRENCY,
            way="in",
            amount_minor=COVER_MINOR,
            bank_reference=f"Deposit of {member}",
            by=WRITER,
        )
        hub.confirm_funds(ctx, _id("funds", member, day), by=APPROVER)
        hub.set_cap(
            ctx,
            cap_id=_id("cap", member, day),
            member_id=member,
            currency=CURRENCY,
            cap_minor=CAP_MINOR,
            by=WRITER,
        )
    paid, more = Money(PAID_MINOR, CURRENCY), Money(CAP_MINOR, CURRENCY)
    secret = sha256(f"hansa demo {day}".encode()).digest()
    for what, amount in (("paid", paid), ("too much", more)):
        hub.prepare(
            ctx,
            [
                hub.Prepare(
                    _id(what, PAYER, day),
                    PAYER,
                    PAYEE,
                    amount,
                    sha256(secret).digest(),
                    ctx.clock.now() + LASTS,
                    "Gates for the line to the airport",
                )
            ],
        )
        if what == "paid":
            hub.fulfil(ctx, [hub.Fulfil(_id(what, PAYER, day), secret, by=PAYEE)])
            hub.watch(ctx)
    with ctx.tx() as tx:
        stands = hub.get_liquidity(tx, PAYER, CURRENCY)
        standing = [one for one in hub.standing_alarms(tx, PAYER) if one.currency == CURRENCY]
        alarms = tuple(sorted(one.kind for one in standing))
        states = [hub.get_payment(tx, _id(what, PAYER, day)).state for what in ("paid", "too much")]
    return Paid(PAYER, PAYEE, paid, states[0], more, states[1], stands.used_percent, alarms)


def _id(what: str, member: str, day: date) -> UUID:
    return fact_id(None, "demo hub", what, member, day.isoformat())
