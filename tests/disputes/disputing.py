"""A league in which riders ride, pay and complain, for the tests of disputes."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

from hansa import clearing, disputes, ledger, payments, rides, trust
from hansa.identity import AccountId
from hansa.kernel import FixedClock, fact_id
from hansa.store import Context
from rides.riding import League, account_of, local, tariff_of

OPERATOR, ISSUER = "beijing-subway", "beijing-card"
A, B = "beijing/xizhimen", "beijing/chegongzhuang"
DAY = date(2026, 11, 17)
NOW = datetime(2026, 11, 20, 2, tzinfo=UTC)
"""A Friday morning in Beijing."""
LIFE_STARTS = {disputes.Kind.REFUND: "asked", disputes.Kind.ITEM: "raised"}

RIDER = trust.Caller(f"person:{account_of(1)}", "person", account_id=str(account_of(1)))
STRANGER = trust.Caller(f"person:{account_of(2)}", "person", account_id=str(account_of(2)))
CARD = trust.Caller(ISSUER, "member", member_id=trust.MemberId(ISSUER))
SUBWAY = trust.Caller(OPERATOR, "member", member_id=trust.MemberId(OPERATOR))
OTHER = trust.Caller("london-tfl", "member", member_id=trust.MemberId("london-tfl"))
REFEREE = trust.Caller("league", "league", member_id=trust.MemberId("league"))
POSITION = clearing.position_account(ISSUER, OPERATOR, "CNY")


def open_books(ctx: Context, wallet_minor: int = 5_000) -> League:
    """Positions, a wallet with money, and the clock on a Friday morning."""
    set_clock(ctx, NOW)
    league = League(ctx, OPERATOR)
    clearing.open_positions(ctx, [(ISSUER, OPERATOR, "CNY")])
    league.open_money(1, wallet_minor)
    return league


def ride(league: League, clock: str = "08:00", *, exit_at: str | None = "08:20") -> UUID:
    """A ride of rider 1 that is priced and posted; its journey. Without an exit it costs the most there is."""
    cti = league.rider(1)
    taps = [league.tap(OPERATOR, A, "entry", local(tariff_of(OPERATOR), clock, DAY), cti)]
    if exit_at is not None:
        taps.append(league.tap(OPERATOR, B, "exit", local(tariff_of(OPERATOR), exit_at, DAY), cti))
    league.hand_in(taps)
    post(league.ctx)
    return taps[0].tap_id


def post(ctx: Context) -> None:
    """Price and post what waits."""
    rides.rate(ctx)
    rides.post_charges(ctx)


def item_of(ctx: Context, journey_id: UUID) -> UUID:
    """The first item of a journey on the position."""
    with ctx.tx() as tx:
        return rides.journey(tx, rides.JourneyId(journey_id)).charges[0].transfer_ids[-1]


def wallet(ctx: Context) -> int:
    """What rider 1 has, in minor units."""
    with ctx.tx() as tx:
        return payments.balance_of(tx, AccountId(account_of(1)))[0].minor


def position(ctx: Context) -> int:
    """What the issuer owes the operator."""
    with ctx.tx() as tx:
        return ledger.balance(tx, POSITION).credit_minor


def set_clock(ctx: Context, at: datetime) -> None:
    """Let the test's clock stand at another instant."""
    assert isinstance(ctx.clock, FixedClock)
    ctx.clock.at = at


def pass_days(ctx: Context, days: int) -> None:
    """Let calendar days pass."""
    set_clock(ctx, ctx.clock.now() + timedelta(days=days))


def new(number: int) -> UUID:
    """An id of the caller's own."""
    return fact_id(None, "dispute of the tests", number)


def ask(
    ctx: Context,
    journey_id: UUID,
    *,
    reason: str = "charged_twice",
    amount: int | None = None,
    number: int = 1,
    caller: trust.Caller = RIDER,
    words: str = "I rode once.",
) -> disputes.Dispute:
    """A refund of rider 1."""
    return disputes.ask_refund(
        ctx,
        caller,
        dispute_id=new(number),
        journey_id=journey_id,
        reason=reason,
        words=words,
        amount_minor=amount,
    )


def claim(ctx: Context, item_id: UUID, amount: int = 300, *, number: int = 1) -> disputes.Dispute:
    """A dispute of the issuer's."""
    return disputes.raise_dispute(
        ctx,
        CARD,
        dispute_id=new(number),
        item_id=item_id,
        other_id=OPERATOR,
        amount_minor=amount,
        reason="no_evidence",
        words="Show the taps.",
        evidence={},
    )


def do(
    ctx: Context,
    caller: trust.Caller,
    action: str,
    *,
    number: int = 1,
    key: int | None = None,
    amount: int | None = None,
) -> disputes.Dispute:
    """An action on a dispute of the tests."""
    return disputes.act(
        ctx,
        caller,
        new(number),
        action_id=fact_id(None, "action of the tests", number, action, key),
        action=disputes.Action(action),
        words=f"I {action} it.",
        amount_minor=amount,
    )


class Killed(Exception):
    """The process was killed here."""


def killed_at(wanted: str) -> Callable[[str], None]:
    def watch(name: str) -> None:
        if name == wanted:
            raise Killed

    return watch
