"""Pages of money in and out: top up by bank, reference, voucher or by itself; withdraw; one's own bank accounts."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, ClassVar
from uuid import UUID

import msgspec
from litestar import Response, get, post
from litestar.params import FromPath, QueryParameter
from litestar.response import Redirect

from hansa import approval, identity, payments, trust, wallets
from hansa.apps.web.amounts import read_minor
from hansa.apps.web.me_view import means
from hansa.apps.web.money_means import outside_of
from hansa.apps.web.money_pages import Asked, Form, Line, Seen, balances_of, seen, told
from hansa.apps.web.site import Here
from hansa.kernel import HansaError, InvalidInput, Money, Problem, new_id
from hansa.store import TooOften
from hansa.wallets import approving, automatic, bank_accounts, top_ups, vouchers, withdrawals

FORM_LASTS = timedelta(hours=12)
LISTED = 20

TOP_UPS: dict[str, tuple[int, ...]] = {
    "CNY": (20_00, 50_00, 100_00, 200_00),
    "HKD": (50_00, 100_00, 200_00, 500_00),
    "GBP": (5_00, 10_00, 20_00, 50_00),
    "JPY": (500, 1_000, 3_000, 5_000),
    "CAD": (5_00, 10_00, 20_00, 50_00),
}
"""What the demo bank pays in, by currency, in minor units."""
TOP_UPS_ELSEWHERE = (5_00, 10_00, 20_00, 50_00)

Id = Annotated[str, msgspec.Meta(max_length=36)]
Unit = Annotated[str, msgspec.Meta(max_length=3)]


REFUSALS: dict[type[HansaError], str] = {
    wallets.NameNotProved: "Prove your name first: money goes to and comes from bank accounts in your own name only.",
    wallets.NotYourBankAccount: "Your bank knows this account under another name than the one you proved.",
    wallets.BankAccountInUse: "A withdrawal to this bank account is under way. Take the account out once it has ended.",
}
"""Why it was not taken, in words that a person reads."""

BY_PROOF = (wallets.NameNotProved, approval.BalanceCapReached, approval.YearCapReached)
"""What a proof of the name mends."""


class WrongCurrency(HansaError):
    """This wallet holds another currency."""

    code: ClassVar[str] = "wallet.wrong_currency"
    status: ClassVar[int] = 422


class TopUpForm(msgspec.Struct, frozen=True):
    """A payment into the wallet. amount: minor units. asked_at: when the form was opened."""

    top_up_id: UUID
    amount: Annotated[int, msgspec.Meta(ge=1, le=1_000_000_00)]
    currency: Annotated[str, msgspec.Meta(pattern="^[A-Z]{3}$")]
    asked_at: datetime


class BankTopUpForm(msgspec.Struct, frozen=True):
    """A top-up from a bank account."""

    top_up_id: Id = ""
    bank_account_id: Id = ""
    amount: Line = ""
    way: Annotated[str, msgspec.Meta(pattern="^(debit|instant)$")] = "debit"


class VoucherForm(msgspec.Struct, frozen=True):
    """A voucher's code."""

    code: Line = ""


class AutomaticForm(msgspec.Struct, frozen=True):
    """Top up by itself."""

    bank_account_id: Id = ""
    below: Line = ""
    add: Line = ""
    day_max: Line = ""
    month_max: Line = ""
    off: Annotated[str, msgspec.Meta(max_length=5)] = ""
    currency: Unit = ""


class BankForm(msgspec.Struct, frozen=True):
    """A bank account in one's own name. back: the page to go on with."""

    number: Line = ""
    may_pull: Annotated[str, msgspec.Meta(max_length=5)] = ""
    back: Annotated[str, msgspec.Meta(pattern="^(withdraw|top-up)?$")] = ""


class MandateForm(msgspec.Struct, frozen=True):
    """may_pull: whether the bank account may be collected from."""

    may_pull: Annotated[str, msgspec.Meta(max_length=5)] = ""


class WithdrawForm(msgspec.Struct, frozen=True):
    """Money for one's own bank account."""

    withdrawal_id: Id = ""
    bank_account_id: Id = ""
    amount: Line = ""


# --- top up


@get("/wallet/top-up", sync_to_thread=True, include_in_schema=False)
def show_top_up(request: Asked, site: Here) -> Response[str]:
    return _top_up_page(request, seen(request, site))


@post("/wallet/top-up", sync_to_thread=True, include_in_schema=False)
def top_up(request: Asked, site: Here, data: Annotated[TopUpForm, Form]) -> Response[Any]:
    """From the demo bank, which always says yes."""
    who = seen(request, site)
    if not site.demo:
        raise trust.NotAllowed("The demo bank pays in a demo league only.")
    if data.currency != who.currency:
        raise WrongCurrency(f"This wallet holds {who.currency}; the form says {data.currency}.")
    if data.amount not in TOP_UPS.get(who.currency, TOP_UPS_ELSEWHERE):
        raise _unfit("amount", "is not one the demo bank pays", "Choose one of the amounts on the form")
    asked_at = data.asked_at.astimezone(UTC)
    if abs(site.ctx.clock.now() - asked_at) > FORM_LASTS:
        raise _unfit("asked_at", "the form is too old", "Open the form again")
    one = payments.TopUp(
        top_up_id=data.top_up_id,
        account_id=who.me,
        issuer_id=trust.MemberId(who.account.issuer_id),
        amount=Money(data.amount, who.currency),
        at=asked_at,
    )
    try:
        payments.top_up(site.ctx, [one], capped=True)
    except approval.BalanceCapReached as refused:
        return _refused(request, who, refused, "demo")
    return Redirect("/wallet/statement", status_code=303)


@post("/wallet/top-up/bank", sync_to_thread=True, include_in_schema=False)
def top_up_by_bank(request: Asked, site: Here, data: Annotated[BankTopUpForm, Form]) -> Response[Any]:
    """From the person's own bank account. The form carries the id, so sending it twice collects once."""
    who = seen(request, site)
    try:
        begun = top_ups.begin(
            site.ctx,
            outside_of(site).rail(),
            wallets.NewTopUp(
                top_up_id=_uuid(data.top_up_id),
                account_id=who.me,
                amount=_amount(data.amount, who.currency),
                bank_account_id=_uuid(data.bank_account_id),
                way=wallets.Way(data.way),
            ),
        )
    except HansaError as refused:
        return _refused(request, who, refused, "bank")
    return Redirect(f"/wallet/top-up/{begun.top_up_id}", status_code=303)


@get("/wallet/top-up/{top_up_id:uuid}", sync_to_thread=True, include_in_schema=False)
def show_one_top_up(request: Asked, site: Here, top_up_id: FromPath[UUID]) -> Response[str]:
    """What became of a top-up."""
    who = seen(request, site)
    with site.ctx.tx() as tx:
        found = top_ups.get(tx, who.me, top_up_id, partition=who.partition)
    return who.show(
        request,
        "wallet/top_up_done.html",
        found=found,
        state=_top_up_state(who, found),
        why=_bank_words(found.reason, who),
        receipt=payments.top_up_transfer(found.top_up_id, found.created_at)
        if found.state is wallets.TopUpState.SETTLED
        else None,
    )


@get("/wallet/vouchers", sync_to_thread=True, include_in_schema=False)
def show_voucher(request: Asked, site: Here) -> Response[str]:
    """The field for a voucher's code."""
    return _voucher_page(request, seen(request, site), VoucherForm())


@post("/wallet/vouchers", sync_to_thread=True, include_in_schema=False)
def redeem_voucher(request: Asked, site: Here, data: Annotated[VoucherForm, Form]) -> Response[Any]:
    """Put a voucher's money into the wallet, once."""
    who = seen(request, site)
    try:
        done = vouchers.redeem(site.ctx, who.me, data.code)
    except (wallets.VoucherRefused, approval.BalanceCapReached, TooOften) as refused:
        return _voucher_page(request, who, data, refused=_told(refused, who), status=refused.status)
    return Redirect(f"/wallet/top-up/{done.top_up_id}", status_code=303)


def _voucher_page(
    request: Asked, who: Seen, form: VoucherForm, *, refused: str = "", status: int = 200
) -> Response[str]:
    return who.show(request, "wallet/voucher.html", form=form, refused=refused, status_code=status)


@post("/wallet/top-up/automatic", sync_to_thread=True, include_in_schema=False)
def set_automatic(request: Asked, site: Here, data: Annotated[AutomaticForm, Form]) -> Response[Any]:
    """Top up by itself, or no more."""
    who = seen(request, site)
    try:
        if data.off:
            automatic.turn_off(site.ctx, who.me, data.currency or who.currency)
        else:
            automatic.turn_on(
                site.ctx,
                who.me,
                below=_amount(data.below, who.currency, "below"),
                add=_amount(data.add, who.currency, "add"),
                day_max=_amount(data.day_max, who.currency, "day_max"),
                month_max=_amount(data.month_max, who.currency, "month_max"),
                bank_account_id=_uuid(data.bank_account_id),
            )
    except HansaError as refused:
        return _refused(request, who, refused, "automatic")
    return Redirect("/wallet/top-up#automatic", status_code=303)


def _refused(request: Asked, who: Seen, refused: HansaError, part: str) -> Response[str]:
    if refused.status >= 500:
        raise refused
    return _top_up_page(request, who, refused=refused, part=part)


def _top_up_page(
    request: Asked, who: Seen, *, refused: HansaError | None = None, part: str = ""
) -> Response[str]:
    site = who.site
    has_rail = bool(outside_of(site).rails)
    reference = bank_accounts.reference_of(site.ctx, who.me, who.currency) if has_rail else ""
    with site.ctx.tx() as tx:
        banks = [one for one in bank_accounts.list_of(tx, who.me) if one.currency == who.currency]
        rules = automatic.list_of(tx, who.me, partition=who.partition)
        latest = top_ups.list_of(tx, who.me, partition=who.partition, limit=LISTED)
        level = identity.proof_level(tx, who.me)
    return who.show(
        request,
        "wallet/top_up.html",
        currency=who.currency,
        amounts=[Money(minor, who.currency) for minor in TOP_UPS.get(who.currency, TOP_UPS_ELSEWHERE)],
        top_up_id=new_id(),
        bank_top_up_id=new_id(),
        asked_at=site.ctx.clock.now(),
        demo=site.demo,
        has_rail=has_rail,
        reference=" ".join(reference[start : start + 4] for start in range(0, len(reference), 4)),
        banks=banks,
        rule=next((one for one in rules if one.currency == who.currency), None),
        why={one.currency: _bank_words(one.why, who) for one in rules},
        latest=latest,
        states={one.top_up_id: _top_up_state(who, one) for one in latest},
        refused=_told(refused, who),
        by_proof=isinstance(refused, BY_PROOF) and level < identity.ProofLevel.DOCUMENT,
        named=level >= identity.ProofLevel.NAME,
        part=part,
        status_code=422 if refused else 200,
    )


# --- bank accounts


@post("/wallet/banks", sync_to_thread=True, include_in_schema=False)
def add_bank(request: Asked, site: Here, data: Annotated[BankForm, Form]) -> Response[Any]:
    """Add a bank account in one's own name."""
    who = seen(request, site)
    back = data.back or "withdraw"
    try:
        bank_accounts.add(
            site.ctx,
            outside_of(site).rail(),
            means(site).sealer,
            who.me,
            data.number,
            who.currency,
            may_pull=bool(data.may_pull),
        )
    except HansaError as refused:
        if refused.status >= 500 and not isinstance(refused, wallets.RailAway):
            raise
        if back == "top-up":
            return _top_up_page(request, who, refused=refused, part="bank")
        return _withdraw_page(request, who, WithdrawForm(str(new_id())), refused=refused)
    return Redirect(f"/wallet/{back}", status_code=303)


@post("/wallet/banks/{bank_account_id:uuid}/end", sync_to_thread=True, include_in_schema=False)
def end_bank(request: Asked, site: Here, bank_account_id: FromPath[UUID]) -> Response[Any]:
    """Take a bank account out."""
    who = seen(request, site)
    try:
        with site.ctx.tx() as tx:
            now = site.ctx.clock.now()
            bank_accounts.end(tx, who.me, bank_account_id, now, partition=who.partition)
    except wallets.BankAccountInUse as refused:
        return _withdraw_page(request, who, WithdrawForm(str(new_id())), refused=refused)
    return Redirect("/wallet/withdraw", status_code=303)


@post("/wallet/banks/{bank_account_id:uuid}/mandate", sync_to_thread=True, include_in_schema=False)
def set_bank_mandate(
    request: Asked, site: Here, bank_account_id: FromPath[UUID], data: Annotated[MandateForm, Form]
) -> Response[Any]:
    """Let a bank account be collected from, or no more; what tops up from it by itself then stops."""
    who = seen(request, site)
    try:
        with site.ctx.tx() as tx:
            bank_accounts.set_mandate(tx, who.me, bank_account_id, may_pull=bool(data.may_pull))
    except HansaError as refused:
        if refused.status >= 500:
            raise
        return _withdraw_page(request, who, WithdrawForm(str(new_id())), refused=refused)
    return Redirect("/wallet/withdraw", status_code=303)


# --- withdraw


@get("/wallet/withdraw", sync_to_thread=True, include_in_schema=False)
def show_withdraw(
    request: Asked, site: Here, bank: Annotated[str, QueryParameter(max_length=36)] = ""
) -> Response[str]:
    """The form, the person's bank accounts, and the latest withdrawals."""
    return _withdraw_page(request, seen(request, site), WithdrawForm(str(new_id()), bank))


@post("/wallet/withdraw/check", sync_to_thread=True, include_in_schema=False, status_code=200)
def check_withdrawal(request: Asked, site: Here, data: Annotated[WithdrawForm, Form]) -> Response[str]:
    """What would go where, before anything does."""
    who = seen(request, site)
    try:
        amount = _amount(data.amount, who.currency)
        wallets.check_amount(amount)
        with site.ctx.tx() as tx:
            bank = bank_accounts.get(tx, who.me, _uuid(data.bank_account_id))
            free = balances_of(tx, who)[0][0]
        if bank.usable_at > site.ctx.clock.now():
            raise wallets.BankAccountCooling
        if free.currency != amount.currency or free < amount:
            raise wallets.InsufficientFunds
    except HansaError as refused:
        return _withdraw_page(request, who, data, refused=refused)
    return who.show(
        request,
        "wallet/withdraw_check.html",
        form=data,
        amount=amount,
        bank=bank,
        left=free - amount,
        withdrawal_id=data.withdrawal_id or new_id(),
    )


@post("/wallet/withdraw", sync_to_thread=True, include_in_schema=False)
def withdraw(request: Asked, site: Here, data: Annotated[WithdrawForm, Form]) -> Response[Any]:
    """Withdraw what was checked. The form carries the id, so sending it twice pays once."""
    who = seen(request, site)
    try:
        begun = withdrawals.begin(
            site.ctx,
            outside_of(site).rail(),
            wallets.NewWithdrawal(
                withdrawal_id=_uuid(data.withdrawal_id),
                account_id=who.me,
                amount=_amount(data.amount, who.currency),
                bank_account_id=_uuid(data.bank_account_id),
            ),
            session_at=who.session.authenticated_at,
        )
    except HansaError as refused:
        if refused.status >= 500:
            raise
        return _withdraw_page(request, who, data, refused=refused)
    if begun.state is wallets.WithdrawalState.REQUIRES_APPROVAL:
        return Redirect(approving.page_of("withdrawal", begun.withdrawal_id), status_code=303)
    return Redirect(f"/wallet/withdraw/{begun.withdrawal_id}", status_code=303)


@get("/wallet/withdraw/{withdrawal_id:uuid}", sync_to_thread=True, include_in_schema=False)
def show_withdrawal(request: Asked, site: Here, withdrawal_id: FromPath[UUID]) -> Response[str]:
    """What became of a withdrawal."""
    who = seen(request, site)
    with site.ctx.tx() as tx:
        found = withdrawals.get(tx, who.me, withdrawal_id, partition=who.partition)
    return who.show(
        request,
        "wallet/withdrawal.html",
        found=found,
        state=_withdrawal_words(who)[found.state],
        why=_bank_words(found.reason, who),
        approve_at=approving.page_of("withdrawal", withdrawal_id),
    )


@post("/wallet/withdraw/{withdrawal_id:uuid}/cancel", sync_to_thread=True, include_in_schema=False)
def cancel_withdrawal(request: Asked, site: Here, withdrawal_id: FromPath[UUID]) -> Redirect:
    """Take it back while it waits for its approval."""
    who = seen(request, site)
    try:
        withdrawals.cancel(site.ctx, who.me, withdrawal_id)
    except wallets.WithdrawalMoved:
        return Redirect(f"/wallet/withdraw/{withdrawal_id}", status_code=303)
    return Redirect(f"/wallet/withdraw/{withdrawal_id}", status_code=303)


def _withdraw_page(
    request: Asked, who: Seen, form: WithdrawForm, *, refused: HansaError | None = None
) -> Response[str]:
    now = who.site.ctx.clock.now()
    with who.site.ctx.tx() as tx:
        banks = [one for one in bank_accounts.list_of(tx, who.me) if one.currency == who.currency]
        balances = balances_of(tx, who)
        latest = withdrawals.list_of(tx, who.me, partition=who.partition, limit=LISTED)
        level = identity.proof_level(tx, who.me)
    return who.show(
        request,
        "wallet/withdraw.html",
        form=form,
        banks=banks,
        usable=[one for one in banks if one.usable_at <= now],
        has_rail=bool(outside_of(who.site).rails),
        free=balances[0][0],
        latest=latest,
        state_words=_withdrawal_words(who),
        refused=_told(refused, who),
        named=level >= identity.ProofLevel.NAME,
        status_code=422 if refused else 200,
    )


# --- words


def _top_up_state(who: Seen, one: wallets.BankTopUp) -> str:
    """How far a top-up is, in words."""
    say, state = who.say, wallets.TopUpState
    if one.state is state.FAILED and one.reason in top_ups.GOES_BACK:
        return say("it goes back to the bank that it came from")
    words = {
        state.PROCESSING: say("on its way to your bank"),
        state.SENT: say("your bank is booking it"),
        state.UNKNOWN: say("your bank gave no answer yet; it is asked again"),
        state.SETTLING: say("on its way to your wallet"),
        state.ASIDE: say("set aside: your wallet may not hold so much yet"),
        state.SETTLED: say("in your wallet"),
        state.FAILED: say("your bank said no"),
        state.RETURNING: say("your bank took it back"),
        state.RETURNED: say("your bank took it back"),
    }
    return words[one.state]


def _withdrawal_words(who: Seen) -> dict[wallets.WithdrawalState, str]:
    say, state = who.say, wallets.WithdrawalState
    return {
        state.REQUIRES_APPROVAL: say("waits for your approval"),
        state.PROCESSING: say("being set aside"),
        state.HELD: say("set aside, on its way to your bank"),
        state.SENT: say("your bank is booking it"),
        state.UNKNOWN: say("your bank gave no answer yet; it is asked again"),
        state.SETTLING: say("at your bank"),
        state.SETTLED: say("at your bank"),
        state.RELEASING: say("not paid; the money is free again"),
        state.FAILED: say("not paid; the money is free again"),
        state.RETURNING: say("came back to your wallet"),
        state.RETURNED: say("came back to your wallet"),
        state.COLLECTING: say("at your bank"),
        state.CANCELED: say("taken back"),
        state.EXPIRED: say("ran out"),
    }


def _bank_words(reason: str, who: Seen) -> str:
    """What a bank's code means, for the person."""
    say = who.say
    words = {
        "AM04": say("There was too little money in your bank account."),
        "AC01": say("Your bank knows no such account."),
        "AC04": say("Your bank account is closed."),
        "AC06": say("Your bank account is blocked."),
        "MD01": say("Your bank knows no mandate for it."),
        "MD06": say("You asked your bank to take it back."),
        "MS03": say("Your bank gave no reason."),
        "insufficient_funds": say("Your wallet held too little."),
        "not_approved": say("It was not approved."),
        "not_approved_in_time": say("It was not approved in time."),
        "paid_late": say("Your bank had said no, and paid it nevertheless."),
        "bank_account_ended": say("You took its bank account out."),
        "balance_cap": say("Your wallet may hold more once your name, or your document, is proved."),
        "approval.balance_cap_reached": say(
            "Your wallet may hold more once your name, or your document, is proved."
        ),
        "wallets.name_not_proved": say("Your name is not proved, or no longer."),
        "wallets.not_your_bank_account": say("The bank account was added under another name. Add it again."),
    }
    return words.get(reason, "")


def _told(refused: HansaError | None, who: Seen) -> str:
    """A refusal in words; nothing where there is none."""
    if refused is None:
        return ""
    words = REFUSALS.get(type(refused))
    return told(refused, who.say) if words is None else who.say(words)


def _amount(text: str, currency: str, where: str = "amount") -> Money:
    return Money(read_minor(text, currency, where=where), currency)


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError as error:
        raise _unfit(
            "form", "nothing was chosen, or the form is damaged", "Choose one, or open it again"
        ) from error


def _unfit(where: str, what: str, remedy: str) -> InvalidInput:
    return InvalidInput(f"{where} {what}.", problems=(Problem(where, what, remedy),))


ROUTES = [
    show_top_up,
    top_up,
    top_up_by_bank,
    show_one_top_up,
    show_voucher,
    redeem_voucher,
    set_automatic,
    add_bank,
    end_bank,
    set_bank_mandate,
    show_withdraw,
    check_withdrawal,
    withdraw,
    show_withdrawal,
    cancel_withdrawal,
]
