"""Bank statements: matched with what was instructed, booked once, and what disagrees is kept for a person."""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clearing.example_day import DAY, OVER, ride_all, set_clock
from hansa import clearing, ledger, payments, settlement
from hansa.kernel import CURRENCY_EXPONENTS, Money
from hansa.settlement import Direction, Mishap, Progress, SimulatedBank
from hansa.settlement.camt053 import read_camt053, write_camt053
from hansa.settlement.model import Entry, Statement
from hansa.store import Context

AT = datetime(2026, 11, 18, 6, tzinfo=UTC)


class Killed(Exception):
    """The process was killed here."""


def killed_at(step: str) -> Callable[[str], None]:
    def watch(name: str) -> None:
        if name == step:
            raise Killed(step)

    return watch


def instruct(ctx: Context, folder: Path) -> dict[str, bytes]:
    """The example day, closed and instructed: its files by currency."""
    ride_all(ctx)
    set_clock(ctx, OVER)
    clearing.close_day(ctx, DAY)
    return {file.currency: file.path.read_bytes() for file in settlement.write_files(ctx, DAY, folder)}


def told(currency: str, member: str) -> str:
    return f"HANSA-20261117-{currency}-{member}"


def everything(ctx: Context) -> object:
    """The books and settlement's rows, to compare before and after."""
    with ctx.tx() as tx:
        return (
            ledger.trial_balance(tx),
            ledger.block_head(tx),
            settlement.progress(tx, DAY),
            settlement.open_breaks(tx),
            tx.execute("select * from settlement.matches order by 1").fetchall(),
            tx.execute("select * from settlement.statements order by 1").fetchall(),
        )


def cash(ctx: Context, member: str, currency: str) -> int:
    with ctx.tx() as tx:
        return ledger.balance(tx, payments.cash_account(member, currency)).debit_minor


def earned(ctx: Context, member: str, currency: str) -> int:
    with ctx.tx() as tx:
        return ledger.balance(tx, clearing.earned_account(member, currency)).credit_minor


def progress(ctx: Context) -> Mapping[str, Progress]:
    with ctx.tx() as tx:
        return settlement.progress(tx, DAY)


def test_a_day_is_settled_when_the_bank_has_moved_all_of_it(ctx: Context, tmp_path: Path) -> None:
    documents = instruct(ctx, tmp_path)
    bank = SimulatedBank()

    read = settlement.read_statement(ctx, bank.statement_for(documents["CNY"], at=AT))

    assert (len(read.matched), read.breaks, read.settled) == (4, (), ((DAY, "CNY"),))
    assert progress(ctx) == {"CNY": Progress.SETTLED, "HKD": Progress.INSTRUCTED}
    assert [cash(ctx, member, "CNY") for member in ("beijing", "hangzhou", "hong-kong", "league")] == [
        982,
        -396,
        -593,
        7,
    ]
    assert (earned(ctx, "beijing-subway", "CNY"), earned(ctx, "beijing-card", "CNY")) == (1_772, 10)
    with ctx.tx() as tx:
        rows = {(row.code, row.currency): row for row in ledger.trial_balance(tx).rows}
        for code in (ledger.AccountCode.POSITION, ledger.AccountCode.DUE, ledger.AccountCode.SETTLEMENT):
            row = rows[code, "CNY"]
            assert row.debits_posted == row.credits_posted
        assert ledger.verify(tx) == []


def test_the_bank_program_carries_out_a_folder(ctx: Context, tmp_path: Path) -> None:
    instruct(ctx, tmp_path)

    statements = SimulatedBank(ctx.clock).run(tmp_path)

    assert [len(settlement.read_statement(ctx, path).matched) for path in statements] == [4, 4]
    assert set(progress(ctx).values()) == {Progress.SETTLED}


def test_reading_a_statement_again_changes_nothing(ctx: Context, tmp_path: Path) -> None:
    documents = instruct(ctx, tmp_path)
    statement = SimulatedBank(mishaps={told("CNY", "league"): Mishap.LOSE}).statement_for(
        documents["CNY"], at=AT
    )
    first = settlement.read_statement(ctx, statement)
    before = everything(ctx)

    again = settlement.read_statement(ctx, statement)

    assert again == first
    assert everything(ctx) == before


def test_a_statement_read_by_several_at_once_is_booked_once(committed_ctx: Context, tmp_path: Path) -> None:
    documents = instruct(committed_ctx, tmp_path)
    statement = SimulatedBank().statement_for(documents["CNY"], at=AT)

    with ThreadPoolExecutor(4) as pool:
        reads = list(pool.map(settlement.read_statement, [committed_ctx] * 4, [statement] * 4))

    assert all(read == reads[0] for read in reads)
    assert (len(reads[0].matched), reads[0].settled) == (4, ((DAY, "CNY"),))
    assert cash(committed_ctx, "beijing", "CNY") == 982
    assert earned(committed_ctx, "beijing-subway", "CNY") == 1_772


@pytest.mark.parametrize("step", ["matched", "moved", "earned", "settled"])
def test_a_kill_between_any_two_steps_leaves_the_same_cents(ctx: Context, tmp_path: Path, step: str) -> None:
    documents = instruct(ctx, tmp_path)
    statement = SimulatedBank().statement_for(documents["HKD"], at=AT)
    with pytest.raises(Killed):
        settlement.read_statement(ctx, statement, step=killed_at(step))

    read = settlement.read_statement(ctx, statement)

    assert (len(read.matched), read.settled) == (4, ((DAY, "HKD"),))
    assert (cash(ctx, "hong-kong", "HKD"), earned(ctx, "hong-kong-mtr", "HKD")) == (3_103, 3_103)


def test_the_sweeper_ends_what_a_kill_left(ctx: Context, tmp_path: Path) -> None:
    documents = instruct(ctx, tmp_path)
    with pytest.raises(Killed):
        settlement.read_statement(
            ctx, SimulatedBank().statement_for(documents["HKD"], at=AT), step=killed_at("matched")
        )

    assert settlement.finish(ctx) == [(DAY, "HKD")]
    assert settlement.finish(ctx) == []

    assert earned(ctx, "hong-kong-mtr", "HKD") == 3_103


def test_what_the_bank_lost_is_missing_until_a_later_statement_has_it(ctx: Context, tmp_path: Path) -> None:
    documents = instruct(ctx, tmp_path)
    bank = SimulatedBank(mishaps={told("CNY", "hangzhou"): Mishap.LOSE})

    read = settlement.read_statement(ctx, bank.statement_for(documents["CNY"], at=AT))

    assert len(read.matched) == 3 and read.settled == ()
    [lost] = read.breaks
    assert (lost.kind, lost.end_to_end_id, lost.expected_minor) == ("missing", told("CNY", "hangzhou"), 396)
    assert cash(ctx, "beijing", "CNY") == 982  # what did move is booked
    assert earned(ctx, "beijing-subway", "CNY") == 0  # and nobody has earned before it all has

    late = settlement.read_statement(ctx, bank.late_statement("HANSA-20261117-CNY"))

    assert (len(late.matched), late.breaks, late.settled) == (1, (), ((DAY, "CNY"),))
    assert (cash(ctx, "hangzhou", "CNY"), earned(ctx, "beijing-subway", "CNY")) == (-396, 1_772)
    with ctx.tx() as tx:
        assert settlement.open_breaks(tx) == []


def test_what_the_bank_booked_twice_is_matched_once_and_the_other_is_a_break(
    ctx: Context, tmp_path: Path
) -> None:
    documents = instruct(ctx, tmp_path)
    bank = SimulatedBank(mishaps={told("CNY", "beijing"): Mishap.DUPLICATE})

    read = settlement.read_statement(ctx, bank.statement_for(documents["CNY"], at=AT))

    assert (len(read.matched), read.settled) == (4, ((DAY, "CNY"),))
    assert [(one.kind, one.end_to_end_id, one.found_minor) for one in read.breaks] == [
        ("duplicate", told("CNY", "beijing"), 982)
    ]
    assert cash(ctx, "beijing", "CNY") == 982


def test_what_the_bank_misstated_is_a_break_and_is_not_booked(ctx: Context, tmp_path: Path) -> None:
    documents = instruct(ctx, tmp_path)
    bank = SimulatedBank(mishaps={told("CNY", "beijing"): Mishap.MISSTATE})

    read = settlement.read_statement(ctx, bank.statement_for(documents["CNY"], at=AT))

    assert (len(read.matched), read.settled) == (3, ())
    assert [(one.kind, one.expected_minor, one.found_minor) for one in read.breaks] == [("amount", 982, 983)]
    assert progress(ctx)["CNY"] is Progress.INSTRUCTED
    with ctx.tx() as tx, pytest.raises(ledger.UnknownAccount):  # opened when its money first moves
        ledger.balance(tx, payments.cash_account("nobody", "CNY"))
    assert cash(ctx, "beijing", "CNY") == 0


def changed(document: bytes, ctx: Context, change: Callable[[Entry], Entry]) -> bytes:
    """The bank's statement with its first entry changed, and its balance made to fit."""
    statement = read_camt053(SimulatedBank().statement_for(document, at=AT))
    entries = (change(statement.entries[0]), *statement.entries[1:])
    booked = [one for one in entries if one.booked and one.amount.currency == statement.currency]
    closing = sum(one.amount.minor * (1 if one.direction is Direction.IN else -1) for one in booked)
    return write_camt053(replace(statement, entries=entries, closing_minor=closing))


# what the bank does with the first entry | the break
DISAGREEMENTS: list[tuple[Callable[[Entry], Entry], str]] = [
    (lambda entry: replace(entry, end_to_end_id="SOMETHING-ELSE"), "unknown"),
    (lambda entry: replace(entry, direction=Direction.OUT), "direction"),
    (lambda entry: replace(entry, amount=Money(entry.amount.minor, "HKD")), "currency"),
    (lambda entry: replace(entry, amount=entry.amount + Money(100, "CNY")), "amount"),
    (lambda entry: replace(entry, booked=False), "not_booked"),
]


@pytest.mark.parametrize(("change", "kind"), DISAGREEMENTS)
def test_an_entry_that_disagrees_is_a_break(
    ctx: Context, tmp_path: Path, change: Callable[[Entry], Entry], kind: str
) -> None:
    documents = instruct(ctx, tmp_path)

    read = settlement.read_statement(ctx, changed(documents["CNY"], ctx, change))

    assert (len(read.matched), read.settled) == (3, ())
    assert kind in [one.kind for one in read.breaks]
    assert ("missing" in [one.kind for one in read.breaks]) is (kind == "unknown")
    assert cash(ctx, "hangzhou", "CNY") == 0


def test_another_statement_under_a_known_id_is_refused_and_nothing_changes(
    ctx: Context, tmp_path: Path
) -> None:
    documents = instruct(ctx, tmp_path)
    statement = SimulatedBank().statement_for(documents["CNY"], at=AT)
    settlement.read_statement(ctx, statement)
    before = everything(ctx)

    with pytest.raises(settlement.StatementDiffers):
        settlement.read_statement(ctx, statement.replace(b"2026-11-18T06:00:00Z", b"2026-11-18T07:00:00Z"))

    assert everything(ctx) == before


def test_the_bank_takes_a_file_once_and_refuses_a_bad_one(ctx: Context, tmp_path: Path) -> None:
    documents = instruct(ctx, tmp_path)
    bank = SimulatedBank()

    first = bank.statement_for(documents["CNY"], at=AT)

    assert bank.statement_for(documents["CNY"], at=AT.replace(hour=9)) == first
    with pytest.raises(settlement.BankRefused) as refused:
        bank.instruct(documents["CNY"].replace(b"<CtrlSum>19.78", b"<CtrlSum>19.77"))
    assert refused.value.problems[0].where == "GrpHdr/CtrlSum"


GOOD = write_camt053(
    Statement(
        "STATEMENT-1",
        "GB33BUKB20201555555555",
        "CNY",
        AT,
        0,
        700,
        (
            Entry(1, "HANSA-1", Money(1_000, "CNY"), Direction.IN, True, AT.date(), "R1"),
            Entry(2, "HANSA-2", Money(300, "CNY"), Direction.OUT, True, AT.date(), "R2"),
        ),
    )
)

# what is changed in a good statement | into what | where the answer points
BAD = [
    (b"<Stmt>", b"<Stmt", "line 9, column 7"),
    (GOOD, b"", "line 1"),
    (GOOD, b"\x00\x01", "line 1"),
    (GOOD, b"hello", "line 1"),
    (b'<?xml version="1.0" encoding="UTF-8"?>', b'<?xml version="1.0" encoding="nothing"?>', ""),
    (
        b'<?xml version="1.0" encoding="UTF-8"?>',
        b'<!DOCTYPE Document [<!ENTITY f SYSTEM "file:///etc/passwd">]>',
        "DOCTYPE",
    ),
    (b"camt.053.001.08", b"camt.054.001.08", "the root"),
    (b"<Id>STATEMENT-1</Id>", b"", "Stmt[1]/Id"),
    (b"<Id>STATEMENT-1</Id>", b"<Id>" + b"x" * 36 + b"</Id>", "Stmt[1]/Id"),
    (b"GB33BUKB20201555555555", b"GB34BUKB20201555555555", "Acct/Id/IBAN"),
    (b"<Ccy>CNY</Ccy>", b"<Ccy>XXY</Ccy>", "Acct/Ccy"),
    (b"<Cd>CLBD</Cd>", b"<Cd>FWAV</Cd>", "Bal"),
    (b">7.00</Amt>", b">7.01</Amt>", "Bal"),
    (b">3.00</Amt>", b">3.001</Amt>", "Ntry[2]/Amt"),
    (b">3.00</Amt>", b">-3.00</Amt>", "Ntry[2]/Amt"),
    (b">3.00</Amt>", b">3e0</Amt>", "Ntry[2]/Amt"),
    (b">3.00</Amt>", b">NaN</Amt>", "Ntry[2]/Amt"),
    (b">3.00</Amt>", b">999999999999999999</Amt>", "Ntry[2]/Amt"),
    (b'Ccy="CNY">3.00', b">3.00", "Ntry[2]/Amt"),
    (b"<CdtDbtInd>DBIT</CdtDbtInd>", b"<CdtDbtInd>BOTH</CdtDbtInd>", "Ntry[2]/CdtDbtInd"),
    (b"<EndToEndId>HANSA-2", b"<EndToEndId>" + b"x" * 36, "Ntry[2]/NtryDtls[1]/TxDtls[1]/Refs/EndToEndId"),
    (b"</Stmt>", b"</Stmt><Stmt/>", "Stmt"),
]


@pytest.mark.parametrize(("old", "new", "where"), BAD)
def test_a_bad_statement_is_refused_with_the_place_and_nothing_is_taken(
    ctx: Context, old: bytes, new: bytes, where: str
) -> None:
    assert old in GOOD

    with pytest.raises(settlement.BadStatement) as refused:
        settlement.read_statement(ctx, GOOD.replace(old, new, 1))

    assert any(where in problem.where for problem in refused.value.problems), refused.value.problems
    assert all(problem.what and problem.remedy for problem in refused.value.problems)
    with ctx.tx() as tx:
        assert tx.execute("select count(*) from settlement.statements").fetchone() == (0,)


def test_a_statement_that_is_too_large_is_refused_unread(ctx: Context) -> None:
    with pytest.raises(settlement.BadStatement) as refused:
        read_camt053(GOOD, size_max=len(GOOD) - 1)

    assert "more than" in refused.value.problems[0].what


def test_every_fault_of_a_statement_is_told_at_once() -> None:
    bad = GOOD.replace(b">10.00</Amt>", b">ten</Amt>").replace(b">3.00</Amt>", b">three</Amt>")

    with pytest.raises(settlement.BadStatement) as refused:
        read_camt053(bad)

    assert [problem.where.rpartition("Stmt[1]/")[2] for problem in refused.value.problems] == [
        "Ntry[1]/Amt",
        "Ntry[2]/Amt",
    ]


def test_older_forms_of_the_message_are_read() -> None:
    old = GOOD.replace(b"camt.053.001.08", b"camt.053.001.02").replace(b"<Cd>BOOK</Cd>", b"BOOK")

    assert read_camt053(old) == read_camt053(GOOD)


def test_several_payments_booked_in_one_sum_are_read_one_by_one() -> None:
    two = (
        b'<NtryDtls><TxDtls><Refs><EndToEndId>A</EndToEndId></Refs><Amt Ccy="CNY">4.00</Amt></TxDtls>'
        b'<TxDtls><Refs><EndToEndId>B</EndToEndId></Refs><Amt Ccy="CNY">6.00</Amt></TxDtls></NtryDtls>'
    )
    start, end = GOOD.index(b"<NtryDtls>"), GOOD.index(b"</NtryDtls>") + len(b"</NtryDtls>")

    statement = read_camt053(GOOD[:start] + two + GOOD[end:])

    assert [(entry.place, entry.end_to_end_id, entry.amount.minor) for entry in statement.entries] == [
        (1, "A", 400),
        (2, "B", 600),
        (3, "HANSA-2", 300),
    ]
    with pytest.raises(settlement.BadStatement):
        read_camt053(GOOD[:start] + two.replace(b"6.00", b"6.01") + GOOD[end:])


IDS = st.text(st.sampled_from("ABCxyz019-/ ?:().,'+"), min_size=1, max_size=35).map(str.strip).filter(bool)


@given(
    entries=st.lists(
        st.tuples(IDS, st.integers(1, 10**15), st.sampled_from(Direction), st.booleans()), max_size=8
    ),
    opening=st.integers(-(10**15), 10**15),
    currency=st.sampled_from(sorted(CURRENCY_EXPONENTS)),
)
def test_a_statement_is_read_as_it_was_written(
    entries: list[tuple[str, int, Direction, bool]], opening: int, currency: str
) -> None:
    booked = sum(minor if way is Direction.IN else -minor for _, minor, way, done in entries if done)
    statement = Statement(
        "STATEMENT-1",
        "0017-88",
        currency,
        AT,
        opening,
        opening + booked,
        tuple(
            Entry(place, name, Money(minor, currency), way, done, date(2026, 11, 18), "")
            for place, (name, minor, way, done) in enumerate(entries, start=1)
        ),
    )

    assert read_camt053(write_camt053(statement)) == statement


@given(junk=st.binary(max_size=200), at=st.integers(0, len(GOOD)), cut=st.integers(0, 50))
def test_no_bytes_at_all_do_more_than_be_refused(junk: bytes, at: int, cut: int) -> None:
    for document in (junk, GOOD[:at] + junk + GOOD[at + cut :]):
        with suppress(settlement.BadStatement):
            read_camt053(document)
