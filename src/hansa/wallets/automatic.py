"""Topping up by itself: below so much, add so much, within caps, until a bank says no for good."""

from collections.abc import Callable
from datetime import datetime, timedelta
from uuid import UUID

from hansa import approval, identity, ledger, payments
from hansa.identity import AccountId
from hansa.kernel import HansaError, InvalidInput, Money, Problem, fact_id
from hansa.store import Context, Tx
from hansa.wallets import bank_accounts, top_ups
from hansa.wallets import bank_store as store
from hansa.wallets.bank_model import Automatic, BankTopUp, NewTopUp, NoMandate, Way
from hansa.wallets.rails import BankRail

DAY, MONTH = timedelta(hours=24), timedelta(days=30)
"""Caps count backwards from now, so that no midnight and no month's end doubles them."""

EVERY = timedelta(seconds=20)
"""How often one rule is looked at."""


def turn_on(
    ctx: Context,
    account_id: AccountId,
    *,
    below: Money,
    add: Money,
    day_max: Money,
    month_max: Money,
    bank_account_id: UUID,
) -> Automatic:
    """Where the wallet can pay less than ``below``, add ``add``, within caps for 24 hours and for 30 days.

    Again changes it, and starts one that stopped itself. Errors: InvalidInput, also where the wallet may not hold so
    much; those of ``bank_accounts.get_own``, NoMandate.
    """
    units = {one.currency for one in (below, add, day_max, month_max)}
    if len(units) != 1:
        raise _unfit("currency", "the amounts have several currencies", "Give all in one")
    if below.minor <= 0 or add.minor <= 0:
        raise _unfit("below" if below.minor <= 0 else "add", "is not above zero", "Give an amount above zero")
    if not add.minor <= day_max.minor <= month_max.minor:
        raise _unfit("day_max", "the caps leave no room for one top-up", "Let add <= day_max <= month_max")
    now = ctx.clock.now()
    one = Automatic(
        partition=ctx.directory.partition_of(account_id),
        account_id=account_id,
        currency=add.currency,
        below_minor=below.minor,
        add_minor=add.minor,
        day_max_minor=day_max.minor,
        month_max_minor=month_max.minor,
        bank_account_id=bank_account_id,
        state="on",
        why="",
        refusals=0,
        runs=0,
        looked_at=now - EVERY,
        changed_at=now,
    )
    with ctx.tx() as tx:
        bank = bank_accounts.get_own(tx, account_id, bank_account_id)
        if not bank.may_pull:
            raise NoMandate
        if bank.currency != add.currency:
            raise _unfit("currency", f"the bank account is in {bank.currency}", "Choose that currency")
        cap = _cap(tx, account_id, add.currency)
        if cap is not None and below.minor + add.minor > cap:
            most = Money(cap, add.currency)
            raise _unfit(
                "add", f"the wallet may hold {most}", "Add less, or prove your name at /wallet/me/name"
            )
        store.set_automatic(tx, one)
        found = store.find_automatic(tx, one.partition, account_id, one.currency)
        assert found is not None, "it was just kept"
        return found


def turn_off(ctx: Context, account_id: AccountId, currency: str) -> None:
    """Top up by itself no more; what is under way ends as it will. Again is harmless."""
    with ctx.tx() as tx:
        partition = ctx.directory.partition_of(account_id)
        store.end_automatic(tx, partition, account_id, currency, "off", "", ctx.clock.now())


def list_of(tx: Tx, account_id: AccountId, *, partition: int = 0) -> list[Automatic]:
    """A person's automatic top-ups, by currency."""
    return store.list_automatic(tx, partition, account_id)


def turn(ctx: Context, rail_of: Callable[[str], BankRail | None], limit: int = 500) -> int:
    """Top up what is low; gives how many top-ups began. By several at once it is harmless.

    A rule's run is counted in the transaction that keeps its top-up, under an id worked out from the run: so one look
    makes one top-up, whatever is killed.
    """
    now = ctx.clock.now()
    begun: list[BankTopUp] = []
    with ctx.tx() as tx:
        rules = store.due_automatic(tx, ctx.directory.partitions, now - EVERY, limit)
        if not rules:
            return 0
        store.looked(tx, rules, now)
        wallets = {payments.wallet_id(AccountId(one.account_id), one.currency): one for one in rules}
        balances = ledger.balances(tx, [one for one in wallets if _is_open(tx, one)])
        low = [
            wallets[wallet]
            for wallet, one in balances.items()
            if one.available_minor < wallets[wallet].below_minor
        ]
        for rule in low:
            kept = _begin(tx, ctx, rule, now)
            if kept is not None:
                begun.append(kept)
    for one in begun:
        top_ups.advance(ctx, rail_of(one.rail_id), one)
    return len(begun)


def _begin(tx: Tx, ctx: Context, rule: Automatic, now: datetime) -> BankTopUp | None:
    day, month, under_way = store.automatic_sums(tx, rule, day_from=now - DAY, month_from=now - MONTH)
    if (
        under_way
        or day + rule.add_minor > rule.day_max_minor
        or month + rule.add_minor > rule.month_max_minor
    ):
        return None
    if not store.ran(tx, rule):
        return None
    try:
        with tx.transaction():
            return top_ups.keep(
                tx,
                NewTopUp(
                    top_up_id=fact_id(now, "automatic", rule.account_id, rule.currency, rule.runs),
                    account_id=AccountId(rule.account_id),
                    amount=Money(rule.add_minor, rule.currency),
                    bank_account_id=rule.bank_account_id,
                    way=Way.DEBIT,
                ),
                at=now,
                directory=ctx.directory,
                is_automatic=True,
            )
    except approval.BalanceCapReached as refused:
        cap = _cap(tx, AccountId(rule.account_id), rule.currency)
        if cap is None or rule.below_minor + rule.add_minor <= cap:
            return None  # something else is on its way just now
        why = refused.code
    except HansaError as refused:  # the mandate or the bank account went, or the account is blocked
        why = refused.code
    issuer = identity.get_account(tx, AccountId(rule.account_id)).issuer_id
    top_ups.stop_automatic(tx, rule.partition, rule.account_id, rule.currency, why, issuer, now)
    return None


def _cap(tx: Tx, account_id: AccountId, currency: str) -> int | None:
    """What this person's wallet may hold, in minor units; None: no cap."""
    issuer_id = identity.get_account(tx, account_id).issuer_id
    return identity.balance_cap(issuer_id, int(identity.proof_level(tx, account_id)), currency)


def _is_open(tx: Tx, wallet: ledger.AccountId) -> bool:
    try:
        ledger.get_account(tx, wallet)
    except ledger.UnknownAccount:
        return False
    return True


def _unfit(where: str, what: str, remedy: str) -> InvalidInput:
    return InvalidInput("This automatic top-up does not fit.", problems=(Problem(where, what, remedy),))
