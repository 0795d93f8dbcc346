"""The desk: two persons, totals, what is sent once, what is asked, what is paid anew, and every refusal."""

import hashlib
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import TypedDict

import pytest

from bank.weeks import LEAGUE_KEY, BankSpec, DirectLink, Weeks, bank_key, ride
from hansa import clearing, settlement, trust
from hansa.apps.bank import Conduct
from hansa.kernel import InvalidInput
from hansa.settlement import BadProfile, BadSignature, NoAnswer, State, Step, TurnedAway, desk
from hansa.settlement.camt053 import write_camt053, write_camt054
from hansa.settlement.delivery import Arrived, read_receipt, receipt_of
from hansa.settlement.life import Answer
from hansa.settlement.model import Direction, Entry, Notice, Statement
from hansa.settlement.signing import sign_file
from hansa.settlement.status import PaymentStatus, StatusReport, write_status
from hansa.store import Context

BANK = BankSpec("east-bank", ("CNY",), "UTC")
DAY = date(2028, 3, 1)
FILE = "HANSA-20280301-CNY"


@pytest.fixture
def weeks(ctx: Context) -> Weeks:
    """A league whose first day is ridden and closed, at 20:05, and a bank without mishaps."""
    weeks = Weeks(ctx, [BANK], {"east-bank": Conduct()}, DAY, 1, kills=0.0)
    weeks.clock.at = datetime.fromisoformat("2028-03-01T12:00:00Z")
    ride(ctx, DAY, ["CNY"], weeks.rng)
    weeks.clock.at = datetime.fromisoformat("2028-03-01T20:05:00Z")
    clearing.close_day(ctx, DAY)
    return weeks


def everything(ctx: Context) -> object:
    """All rows of settlement, to compare before and after."""
    tables = (
        "files",
        "file_facts",
        "instructions",
        "payment_facts",
        "messages",
        "receipts",
        "banks",
        "matches",
    )
    with ctx.tx() as tx:
        return [tx.execute(f"select * from settlement.{name} order by 1, 2, 3").fetchall() for name in tables]  # pyright: ignore[reportArgumentType, reportCallIssue]


class Totals(TypedDict):
    """What whoever releases a file names."""

    count: int
    control_sum_minor: int


def totals(ctx: Context, message_id: str = FILE, *, more: tuple[int, int] = (0, 0)) -> Totals:
    with ctx.tx() as tx:
        file = desk.view_file(tx, message_id).file
    return {"count": file.transactions + more[0], "control_sum_minor": file.control_sum_minor + more[1]}


def states(ctx: Context) -> set[State]:
    with ctx.tx() as tx:
        return {one.state for one in desk.list_payments(tx)}


def let_go(ctx: Context, message_id: str = FILE) -> None:
    for person in ("ann", "bob"):
        desk.release(ctx, message_id, by=person, **totals(ctx, message_id))


def say(
    weeks: Weeks,
    name: str,
    parts: list[tuple[str, str]],
    *,
    file: str = FILE,
    whole: str = "",
    minutes: int = 0,
) -> desk.Taken:
    """The bank says so, some minutes from now."""
    weeks.clock.at += timedelta(minutes=minutes)
    report = StatusReport(
        name,
        weeks.clock.at,
        file,
        "pain.001.001.09",
        PaymentStatus("", "", Answer.RECEIVED, whole) if whole else None,
        tuple(PaymentStatus(one, "", Answer.RECEIVED, code) for one, code in parts),
    )
    document = write_status(report)
    return desk.take(weeks.ctx, "east-bank", document, sign_file(bank_key("east-bank"), document))


def ids(ctx: Context) -> list[str]:
    with ctx.tx() as tx:
        return [one.told.end_to_end_id for one in desk.list_payments(tx)]


def test_preparing_again_changes_nothing(weeks: Weeks) -> None:
    first = desk.prepare(weeks.ctx, DAY)
    before = everything(weeks.ctx)

    again = desk.prepare(weeks.ctx, DAY, by="ann")

    assert again == first and everything(weeks.ctx) == before
    assert [file.execution_day for file in first] == [date(2028, 3, 2)]


def test_a_file_of_the_program_is_released_by_two_persons_who_name_its_totals(weeks: Weeks) -> None:
    desk.prepare(weeks.ctx, DAY)
    told = totals(weeks.ctx)

    first = desk.release(weeks.ctx, FILE, by="ann", **told)
    again = desk.release(weeks.ctx, FILE, by="ann", **told)
    second = desk.release(weeks.ctx, FILE, by="bob", why="looked at it", **told)

    assert (first.lacking, again.lacking, second.lacking) == (1, 1, 0)
    assert again.facts == first.facts
    assert [(fact.step, fact.by_whom) for fact in second.facts if fact.step is Step.RELEASED] == [
        (Step.RELEASED, "bob")
    ]
    paid = sum(one.pays_minor for one in second.members)
    assert paid == sum(one.receives_minor for one in second.members) > 0
    assert paid * 2 == told["control_sum_minor"]
    assert states(weeks.ctx) == {State.RELEASED}


def test_who_prepared_a_file_cannot_release_it(weeks: Weeks) -> None:
    desk.prepare(weeks.ctx, DAY, by="ann")
    before = everything(weeks.ctx)

    for person in ("ann", desk.PROGRAM):
        with pytest.raises(desk.SamePerson):
            desk.release(weeks.ctx, FILE, by=person, **totals(weeks.ctx))

    assert everything(weeks.ctx) == before
    assert desk.release(weeks.ctx, FILE, by="bob", **totals(weeks.ctx)).lacking == 0


@pytest.mark.parametrize("more", [(1, 0), (0, 1), (-1, -1)])
def test_a_file_is_not_released_under_other_totals(weeks: Weeks, more: tuple[int, int]) -> None:
    desk.prepare(weeks.ctx, DAY)
    before = everything(weeks.ctx)

    with pytest.raises(desk.TotalsDiffer):
        desk.release(weeks.ctx, FILE, by="ann", **totals(weeks.ctx, more=more))

    assert everything(weeks.ctx) == before


def test_nothing_is_sent_that_is_not_released(weeks: Weeks) -> None:
    desk.prepare(weeks.ctx, DAY)
    desk.release(weeks.ctx, FILE, by="ann", **totals(weeks.ctx))

    sent = desk.deliver(weeks.ctx, "east-bank", weeks.links["east-bank"], LEAGUE_KEY)

    assert sent == desk.Delivered((), (), (), ())
    assert not weeks.links["east-bank"].handed and states(weeks.ctx) == {State.PREPARED}


def test_a_file_without_a_receipt_is_handed_over_again_the_same(weeks: Weeks) -> None:
    desk.prepare(weeks.ctx, DAY)
    let_go(weeks.ctx)
    link = weeks.links["east-bank"]
    link.bank.conduct = Conduct(lost_receipts=100.0)
    first = desk.deliver(weeks.ctx, "east-bank", link, LEAGUE_KEY)
    assert states(weeks.ctx) == {State.SENT}
    link.bank.conduct = Conduct()

    second = desk.deliver(weeks.ctx, "east-bank", link, LEAGUE_KEY)
    third = desk.deliver(weeks.ctx, "east-bank", link, LEAGUE_KEY)

    assert (first.open, second.acknowledged, third) == ((FILE,), (FILE,), desk.Delivered((), (), (), ()))
    assert len(link.handed[FILE]) == 1
    with weeks.ctx.tx() as tx:
        [document] = link.handed[FILE]
        assert settlement.file_document(tx, FILE) == document
    assert states(weeks.ctx) == {State.ACKNOWLEDGED}


def test_a_file_that_the_bank_turns_away_is_rejected(weeks: Weeks) -> None:
    desk.prepare(weeks.ctx, DAY)
    let_go(weeks.ctx)

    class Closed(DirectLink):
        def hand_over(self, message_id: str, document: bytes, signature: bytes) -> bytes:
            raise TurnedAway("this account is closed")

    closed = Closed(weeks.links["east-bank"].bank, "east-bank", weeks.clock)

    sent = desk.deliver(weeks.ctx, "east-bank", closed, LEAGUE_KEY)

    assert sent.refused == (FILE,) and states(weeks.ctx) == {State.REJECTED}
    anew = desk.pay_anew(weeks.ctx, ids(weeks.ctx), by="carl", why="another bank account")
    assert [file.transactions for file in anew] == [totals(weeks.ctx)["count"]]


def sent_and_known(weeks: Weeks) -> list[str]:
    desk.prepare(weeks.ctx, DAY)
    let_go(weeks.ctx)
    desk.deliver(weeks.ctx, "east-bank", weeks.links["east-bank"], LEAGUE_KEY)
    return ids(weeks.ctx)


def state_of(weeks: Weeks, name: str) -> State:
    with weeks.ctx.tx() as tx:
        return desk.get_payment(tx, name)[0].state


def test_silence_is_asked_after_and_never_sent_again(weeks: Weeks) -> None:
    names = sent_and_known(weeks)
    assert desk.ask(weeks.ctx, "east-bank", LEAGUE_KEY) == []

    weeks.clock.at += timedelta(minutes=241)
    asked = desk.ask(weeks.ctx, "east-bank", LEAGUE_KEY)
    again = desk.ask(weeks.ctx, "east-bank", LEAGUE_KEY)
    desk.deliver(weeks.ctx, "east-bank", weeks.links["east-bank"], LEAGUE_KEY)

    assert len(asked) == 1 and again == []
    assert {state_of(weeks, name) for name in names} == {State.UNKNOWN}
    handed = weeks.links["east-bank"].handed
    assert set(handed) == {FILE, asked[0]} and len(handed[FILE]) == 1
    with pytest.raises(desk.NotReplaceable):
        desk.pay_anew(weeks.ctx, names[:1], by="carl", why="impatience")


def test_a_rejection_counts_once_it_was_asked_after(weeks: Weeks) -> None:
    name, *others = sent_and_known(weeks)
    say(weeks, "S1", [(name, "RJCT")], minutes=1)
    before = everything(weeks.ctx)
    with pytest.raises(desk.NotReplaceable):
        desk.pay_anew(weeks.ctx, [name], by="carl", why="it was rejected")
    assert everything(weeks.ctx) == before

    weeks.clock.at += timedelta(minutes=1)
    asked = desk.ask(weeks.ctx, "east-bank", LEAGUE_KEY)
    say(weeks, "S2", [(name, "RJCT")], minutes=1)
    [file] = desk.pay_anew(weeks.ctx, [name], by="carl", why="another account")

    assert len(asked) == 1 and file.transactions == 1
    with weeks.ctx.tx() as tx:
        old, _, said = desk.get_payment(tx, name)
        new, facts, _ = desk.get_payment(tx, str(old.replaced_by))
    assert new.told.replaces == name and new.told.attempt == 1 and new.state is State.PREPARED
    assert new.told.amount_minor == old.told.amount_minor
    assert [(fact.step, fact.by_whom, fact.why) for fact in facts] == [
        (Step.PREPARED, "carl", "another account")
    ]
    assert [fact.answer for fact in said] == [Answer.REJECTED, Answer.ASKED, Answer.REJECTED]
    with pytest.raises(desk.NotReplaceable):
        desk.pay_anew(weeks.ctx, [name], by="dora", why="once more")
    with pytest.raises(desk.SamePerson):
        desk.release(weeks.ctx, file.message_id, by="carl", **totals(weeks.ctx, file.message_id))
    assert others


def test_a_payment_made_anew_is_held_while_the_old_one_may_still_be_carried_out(weeks: Weeks) -> None:
    name, *_ = sent_and_known(weeks)
    say(weeks, "S1", [(name, "RJCT")], minutes=1)
    weeks.clock.at += timedelta(minutes=1)
    desk.ask(weeks.ctx, "east-bank", LEAGUE_KEY)
    say(weeks, "S2", [(name, "RJCT")], minutes=1)
    [file] = desk.pay_anew(weeks.ctx, [name], by="carl", why="another account")
    desk.release(weeks.ctx, file.message_id, by="ann", **totals(weeks.ctx, file.message_id))

    say(weeks, "S3", [(name, "ACSP")], minutes=1)
    sent = desk.deliver(weeks.ctx, "east-bank", weeks.links["east-bank"], LEAGUE_KEY)

    assert sent.held == (file.message_id,) and file.message_id not in weeks.links["east-bank"].handed
    with weeks.ctx.tx() as tx:
        assert desk.get_payment(tx, name)[0].wrong == "the bank accepted it and rejected it"


def test_nobody_pays_anew_without_a_name_and_a_reason(weeks: Weeks) -> None:
    name, *_ = sent_and_known(weeks)
    before = everything(weeks.ctx)

    with pytest.raises(desk.SamePerson):
        desk.pay_anew(weeks.ctx, [name], by=desk.PROGRAM, why="a rule")
    with pytest.raises(InvalidInput):
        desk.pay_anew(weeks.ctx, [name], by="carl", why=" ")
    with pytest.raises(desk.UnknownPayment):
        desk.pay_anew(weeks.ctx, ["HANSA-NOBODY"], by="carl", why="a reason")

    assert everything(weeks.ctx) == before


def test_a_report_heard_twice_changes_nothing(weeks: Weeks) -> None:
    names = sent_and_known(weeks)
    first = say(weeks, "S1", [(names[0], "PDNG")], whole="ACCP")
    before = everything(weeks.ctx)

    again = say(weeks, "S1", [(names[0], "PDNG")], whole="ACCP")

    assert (first.new, again.new) == (len(names), 0) and everything(weeks.ctx) == before
    assert state_of(weeks, names[0]) is State.PENDING and state_of(weeks, names[1]) is State.ACCEPTED


def test_what_cannot_be_taken_is_kept_for_a_person_and_changes_no_payment(weeks: Weeks) -> None:
    names = sent_and_known(weeks)
    say(weeks, "S1", [(names[0], "ACSP")])
    before = [state_of(weeks, name) for name in names]

    other = say(weeks, "S1", [(names[0], "RJCT")])
    strange = say(weeks, "S2", [("HANSA-NOBODY", "ACSP")])
    foreign = say(weeks, "S3", [], file="HANSA-20280301-JPY", whole="ACSP")
    junk = desk.take(weeks.ctx, "east-bank", b"<a/>", sign_file(bank_key("east-bank"), b"<a/>"))

    assert not any(one.taken for one in (other, strange, foreign, junk))
    assert [state_of(weeks, name) for name in names] == before
    with weeks.ctx.tx() as tx:
        kept = desk.set_aside(tx)
    assert {one.message_id for one in kept} == {"S1", "S2", "S3", hashlib.sha256(b"<a/>").hexdigest()[:35]}
    assert all(one.why and one.body for one in kept)


def test_what_the_bank_did_not_sign_is_not_kept(weeks: Weeks) -> None:
    sent_and_known(weeks)
    before = everything(weeks.ctx)

    with pytest.raises(BadSignature):
        desk.take(weeks.ctx, "east-bank", b"<a/>", sign_file(LEAGUE_KEY, b"<a/>"))
    with pytest.raises(desk.UnknownBank):
        desk.take(weeks.ctx, "west-bank", b"<a/>", b"")

    assert everything(weeks.ctx) == before


def test_a_notice_that_agrees_accepts_and_books_nothing(weeks: Weeks) -> None:
    names = sent_and_known(weeks)
    with weeks.ctx.tx() as tx:
        told = [one.told for one in desk.list_payments(tx)]
    entries = [
        Entry(n, one.end_to_end_id, one.amount, one.direction, True, DAY, f"R{n}")
        for n, one in enumerate(told, start=1)
    ]
    entries[0] = replace(entries[0], amount=entries[0].amount + entries[0].amount)
    document = write_camt054(Notice("N1", "ACC-east-bank", weeks.clock.at, tuple(entries)), "CNY")

    taken = desk.take(weeks.ctx, "east-bank", document, sign_file(bank_key("east-bank"), document))

    assert taken.taken and names[0] in taken.why and taken.new == len(names) - 1
    assert {state_of(weeks, name) for name in names[1:]} == {State.ACCEPTED}
    assert state_of(weeks, names[0]) is State.ACKNOWLEDGED


def test_a_bank_speaks_of_its_own_account_and_payments_alone(weeks: Weeks) -> None:
    names = sent_and_known(weeks)
    west = replace(BANK, bank_id="west-bank", currencies=("JPY",))
    with weeks.ctx.tx() as tx:
        own = trust.MemberId("west-bank")
        trust.add_members(tx, [trust.Member(own, "West", "bank", None, own, west.account)])
        desk.set_profile(tx, west.profile, by="olga", at=weeks.clock.at)
        told = desk.get_payment(tx, names[0])[0].told
    entry = Entry(1, names[0], told.amount, told.direction, True, DAY, "R1")
    moved = told.amount.minor if told.direction is Direction.IN else -told.amount.minor

    def statement(account: str) -> bytes:
        return write_camt053(Statement("S9", account, "CNY", weeks.clock.at, 0, moved, (entry,)))

    def notice(account: str) -> bytes:
        return write_camt054(Notice("N9", account, weeks.clock.at, (entry,)), "CNY")

    for make in (statement, notice):
        for bank_id, account in (("west-bank", "ACC-west-bank"), ("east-bank", "ACC-west-bank")):
            document = make(account)
            taken = desk.take(weeks.ctx, bank_id, document, sign_file(bank_key(bank_id), document))
            assert not taken.taken and taken.why
    assert state_of(weeks, names[0]) is State.ACKNOWLEDGED
    with weeks.ctx.tx() as tx:
        assert len(desk.set_aside(tx)) == 4 and settlement.open_breaks(tx) == []


def test_a_profile_that_cannot_hold_changes_nothing(weeks: Weeks) -> None:
    before = everything(weeks.ctx)
    taken = replace(BANK, bank_id="west-bank")
    with weeks.ctx.tx() as tx:
        own = trust.MemberId("west-bank")
        trust.add_members(tx, [trust.Member(own, "West", "bank", None, own, "HNSAWEXX/1")])

    with weeks.ctx.tx() as tx, pytest.raises(BadProfile) as refused:
        desk.set_profile(tx, taken.profile, by="olga", at=weeks.clock.at)
    with weeks.ctx.tx() as tx:
        desk.set_profile(tx, BANK.profile, by="olga", at=weeks.clock.at)

    assert "CNY settles at east-bank" in str(refused.value)
    assert everything(weeks.ctx) == before


def test_a_bank_that_is_lost_for_good_is_told_by_collect(weeks: Weeks) -> None:
    link = weeks.links["east-bank"]
    link.bank.conduct = Conduct(down=100.0)

    with pytest.raises(NoAnswer):
        desk.collect(weeks.ctx, "east-bank", link)


def test_what_anybody_puts_at_the_door_is_left_there(weeks: Weeks) -> None:
    class Littered(DirectLink):
        gone: tuple[str, ...] = ()

        def arrived(self) -> list[Arrived]:
            return [Arrived("junk.xml", b"<a/>", b"")]

        def take_away(self, name: str) -> None:
            self.gone = (*self.gone, name)

    link = Littered(weeks.links["east-bank"].bank, "east-bank", weeks.clock)

    [taken] = desk.collect(weeks.ctx, "east-bank", link)

    assert not taken.taken and link.gone == ()


def test_receipts_are_for_the_bytes_that_were_handed_over() -> None:
    at = datetime.fromisoformat("2028-03-01T20:05:00Z")
    read_receipt(receipt_of("A", b"1", at), "A", b"1")
    for receipt in (b"", b"[]", b"{", receipt_of("B", b"1", at), receipt_of("A", b"2", at)):
        with pytest.raises(NoAnswer):
            read_receipt(receipt, "A", b"1")
    with pytest.raises(TurnedAway):
        read_receipt(receipt_of("A", b"1", at, refused="no"), "A", b"1")
