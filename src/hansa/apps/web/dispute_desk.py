"""The console's desk of disputes: the queue by deadline, a case with its story and evidence, and what can be done.

Who looks decides what there is to see: the league sees all, a member its own. In a demo, the person at this machine
chooses for which member to act, and as which of two clerks.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

from litestar import Request, Response, get, post
from litestar.datastructures import Cookie
from litestar.enums import RequestEncodingType
from litestar.params import Body, FromPath, QueryParameter
from litestar.response import Redirect

from hansa import clearing, disputes, identity, ledger, rides, trust
from hansa.apps.web.amounts import read_minor
from hansa.apps.web.callers import find_caller, get_operator
from hansa.apps.web.clerks import clerk_of, clerk_words, reader_as
from hansa.apps.web.journey_views import JourneyView, Places, tariff_text, view_detail
from hansa.apps.web.pages import page
from hansa.apps.web.site import Here, Site
from hansa.kernel import (
    CURRENCY_EXPONENTS,
    HansaError,
    InvalidInput,
    Money,
    Problem,
    hex_id,
    mark_text,
    new_id,
    paged,
    read_mark,
)
from hansa.store import Tx

Asked = Request[Any, Any, Any]
Form = Annotated[dict[str, str], Body(media_type=RequestEncodingType.URL_ENCODED)]
Text = Annotated[str, QueryParameter(max_length=80)]

DESK = "hansa_desk"
"""The cookie that keeps, in a demo, for which member one acts."""
LEAGUE = "league"
CASES_SHOWN = 50
SOON = timedelta(days=2)
"""A deadline that is nearer than this is near."""

REFUSALS = (
    InvalidInput,
    disputes.AskedTooLate,
    disputes.DisputeConflict,
    disputes.DisputeMoved,
    disputes.NotYourTurn,
    disputes.UnknownItem,
)
"""What a form tells in place, with what was written still there."""

STATES = {
    "asked": "asked",
    "corrected": "rated again",
    "granted": "granted, being booked",
    "refused": "refused, may be appealed",
    "appealed": "appealed",
    "raised": "raised",
    "represented": "answered with evidence",
    "escalated": "before the league",
    "arbitration": "in arbitration",
    "accepted": "accepted, being booked",
    "decided": "decided, being booked",
    "closed": "closed",
}
"""States in words."""

ACTIONS = {
    "raise": "raised it",
    "correct": "had the ride rated again",
    "grant": "gave back",
    "refuse": "refused",
    "appeal": "appealed",
    "uphold": "upheld the refusal",
    "represent": "answered with evidence",
    "accept": "accepted the claim",
    "withdraw": "withdrew it",
    "escalate": "took it to the league",
    "take": "took it to arbitration",
    "decide": "decided",
    "book": "booked it and closed the case",
}
"""What was done, after who did it."""

CHOICES = {
    "grant": "Give back",
    "refuse": "Refuse",
    "uphold": "Uphold the refusal",
    "represent": "Answer with evidence",
    "accept": "Accept the claim",
    "withdraw": "Withdraw",
    "escalate": "Take it to the league",
    "take": "Take to arbitration",
    "decide": "Decide",
    "appeal": "Appeal",
}
"""What can be done, on a button."""

NEEDS = {
    "denied_at": "Since when the token was denied",
    "list_version": "Version of the deny list that has it",
    "other_item": "The other item",
    "clause": "The clause of the tariff",
    "journey": "The journey",
}
"""Evidence that a reason needs, in words."""

SHOWS = ("waiting", "all")


@dataclass(frozen=True, slots=True)
class Bar:
    """How much of the time for an answer has gone. part: 0 to 100. kind: a class of colour. told: in words."""

    part: int
    kind: str
    told: str


@dataclass(frozen=True, slots=True)
class CaseLine:
    """A dispute in a list. turn: whose turn it is, in words; yours: whether it is the reader's."""

    case: disputes.Case
    title: str
    who: str
    state: str
    age: str
    bar: Bar | None
    turn: str
    yours: bool


@dataclass(frozen=True, slots=True)
class Moment:
    """A line of a case's story: a fact, or what somebody proposed."""

    at: datetime
    who: str
    person: str
    did: str
    words: str
    amount: Money | None
    state: str
    due_at: datetime | None
    proposed: bool


@dataclass(frozen=True, slots=True)
class Choice:
    """Something the reader may do. amount: whether it names one."""

    action: str
    words: str
    amount: bool


@dataclass(frozen=True, slots=True)
class Item:
    """An item that may be disputed by the reader's member with another."""

    item_id: UUID
    amount: Money
    other_id: str
    side: str
    booked_at: datetime
    what: str


def desk_caller(request: Asked, site: Site) -> trust.Caller:
    """For whom the reader acts: a key's member or the league; in a demo the member chosen, else the league.

    Errors: as get_operator; trust.NotAllowed for a key without ``disputes:read``.
    """
    caller = find_caller(request, site)
    if caller.key_id is not None:
        caller.require("disputes:read")
        return caller
    operator = get_operator(request, site)
    by = clerk_of(request, site)
    wanted = request.cookies.get(DESK, "")
    with site.ctx.tx() as tx:
        members = {one.member_id for one in _sides(tx)}
    if by.startswith("demo:") and wanted in members:
        return trust.Caller(by, "member", operator.scopes, trust.MemberId(wanted))
    return replace(operator, caller_id=by) if by.startswith("demo:") else operator


@post("/console/disputes/desk", sync_to_thread=True, include_in_schema=False)
def choose_desk(request: Asked, site: Here, data: Form) -> Redirect:
    """In a demo, act for a member, or for the league."""
    get_operator(request, site)
    back = data.get("back", "")
    inside = back.startswith("/console/disputes") and "\\" not in back
    answer = Redirect(back if inside else "/console/disputes", status_code=303)
    with site.ctx.tx() as tx:
        members = {str(one.member_id) for one in _sides(tx)}
    if site.demo and data.get("desk", "") in {*members, LEAGUE}:
        answer.set_cookie(
            Cookie(key=DESK, value=data["desk"], path="/console", httponly=True, samesite="lax")
        )
    return answer


@get("/console/disputes", sync_to_thread=True, include_in_schema=False)
def show_disputes(
    request: Asked,
    site: Here,
    q: Text = "",
    show: Text = "waiting",
    kind: Text = "",
    in_state: Text = "",
    member: Text = "",
    reason: Text = "",
    after: Annotated[str, QueryParameter(max_length=100)] = "",
) -> Response[str]:
    """The queue: what waits for somebody, the nearest deadline first; or all, latest first."""
    caller, now = desk_caller(request, site), site.ctx.clock.now()
    show = show if show in SHOWS else SHOWS[0]
    asked = {"q": q, "show": show, "kind": kind, "in_state": in_state, "member": member, "reason": reason}
    own = None if caller.kind == "league" else str(caller.member_id)
    wanted = disputes.Wanted(
        member=own or member or None,
        kind=disputes.Kind(kind) if kind in list(disputes.Kind) else None,
        states=frozenset({disputes.State(in_state)}) if in_state in list(disputes.State) else frozenset(),
        reason=reason or None,
        text=q.strip() or None,
    )
    with site.ctx.tx() as tx:
        mark = read_mark(after)
        if show == "waiting":
            found = disputes.queue(tx, wanted, after=mark, limit=CASES_SHOWN + 1)
        else:
            found = disputes.find_disputes(tx, wanted, before=mark, limit=CASES_SHOWN + 1)
        shown, more = paged(
            found,
            CASES_SHOWN,
            lambda one: mark_text(
                (one.due_at if show == "waiting" else None) or one.raised_at, one.dispute_id
            ),
        )
        since = disputes.entered_at(tx, [one.dispute_id for one in shown])
        names = _names(tx)
        waiting = disputes.count_waiting(tx, wanted.member, soon=now + SOON)
        lines = [_line(one, caller, names, since[one.dispute_id], now) for one in shown]
        sides = _sides(tx)
    most = max((one.number for one in waiting), default=1)
    return page(
        "console/disputes.html",
        here="disputes",
        asked=asked,
        lines=lines,
        waiting=[
            (one, STATES[one.state], max(2, round(100 * one.number / most)), in_days(one.first_due_at - now))
            for one in waiting
        ],
        reasons=[(one.code, one.en) for one in _reasons()],
        states=STATES,
        sides=sides,
        after=after,
        more=more or "",
        filtered=any(value for name, value in asked.items() if name != "show"),
        **_desk_words(request, site, caller, names),
    )


@get("/console/disputes/{dispute_id:uuid}", sync_to_thread=True, include_in_schema=False)
def show_case(request: Asked, site: Here, dispute_id: FromPath[UUID]) -> Response[str]:
    """A case: story, deadline, what can be done, money, evidence."""
    return _case_page(request, site, dispute_id)


@post("/console/disputes/{dispute_id:uuid}/act", sync_to_thread=True, include_in_schema=False)
def act(request: Asked, site: Here, dispute_id: FromPath[UUID], data: Form) -> Response[Any]:
    """Do it, or show the form again with what is wrong with it."""
    caller = desk_caller(request, site)
    caller.require("disputes:write")
    with site.ctx.tx() as tx:
        currency = disputes.get_dispute(tx, dispute_id).case.currency
    names_amount = data.get("action") in ("grant", "decide")  # one field serves all actions
    try:
        disputes.act(
            site.ctx,
            caller,
            dispute_id,
            action_id=_uuid(data, "action_id"),
            action=_action(data),
            words=data.get("words", "").strip(),
            amount_minor=_amount(data, currency) if data.get("amount", "").strip() and names_amount else None,
        )
    except REFUSALS as refused:
        return _case_page(request, site, dispute_id, refused=refused, form=data)
    return Redirect(f"/console/disputes/{dispute_id}", status_code=303)


@get("/console/disputes/{dispute_id:uuid}/bundle", sync_to_thread=True, include_in_schema=False)
def give_bundle(request: Asked, site: Here, dispute_id: FromPath[UUID]) -> Response[bytes]:
    """The evidence as one zip, for a side of the dispute."""
    caller = desk_caller(request, site)
    with site.ctx.tx() as tx:
        _own(tx, caller, dispute_id)
        data = disputes.evidence_bundle(tx, dispute_id, site.signer)
    return Response(
        data,
        media_type="application/zip",
        headers={
            "content-disposition": f'attachment; filename="dispute-{hex_id(dispute_id)}.zip"',
            "cache-control": "no-store",
        },
    )


@get("/console/disputes/new", sync_to_thread=True, include_in_schema=False)
def show_new(
    request: Asked,
    site: Here,
    journey: Annotated[UUID | None, QueryParameter()] = None,
    item: Annotated[UUID | None, QueryParameter()] = None,
) -> Response[str]:
    """The form that disputes an item: of a journey, or one item by itself."""
    return _new_page(request, site, journey, item, {})


@post("/console/disputes/new", sync_to_thread=True, include_in_schema=False)
def raise_dispute(request: Asked, site: Here, data: Form) -> Response[Any]:
    """Raise it, or show the form again with what is wrong with it."""
    caller = desk_caller(request, site)
    caller.require("disputes:write")
    journey = UUID(data["journey"]) if _is_uuid(data.get("journey", "")) else None
    item = UUID(data["item_id"]) if _is_uuid(data.get("item_id", "")) else None
    try:
        if item is None:
            raise _invalid("item", "none is chosen", "Choose the item that is wrong")
        with site.ctx.tx() as tx:
            known = next((one for one in _items(tx, caller, journey, item) if one.item_id == item), None)
        if known is None:
            raise disputes.UnknownItem(f"{item} is no item that {caller.member_id} could dispute.")
        raised = disputes.raise_dispute(
            site.ctx,
            caller,
            dispute_id=_uuid(data, "dispute_id"),
            item_id=item,
            other_id=known.other_id,
            amount_minor=_amount(data, known.amount.currency),
            reason=data.get("reason", ""),
            words=data.get("words", "").strip(),
            evidence={name: data[f"e_{name}"].strip() for name in NEEDS if data.get(f"e_{name}", "").strip()},
        )
    except REFUSALS as refused:
        return _new_page(request, site, journey, item, data, refused=refused)
    return Redirect(f"/console/disputes/{raised.case.dispute_id}", status_code=303)


# -- the pages --------------------------------------------------------------------------------------------------


def _case_page(
    request: Asked,
    site: Site,
    dispute_id: UUID,
    *,
    refused: HansaError | None = None,
    form: Mapping[str, str] | None = None,
) -> Response[str]:
    caller, now = desk_caller(request, site), site.ctx.clock.now()
    with site.ctx.tx() as tx:
        dispute = _own(tx, caller, dispute_id)
        case = dispute.case
        names = _names(tx)
        since = dispute.facts[-1].at if dispute.facts else case.raised_at
        line = _line(case, caller, names, since, now)
        journey, detail = _journey(tx, site, case.root_id)
        checked = disputes.check_bundle(
            disputes.evidence_bundle(tx, dispute_id, site.signer),
            log_keys=tuple(
                str(site.signer.verifier_key(one)) for one in sorted({*site.ctx.directory.partitions})
            ),
        )
        rider = identity.find_account(tx, identity.AccountId(case.account_id)) if case.account_id else None
        if rider is not None:
            reader = reader_as(caller, caller.who)
            identity.saw(tx, rider.account_id, reader, "disputes", f"dispute {case.dispute_id}", now)
        following = _next(tx, caller, case, names, now)
        booked = ledger.find_transfer(tx, ledger.TransferId(case.subject_id))
    side = case.side_of(caller)
    choices = _choices(case, side)
    joins = [one for one in dispute.waiting if one.side == side]
    return page(
        "console/dispute.html",
        status_code=refused.status if refused else 200,
        here="disputes",
        dispute=dispute,
        case=case,
        line=line,
        story=_story(dispute, names),
        choices=choices,
        alone=Money(disputes.own_rules().alone_minor(case.currency), case.currency),
        joins=[(one, trust.is_same_person(one.caller_id, caller.who)) for one in joins],
        action_words=CHOICES,
        action_id=new_id(),
        journey=journey,
        detail=detail,
        item=booked if case.kind is disputes.Kind.ITEM else None,
        rider=rider,
        checked=_summed(checked),
        checked_all=checked,
        names=names,
        needs=NEEDS,
        given=Money(sum(one.amount_minor for one in dispute.bookings), case.currency),
        following=following,
        words_max=disputes.WORDS_MAX,
        refused=_told(refused),
        form=form or {},
        **_desk_words(request, site, caller, names),
    )


def _new_page(
    request: Asked,
    site: Site,
    journey: UUID | None,
    item: UUID | None,
    form: Mapping[str, str],
    *,
    refused: HansaError | None = None,
) -> Response[str]:
    caller = desk_caller(request, site)
    with site.ctx.tx() as tx:
        items = _items(tx, caller, journey, item)
        names = _names(tx)
        root, _ = _journey(tx, site, journey) if journey else (None, None)
        sides = _pair(tx, journey, item)
    side = items[0].side if items else ""
    return page(
        "console/dispute_new.html",
        status_code=refused.status if refused else 200,
        here="disputes",
        items=items,
        journey=root,
        journey_id=journey,
        item_id=item,
        pair=sides,
        side=side,
        reasons=[one for one in disputes.own_rules().items.reasons if one.raised_by == side],
        needs=NEEDS,
        form=form or {"dispute_id": str(new_id())},
        names=names,
        words_max=disputes.WORDS_MAX,
        refused=_told(refused),
        **_desk_words(request, site, caller, names),
    )


def _desk_words(request: Asked, site: Site, caller: trust.Caller, names: Mapping[str, str]) -> dict[str, Any]:
    """For whom one acts, and in a demo for whom else one could."""
    by_demo = caller.caller_id.startswith("demo:")
    own = LEAGUE if caller.kind == "league" else str(caller.member_id)
    back = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    with site.ctx.tx() as tx:
        desks = [(str(one.member_id), one.name) for one in _sides(tx)] if by_demo else []
    head = (
        clerk_words(request, site, back=back)
        if by_demo
        else {"clerk": caller.who, "by": caller.who, "clerks": (), "back": back}
    )
    return head | {
        "desk": own,
        "desk_name": names.get(own, own),
        "desks": [(LEAGUE, names.get(LEAGUE, "The league")), *desks] if by_demo else [],
    }


# -- what the pages are made from -------------------------------------------------------------------------------


def in_days(left: timedelta) -> str:
    """A time ahead in words: ``3 days``, ``5 hours``; ``past`` where it is none."""
    hours = left.total_seconds() / 3600
    if hours <= 0:
        return "past"
    if hours < 48:
        return f"{max(1, round(hours))} h"
    return f"{round(hours / 24)} days"


def _bar(since: datetime, due_at: datetime, now: datetime) -> Bar:
    whole = max((due_at - since).total_seconds(), 1.0)
    part = min(100, max(2, round(100 * (now - since).total_seconds() / whole)))
    left = due_at - now
    kind = "late" if left <= timedelta(0) else "near" if left < SOON else "calm"
    return Bar(part, kind, "deadline passed" if kind == "late" else f"{in_days(left)} left")


def _line(
    case: disputes.Case, caller: trust.Caller, names: Mapping[str, str], since: datetime, now: datetime
) -> CaseLine:
    side = case.side_of(caller)
    whose = [
        step.side
        for step in disputes.LIFE[case.kind].get(case.state, {}).values()
        if step.side not in (disputes.Side.HANSA, disputes.Side.CLAIMANT)
    ] or [
        step.side
        for step in disputes.LIFE[case.kind].get(case.state, {}).values()
        if step.side is not disputes.Side.HANSA
    ]
    turn = whose[0] if whose and case.due_at is not None else None
    return CaseLine(
        case=case,
        title=_reason_words(case.reason),
        who=f"{names.get(case.issuer_id, case.issuer_id)} with {names.get(case.operator_id, case.operator_id)}",
        state=STATES[case.state],
        age=in_days(now - case.raised_at),
        bar=_bar(since, case.due_at, now) if case.due_at is not None else None,
        turn=_side_name(case, turn, names) if turn else "",
        yours=turn is not None and turn == side,
    )


def _side_name(case: disputes.Case, side: disputes.Side, names: Mapping[str, str]) -> str:
    if side is disputes.Side.LEAGUE:
        return "the league"
    if side is disputes.Side.HANSA:
        return "Hansa"
    is_issuer = (side is disputes.Side.CLAIMANT) == (case.sign > 0)
    if case.kind is disputes.Kind.REFUND and side is disputes.Side.CLAIMANT:
        return "the rider"
    own = case.issuer_id if is_issuer else case.operator_id
    return names.get(own, own)


def _story(dispute: disputes.Dispute, names: Mapping[str, str]) -> list[Moment]:
    """Facts and proposals in order of time."""
    case, unit = dispute.case, dispute.case.currency
    facts = [
        Moment(
            one.at,
            _side_name(case, one.side, names),
            _person(one.caller_id, case),
            ACTIONS[one.action],
            one.words,
            None if one.amount_minor is None else Money(one.amount_minor, unit),
            STATES[one.state],
            one.due_at,
            proposed=False,
        )
        for one in dispute.facts
    ]
    proposed = [
        Moment(
            one.at,
            _side_name(case, one.side, names),
            _person(one.caller_id, case),
            f"proposed: {CHOICES[one.action].lower()}",
            one.words,
            None if one.amount_minor is None else Money(one.amount_minor, unit),
            "",
            None,
            proposed=True,
        )
        for one in dispute.proposals
    ]
    return sorted([*facts, *proposed], key=lambda one: one.at)


def _person(caller_id: str, case: disputes.Case) -> str:
    """Who it was, where that says more than the side: a clerk, a key; a rider is not named."""
    name = caller_id.removeprefix("demo:")
    plain = (case.issuer_id, case.operator_id, "hansa", LEAGUE)
    return "" if name in plain or caller_id.startswith("person:") else name


def _choices(case: disputes.Case, side: disputes.Side | None) -> list[Choice]:
    return [
        Choice(action, CHOICES[action], action in ("grant", "decide"))
        for action, step in disputes.LIFE[case.kind].get(case.state, {}).items()
        if step.side is side and side is not disputes.Side.HANSA
    ]


def _summed(checked: Sequence[disputes.Checked]) -> list[disputes.Checked]:
    """What was checked, the many steps of receipts as one."""
    steps = [one for one in checked if one.what.startswith("receipts/")]
    plain = [one for one in checked if one not in steps]
    if not steps:
        return plain
    wrong = [one for one in steps if one.ok is False]
    ok = False if wrong else None if any(one.ok is None for one in steps) else True
    told = "; ".join(one.told for one in wrong) or "each leads to a checkpoint that the log has signed"
    return [*plain, disputes.Checked("transfers in the log", ok, told)]


def _next(
    tx: Tx, caller: trust.Caller, case: disputes.Case, names: Mapping[str, str], now: datetime
) -> CaseLine | None:
    """The next case in the queue in which it is the reader's turn."""
    own = None if caller.kind == "league" else str(caller.member_id)
    for one in disputes.queue(tx, disputes.Wanted(member=own), limit=CASES_SHOWN):
        line = _line(one, caller, names, one.raised_at, now)
        if line.yours and one.dispute_id != case.dispute_id:
            return line
    return None


def _journey(tx: Tx, site: Site, journey_id: UUID) -> tuple[JourneyView | None, rides.JourneyDetail | None]:
    if not rides.find_journeys(tx, [rides.JourneyId(journey_id)]):
        return None, None
    detail = rides.journey(tx, rides.JourneyId(journey_id))
    partition = site.ctx.directory.partition_of(detail.journey.account_id)
    view = view_detail(
        Places(tx),
        detail,
        source=tariff_text(tx, detail.journey),
        corrections=rides.corrections(tx, detail, partition=partition),
        caps=rides.cap_progress(tx, detail.journey),
    )
    return view, detail


def _pair(tx: Tx, journey: UUID | None, item: UUID | None) -> tuple[str, str] | None:
    """Issuer and operator of a journey, or of the journey that an item is of."""
    if journey is None and item is not None:
        booked = ledger.find_transfer(tx, ledger.TransferId(item))
        journey = booked.transfer.reference if booked else None
    if journey is None or not rides.find_journeys(tx, [rides.JourneyId(journey)]):
        return None
    record = rides.journey(tx, rides.JourneyId(journey)).journey
    return record.issuer_id, record.operator_id


def _items(tx: Tx, caller: trust.Caller, journey: UUID | None, item: UUID | None) -> list[Item]:
    """Items that the reader's member may dispute: of a journey, or one alone."""
    ids: Sequence[UUID] = [item] if item is not None else []
    if journey is not None and rides.find_journeys(tx, [rides.JourneyId(journey)]):
        charges = rides.journey(tx, rides.JourneyId(journey)).charges
        ids = [one for charge in charges for one in charge.transfer_ids]
    pair = _pair(tx, journey, item)
    own = str(caller.member_id or "")
    if pair is None or own not in pair or caller.kind != "member":
        return []
    found: list[Item] = []
    for item_id in ids:
        booked = ledger.find_transfer(tx, ledger.TransferId(item_id))
        if booked is None:
            continue
        moved = booked.transfer
        position = clearing.position_account(*pair, moved.currency, moved.partition)
        side = {moved.credit: "issuer", moved.debit: "operator"}.get(position, "")
        if side and own == pair[0 if side == "issuer" else 1]:
            other = pair[1] if side == "issuer" else pair[0]
            amount = Money(moved.amount, moved.currency)
            what = "a ride" if side == "issuer" else "given back"
            found.append(Item(item_id, amount, other, side, booked.booked_at, what))
    return found


def _own(tx: Tx, caller: trust.Caller, dispute_id: UUID) -> disputes.Dispute:
    """A dispute that the reader is a side of. Errors: UnknownDispute."""
    found = disputes.get_dispute(tx, dispute_id)
    if found.case.side_of(caller) is None:
        raise disputes.UnknownDispute(f"There is no dispute {dispute_id}.")
    return found


def _sides(tx: Tx) -> list[trust.Member]:
    """Members that may stand on a side of a dispute, by name."""
    members = (one for one in trust.list_members(tx) if one.role in ("issuer", "operator"))
    return sorted(members, key=lambda one: (one.name, one.member_id))


def _names(tx: Tx) -> dict[str, str]:
    return {member.member_id: member.name for member in trust.list_members(tx)}


def _reasons() -> Iterable[Any]:
    rules = disputes.own_rules()
    return (*rules.refunds.reasons, *rules.items.reasons)


def _reason_words(code: str) -> str:
    return next((one.en for one in _reasons() if one.code == code), code.replace("_", " "))


def _told(refused: HansaError | None) -> str:
    if refused is None:
        return ""
    return "; ".join(str(one) for one in refused.problems) or refused.detail


def _action(data: Mapping[str, str]) -> disputes.Action:
    try:
        return disputes.Action(data.get("action", ""))
    except ValueError as error:
        raise _invalid("action", "none is chosen", "Choose what to do") from error


def _amount(data: Mapping[str, str], currency: str) -> int:
    text = data.get("amount", "").strip()
    minor = read_minor(text, currency, where="amount")
    if not 0 <= minor < 2**62:
        example = Money(10 ** CURRENCY_EXPONENTS[currency] * 3 // 2, currency).decimal()
        raise _invalid("amount", f"{text[:40]!r} is no amount of {currency}", f"Write it as {example}")
    return minor


def _uuid(data: Mapping[str, str], name: str) -> UUID:
    text = data.get(name, "")
    if not _is_uuid(text):
        raise _invalid(name, "it is no id", "Open the form again")
    return UUID(text)


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True


def _invalid(where: str, what: str, remedy: str) -> InvalidInput:
    return InvalidInput("This cannot be done.", problems=(Problem(where, what, remedy),))


ROUTES = [choose_desk, show_disputes, show_new, raise_dispute, show_case, act, give_bundle]
