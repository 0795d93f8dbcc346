"""The wallet's page on which a rider asks for a ride's money back, reads the answer, and appeals."""

from dataclasses import dataclass
from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import Request, Response, get, post
from litestar.enums import RequestEncodingType
from litestar.params import Body, FromPath
from litestar.response import Redirect

from hansa import disputes, identity, rides, trust
from hansa.apps.web.callers import find_account, get_account
from hansa.apps.web.journey_views import Places, view_journey
from hansa.apps.web.languages import Words, spoken, words_for
from hansa.apps.web.pages import page
from hansa.apps.web.site import Here, Site
from hansa.kernel import HansaError, InvalidInput, Money, new_id
from hansa.store import Tx

Asked = Request[Any, Any, Any]

REFUNDS_ON_HOME = 3
REFUNDS_LISTED = 50

REFUSALS = (
    InvalidInput,
    disputes.AskedTooLate,
    disputes.AlreadyAsked,
    disputes.DisputeMoved,
    disputes.DisputeConflict,
)
"""What the page tells the rider in place, with what they wrote still there."""


class RefundForm(msgspec.Struct, frozen=True):
    """A request. dispute_id: made with the form, so that sending it twice asks once."""

    dispute_id: UUID
    reason: Annotated[str, msgspec.Meta(max_length=80)] = ""
    words: Annotated[str, msgspec.Meta(max_length=disputes.WORDS_MAX * 2)] = ""


class AnswerForm(msgspec.Struct, frozen=True):
    """What the rider does next. action_id: made with the form."""

    action_id: UUID
    action: Annotated[str, msgspec.Meta(pattern="^(appeal|withdraw)$")]
    words: Annotated[str, msgspec.Meta(max_length=disputes.WORDS_MAX * 2)] = ""


@dataclass(frozen=True, slots=True)
class RefundLine:
    """A request in a list. state: what became of it, in the rider's language. kind: a class of colour."""

    case: disputes.Case
    title: str
    state: str
    kind: str


def refund_lines(tx: Tx, account: identity.Account, say: Words, *, limit: int) -> list[RefundLine]:
    """A rider's requests for money back, latest first."""
    cases = disputes.list_disputes(tx, account=account.account_id, kind=disputes.Kind.REFUND, limit=limit)
    journeys = rides.find_journeys(tx, [rides.JourneyId(one.subject_id) for one in cases])
    places = Places(tx)
    lines: list[RefundLine] = []
    for case in cases:
        journey = view_journey(places, journeys[rides.JourneyId(case.subject_id)], say)
        state, kind = _state_words(disputes.get_dispute(tx, case.dispute_id), say, journey.zone)
        lines.append(RefundLine(case, f"{journey.title} · {journey.when}", state, kind))
    return lines


def _state_words(dispute: disputes.Dispute, say: Words, zone: str) -> tuple[str, str]:
    case = dispute.case
    due = say.moment(case.due_at, zone) if case.due_at else ""
    given = Money(sum(one.amount_minor for one in dispute.bookings), case.currency)
    ends = {
        "asked": say("The operator answers by {due}.", due=due),
        "refused": say("The operator says no. You may appeal to the league until {due}.", due=due),
        "appealed": say("The league looks at your appeal until {due}.", due=due),
        "corrected": say("The fare is worked out anew."),
        "granted": say("Granted. The money is on its way to your wallet."),
    }
    if case.state in ends:
        return ends[case.state], "quiet"
    if given.minor > 0:
        return say("{amount} came back to your wallet.", amount=given), "good-words"
    if dispute.facts[-1].action == disputes.Action.WITHDRAW:
        return say("You took it back."), "quiet"
    return say("Nothing was given back."), "quiet"


@get("/wallet/refunds", sync_to_thread=True, include_in_schema=False)
def show_refunds(request: Asked, site: Here) -> Response[str]:
    """All that the rider asked for, and what waits on this phone."""
    account = get_account(request, site)
    say = words_for(request, account_language=account.language)
    with site.ctx.tx() as tx:
        lines = refund_lines(tx, account, say, limit=REFUNDS_LISTED)
    answer = page("wallet/refunds.html", here="journeys", account=account, say=say, refunds=lines)
    return spoken(answer, say, request)


@get("/wallet/home/refunds", sync_to_thread=True, include_in_schema=False)
def show_last_refunds(request: Asked, site: Here) -> Response[str]:
    """The part of the wallet's home that tells what became of requests."""
    account = get_account(request, site)
    say = words_for(request, account_language=account.language)
    with site.ctx.tx() as tx:
        return page(
            "wallet/_refunds.html", say=say, refunds=refund_lines(tx, account, say, limit=REFUNDS_ON_HOME)
        )


@get("/wallet/refund-form", sync_to_thread=True, include_in_schema=False)
def show_refund_form(request: Asked, site: Here) -> Response[str]:
    """The form of no ride and no rider: what the service worker shows where a ride's page is not to be had."""
    account = find_account(request, site)
    say = words_for(request, account_language=account.language if account else "")
    answer = page("wallet/refund_form.html", say=say, reasons=_reasons(say), words_max=disputes.WORDS_MAX)
    return spoken(answer, say, request)


@get("/wallet/journeys/{journey_id:uuid}/refund", sync_to_thread=True, include_in_schema=False)
def show_refund(request: Asked, site: Here, journey_id: FromPath[UUID]) -> Response[str]:
    account = get_account(request, site)
    say = words_for(request, account_language=account.language)
    return _refund_page(request, site, account, journey_id, say)


@post("/wallet/journeys/{journey_id:uuid}/refund", sync_to_thread=True, include_in_schema=False)
def ask_refund(
    request: Asked,
    site: Here,
    journey_id: FromPath[UUID],
    data: Annotated[RefundForm, Body(media_type=RequestEncodingType.URL_ENCODED)],
) -> Response[Any]:
    account = get_account(request, site)
    say = words_for(request, account_language=account.language)
    try:
        disputes.ask_refund(
            site.ctx,
            _rider(account),
            dispute_id=data.dispute_id,
            journey_id=journey_id,
            reason=data.reason,
            words=data.words.strip(),
        )
    except REFUSALS as refused:
        return _refund_page(request, site, account, journey_id, say, form=data, refused=refused)
    return Redirect(f"/wallet/journeys/{journey_id}/refund", status_code=303)


@post("/wallet/journeys/{journey_id:uuid}/refund/answer", sync_to_thread=True, include_in_schema=False)
def answer_refund(
    request: Asked,
    site: Here,
    journey_id: FromPath[UUID],
    data: Annotated[AnswerForm, Body(media_type=RequestEncodingType.URL_ENCODED)],
) -> Response[Any]:
    account = get_account(request, site)
    say = words_for(request, account_language=account.language)
    with site.ctx.tx() as tx:
        found = disputes.find_refund(tx, journey_id)
    if found is None:
        raise disputes.UnknownDispute("No money was asked back for this journey.")
    try:
        disputes.act(
            site.ctx,
            _rider(account),
            found.case.dispute_id,
            action_id=data.action_id,
            action=disputes.Action(data.action),
            words=data.words.strip() or "-",
        )
    except REFUSALS as refused:
        return _refund_page(request, site, account, journey_id, say, refused=refused)
    return Redirect(f"/wallet/journeys/{journey_id}/refund", status_code=303)


def _refund_page(
    request: Asked,
    site: Site,
    account: identity.Account,
    journey_id: UUID,
    say: Words,
    *,
    form: RefundForm | None = None,
    refused: HansaError | None = None,
) -> Response[str]:
    with site.ctx.tx() as tx:
        record = rides.journey(tx, rides.JourneyId(journey_id)).journey
        if record.account_id != account.account_id:
            raise rides.UnknownJourney()  # somebody else's journey is not there for this rider
        journey = view_journey(Places(tx), record, say)
        found = disputes.find_refund(tx, journey_id)
    given = sum(one.amount_minor for one in found.bookings) if found else 0
    ended = found is not None and found.case.state in disputes.FINAL
    rules = disputes.own_rules().refunds
    answer = page(
        "wallet/refund.html",
        here="journeys",
        account=account,
        say=say,
        journey=journey,
        refund=found,
        given=Money(given, record.fare.currency),
        answers=[one for one in found.facts if one.side in ("respondent", "league")] if found else [],
        may_ask=found is None or (ended and not given and found.case.state == "closed"),
        due=say.moment(found.case.due_at, journey.zone) if found and found.case.due_at else "",
        reasons=_reasons(say),
        form=form or RefundForm(new_id()),
        action_id=new_id(),
        words_max=disputes.WORDS_MAX,
        days=rules.within_days,
        refused="; ".join(str(one) for one in refused.problems) or refused.detail if refused else "",
        status_code=422 if refused else 200,
    )
    return spoken(answer, say, request)


def _reasons(say: Words) -> list[tuple[str, str]]:
    """Reasons to choose from, in the rider's language."""
    return [
        (one.code, say(one.en))
        for one in disputes.own_rules().refunds.reasons
        if one.does != "state_end"  # the journey's own page has a form for it
    ]


def _rider(account: identity.Account) -> trust.Caller:
    return trust.Caller(
        caller_id=f"person:{account.account_id}", kind="person", account_id=str(account.account_id)
    )


ROUTES = [show_refunds, show_last_refunds, show_refund_form, show_refund, ask_refund, answer_refund]
