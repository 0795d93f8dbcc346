"""What can be done with liquidity: open it, cap it, bring funds in and out, release what settled, and look.

A member's headroom is an account that is never overdrawn, so its limit is kept by the ledger itself, whoever pays at
the same time. Cap, cover and releases say how much headroom a member should have been granted; `level` has the ledger
move the difference. Every step is written down first and may be repeated, so a kill anywhere is swept up by `finish`.
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from uuid import UUID

from hansa import ledger, trust
from hansa.hub import liquidity_store as store
from hansa.hub import lots_store
from hansa.hub.model import (
    AMOUNT_MAX,
    WORDS_MAX,
    Cap,
    CapDiffers,
    CoverNeeded,
    Exposure,
    Funds,
    FundsDecided,
    FundsDiffer,
    FundsState,
    Liquidity,
    Model,
    ModelDiffers,
    ReleaseDiffers,
    SettledByWindows,
    Step,
    UnknownFunds,
    UnknownLiquidity,
    Way,
    cover_account,
    headroom_account,
    house_account,
    limit_account,
    no_step,
    partition_of,
    paying_account,
)
from hansa.kernel import CURRENCY_EXPONENTS, InvalidInput, Problem, UnknownCurrency, in_utc, new_id
from hansa.store import Context, Tx

WARN_PERCENT = 80
"""At how much of the limit a member is warned, unless its cap says otherwise."""

_LAST_ZONE = timezone(timedelta(hours=-12))
"""Where a day is over last: until then a reserve is kept."""

_NO_COVER = (ledger.ResultCode.EXCEEDS_CREDITS, ledger.ResultCode.LINKED_EVENT_FAILED)


def set_model(ctx: Context, currency: str, model: Model, *, by: str) -> None:
    """Say how payments in a currency settle: ``deferred`` by windows, or ``gross``, each at once out of cover.

    Errors: UnknownCurrency; ModelDiffers once a member has liquidity in it.
    """
    _check_currency(currency)
    with ctx.tx() as tx:
        store.lock_currency(tx, currency)
        if store.find_model(tx, currency) == model:
            return
        if store.has_liquidity(tx, currency):
            raise ModelDiffers
        store.set_model(tx, currency, model, by, ctx.clock.now())


def open_liquidity(ctx: Context, pairs: Iterable[tuple[str, str]]) -> None:
    """Let these members pay and be paid in these currencies: (member, currency). Cap and cover are nothing at first.

    Again is harmless. Errors: UnknownCurrency, trust.UnknownMember; then nothing was opened.
    """
    wanted = sorted(set(pairs))
    if not wanted:
        return
    for currency in {currency for _, currency in wanted}:
        _check_currency(currency)
    with ctx.tx() as tx:
        for member in sorted({member for member, _ in wanted}):
            trust.get_member(tx, trust.MemberId(member))
        models: dict[str, Model] = {}
        for currency in sorted({currency for _, currency in wanted}):
            store.lock_currency(tx, currency)
            models[currency] = store.find_model(tx, currency)
        rows: list[tuple[str, str, int, Model]] = [
            (member, currency, partition_of(ctx.directory, currency), models[currency])
            for member, currency in wanted
        ]
        ledger.open_accounts(
            tx,
            [account for row in rows for account in _accounts(*row)],
            at=ctx.clock.now(),
        )
        store.open_rows(tx, rows)


def list_liquidity(tx: Tx, member_id: str | None = None, currency: str | None = None) -> list[Liquidity]:
    """What stands behind payments, of one member or of all, by member and currency."""
    rows = store.list_rows(tx, member_id, currency)
    ids = [
        account_of(row.member_id, row.currency, row.partition)
        for row in rows
        for account_of in (cover_account, limit_account, headroom_account)
    ]
    sums = ledger.balances(tx, ids) if ids else {}
    return [_liquidity(row, sums) for row in rows]


def get_liquidity(tx: Tx, member_id: str, currency: str) -> Liquidity:
    """What stands behind a member's payments in a currency. Errors: UnknownLiquidity."""
    found = list_liquidity(tx, member_id, currency)
    if not found:
        raise UnknownLiquidity(f"{member_id} pays and is paid in no {currency}; open its liquidity first.")
    return found[0]


def set_cap(
    ctx: Context,
    *,
    cap_id: UUID,
    member_id: str,
    currency: str,
    cap_minor: int,
    by: str,
    valid_from: datetime | None = None,
    warn_percent: int = WARN_PERCENT,
    soft_minor: int | None = None,
    step: Step = no_step,
) -> Cap:
    """Say what a member may owe at most, from an instant on; now unless given. Again by ``cap_id`` is harmless.

    soft_minor: from so much on an alarm is raised, and payments go on. A cap below the present position takes back
    what headroom there is, raises an alarm, and lets the member send nothing until it owes less.
    Errors: UnknownLiquidity, InvalidInput, CapDiffers.
    """
    problem = None
    if not 0 <= cap_minor <= AMOUNT_MAX:
        problem = Problem("cap_minor", f"it is {cap_minor}", f"Give 0 to {AMOUNT_MAX} minor units")
    elif not 1 <= warn_percent <= 100:
        problem = Problem("warn_percent", f"it is {warn_percent}", "Give 1 to 100 percent of the limit")
    elif soft_minor is not None and not 0 <= soft_minor <= cap_minor:
        problem = Problem("soft_minor", f"it is {soft_minor}", "Give at most the cap, or leave it out")
    if problem is not None:
        raise InvalidInput("This cap cannot be set.", problems=(problem,))
    now = ctx.clock.now()
    starts = now if valid_from is None else in_utc(valid_from, where="valid_from")
    cap = Cap(cap_id, member_id, currency, cap_minor, warn_percent, soft_minor, starts, by, now)
    with ctx.tx() as tx:
        _get_row(tx, member_id, currency)
        store.insert_cap(tx, cap)
        kept = store.find_cap(tx, cap_id)
        assert kept is not None, "a cap stays"
        same = replace(cap, set_at=kept.set_at, applied_at=kept.applied_at)
        if kept != (replace(same, valid_from=kept.valid_from) if valid_from is None else same):
            raise CapDiffers(f"Cap {cap_id} is known with other content.")
    step("kept")
    apply_caps(ctx, step=step)
    with ctx.tx() as tx:
        found = store.find_cap(tx, cap_id)
    assert found is not None, "a cap stays"
    return found


def apply_caps(ctx: Context, *, step: Step = no_step) -> int:
    """Let caps count whose time has come; gives how many."""
    now = ctx.clock.now()
    with ctx.tx() as tx:
        due = store.due_caps(tx, now)
        for cap in due:
            store.lock_row(tx, cap.member_id, cap.currency)
            store.apply_cap(tx, cap.cap_id, now)
    if due:
        step("applied")
    for member, currency in sorted({(cap.member_id, cap.currency) for cap in due}):
        level(ctx, member, currency, step=step)
    return len(due)


def list_caps(tx: Tx, member_id: str, currency: str, *, limit: int = 100) -> list[Cap]:
    """A member's caps in a currency, the latest to begin first."""
    return store.list_caps(tx, member_id, currency, limit)


def level(ctx: Context, member_id: str, currency: str, *, step: Step = no_step) -> None:
    """Have the ledger grant as much headroom as cap, cover and releases say, or take back as much as there is."""
    while True:
        with ctx.tx() as tx:
            row = store.lock_row(tx, member_id, currency)
            if row is None or row.model == "gross":
                return
            grant = store.find_grant_under_way(tx, member_id, currency)
            if grant is None:
                delta = row.delta_minor
                if delta < 0:
                    headroom = ledger.balance(tx, headroom_account(member_id, currency, row.partition))
                    delta = max(delta, -max(0, headroom.available_minor))
                if delta == 0:
                    return
                grant = store.Grant(new_id(), member_id, currency, delta, ctx.clock.now())
                store.insert_grant(tx, grant)
        step("grant kept")
        _finish_grant(ctx, row, grant, step)


def propose_funds(
    ctx: Context,
    *,
    funds_id: UUID,
    member_id: str,
    currency: str,
    way: Way,
    amount_minor: int,
    bank_reference: str,
    by: str,
    step: Step = no_step,
) -> Funds:
    """Say that a member's money came to the settlement bank (``in``) or is to leave it (``out``). A second decides.

    What is to leave is held at once, and the headroom that it backed is taken back; what a position needs stays.
    Again by ``funds_id`` is harmless. Errors: UnknownLiquidity, InvalidInput, FundsDiffer; CoverNeeded, and
    trust.MemberMayNot for the reserve of a member that has left, and then nothing is held.
    """
    problem = None
    if not 0 < amount_minor <= AMOUNT_MAX:
        problem = Problem("amount_minor", f"it is {amount_minor}", f"Give 1 to {AMOUNT_MAX} minor units")
    elif not 0 < len(bank_reference.strip()) <= WORDS_MAX or "\0" in bank_reference:
        problem = Problem(
            "bank_reference", "it is empty or long", f"Name the bank's entry in 1 to {WORDS_MAX} characters"
        )
    if problem is not None:
        raise InvalidInput("These funds cannot be taken.", problems=(problem,))
    while True:
        with ctx.tx() as tx:
            row = store.lock_row(tx, member_id, currency)
            if row is None:
                raise UnknownLiquidity(
                    f"{member_id} pays and is paid in no {currency}; open its liquidity first."
                )
            kept = store.find_funds(tx, funds_id)
            asked = store.find_asked(tx, member_id, currency)
            granting = store.find_grant_under_way(tx, member_id, currency)
            if kept is None and (way == "in" or (asked is None and granting is None)):
                if way == "out":
                    _refuse_reserve(tx, row, amount_minor, ctx.clock.now())
                kept = _keep_funds(
                    tx,
                    row,
                    Funds(
                        funds_id,
                        member_id,
                        currency,
                        way,
                        amount_minor,
                        bank_reference.strip(),
                        0,
                        by,
                        ctx.clock.now(),
                        FundsState.PROPOSED if way == "in" else FundsState.ASKED,
                        None,
                        None,
                        None,
                    ),
                )
        if kept is not None:
            break
        if asked is not None:  # one way out after the other: each is worked out from what the one before left
            _finish_asked(ctx, asked, no_step)
        level(ctx, member_id, currency)
    told = (kept.member_id, kept.currency, kept.way, kept.amount_minor, kept.bank_reference, kept.proposed_by)
    if told != (member_id, currency, way, amount_minor, bank_reference.strip(), by):
        raise FundsDiffer(f"Funds {funds_id} are known with other content.")
    step("kept")
    if kept.state == FundsState.ASKED:
        kept = _finish_asked(ctx, kept, step)
    if way == "out" and kept.state == FundsState.REFUSED and kept.decided_by is None:
        raise CoverNeeded
    return kept


def confirm_funds(ctx: Context, funds_id: UUID, *, by: str, step: Step = no_step) -> Funds:
    """As a second person, book funds: the deposit counts, or the money leaves. Again is harmless.

    Errors: UnknownFunds; trust.SamePerson for whoever proposed them; FundsDecided where they were refused.
    """
    with ctx.tx() as tx:
        funds = get_funds(tx, funds_id)
        if funds.state == FundsState.PROPOSED:
            if trust.is_same_person(by, funds.proposed_by):
                raise trust.SamePerson
            store.move_funds(
                tx,
                funds_id,
                from_=FundsState.PROPOSED,
                to=FundsState.BOOKING,
                by=by,
                at=ctx.clock.now(),
            )
            funds = get_funds(tx, funds_id)
    if funds.state in (FundsState.REFUSED, FundsState.VOIDING, FundsState.ASKED):
        raise FundsDecided(f"Funds {funds_id} are {funds.state}.")
    step("decided")
    return _finish_decided(ctx, funds, step)


def refuse_funds(ctx: Context, funds_id: UUID, *, by: str, step: Step = no_step) -> Funds:
    """Let funds be: nothing comes in, or what was held is cover again. Whoever proposed them may do so too.

    Again is harmless. Errors: UnknownFunds; FundsDecided where they are booked.
    """
    with ctx.tx() as tx:
        funds = get_funds(tx, funds_id)
        if funds.state == FundsState.PROPOSED:
            to = FundsState.REFUSED if funds.way == "in" else FundsState.VOIDING
            store.move_funds(tx, funds_id, from_=FundsState.PROPOSED, to=to, by=by, at=ctx.clock.now())
            funds = get_funds(tx, funds_id)
    if funds.state in (FundsState.BOOKED, FundsState.BOOKING, FundsState.ASKED):
        raise FundsDecided(f"Funds {funds_id} are {funds.state}.")
    step("decided")
    return _finish_decided(ctx, funds, step)


def get_funds(tx: Tx, funds_id: UUID) -> Funds:
    """Funds and how far they are. Errors: UnknownFunds."""
    found = store.find_funds(tx, funds_id)
    if found is None:
        raise UnknownFunds(f"There are no funds {funds_id}.")
    return found


def list_funds(
    tx: Tx, member_id: str | None = None, *, under_way: bool = False, limit: int = 100
) -> list[Funds]:
    """Funds, latest first. under_way: only those that nobody has decided."""
    return store.list_funds(tx, member_id, under_way=under_way, limit=limit)


def release(
    ctx: Context, window_id: str, member_id: str, currency: str, minor: int, *, step: Step = no_step
) -> None:
    """A settled window takes this off a member's position: above zero it has paid, below zero it was paid.

    Again is harmless. Where settlement is gross there is nothing to release. Errors: UnknownLiquidity, ReleaseDiffers;
    SettledByWindows where payments clear in windows and this is none that took some.
    """
    with ctx.tx() as tx:
        store.lock_currency(tx, currency)
        row = store.lock_row(tx, member_id, currency)
        if row is None:
            raise UnknownLiquidity(f"{member_id} pays and is paid in no {currency}; nothing can be released.")
        _check_release(tx, row, window_id, minor)
        before = store.insert_release(tx, window_id, member_id, currency, minor, ctx.clock.now())
        if before is None:
            if row.model == "deferred":
                store.change(tx, member_id, currency, released=minor)
        elif before != minor:
            raise ReleaseDiffers(f"{window_id} released {before} to {member_id} in {currency} already.")
    step("kept")
    level(ctx, member_id, currency, step=step)


def finish_liquidity(ctx: Context) -> int:
    """End what a crash left between a step and the next, and take back what can be by now; gives how much was done."""
    done = 0
    with ctx.tx() as tx:
        unfinished = store.list_unfinished_funds(tx)
    for funds in unfinished:
        if funds.state == FundsState.ASKED:
            _finish_asked(ctx, funds, no_step)
        else:
            _finish_decided(ctx, funds, no_step)
        done += 1
    with ctx.tx() as tx:
        uneven = sorted({*store.list_unequal(tx), *store.list_grants_under_way(tx)})
    for member, currency in uneven:
        level(ctx, member, currency)
    return done


def exposure(tx: Tx, member_id: str | None = None) -> list[Exposure]:
    """What members owe altogether, by member and currency: payments, and what clearing has open on positions.

    Items on positions are rides that were taken already: they are never refused, but they count here. Payments stand on
    positions too until a window takes them, and are in the hub's own figure.
    """
    open_items: dict[tuple[str, str], int] = {}
    for row in ledger.tree(tx, "position", depth=3):
        words = row.branch.split(":")
        if len(words) == 3:
            issuer, operator = words[1:]
            owed = row.balance.credit_minor
            open_items[issuer, row.currency] = open_items.get((issuer, row.currency), 0) + owed
            open_items[operator, row.currency] = open_items.get((operator, row.currency), 0) - owed
    return [
        Exposure(
            one.member_id,
            one.currency,
            one.position_minor + one.reserved_minor,
            open_items.get((_word(one.member_id), one.currency), 0) - one.on_positions_minor,
        )
        for one in list_liquidity(tx, member_id)
    ]


def _refuse_reserve(tx: Tx, row: store.Row, out_minor: int, now: datetime) -> None:
    """Errors: trust.MemberMayNot for money that is kept, in case it is needed, of a member that has left."""
    facts = trust.member_facts(tx, row.member_id)
    if not facts or facts[-1].step != "left":
        return
    until = facts[-1].facts.get("reserve_until")
    reserve = facts[-1].facts.get(f"reserve_{row.currency}")
    if until is None or reserve is None or now.astimezone(_LAST_ZONE).date() > date.fromisoformat(until):
        return
    held = ledger.balance(tx, cover_account(row.member_id, row.currency, row.partition)).available_minor
    kept = int(Decimal(reserve).scaleb(CURRENCY_EXPONENTS[row.currency]))
    if held - out_minor < kept:
        what = f"{reserve} {row.currency} are kept of {row.member_id}, which has left, until {until}"
        remedy = f"Take out at most {max(0, held - kept)} minor units, or wait until {until} is over"
        raise trust.MemberMayNot(
            "What is kept for open questions stays.", problems=(Problem("amount_minor", what, remedy),)
        )


# --- how the ledger is told


def _finish_grant(ctx: Context, row: store.Row, grant: store.Grant, step: Step) -> None:
    limit = limit_account(row.member_id, row.currency, row.partition)
    headroom = headroom_account(row.member_id, row.currency, row.partition)
    rises = grant.delta_minor > 0
    transfer = ledger.Transfer(
        ledger.TransferId(grant.grant_id),
        limit if rises else headroom,
        headroom if rises else limit,
        abs(grant.delta_minor),
        row.currency,
        ledger.TransferCode.LIMIT,
        grant.at,
        partition=row.partition,
        flags=ledger.TransferFlag.NONE if rises else ledger.TransferFlag.BALANCING_DEBIT,
    )
    _post(ctx, [transfer])
    step("granted")
    with ctx.tx() as tx:
        store.lock_row(tx, row.member_id, row.currency)
        moved = ledger.get_transfer(tx, transfer.transfer_id).transfer.amount
        signed = moved if rises else -moved
        if store.mark_grant(tx, grant.grant_id, signed):
            store.change(tx, row.member_id, row.currency, granted=signed)
    step("grant done")


def _keep_funds(tx: Tx, row: store.Row, funds: Funds) -> Funds:
    if funds.way == "out" and row.model == "deferred":
        left = row.cover_minor - funds.amount_minor
        if left < 0:
            raise CoverNeeded(
                f"{funds.member_id} has a cover of {row.cover_minor} minor units in {funds.currency}."
            )
        lowers = max(0, row.granted_minor - row.released_minor - min(row.cap_minor, left))
        funds = replace(funds, lowers_minor=lowers)
        store.change(tx, funds.member_id, funds.currency, asking=funds.amount_minor)
    store.insert_funds(tx, funds)
    return funds


def _finish_asked(ctx: Context, funds: Funds, step: Step) -> Funds:
    """Ask the ledger to hold what is to leave, together with the headroom that it backs, and keep what it says.

    The row stays locked meanwhile: two who asked for the same funds could otherwise be told differently.
    """
    with ctx.tx() as tx:
        row = store.lock_row(tx, funds.member_id, funds.currency)
        funds = get_funds(tx, funds.funds_id)
        assert row is not None, "liquidity stays"
        if funds.state != FundsState.ASKED:
            return funds
        member, currency, partition = row.member_id, row.currency, row.partition
        chain: list[ledger.Transfer] = []
        if funds.lowers_minor:
            chain.append(
                ledger.Transfer(
                    funds.ledger_id("lowers"),
                    headroom_account(member, currency, partition),
                    limit_account(member, currency, partition),
                    funds.lowers_minor,
                    currency,
                    ledger.TransferCode.LIMIT,
                    funds.proposed_at,
                    partition=partition,
                    flags=ledger.TransferFlag.LINKED,
                    reference=funds.funds_id,
                )
            )
        chain.append(
            ledger.Transfer(
                funds.ledger_id("hold"),
                cover_account(member, currency, partition),
                house_account(currency, partition),
                funds.amount_minor,
                currency,
                ledger.TransferCode.FUNDS_OUT,
                funds.proposed_at,
                partition=partition,
                flags=ledger.TransferFlag.PENDING,
                reference=funds.funds_id,
            )
        )
        results = ledger.post(ctx, chain)
        is_held = all(result.ok for result in results)
        assert is_held or any(result.code in _NO_COVER for result in results), results
        step("asked")
        to = FundsState.PROPOSED if is_held else FundsState.REFUSED
        store.move_funds(tx, funds.funds_id, from_=FundsState.ASKED, to=to)
        if row.model == "deferred":
            store.change(
                tx,
                member,
                currency,
                asking=-funds.amount_minor,
                cover=-funds.amount_minor if is_held else 0,
                granted=-funds.lowers_minor if is_held else 0,
            )
        found = get_funds(tx, funds.funds_id)
    step("answered")
    return found


def _finish_decided(ctx: Context, funds: Funds, step: Step) -> Funds:
    if funds.state in (FundsState.BOOKING, FundsState.VOIDING):
        with ctx.tx() as tx:
            row = _get_row(tx, funds.member_id, funds.currency)
        books = funds.state == FundsState.BOOKING
        _post(ctx, [_decision(funds, row.partition, books=books)])
        step("booked")
        with ctx.tx() as tx:
            store.lock_row(tx, funds.member_id, funds.currency)
            moved = store.move_funds(
                tx,
                funds.funds_id,
                from_=FundsState(funds.state),
                to=FundsState.BOOKED if books else FundsState.REFUSED,
                booked_at=ctx.clock.now() if books else None,
            )
            if moved and row.model == "deferred" and books == (funds.way == "in"):
                store.change(tx, funds.member_id, funds.currency, cover=funds.amount_minor)
        step("done")
    level(ctx, funds.member_id, funds.currency)
    with ctx.tx() as tx:
        return get_funds(tx, funds.funds_id)


def _decision(funds: Funds, partition: int, *, books: bool) -> ledger.Transfer:
    if funds.way == "in":
        return ledger.Transfer(
            funds.ledger_id("in"),
            house_account(funds.currency, partition),
            cover_account(funds.member_id, funds.currency, partition),
            funds.amount_minor,
            funds.currency,
            ledger.TransferCode.FUNDS_IN,
            funds.proposed_at,
            partition=partition,
            reference=funds.funds_id,
        )
    return ledger.Transfer(
        funds.ledger_id("out" if books else "void"),
        ledger.AS_PENDING,
        ledger.AS_PENDING,
        ledger.AMOUNT_MAX if books else 0,
        "",
        0,
        funds.proposed_at,
        partition=partition,
        flags=ledger.TransferFlag.POST_PENDING if books else ledger.TransferFlag.VOID_PENDING,
        pending_id=funds.ledger_id("hold"),
    )


def _post(ctx: Context, transfers: list[ledger.Transfer]) -> None:
    refused = [result for result in ledger.post(ctx, transfers) if not result.ok]
    assert not refused, refused


# --- words


def _accounts(member: str, currency: str, partition: int, model: Model) -> list[ledger.Account]:
    of_member = [
        (ledger.AccountCode.COVER, cover_account),
        (ledger.AccountCode.LIMIT, limit_account),
        (ledger.AccountCode.HEADROOM, headroom_account),
    ]
    house = ledger.Account(
        house_account(currency, partition),
        currency,
        ledger.AccountCode.CASH,
        "league",
        partition=partition,
        path=ledger.account_path(ledger.AccountCode.CASH, "league", "covers"),
    )
    return [house] + [
        ledger.Account(
            account_of(member, currency, partition),
            currency,
            code,
            member,
            flags=ledger.CHART[code].flags,
            partition=partition,
            path=ledger.account_path(code, member),
            labels={"settlement": model},
        )
        for code, account_of in of_member
    ]


def _liquidity(row: store.Row, sums: dict[ledger.AccountId, ledger.Balance]) -> Liquidity:
    of_member = (row.member_id, row.currency, row.partition)
    cover, limit = sums[cover_account(*of_member)], sums[limit_account(*of_member)]
    paying = sums[paying_account(*of_member, row.model)]
    gross = row.model == "gross"
    return Liquidity(
        member_id=row.member_id,
        currency=row.currency,
        partition=row.partition,
        model=row.model,
        cover_minor=cover.credit_minor,
        cap_minor=row.cap_minor,
        limit_minor=cover.credit_minor if gross else row.limit_minor,
        position_minor=0 if gross else limit.debit_minor - paying.credit_minor - row.released_minor,
        reserved_minor=paying.debits_pending,
        headroom_minor=paying.available_minor,
        short_minor=row.short_minor,
        warn_percent=row.warn_percent,
        soft_minor=row.soft_minor,
        on_positions_minor=row.carried_minor - row.taken_minor,
        in_windows_minor=row.taken_minor - row.released_minor if row.taken_minor or row.carried_minor else 0,
        released_minor=row.released_minor,
    )


def _check_release(tx: Tx, row: store.Row, window_id: str, minor: int) -> None:
    """What clears in windows is released by those windows alone, or it would be settled twice."""
    if row.model == "gross" or not lots_store.has_lots(tx, row.currency):
        return
    taken = lots_store.list_taken(tx, window_id, row.currency)
    of_member = next((one.taken_minor for one in taken if one.member_id == row.member_id), None)
    if of_member is None:
        raise SettledByWindows(f"{window_id[:60]!r} took no payments of {row.member_id} in {row.currency}.")
    if of_member != minor:
        raise ReleaseDiffers(f"{window_id} took {of_member} of {row.member_id} in {row.currency}.")


def _get_row(tx: Tx, member_id: str, currency: str) -> store.Row:
    found = store.list_rows(tx, member_id, currency)
    if not found:
        raise UnknownLiquidity(f"{member_id} pays and is paid in no {currency}; open its liquidity first.")
    return found[0]


def _check_currency(currency: str) -> None:
    if currency not in CURRENCY_EXPONENTS:
        raise UnknownCurrency(f"{currency!r} is not an active ISO 4217 currency code.")


def _word(member_id: str) -> str:
    """A member's name as it stands in the tree of accounts."""
    return ledger.account_path(ledger.AccountCode.POSITION, member_id).partition(":")[2]
