"""Pages that answer "is this in the books?": receipts for riders and operators, the log itself, and its verifier.

What a page says it checked, the server checked with the one-file verifier that anyone can take away; where the browser
can, it then checks the same receipt again on the reader's own device.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import Request, Response, get, post
from litestar.enums import RequestEncodingType
from litestar.params import Body, FromPath, QueryParameter

from hansa import identity, ledger, rides
from hansa.apps.web.callers import find_caller, get_account, get_operator
from hansa.apps.web.console import AccountNames, AccountRef, kind_of, what_moved
from hansa.apps.web.journey_views import Places
from hansa.apps.web.languages import Words, spoken, words_for, words_of_scripts
from hansa.apps.web.marks import read_line
from hansa.apps.web.pages import page
from hansa.apps.web.site import Here, Site
from hansa.apps.witnessing import WitnessLine, read_witnesses
from hansa.kernel import HansaError, Money
from hansa.store import Tx
from hansa.trust import tlog
from hansa.trust.tlog.standalone import hansa_verify
from hansa.trust.tlog.standalone.hansa_verify import Step

Asked = Request[Any, Any, Any]

TRANSFERS_ON_PAGE = 50
VERIFIER = Path(hansa_verify.__file__)


@dataclass(frozen=True, slots=True)
class Checked:
    """A receipt, and what came of checking it here. quorum: how many of the witnesses' keys were asked for.

    signed: the witnesses under its checkpoint, and when each signed.
    """

    receipt: tlog.Receipt
    told: dict[str, Any]
    steps: list[Step]
    log_key: str
    witnesses: list[str]
    quorum: int
    signed: list[tuple[str, datetime]]
    size: int

    @property
    def proven(self) -> bool:
        return all(step.ok is not False for step in self.steps)


@dataclass(frozen=True, slots=True)
class Moved:
    """A transfer by the words of a page."""

    transfer_id: UUID
    what: str
    amount: Money
    debit: AccountRef
    credit: AccountRef
    booked: ledger.Booked


@dataclass(frozen=True, slots=True)
class Watching:
    """A witness of a log: what it signed last, how far that lies behind, and what it said if it did not sign."""

    name: str
    where: str
    size: int | None
    at: datetime | None
    behind: int
    words: str


@dataclass(frozen=True, slots=True)
class LogView:
    """A partition's log as the console shows it."""

    partition: int
    origin: str
    size: int
    checkpoint: str
    key: str
    signed: int
    watching: list[Watching]


@dataclass(frozen=True, slots=True)
class OwnBooking:
    """A transfer on a rider's own wallet, for a list."""

    transfer_id: UUID
    what: str
    amount: Money


@dataclass(frozen=True, slots=True)
class OtherPage:
    """A link from one page of a block to another. rel: what it is to this one, as HTML says it, if it has a word."""

    words: str
    rel: str
    href: str


class KeptCheckpoint(msgspec.Struct, frozen=True):
    """A checkpoint that someone kept, as text."""

    checkpoint: Annotated[str, msgspec.Meta(max_length=20_000)]


# -- riders -----------------------------------------------------------------------------------------------------


@get("/wallet/receipts/{transfer_id:uuid}", sync_to_thread=True, include_in_schema=False)
def show_receipt(request: Asked, site: Here, transfer_id: FromPath[UUID]) -> Response[str]:
    """A transfer of the rider's own wallet, and its proof."""
    account = get_account(request, site)
    say = words_for(request, account_language=account.language)
    with site.ctx.tx() as tx:
        caller = find_caller(request, site)
        booked = ledger.open_transfer(tx, caller, ledger.TransferId(transfer_id))
        wallets = own_wallets(tx, account)
        moved = _moved(booked, _NamesForRider(tx, wallets, say))
        checked = check(tx, site, booked)
        zone = Places(tx).network(account.home_city_id).city.tz
    answer = page(
        "wallet/receipt.html",
        here="statement",
        account=account,
        say=say,
        moved=replace(moved, what=say(moved.what)),
        gained=booked.transfer.credit in wallets,
        checked=replace(checked, steps=[_in_words(step, say, zone) for step in checked.steps]),
        words_of_scripts=words_of_scripts(say, "receipt.js"),
        zone=zone,
        download=f"/v1/ledger/transfers/{transfer_id}/receipt",
    )
    return spoken(answer, say, request)


def own_wallets(tx: Tx, account: identity.Account) -> set[UUID]:
    """The ledger accounts of a rider's wallets."""
    holder = str(account.account_id)
    found = ledger.search_accounts(tx, holder=holder, code=ledger.AccountCode.WALLET)
    return {one.account_id for one in found}


def own_bookings(
    tx: Tx, account: identity.Account, charges: Iterable[rides.ChargeRecord]
) -> list[OwnBooking]:
    """The transfers of a journey's charges that moved the rider's own wallet."""
    wallets = own_wallets(tx, account)
    found = [
        booked
        for charge in charges
        for transfer_id in charge.transfer_ids
        if (booked := ledger.find_transfer(tx, ledger.TransferId(transfer_id))) is not None
    ]
    return [
        OwnBooking(
            booked.transfer.transfer_id,
            "Into your wallet" if booked.transfer.credit in wallets else "Out of your wallet",
            Money(booked.transfer.amount, booked.transfer.currency),
        )
        for booked in found
        if booked.transfer.debit in wallets or booked.transfer.credit in wallets
    ]


# -- operators --------------------------------------------------------------------------------------------------


@get("/console/ledger/transfers/{transfer_id:uuid}", sync_to_thread=True, include_in_schema=False)
def show_transfer(request: Asked, site: Here, transfer_id: FromPath[UUID]) -> Response[str]:
    """Any transfer, and its proof."""
    get_operator(request, site)
    with site.ctx.tx() as tx:
        booked = ledger.get_transfer(tx, ledger.TransferId(transfer_id))
        moved = _moved(booked, AccountNames(tx))
        checked = check(tx, site, booked)
        reference = booked.transfer.reference
        journeys = rides.find_journeys(tx, [rides.JourneyId(reference)]) if reference else {}
    return page(
        "console/transfer.html",
        here="ledger",
        moved=moved,
        checked=checked,
        journey_id=reference if journeys else None,
        flags=_flags(booked.transfer.flags),
        in_block=f"{_block_page(booked.transfer.partition, booked.place)}#t-{transfer_id}",
        download=f"/console/ledger/transfers/{transfer_id}/receipt.json",
    )


@get(
    "/console/ledger/transfers/{transfer_id:uuid}/receipt.json", sync_to_thread=True, include_in_schema=False
)
def give_receipt(request: Asked, site: Here, transfer_id: FromPath[UUID]) -> Response[bytes]:
    get_operator(request, site)
    with site.ctx.tx() as tx:
        receipt = ledger.receipt(tx, ledger.TransferId(transfer_id), site.signer)
    return _file(str(receipt).encode(), f"hansa-receipt-{transfer_id}.json", "application/json")


@get("/console/ledger/blocks/{partition:int}/{number:int}", sync_to_thread=True, include_in_schema=False)
def show_block(
    request: Asked,
    site: Here,
    partition: FromPath[int],
    number: FromPath[int],
    after: Annotated[str, QueryParameter(max_length=100)] = "",
) -> Response[str]:
    """A block's transfers, a page of lines at a time. after: shown is the page on which the line after it stands."""
    get_operator(request, site)
    if partition > 2**15 - 1 or number > 2**63 - 1:
        raise ledger.NoLog("There is no such block.")
    with site.ctx.tx() as tx:
        found = ledger.list_blocks(tx, partition, after=number - 1, limit=1)
        if not found or found[0].number != number:
            raise ledger.NoLog("There is no such block.")
        block = found[0]
        begin = _page_begin(read_line(after, lines=block.transfers))
        names = AccountNames(tx)
        rows = [
            _moved(booked, names)
            for booked in ledger.block_transfers(
                tx, partition, number, after=begin - 1, limit=TRANSFERS_ON_PAGE
            )
        ]
    return page(
        "console/block.html",
        here="ledger",
        block=block,
        rows=rows,
        begin=begin,
        pages=_other_pages(block, begin),
    )


@get("/console/log", sync_to_thread=True, include_in_schema=False)
def show_log(request: Asked, site: Here) -> Response[str]:
    """The transparency log: its size, its newest checkpoint, and who has signed that it only grew."""
    get_operator(request, site)
    return _log_page(site, kept="", steps=[])


@post("/console/log", sync_to_thread=True, include_in_schema=False, status_code=200)
def check_log(
    request: Asked,
    site: Here,
    data: Annotated[KeptCheckpoint, Body(media_type=RequestEncodingType.URL_ENCODED)],
) -> Response[str]:
    """Whether the present books begin with those of a checkpoint that someone kept."""
    get_operator(request, site)
    kept = data.checkpoint.replace("\r\n", "\n").strip()
    with site.ctx.tx() as tx:
        steps = check_history(tx, site, f"{kept}\n")
    return _log_page(site, kept=kept, steps=steps)


# -- everybody --------------------------------------------------------------------------------------------------


@get("/verify/", sync_to_thread=True, include_in_schema=False)
def show_verify(request: Asked, site: Here) -> Response[str]:
    """How to check a receipt: here in the browser, or without us."""
    with site.ctx.tx() as tx:
        keys = [str(site.signer.verifier_key(head.partition)) for head in ledger.list_heads(tx)]
    say = words_for(request)
    scripts = words_of_scripts(say, "receipt.js")
    answer = page(
        "verify.html",
        here="verify",
        say=say,
        log_keys=keys,
        witnesses=_witnesses(site),
        words_of_scripts=scripts,
    )
    return spoken(answer, say, request)


@get("/verify/hansa_verify.py", sync_to_thread=True, include_in_schema=False)
def give_verifier() -> Response[bytes]:
    """The verifier in one file. It needs Python and nothing of ours."""
    return _file(VERIFIER.read_bytes(), VERIFIER.name, "text/x-python; charset=utf-8")


# -- what the pages are made from -------------------------------------------------------------------------------


def check(tx: Tx, site: Site, booked: ledger.Booked) -> Checked:
    """The transfer's receipt, made and checked; all witnesses that have signed its checkpoint by now are asked for."""
    partition = booked.transfer.partition
    receipt = ledger.receipt(tx, booked.transfer.transfer_id, site.signer)
    key = str(site.signer.verifier_key(partition))
    checkpoint = tlog.Checkpoint.parse(receipt.proof.checkpoint.text)
    signed = {
        one.witness: one.at
        for one in ledger.LogReader(tx, partition).cosignatures()
        if one.size == checkpoint.size
    }
    witnesses = [str(one.key) for one in _witnesses(site) if one.key.name in signed]
    policy = hansa_verify.Policy(
        hansa_verify.parse_key(key),
        tuple(hansa_verify.parse_key(witness) for witness in witnesses),
        len(witnesses),
    )
    return Checked(
        receipt=receipt,
        told=receipt.to_json(),
        steps=[_shown(step) for step in hansa_verify.check_receipt(str(receipt), policy)],
        log_key=key,
        witnesses=witnesses,
        quorum=len(witnesses),
        signed=sorted(signed.items()),
        size=checkpoint.size,
    )


def check_history(tx: Tx, site: Site, text: str) -> list[Step]:
    """The steps from a checkpoint that someone kept to the books as they are now."""
    names = ("It is a checkpoint", "We have signed it", "Nothing was rewritten since")
    steps: list[Step] = []
    try:
        note = tlog.Note.parse(text)
        then = tlog.Checkpoint.parse(note.text)
        steps.append(Step(names[0], True, f"Of the log {then.origin}, at {then.size:,} entries."))
        then, now, proof = ledger.check_grown(tx, note, site.signer)
    except ledger.LogDiffers as error:
        return [
            *steps,
            Step(names[1], True, "The signature is by our log key."),
            Step(names[2], False, f"{error.detail} Keep this checkpoint: it is evidence."),
        ]
    except HansaError as error:
        return [*steps, Step(names[len(steps)], False, error.detail)]
    words = (
        f"The books are at the same {now.size:,} entries, with the same root."
        if then.size == now.size
        else f"The first {then.size:,} of {now.size:,} entries are the same ones, in the same order; "
        f"{len(proof)} hashes show it."
    )
    return [*steps, Step(names[1], True, "The signature is by our log key."), Step(names[2], True, words)]


def _log_page(site: Site, *, kept: str, steps: list[Step]) -> Response[str]:
    with site.ctx.tx() as tx:
        logs = [_view_log(tx, site, head.partition) for head in ledger.list_heads(tx)]
    return page("console/log.html", here="log", logs=logs, kept=kept, steps=steps)


def _view_log(tx: Tx, site: Site, partition: int) -> LogView:
    log = ledger.LogReader(tx, partition)
    note = log.checkpoint(site.signer)
    cosigned = {one.witness: one for one in log.cosignatures()}
    asked = _witnesses(site)
    lines: list[tuple[str, str]] = [(one.key.name, one.where) for one in asked]
    lines += [(name, "") for name in cosigned if name not in {one.key.name for one in asked}]
    watching: list[Watching] = []
    for name, where in lines:
        last = cosigned.get(name)
        answer = site.witnessing.answer_of(partition, name) if site.witnessing else None
        watching.append(
            Watching(
                name,
                where,
                last.size if last else None,
                last.at if last else None,
                log.size - (last.size if last else 0),
                answer.words if answer else "",
            )
        )
    key = site.signer.verifier_key(partition)
    return LogView(
        partition,
        key.name,
        log.size,
        str(note),
        str(key),
        sum(one.size == log.size for one in cosigned.values()),
        watching,
    )


def _witnesses(site: Site) -> list[WitnessLine]:
    return read_witnesses(site.home)


class _NamesForRider(AccountNames):
    """What a rider's own page calls accounts: hers, and of others' wallets nothing but that they are."""

    def __init__(self, tx: Tx, wallets: set[UUID], say: Words) -> None:
        super().__init__(tx)
        self._wallets, self._say = wallets, say

    def of(self, account: ledger.Account) -> str:
        say = self._say
        if account.account_id in self._wallets:
            return say("Your wallet")
        if account.code is ledger.AccountCode.WALLET:
            return say("Another wallet")
        kind, payee = say(kind_of(account)), self.payee(account)
        if payee is not None:
            return payee.name
        parties = self.parties(account)
        name = (
            say("{one} with {other}", one=parties[0], other=parties[1]) if len(parties) == 2 else parties[0]
        )
        return say("{kind} of {name}", kind=kind, name=name)


def _moved(booked: ledger.Booked, names: AccountNames) -> Moved:
    transfer = booked.transfer
    return Moved(
        transfer.transfer_id,
        what_moved(transfer.code),
        Money(transfer.amount, transfer.currency),
        names.ref(transfer.debit),
        names.ref(transfer.credit),
        booked,
    )


def _page_begin(position: int) -> int:
    """The first line of the page on which this line of a block stands."""
    return position - position % TRANSFERS_ON_PAGE


def _block_page(partition: int, place: ledger.Place) -> str:
    """The address of the page on which a transfer stands in its block."""
    begin = _page_begin(place.position)
    return f"/console/ledger/blocks/{partition}/{place.block}" + (f"?after={begin - 1}" if begin else "")


def _other_pages(block: ledger.Block, begin: int) -> list[OtherPage]:
    """Where else in the block one can go from the page that begins at this line; each page once."""
    before, after, end = begin - TRANSFERS_ON_PAGE, begin + TRANSFERS_ON_PAGE, block.transfers - 1
    steps = (
        ("First", "", 0, before > 0),
        ("Previous", "prev", before, begin > 0),
        ("Next", "next", after, after <= end),
        ("Last", "", end, after + TRANSFERS_ON_PAGE <= end),
    )
    return [
        OtherPage(words, rel, _block_page(block.partition, ledger.Place(block.number, max(0, line))))
        for words, rel, line, there in steps
        if there
    ]


def _flags(flags: ledger.TransferFlag) -> str:
    return ", ".join(flag.name.lower().replace("_", " ") for flag in flags if flag.name) or "none"


def _shown(step: Step) -> Step:
    """A step as a sentence; a name alone stays as it is."""
    if " " not in step.detail:
        return step
    detail = step.detail[:1].upper() + step.detail[1:]
    return Step(step.name, step.ok, detail if detail.endswith(".") else f"{detail}.")


_SAID = (
    (
        re.compile(r"What it shows is what its row says, and the proof is for its place\."),
        "What it shows is what its row says, and the proof is for its place.",
    ),
    (
        re.compile(
            r"Entry (?P<index>[0-9]+) of (?P<size>[0-9]+); (?P<hashes>[0-9]+) hashes lead to the root\."
        ),
        "Entry {index} of {size}; {hashes} hashes lead to the root.",
    ),
    (
        re.compile(r"(?P<signed>[0-9]+) signed, (?P<asked>[0-9]+) asked for: (?P<told>.*)\."),
        "{signed} signed, {asked} asked for: {told}.",
    ),
    (re.compile(r"No --witness was given\."), "No witness was asked for."),
)
"""What the verifier says where all is well, as the page's script says it too. Why something fails stays English."""


_INSTANT = re.compile(r"([0-9-]{10} [0-9:]{8}) UTC")


def _in_words(step: Step, say: Words, zone: str) -> Step:
    """A step in the reader's language; its instants are those of this zone."""

    def told(found: re.Match[str]) -> str:
        return say.moment(datetime.fromisoformat(found[1]).replace(tzinfo=UTC), zone)

    step = step._replace(detail=_INSTANT.sub(told, step.detail))
    for pattern, english in _SAID:
        if found := pattern.fullmatch(step.detail):
            facts = {name: value.replace(" at ", ", ") for name, value in found.groupdict().items()}
            return Step(say(step.name), step.ok, say(english, **facts))
    return Step(say(step.name), step.ok, step.detail)


def _file(data: bytes, name: str, media_type: str) -> Response[bytes]:
    return Response(
        data,
        media_type=media_type,
        headers={"content-disposition": f'attachment; filename="{name}"', "cache-control": "no-store"},
    )


ROUTES = [
    show_receipt,
    show_transfer,
    give_receipt,
    show_block,
    show_log,
    check_log,
    show_verify,
    give_verifier,
]
