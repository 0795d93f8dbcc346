"""Who can be paid: opened by its acquirer, paused, closed."""

from collections.abc import Sequence

from hansa import ledger, trust
from hansa.kernel import CURRENCY_EXPONENTS, InvalidInput, Problem, fault_of_text
from hansa.payments import life_store
from hansa.payments.payment import (
    Payee,
    PayeeDiffers,
    PayeeStatus,
    UnknownPayeeId,
    merchant_account,
    receivable_account,
)
from hansa.store import Context, Tx

NAME_MAX = 100


def open_payees(ctx: Context, payees: Sequence[Payee]) -> None:
    """Let these be paid: opens what their acquirers owe them and await for them, in every partition. Again is harmless.

    Payers' issuers owe the acquirers on positions, which clearing opens. Errors: InvalidInput, PayeeDiffers,
    trust.UnknownMember; none is opened then.
    """
    for one in payees:
        _check(one)
    with ctx.tx() as tx:
        for member in sorted({one.member_id for one in payees}):
            trust.get_member(tx, trust.MemberId(member))
        life_store.add_payees(tx, payees, ctx.clock.now())
        kept = life_store.find_payees(tx, [one.payee_id for one in payees])
        for one in payees:
            if _body(kept[one.payee_id]) != _body(one):
                raise PayeeDiffers(f"Payee {one.payee_id} is open already and says something else.")
        ledger.open_accounts(tx, _accounts(ctx, payees), at=ctx.clock.now())


def get_payee(tx: Tx, payee_id: str) -> Payee:
    """A payee, open or not. Errors: UnknownPayeeId."""
    found = life_store.find_payees(tx, [payee_id]).get(payee_id)
    if found is None:
        raise UnknownPayeeId(f"There is no payee {payee_id[:64]!r}.")
    return found


def find_payees(tx: Tx, payee_ids: Sequence[str]) -> dict[str, Payee]:
    """Those of these payees that there are, by id."""
    return life_store.find_payees(tx, payee_ids)


def list_payees(tx: Tx, member_id: str | None = None, *, after: str = "", limit: int = 100) -> list[Payee]:
    """Payees of an acquirer, or of all, by id; after one."""
    return life_store.list_payees(tx, member_id, after, limit)


def set_payee_status(tx: Tx, payee_id: str, status: PayeeStatus) -> Payee:
    """Pause a payee, open it again, or close it for good; what it was paid stays. Errors: UnknownPayeeId."""
    get_payee(tx, payee_id)
    life_store.set_payee_status(tx, payee_id, status)
    return get_payee(tx, payee_id)


def _body(payee: Payee) -> tuple[str, ...]:
    return payee.member_id, payee.name, payee.currency, payee.category


def _check(payee: Payee) -> None:
    problem = None
    fault = fault_of_text(payee.name, is_name=True)
    if not payee.name.strip() or len(payee.name) > NAME_MAX or fault:
        problem = Problem("name", fault or "it is empty or too long", f"Send 1 to {NAME_MAX} characters")
    elif payee.currency not in CURRENCY_EXPONENTS:
        problem = Problem("currency", f"{payee.currency!r} is no active one", "Use a code of ISO 4217")
    elif payee.category and not (
        len(payee.category) == 4 and payee.category.isascii() and payee.category.isdigit()
    ):
        problem = Problem(
            "category", f"it is {payee.category[:8]!r}", "Send four digits (ISO 18245), or nothing"
        )
    elif not _is_id(payee.payee_id):
        problem = Problem(
            "payee_id",
            f"it is {payee.payee_id[:70]!r}",
            "Use 1 to 64 small letters, digits and inner hyphens",
        )
    if problem is not None:
        raise InvalidInput("This payee cannot be opened.", problems=(problem,))


def _is_id(text: str) -> bool:
    inner = text.replace("-", "")
    return (
        0 < len(text) <= 64
        and inner.isascii()
        and inner.isalnum()
        and inner == inner.lower()
        and text[0] != "-"
        and text[-1] != "-"
    )


def _accounts(ctx: Context, payees: Sequence[Payee]) -> list[ledger.Account]:
    partitions = sorted(set(ctx.directory.partitions))
    acquirers = sorted({(one.member_id, one.currency) for one in payees})
    merchant, receivable = ledger.AccountCode.MERCHANT, ledger.AccountCode.RECEIVABLE
    return [
        ledger.Account(
            merchant_account(one.payee_id, one.currency, partition),
            one.currency,
            merchant,
            one.payee_id,
            partition=partition,
            path=ledger.account_path(merchant, one.member_id, one.payee_id),
        )
        for one in payees
        for partition in partitions
    ] + [
        ledger.Account(
            receivable_account(member, currency, partition),
            currency,
            receivable,
            member,
            partition=partition,
            path=ledger.account_path(receivable, member),
        )
        for member, currency in acquirers
        for partition in partitions
    ]
