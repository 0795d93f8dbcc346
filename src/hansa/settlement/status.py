"""What a bank says of payments, and how it is asked: pain.002.001.10, pacs.002.001.10 and pacs.028.001.03. Pure.

A report names the message it speaks of and gives a status to the whole, to a block of it, or to single payments. The
codes are those of ISO 20022's external code sets ExternalPaymentGroupStatus1Code and
ExternalPaymentTransactionStatus1Code; what they mean here is ``MEANING``.
Source: the published XSDs and message definition reports of the three messages.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Final
from xml.etree import ElementTree as ET

from hansa.kernel import HansaError, Problem
from hansa.settlement.iso20022 import (
    PACS_002,
    PACS_028,
    PAIN_001,
    PAIN_002,
    add_text,
    form_of,
    instant,
    plain,
    short,
    uetr_of,
    write_xml,
)
from hansa.settlement.life import Answer
from hansa.settlement.xml_reading import Reader, Unreadable, read_root, refusals

STATUS_BYTES_MAX: Final = 32 * 1024 * 1024

MEANING: Final[dict[str, Answer]] = {
    **dict.fromkeys(("ACTC", "ACCP", "ACSP", "ACSC", "ACCC", "ACWC", "ACWP", "ACFC"), Answer.ACCEPTED),
    **dict.fromkeys(("PDNG", "PATC"), Answer.PENDING),
    **dict.fromkeys(("RJCT", "CANC"), Answer.REJECTED),
    "RCVD": Answer.RECEIVED,
}
"""What a status code says of a payment. PART stands for the whole and says nothing of one payment."""

_NO_ANSWER: Final = "PART"


class BadStatus(HansaError):
    """This is not a status report we can read; nothing of it was taken."""

    code: ClassVar[str] = "settlement.bad_status"
    status: ClassVar[int] = 422


@dataclass(frozen=True, slots=True)
class PaymentStatus:
    """What is said of one payment, or of one block: one of the two ids is empty. reason: a code such as AC04."""

    end_to_end_id: str
    block_id: str
    answer: Answer
    code: str
    reason: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class StatusReport:
    """What a bank says of one message. whole: of all payments for which nothing else is said; None if nothing."""

    message_id: str
    created_at: datetime
    original_message_id: str
    original_form: str
    whole: PaymentStatus | None
    parts: tuple[PaymentStatus, ...] = ()


@dataclass(frozen=True, slots=True)
class StatusRequest:
    """A question to the bank: what has become of these payments of a message?"""

    message_id: str
    created_at: datetime
    original_message_id: str
    original_form: str
    end_to_end_ids: tuple[str, ...]


def write_status(report: StatusReport) -> bytes:
    """A report as a bank would send it: pain.002 about a pain.001, pacs.002 about any other message."""
    if report.original_form == form_of(PAIN_001):
        return _write_pain002(report)
    return _write_pacs002(report)


def read_status(document: bytes) -> StatusReport:
    """A report, of either kind. Errors: BadStatus, saying where."""
    with refusals(lambda problems: BadStatus(problems=problems)):
        namespace, body = read_root(document, size_max=STATUS_BYTES_MAX)
        if namespace not in (PAIN_002, PACS_002):
            raise body.wrong(f"it is of {namespace[:80] or 'no namespace'}", f"Send {PAIN_002} or {PACS_002}")
        header = body.child("GrpHdr")
        groups = body.children("OrgnlGrpInfAndSts")
        if len(groups) != 1:
            raise Unreadable(
                Problem(
                    f"{body.where}/OrgnlGrpInfAndSts",
                    f"there are {len(groups)}",
                    "Send a report about one message",
                )
            )
        group = groups[0]
        parts: list[PaymentStatus] = []
        for block in body.children("OrgnlPmtInfAndSts"):
            block_id = block.child("OrgnlPmtInfId").identifier()
            told = _answer(block, "PmtInfSts", block_id=block_id)
            parts += [told] if told else []
            parts += [_of_payment(payment) for payment in block.children("TxInfAndSts")]
        parts += [_of_payment(payment) for payment in body.children("TxInfAndSts")]
        return StatusReport(
            message_id=header.child("MsgId").identifier(),
            created_at=header.child("CreDtTm").instant(),
            original_message_id=group.child("OrgnlMsgId").identifier(),
            original_form=group.child("OrgnlMsgNmId").identifier(),
            whole=_answer(group, "GrpSts"),
            parts=tuple(parts),
        )


def write_request(request: StatusRequest) -> bytes:
    """A pacs.028 that asks after payments of one message."""
    document = ET.Element("Document", {"xmlns": PACS_028})
    root = ET.SubElement(document, "FIToFIPmtStsReq")
    header = ET.SubElement(root, "GrpHdr")
    add_text(header, "MsgId", request.message_id)
    add_text(header, "CreDtTm", instant(request.created_at))
    group = ET.SubElement(root, "OrgnlGrpInf")
    add_text(group, "OrgnlMsgId", request.original_message_id)
    add_text(group, "OrgnlMsgNmId", request.original_form)
    for number, end_to_end_id in enumerate(request.end_to_end_ids, start=1):
        payment = ET.SubElement(root, "TxInf")
        add_text(payment, "StsReqId", short(f"{request.message_id}-{number}", 35))
        add_text(payment, "OrgnlInstrId", end_to_end_id)
        add_text(payment, "OrgnlEndToEndId", end_to_end_id)
        add_text(payment, "OrgnlUETR", uetr_of(end_to_end_id))
    return write_xml(document)


def read_request(document: bytes) -> StatusRequest:
    """What a pacs.028 asks after. Errors: BadStatus, saying where."""
    with refusals(lambda problems: BadStatus(problems=problems)):
        namespace, body = read_root(document, size_max=STATUS_BYTES_MAX)
        if namespace != PACS_028:
            raise body.wrong(f"it is of {namespace[:80] or 'no namespace'}", f"Send {PACS_028}")
        header, group = body.child("GrpHdr"), body.child("OrgnlGrpInf")
        return StatusRequest(
            header.child("MsgId").identifier(),
            header.child("CreDtTm").instant(),
            group.child("OrgnlMsgId").identifier(),
            group.child("OrgnlMsgNmId").identifier(),
            tuple(one.child("OrgnlEndToEndId").identifier() for one in body.children("TxInf")),
        )


# --- reading


def _of_payment(payment: Reader) -> PaymentStatus:
    told = _answer(payment, "TxSts", end_to_end_id=payment.child("OrgnlEndToEndId").identifier())
    if told is None:
        raise payment.wrong("it gives no status", "Give one of " + ", ".join(MEANING))
    uetr = payment.find("OrgnlUETR")
    if uetr is not None and uetr.text() != uetr_of(told.end_to_end_id):
        raise uetr.wrong(f"it is not that of {told.end_to_end_id}", "Send back both as they were given")
    return told


def _answer(
    reader: Reader, name: str, *, end_to_end_id: str = "", block_id: str = ""
) -> PaymentStatus | None:
    code = reader.find(name)
    if code is None or code.text() == _NO_ANSWER:
        return None
    if code.text() not in MEANING:
        raise code.wrong(f"{code.text()[:10]!r} is no status we know", "Give one of " + ", ".join(MEANING))
    why = reader.find("StsRsnInf")
    choice = why.find("Rsn") if why else None
    return PaymentStatus(
        end_to_end_id=end_to_end_id,
        block_id=block_id,
        answer=MEANING[code.text()],
        code=code.text(),
        reason=(choice.text_of("Cd") or choice.text_of("Prtry"))[:35] if choice else "",
        detail=why.text_of("AddtlInf")[:105] if why else "",
    )


# --- writing


def _write_pain002(report: StatusReport) -> bytes:
    document = ET.Element("Document", {"xmlns": PAIN_002})
    root = ET.SubElement(document, "CstmrPmtStsRpt")
    _header(root, report)
    _group(root, report)
    for block_id, told in _by_block(report.parts):
        block = ET.SubElement(root, "OrgnlPmtInfAndSts")
        add_text(block, "OrgnlPmtInfId", block_id)
        for one in told:
            if one.end_to_end_id:
                _payment(block, one)
            else:
                add_text(block, "PmtInfSts", one.code)
                _reason(block, one)
    return write_xml(document)


def _by_block(parts: Sequence[PaymentStatus]) -> list[tuple[str, list[PaymentStatus]]]:
    """What is said, by block; of a payment whose block is not named, the block has the payment's own id."""
    blocks: dict[str, list[PaymentStatus]] = {}
    for told in parts:
        blocks.setdefault(told.block_id or told.end_to_end_id, []).append(told)
    return [(block_id, sorted(told, key=lambda one: one.end_to_end_id)) for block_id, told in blocks.items()]


def _write_pacs002(report: StatusReport) -> bytes:
    document = ET.Element("Document", {"xmlns": PACS_002})
    root = ET.SubElement(document, "FIToFIPmtStsRpt")
    _header(root, report)
    _group(root, report)
    for told in report.parts:
        assert told.end_to_end_id, "pacs.002 knows no blocks"
        _payment(root, told)
    return write_xml(document)


def _header(root: ET.Element, report: StatusReport) -> None:
    header = ET.SubElement(root, "GrpHdr")
    add_text(header, "MsgId", report.message_id)
    add_text(header, "CreDtTm", instant(report.created_at))


def _group(root: ET.Element, report: StatusReport) -> None:
    group = ET.SubElement(root, "OrgnlGrpInfAndSts")
    add_text(group, "OrgnlMsgId", report.original_message_id)
    add_text(group, "OrgnlMsgNmId", report.original_form)
    if report.whole is not None:
        add_text(group, "GrpSts", report.whole.code)
        _reason(group, report.whole)
    elif report.parts:
        add_text(group, "GrpSts", _NO_ANSWER)


def _payment(parent: ET.Element, told: PaymentStatus) -> None:
    payment = ET.SubElement(parent, "TxInfAndSts")
    add_text(payment, "OrgnlInstrId", told.end_to_end_id)
    add_text(payment, "OrgnlEndToEndId", told.end_to_end_id)
    add_text(payment, "OrgnlUETR", uetr_of(told.end_to_end_id))
    add_text(payment, "TxSts", told.code)
    _reason(payment, told)


def _reason(parent: ET.Element, told: PaymentStatus) -> None:
    if not told.reason and not told.detail:
        return
    why = ET.SubElement(parent, "StsRsnInf")
    if told.reason:
        kind = "Cd" if len(told.reason) <= 4 else "Prtry"
        add_text(ET.SubElement(why, "Rsn"), kind, told.reason)
    if told.detail:
        add_text(why, "AddtlInf", plain(told.detail, 105, instead="no words"))
