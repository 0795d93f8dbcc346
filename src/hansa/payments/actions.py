"""What can be done with wallets: open, top up, charge, give back, look.

Every action that moves money writes down its intent, posts to the ledger with ids worked out from it, and records
the outcome. A kill between any two of these loses nothing: the same call again, or ``finish``, ends it the same way.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import date, datetime
from fractions import Fraction
from itertools import groupby
from uuid import UUID

from hansa import approval, identity, ledger
from hansa.identity import AccountId
from hansa.kernel import CURRENCY_EXPONENTS, InvalidInput, Money, Problem
from hansa.payments import store
from hansa.payments.chains import post_chains
from hansa.payments.changing import finish_payments
from hansa.payments.model import (
    Charge,
    Charged,
    ChargeDiffers,
    Mark,
    Movement,
    NoRate,
    Plan,
    RateDiffers,
    Step,
    Subsidy,
    TopUp,
    TopUpDiffers,
    UnknownPayee,
    WalletClosed,
    cash_account,
    exchange_account,
    legs,
    no_step,
    plan,
    risk_account,
    subsidy_account,
    subsidy_transfer,
    top_up_transfer,
    wallet_id,
)
from hansa.payments.plain_fares import list_plain_fares
from hansa.store import Context, Tx

_POOR = ledger.ResultCode.EXCEEDS_CREDITS
_PAID_BY_THE_OTHER = ledger.ResultCode.EXISTS_WITH_DIFFERENT_DEBIT_ACCOUNT_ID
Posted = tuple[store.ChargeRow, tuple[ledger.Transfer, ...]]
_CLOSED = ledger.ResultCode.CREDIT_ACCOUNT_ALREADY_CLOSED
_NOT_OPEN = (ledger.ResultCode.DEBIT_ACCOUNT_NOT_FOUND, ledger.ResultCode.CREDIT_ACCOUNT_NOT_FOUND)


def open_wallets(ctx: Context, wallets: Iterable[tuple[identity.Account, str]]) -> None:
    """Open wallets, one per account and currency; doing so again is harmless."""
    _open_wallets(ctx, [(account.account_id, currency) for account, currency in wallets])


def open_member_accounts(ctx: Context, member_ids: Iterable[str], currencies: Iterable[str]) -> None:
    """Open what a member needs to issue wallets in these currencies: cash, risk and exchange, in every partition."""
    units = list(currencies)
    _open_member_accounts(ctx, [(member, unit) for member in member_ids for unit in units])


def open_cash_accounts(ctx: Context, pairs: Iterable[tuple[str, str]]) -> None:
    """Open the cash accounts of members that settle and issue no wallets: (member, currency)."""
    ledger.open_accounts(
        ctx,
        [
            ledger.Account(
                account_id=cash_account(member, currency),
                currency=currency,
                code=ledger.AccountCode.CASH,
                holder=member,
                path=ledger.account_path(ledger.AccountCode.CASH, member),
            )
            for member, currency in pairs
        ],
    )


def set_rates(tx: Tx, day: date, rates: Sequence[tuple[str, str, Fraction]]) -> None:
    """Set the exchange rates of a day: (base, quote, units of quote for one unit of base), exact.

    Setting the same again is harmless. Errors: RateDiffers if a rate of that day is another; nothing is set then.
    """
    for base, quote, rate in rates:
        assert {base, quote} <= CURRENCY_EXPONENTS.keys(), (base, quote)
        if base == quote or rate <= 0:
            raise InvalidInput(
                "A rate joins two currencies and is above zero.",
                problems=(
                    Problem(f"rate {base}/{quote}", f"is {rate}", "Give units of quote for one of base"),
                ),
            )
    store.set_rates(tx, day, rates)
    kept = store.fetch_rates(tx, [day])
    for base, quote, rate in rates:
        if kept[day, base, quote] != rate:
            raise RateDiffers(f"The rate {base}/{quote} of {day} is set to {kept[day, base, quote]} already.")


def rate(tx: Tx, day: date, base: str, quote: str) -> Fraction:
    """Units of quote for one unit of base on that day, exactly; the other way round where only that was set.

    Errors: NoRate.
    """
    return _rate(store.fetch_rates(tx, [day]), day, base, quote)


def list_rates(tx: Tx, day: date) -> list[tuple[str, str, Fraction]]:
    """The rates of a day as they were set: (base, quote, units of quote for one unit of base), by currency."""
    return [(base, quote, rate) for (_, base, quote), rate in sorted(store.fetch_rates(tx, [day]).items())]


def top_up(
    ctx: Context, top_ups: Sequence[TopUp], *, capped: bool = False, step: Step = no_step
) -> list[Money]:
    """Put money that riders brought to their issuer into their wallets; gives the amounts, in order.

    capped: refuse what would lift a wallet over the cap of its holder's level, unless it has its place already
    (``approval.admit``); whoever takes what people bring says so. Safe to repeat by ``top_up_id``.
    Errors: TopUpDiffers, approval.BalanceCapReached, before anything is kept; WalletClosed, and those that were for
    closed wallets are not kept, while the others are posted.
    """
    partition_of = ctx.directory.partition_of
    placed = [(partition_of(top_up.account_id), top_up) for top_up in top_ups]
    for _, item in placed:
        if item.amount.minor <= 0:
            raise InvalidInput(
                "A top-up brings money.",
                problems=(
                    Problem(f"top-up {item.top_up_id}", f"amount is {item.amount}", "Make it above zero"),
                ),
            )
    with ctx.tx() as tx:
        store.intend_top_ups(tx, placed)
        kept = store.fetch_top_ups(tx, [(partition, item.top_up_id) for partition, item in placed])
        for _, item in placed:
            if kept[item.top_up_id].body() != item:
                raise TopUpDiffers(f"Top-up {item.top_up_id} is known with other content.")
        if capped:
            _check_caps(tx, [row for row in kept.values() if row.state == "intended"], ctx.clock.now())
    step("intended")
    closed = _finish_top_ups(ctx, [row for row in kept.values() if row.state == "intended"], step)
    if closed:
        raise WalletClosed(f"The wallet of top-up {closed[0].top_up_id} is closed.")
    return [item.amount for item in top_ups]


def charge(ctx: Context, charges: Sequence[Charge], *, step: Step = no_step) -> list[Charged]:
    """Take fares from wallets, or give back, each in full or not at all; answers in the order given.

    A wallet in another currency pays at the rate of ``rate_day``. Where a wallet holds too little, the issuer pays
    from its risk account and the rider owes the fare; what is given back later lowers that debt first.
    Safe to repeat by ``charge_id``, also after a kill. Errors, before anything is posted: ChargeDiffers, NoRate,
    UnknownPayee.
    """
    wanted: dict[UUID, tuple[int, Charge]] = {}
    for item in charges:
        if item.amount.minor == 0:
            raise InvalidInput(
                "A charge moves money.",
                problems=(Problem(f"charge {item.charge_id}", "amount is zero", "Leave it out"),),
            )
        known = wanted.setdefault(item.charge_id, (ctx.directory.partition_of(item.account_id), item))
        if known[1] != item:
            raise ChargeDiffers(f"Charge {item.charge_id} stands twice in one call, with different content.")
    rows = _intend_charges(ctx, wanted)
    step("intended")
    # In the order given: of two fares and money for one, a second try lets the same one be paid.
    unfinished = [rows[charge_id] for charge_id in wanted if rows[charge_id].state == "intended"]
    outcomes = _finish_charges(ctx, unfinished, step)
    return [
        _charged(*(outcomes.get(item.charge_id) or (rows[item.charge_id], _legs(rows[item.charge_id]))))
        for item in charges
    ]


def subsidise(ctx: Context, subsidies: Sequence[Subsidy]) -> list[ledger.TransferId]:
    """Have members pay parts of fares, or give them back; the transfers, in the order given.

    Safe to repeat by ``subsidy_id``: the transfer's id is worked out from it, and nothing can refuse it, since what a
    member pays is settled by clearing. Errors: UnknownPayee, before anything is posted.
    """
    if not subsidies:
        return []
    with ctx.tx() as tx:
        _check_payees(tx, {one.payee for one in subsidies})
    transfers = [subsidy_transfer(one) for one in subsidies]
    for start in range(0, len(transfers), ledger.BATCH_MAX):
        batch = transfers[start : start + ledger.BATCH_MAX]
        codes = post_chains(ctx, [(one,) for one in batch])
        if any(code in _NOT_OPEN for code in codes):
            _open_subsidy_accounts(ctx, {(one.payer_id, one.amount.currency) for one in subsidies})
            codes = post_chains(ctx, [(one,) for one in batch])
        assert all(code is ledger.ResultCode.CREATED for code in codes), codes
    return [one.transfer_id for one in transfers]


def finish(ctx: Context, limit: int = 100_000) -> int:
    """End what a kill left between intent and outcome; how many charges, top-ups and payments that were."""
    partitions = sorted(set(ctx.directory.partitions))
    with ctx.tx() as tx:
        top_ups = store.unfinished_top_ups(tx, partitions, limit)
        charges = store.unfinished_charges(tx, partitions, limit)
    _finish_top_ups(ctx, top_ups, no_step)
    _finish_charges(ctx, charges, no_step)
    return len(top_ups) + len(charges) + finish_payments(ctx)


def balance_of(tx: Tx, account_id: AccountId, *, partition: int = 0) -> list[Money]:
    """What an account's wallets hold, by currency."""
    currencies = store.wallets_of(tx, partition, account_id)
    wallets = {currency: wallet_id(account_id, currency) for currency in currencies}
    held = ledger.balances(tx, list(wallets.values()))
    return [Money(held[wallet].credit_minor, currency) for currency, wallet in wallets.items()]


def debts_of(tx: Tx, account_id: AccountId, *, partition: int = 0) -> list[Money]:
    """What an account owes its issuer for fares carried on risk, by currency of the fare."""
    return store.debts_of(tx, partition, account_id)


def list_owed(
    tx: Tx, account_id: AccountId, *, first_at: datetime, end_at: datetime, partition: int = 0
) -> list[tuple[datetime, UUID, Money]]:
    """What an account's issuer carried (+), or wrote off again (-), from one instant until before another.

    When it happened, what it was for, how much, in the payee's currency; oldest first.
    """
    return store.list_owed(tx, partition, account_id, first_at, end_at)


def movements(
    tx: Tx, account_id: AccountId, limit: int = 50, *, before: Mark | None = None, partition: int = 0
) -> list[Movement]:
    """The lines of the wallet page, newest first by when they happened: all that changed a wallet, and what for.

    before: the mark of the last line already seen.
    """
    currencies = store.wallets_of(tx, partition, account_id)
    wallets = {wallet_id(account_id, currency): currency for currency in currencies}
    held = {wallets[wallet]: one.credit_minor for wallet, one in ledger.balances(tx, list(wallets)).items()}
    plain = list_plain_fares(tx, partition, account_id, wallets, limit, before)
    if before is not None:
        for currency, gained in store.gained_since(tx, partition, account_id, before).items():
            held[currency] = held.get(currency, 0) - gained
        for line in plain:
            if (line.at, line.movement_id) >= before:
                held[line.wallet_currency] -= line.wallet_minor
        plain = [line for line in plain if (line.at, line.movement_id) < before]
    lines = [*plain, *store.list_lines(tx, partition, account_id, limit, before)]
    lines.sort(key=lambda line: (line.at, line.movement_id), reverse=True)
    return list(_with_balances(lines[:limit], held))


def _with_balances(lines: Iterable[store.Line], held: dict[str, int]) -> Iterator[Movement]:
    """Lines, newest first, with what each left behind. held: what each wallet held after the first of them."""
    for line in lines:
        left = held.get(line.wallet_currency, 0)
        if line.finished:
            held[line.wallet_currency] = left - line.wallet_minor
        yield Movement(
            at=line.at,
            kind=line.kind,
            amount=Money(line.wallet_minor, line.wallet_currency),
            price=Money(line.price_minor, line.price_currency),
            owed=Money(line.owed_minor, line.price_currency),
            reference=line.reference,
            finished=line.finished,
            movement_id=line.movement_id,
            balance=Money(left, line.wallet_currency),
            transfer_id=line.transfer_id,
        )


def _rate(rates: dict[tuple[date, str, str], Fraction], day: date, base: str, quote: str) -> Fraction:
    if base == quote:
        return Fraction(1)
    if (day, base, quote) in rates:
        return rates[day, base, quote]
    if (day, quote, base) in rates:
        return 1 / rates[day, quote, base]
    raise NoRate(f"No exchange rate is set between {base} and {quote} for {day}.")


def _intend_charges(ctx: Context, wanted: dict[UUID, tuple[int, Charge]]) -> dict[UUID, store.ChargeRow]:
    """Write down, for each charge not known yet, how it is to be carried; the rows of all of them."""
    with ctx.tx() as tx:
        _check_payees(tx, {item.payee for _, item in wanted.values()})
        giving_back = {
            _debt_key(partition, item) for partition, item in wanted.values() if item.amount.minor < 0
        }
        owed = store.lock_debts(tx, giving_back) if giving_back else {}
        keys = [(partition, charge_id) for charge_id, (partition, _) in wanted.items()]
        rows = store.fetch_charges(tx, keys)
        for charge_id, row in rows.items():
            if row.body() != wanted[charge_id][1]:
                raise ChargeDiffers(f"Charge {charge_id} is known with other content.")
        new = {charge_id: both for charge_id, both in wanted.items() if charge_id not in rows}
        foreign = {item.rate_day for _, item in new.values() if item.wallet_currency != item.amount.currency}
        rates = store.fetch_rates(tx, foreign) if foreign else {}
        planned: list[tuple[int, Charge, Plan]] = []
        written_off: dict[UUID, tuple[store.DebtKey, int]] = {}
        for charge_id, (partition, item) in new.items():
            exchange = _rate(rates, item.rate_day, item.amount.currency, item.wallet_currency)
            key = _debt_key(partition, item)
            carried = plan(item, exchange, owed_minor=owed.get(key, 0))
            if carried.risk_minor:
                owed[key] += carried.risk_minor
                written_off[charge_id] = (key, -carried.risk_minor)
            planned.append((partition, item, carried))
        taken = store.intend_charges(tx, planned) if planned else set[UUID]()
        lowered: dict[store.DebtKey, int] = {}
        for charge_id, (key, minor) in written_off.items():
            if charge_id in taken:
                lowered[key] = lowered.get(key, 0) + minor
        if lowered:
            store.write_off_debts(tx, lowered)
        for partition, item, carried in planned:
            if item.charge_id in taken:
                rows[item.charge_id] = _row(partition, item, carried)
        if len(rows) < len(wanted):  # somebody else wrote the same charge down while we planned
            missing = [(partition, charge_id) for partition, charge_id in keys if charge_id not in rows]
            for charge_id, row in store.fetch_charges(tx, missing).items():
                if row.body() != wanted[charge_id][1]:
                    raise ChargeDiffers(f"Charge {charge_id} is known with other content.")
                rows[charge_id] = row
    return rows


def _finish_charges(ctx: Context, rows: Sequence[store.ChargeRow], step: Step) -> dict[UUID, Posted]:
    """Post what is written down and record the outcome, batch by batch."""
    outcomes: dict[UUID, Posted] = {}
    for _, of_partition in groupby(sorted(rows, key=_partition), key=_partition):
        for batch in _batches(list(of_partition)):
            carried = _post_charges(ctx, batch)
            step("posted")
            with ctx.tx() as tx:
                store.finish_charges(
                    tx,
                    [
                        (row.partition, row.charge_id, Plan(row.wallet_minor, row.risk_minor))
                        for row, _ in carried
                    ],
                )
            step("recorded")
            outcomes.update((row.charge_id, (row, chain)) for row, chain in carried)
    return outcomes


def _post_charges(ctx: Context, batch: Sequence[Posted]) -> list[Posted]:
    """Ask the ledger to carry these by the wallets as planned, then by risk what the wallets cannot."""
    codes = post_chains(ctx, [chain for _, chain in batch])
    closed = [i for i, code in enumerate(codes) if code in _NOT_OPEN]
    if closed:
        rows = [batch[i][0] for i in closed]
        _open_wallets(ctx, [(AccountId(row.account_id), row.wallet_currency) for row in rows])
        units = {(row.issuer_id, unit) for row in rows for unit in (row.wallet_currency, row.currency)}
        _open_member_accounts(ctx, sorted(units))
        again = post_chains(ctx, [batch[i][1] for i in closed])
        for i, code in zip(closed, again, strict=True):
            codes[i] = code
    carried: list[Posted] = []
    poor: list[store.ChargeRow] = []
    for (row, chain), code in zip(batch, codes, strict=True):
        if code is ledger.ResultCode.CREATED:
            carried.append((row, chain))
        else:
            assert row.amount_minor > 0 and code in (_POOR, _PAID_BY_THE_OTHER), (row.charge_id, code)
            poor.append(row)
    if poor:
        carried.extend(_post_on_risk(ctx, poor))
    return carried


def _post_on_risk(ctx: Context, rows: Sequence[store.ChargeRow]) -> list[Posted]:
    """Let the issuers carry these; should a wallet have paid one in the meantime, it stays so."""
    risky = [replace(row, wallet_minor=0, risk_minor=row.amount_minor) for row in rows]
    chains = [_legs(row) for row in risky]
    codes = post_chains(ctx, chains)
    if any(code in _NOT_OPEN for code in codes):
        _open_member_accounts(ctx, sorted({(row.issuer_id, row.currency) for row in rows}))
        codes = post_chains(ctx, chains)
    carried: list[Posted] = []
    for row, risk, chain, code in zip(rows, risky, chains, codes, strict=True):
        if code is ledger.ResultCode.CREATED:
            carried.append((risk, chain))
        else:
            assert code is _PAID_BY_THE_OTHER and row.risk_minor == 0, (row.charge_id, code)
            carried.append((row, _legs(row)))
    return carried


def _check_caps(tx: Tx, rows: Sequence[store.TopUpRow], at: datetime) -> None:
    """Errors: approval.BalanceCapReached."""
    incoming = [
        approval.Incoming(
            incoming_id=row.top_up_id,
            account_id=AccountId(row.account_id),
            wallet=wallet_id(AccountId(row.account_id), row.currency),
            amount=Money(row.amount_minor, row.currency),
            partition=row.partition,
        )
        for row in rows
    ]
    for refused in approval.admit(tx, incoming, at):
        if refused is not None:
            raise refused


def _finish_top_ups(ctx: Context, rows: Sequence[store.TopUpRow], step: Step) -> list[store.TopUpRow]:
    """Post what is written down; gives those whose wallets are closed, which are forgotten."""
    refused: list[store.TopUpRow] = []
    for _, of_partition in groupby(sorted(rows, key=_partition), key=_partition):
        ordered = list(of_partition)
        for start in range(0, len(ordered), ledger.BATCH_MAX):
            batch = ordered[start : start + ledger.BATCH_MAX]
            chains = [(_top_up_transfer(row),) for row in batch]
            codes = post_chains(ctx, chains)
            if any(code in _NOT_OPEN for code in codes):
                _open_wallets(ctx, [(AccountId(row.account_id), row.currency) for row in batch])
                _open_member_accounts(ctx, sorted({(row.issuer_id, row.currency) for row in batch}))
                codes = post_chains(ctx, chains)
            assert set(codes) <= {ledger.ResultCode.CREATED, _CLOSED}, codes
            closed = [row for row, code in zip(batch, codes, strict=True) if code is _CLOSED]
            step("posted")
            with ctx.tx() as tx:
                store.finish_top_ups(tx, [row for row in batch if row not in closed])
                store.forget_top_ups(tx, closed)
                approval.end_incoming(tx, [row.top_up_id for row in batch], partition=batch[0].partition)
            step("recorded")
            refused += closed
    return refused


def _top_up_transfer(row: store.TopUpRow) -> ledger.Transfer:
    return ledger.Transfer(
        transfer_id=top_up_transfer(row.top_up_id, row.top_up_at),
        debit=cash_account(row.issuer_id, row.currency, row.partition),
        credit=wallet_id(AccountId(row.account_id), row.currency),
        amount=row.amount_minor,
        currency=row.currency,
        code=ledger.TransferCode.TOP_UP,
        partition=row.partition,
        event_at=row.top_up_at,
        reference=row.top_up_id,
    )


def _batches(rows: Sequence[store.ChargeRow]) -> Iterator[list[Posted]]:
    """Rows with their chains, in the order given, as many as one call to the ledger carries; no chain is split."""
    batch: list[Posted] = []
    size = 0
    for row in rows:
        chain = _legs(row)
        if size + len(chain) > ledger.BATCH_MAX:
            yield batch
            batch, size = [], 0
        batch.append((row, chain))
        size += len(chain)
    if batch:
        yield batch


def _legs(row: store.ChargeRow) -> tuple[ledger.Transfer, ...]:
    return legs(row.body(), Plan(row.wallet_minor, row.risk_minor), row.partition)


def _partition(row: store.ChargeRow | store.TopUpRow) -> int:
    return row.partition


def _open_wallets(ctx: Context, wallets: Sequence[tuple[AccountId, str]]) -> None:
    placed = sorted(
        {(ctx.directory.partition_of(account), account, currency) for account, currency in wallets}
    )
    ledger.open_accounts(
        ctx,
        [
            ledger.Account(
                account_id=wallet_id(account, currency),
                currency=currency,
                code=ledger.AccountCode.WALLET,
                holder=str(account),
                flags=ledger.AccountFlag.DEBITS_MUST_NOT_EXCEED_CREDITS,
                partition=partition,
                path=ledger.account_path(ledger.AccountCode.WALLET),
            )
            for partition, account, currency in placed
        ],
    )
    with ctx.tx() as tx:
        store.keep_wallets(tx, placed)


def _open_member_accounts(ctx: Context, pairs: Iterable[tuple[str, str]]) -> None:
    kinds = (
        (cash_account, ledger.AccountCode.CASH),
        (risk_account, ledger.AccountCode.RISK),
        (exchange_account, ledger.AccountCode.EXCHANGE),
    )
    ledger.open_accounts(
        ctx,
        [
            ledger.Account(
                account_id=account_of(member, currency, partition),
                currency=currency,
                code=code,
                holder=member,
                partition=partition,
                path=ledger.account_path(code, member),
            )
            for member, currency in pairs
            for partition in sorted(set(ctx.directory.partitions))
            for account_of, code in kinds
        ],
    )


def _open_subsidy_accounts(ctx: Context, pairs: Iterable[tuple[str, str]]) -> None:
    ledger.open_accounts(
        ctx,
        [
            ledger.Account(
                account_id=subsidy_account(member, currency, partition),
                currency=currency,
                code=ledger.AccountCode.SUBSIDY,
                holder=member,
                partition=partition,
                path=ledger.account_path(ledger.AccountCode.SUBSIDY, member),
            )
            for member, currency in sorted(pairs)
            for partition in sorted(set(ctx.directory.partitions))
        ],
    )


def _check_payees(tx: Tx, payees: set[ledger.AccountId]) -> None:
    try:
        ledger.balances(tx, payees)
    except ledger.UnknownAccount as unknown:
        raise UnknownPayee(
            f"{unknown.detail} Open it before somebody pays into it; nothing was charged."
        ) from unknown


def _debt_key(partition: int, item: Charge) -> store.DebtKey:
    return (partition, item.account_id, item.issuer_id, item.amount.currency)


def _row(partition: int, item: Charge, carried: Plan) -> store.ChargeRow:
    return store.ChargeRow(
        partition,
        item.charge_id,
        item.account_id,
        item.issuer_id,
        item.wallet_currency,
        item.amount.minor,
        item.amount.currency,
        item.payee,
        item.at,
        item.rate_day,
        item.reference,
        int(item.code),
        carried.wallet_minor,
        carried.risk_minor,
        "intended",
    )


def _charged(row: store.ChargeRow, chain: Sequence[ledger.Transfer]) -> Charged:
    return Charged(
        row.charge_id,
        Money(row.wallet_minor, row.wallet_currency),
        row.risk_minor > 0,
        tuple(leg.transfer_id for leg in chain),
    )
