"""What tests of approval share: riders whose spends are decided on."""

from datetime import UTC, datetime
from uuid import UUID

from hansa import approval, identity
from hansa.approval import Channel, Spend
from hansa.kernel import Money, fact_id
from hansa.store import Tx
from identity.test_accounts import rider

AT = datetime(2026, 11, 17, 12, 30, tzinfo=UTC)
ANNA, BO, CAI = (rider(number).account_id for number in (1, 2, 3))
SHOP = "merchant:tea"


def open_riders(tx: Tx) -> None:
    identity.open_accounts(tx, [rider(number) for number in (1, 2, 3)])


def spend(
    number: int,
    minor: int = 10_00,
    *,
    account: identity.AccountId = ANNA,
    currency: str = "CNY",
    payee: str = SHOP,
    channel: Channel = Channel.QR,
    category: str = "",
    session_at: datetime | None = AT,
    **more: object,
) -> Spend:
    return Spend(
        spend_id=fact_id(None, "spend", number),
        account_id=account,
        amount=Money(minor, currency),
        payee_key=payee,
        payee_name="Tea house",
        channel=channel,
        category=category,
        session_at=session_at,
        **more,  # pyright: ignore[reportArgumentType]
    )


def decided(tx: Tx, one: Spend, at: datetime = AT) -> approval.Verdict:
    return approval.decide(tx, [one], at)[0]


def used(tx: Tx, holder: UUID, *, scope: str = "") -> tuple[int, int, int]:
    """What counts for a holder: payments today, minor units today, minor units in its period."""
    row = tx.execute(
        "select day_count, day_minor, period_minor from approval.counters where holder_id = %s and scope = %s",
        (holder, scope),
    ).fetchone()
    return (0, 0, 0) if row is None else (row[0], row[1], row[2])
