"""Vouchers at counters: made by an issuer, sold by a clerk, redeemed once, and worth nothing before and after.

A code is told once, when its batch is printed; only its hash is kept. What is stolen before it is sold is worth
nothing: a voucher counts from its activation at a counter, by its serial number, which is no secret. The money waits on
PREPAID from then until somebody redeems it, or it runs out and its batch's policy says whose it is.
"""

import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from hansa import approval, clearing, identity, ledger, payments
from hansa.identity import AccountId
from hansa.kernel import CURRENCY_EXPONENTS, InvalidInput, Money, Problem, UnknownCurrency, fact_id
from hansa.ledger import AccountCode, TransferCode, TransferId
from hansa.payments import Step, no_step
from hansa.store import Context, Rate, Tx, refuse_too_often
from hansa.wallets import top_ups
from hansa.wallets import vouchers_store as store
from hansa.wallets.bank_model import (
    VOUCHER_LETTERS,
    VOUCHERS_MAX,
    BankTopUp,
    Batch,
    BatchDiffers,
    NewBatch,
    TopUpState,
    UnknownBatch,
    Voucher,
    VoucherMoved,
    VoucherRefused,
    Way,
    prepaid_account,
)
from hansa.wallets.model import AMOUNT_MAX, CODE_LETTERS, check_letter, hash_secret, read_code, read_note
from hansa.wallets.posting import post_chain

GUESSING = Rate(8, timedelta(hours=1))
"""How often one account may try a code. A code has 75 random bits."""

EXPIRES_MAX = timedelta(days=10 * 366)


# --- an issuer's batches


def make(ctx: Context, new: NewBatch, *, by: str) -> tuple[Batch, list[str]]:
    """Make a batch; gives it and its codes in order of their serial numbers, told this once.

    by: who makes it. Errors: InvalidInput, UnknownCurrency; BatchDiffers where a batch of this id was made before.
    """
    now = ctx.clock.now()
    _check(new, now)
    codes = [_new_code() for _ in range(new.count)]
    rows: list[tuple[UUID, int, bytes, int]] = []
    for serial, code in enumerate(codes, start=1):
        voucher_id = fact_id(now, "voucher", new.batch_id, serial)
        rows.append((voucher_id, serial, hash_secret(code), ctx.directory.partition_of(voucher_id)))
    with ctx.tx() as tx:
        if not store.insert_batch(tx, new, by, now):
            raise BatchDiffers
        store.insert_vouchers(tx, new.batch_id, rows, now)
        return get_batch(tx, new.batch_id, issuer_id=new.issuer_id), codes


def get_batch(tx: Tx, batch_id: UUID, *, issuer_id: str | None) -> Batch:
    """A batch of this issuer; of any for None. Errors: UnknownBatch."""
    found = store.find_batch(tx, batch_id)
    if found is None or issuer_id not in (None, found.issuer_id):
        raise UnknownBatch
    return found


def list_batches(tx: Tx, *, issuer_id: str | None, limit: int = 50) -> list[Batch]:
    """Batches of an issuer, or of all, the latest first."""
    return store.list_batches(tx, issuer_id, limit)


def list_vouchers(tx: Tx, batch_id: UUID, *, first: int = 1, last: int = VOUCHERS_MAX) -> list[Voucher]:
    """Vouchers of a batch by serial number, without their codes."""
    return store.by_serial(tx, batch_id, first, last)


def void(ctx: Context, batch_id: UUID, *, issuer_id: str | None) -> Batch:
    """Void what was not sold of a batch, such as one whose print was lost. Again is harmless. Errors: UnknownBatch."""
    with ctx.tx() as tx:
        get_batch(tx, batch_id, issuer_id=issuer_id)
        made = [
            one.voucher_id for one in store.by_serial(tx, batch_id, 1, VOUCHERS_MAX) if one.state == "made"
        ]
        store.move(tx, made, "made", "void", ctx.clock.now())
        return get_batch(tx, batch_id, issuer_id=issuer_id)


# --- at a counter


def activate(
    ctx: Context,
    batch_id: UUID,
    first: int,
    last: int,
    *,
    by: str,
    issuer_id: str | None,
    step: Step = no_step,
) -> list[Voucher]:
    """A clerk sold these serial numbers: their money is the issuer's debt from now on. Again is harmless.

    Errors: UnknownBatch, InvalidInput; VoucherMoved where one is void, used or has run out, and then none is activated.
    """
    now = ctx.clock.now()
    with ctx.tx() as tx:
        batch = get_batch(tx, batch_id, issuer_id=issuer_id)
        if not 1 <= first <= last <= batch.count:
            raise _unfit(
                "serials", f"{first} to {last} of {batch.count}", "Name serial numbers of this batch"
            )
        found = store.by_serial(tx, batch_id, first, last)
        if batch.expires_at <= now or any(one.state not in ("made", "activating", "active") for one in found):
            raise VoucherMoved
        store.activate(tx, batch_id, first, last, by, now)
        found = store.by_serial(tx, batch_id, first, last)
    step("activating")
    _finish_activations(ctx, [one for one in found if one.state == "activating"], step)
    with ctx.tx() as tx:
        return store.by_serial(tx, batch_id, first, last)


def top_up_at_counter(
    ctx: Context, top_up_id: UUID, account_id: AccountId, amount: Money, *, by: str, at_counter: str
) -> BankTopUp:
    """A clerk took money for a person's wallet; what is given back is the receipt. Safe to repeat by ``top_up_id``.

    by, at_counter: who took it and where, for the receipt. Errors: InvalidInput, UnknownAccount, TopUpDiffers,
    approval.BalanceCapReached.
    """
    if not 0 < amount.minor <= AMOUNT_MAX:
        raise _unfit("amount", f"is {amount}", "Give an amount above zero")
    now = ctx.clock.now()
    with ctx.tx() as tx:
        account = identity.get_account(tx, account_id)
    return top_ups.credit(
        ctx, _credit(ctx, top_up_id, account, amount, Way.COUNTER, f"{at_counter} · {by}"[:80], now)
    )


# --- a person's side


def redeem(ctx: Context, account_id: AccountId, code: str, *, step: Step = no_step) -> BankTopUp:
    """Put a voucher's money into a wallet, once. Who had it may send the code again, and gets the same answer.

    Errors: VoucherRefused, whatever is wrong with the code; store.TooOften, before it is looked at;
    approval.BalanceCapReached, and the voucher can be used when there is room for it.
    """
    refuse_too_often(ctx, f"wallets.voucher/{account_id}", GUESSING)
    plain = read_code(code[:100], VOUCHER_LETTERS)
    if plain is None:
        raise VoucherRefused("This code is mistyped: its check letter does not fit.")
    now = ctx.clock.now()
    with ctx.tx() as tx:
        account = identity.get_account(tx, account_id)
        found = store.find_by_hash(tx, hash_secret(plain))
        mine = found is not None and found.account_id == account_id
        if found is None or (not mine and (found.state != "active" or found.expires_at <= now)):
            raise VoucherRefused
        if found.issuer_id != account.issuer_id:
            raise VoucherRefused("Another issuer sold this voucher: it tops up that issuer's wallets only.")
        if not mine and not store.redeem(tx, found.voucher_id, account_id, now):
            raise VoucherRefused
        if not mine:
            _admit(tx, found, account_id, ctx.directory.partition_of(account_id), now)
        (found,) = store.find_vouchers(tx, [found.voucher_id])
    step("redeeming")
    _finish_redemption(ctx, found, step)
    with ctx.tx() as tx:
        partition = ctx.directory.partition_of(account_id)
        return top_ups.get(tx, account_id, found.voucher_id, partition=partition)


# --- by itself


def finish(ctx: Context, limit: int = 500) -> int:
    """End what a crash left, and what has run out; gives how many vouchers moved."""
    now = ctx.clock.now()
    with ctx.tx() as tx:
        over = store.run_out(tx, now, limit)
        unsold = [one.voucher_id for one in over if one.state == "made"]
        kept = [one.voucher_id for one in over if one.state == "active" and one.expiry == "keep"]
        earned = [one.voucher_id for one in over if one.state == "active" and one.expiry == "earn"]
        moved = len(store.move(tx, unsold, "made", "expired", now))
        moved += len(store.move(tx, kept, "active", "expired", now))
        moved += len(store.move(tx, earned, "active", "expiring", now))
        left = store.list_open(tx, limit)
    _finish_activations(ctx, [one for one in left if one.state == "activating"], no_step)
    for one in left:
        if one.state == "redeeming":
            _finish_redemption(ctx, one, no_step)
        elif one.state == "expiring":
            _finish_expiry(ctx, one)
    return moved + len(left)


# --- inside


def _admit(tx: Tx, voucher: Voucher, account_id: AccountId, partition: int, at: datetime) -> None:
    """Give a voucher's money its place under the cap of the wallet. Errors: approval.BalanceCapReached."""
    incoming = approval.Incoming(
        incoming_id=voucher.voucher_id,
        account_id=account_id,
        wallet=payments.wallet_id(account_id, voucher.currency),
        amount=Money(voucher.value_minor, voucher.currency),
        partition=partition,
    )
    for refused in approval.admit(tx, [incoming], at):
        if refused is not None:
            raise refused


def _finish_activations(ctx: Context, vouchers: Sequence[Voucher], step: Step) -> None:
    if not vouchers:
        return
    _open(ctx, vouchers)
    for start in range(0, len(vouchers), ledger.BATCH_MAX):
        batch = vouchers[start : start + ledger.BATCH_MAX]
        results = ledger.post(ctx, [_activation(one) for one in batch])
        assert all(one.ok for one in results), "nothing limits what a sale brings"
        step("sold")
        with ctx.tx() as tx:
            store.move(tx, [one.voucher_id for one in batch], "activating", "active", ctx.clock.now())
    step("activated")


def _finish_redemption(ctx: Context, voucher: Voucher, step: Step) -> None:
    """Take the money off what is prepaid, where the wallet is, and let it be a top-up like any other."""
    assert voucher.account_id is not None and voucher.activated_at is not None, (
        "it was sold, and is somebody's"
    )
    partition = ctx.directory.partition_of(voucher.account_id)
    with ctx.tx() as tx:
        account = identity.get_account(tx, AccountId(voucher.account_id))
    redeemed = ledger.Transfer(
        transfer_id=TransferId(fact_id(voucher.activated_at, voucher.voucher_id, "redeem")),
        debit=prepaid_account(voucher.issuer_id, voucher.currency, partition),
        credit=payments.cash_account(voucher.issuer_id, voucher.currency, partition),
        amount=voucher.value_minor,
        currency=voucher.currency,
        code=TransferCode.VOUCHER,
        event_at=voucher.activated_at,
        partition=partition,
        reference=voucher.voucher_id,
    )
    _open(ctx, [voucher], partition)
    code = post_chain(ctx, (redeemed,))
    assert code is ledger.ResultCode.CREATED, code
    step("prepaid")
    amount = Money(voucher.value_minor, voucher.currency)
    words = f"Voucher {voucher.serial}"
    top_ups.credit(
        ctx,
        _credit(ctx, voucher.voucher_id, account, amount, Way.VOUCHER, words, voucher.activated_at),
        step=step,
    )
    with ctx.tx() as tx:
        store.move(tx, [voucher.voucher_id], "redeeming", "redeemed", ctx.clock.now())
    step("redeemed")


def _finish_expiry(ctx: Context, voucher: Voucher) -> None:
    assert voucher.activated_at is not None, "only what was sold is earned"
    earned = ledger.Transfer(
        transfer_id=TransferId(fact_id(voucher.activated_at, voucher.voucher_id, "expire")),
        debit=prepaid_account(voucher.issuer_id, voucher.currency, voucher.home),
        credit=clearing.earned_account(voucher.issuer_id, voucher.currency, voucher.home),
        amount=voucher.value_minor,
        currency=voucher.currency,
        code=TransferCode.VOUCHER,
        event_at=voucher.activated_at,
        partition=voucher.home,
        reference=voucher.voucher_id,
    )
    code = post_chain(ctx, (earned,), open_accounts=lambda: _open_earned(ctx, voucher))
    assert code is ledger.ResultCode.CREATED, code
    with ctx.tx() as tx:
        store.move(tx, [voucher.voucher_id], "expiring", "expired", ctx.clock.now())


def _activation(voucher: Voucher) -> ledger.Transfer:
    assert voucher.activated_at is not None, "it was sold"
    return ledger.Transfer(
        transfer_id=TransferId(fact_id(voucher.activated_at, voucher.voucher_id, "activate")),
        debit=payments.cash_account(voucher.issuer_id, voucher.currency, voucher.home),
        credit=prepaid_account(voucher.issuer_id, voucher.currency, voucher.home),
        amount=voucher.value_minor,
        currency=voucher.currency,
        code=TransferCode.VOUCHER,
        event_at=voucher.activated_at,
        partition=voucher.home,
        reference=voucher.voucher_id,
    )


def _open(ctx: Context, vouchers: Sequence[Voucher], *partitions: int) -> None:
    wanted = {(one.issuer_id, one.currency, home) for one in vouchers for home in (one.home, *partitions)}
    payments.open_member_accounts(ctx, {one[0] for one in wanted}, {one[1] for one in wanted})
    ledger.open_accounts(
        ctx,
        [
            ledger.Account(
                account_id=prepaid_account(issuer, currency, partition),
                currency=currency,
                code=AccountCode.PREPAID,
                holder=issuer,
                partition=partition,
                path=ledger.account_path(AccountCode.PREPAID, issuer),
            )
            for issuer, currency, partition in sorted(wanted)
        ],
    )


def _open_earned(ctx: Context, voucher: Voucher) -> None:
    ledger.open_accounts(
        ctx,
        [
            ledger.Account(
                account_id=clearing.earned_account(voucher.issuer_id, voucher.currency, voucher.home),
                currency=voucher.currency,
                code=AccountCode.EARNED,
                holder=voucher.issuer_id,
                partition=voucher.home,
                path=ledger.account_path(AccountCode.EARNED, voucher.issuer_id),
            )
        ],
    )


def _credit(
    ctx: Context,
    top_up_id: UUID,
    account: identity.Account,
    amount: Money,
    way: Way,
    words: str,
    at: datetime,
) -> BankTopUp:
    return BankTopUp(
        partition=ctx.directory.partition_of(account.account_id),
        top_up_id=top_up_id,
        account_id=account.account_id,
        issuer_id=account.issuer_id,
        amount_minor=amount.minor,
        currency=amount.currency,
        way=way,
        bank_account_id=None,
        rail_id="",
        token="",
        words=words,
        is_automatic=False,
        state=TopUpState.SETTLING,
        reason="",
        tries=0,
        created_at=at,
        changed_at=at,
        next_at=at,
    )


def _new_code() -> str:
    body = "".join(secrets.choice(CODE_LETTERS) for _ in range(VOUCHER_LETTERS))
    return body + check_letter(body)


def _check(new: NewBatch, now: datetime) -> None:
    if new.value.currency not in CURRENCY_EXPONENTS:
        raise UnknownCurrency(f"{new.value.currency!r} is not an active ISO 4217 currency code.")
    if not 0 < new.value.minor <= AMOUNT_MAX:
        raise _unfit("value", f"is {new.value}", "Give an amount above zero")
    if not 1 <= new.count <= VOUCHERS_MAX:
        raise _unfit("count", f"is {new.count:,}", f"Make 1 to {VOUCHERS_MAX:,} at once")
    if not now < new.expires_at <= now + EXPIRES_MAX:
        raise _unfit("expires_at", f"is {new.expires_at:%Y-%m-%d}", "Name a day within ten years")
    if new.expiry not in ("keep", "earn"):
        raise _unfit("expiry", f"is {new.expiry[:20]!r}", "Choose keep or earn")
    read_note(new.about, where="about")


def _unfit(where: str, what: str, remedy: str) -> InvalidInput:
    return InvalidInput(f"{where} {what}.", problems=(Problem(where, what, remedy),))
