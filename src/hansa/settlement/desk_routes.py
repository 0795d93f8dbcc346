"""HTTP for the desk: profiles of banks, files released by two persons, where payments are, messages from banks."""

from datetime import date, datetime
from typing import Annotated

import msgspec
from litestar import get, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, PathParameter, QueryParameter, RawBody

from hansa import trust
from hansa.clearing import UnknownDay, UnknownWindow
from hansa.kernel import InvalidInput, Money, Problem, paged
from hansa.settlement import actions, desk, desk_store
from hansa.settlement.iso20022 import uetr_of
from hansa.settlement.model import STATEMENT_BYTES_MAX, DayNotClosed, FileRecord, UnknownFile
from hansa.settlement.planning import NotPayable
from hansa.settlement.profile import PROFILE_BYTES_MAX, BadProfile
from hansa.settlement.signing import BadSignature
from hansa.store import Context, Tx

MessageId = Annotated[str, PathParameter(max_length=35)]
Why = Annotated[str, msgspec.Meta(max_length=500, pattern=r"^[^\x00]*\Z")]


class BankView(msgspec.Struct, frozen=True):
    """A settlement bank as its profile has it. profile: the whole of it, TOML."""

    bank_id: str
    version: int
    currencies: list[str]
    form: str
    basis: str
    set_by: str
    set_at: datetime
    profile: str


class Banks(msgspec.Struct, frozen=True):
    """The league's settlement banks."""

    banks: list[BankView]


class FactView(msgspec.Struct, frozen=True):
    """What was done or said, by whom, when and why. source: the message that says so, empty for what we did."""

    what: str
    by: str
    at: datetime
    why: str
    source: str


class MemberTotalView(msgspec.Struct, frozen=True):
    """What a file moves for one member."""

    member_id: str
    pays: Money
    receives: Money


class DeskFile(msgspec.Struct, frozen=True):
    """A file with what whoever releases it looks at. lacking: how many more persons must release it."""

    message_id: str
    day: date
    bank_id: str
    form: str
    execution_day: date | None
    count: int
    control_sum: Money
    sha256: str
    members: list[MemberTotalView]
    facts: list[FactView]
    lacking: int


class DeskFiles(msgspec.Struct, frozen=True):
    """The files that were prepared."""

    files: list[DeskFile]


class SumRead(msgspec.Struct, frozen=True):
    """A sum as somebody read it, in minor units."""

    minor: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
    currency: Annotated[str, msgspec.Meta(pattern=r"^[A-Z]{3}\Z")]


class Release(msgspec.Struct, frozen=True):
    """The totals as whoever releases the file read them."""

    count: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]
    control_sum: SumRead
    why: Why = ""


class Anew(msgspec.Struct, frozen=True):
    """Payments to instruct anew, and why."""

    end_to_end_ids: Annotated[
        list[Annotated[str, msgspec.Meta(min_length=1, max_length=35, pattern=r"^[^\x00]*\Z")]],
        msgspec.Meta(min_length=1, max_length=1000),
    ]
    why: Annotated[str, msgspec.Meta(min_length=1, max_length=500, pattern=r"^[^\x00]*\Z")]


class PaymentView(msgspec.Struct, frozen=True):
    """A payment and where it is. wrong: what does not go together about it. anew: whether it may be paid anew."""

    end_to_end_id: str
    uetr: str
    day: date
    member_id: str
    counterparty: str
    direction: str
    amount: Money
    message_id: str
    state: str
    wrong: str
    anew: bool
    replaces: str | None
    replaced_by: str | None
    booked_day: date | None
    returned_day: date | None


class PaymentPage(msgspec.Struct, frozen=True):
    """Some payments in order of their ids; ``next`` asks for those after them, null at the end."""

    payments: list[PaymentView]
    next: str | None


class PaymentLife(msgspec.Struct, frozen=True):
    """A payment, and everything that was done and said about it, in order."""

    payment: PaymentView
    facts: list[FactView]


class Asked(msgspec.Struct, frozen=True):
    """The status requests that were written; they go out with the next exchange with the bank."""

    requests: list[str]


class TakenView(msgspec.Struct, frozen=True):
    """What came of a bank's message. taken: whether it counts; why: why not, or what of it does not agree."""

    message_id: str
    form: str
    taken: bool
    why: str
    new: int


class AsideView(msgspec.Struct, frozen=True):
    """A bank's message of which nothing was taken. sha256: of its bytes."""

    message_id: str
    form: str
    about: str
    at: datetime
    why: str
    sha256: str


class Aside(msgspec.Struct, frozen=True):
    """Messages that wait for a person, oldest first."""

    messages: list[AsideView]


class GapView(msgspec.Struct, frozen=True):
    """A statement that does not go on from the one before it."""

    statement_id: str
    account: str
    closed_before: Money
    opening: Money


class Gaps(msgspec.Struct, frozen=True):
    """Where a statement is missing, or wrong."""

    gaps: list[GapView]


@get("/v1/settlement/banks", sync_to_thread=True, tags=["Settlement"], opt={"needs": "settlement:read"})
def list_banks(ctx: NamedDependency[Context], caller: NamedDependency[trust.Caller]) -> Banks:
    """The settlement banks and how they are paid through. Needs `settlement:read`."""
    caller.require_league("settlement:read")
    with ctx.tx() as tx:
        return _banks(tx)


@put(
    "/v1/settlement/banks",
    sync_to_thread=True,
    tags=["Settlement"],
    opt={"needs": "settlement:write", "takes": "text/plain", "refuses": (BadProfile, trust.UnknownMember)},
    request_max_body_size=PROFILE_BYTES_MAX,
)
def set_bank(ctx: NamedDependency[Context], caller: NamedDependency[trust.Caller], body: RawBody) -> Banks:
    """Let a bank's profile hold: the body is its TOML. Needs `settlement:write`; sending it again is harmless.

    `settlement.bad_profile` names each field at fault.
    """
    caller.require_league("settlement:write")
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        problem = Problem("profile", "it is not UTF-8", "Send text in UTF-8")
        raise BadProfile(problems=(problem,)) from error
    if "\0" in text:
        raise BadProfile(problems=(Problem("profile", "it holds a NUL", "Take it out"),))
    with ctx.tx() as tx:
        desk.set_profile(tx, text, by=caller.who, at=ctx.clock.now())
        return _banks(tx)


@post(
    "/v1/settlement/days/{day:date}/prepare",
    sync_to_thread=True,
    status_code=200,
    tags=["Settlement"],
    opt={"needs": "settlement:write", "refuses": (UnknownDay, DayNotClosed, NotPayable)},
)
def prepare(
    ctx: NamedDependency[Context], caller: NamedDependency[trust.Caller], day: FromPath[date]
) -> DeskFiles:
    """Prepare a closed day's files in the caller's name; others release them. Again is harmless."""
    caller.require_league("settlement:write")
    files = desk.prepare(ctx, day, by=caller.who)
    with ctx.tx() as tx:
        return DeskFiles([_file(desk.view_file(tx, file.message_id)) for file in files])


@post(
    "/v1/settlement/windows/{window_id:str}/prepare",
    sync_to_thread=True,
    status_code=200,
    tags=["Settlement"],
    opt={"needs": "settlement:write", "refuses": (UnknownWindow, DayNotClosed, NotPayable, InvalidInput)},
)
def prepare_window(
    ctx: NamedDependency[Context],
    caller: NamedDependency[trust.Caller],
    window_id: Annotated[str, PathParameter(max_length=60)],
) -> DeskFiles:
    """Prepare the files of a closed window of any model in the caller's name. Again is harmless."""
    caller.require_league("settlement:write")
    files = desk.prepare(ctx, _plain(window_id), by=caller.who)
    with ctx.tx() as tx:
        return DeskFiles([_file(desk.view_file(tx, file.message_id)) for file in files])


@get(
    "/v1/settlement/files/{message_id:str}/release",
    sync_to_thread=True,
    tags=["Settlement"],
    opt={"needs": "settlement:read", "refuses": (UnknownFile, InvalidInput)},
)
def view_release(
    ctx: NamedDependency[Context], caller: NamedDependency[trust.Caller], message_id: MessageId
) -> DeskFile:
    """A file's totals, by member too, and who has done what with it. Needs `settlement:read`."""
    caller.require_league("settlement:read")
    with ctx.tx() as tx:
        return _file(desk.view_file(tx, _plain(message_id)))


@post(
    "/v1/settlement/files/{message_id:str}/release",
    sync_to_thread=True,
    status_code=200,
    tags=["Settlement"],
    opt={
        "needs": "settlement:release",
        "refuses": (UnknownFile, InvalidInput, desk.SamePerson, desk.TotalsDiffer),
    },
)
def release(
    ctx: NamedDependency[Context],
    caller: NamedDependency[trust.Caller],
    message_id: MessageId,
    data: JSONBody[Release],
) -> DeskFile:
    """Release a file as one person, who names its totals. Needs `settlement:release`; again is harmless.

    `settlement.same_person` for who prepared it, `settlement.totals_differ` where count or sum are not the file's.
    """
    caller.require_league("settlement:release")
    with ctx.tx() as tx:
        currency = desk.view_file(tx, _plain(message_id)).file.currency
    if data.control_sum.currency != currency:
        raise desk.TotalsDiffer(f"{message_id} is in {currency}.")
    return _file(
        desk.release(
            ctx,
            message_id,
            by=caller.who,
            count=data.count,
            control_sum_minor=data.control_sum.minor,
            why=data.why,
        )
    )


@get(
    "/v1/settlement/payments",
    sync_to_thread=True,
    tags=["Settlement"],
    opt={"needs": "settlement:read", "refuses": (InvalidInput,)},
)
def list_payments(
    ctx: NamedDependency[Context],
    caller: NamedDependency[trust.Caller],
    day: FromQuery[date | None] = None,
    currency: Annotated[str, QueryParameter(max_length=3)] = "",
    after: Annotated[str, QueryParameter(max_length=35, description="`next` of the page before")] = "",
    limit: Annotated[int, QueryParameter(ge=1, le=1000)] = 100,
) -> PaymentPage:
    """Payments and where each is, of a day, a currency, or all. Needs `settlement:read`."""
    caller.require_league("settlement:read")
    with ctx.tx() as tx:
        found = desk.list_payments(
            tx, day=day, currency=_plain(currency), after=_plain(after), limit=limit + 1
        )
    page, more = paged(found, limit, lambda one: one.told.end_to_end_id)
    return PaymentPage([_payment(one) for one in page], more)


@get(
    "/v1/settlement/payments/{end_to_end_id:str}",
    sync_to_thread=True,
    tags=["Settlement"],
    opt={"needs": "settlement:read", "refuses": (desk.UnknownPayment, InvalidInput)},
)
def get_payment(
    ctx: NamedDependency[Context],
    caller: NamedDependency[trust.Caller],
    end_to_end_id: Annotated[str, PathParameter(max_length=35)],
) -> PaymentLife:
    """A payment with everything that was done and said about it. Needs `settlement:read`."""
    caller.require_league("settlement:read")
    with ctx.tx() as tx:
        payment, done, said = desk.get_payment(tx, _plain(end_to_end_id))
    facts = [_done(fact) for fact in done]
    facts += [FactView(fact.answer.value, fact.by_whom, fact.at, fact.why, fact.source) for fact in said]
    return PaymentLife(_payment(payment), sorted(facts, key=lambda fact: fact.at))


@post(
    "/v1/settlement/payments/anew",
    sync_to_thread=True,
    status_code=200,
    tags=["Settlement"],
    opt={
        "needs": "settlement:write",
        "refuses": (desk.UnknownPayment, desk.NotReplaceable, InvalidInput, NotPayable),
    },
)
def pay_anew(
    ctx: NamedDependency[Context], caller: NamedDependency[trust.Caller], data: JSONBody[Anew]
) -> DeskFiles:
    """Instruct anew what surely did not move, each as a payment that names the old one; others release the files."""
    caller.require_league("settlement:write")
    files = desk.pay_anew(ctx, data.end_to_end_ids, by=caller.who, why=data.why)
    with ctx.tx() as tx:
        return DeskFiles([_file(desk.view_file(tx, file.message_id)) for file in files])


@post(
    "/v1/settlement/banks/{bank_id:str}/messages",
    sync_to_thread=True,
    status_code=200,
    tags=["Settlement"],
    opt={
        "needs": "settlement:write",
        "takes": "application/xml",
        "refuses": (desk.UnknownBank, BadSignature, InvalidInput),
    },
    request_max_body_size=STATEMENT_BYTES_MAX,
)
def take_message(
    ctx: NamedDependency[Context],
    caller: NamedDependency[trust.Caller],
    bank_id: Annotated[str, PathParameter(max_length=60)],
    body: RawBody,
    signature: Annotated[str, QueryParameter(max_length=120, description="The bank's, base64")] = "",
) -> TakenView:
    """Hand in a message that a bank has signed: a report, a notification or a statement. Again is harmless.

    What cannot be taken is kept and waits for a person: `taken` is false then and `why` says what is wrong.
    """
    caller.require_league("settlement:write")
    taken = desk.take(ctx, _plain(bank_id), body, signature.encode())
    return TakenView(taken.message_id, taken.form, taken.taken, taken.why, taken.new)


@get(
    "/v1/settlement/messages/aside",
    sync_to_thread=True,
    tags=["Settlement"],
    opt={"needs": "settlement:read"},
)
def list_aside(
    ctx: NamedDependency[Context],
    caller: NamedDependency[trust.Caller],
    limit: Annotated[int, QueryParameter(ge=1, le=1000)] = 100,
) -> Aside:
    """Messages from banks of which nothing was taken, and why. Needs `settlement:read`."""
    caller.require_league("settlement:read")
    with ctx.tx() as tx:
        found = desk.set_aside(tx, limit=limit)
    return Aside(
        [AsideView(one.message_id, one.form, one.about, one.at, one.why, one.digest.hex()) for one in found]
    )


@get("/v1/settlement/gaps", sync_to_thread=True, tags=["Settlement"], opt={"needs": "settlement:read"})
def list_gaps(ctx: NamedDependency[Context], caller: NamedDependency[trust.Caller]) -> Gaps:
    """Statements that do not go on from the one before. Needs `settlement:read`."""
    caller.require_league("settlement:read")
    with ctx.tx() as tx:
        found = actions.gaps(tx)
    return Gaps(
        [
            GapView(
                one.statement_id,
                one.account,
                Money(one.before, one.currency),
                Money(one.opening_minor, one.currency),
            )
            for one in found
        ]
    )


def _banks(tx: Tx) -> Banks:
    return Banks(
        [
            BankView(
                row.bank_id,
                row.version,
                list(profile.currencies),
                profile.form,
                profile.basis,
                row.set_by,
                row.set_at,
                row.profile,
            )
            for profile, row in desk.list_profiles(tx)
        ]
    )


def _plain(text: str) -> str:
    if "\0" in text:
        raise InvalidInput(problems=(Problem("the address", "it holds a NUL", "Take it out"),))
    return text


def _done(fact: desk_store.FileFact) -> FactView:
    return FactView(fact.step.value, fact.by_whom, fact.at, fact.why, "")


def _file(view: desk.FileView) -> DeskFile:
    file: FileRecord = view.file
    return DeskFile(
        file.message_id,
        file.day,
        file.bank_id,
        file.form,
        file.execution_day,
        file.transactions,
        Money(file.control_sum_minor, file.currency),
        file.digest.hex(),
        [
            MemberTotalView(
                one.member_id,
                Money(one.pays_minor, file.currency),
                Money(one.receives_minor, file.currency),
            )
            for one in view.members
        ],
        [_done(fact) for fact in view.facts],
        view.lacking,
    )


def _payment(payment: desk.Payment) -> PaymentView:
    told = payment.told
    return PaymentView(
        told.end_to_end_id,
        uetr_of(told.end_to_end_id),
        told.day,
        told.member_id,
        told.counterparty,
        told.direction.value,
        told.amount,
        told.message_id,
        payment.state.value,
        payment.wrong,
        payment.anew,
        told.replaces,
        payment.replaced_by,
        payment.booked_day,
        payment.returned_day,
    )


ROUTES = [
    prepare_window,
    list_banks,
    set_bank,
    prepare,
    view_release,
    release,
    list_payments,
    get_payment,
    pay_anew,
    take_message,
    list_aside,
    list_gaps,
]
