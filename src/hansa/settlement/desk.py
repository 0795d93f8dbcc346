"""The desk: from a closed day to money that a bank has moved, and whatever goes wrong on the way.

Files are prepared by one person or by the program, released by others, handed over under ids that never change, and
asked after when no answer comes. Every step is a fact that is kept with who, when and why; running any of this again
after a kill goes on where it stopped. What becomes of a payment is ``life.state_of`` of its facts.
"""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import ClassVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hansa import clearing, trust
from hansa.kernel import HansaError, InvalidInput, Problem
from hansa.settlement import actions, desk_store, store, telling
from hansa.settlement.camt053 import read_camt053, read_camt054
from hansa.settlement.delivery import Link, NoAnswer, TurnedAway
from hansa.settlement.desk_store import FileFact, Message, PaymentFact, ProfileRow
from hansa.settlement.forms import FORMS
from hansa.settlement.iso20022 import (
    CAMT_054,
    PACS_002,
    PACS_028,
    PAIN_001,
    PAIN_002,
    DocumentRefused,
    form_of,
    read_account,
    short,
)
from hansa.settlement.life import (
    FINAL,
    Answer,
    Said,
    State,
    Step,
    asked_after_rejection,
    contradicts,
    may_be_paid_anew,
    state_of,
)
from hansa.settlement.model import (
    BadStatement,
    DayNotClosed,
    Direction,
    Entry,
    FileDiffers,
    FileRecord,
    Instruction,
    Reconciliation,
    StatementDiffers,
    UnknownFile,
)
from hansa.settlement.planning import (
    Party,
    anew,
    files_for,
    instructions_for,
    owed_of,
)
from hansa.settlement.profile import BadProfile, Profile, read_profile
from hansa.settlement.signing import BadSignature, sign_file, verify_file
from hansa.settlement.status import (
    STATUS_BYTES_MAX,
    BadStatus,
    PaymentStatus,
    StatusReport,
    StatusRequest,
    read_status,
    write_request,
)
from hansa.settlement.xml_reading import Unreadable, read_root
from hansa.store import Context, Tx

PROGRAM = "hansa"
"""Who prepares, sends and asks when no person does. It is no person, so it releases nothing."""

NEVER_CAME = "NOOR"
"""The reason by which a bank says that it has no such payment. It says nothing of the payment's end: the file goes on
being handed over, the same under the same id, until the bank gives a receipt for it."""

SOME = 200
"""How many files are handed over in one go."""

Watch = Callable[[str], None]


class UnknownBank(HansaError):
    """There is no profile of this bank. Set one first."""

    code: ClassVar[str] = "settlement.unknown_bank"
    status: ClassVar[int] = 404


class SamePerson(HansaError):
    """Who prepared a file cannot release it, and the program releases nothing. Let somebody else look at it."""

    code: ClassVar[str] = "settlement.same_person"
    status: ClassVar[int] = 409


class TotalsDiffer(HansaError):
    """The count or the control sum is not that of the file. Look at the file again; nothing was released."""

    code: ClassVar[str] = "settlement.totals_differ"
    status: ClassVar[int] = 409


class UnknownPayment(HansaError):
    """There is no payment of this end-to-end id."""

    code: ClassVar[str] = "settlement.unknown_payment"
    status: ClassVar[int] = 404


class NotReplaceable(HansaError):
    """This payment may still be carried out, or was replaced. Ask after it; only what surely stayed is paid anew."""

    code: ClassVar[str] = "settlement.not_replaceable"
    status: ClassVar[int] = 409


@dataclass(frozen=True, slots=True)
class Payment:
    """A payment, where it is, and what does not go together about it; wrong is empty where all does.

    anew: whether another payment may take its place. replaced_by: the payment that did.
    """

    told: Instruction
    state: State
    wrong: str
    anew: bool
    booked_day: date | None
    returned_day: date | None
    replaced_by: str | None


@dataclass(frozen=True, slots=True)
class MemberTotal:
    """What a file moves for one member, in minor units: pays in, is paid out."""

    member_id: str
    pays_minor: int
    receives_minor: int


@dataclass(frozen=True, slots=True)
class FileView:
    """A file with what whoever releases it should see. lacking: how many more persons must release it."""

    file: FileRecord
    facts: tuple[FileFact, ...]
    members: tuple[MemberTotal, ...]
    lacking: int


@dataclass(frozen=True, slots=True)
class Taken:
    """What came of a message from a bank. taken: whether it counts; why: why not, or what of it does not agree.

    new: how many facts it brought. read: of a statement, what reading it came to.
    """

    message_id: str
    form: str
    taken: bool
    why: str
    new: int
    read: Reconciliation | None = None


@dataclass(frozen=True, slots=True)
class Delivered:
    """What came of handing over, by message id."""

    acknowledged: tuple[str, ...]
    open: tuple[str, ...]
    refused: tuple[str, ...]
    held: tuple[str, ...]


# --- profiles


def set_profile(tx: Tx, text: str, *, by: str, at: datetime) -> Profile:
    """Let a bank's profile hold from now on; setting the same again changes nothing.

    Errors: BadProfile, also for a currency that settles at another bank; trust.UnknownMember.
    """
    profile = read_profile(text)
    trust.get_member(tx, trust.MemberId(profile.bank_id))
    desk_store.lock_profiles(tx)
    for row in desk_store.profiles(tx):
        if row.bank_id == profile.bank_id:
            if row.profile == text:
                return profile
            continue
        if both := sorted({*read_profile(row.profile).currencies} & {*profile.currencies}):
            what = f"{both[0]} settles at {row.bank_id}"
            raise BadProfile(problems=(Problem("profile.currencies", what, "Take it from there first"),))
    desk_store.add_profile(tx, profile.bank_id, text, by=by, at=at)
    return profile


def list_profiles(tx: Tx) -> list[tuple[Profile, ProfileRow]]:
    """The profile of each bank that holds."""
    return [(read_profile(row.profile), row) for row in desk_store.profiles(tx)]


def get_profile(tx: Tx, bank_id: str) -> Profile:
    """Errors: UnknownBank."""
    for profile, row in list_profiles(tx):
        if row.bank_id == bank_id:
            return profile
    raise UnknownBank(f"There is no profile of {bank_id!r}.")


# --- out


def prepare(ctx: Context, day: actions.When, *, by: str = PROGRAM, why: str = "") -> list[FileRecord]:
    """Decide the files of a closed day or window for each bank that has a profile, once; those of the window.

    A currency in which nothing is to move needs no file, and is settled. by: the person, or the program.
    Errors: clearing.UnknownDay, clearing.UnknownWindow, DayNotClosed, NotPayable; nothing is prepared then.
    """
    idle: list[str] = []
    with ctx.tx() as tx:
        trust.turn_members(tx, ctx.clock.now())  # accounts that have cooled hold, whoever comes first
        found = actions.window_of(tx, day)
        window_id = found.window_id
        if found.closed_at is None:
            raise DayNotClosed(f"{found.label} is being closed; its files come after.")
        nets = clearing.settlement_nets(tx, window_id, lock=True)
        matrix = clearing.settlement_matrix(tx, window_id)
        for profile, row in list_profiles(tx):
            for currency in sorted({total.currency for total in found.totals} & {*profile.currencies}):
                desk_store.lock_window(tx, window_id, currency)
                if any(file.currency == currency for file in store.files_of_window(tx, window_id)):
                    continue
                owed = owed_of(found, nets, matrix, currency, profile=profile)
                if not owed:
                    idle.append(currency)
                    continue
                parties = _parties(tx, currency)
                told = instructions_for(
                    found,
                    currency,
                    owed,
                    parties,
                    payment_max_minor=profile.limit(currency).payment_max_minor,
                )
                reason = why or f"{found.label} is closed; profile {row.version} of {profile.bank_id}"
                _add_files(
                    tx, told, profile, parties, at=found.closed_at, by=by, now=ctx.clock.now(), why=reason
                )
                clearing.note_settling(tx, window_id, currency, ctx.clock.now())
        files = store.files_of_window(tx, window_id)
    for currency in idle:
        actions.settle(ctx, window_id, currency)
    return files


def view_file(tx: Tx, message_id: str) -> FileView:
    """A file, what was done with it, and its totals. Errors: UnknownFile."""
    file = store.find_file(tx, message_id)
    if file is None:
        raise UnknownFile(f"There is no bank file {message_id!r}.")
    facts = desk_store.steps(tx, [message_id])[message_id]
    members: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for told in store.instructions_of_file(tx, message_id):
        members[told.member_id][told.direction is Direction.OUT] += told.amount_minor
    totals = tuple(MemberTotal(member, *sums) for member, sums in sorted(members.items()))
    return FileView(file, tuple(facts), totals, _lacking(tx, file, facts))


def release(
    ctx: Context, message_id: str, *, by: str, count: int, control_sum_minor: int, why: str = ""
) -> FileView:
    """One person lets a file go, who names its totals; it is released once enough persons have. Again is harmless.

    Errors: UnknownFile; SamePerson for who prepared it; TotalsDiffer; InvalidInput for a file that no bank's profile
    covers.
    """
    now = ctx.clock.now()
    with ctx.tx() as tx:
        desk_store.lock_file(tx, message_id)
        found = view_file(tx, message_id)
        if not any(fact.step is Step.PREPARED for fact in found.facts):
            problem = Problem(
                "message_id", "it was written without a profile", "Set the bank's profile first"
            )
            raise InvalidInput("This file does not go through the desk.", problems=(problem,))
        if by == PROGRAM or any(
            fact.step is Step.PREPARED and trust.is_same_person(fact.by_whom, by) for fact in found.facts
        ):
            raise SamePerson
        if (count, control_sum_minor) != (found.file.transactions, found.file.control_sum_minor):
            raise TotalsDiffer(
                f"{message_id} holds {found.file.transactions} payments of {found.file.control_sum_minor} in all."
            )
        reason = why or f"{count} payments, {control_sum_minor} in minor units"
        if desk_store.add_step(tx, FileFact(message_id, Step.APPROVED, by, now, reason)):
            found = view_file(tx, message_id)
            released = any(fact.step is Step.RELEASED for fact in found.facts)
            if not found.lacking and not released:
                desk_store.add_step(tx, FileFact(message_id, Step.RELEASED, by, now, reason))
        return view_file(tx, message_id)


def deliver(
    ctx: Context, bank_id: str, link: Link, key: Ed25519PrivateKey, *, step: Watch = actions.no_step
) -> Delivered:
    """Hand over what is released and what is asked, each under its own id, until the bank gives a receipt.

    What is handed over is kept before it leaves. A file is held back while a payment in it replaces one that, as it
    now turns out, may still be carried out. Errors: none of the bank's; they are what ``Delivered`` tells.
    """
    with ctx.tx() as tx:
        files = desk_store.files_to_send(tx, bank_id, SOME)
        requests = desk_store.requests_to_send(tx, bank_id, form_of(PACS_028), SOME)
    done: dict[str, list[str]] = {name: [] for name in ("acknowledged", "open", "refused", "held")}
    for file in files:
        if _is_held(ctx, file):
            done["held"].append(file.message_id)
            continue
        document, signature = _keep_before_sending(ctx, file, key)
        step("sending")
        outcome = _hand_over(
            ctx, bank_id, link, file.message_id, document, signature, is_file=True, step=step
        )
        done[outcome].append(file.message_id)
    for request in requests:
        outcome = _hand_over(
            ctx, bank_id, link, request.message_id, request.body, request.signature, is_file=False, step=step
        )
        done[outcome].append(request.message_id)
    return Delivered(*(tuple(done[name]) for name in ("acknowledged", "open", "refused", "held")))


def ask(
    ctx: Context, bank_id: str, key: Ed25519PrivateKey, *, by: str = PROGRAM, why: str = "", now: bool = False
) -> list[str]:
    """Write status requests for payments of which nothing has been heard for too long; ids of the requests.

    What was rejected is asked after once at once, so that it may be paid anew.

    A payment is never sent again instead. now: ask after every payment that is not at its end. They go out with the
    next ``deliver``. Errors: UnknownBank.
    """
    at = ctx.clock.now()
    asked: list[str] = []
    with ctx.tx() as tx:
        profile = get_profile(tx, bank_id)
        by_file: dict[str, list[Payment]] = defaultdict(list)
        told = desk_store.open_payments(tx, bank_id)
        facts = desk_store.said(tx, [one.end_to_end_id for one in told])
        files = desk_store.steps(tx, sorted({one.message_id for one in told}))
        for payment in _payments(tx, told):
            steps, said = files[payment.told.message_id], facts[payment.told.end_to_end_id]
            unsure = payment.state is State.REJECTED and not payment.anew and not payment.replaced_by
            if (payment.state not in FINAL or unsure) and (
                now or _is_overdue(tx, payment, steps, said, profile, at)
            ):
                by_file[payment.told.message_id].append(payment)
        for message_id, payments in sorted(by_file.items()):
            desk_store.lock_file(tx, message_id)
            file = store.find_file(tx, message_id)
            assert file is not None, "a payment's file is there"
            asked_before = {
                fact.source
                for one in payments
                for fact in facts[one.told.end_to_end_id]
                if fact.answer is Answer.ASKED
            }
            request = StatusRequest(
                short(f"{message_id}-ASK{len(asked_before) + 1}-{at:%y%m%d%H%M%S}", 35),
                at,
                message_id,
                file.form,
                tuple(one.told.end_to_end_id for one in payments),
            )
            body = write_request(request)
            message = Message(
                request.message_id,
                hashlib.sha256(body).digest(),
                form_of(PACS_028),
                message_id,
                body,
                sign_file(key, body),
                at,
                True,
                why or "no answer for too long",
            )
            if not desk_store.add_message(tx, bank_id, "out", message):
                continue
            desk_store.add_said(
                tx,
                [
                    PaymentFact(
                        one.told.end_to_end_id,
                        Answer.ASKED,
                        request.message_id,
                        at,
                        by,
                        at,
                        "",
                        why or f"{one.state.value} for too long",
                    )
                    for one in payments
                ],
            )
            asked.append(request.message_id)
    return asked


def pay_anew(ctx: Context, ids: Sequence[str], *, by: str, why: str) -> list[FileRecord]:
    """Instruct anew, each as a payment of its own that names the old one, to the account the member has now.

    The files wait for their release, by others than ``by``. Errors: UnknownPayment; NotReplaceable; SamePerson for
    the program; InvalidInput without a reason; nothing is prepared then.
    """
    if by == PROGRAM:
        raise SamePerson("A person decides that a payment is made anew.")
    if not why.strip():
        problem = Problem("why", "it is empty", "Say why the payment is made anew")
        raise InvalidInput("A reason is needed.", problems=(problem,))
    now = ctx.clock.now()
    made: list[FileRecord] = []
    with ctx.tx() as tx:
        old = desk_store.payments_by_id(tx, ids)
        if unknown := sorted({*ids} - {one.end_to_end_id for one in old}):
            raise UnknownPayment(f"There is no payment {unknown[0]!r}.")
        for window_id, currency in sorted({(one.window_id, one.currency) for one in old}):
            desk_store.lock_window(tx, window_id, currency)
        for payment in _payments(tx, old):
            if not payment.anew or payment.replaced_by is not None:
                raise NotReplaceable(
                    f"{payment.told.end_to_end_id} is {payment.state}"
                    + (f" and was replaced by {payment.replaced_by}." if payment.replaced_by else ".")
                )
        banks = {file.message_id: file.bank_id for file in (_file(tx, one.message_id) for one in old)}
        by_file: dict[tuple[str, str, str], list[Instruction]] = defaultdict(list)
        for one in old:
            by_file[one.window_id, one.currency, banks[one.message_id]].append(
                anew(one, _parties(tx, one.currency)[one.member_id])
            )
        for (window_id, currency, bank_id), told in sorted(by_file.items()):
            profile, parties = get_profile(tx, bank_id), _parties(tx, currency)
            part = desk_store.next_part(tx, window_id, currency)
            made += _add_files(tx, told, profile, parties, at=now, by=by, now=now, why=why, first_part=part)
    return made


# --- in


def take(
    ctx: Context, bank_id: str, document: bytes, signature: bytes, *, step: Watch = actions.no_step
) -> Taken:
    """Take a message from a bank: keep it byte for byte, and what it says of payments. Again is harmless.

    One that cannot be read, says something else under a known id, or speaks of payments that we do not know is kept
    too, and nothing is taken of it; it waits for a person. Errors: UnknownBank, BadSignature; nothing is kept then.
    """
    with ctx.tx() as tx:
        profile = get_profile(tx, bank_id)
    verify_file(profile.delivery.public_key, document, signature)
    digest = hashlib.sha256(document).digest()
    try:
        namespace, _ = read_root(document, size_max=STATUS_BYTES_MAX)
        form = form_of(namespace)
        if namespace in (PAIN_002, PACS_002):
            report = read_status(document)
            return _take_report(ctx, bank_id, report, form, document, signature)
        if namespace == CAMT_054:
            return _take_notice(ctx, bank_id, form, document, signature)
        statement = read_camt053(document)
        with ctx.tx() as tx:
            foreign = _foreign(tx, bank_id, statement.account, statement.entries)
        if foreign:
            return _set_aside(ctx, bank_id, statement.statement_id, form, document, signature, foreign)
    except (DocumentRefused, Unreadable, BadStatus, BadStatement) as error:
        why = str(error)[:1000]
        return _set_aside(ctx, bank_id, digest.hex()[:35], "", document, signature, why)
    try:
        read = actions.read_statement(ctx, document, step=step)
    except StatementDiffers as error:
        return _set_aside(ctx, bank_id, statement.statement_id, form, document, signature, error.detail)
    with ctx.tx() as tx:
        _keep(tx, ctx, bank_id, statement.statement_id, form, statement.account, document, signature)
    step("kept")
    return Taken(statement.statement_id, form, True, "", len(read.matched) + len(read.breaks), read)


def collect(ctx: Context, bank_id: str, link: Link, *, step: Watch = actions.no_step) -> list[Taken]:
    """Take everything that lies at a bank's door, and say that it is kept. Errors: UnknownBank, NoAnswer."""
    taken: list[Taken] = []
    for one in link.arrived():
        try:
            taken.append(take(ctx, bank_id, one.document, one.signature, step=step))
        except BadSignature as error:
            taken.append(Taken(one.name[:35], "", False, error.detail, 0))
            continue  # it is left where it lies: it may be anybody's
        step("taken")
        link.take_away(one.name)
        step("away")
    return taken


# --- to look at


def list_payments(
    tx: Tx,
    *,
    day: date | None = None,
    window_id: str = "",
    currency: str = "",
    after: str = "",
    limit: int = 100,
) -> list[Payment]:
    """Payments in order of their ids, and where each is. day: a business day, of whichever model."""
    told = desk_store.list_payments(
        tx, day=day, window_id=window_id, currency=currency, after=after, limit=limit
    )
    return _payments(tx, told)


def get_payment(tx: Tx, end_to_end_id: str) -> tuple[Payment, list[FileFact], list[PaymentFact]]:
    """A payment, what was done with its file, and what was said of it. Errors: UnknownPayment."""
    found = desk_store.payments_by_id(tx, [end_to_end_id])
    if not found:
        raise UnknownPayment(f"There is no payment {end_to_end_id!r}.")
    [payment] = _payments(tx, found)
    steps = desk_store.steps(tx, [payment.told.message_id])[payment.told.message_id]
    return payment, steps, desk_store.said(tx, [end_to_end_id])[end_to_end_id]


def set_aside(tx: Tx, *, bank_id: str = "", limit: int = 100) -> list[Message]:
    """Messages from banks of which nothing was taken, and why."""
    return desk_store.untaken(tx, bank_id, limit)


# --- inside


def _parties(tx: Tx, currency: str) -> dict[str, Party]:
    """Every member as files name it, with its account for the currency, or that for all."""
    own = trust.member_accounts(tx)
    return {
        str(one.member_id): Party(one.name, own.get((one.member_id, currency), one.account))
        for one in trust.list_members(tx)
    }


def _file(tx: Tx, message_id: str) -> FileRecord:
    file = store.find_file(tx, message_id)
    assert file is not None, "a payment's file is there"
    return file


def _add_files(
    tx: Tx,
    told: Sequence[Instruction],
    profile: Profile,
    parties: dict[str, Party],
    *,
    at: datetime,
    by: str,
    now: datetime,
    why: str,
    first_part: int = 0,
) -> list[FileRecord]:
    """Write down payments with their files, and that they are prepared."""
    settlement = Party(parties[str(clearing.LEAGUE)].name, parties[profile.bank_id].account)
    made: list[FileRecord] = []
    for file, payments in files_for(
        told, profile=profile, settlement=settlement, created_at=at, first_part=first_part
    ):
        document = FORMS[file.form].write(file, payments)
        problems = FORMS[file.form].validate(document)
        assert not problems, problems
        kept = replace(file, digest=hashlib.sha256(document).digest())
        store.add_file(tx, kept)
        store.add_instructions(tx, payments)
        desk_store.add_step(tx, FileFact(file.message_id, Step.PREPARED, by, now, why))
        made.append(kept)
    return made


def _lacking(tx: Tx, file: FileRecord, facts: Sequence[FileFact]) -> int:
    """How many more persons must release a file. One that the program prepared needs one more."""
    needed = next((profile.releases for profile, row in list_profiles(tx) if row.bank_id == file.bank_id), 1)
    prepared_by = {fact.by_whom for fact in facts if fact.step is Step.PREPARED}
    if prepared_by <= {PROGRAM}:
        needed += 1
    if any(fact.step is Step.RELEASED for fact in facts):
        return 0
    return max(0, needed - trust.count_persons(fact.by_whom for fact in facts if fact.step is Step.APPROVED))


def _is_held(ctx: Context, file: FileRecord) -> bool:
    """Whether a payment in it replaces one that is not, or no longer, rejected or returned."""
    with ctx.tx() as tx:
        if any(fact.step is Step.SENT for fact in desk_store.steps(tx, [file.message_id])[file.message_id]):
            return False
        told = store.instructions_of_file(tx, file.message_id)
        old = desk_store.payments_by_id(tx, [one.replaces for one in told if one.replaces])
        return any(not payment.anew for payment in _payments(tx, old))


def _keep_before_sending(ctx: Context, file: FileRecord, key: Ed25519PrivateKey) -> tuple[bytes, bytes]:
    """The bytes of a file and their signature, kept with the fact that they are about to be sent."""
    now = ctx.clock.now()
    with ctx.tx() as tx:
        kept = desk_store.messages(tx, file.bank_id, "out", file.message_id)
        if kept:
            return kept[0].body, kept[0].signature
        document = FORMS[file.form].write(file, store.instructions_of_file(tx, file.message_id))
        if hashlib.sha256(document).digest() != file.digest:
            raise FileDiffers(
                f"{file.message_id} cannot be written as it was decided; this Hansa writes it differently."
            )
        signature = sign_file(key, document)
        desk_store.add_message(
            tx,
            file.bank_id,
            "out",
            Message(
                file.message_id, file.digest, file.form, file.message_id, document, signature, now, True, ""
            ),
        )
        desk_store.add_step(
            tx, FileFact(file.message_id, Step.SENT, PROGRAM, now, f"to {file.bank_id}, {file.form}")
        )
        return document, signature


def _hand_over(
    ctx: Context,
    bank_id: str,
    link: Link,
    message_id: str,
    document: bytes,
    signature: bytes,
    *,
    is_file: bool,
    step: Watch,
) -> str:
    try:
        receipt = link.hand_over(message_id, document, signature)
    except NoAnswer:
        return "open"
    except TurnedAway as turned_away:
        with ctx.tx() as tx:
            desk_store.add_receipt(tx, bank_id, message_id, turned_away.detail.encode(), ctx.clock.now())
            if is_file:
                desk_store.add_step(
                    tx, FileFact(message_id, Step.REFUSED, bank_id, ctx.clock.now(), turned_away.detail)
                )
        return "refused"
    step("handed over")
    with ctx.tx() as tx:
        desk_store.add_receipt(tx, bank_id, message_id, receipt, ctx.clock.now())
        if is_file:
            desk_store.add_step(
                tx, FileFact(message_id, Step.ACKNOWLEDGED, bank_id, ctx.clock.now(), "receipt of the bank")
            )
    step("acknowledged")
    return "acknowledged"


def _is_overdue(
    tx: Tx,
    payment: Payment,
    steps: Sequence[FileFact],
    said: Sequence[PaymentFact],
    profile: Profile,
    now: datetime,
) -> bool:
    """Whether more should have been heard. What is accepted has time until its day is over at the bank."""
    if payment.state is State.REJECTED and asked_after_rejection(_heard(said)) is None:
        return True
    last = max(
        [fact.at for fact in steps if fact.step in (Step.SENT, Step.ACKNOWLEDGED)]
        + [fact.at for fact in said],
    )
    if now - last < profile.investigate_after:
        return False
    if payment.state in (State.ACCEPTED, State.PENDING):
        file = _file(tx, payment.told.message_id)
        assert file.execution_day is not None, "it goes through the desk"
        sent_at = min(fact.at for fact in steps if fact.step is Step.SENT)
        day = profile.calendar.day_for(file.execution_day, handed_in_at=sent_at)
        return now >= profile.calendar.closes_at(day) + max(profile.investigate_after, timedelta(hours=12))
    return True


def _heard(facts: Sequence[PaymentFact]) -> list[Said]:
    return [Said(fact.answer, fact.said_at, fact.at) for fact in facts]


def _payments(tx: Tx, told: Sequence[Instruction]) -> list[Payment]:
    ids = [one.end_to_end_id for one in told]
    steps = desk_store.steps(tx, sorted({one.message_id for one in told}))
    said = desk_store.said(tx, ids)
    booked, returned = store.matched_among(tx, ids), store.returned_among(tx, ids)
    replaced = desk_store.replaced_among(tx, ids)
    found: list[Payment] = []
    for one in told:
        name = one.end_to_end_id
        done = {fact.step for fact in steps[one.message_id]}
        heard = _heard(said[name])
        moved = {"booked": name in booked, "returned": name in returned}
        found.append(
            Payment(
                one,
                state_of(done, heard, **moved),
                contradicts(done, heard, **moved),
                may_be_paid_anew(done, heard, **moved),
                booked.get(name),
                returned.get(name),
                replaced.get(name),
            )
        )
    return found


def _keep(
    tx: Tx,
    ctx: Context,
    bank_id: str,
    message_id: str,
    form: str,
    about: str,
    document: bytes,
    signature: bytes,
    why: str = "",
    *,
    taken: bool = True,
) -> bool:
    """Keep a message; whether it is new. One of another content under an id that was taken is set aside."""
    digest = hashlib.sha256(document).digest()
    return desk_store.add_message(
        tx,
        bank_id,
        "in",
        Message(message_id, digest, form, about, document, signature, ctx.clock.now(), taken, why),
    )


def _set_aside(
    ctx: Context, bank_id: str, message_id: str, form: str, document: bytes, signature: bytes, why: str
) -> Taken:
    with ctx.tx() as tx:
        _keep(tx, ctx, bank_id, message_id, form, "", document, signature, why, taken=False)
    return Taken(message_id, form, False, why, 0)


def _was_taken(tx: Tx, bank_id: str, message_id: str, document: bytes) -> bool | None:
    """Whether this message was taken before: True; another one under its id: False; none: None."""
    for kept in desk_store.messages(tx, bank_id, "in", message_id):
        if kept.taken:
            return kept.body == document
    return None


def _foreign(tx: Tx, bank_id: str, account: str, entries: Sequence[Entry]) -> str:
    """Why this bank may not say this: another account, or payments that it was not given; empty if it may."""
    own = read_account(trust.get_member(tx, trust.MemberId(bank_id)).account).number
    if account != own:
        return f"it speaks of the account {account}, and the settlement account there is {own}"
    told = desk_store.payments_by_id(tx, sorted({one.end_to_end_id for one in entries}))
    for one in told:
        if _file(tx, one.message_id).bank_id != bank_id:
            return f"it speaks of {one.end_to_end_id}, which another bank was given"
    return ""


_DIFFERS = "it says something else than the message that was taken under this id"


def _take_report(
    ctx: Context, bank_id: str, report: StatusReport, form: str, document: bytes, signature: bytes
) -> Taken:
    why, facts = "", list[PaymentFact]()
    with ctx.tx() as tx:
        desk_store.lock_file(tx, report.original_message_id)
        before = _was_taken(tx, bank_id, report.message_id, document)
        if before:
            return Taken(report.message_id, form, True, "", 0)
        if before is False:
            why = _DIFFERS
        else:
            file = store.find_file(tx, report.original_message_id)
            if file is None or file.bank_id != bank_id:
                why = f"it speaks of {report.original_message_id}, which this bank was never sent"
            else:
                told = store.instructions_of_file(tx, file.message_id)
                facts, why = _facts_of(report, file, told, ctx.clock.now(), bank_id)
        if why:
            _keep(
                tx,
                ctx,
                bank_id,
                report.message_id,
                form,
                report.original_message_id,
                document,
                signature,
                why,
                taken=False,
            )
            return Taken(report.message_id, form, False, why, 0)
        _keep(tx, ctx, bank_id, report.message_id, form, report.original_message_id, document, signature)
        new = desk_store.add_said(tx, facts)
        telling.tell_answers(tx, facts)
    return Taken(report.message_id, form, True, "", new)


def _facts_of(
    report: StatusReport, file: FileRecord, told: Sequence[Instruction], at: datetime, bank_id: str
) -> tuple[list[PaymentFact], str]:
    """What a report says of each payment, the particular before the general; or why it cannot be taken."""
    by_payment = {part.end_to_end_id: part for part in report.parts if part.end_to_end_id}
    by_block = {part.block_id: part for part in report.parts if part.block_id}
    if strange := sorted({*by_payment} - {one.end_to_end_id for one in told}):
        return [], f"it speaks of {strange[0]}, which is not in {file.message_id}"
    facts: list[PaymentFact] = []
    for one in told:
        block = one.end_to_end_id if one.direction is Direction.IN else short(f"{file.message_id}-OUT", 35)
        part = by_payment.get(one.end_to_end_id)
        if part is None and file.form == form_of(PAIN_001):
            part = by_block.get(block)
        part = part or report.whole
        if part is not None and part.reason != NEVER_CAME:
            facts.append(_fact(one.end_to_end_id, part, report.message_id, report.created_at, at, bank_id))
    return facts, ""


def _fact(
    end_to_end_id: str, part: PaymentStatus, source: str, said_at: datetime, at: datetime, bank_id: str
) -> PaymentFact:
    why = " ".join(text for text in (part.reason, part.detail) if text)
    return PaymentFact(end_to_end_id, part.answer, source, said_at, bank_id, at, part.code, why)


def _take_notice(ctx: Context, bank_id: str, form: str, document: bytes, signature: bytes) -> Taken:
    """An announced entry that agrees says that the payment is accepted. Booked it is by the statement alone."""
    notice = read_camt054(document)
    now = ctx.clock.now()
    with ctx.tx() as tx:
        before = _was_taken(tx, bank_id, notice.message_id, document)
        if before:
            return Taken(notice.message_id, form, True, "", 0)
        wrong = _DIFFERS if before is False else _foreign(tx, bank_id, notice.account, notice.entries)
        if wrong:
            kept = (notice.message_id, form, notice.account, document, signature)
            _keep(tx, ctx, bank_id, *kept, wrong, taken=False)
            return Taken(notice.message_id, form, False, wrong, 0)
        ids = sorted({entry.end_to_end_id for entry in notice.entries})
        told = {one.end_to_end_id: one for one in desk_store.payments_by_id(tx, ids)}
        facts: list[PaymentFact] = []
        odd: list[str] = []
        for entry in notice.entries:
            one = told.get(entry.end_to_end_id)
            if (
                one is None
                or entry.reversal
                or (one.amount, one.direction) != (entry.amount, entry.direction)
            ):
                odd.append(entry.end_to_end_id or f"entry {entry.place}")
                continue
            facts.append(
                PaymentFact(
                    one.end_to_end_id,
                    Answer.ACCEPTED,
                    notice.message_id,
                    notice.created_at,
                    bank_id,
                    now,
                    "camt.054",
                    "announced by the bank",
                )
            )
        why = f"does not agree: {', '.join(odd)}"[:1000] if odd else ""
        _keep(tx, ctx, bank_id, notice.message_id, form, notice.account, document, signature, why)
        new = desk_store.add_said(tx, facts)
        telling.tell_answers(tx, facts)
    return Taken(notice.message_id, form, True, why, new)
