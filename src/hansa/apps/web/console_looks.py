"""Looks: staff of the console open a person's data after they said why, and the person reads it.

A look is one person of the staff, one account, one reason. It begins with what the rider has with them (a number, an
address, a card, a journey), is kept where the person sees who read what, and in the audit record, and holds while it is
used: a quarter of an hour after the last page the reason is asked for again. A member's staff look at riders of their
own issuers, and of others at what those did with their own operators.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from litestar import Request, Response

from hansa import atlas, audit, cards, identity, rides, trust
from hansa.apps.web.callers import get_operator
from hansa.apps.web.clerks import clerk_of, reader_of
from hansa.apps.web.me_view import means
from hansa.apps.web.pages import page
from hansa.apps.web.recovery_desk import own_members
from hansa.apps.web.site import Site
from hansa.audit import Act
from hansa.identity import AccountId
from hansa.kernel import HansaError, InvalidInput, Problem
from hansa.rides import JourneyId
from hansa.store import Rate, Tx

Asked = Request[Any, Any, Any]

LOOK_LASTS = timedelta(minutes=15)
"""As long as a sign-in without use."""

LOOKS = Rate(30, timedelta(minutes=10))
"""How often one person of the staff may search: a counter is not busier, and who tries numbers is."""

AT_THE_MACHINE = "at the console"
"""Why the person at the machine of a demonstration looks, who is asked for no reason."""

_PARTS: tuple[identity.Part, ...] = ("everything", "journeys")


class NobodyFound(HansaError):
    """Nobody of yours is known by this: what is another member's is not found here, nor what was never proved."""

    code = "console.nobody_found"
    status = 404
    remedy = (
        "Read the number again, or ask for another: the verified telephone number, the card, or a journey."
    )


@dataclass(frozen=True, slots=True)
class Desk:
    """Who looks. by: as their decisions are kept; reader: as the person reads who it was.

    own: whose riders and operators. member_id: None for the league's, whose desk is every member's. asks: a look needs
    a reason.
    """

    by: str
    reader: str
    member_id: str | None
    own: frozenset[str]
    asks: bool

    @property
    def chain(self) -> str:
        """The chain of the audit record that their looks are kept in."""
        return self.member_id or audit.LEAGUE


@dataclass(frozen=True, slots=True)
class Look:
    """What was found by what a rider had with them, and where it leads."""

    account_id: AccountId
    part: identity.Part
    address: str


def desk_of(request: Asked, site: Site) -> Desk:
    """Who looks. Errors: trust.NotSignedIn, trust.NotAllowed."""
    operator = get_operator(request, site)
    member_id = None if operator.kind == "league" else operator.member_id
    by = clerk_of(request, site)
    own = own_members(request, site)
    return Desk(by, reader_of(request, site), member_id, own, asks=not by.startswith("demo:"))


def find_look(tx: Tx, desk: Desk, account_id: AccountId, at: datetime) -> str | None:
    """Why this desk looks at this account just now; None where it must say so first."""
    if not desk.asks:
        return AT_THE_MACHINE
    found = identity.last_access(tx, account_id, desk.reader, _PARTS, since=at - LOOK_LASTS)
    return None if found is None else found.why


def keep_look(
    tx: Tx, desk: Desk, account_id: AccountId, part: identity.Part, why: str, *, path: str, at: datetime
) -> None:
    """Keep that this desk read this part of an account's data, in the record and for its person."""
    audit.record(tx, Act(desk.by, "person.read", path[:300], why[:500], {"part": part}, desk.chain), at)
    identity.saw(tx, account_id, desk.reader, part, why, at)


def ask_why(desk: Desk, text: str, what: str) -> Response[str]:
    """The page that asks for the reason, and leads to the rider. text: what finds them. what: what was asked for."""
    minutes = int(LOOK_LASTS.total_seconds()) // 60
    return page("console/rider_why.html", here="riders", desk=desk, text=text, what=what, minutes=minutes)


def find_rider(tx: Tx, site: Site, desk: Desk, text: str) -> Look:
    """Who is known by this: a verified number or address, a card's number, a journey's or an account's id.

    Errors: InvalidInput where nothing was written; NobodyFound, also for what is not this desk's own.
    """
    wanted = " ".join(text.split())
    if not wanted:
        problem = Problem("text", "it is empty", "Write a telephone number, an address, a card, or a journey")
        raise InvalidInput("Nobody was looked for.", problems=(problem,))
    try:
        found = _by_id(tx, desk, UUID(wanted))
    except ValueError:
        found = _by_card(tx, site, desk, wanted) or _by_contact(tx, site, desk, wanted)
    if found is None:
        raise NobodyFound
    return found


def is_own(desk: Desk, account: identity.Account) -> bool:
    """Whether this desk looks after this account's money."""
    return desk.member_id is None or account.issuer_id in desk.own


def rode_own(desk: Desk, journey: rides.JourneyRecord) -> bool:
    """Whether this desk may see this journey: it was made with one of its own operators."""
    return desk.member_id is None or journey.operator_id in desk.own


def _by_id(tx: Tx, desk: Desk, wanted: UUID) -> Look | None:
    record = rides.find_journeys(tx, [JourneyId(wanted)]).get(JourneyId(wanted))
    if record is not None and rode_own(desk, record):
        account = identity.find_account(tx, AccountId(record.account_id))
        address = f"/console/journeys/{wanted}"
        return None if account is None else Look(account.account_id, _part(desk, account), address)
    return _of_own(tx, desk, AccountId(record.account_id if record is not None else wanted))


def _by_card(tx: Tx, site: Site, desk: Desk, wanted: str) -> Look | None:
    try:
        card = cards.find_by_number(tx, means(site).sealer, sorted(desk.own), wanted)
    except (InvalidInput, cards.UnknownCard):
        return None
    account = identity.find_account(tx, AccountId(card.account_id))
    if account is None:
        return None
    return Look(account.account_id, _part(desk, account), f"/console/riders/{account.account_id}")


def _by_contact(tx: Tx, site: Site, desk: Desk, wanted: str) -> Look | None:
    account_id = identity.account_of_contact(tx, means(site).sealer, wanted, country=_country(tx, desk))
    return None if account_id is None else _of_own(tx, desk, account_id)


def _of_own(tx: Tx, desk: Desk, account_id: AccountId) -> Look | None:
    account = identity.find_account(tx, account_id)
    if account is None or not is_own(desk, account):
        return None
    return Look(account_id, "everything", f"/console/riders/{account_id}")


def _part(desk: Desk, account: identity.Account) -> identity.Part:
    return "everything" if is_own(desk, account) else "journeys"


def _country(tx: Tx, desk: Desk) -> str:
    """Where numbers without a country's code are from: the desk's own country, if it is in one alone."""
    cities = {one.city_id for one in trust.list_members(tx) if one.member_id in desk.own}
    countries = {one.country for one in atlas.list_cities(tx) if one.city_id in cities}
    return countries.pop() if len(countries) == 1 else "ZZ"
