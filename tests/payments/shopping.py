"""A small league in which people pay shops: for the tests of payments."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from hansa import approval, clearing, identity, ledger, payments, trust
from hansa.identity import AccountId
from hansa.kernel import FixedClock, HansaError, Money, fact_id
from hansa.store import Context

NOW = datetime(2026, 11, 20, 2, tzinfo=UTC)
CARD, BANK = "harbour-card", "market-bank"
"""The issuer of all riders, and the acquirer of the tea house; the card house has a payee of its own, its kiosk."""

POLICY = """
version = 1
[[rows]]
name = "given before"
needs = "code"
because = "any"

[[rows]]
name = "somebody asks"
channels = ["qr", "online", "person", "bank"]
needs = "session"
because = "any"
"""
"""However often and much somebody pays, a code does, and a sign-in where there is none."""

TEA, KIOSK, CANADIAN = "tea-house", "kiosk", "maple"


def person(name: str) -> AccountId:
    """The account of a person of this name."""
    return AccountId(fact_id(None, "shopping", name))


ANN, BEN = person("ann"), person("ben")


def open_town(ctx: Context, *, money: int = 100_00, more: int = 0) -> None:
    """Ann and Ben with so much money each, the tea house at another member, the kiosk at their own. more: people."""
    set_clock(ctx, NOW)
    names = ["ann", "ben", *(f"person-{n}" for n in range(more))]
    people = [
        identity.Account(
            person(name), name.title(), CARD, "harbour", "adult", "en", NOW - timedelta(days=400)
        )
        for name in names
    ]
    with ctx.tx() as tx:
        trust.add_members(
            tx,
            [
                trust.Member(
                    trust.MemberId(name),
                    name.title(),
                    "league" if name == "league" else "issuer",
                    None,
                    trust.MemberId(name),
                    f"{name}-1",
                )
                for name in (CARD, BANK, "league")
            ],
        )
        identity.open_accounts(tx, people)
        approval.set_policy(tx, CARD, POLICY, by="test", at=NOW - timedelta(days=1))
    payments.open_member_accounts(ctx, [CARD], ["CNY"])
    payments.open_wallets(ctx, [(one, "CNY") for one in people])
    clearing.open_positions(ctx, [(CARD, BANK, "CNY")])
    payments.open_payees(ctx, payees())
    if money:
        payments.top_up(
            ctx,
            [
                payments.TopUp(
                    fact_id(NOW, "top-up", one.account_id), one.account_id, CARD, Money(money, "CNY"), NOW
                )
                for one in people
            ],
        )


def payees() -> list[payments.Payee]:
    """Who can be paid here."""
    return [
        payments.Payee(payee_id=TEA, member_id=BANK, name="Tea house", currency="CNY", category="5812"),
        payments.Payee(payee_id=KIOSK, member_id=CARD, name="Kiosk", currency="CNY"),
        payments.Payee(payee_id=CANADIAN, member_id=BANK, name="Maple", currency="CAD"),
    ]


def set_clock(ctx: Context, at: datetime) -> None:
    """Let the test's clock stand at another instant."""
    assert isinstance(ctx.clock, FixedClock)
    ctx.clock.at = at


def pass_time(ctx: Context, **parts: float) -> None:
    """Let time pass."""
    set_clock(ctx, ctx.clock.now() + timedelta(**parts))


def asks(minor: int, *, n: object = 0, payer: AccountId | None = ANN, **more: Any) -> payments.NewPayment:
    """A payment as the tea house asks for it, by a code that its payer showed. n: makes it this one."""
    told: dict[str, Any] = {
        "payment_id": fact_id(None, "shopping payment", n),
        "payee_id": TEA,
        "amount": Money(minor, "CNY"),
        "by": BANK,
        "payer": payer,
        "method": "wallet" if payer is None else "code",
        "evidence": "" if payer is None else "a code",
        **more,
    }
    if told["method"] != "code":
        told["evidence"] = ""
    return payments.NewPayment(**told)


def made(ctx: Context, new: payments.NewPayment, **more: Any) -> payments.Payment:
    """One payment, as it then stands. Errors: what refused it."""
    answer = payments.create(ctx, [new], **more)[0]
    if isinstance(answer, HansaError):
        raise answer
    return answer


def as_it_stands(ctx: Context, payment_id: UUID) -> payments.Payment:
    """A payment now."""
    with ctx.tx() as tx:
        return payments.get_payment(tx, payment_id)


def held(ctx: Context, account_id: AccountId = ANN) -> tuple[int, int]:
    """What a wallet has, and how much of it is held."""
    with ctx.tx() as tx:
        wallet = payments.wallet_id(account_id, "CNY")
        balance = ledger.balances(tx, [wallet])[wallet]
    return balance.credit_minor, balance.debits_pending


def owed(ctx: Context) -> dict[str, int]:
    """Balances by name: what is owed the tea house and the kiosk, what its bank awaits, what the card house owes it."""
    accounts = {
        "tea": payments.merchant_account(TEA, "CNY"),
        "kiosk": payments.merchant_account(KIOSK, "CNY"),
        "awaited": payments.receivable_account(BANK, "CNY"),
        "position": payments.position_account(CARD, BANK, "CNY"),
    }
    with ctx.tx() as tx:
        found = ledger.balances(tx, list(accounts.values()))
    return {
        name: found[one].debit_minor if name == "awaited" else found[one].credit_minor
        for name, one in accounts.items()
    }


def words(ctx: Context, payment_id: UUID) -> list[str]:
    """The states of a payment, in order."""
    with ctx.tx() as tx:
        found = payments.get_payment(tx, payment_id)
        return [one.state.value for one in payments.steps_of(tx, found)]


def told(ctx: Context) -> list[str]:
    """The types of what members were told, in order."""
    with ctx.tx() as tx:
        rows = tx.execute(
            "select body ->> 'type' from store.outbox where topic = 'webhooks' order by xid, seq"
        )
        return [row[0] for row in rows.fetchall()]


def check_books(ctx: Context) -> None:
    """The books are even and prove themselves, and payees have what their payments say, minor unit by minor unit."""
    with ctx.tx() as tx:
        assert ledger.trial_balance(tx).is_even
        assert ledger.verify(tx) == []
        for payee in payees():
            found = payments.list_payments(tx, payee_id=payee.payee_id, limit=10_000)
            account = payments.merchant_account(payee.payee_id, payee.currency)
            paid = sum(one.captured_minor - one.refunded_minor for one in found)
            assert ledger.balances(tx, [account])[account].credit_minor == paid, payee
        wallets = [payments.wallet_id(one, "CNY") for one in (ANN, BEN)]
        pending = sum(one.debits_pending for one in ledger.balances(tx, wallets).values())
        everything = payments.list_payments(tx, limit=10_000)
        assert pending == sum(one.held_minor for one in everything)
        assert pending == sum(one.amount.minor for who in (ANN, BEN) for one in payments.holds_of(tx, who))
        left = tx.execute(
            "select (select count(*) from payments.intents), (select count(*) from payments.under_way),"
            " (select count(*) from approval.uses where given_back_at is null)"
        ).fetchone()
    assert left is not None and left[:2] == (0, 0), left
