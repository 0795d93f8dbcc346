"""What a person has watched: a wallet that runs low, and budgets of a month by category. Who moves money knows neither.

The marks and plans are kept here; ``apps.book_notices`` follows the books and tells when one is passed. Each passing is
told once: a mark again only after the wallet was above it, a budget at 80 % and at 100 % in a month.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime
from uuid import UUID

from hansa.identity import AccountId
from hansa.kernel import CURRENCY_EXPONENTS, InvalidInput, Problem
from hansa.notifications import watches_store as store
from hansa.notifications.watches_model import AMOUNT_MAX, Budget, LowMark, Percent
from hansa.store import Tx


def set_low_mark(
    tx: Tx,
    account_id: AccountId,
    currency: str,
    wallet: UUID,
    low_minor: int | None,
    *,
    at: datetime,
    partition: int = 0,
) -> None:
    """Be told when a wallet holds less than this; None: not any more. Errors: InvalidInput, and nothing is kept."""
    if low_minor is None:
        store.drop_mark(tx, partition, account_id, currency)
        return
    _check(currency, low_minor, "low")
    store.set_mark(tx, LowMark(partition, account_id, currency, wallet, low_minor, False), at)


def low_mark(tx: Tx, account_id: AccountId, currency: str, *, partition: int = 0) -> int | None:
    """When this wallet runs low, minor units; None where nobody watches it."""
    return store.mark_of(tx, partition, account_id, currency)


def set_budgets(
    tx: Tx,
    account_id: AccountId,
    currency: str,
    wallet: UUID,
    plans: Mapping[str, int | None],
    *,
    at: datetime,
    partition: int = 0,
) -> None:
    """Plan a month by categories, minor units; None: no plan. One that stays the same keeps what was told of it.

    Errors: InvalidInput with each field that does not fit; nothing is kept then.
    """
    for category, minor in plans.items():
        if minor is not None:
            _check(currency, minor, category)
    for category, minor in plans.items():
        if minor is None:
            store.drop_budget(tx, partition, account_id, currency, category)
        else:
            store.set_budget(
                tx, Budget(partition, account_id, currency, category, wallet, minor, None, 0), at
            )


def list_budgets(
    tx: Tx, account_id: AccountId, *, partition: int = 0, currency: str | None = None
) -> list[Budget]:
    """A person's budgets, by currency and category."""
    return [one for one in store.budgets_of(tx, partition, account_id) if currency in (None, one.currency)]


# --- for whoever follows the books


def lock_books_read(tx: Tx, partition: int, start: int) -> int | None:
    """Up to which block these books were read, for this transaction alone; None: another one is at it.

    start: where they begin to be read if nobody did so before.
    """
    return store.lock_read(tx, partition, start)


def keep_books_read(tx: Tx, partition: int, block: int) -> None:
    """These books are read up to this block."""
    store.keep_read(tx, partition, block)


def watched_wallets(tx: Tx, partition: int) -> set[UUID]:
    """Wallets of a partition with a mark or a budget."""
    return store.watched(tx, partition)


def marks_on(tx: Tx, partition: int, wallets: Collection[UUID]) -> dict[UUID, LowMark]:
    """The marks of these wallets."""
    return {one.wallet: one for one in store.marks_on(tx, partition, wallets)}


def keep_low(tx: Tx, mark: LowMark, *, is_low: bool) -> None:
    """Whether its person was told that this wallet runs low, and it still does."""
    store.keep_low(tx, mark, is_low)


def budgets_on(tx: Tx, partition: int, wallets: Collection[UUID]) -> list[Budget]:
    """The budgets of these wallets."""
    return store.budgets_on(tx, partition, wallets)


def keep_told(tx: Tx, budget: Budget, month: date, percent: Percent) -> None:
    """What its person was told of a budget last."""
    store.keep_told(tx, budget, month, percent)


def who_is_told(tx: Tx, owners: Sequence[tuple[int, UUID]]) -> set[UUID]:
    """Of these persons those who were told something before: who never used the wallet is not told of each fare."""
    return store.known_people(tx, owners)


def _check(currency: str, minor: int, where: str) -> None:
    problems: list[Problem] = []
    if currency not in CURRENCY_EXPONENTS:
        problems.append(Problem("currency", f"is {currency[:10]!r}", "Take a currency of yours"))
    if not 0 < minor <= AMOUNT_MAX:
        problems.append(
            Problem(where, "it is not above zero", "Give an amount above zero, or leave it empty")
        )
    if problems:
        raise InvalidInput("This cannot be watched.", problems=tuple(problems))
