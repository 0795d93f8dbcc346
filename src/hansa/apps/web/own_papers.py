"""An owner's statement and receipts on paper, as a table, and as a bundle that proves itself.

The bundle is a zip: the statement as PDF and CSV, its figures in ``statement.json`` with the SHA-256 of both, and for
each line the receipt of its transfer, under a checkpoint that the city signed. ``hansa_verify.py statement`` checks all
of it without network: that the files are those that are named, that each line is what its receipt says and stands in
the log, and that opening balance and lines come to the closing balance. Each file has a seal beside (``seals``): the
PDF in its last line, and in a QR code that leads to a page which reads it.
"""

import base64
import csv
import hashlib
import io
import json
import zipfile
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import BinaryIO
from zoneinfo import ZoneInfo

import numpy as np
import zxingcpp

from hansa import payments, trust
from hansa.apps.own_statement import OwnLine, OwnStatement, Section, read_holds, read_lines
from hansa.apps.web.languages import Words
from hansa.apps.web.own_words import KIND_WORDS, About, Told, tell
from hansa.apps.web.pages import as_rfc3339, in_zone
from hansa.apps.web.seals import FORM, StatementSealer
from hansa.kernel import Directory, Money
from hansa.ledger import LogReader, Signer
from hansa.reports.paper import Column, Paper
from hansa.store import Tx

COLUMNS = (
    "booked_at", "happened_at", "kind", "what", "with", "amount", "currency", "balance", "transfer_id", "reference",
)  # fmt: skip
README = """This is a statement of a wallet, with the proof that its lines stand in the books.

statement.pdf   to read and print
statement.csv   the same lines as a table (RFC 4180, UTF-8)
statement.json  the figures, and the SHA-256 of both
seal.txt        what the city has signed of it: month, account, balances, SHA-256
receipts/       for each line, the receipt of its transfer

Take hansa_verify.py and the log's key from the city's own pages, not from here, and check without network:

    python hansa_verify.py statement THIS.zip --log-key 'KEY'
"""


def statement_rows(
    tx: Tx, directory: Directory, statement: OwnStatement, section: Section, say: Words
) -> Iterator[tuple[OwnLine, Told]]:
    """A wallet's lines in the month, each with its words."""
    for lines in read_lines(tx, statement, section):
        told = tell(tx, directory, statement.account, [about(line) for line in lines], say)
        yield from zip(lines, told, strict=True)


def about(line: OwnLine) -> About:
    """What of a line its words hang on."""
    return About(line.kind, line.reference, line.minor > 0)


def statement_csv(tx: Tx, directory: Directory, statement: OwnStatement, say: Words) -> Iterator[bytes]:
    """The statement as CSV, RFC 4180 in UTF-8, wallet by wallet, piece by piece.

    Each wallet begins with its opening balance and ends with its closing balance.
    """
    yield _csv([COLUMNS])
    for section in statement.sections:
        yield _csv([_balance_row(statement.begins_at, "opening_balance", section.opening)])
        for lines in read_lines(tx, statement, section):
            told = tell(tx, directory, statement.account, [about(line) for line in lines], say)
            yield _csv(
                [_line_row(line, words, section.currency) for line, words in zip(lines, told, strict=True)]
            )
        yield _csv([_balance_row(statement.ends_at, "closing_balance", section.closing)])


def statement_pdf(
    tx: Tx, directory: Directory, statement: OwnStatement, say: Words, sealer: StatementSealer
) -> bytes:
    """The statement on paper, with its seal in its last line."""
    number = f"{statement.name} {str(statement.account.account_id)[-12:]}"
    paper = Paper(
        title=f"{say('Statement')} {statement.name}",
        running_head=say("Hansa wallet"),
        foot=f"{number}   SHA-256 {sealer.table[:16]}",
        page_words=say("Page"),
    )
    issuer = trust.get_member(tx, trust.MemberId(statement.account.issuer_id)).name
    paper.heading(say("Statement"))
    last = statement.ends_at if statement.is_over else None
    paper.facts(
        [
            (say("Month"), say_month(statement, say)),
            (say("Account"), f"{statement.account.name} ({statement.account.account_id})"),
            (say("Issuer"), issuer),
            (say("Times"), statement.zone),
            (say("State"), say("Complete") if last else say("To date: the month is not over")),
        ],
        columns=1,
    )
    for section in statement.sections:
        _section(paper, tx, directory, statement, section, say)
    _owed(paper, tx, statement, say)
    _proof(paper, sealer, say)
    return sealer.closed(paper.finish())


def _proof(paper: Paper, sealer: StatementSealer, say: Words) -> None:
    """What a reader needs to check the paper: the state of the log, the table's digest, where to ask, and how alone."""
    paper.space(6)
    paper.heading(say("Proof"), 12)
    paper.text(
        say(
            "Every line stands in a log that can only grow, which the city signs. The file with proof shows it."
        )
    )
    seal = sealer.seal
    paper.facts(
        [
            (say("Log"), seal.log),
            (say("Entries of the log"), f"{seal.size}"),
            (say("Root"), base64.b64encode(seal.root).decode()),
            (say("Table’s SHA-256"), sealer.table),
            (say("With proof (ZIP)"), sealer.proof_address),
        ],
        columns=1,
    )
    paper.text(say("Log’s key"), 8.5)
    paper.text(sealer.log_key, 8.5)
    paper.text(
        say("Without us: {command}", command="python hansa_verify.py statement FILE.pdf --log-key KEY"), 8.5
    )
    paper.text(say("The code leads to a page that reads the city’s seal: compare it with this paper."))
    paper.space(4)
    paper.squares(_qr(sealer.address), 150)


def receipt_pdf(
    line: OwnLine, told: Told, currency: str, receipt: str, *, holder: str, issuer: str, zone: str, say: Words
) -> bytes:
    """A receipt of one line on paper. receipt: of its transfer, as JSON; its checkpoint and SHA-256 are shown."""
    digest = hashlib.sha256(receipt.encode()).hexdigest()
    paper = Paper(
        title=f"{say('Receipt')} {line.transfer_id}",
        running_head=say("Hansa wallet"),
        foot=f"{line.transfer_id}",
        page_words=say("Page"),
    )
    paper.heading(say("Receipt"))
    paper.heading(f"{told.words}   {signed(Money(line.minor, currency))}", 14)
    paper.facts(
        [
            (say("With"), told.about or "-"),
            (say("Account"), holder),
            (say("Issuer"), issuer),
            (say("Happened"), in_zone(line.event_at, zone, "%Y-%m-%d %H:%M:%S")),
            (say("Booked"), in_zone(line.booked_at, zone, "%Y-%m-%d %H:%M:%S")),
            (say("Balance after it"), str(Money(line.balance_minor, currency))),
            (say("Transfer"), str(line.transfer_id)),
            (say("Reference"), str(line.reference or "-")),
            (say("Place in the books"), f"{line.place.block} / {line.place.position}"),
            (say("Times"), zone),
        ],
        columns=1,
    )
    paper.heading(say("Proof"), 12)
    paper.text(say("The receipt’s file proves that this stands in the books. It has this SHA-256:"))
    paper.text(digest, 8.5)
    for text in json.loads(receipt)["proof"].splitlines()[-6:]:
        paper.text(text, 7)
    paper.space(4)
    paper.squares(_qr(f"hansa-receipt:{line.transfer_id}:{digest}"), 92)
    return paper.finish()


def write_bundle(
    file: BinaryIO,
    tx: Tx,
    directory: Directory,
    statement: OwnStatement,
    signer: Signer,
    say: Words,
    *,
    origin: str = "",
) -> None:
    """Write the bundle into a file. Receipts are written one after the other, so a long month takes no more memory."""
    made = statement.ends_at.replace(tzinfo=None).timetuple()[:6]
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as bundle:
        sealer = StatementSealer(tx, statement, signer, origin)
        with bundle.open(zipfile.ZipInfo("statement.csv", made), "w") as out:
            for piece in statement_csv(tx, directory, statement, say):
                sealer.take(piece)
                out.write(piece)
        paper = statement_pdf(tx, directory, statement, say, sealer)
        bundle.writestr(zipfile.ZipInfo("statement.pdf", made), paper)
        digests = {"statement.csv": sealer.table, "statement.pdf": hashlib.sha256(paper).hexdigest()}
        bundle.writestr(zipfile.ZipInfo("seal.txt", made), str(sealer.sealed(digests)))
        log = LogReader(tx, statement.partition)
        sections: list[dict[str, object]] = []
        number = 0
        for section in statement.sections:
            lines: list[dict[str, object]] = []
            for some in read_lines(tx, statement, section):
                receipts = log.receipts([line.place for line in some], signer)
                for line, receipt in zip(some, receipts, strict=True):
                    number += 1
                    name = f"receipts/{number:06d}.json"
                    bundle.writestr(zipfile.ZipInfo(name, made), str(receipt), zipfile.ZIP_DEFLATED)
                    lines.append(
                        {
                            "receipt": name,
                            "transfer_id": str(line.transfer_id),
                            "minor": str(line.minor),
                            "balance_minor": str(line.balance_minor),
                        }
                    )
            sections.append(
                {
                    "currency": section.currency,
                    "wallet": str(section.wallet),
                    "opening_minor": str(section.opening.minor),
                    "closing_minor": str(section.closing.minor),
                    "lines": lines,
                }
            )
        told = {
            "form": FORM,
            "month": statement.name,
            "account_id": str(statement.account.account_id),
            "begins_at": as_rfc3339(statement.begins_at),
            "ends_at": as_rfc3339(statement.ends_at),
            "complete": statement.is_over,
            "sha256": digests,
            "wallets": sections,
        }
        bundle.writestr(
            zipfile.ZipInfo("statement.json", made), json.dumps(told, indent=1), zipfile.ZIP_DEFLATED
        )
        bundle.writestr(zipfile.ZipInfo("README.txt", made), README)


def say_month(statement: OwnStatement, say: Words) -> str:
    """From which day until which day."""
    first, last = (say.day(one) for one in (statement.month, _last_day(statement)))
    return say("{first} to {last}", first=first, last=last)


def signed(amount: Money) -> str:
    """An amount with its sign: ``+¥3.00``, ``−¥3.00``."""
    return f"+{amount}" if amount.minor > 0 else str(amount).replace("-", "−")


def _last_day(statement: OwnStatement) -> date:

    return (statement.ends_at.astimezone(ZoneInfo(statement.zone)) - timedelta(seconds=1)).date()


def _section(
    paper: Paper, tx: Tx, directory: Directory, statement: OwnStatement, section: Section, say: Words
) -> None:
    paper.space(8)
    paper.heading(section.currency, 13)
    rows: list[tuple[str, ...]] = []
    gained = lost = 0
    for line, told in statement_rows(tx, directory, statement, section, say):
        gained, lost = gained + max(0, line.minor), lost + min(0, line.minor)
        rows.append(
            (
                in_zone(line.booked_at, statement.zone, "%m-%d %H:%M"),
                told.words,
                told.about,
                _figure(line.minor, section.currency),
                _figure(line.balance_minor, section.currency),
            )
        )
    paper.table(
        [Column("", 4), Column(section.currency, 1.5, right=True)],
        [
            (say("Opening balance"), _figure(section.opening.minor, section.currency)),
            (say("Came in"), _figure(gained, section.currency)),
            (say("Went out"), _figure(lost, section.currency)),
        ],
        foot=(say("Closing balance"), _figure(section.closing.minor, section.currency)),
    )
    if rows:
        paper.table(
            [
                Column(say("Booked"), 1.3),
                Column(say("What"), 2),
                Column(say("With"), 3),
                Column(say("Amount"), 1.4, right=True),
                Column(say("Balance"), 1.4, right=True),
            ],
            rows,
        )
    else:
        paper.text(say("Nothing moved."))
    holds = list(read_holds(tx, statement, section))
    if holds or section.held_after.minor or section.held_before.minor:
        paper.heading(say("Set aside"), 10.5)
        paper.table(
            [Column(say("Booked"), 1.3), Column(say("What"), 5), Column(say("Amount"), 1.4, right=True)],
            [
                ("", say("Set aside before"), _figure(section.held_before.minor, section.currency)),
                *(
                    (
                        in_zone(one.booked_at, statement.zone, "%m-%d %H:%M"),
                        f"{say(KIND_WORDS[one.kind])}: "
                        + (say("set aside") if one.minor > 0 else say("taken or free again")),
                        _figure(one.minor, section.currency),
                    )
                    for one in holds
                ),
            ],
            foot=("", say("Set aside at the end"), _figure(section.held_after.minor, section.currency)),
        )


def _owed(paper: Paper, tx: Tx, statement: OwnStatement, say: Words) -> None:

    owed = payments.list_owed(
        tx,
        statement.account.account_id,
        first_at=statement.begins_at,
        end_at=statement.ends_at,
        partition=statement.partition,
    )
    if not owed:
        return
    paper.heading(say("Fares your issuer carried"), 12)
    paper.table(
        [Column(say("Happened"), 1.3), Column(say("Reference"), 4), Column(say("Owed"), 1.6, right=True)],
        [
            (in_zone(at, statement.zone, "%m-%d %H:%M"), str(reference), str(amount))
            for at, reference, amount in owed
        ],
    )


def _figure(minor: int, currency: str) -> str:
    whole, dot, fraction = Money(abs(minor), currency).decimal().partition(".")
    return f"{'-' if minor < 0 else ''}{int(whole):,}{dot}{fraction}"


def _line_row(line: OwnLine, told: Told, currency: str) -> tuple[str, ...]:
    return (
        as_rfc3339(line.booked_at),
        as_rfc3339(line.event_at),
        line.kind.value,
        _safe(told.words),
        _safe(told.about),
        _plain(line.minor, currency),
        currency,
        _plain(line.balance_minor, currency),
        str(line.transfer_id),
        str(line.reference or ""),
    )


def _balance_row(at: datetime, kind: str, held: Money) -> tuple[str, ...]:
    return (as_rfc3339(at), "", kind, "", "", "", held.currency, _plain(held.minor, held.currency), "", "")


def _plain(minor: int, currency: str) -> str:
    return ("-" if minor < 0 else "") + Money(abs(minor), currency).decimal()


def _safe(words: str) -> str:
    """Words that no spreadsheet takes for a formula."""
    return f"'{words}" if words[:1] in ("=", "+", "-", "@", "\t", "\r") else words


def _csv(rows: list[tuple[str, ...]]) -> bytes:
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerows(rows)
    return out.getvalue().encode()


def _qr(text: str) -> list[list[bool]]:
    barcode = zxingcpp.create_barcode(text, zxingcpp.BarcodeFormat.QRCode, ec_level="M")
    levels = np.array(zxingcpp.write_barcode_to_image(barcode, add_quiet_zones=False))
    return (levels == 0).tolist()
