"""From what members owe to the files that move it: pure, and the same for the same window.

The window's model says what moves; of the league's business day, a profile says whether nets or single debts do. A
profile says how large a payment and a file may be, and on which day the bank moves them.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import ClassVar

from hansa.clearing import NetPosition, Window
from hansa.kernel import HansaError, Problem
from hansa.settlement.forms import FORMS
from hansa.settlement.iso20022 import read_account
from hansa.settlement.model import Direction, FileRecord, Instruction, end_to_end_id, message_id
from hansa.settlement.profile import Profile
from hansa.trust import MemberId


class NotPayable(HansaError):
    """The bank cannot be told of this as it stands. Nothing was prepared."""

    code: ClassVar[str] = "settlement.not_payable"
    status: ClassVar[int] = 409


@dataclass(frozen=True, slots=True)
class Owed:
    """An amount that moves between a member and the settlement account, in minor units above zero."""

    member_id: str
    direction: Direction
    minor: int
    counterparty: str = ""


@dataclass(frozen=True, slots=True)
class Party:
    """A member as files name it. account: as trust keeps it, ``BIC/number``."""

    name: str
    account: str


def owed_net(nets: Iterable[NetPosition], currency: str) -> list[Owed]:
    """Each member's net: who owes pays in, who is owed is paid out."""
    return [
        Owed(net.member_id, Direction.IN if net.net < 0 else Direction.OUT, abs(net.net))
        for net in nets
        if net.currency == currency and net.net
    ]


def owed_gross(matrix: Mapping[tuple[MemberId, MemberId, str], int], currency: str) -> list[Owed]:
    """Each amount that one member owes another: the one pays it in, and the other is paid it out."""
    owed: list[Owed] = []
    for (payer, payee), minor in sorted(_debts(matrix, currency).items()):
        owed.append(Owed(payer, Direction.IN, minor, payee))
        owed.append(Owed(payee, Direction.OUT, minor, payer))
    return owed


def owed_in_pairs(matrix: Mapping[tuple[MemberId, MemberId, str], int], currency: str) -> list[Owed]:
    """What each two members owe each other on balance: the one pays it in, and the other is paid it out."""
    debts = _debts(matrix, currency)
    nets = {pair: minor - debts.get((pair[1], pair[0]), 0) for pair, minor in debts.items()}
    return owed_gross(
        {(MemberId(a), MemberId(b), currency): net for (a, b), net in nets.items() if net > 0}, currency
    )


def owed_in_and_out(matrix: Mapping[tuple[MemberId, MemberId, str], int], currency: str) -> list[Owed]:
    """All that a member owes, and all that it is owed, each as one amount."""
    sums: dict[tuple[str, Direction], int] = {}
    for (payer, payee), minor in _debts(matrix, currency).items():
        for key in ((payer, Direction.IN), (payee, Direction.OUT)):
            sums[key] = sums.get(key, 0) + minor
    return [Owed(member, way, minor, ALL) for (member, way), minor in sorted(sums.items())]


ALL = "all"
"""The counterparty where a member's debts and claims are paid apart, each for all members together."""


def owed_of(
    window: Window,
    nets: Iterable[NetPosition],
    matrix: Mapping[tuple[MemberId, MemberId, str], int],
    currency: str,
    *,
    profile: Profile,
) -> list[Owed]:
    """What moves for a window in a currency, as its model says; a bank's profile may ask for single debts."""
    if window.sides == "bilateral":
        return (owed_in_pairs if window.basis == "net" else owed_gross)(matrix, currency)
    if window.basis == "gross":
        return owed_in_and_out(matrix, currency)
    return owed_net(nets, currency) if profile.basis == "net" else owed_gross(matrix, currency)


def _debts(matrix: Mapping[tuple[MemberId, MemberId, str], int], currency: str) -> dict[tuple[str, str], int]:
    """What one owes another, above zero: a debt below zero is the other's."""
    sums: dict[tuple[str, str], int] = {}
    for (debtor, creditor, code), minor in matrix.items():
        if code == currency and minor:
            pair = (debtor, creditor) if minor > 0 else (creditor, debtor)
            sums[pair] = sums.get(pair, 0) + abs(minor)
    return sums


def instructions_for(
    window: Window,
    currency: str,
    owed: Iterable[Owed],
    parties: Mapping[str, Party],
    *,
    payment_max_minor: int,
) -> list[Instruction]:
    """The payments, the larger ones in pieces; not yet in files."""
    told: list[Instruction] = []
    for one in owed:
        left, piece = one.minor, 0
        while left:
            minor = min(left, payment_max_minor)
            more = [str(one.direction), one.counterparty] if one.counterparty else []
            more += [f"P{piece}"] if piece else []
            told.append(
                Instruction(
                    end_to_end_id=end_to_end_id(window.window_id, currency, one.member_id, *more),
                    day=window.business_day,
                    currency=currency,
                    member_id=one.member_id,
                    direction=one.direction,
                    amount_minor=minor,
                    message_id="",
                    name=parties[one.member_id].name,
                    account=parties[one.member_id].account,
                    counterparty=one.counterparty,
                    piece=piece,
                    window_id=window.window_id,
                )
            )
            left -= minor
            piece += 1
    return sorted(told, key=lambda one: one.end_to_end_id)


def anew(old: Instruction, party: Party) -> Instruction:
    """The payment that is instructed in the place of one that was rejected or came back; it names the old one."""
    more = [f"A{old.attempt + 1}"]
    more += [str(old.direction), old.counterparty] if old.counterparty else []
    more += [f"P{old.piece}"] if old.piece else []
    return replace(
        old,
        end_to_end_id=end_to_end_id(old.window_id, old.currency, old.member_id, *more),
        message_id="",
        name=party.name,
        account=party.account,
        attempt=old.attempt + 1,
        replaces=old.end_to_end_id,
    )


def files_for(
    told: Sequence[Instruction],
    *,
    profile: Profile,
    settlement: Party,
    created_at: datetime,
    first_part: int = 0,
) -> list[tuple[FileRecord, list[Instruction]]]:
    """Payments of one window and currency in as many files as the bank's limits need, in the order of their ids.

    Errors: NotPayable where the form needs each side's bank and one is not known.
    """
    form = FORMS[profile.form]
    if form.between_banks:
        _refuse_unknown_banks(told, settlement)
    files: list[list[Instruction]] = []
    total = 0
    for one in told:
        limit = profile.limit(one.currency).file_max_minor
        if not files or len(files[-1]) >= profile.payments_max or total + one.amount_minor > limit:
            files.append([])
            total = 0
        files[-1].append(one)
        total += one.amount_minor
    return [
        _file(payments, profile, settlement, created_at, part)
        for part, payments in enumerate(files, start=first_part)
    ]


def _file(
    payments: Sequence[Instruction], profile: Profile, settlement: Party, created_at: datetime, part: int
) -> tuple[FileRecord, list[Instruction]]:
    day, window_id, currency = payments[0].day, payments[0].window_id, payments[0].currency
    name = message_id(window_id, currency, part)
    record = FileRecord(
        message_id=name,
        day=day,
        currency=currency,
        created_at=created_at,
        holder=settlement.name,
        account=settlement.account,
        control_sum_minor=sum(one.amount_minor for one in payments),
        transactions=len(payments),
        digest=b"",
        bank_id=profile.bank_id,
        form=profile.form,
        part=part,
        execution_day=profile.calendar.day_for(day + timedelta(days=1), handed_in_at=created_at),
        window_id=window_id,
    )
    return record, [replace(one, message_id=name) for one in payments]


def _refuse_unknown_banks(told: Sequence[Instruction], settlement: Party) -> None:
    lacking = {one.member_id for one in told if not read_account(one.account).bic}
    problems = [
        Problem(f"member {member}", "its account names no bank", "Give it as BIC/number")
        for member in sorted(lacking)
    ]
    if not read_account(settlement.account).bic:
        problems.append(Problem("the settlement account", "it names no bank", "Give it as BIC/number"))
    if problems:
        raise NotPayable(problems=tuple(problems))
