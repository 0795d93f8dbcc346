"""A league whose members pay one another, for the tests of the hub."""

from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID

from hansa import hub, ledger, trust
from hansa.kernel import FixedClock, HansaError, Money, fact_id, new_id
from hansa.store import Context

NOW = datetime(2026, 11, 20, 2, tzinfo=UTC)
MEMBERS = ("amsterdam", "beijing", "canton", "delhi")
A, B, C, D = MEMBERS
ANNA, BO = "league:anna", "league:bo"


def open_hub(
    ctx: Context,
    *,
    covers: dict[str, int] | None = None,
    caps: dict[str, int] | None = None,
    currency: str = "CNY",
    members: tuple[str, ...] = MEMBERS,
    model: str = "deferred",
) -> None:
    """These members with so much cover and, unless told, a cap as high; all without any position."""
    set_clock(ctx, NOW)
    with ctx.tx() as tx:
        trust.add_members(
            tx,
            [
                trust.Member(
                    trust.MemberId(name), name.title(), "city", None, trust.MemberId(name), f"{name}-1"
                )
                for name in members
            ],
        )
    hub.set_model(ctx, currency, "gross" if model == "gross" else "deferred", by=ANNA)
    hub.open_liquidity(ctx, [(name, currency) for name in members])
    for name in members:
        cover = (covers or {}).get(name, 0)
        if cover:
            deposit(ctx, name, cover, currency=currency)
        cap = (caps or {}).get(name, cover)
        set_cap(ctx, name, cap, currency=currency)


def set_clock(ctx: Context, at: datetime) -> None:
    """Let the test's clock stand at another instant."""
    assert isinstance(ctx.clock, FixedClock)
    ctx.clock.at = at


def pass_time(ctx: Context, **parts: float) -> None:
    """Let time pass."""
    set_clock(ctx, ctx.clock.now() + timedelta(**parts))


def deposit(ctx: Context, member: str, minor: int, *, currency: str = "CNY") -> UUID:
    """Funds in, by two persons."""
    funds_id = new_id()
    hub.propose_funds(
        ctx,
        funds_id=funds_id,
        member_id=member,
        currency=currency,
        way="in",
        amount_minor=minor,
        bank_reference="camt-1",
        by=ANNA,
    )
    hub.confirm_funds(ctx, funds_id, by=BO)
    return funds_id


def take_out(ctx: Context, member: str, minor: int, *, currency: str = "CNY", **more: Any) -> hub.Funds:
    """Funds out, proposed."""
    return hub.propose_funds(
        ctx,
        funds_id=more.pop("funds_id", new_id()),
        member_id=member,
        currency=currency,
        way="out",
        amount_minor=minor,
        bank_reference="pain-1",
        by=ANNA,
        **more,
    )


def set_cap(ctx: Context, member: str, minor: int, *, currency: str = "CNY", **more: Any) -> hub.Cap:
    """A cap from now on, unless told."""
    return hub.set_cap(
        ctx,
        cap_id=more.pop("cap_id", new_id()),
        member_id=member,
        currency=currency,
        cap_minor=minor,
        by=ANNA,
        **more,
    )


def secret_of(payment_id: UUID) -> bytes:
    """What the payee of this payment shows in the end."""
    return sha256(b"secret" + payment_id.bytes).digest()


def asks(
    payer: str,
    payee: str,
    minor: int,
    *,
    n: object = None,
    currency: str = "CNY",
    now: datetime = NOW,
    lasts_s: float = 30,
) -> hub.Prepare:
    """A payment as its payer asks for it. n: makes it this one; without it is a new one."""
    payment_id = new_id() if n is None else fact_id(now, "test", n)
    return hub.Prepare(
        payment_id,
        payer,
        payee,
        Money(minor, currency),
        sha256(secret_of(payment_id)).digest(),
        now + timedelta(seconds=lasts_s),
        "packet",
    )


def shows(prepare: hub.Prepare) -> hub.Fulfil:
    """What the payee shows for it."""
    return hub.Fulfil(prepare.payment_id, secret_of(prepare.payment_id), prepare.payee_id)


def word(answer: hub.Answer) -> str:
    """An answer in a word, for tables: the state with its reason, or the code of the refusal."""
    if isinstance(answer, HansaError):
        return answer.code
    return f"{answer.state} {answer.reason}".strip()


def words(answers: list[hub.Answer]) -> list[str]:
    """Answers in words."""
    return [word(answer) for answer in answers]


def figures(ctx: Context, member: str, currency: str = "CNY") -> tuple[int, int, int]:
    """A member's position, reservations and headroom."""
    with ctx.tx() as tx:
        one = hub.get_liquidity(tx, member, currency)
    return one.position_minor, one.reserved_minor, one.headroom_minor


def feed(ctx: Context, member: str) -> list[str]:
    """What a member was told, in words."""
    with ctx.tx() as tx:
        notices = hub.read_notices(tx, member, limit=1_000)
    assert [one.seq for one in notices] == list(range(1, len(notices) + 1))
    return [
        one.kind if one.alarm is None else f"{one.alarm.kind} {'on' if one.alarm.raised else 'off'}"
        for one in notices
    ]


def check_books(ctx: Context, currency: str = "CNY") -> None:
    """Positions sum to zero but for what was released, nobody is overdrawn, and the ledger proves its books."""
    with ctx.tx() as tx:
        everyone = hub.list_liquidity(tx, currency=currency)
        released = tx.execute("select coalesce(sum(released_minor), 0) from hub.liquidity").fetchone()
        assert released is not None
        assert sum(one.position_minor for one in everyone) == -released[0]
        assert all(one.headroom_minor >= 0 and one.reserved_minor >= 0 for one in everyone)
        assert ledger.trial_balance(tx).is_even
        assert ledger.verify(tx) == []
