"""Messages to and from banks: valid by the published definitions, and read as they were written."""

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, date, datetime
from decimal import Decimal
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hansa.kernel import CURRENCY_EXPONENTS, Money
from hansa.settlement import FORMS, Direction
from hansa.settlement.camt053 import read_camt054, write_camt053, write_camt054
from hansa.settlement.iso20022 import UETR, uetr_of
from hansa.settlement.life import Answer
from hansa.settlement.model import BadStatement, Entry, FileRecord, Instruction, Notice, Statement
from hansa.settlement.status import (
    MEANING,
    BadStatus,
    PaymentStatus,
    StatusReport,
    StatusRequest,
    read_request,
    read_status,
    write_request,
    write_status,
)
from settlement.schemas import schema

AT = datetime(2028, 2, 29, 20, 0, 1, tzinfo=UTC)
DAY = date(2028, 2, 29)


def file_of(form: str, told: list[Instruction], *, account: str = "HNSASGSGXXX/001-1") -> bytes:
    currency = told[0].currency
    record = FileRecord(
        "HANSA-20280229",
        DAY,
        currency,
        AT,
        "League",
        account,
        sum(one.amount_minor for one in told),
        len(told),
        b"",
        form=form,
        execution_day=date(2028, 3, 1),
    )
    return FORMS[form].write(record, told)


def payment(
    name: str, minor: int, currency: str, direction: Direction, account: str, number: int
) -> Instruction:
    return Instruction(f"HANSA-{number}", DAY, currency, f"m{number}", direction, minor, "", name, account)


PAYMENTS = st.lists(
    st.tuples(
        st.text(max_size=80),
        st.integers(1, 10**13),
        st.sampled_from(Direction),
        st.sampled_from(
            ["HNSACNBJXXX/6222-17", "BUKBGB22/GB33BUKB20201555555555", "GB33BUKB20201555555555", "x", ""]
        ),
    ),
    min_size=1,
    max_size=5,
)


@pytest.mark.parametrize("form", FORMS)
@settings(max_examples=40, deadline=None)
@given(payments=PAYMENTS, currency=st.sampled_from(sorted(CURRENCY_EXPONENTS)))
def test_whatever_is_paid_the_file_is_valid(
    form: str, payments: list[tuple[str, int, Direction, str]], currency: str
) -> None:
    told = [
        payment(name, minor, currency, way, account, number)
        for number, (name, minor, way, account) in enumerate(payments)
    ]

    document = file_of(form, told)

    schema(form).validate(document)
    assert FORMS[form].validate(document) == []
    texts = [
        element.text for element in ET.fromstring(document).iter() if element.tag.endswith("}EndToEndId")
    ]
    assert sorted(filter(None, texts)) == sorted(one.end_to_end_id for one in told)


# currency | minor units | as the bank reads it
DECIMALS = [("JPY", 1_234, "1234"), ("CNY", 1_234, "12.34"), ("KWD", 1_234, "1.234"), ("CNY", 5, "0.05")]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("currency", "minor", "text"), DECIMALS)
def test_an_amount_has_the_decimals_of_its_currency(form: str, currency: str, minor: int, text: str) -> None:
    document = file_of(form, [payment("A", minor, currency, Direction.OUT, "HNSACNBJXXX/1", 1)])

    assert f'Ccy="{currency}">{text}</'.encode() in document
    assert FORMS[form].validate(document) == []


GOOD = file_of(
    "pacs.009.001.08",
    [
        payment("A", 1_000, "CNY", Direction.IN, "HNSACNBJXXX/1", 1),
        payment("B", 500, "CNY", Direction.OUT, "HNSACNHZXXX/2", 2),
    ],
)

# what is changed in a good pacs.009 | into what | where the check points
FAULTS = [
    (b"<MsgId>HANSA-20280229</MsgId>", b"", "MsgId"),
    (b"<NbOfTxs>2</NbOfTxs>", b"<NbOfTxs>3</NbOfTxs>", "GrpHdr/NbOfTxs"),
    (b"<CtrlSum>15.00</CtrlSum>", b"<CtrlSum>15.01</CtrlSum>", "GrpHdr/CtrlSum"),
    (b'<TtlIntrBkSttlmAmt Ccy="CNY">15.00', b'<TtlIntrBkSttlmAmt Ccy="CNY">15.02', "TtlIntrBkSttlmAmt"),
    (b">5.00</IntrBkSttlmAmt>", b">5.001</IntrBkSttlmAmt>", "IntrBkSttlmAmt"),
    (b">5.00</IntrBkSttlmAmt>", b">0.00</IntrBkSttlmAmt>", "IntrBkSttlmAmt"),
    (b"<SttlmMtd>CLRG", b"<SttlmMtd>ELSE", "SttlmMtd"),
    (b"<BICFI>HNSACNBJXXX", b"<BICFI>nobody", "BICFI"),
    (b"<EndToEndId>HANSA-2", b"<EndToEndId>HANSA-1", "EndToEndId"),
    (b"2028-03-01", b"2028-02-30", "IntrBkSttlmDt"),
    (b"pacs.009.001.08", b"pacs.009.001.07", "Document"),
    (b'<?xml version="1.0" encoding="UTF-8"?>', b"<!DOCTYPE a [<!ENTITY b 'c'>]>", "DOCTYPE"),
]


@pytest.mark.parametrize(("old", "new", "where"), FAULTS)
def test_the_check_points_at_what_a_bank_would_refuse(old: bytes, new: bytes, where: str) -> None:
    assert old in GOOD

    problems = FORMS["pacs.009.001.08"].validate(GOOD.replace(old, new, 1))

    assert any(where in problem.where for problem in problems), problems
    assert all(problem.what and problem.remedy for problem in problems)


IDS = st.text(st.sampled_from("ABCxyz019-"), min_size=1, max_size=35)
CODES = st.sampled_from(sorted(MEANING))
REASONS = st.sampled_from(["", "AC04", "MS03", "a reason of its own"])


def statuses(block: bool) -> st.SearchStrategy[list[PaymentStatus]]:
    def one(name: str, code: str, reason: str) -> PaymentStatus:
        return PaymentStatus(name, "", MEANING[code], code, reason)

    return st.lists(
        st.builds(one, IDS, CODES, REASONS), max_size=6, unique_by=lambda told: told.end_to_end_id
    )


@pytest.mark.parametrize("original", ["pain.001.001.09", "pacs.008.001.08", "pacs.009.001.08"])
@settings(max_examples=40, deadline=None)
@given(parts=statuses(block=False), whole=st.none() | CODES)
def test_a_report_is_valid_and_read_as_it_was_written(
    original: str, parts: list[PaymentStatus], whole: str | None
) -> None:
    told = StatusReport(
        "REPORT-1",
        AT,
        "HANSA-1",
        original,
        None if whole is None else PaymentStatus("", "", MEANING[whole], whole),
        tuple(parts),
    )

    document = write_status(told)

    schema("pain.002.001.10" if original.startswith("pain") else "pacs.002.001.10").validate(document)
    assert read_status(document) == told


@settings(max_examples=30, deadline=None)
@given(ids=st.lists(IDS, min_size=1, max_size=8))
def test_a_question_is_valid_and_read_as_it_was_written(ids: list[str]) -> None:
    asked = StatusRequest("ASK-1", AT, "HANSA-1", "pain.001.001.09", tuple(ids))

    document = write_request(asked)

    schema("pacs.028.001.03").validate(document)
    assert read_request(document) == asked


@pytest.mark.parametrize(("currency", "minor", "text"), DECIMALS)
def test_statements_and_notices_are_valid(currency: str, minor: int, text: str) -> None:
    entries = (
        Entry(1, "HANSA-1", Money(minor, currency), Direction.IN, True, DAY, "R1"),
        Entry(2, "HANSA-1", Money(minor, currency), Direction.OUT, True, DAY, "R2", reversal=True),
    )
    statement = Statement("STATEMENT-1", "0017-88", currency, AT, 5, 5, entries)
    notice = Notice("NOTICE-1", "GB33BUKB20201555555555", AT, entries)

    schema("camt.053.001.08").validate(write_camt053(statement))
    schema("camt.054.001.08").validate(write_camt054(notice, currency))

    assert read_camt054(write_camt054(notice, currency)) == notice
    assert Decimal(text) * 10 ** CURRENCY_EXPONENTS[currency] == minor


REPORT = write_status(
    StatusReport(
        "REPORT-1",
        AT,
        "HANSA-1",
        "pacs.009.001.08",
        None,
        (PaymentStatus("A", "", Answer.REJECTED, "RJCT", "AC04"),),
    )
)

# what is changed in a good report | into what | where the answer points
BAD: list[tuple[bytes, bytes, str]] = [
    (b"<MsgId>REPORT-1</MsgId>", b"", "GrpHdr/MsgId"),
    (b"<TxSts>RJCT", b"<TxSts>WHAT", "TxSts"),
    (b"<TxSts>RJCT</TxSts>", b"", "TxInfAndSts[1]"),
    (b"<OrgnlEndToEndId>A<", b"<OrgnlEndToEndId>B<", "OrgnlUETR"),
    (b"2028-02-29T20:00:01Z", b"yesterday", "CreDtTm"),
    (b"<OrgnlGrpInfAndSts>", b"<OrgnlGrpInfAndSts/><OrgnlGrpInfAndSts>", "OrgnlGrpInfAndSts"),
    (b"pacs.002.001.10", b"pacs.002.001.01", "FIToFIPmtStsRpt"),
    (b'<?xml version="1.0" encoding="UTF-8"?>', b'<!DOCTYPE a SYSTEM "file:///etc/passwd">', "DOCTYPE"),
]


@pytest.mark.parametrize(("old", "new", "where"), BAD)
def test_a_bad_report_is_refused_with_the_place(old: bytes, new: bytes, where: str) -> None:
    assert old in REPORT

    with pytest.raises(BadStatus) as refused:
        read_status(REPORT.replace(old, new, 1))

    assert any(where in problem.where for problem in refused.value.problems), refused.value.problems


READERS: list[Callable[[bytes], object]] = [read_status, read_request, read_camt054]


@given(junk=st.binary(max_size=120), at=st.integers(0, len(REPORT)), cut=st.integers(0, 50))
def test_no_bytes_at_all_do_more_than_be_refused(junk: bytes, at: int, cut: int) -> None:
    for document in (junk, REPORT[:at] + junk + REPORT[at + cut :]):
        for read in READERS:
            with suppress(BadStatus, BadStatement):
                read(document)


@given(name=st.text(max_size=60))
def test_a_uetr_has_the_form_of_a_uuidv4_and_is_always_the_same(name: str) -> None:
    assert UETR.fullmatch(uetr_of(name)) and uetr_of(name) == uetr_of(name)
