"""The wallet's page on which a rider asks for a ride's money back, reads the answer, and appeals."""

from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import Request, Response, get, post
from litestar.enums import RequestEncodingType
from litestar.params import Body, FromPath
from litestar.response import Redirect

from hansa import disputes, identity, rides, trust
from hansa.apps.web.callers import get_account
from hansa.apps.web.journey_views import Places, view_journey
from hansa.apps.web.languages import Words, spoken, words_for
from hansa.apps.web.pages import page
from hansa.apps.web.site import Here, Site
from hansa.kernel import HansaError, InvalidInput, Money, new_id

Asked = Request[Any, Any, Any]

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
        reasons=[
            (one.code, one.zh if say.language == "zh" else one.en)
            for one in rules.reasons
            if one.does != "state_end"  # the journey's own page has a form for it
        ],
        form=form or RefundForm(new_id()),
        action_id=new_id(),
        words_max=disputes.WORDS_MAX,
        days=rules.within_days,
        refused="; ".join(str(one) for one in refused.problems) or refused.detail if refused else "",
        status_code=422 if refused else 200,
    )
    return spoken(answer, say, request)


def _rider(account: identity.Account) -> trust.Caller:
    return trust.Caller(
        caller_id=f"person:{account.account_id}", kind="person", account_id=str(account.account_id)
    )


ROUTES = [show_refund, ask_refund, answer_refund]
