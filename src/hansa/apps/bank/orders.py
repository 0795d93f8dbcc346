"""What a payment file tells the bank to do, whichever of the three forms it has."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import ClassVar

from hansa.kernel import HansaError, Money, Problem
from hansa.settlement import FORMS
from hansa.settlement.iso20022 import PAIN_001, form_of
from hansa.settlement.pain001 import FILE_BYTES_MAX
from hansa.settlement.xml_reading import Reader, read_root, refusals


class BadOrder(HansaError):
    """The bank does not take this file."""

    code: ClassVar[str] = "bank.bad_order"
    status: ClassVar[int] = 422


@dataclass(frozen=True, slots=True)
class Order:
    """One payment. debtor, creditor: account numbers. block_id: the block of a pain.001, else empty."""

    end_to_end_id: str
    block_id: str
    amount: Money
    debtor: str
    creditor: str


@dataclass(frozen=True, slots=True)
class OrderFile:
    """A file. wanted: the day on which the money is to move."""

    message_id: str
    form: str
    wanted: date
    orders: tuple[Order, ...]


def read_orders(document: bytes) -> OrderFile:
    """A pain.001, pacs.008 or pacs.009. Errors: BadOrder with everything that is wrong with it."""
    with refusals(lambda problems: BadOrder(problems=problems)):
        namespace, body = read_root(document, size_max=FILE_BYTES_MAX)
        form = form_of(namespace)
        if form not in FORMS:
            raise BadOrder(
                problems=(Problem("Document", f"{namespace[:80]} is taken by nobody here", "Send another"),)
            )
        if problems := FORMS[form].validate(document):
            raise BadOrder(problems=tuple(problems))
        header = body.child("GrpHdr")
        if namespace == PAIN_001:
            wanted = body.child("PmtInf").child("ReqdExctnDt").day()
            orders = tuple(_of_blocks(body))
        else:
            wanted = header.child("IntrBkSttlmDt").day()
            orders = tuple(
                Order(
                    _id(payment),
                    "",
                    payment.child("IntrBkSttlmAmt").money(),
                    _number(payment, "DbtrAcct"),
                    _number(payment, "CdtrAcct"),
                )
                for payment in body.children("CdtTrfTxInf")
            )
        return OrderFile(header.child("MsgId").identifier(), form, wanted, orders)


def _of_blocks(body: Reader) -> Iterator[Order]:
    for block in body.children("PmtInf"):
        for payment in block.children("CdtTrfTxInf"):
            yield Order(
                _id(payment),
                block.child("PmtInfId").identifier(),
                payment.child("Amt").child("InstdAmt").money(),
                _number(block, "DbtrAcct"),
                _number(payment, "CdtrAcct"),
            )


def _id(payment: Reader) -> str:
    return payment.child("PmtId").child("EndToEndId").identifier()


def _number(reader: Reader, name: str) -> str:
    number = reader.child(name).child("Id")
    iban = number.find("IBAN")
    return iban.text() if iban else number.child("Othr").child("Id").text()
