"""Seals of statements: what a city signs of a month, so that a paper or a table alone can be held against its word.

A seal is a signed note (C2SP signed-note) by the log's key under the name ``city/statements``:

    london.example/statements
    hansa-statement-1
    2026-11
    <account>
    log london.example/ledger/0 <size> <root, base64>
    wallet GBP <opening> <closing> <lines>
    sha256 <hexadecimal> statement.csv

Size and root are the log's where the statement's last block ends, so a month that is over has one seal for good. The
paper carries the one over its own bytes in its last line; its QR code the one over the table, which fits. The one-file
verifier reads and checks both (``hansa_verify.read_seal``).
"""

import base64
import hashlib
import zlib
from collections.abc import Mapping
from functools import cached_property

from hansa import ledger
from hansa.apps.own_statement import OwnStatement, read_lines
from hansa.ledger import Signer
from hansa.store import Tx
from hansa.trust.tlog import Note
from hansa.trust.tlog.standalone import hansa_verify
from hansa.trust.tlog.standalone.hansa_verify import Seal

FORM = hansa_verify.STATEMENT_FORM
SEALED = "statements"
READS_SEALS = "/verify/statement"
"""The page that tells what a seal says."""


class StatementSealer:
    """Seals one statement. First ``take`` all of its table, then ask for seals.

    origin: where browsers find the wallet, such as ``https://wallet.city.example``; may be empty.
    """

    def __init__(self, tx: Tx, statement: OwnStatement, signer: Signer, origin: str = "") -> None:
        self._tx, self._statement, self._signer, self._origin = tx, statement, signer, origin
        self._digest = hashlib.sha256()

    def take(self, piece: bytes) -> None:
        """A piece of the table."""
        self._digest.update(piece)

    @property
    def table(self) -> str:
        """The SHA-256 of the table, hexadecimal."""
        return self._digest.hexdigest()

    @property
    def log_key(self) -> str:
        """The key by which all is checked."""
        return str(self._signer.verifier_key(self._statement.partition))

    @property
    def proof_address(self) -> str:
        """Where the bundle with proof is had, by whoever is signed in as its owner."""
        return f"{self._origin}/wallet/statements/{self._statement.name}/zip"

    @property
    def address(self) -> str:
        """Where anybody reads the seal over the table."""
        return f"{self._origin}{READS_SEALS}?seal={packed(self._of_table)}"

    @property
    def seal(self) -> Seal:
        """The seal over the table, read."""
        return hansa_verify.read_seal(str(self._of_table))

    def sealed(self, digests: Mapping[str, str]) -> Note:
        """The seal over files. digests: SHA-256 by name, hexadecimal."""
        return self._signer.seal(
            SEALED, [*self._head, *(f"sha256 {digest} {name}" for name, digest in sorted(digests.items()))]
        )

    def closed(self, paper: bytes) -> bytes:
        """The paper with the seal over it in its last line, which readers of PDF pass over."""
        digests = {"statement.csv": self.table, "statement.pdf": hashlib.sha256(paper).hexdigest()}
        return paper + hansa_verify.SEAL_MARK + packed(self.sealed(digests)).encode() + b"\n"

    @cached_property
    def _of_table(self) -> Note:
        return self.sealed({"statement.csv": self.table})

    @cached_property
    def _head(self) -> list[str]:
        one, partition = self._statement, self._statement.partition
        size, root = ledger.LogReader(self._tx, partition).state_after(one.to_block)
        log = ledger.log_origin(self._signer.name, partition)
        wallets = [
            f"wallet {section.currency} {section.opening.minor} {section.closing.minor}"
            f" {sum(len(some) for some in read_lines(self._tx, one, section))}"
            for section in one.sections
        ]
        return [
            FORM,
            one.name,
            str(one.account.account_id),
            f"log {log} {size} {base64.b64encode(root).decode()}",
            *wallets,
        ]


def packed(note: Note) -> str:
    """A seal in the short form of papers and QR codes."""
    return base64.urlsafe_b64encode(zlib.compress(str(note).encode(), 9)).decode()
