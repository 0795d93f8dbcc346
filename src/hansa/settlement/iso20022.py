"""What ISO 20022 messages share: texts a bank takes, accounts, identifiers, and reading XML without being harmed."""

import re
import unicodedata
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from uuid import UUID
from xml.etree import ElementTree as ET
from xml.parsers.expat import ErrorString

from hansa.kernel import BIC, fact_id, is_iban

PAIN_001: Final = "urn:iso:std:iso:20022:tech:xsd:pain.001.001.09"
PAIN_002: Final = "urn:iso:std:iso:20022:tech:xsd:pain.002.001.10"
PACS_002: Final = "urn:iso:std:iso:20022:tech:xsd:pacs.002.001.10"
PACS_008: Final = "urn:iso:std:iso:20022:tech:xsd:pacs.008.001.08"
PACS_009: Final = "urn:iso:std:iso:20022:tech:xsd:pacs.009.001.08"
PACS_028: Final = "urn:iso:std:iso:20022:tech:xsd:pacs.028.001.03"
CAMT_053: Final = "urn:iso:std:iso:20022:tech:xsd:camt.053.001.08"
CAMT_054: Final = "urn:iso:std:iso:20022:tech:xsd:camt.054.001.08"

TEXT = re.compile(r"[A-Za-z0-9/\-?:().,'+ ]+")
"""The characters every bank takes. Source: EPC217-08, SEPA requirements for an extended character set, section 6.2."""

UETR = re.compile(r"[a-f0-9]{8}-[a-f0-9]{4}-4[a-f0-9]{3}-[89ab][a-f0-9]{3}-[a-f0-9]{12}")
"""UUIDv4Identifier. Source: the published XSD."""

NOT_PROVIDED: Final = "NOTPROVIDED"
"""What stands for an agent that is not known."""


@dataclass(frozen=True, slots=True)
class BankAccount:
    """An account at a bank: ``number`` is an IBAN or the bank's own number; bic is empty where not known."""

    number: str
    bic: str = ""

    @property
    def is_iban(self) -> bool:
        """Its form and its check digits are those of an IBAN."""
        return is_iban(self.number)


class DocumentRefused(Exception):
    """This is not an XML document we read. where: line and column, or the element; what: why; remedy."""

    def __init__(self, where: str, what: str, remedy: str) -> None:
        super().__init__(f"{where}: {what}")
        self.where, self.what, self.remedy = where, what, remedy


class _NoDoctype(ET.TreeBuilder):
    """Builds the tree, and refuses the one construct by which XML reads files and swells without bound."""

    def doctype(self, name: str, *_: object) -> None:
        raise DocumentRefused("the DOCTYPE", f"{name!r} is declared", "Send the message without a DOCTYPE")


def read_account(text: str) -> BankAccount:
    """A member's bank account as trust keeps it: ``BIC/number``, or the number alone.

    ``BARCGB22XXX/GB33BUKB20201555555555``, ``HNSACNBJXXX/6222-0001``, ``GB33BUKB20201555555555``.
    """
    head, slash, tail = text.partition("/")
    if slash and BIC.fullmatch(head):
        return BankAccount(_number(tail), head)
    return BankAccount(_number(text))


def plain(text: str, limit: int, *, instead: str) -> str:
    """A text in the characters every bank takes, at most ``limit`` long; ``instead`` where nothing is left of it."""
    flat = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    kept = re.sub(r"[^A-Za-z0-9/\-?:().,'+ ]", " ", flat)
    return " ".join(kept.split()).strip("/")[:limit].rstrip() or instead[:limit]


def short(text: str, limit: int) -> str:
    """An identifier cut to ``limit`` so that two different ones stay different."""
    if len(text) <= limit:
        return text
    return f"{text[: limit - 9]}-{fact_id(None, text).hex[-8:]}"


def uetr_of(end_to_end_id: str) -> str:
    """The end-to-end transaction reference of an instruction: always the same, in the form of a UUIDv4."""
    number = fact_id(None, "uetr", end_to_end_id).int
    number = number & ~(0xF << 76) | 0x4 << 76
    return str(UUID(int=number))


def instant(at: datetime) -> str:
    """ISODateTime in UTC, to the second."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def read_xml(document: bytes, *, size_max: int) -> ET.Element:
    """The root of a document from outside. No DOCTYPE, so no entities of its own, no files, no swelling.

    Errors: DocumentRefused, saying where.
    """
    if len(document) > size_max:
        raise DocumentRefused(
            "the whole",
            f"{len(document)} bytes are more than {size_max}",
            "Send it in parts, or ask for more room",
        )
    # The construct that the rule fears, the DOCTYPE, is refused by the tree builder.
    parser = ET.XMLParser(target=_NoDoctype())  # noqa: S314
    try:
        parser.feed(document)
        return parser.close()
    except ET.ParseError as error:
        line, column = error.position
        raise DocumentRefused(
            f"line {line}, column {column + 1}",
            f"not well-formed XML ({ErrorString(error.code)})",
            "Send the file as it was written",
        ) from error
    except (UnicodeError, LookupError, ValueError) as error:
        raise DocumentRefused("the XML declaration", f"cannot be decoded ({error})", "Send UTF-8") from error


def write_xml(root: ET.Element) -> bytes:
    """A document as UTF-8 bytes, indented, the same every time."""
    ET.indent(root, space="  ")
    return (
        b'<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode").encode() + b"\n"
    )


def form_of(namespace: str) -> str:
    """The message definition that a namespace names, such as ``pacs.009.001.08``; empty for any other namespace."""
    head, _, form = namespace.rpartition(":")
    return form if head == "urn:iso:std:iso:20022:tech:xsd" else ""


def add_text(parent: ET.Element, name: str, text: str) -> ET.Element:
    """An element that holds a text."""
    element = ET.SubElement(parent, name)
    element.text = text
    return element


def add_account(parent: ET.Element, name: str, account: BankAccount, currency: str) -> None:
    """An account by its IBAN, or by the bank's own number."""
    element = ET.SubElement(parent, name)
    number = ET.SubElement(element, "Id")
    if account.is_iban:
        add_text(number, "IBAN", account.number)
    else:
        add_text(ET.SubElement(number, "Othr"), "Id", account.number or NOT_PROVIDED)
    add_text(element, "Ccy", currency)


def add_agent(parent: ET.Element, name: str, bic: str) -> None:
    """A bank by its BIC; where it is not known, the text that says so."""
    bank = ET.SubElement(ET.SubElement(parent, name), "FinInstnId")
    if bic:
        add_text(bank, "BICFI", bic)
    else:
        add_text(ET.SubElement(bank, "Othr"), "Id", NOT_PROVIDED)


def split_tag(element: ET.Element) -> tuple[str, str]:
    """Namespace and local name of an element."""
    if element.tag.startswith("{"):
        namespace, _, local = element.tag[1:].partition("}")
        return namespace, local
    return "", element.tag


def _number(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9/\-?:().,'+]", "", text)[:34]
