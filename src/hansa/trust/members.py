"""What can be done in a member's life: apply, be let in, change a bank account, be suspended, resume, leave.

Whatever lets money go another way needs two persons. To suspend takes one, since it may be urgent; to resume two. A
member stands no better than the one it clears as: suspending a city suspends its issuer and its operators. Facts are
only added; what stands in ``trust.members`` is what they came to.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from hansa.codes import PRODUCTS
from hansa.kernel import InvalidInput, Problem
from hansa.store import Rows, Tx
from hansa.trust import actions, store
from hansa.trust import members_store as kept
from hansa.trust.members_model import (
    COOLING,
    NOT_NOW,
    WHY_MAX,
    AccountChange,
    AccountFact,
    AccountText,
    Application,
    ApplicationFact,
    ApplicationText,
    Doing,
    Left,
    MemberConflict,
    MemberDecided,
    MemberFact,
    MemberLife,
    MemberMayNot,
    MemberProfile,
    NotYetLeft,
    SamePerson,
    Standing,
    UnknownApplication,
    UnknownChange,
    life_at,
    pending,
    read_application,
    refuse_account,
    worse,
)
from hansa.trust.model import Member, MemberId, UnknownMember, is_same_person

KEY_LIFE = timedelta(days=366)
"""How long an issuer's key is vouched for that comes with an application."""


# -- standing -------------------------------------------------------------------------------------------------


def member_life(tx: Tx, member_id: str, at: datetime) -> MemberLife:
    """Where a member stands at an instant, and why. Errors: UnknownMember."""
    clears_as = kept.clears_as(tx, [member_id]).get(member_id)
    if clears_as is None:
        raise UnknownMember(f"The league has no member {member_id!r}.")
    facts = kept.facts(tx, {member_id, clears_as})
    own = life_at(member_id, facts.get(member_id, ()), at)
    return own if clears_as == member_id else worse(own, life_at(clears_as, facts.get(clears_as, ()), at))


def member_standing(tx: Tx, member_id: str, at: datetime) -> Standing:
    """Where a member stands at an instant. Errors: UnknownMember."""
    return member_life(tx, member_id, at).standing


def member_lives(tx: Tx, at: datetime) -> dict[str, MemberLife]:
    """Where every member stands at an instant, by id."""
    return lives_at(ask_for_lives(tx), at)


def ask_for_lives(tx: Tx) -> Rows:
    """Have read what was decided about all members, beside other questions of a pipeline; ``lives_at`` reads it."""
    return kept.ask_for_all_facts(tx)


def lives_at(asked: Rows, at: datetime) -> dict[str, MemberLife]:
    """``member_lives`` from what ``ask_for_lives`` asked."""
    facts, known = kept.all_facts(asked)
    own = {member: life_at(member, facts.get(member, ()), at) for member in known}
    return {
        member: own[member] if city == member else worse(own[member], own[city])
        for member, city in known.items()
    }


def check_may(tx: Tx, member_id: str, doing: Doing, at: datetime) -> None:
    """Go on only if a member may do this at an instant. Errors: UnknownMember; MemberMayNot with what to do."""
    life = member_life(tx, member_id, at)
    if not life.may(doing, at):
        raise MemberMayNot(f"{_said(life)} {NOT_NOW[doing]}.")


def shut_out(tx: Tx, doing: Doing, at: datetime) -> dict[str, datetime]:
    """Members that may not do this at an instant, each with since when."""
    return {
        member: life.since or life.business_ends_at or at
        if life.standing != "leaving"
        else life.business_ends_at or at
        for member, life in member_lives(tx, at).items()
        if not life.may(doing, at)
    }


def member_facts(tx: Tx, member_id: str) -> tuple[MemberFact, ...]:
    """What was decided about a member, in order."""
    return kept.facts(tx, [member_id]).get(member_id, ())


def find_profile(tx: Tx, member_id: str) -> MemberProfile | None:
    """What a member said of itself when it was let in; None for one of the beginning."""
    return kept.profiles(tx, [member_id]).get(member_id)


def _said(life: MemberLife) -> str:
    since = f" since {life.since:%Y-%m-%d %H:%M} UTC" if life.since else ""
    if life.standing == "leaving" and life.business_ends_at:
        return f"{life.member_id} leaves; its business ends {life.business_ends_at:%Y-%m-%d %H:%M} UTC."
    by = f", as {life.by} is" if life.by not in ("", life.member_id) else ""
    return f"{life.member_id} is {life.standing}{by}{since}: {life.why}."


# -- being let in ---------------------------------------------------------------------------------------------


def hand_in_application(
    tx: Tx, application_id: UUID, toml: str, *, by: str, at: datetime, note: str = ""
) -> Application:
    """Hand in an application for another person to approve. Sending it again under its id is harmless.

    Errors: BadApplication; InvalidInput for names or keys that are in use; MemberConflict. Nothing is kept then.
    """
    known = kept.applications(tx, [application_id])
    if not known:
        said = read_application(toml)
        _refuse_taken(tx, said)
        one = Application(application_id, said, toml, note, by, at, ())
        if kept.add_application(tx, one):
            kept.add_application_fact(tx, application_id, ApplicationFact("applied", by, at, note))
            return get_application(tx, application_id)
        known = kept.applications(tx, [application_id])
    if (known[0].toml, known[0].note) != (toml, note) or not is_same_person(by, known[0].made_by):
        raise MemberConflict
    return known[0]


def approve_application(
    tx: Tx, application_id: UUID, *, by: str, at: datetime, why: str, key_life: timedelta = KEY_LIFE
) -> Application:
    """A second person lets the applicant and its parts in, with accounts and keys. Doing it again is harmless.

    Errors: UnknownApplication; MemberDecided; SamePerson; InvalidInput without a reason, or for names and keys that
    are in use by now. Nobody is let in then.
    """
    found = _locked_application(tx, application_id, why)
    if found.state == "approved":
        return found
    _refuse_decided(found, "applied")
    if is_same_person(by, found.made_by):
        raise SamePerson
    said = found.said
    _refuse_taken(tx, said)
    account = next((one.written for one in said.accounts if one.currency is None), said.accounts[0].written)
    clears = MemberId(said.member)
    city = said.city or (said.member if said.role == "city" else None)
    members = [Member(clears, said.name, said.role, city, clears, account)]
    members += [Member(MemberId(one.member), one.name, one.role, city, clears, "") for one in said.parts]
    actions.add_members(tx, members)
    for one in said.accounts:
        if one.currency is not None:
            kept.set_account(tx, said.member, one.currency, one.written)
    for name in said.names:
        contact = {"name": said.contact.name, "email": said.contact.email, "phone": said.contact.phone}
        kept.add_profile(tx, MemberProfile(name, application_id, said.tz, said.currencies, contact))
        joined = MemberFact("joined", at, by, at, why, {"application_id": str(application_id)})
        kept.add_fact(tx, name, joined)
    for issuer, key in _keys(said):
        actions.add_issuer_key(
            tx, issuer, bytes.fromhex(key), not_before=at, not_after=at + key_life, products=PRODUCTS, at=at
        )
    kept.add_application_fact(tx, application_id, ApplicationFact("approved", by, at, why))
    return get_application(tx, application_id)


def refuse_application(tx: Tx, application_id: UUID, *, by: str, at: datetime, why: str) -> Application:
    """A second person says no. Doing it again is harmless. Errors: as ``approve_application``."""
    found = _locked_application(tx, application_id, why)
    if found.state == "refused":
        return found
    _refuse_decided(found, "applied")
    if is_same_person(by, found.made_by):
        raise SamePerson("Who handed this in withdraws it instead.")
    kept.add_application_fact(tx, application_id, ApplicationFact("refused", by, at, why))
    return get_application(tx, application_id)


def withdraw_application(tx: Tx, application_id: UUID, *, by: str, at: datetime, why: str) -> Application:
    """Take an application back. Doing it again is harmless. Errors: UnknownApplication, MemberDecided, InvalidInput."""
    found = _locked_application(tx, application_id, why)
    if found.state == "withdrawn":
        return found
    _refuse_decided(found, "applied")
    kept.add_application_fact(tx, application_id, ApplicationFact("withdrawn", by, at, why))
    return get_application(tx, application_id)


def get_application(tx: Tx, application_id: UUID) -> Application:
    """Errors: UnknownApplication."""
    found = kept.applications(tx, [application_id])
    if not found:
        raise UnknownApplication(f"There is no application {application_id}.")
    return found[0]


def list_applications(tx: Tx, *, limit: int = 500) -> list[Application]:
    """Applications, newest first."""
    return kept.applications(tx, limit=limit)


def check_application(tx: Tx, toml: str) -> ApplicationText:
    """An application read and held against the members there are. Errors: BadApplication, InvalidInput."""
    said = read_application(toml)
    _refuse_taken(tx, said)
    return said


# -- bank accounts --------------------------------------------------------------------------------------------


def propose_account(
    tx: Tx,
    change_id: UUID,
    member_id: str,
    account: AccountText,
    *,
    by: str,
    at: datetime,
    why: str,
) -> AccountChange:
    """Propose another bank account for a member, for a currency or for all. Again under its id is harmless.

    Errors: UnknownMember; InvalidInput for an account that is none, the one that holds, or no reason; MemberConflict;
    MemberDecided while another change is open.
    """
    _refuse_no_reason(why)
    kept.lock(tx, member_id)
    actions.get_member(tx, member_id)
    one = AccountChange(change_id, member_id, account.currency, account.written, why, by, at, ())
    known = kept.changes(tx, change_id=change_id)
    if known:
        same = (known[0].member_id, known[0].currency, known[0].account, known[0].why)
        if same != (member_id, account.currency, account.written, why) or not is_same_person(
            by, known[0].made_by
        ):
            raise MemberConflict
        return known[0]
    refuse_account(account)
    if member_account(tx, member_id, account.currency) == account.written:
        problem = Problem("account", f"{account.written} holds already", "Nothing is to be done")
        raise InvalidInput("This changes nothing.", problems=(problem,))
    waiting = [
        other
        for other in kept.changes(tx, member_id=member_id)
        if other.currency == account.currency and other.state in ("proposed", "approved")
    ]
    if waiting:
        raise MemberDecided(f"A change to {waiting[0].account} waits; decide on that first.")
    kept.add_change(tx, one)
    return _change(tx, change_id)


def decide_account(
    tx: Tx,
    change_id: UUID,
    *,
    yes: bool,
    by: str,
    at: datetime,
    why: str,
    cooling: timedelta = COOLING,
) -> AccountChange:
    """A second person approves a change, which then cools, or refuses it. Doing it again is harmless.

    Errors: UnknownChange; MemberDecided; SamePerson; InvalidInput without a reason. The old account holds until the
    cooling time is over, and beyond if somebody stops the change.
    """
    found = _locked_change(tx, change_id, why)
    if found.state in (("approved", "in_force") if yes else ("refused",)):
        return found
    if found.state != "proposed":
        raise MemberDecided(f"This change is {found.state.replace('_', ' ')}.")
    if is_same_person(by, found.made_by):
        raise SamePerson
    step = AccountFact("approved", by, at, why, at + cooling) if yes else AccountFact("refused", by, at, why)
    kept.add_change_fact(tx, change_id, step)
    return _change(tx, change_id)


def stop_account(tx: Tx, change_id: UUID, *, by: str, at: datetime, why: str) -> AccountChange:
    """Stop a change that is not in force; anybody at the desk may. Doing it again is harmless.

    Errors: UnknownChange; MemberDecided; InvalidInput without a reason.
    """
    found = _locked_change(tx, change_id, why)
    if found.state == "stopped":
        return found
    if found.state not in ("proposed", "approved") or (found.from_at is not None and found.from_at <= at):
        raise MemberDecided("This change is in force, or over; propose another one.")
    kept.add_change_fact(tx, change_id, AccountFact("stopped", by, at, why))
    return _change(tx, change_id)


def turn_members(tx: Tx, at: datetime) -> list[AccountChange]:
    """Let changes of bank accounts hold whose cooling time is over; those that do from now on. Again is harmless.

    Keys of members whose suspension has begun by itself are retired with it.
    """
    for member_id, facts in kept.facts(tx).items():
        if life_at(member_id, facts, at).standing == "suspended":
            _retire_keys(tx, member_id, at)
    done: list[AccountChange] = []
    for change_id in kept.due_changes(tx, at):
        found = _change(tx, change_id)
        kept.lock(tx, found.member_id)
        found = _change(tx, change_id)
        if found.state != "approved":
            continue
        kept.set_account(tx, found.member_id, found.currency, found.account)
        kept.add_change_fact(tx, change_id, AccountFact("in_force", "hansa", at, "the cooling time is over"))
        done.append(_change(tx, change_id))
    return done


def member_account(tx: Tx, member_id: str, currency: str | None = None) -> str:
    """The bank account of a member for a currency, ``BIC/number``; its account for all others where it has none.

    Errors: UnknownMember.
    """
    member = actions.get_member(tx, member_id)
    return kept.currency_accounts(tx).get((member_id, currency or ""), member.account)


def member_accounts(tx: Tx) -> dict[tuple[str, str], str]:
    """Bank accounts of members for a currency of their own: (member, currency) to ``BIC/number``."""
    return kept.currency_accounts(tx)


def list_account_changes(tx: Tx, member_id: str | None = None) -> list[AccountChange]:
    """Changes of bank accounts, newest first; a member's, or all."""
    return kept.changes(tx, member_id=member_id)


# -- suspending and resuming ----------------------------------------------------------------------------------


def suspend(
    tx: Tx, member_id: str, *, by: str, at: datetime, why: str, from_at: datetime | None = None
) -> MemberLife:
    """Suspend a member now or from an instant on; one person may. Doing it again is harmless.

    Nothing new is charged, opened, signed or sent in its name from then on; what is there settles. The keys of its
    issuers are retired, those of what clears as it too. Errors: UnknownMember; MemberDecided; InvalidInput for an
    instant that is past, or no reason.
    """
    facts = _locked_member(tx, member_id, why)
    begin = from_at or at
    if begin < at:
        problem = Problem(
            "from_at", f"{begin.isoformat()} is past", "Leave it out for now, or name a later one"
        )
        raise InvalidInput("A suspension cannot reach back.", problems=(problem,))
    own = life_at(member_id, facts, begin)
    if own.standing == "left":
        raise MemberDecided(f"{member_id} has left.")
    last = next((one for one in reversed(facts) if one.step in ("suspended", "resumed")), None)
    if last is not None and last.step == "suspended":
        if last.from_at == begin or own.standing == "suspended":
            return member_life(tx, member_id, at)
        raise MemberDecided(f"{member_id} is suspended from {last.from_at.isoformat()} on already.")
    kept.add_fact(tx, member_id, MemberFact("suspended", begin, by, at, why))
    if begin == at:
        _retire_keys(tx, member_id, at)
    return member_life(tx, member_id, at)


def propose_resume(tx: Tx, member_id: str, *, by: str, at: datetime, why: str) -> MemberFact:
    """Propose that a suspended member goes on. Doing it again is harmless.

    Errors: UnknownMember; MemberDecided for one that is not suspended; InvalidInput without a reason.
    """
    facts = _locked_member(tx, member_id, why)
    asked = pending(facts, "resume_proposed", "resume_refused", "resumed")
    if asked is not None:
        return asked
    _refuse_not_suspended(member_id, facts)
    kept.add_fact(tx, member_id, MemberFact("resume_proposed", at, by, at, why))
    return member_facts(tx, member_id)[-1]


def decide_resume(tx: Tx, member_id: str, *, yes: bool, by: str, at: datetime, why: str) -> MemberLife:
    """A second person lets a suspended member go on, with the keys it had, or not. Doing it again is harmless.

    Errors: UnknownMember; MemberDecided where nobody proposed it; SamePerson; InvalidInput without a reason.
    """
    facts = _locked_member(tx, member_id, why)
    asked = pending(facts, "resume_proposed", "resume_refused", "resumed")
    if asked is None:
        if facts and facts[-1].step == ("resumed" if yes else "resume_refused"):
            return member_life(tx, member_id, at)
        raise MemberDecided(f"Nobody has proposed that {member_id} goes on.")
    if is_same_person(by, asked.by_whom):
        raise SamePerson
    if not yes:
        kept.add_fact(tx, member_id, MemberFact("resume_refused", at, by, at, why))
        return member_life(tx, member_id, at)
    stopped = _refuse_not_suspended(member_id, facts)
    for kid in kept.keys_retired_since(tx, _with_parts(tx, member_id), stopped.from_at):
        actions.set_key_status(tx, kid, "active", at)
    kept.add_fact(tx, member_id, MemberFact("resumed", at, by, at, why))
    return member_life(tx, member_id, at)


# -- leaving --------------------------------------------------------------------------------------------------


def propose_leave(
    tx: Tx, member_id: str, business_ends_at: datetime, *, by: str, at: datetime, why: str
) -> MemberFact:
    """Propose that a member leaves, with new business until an instant. Doing it again is harmless.

    Errors: UnknownMember; MemberDecided for one that leaves or left; InvalidInput for a past instant or no reason.
    """
    facts = _locked_member(tx, member_id, why)
    asked = pending(facts, "leave_proposed", "leave_refused", "leaving", "stays", "left")
    if asked is not None:
        if asked.from_at == business_ends_at:
            return asked
        raise MemberDecided(f"Its leaving on {asked.from_at.isoformat()} is proposed; decide on that first.")
    if business_ends_at < at:
        what = f"{business_ends_at.isoformat()} is past"
        problem = Problem("business_ends_at", what, "Name a later instant")
        raise InvalidInput("A member cannot have left before.", problems=(problem,))
    _refuse_leaving(member_id, facts, at)
    kept.add_fact(tx, member_id, MemberFact("leave_proposed", business_ends_at, by, at, why))
    return member_facts(tx, member_id)[-1]


def decide_leave(tx: Tx, member_id: str, *, yes: bool, by: str, at: datetime, why: str) -> MemberLife:
    """A second person lets a member run down and leave, or not. Doing it again is harmless.

    Errors: UnknownMember; MemberDecided where nobody proposed it; SamePerson; InvalidInput without a reason.
    """
    facts = _locked_member(tx, member_id, why)
    asked = pending(facts, "leave_proposed", "leave_refused", "leaving", "stays", "left")
    if asked is None:
        if facts and facts[-1].step == ("leaving" if yes else "leave_refused"):
            return member_life(tx, member_id, at)
        raise MemberDecided(f"Nobody has proposed that {member_id} leaves.")
    if is_same_person(by, asked.by_whom):
        raise SamePerson
    step = "leaving" if yes else "leave_refused"
    kept.add_fact(tx, member_id, MemberFact(step, asked.from_at, by, at, why))
    return member_life(tx, member_id, at)


def stay(tx: Tx, member_id: str, *, by: str, at: datetime, why: str) -> MemberLife:
    """Call a leaving off, before it is done, by another person than who approved it. Doing it again is harmless.

    Errors: UnknownMember; MemberDecided for one that does not leave; SamePerson; InvalidInput without a reason.
    """
    facts = _locked_member(tx, member_id, why)
    if facts and facts[-1].step == "stays":
        return member_life(tx, member_id, at)
    last = next((one for one in reversed(facts) if one.step in ("leaving", "stays", "left")), None)
    if last is None or last.step != "leaving":
        raise MemberDecided(f"{member_id} does not leave.")
    if is_same_person(by, last.by_whom):
        raise SamePerson
    kept.add_fact(tx, member_id, MemberFact("stays", at, by, at, why))
    return member_life(tx, member_id, at)


def finish_leave(
    tx: Tx,
    member_id: str,
    *,
    by: str,
    at: datetime,
    why: str,
    open_things: Sequence[Left],
    reserve: dict[str, str] | None = None,
) -> MemberLife:
    """A member has left, once nothing of it is open, and with it whoever clears as it. Doing it again is harmless.

    open_things: what the rooms above found, none for it to leave. reserve: what is kept of it and until when, as text.
    Errors: UnknownMember; MemberDecided for one that does not leave; NotYetLeft with every reason, also while its
    business has not ended; InvalidInput without a reason.
    """
    facts = _locked_member(tx, member_id, why)
    life = life_at(member_id, facts, at)
    if life.standing == "left":
        return life
    if life.business_ends_at is None:
        raise MemberDecided(f"{member_id} does not leave; propose that first.")
    wrong = [Problem(one.what, one.much, one.remedy) for one in open_things]
    if at < life.business_ends_at:
        what = f"goes on until {life.business_ends_at.isoformat()}"
        wrong.insert(0, Problem("new business", what, "Wait for it, or propose an earlier end"))
    if wrong:
        raise NotYetLeft(f"{member_id} cannot leave yet.", problems=tuple(wrong))
    _retire_keys(tx, member_id, at)
    kept.add_fact(tx, member_id, MemberFact("left", at, by, at, why, reserve or {}))
    return member_life(tx, member_id, at)


# -- what is refused ------------------------------------------------------------------------------------------


def _keys(said: ApplicationText) -> list[tuple[str, str]]:
    own = [(said.member, said.key)] if said.key is not None else []
    return own + [(part.member, part.key) for part in said.parts if part.key is not None]


def _refuse_taken(tx: Tx, said: ApplicationText) -> None:
    """Errors: InvalidInput naming what is in use already."""
    problems = [
        Problem("member" if name == said.member else "parts", f"{name} is a member", "Take another name")
        for name in said.names
        if store.find_member(tx, name) is not None
    ]
    if said.city is not None and said.role != "city" and store.find_member(tx, said.city) is None:
        problems.append(Problem("city", f"the league has no {said.city}", "Leave it out, or let it in first"))
    if problems:
        raise InvalidInput("This applicant cannot be let in.", problems=tuple(problems))


def _refuse_no_reason(why: str) -> None:
    if not why.strip() or len(why) > WHY_MAX:
        what = "is missing" if not why.strip() else f"has more than {WHY_MAX} letters"
        problem = Problem("why", what, "Say why, in a few words")
        raise InvalidInput("A decision needs its reason.", problems=(problem,))


def _refuse_decided(found: Application, state: str) -> None:
    if found.state != state:
        raise MemberDecided(f"This application is {found.state}.")


def _refuse_not_suspended(member_id: str, facts: Sequence[MemberFact]) -> MemberFact:
    last = next((one for one in reversed(facts) if one.step in ("suspended", "resumed")), None)
    if last is None or last.step != "suspended":
        raise MemberDecided(f"{member_id} is not suspended itself.")
    return last


def _refuse_leaving(member_id: str, facts: Sequence[MemberFact], at: datetime) -> None:
    life = life_at(member_id, facts, at)
    if life.standing == "left" or life.business_ends_at is not None:
        raise MemberDecided(f"{member_id} leaves already, or has left.")


def _locked_member(tx: Tx, member_id: str, why: str) -> tuple[MemberFact, ...]:
    _refuse_no_reason(why)
    kept.lock(tx, member_id)
    actions.get_member(tx, member_id)
    return member_facts(tx, member_id)


def _locked_application(tx: Tx, application_id: UUID, why: str) -> Application:
    _refuse_no_reason(why)
    kept.lock_application(tx, application_id)
    return get_application(tx, application_id)


def _locked_change(tx: Tx, change_id: UUID, why: str) -> AccountChange:
    _refuse_no_reason(why)
    kept.lock(tx, _change(tx, change_id).member_id)
    return _change(tx, change_id)


def _change(tx: Tx, change_id: UUID) -> AccountChange:
    found = kept.changes(tx, change_id=change_id)
    if not found:
        raise UnknownChange(f"There is no change {change_id}.")
    return found[0]


def _retire_keys(tx: Tx, member_id: str, at: datetime) -> None:
    for kid in kept.active_keys(tx, _with_parts(tx, member_id)):
        actions.set_key_status(tx, kid, "retired", at)


def _with_parts(tx: Tx, member_id: str) -> list[str]:
    return sorted(member for member, city in kept.clears_as(tx).items() if member_id in (member, city))
