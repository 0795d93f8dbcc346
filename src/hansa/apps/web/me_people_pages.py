"""The wallet's pages about who one is and who answers for one: real name, contacts, guardians and wards."""

from datetime import date, timedelta
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from litestar import Request, Response, get, post
from litestar.enums import RequestEncodingType
from litestar.params import Body, FromPath, QueryParameter

from hansa import identity
from hansa.apps.messages import Message, NotSent
from hansa.apps.personal_data import country_of, currency_of
from hansa.apps.web.callers import get_account
from hansa.apps.web.languages import LANGUAGES, Words, catalogue, words_for
from hansa.apps.web.me_view import LEVEL_NAMES, ME, go, me_page, means
from hansa.apps.web.refusals import note_error
from hansa.apps.web.site import Here, Site
from hansa.kernel import HansaError, InvalidInput, choose_language, new_id
from hansa.store.throttle import Rate, TooOften, refuse_too_often
from hansa.trust import NotAllowed

Asked = Request[Any, Any, Any]
Done = Annotated[str, QueryParameter(max_length=20)]
Short = Annotated[str, msgspec.Meta(max_length=60)]

CODES_TRIED = Rate(10, timedelta(minutes=10))
"""How many invitations one account may try: a code is not to be guessed."""


class NameForm(msgspec.Struct, frozen=True):
    """A name and a document. proofing_id: made with the form, so that sending it twice asks once."""

    proofing_id: UUID
    kind: identity.DocumentKind
    name: Annotated[str, msgspec.Meta(max_length=400)] = ""
    number: Short = ""
    zone: Annotated[str, msgspec.Meta(max_length=300)] = ""
    country: Annotated[str, msgspec.Meta(max_length=3)] = ""
    words: Short = ""
    born: Annotated[str, msgspec.Meta(max_length=10)] = ""
    expires: Annotated[str, msgspec.Meta(max_length=10)] = ""


class ContactForm(msgspec.Struct, frozen=True):
    """An address or a number."""

    kind: identity.ContactKind
    value: Annotated[str, msgspec.Meta(max_length=300)] = ""


class CodeForm(msgspec.Struct, frozen=True):
    """A code that somebody typed."""

    code: Annotated[str, msgspec.Meta(max_length=40)] = ""


class BirthForm(msgspec.Struct, frozen=True):
    """A day of birth."""

    born: Annotated[str, msgspec.Meta(max_length=10)] = ""


class InviteForm(msgspec.Struct, frozen=True):
    """Whether the guardian may see where the ward rides; ticked or not."""

    journeys: Annotated[str, msgspec.Meta(max_length=10)] = ""


class SeesForm(msgspec.Struct, frozen=True):
    """The same, of a guardian that there is."""

    sees: bool


# -- the real name ------------------------------------------------------------------------------------------


@get(f"{ME}/name", sync_to_thread=True, include_in_schema=False)
def show_name(
    request: Asked,
    site: Here,
    kind: Annotated[Literal["resident", "passport", "other", ""], QueryParameter()] = "",
    check: Annotated[UUID | None, QueryParameter()] = None,
) -> Response[Any]:
    account = get_account(request, site)
    return _name_page(request, site, account, kind or None, check=check)


@post(f"{ME}/name", sync_to_thread=True, include_in_schema=False)
def prove_name(
    request: Asked,
    site: Here,
    data: Annotated[NameForm, Body(media_type=RequestEncodingType.URL_ENCODED)],
) -> Response[Any]:
    account = get_account(request, site)
    own = means(site)
    form = identity.DocumentForm(
        data.kind, data.number, data.zone, data.country, data.words, data.born, data.expires
    )
    try:
        document = identity.read_document(form, today=site.ctx.clock.now().date())
        identity.ask_proofing(
            site.ctx,
            own.sealer,
            own.provider,
            proofing_id=data.proofing_id,
            account_id=account.account_id,
            name=data.name,
            document=document,
            policy=identity.own_level_policy(),
        )
    except (
        InvalidInput,
        identity.ProofingDiffers,
        identity.ProofingWaits,
        identity.TooManyChecks,
    ) as refused:
        return _name_page(request, site, account, data.kind, form=data, refused=refused)
    return go(f"{ME}/name?check={data.proofing_id}")


def _name_page(
    request: Asked,
    site: Site,
    account: identity.Account,
    kind: identity.DocumentKind | None,
    *,
    check: UUID | None = None,
    form: NameForm | None = None,
    refused: HansaError | None = None,
) -> Response[Any]:
    say = words_for(request, account_language=account.language)
    today = site.ctx.clock.now().date()
    with site.ctx.tx() as tx:
        country = country_of(tx, account)
        level = identity.proof_level(tx, account.account_id)
        checks = identity.list_proofings(tx, means(site).sealer, account.account_id)
        unit = currency_of(tx, account)
    kind = kind or ("resident" if country == "CN" else "passport")
    caps = [
        identity.own_level_policy().caps(account.issuer_id, one, unit)
        for one in (identity.ProofLevel.NAME, identity.ProofLevel.DOCUMENT)
    ]
    return me_page(
        request,
        site,
        account,
        "wallet/me_name.html",
        refused=refused,
        kind=kind,
        form=form or NameForm(new_id(), kind, country=country if country != "CN" else ""),
        level=level,
        level_name=say(LEVEL_NAMES[level]),
        caps=caps,
        checks=[(one, _state_words(one, say)) for one in checks],
        checked=next((one for one in checks if one.proofing_id == check), None),
        states={one.proofing_id: _state_words(one, say) for one in checks},
        refused_for={name: say(text) for name, text in identity.REFUSED_FOR.items()},
        masked=identity.masked_number,
        sample=_sample(today) if site.demo else "",
        today=today,
    )


def _state_words(one: identity.Proofing, say: Words) -> str:
    match one.state:
        case "asked":
            return say("No answer yet: asked again by itself")
        case "matched":
            return say("Proved")
        case "not_matched":
            return say("Name and document do not belong together")
        case "refused":
            return say("Not taken")
        case "lapsed":
            return say("Never answered: try again")
        case "ended":
            ended = {
                "replaced": say("Replaced by a better proof"),
                "expired": say("Its time is over: prove your name anew"),
                "superseded": say("Somebody showed the document itself for another account"),
                "released": say("Released at your issuer's desk"),
            }
            return ended.get(one.ended_for or "", say("Ended"))


def _sample(today: date) -> str:
    """A resident identity number of nobody, for those who try a demonstration out."""
    digits = f"110101{today.year - 30}0307{today.timetuple().tm_yday % 900:03}"
    return digits + identity.resident_check(digits)


# -- contacts -----------------------------------------------------------------------------------------------


@get(f"{ME}/contacts", sync_to_thread=True, include_in_schema=False)
def show_contacts(
    request: Asked,
    site: Here,
    code: Annotated[UUID | None, QueryParameter()] = None,
    done: Done = "",
) -> Response[Any]:
    return _contacts_page(request, site, get_account(request, site), waiting=code, done=done)


@post(f"{ME}/contacts", sync_to_thread=True, include_in_schema=False)
def add_contact(
    request: Asked,
    site: Here,
    data: Annotated[ContactForm, Body(media_type=RequestEncodingType.URL_ENCODED)],
) -> Response[Any]:
    account = get_account(request, site)
    say = words_for(request, account_language=account.language)
    with site.ctx.tx() as tx:
        country = country_of(tx, account)
    try:
        sent = identity.ask_contact(
            site.ctx, means(site).sealer, account.account_id, data.kind, data.value, country=country
        )
        _send_code(site, sent, say)
    except (InvalidInput, identity.TooManyContacts, TooOften, NotSent) as refused:
        return _contacts_page(request, site, account, form=data, refused=refused)
    return go(f"{ME}/contacts?code={sent.contact.contact_id}")


@post(f"{ME}/contacts/{{contact_id:uuid}}/verify", sync_to_thread=True, include_in_schema=False)
def verify_contact(
    request: Asked,
    site: Here,
    contact_id: FromPath[UUID],
    data: Annotated[CodeForm, Body(media_type=RequestEncodingType.URL_ENCODED)],
) -> Response[Any]:
    account = get_account(request, site)
    own = means(site)
    try:
        verified = identity.verify_contact(site.ctx, own.sealer, account.account_id, contact_id, data.code)
    except identity.ContactCodeRefused as refused:
        note_error(request, refused)
        return _contacts_page(request, site, account, waiting=contact_id, refused=refused)
    for lost in verified.lost:
        _tell_lost(site, lost, verified.contact)
    return go(f"{ME}/contacts?done=verified")


@post(f"{ME}/contacts/{{contact_id:uuid}}/remove", sync_to_thread=True, include_in_schema=False)
def remove_contact(request: Asked, site: Here, contact_id: FromPath[UUID]) -> Response[Any]:
    account = get_account(request, site)
    with site.ctx.tx() as tx:
        identity.end_contact(tx, means(site).sealer, account.account_id, contact_id, at=site.ctx.clock.now())
    return go(f"{ME}/contacts?done=removed")


@get(f"{ME}/messages", sync_to_thread=True, include_in_schema=False)
def show_messages(request: Asked, site: Here) -> Response[Any]:
    """In a demonstration, what was sent to one's own contacts: the inbox of a telephone that nobody has."""
    account = get_account(request, site)
    if not site.demo:
        raise NotAllowed("Messages are shown in a demonstration only.")
    own = means(site)
    with site.ctx.tx() as tx:
        mine = {one.value for one in identity.list_contacts(tx, own.sealer, account.account_id)}
    messages = [one for one in own.messenger.latest(200) if one.to in mine]
    return me_page(request, site, account, "wallet/me_messages.html", messages=messages[:20])


def _contacts_page(
    request: Asked,
    site: Site,
    account: identity.Account,
    *,
    waiting: UUID | None = None,
    done: str = "",
    form: ContactForm | None = None,
    refused: HansaError | None = None,
) -> Response[Any]:
    with site.ctx.tx() as tx:
        contacts = identity.list_contacts(tx, means(site).sealer, account.account_id)
        country = country_of(tx, account)
    return me_page(
        request,
        site,
        account,
        "wallet/me_contacts.html",
        refused=refused,
        contacts=[one for one in contacts if one.state != "ended"],
        lost=[one for one in contacts if one.ended_for == "recycled"],
        waiting=next((one for one in contacts if one.contact_id == waiting and one.state != "ended"), None),
        form=form or ContactForm("phone" if country == "CN" else "email"),
        written=_written,
        done=done if done in ("verified", "removed") else "",
    )


def _written(one: identity.Contact) -> str:
    if one.value is None:
        return "•••"
    return identity.written_number(one.value) if one.kind == "phone" else one.value


def _send_code(site: Site, sent: identity.CodeToSend, say: Words) -> None:
    """Errors: NotSent."""
    contact = sent.contact
    assert contact.value is not None
    text = say(
        "{code} is your code for Hansa. It is good for ten minutes. Nobody from Hansa asks you for it.",
        code=sent.code,
    )
    means(site).messenger.send(
        Message(
            new_id(),
            contact.kind,
            contact.value,
            say("Your code for Hansa"),
            text,
            say.language,
            "contact_code",
            site.ctx.clock.now(),
        )
    )


def _tell_lost(site: Site, lost: identity.AccountId, contact: identity.Contact) -> None:
    """Tell whoever had a contact that it is somebody else's now, by what else reaches them."""
    own = means(site)
    with site.ctx.tx() as tx:
        account = identity.get_account(tx, lost)
        ways = identity.contact_of(tx, own.sealer, lost)
    say = words_in(account.language)
    assert contact.value is not None
    masked = identity.masked_contact(contact.kind, contact.value)
    text = say(
        "{contact} now reaches somebody else and was taken off your account. Nothing else changed.",
        contact=masked,
    )
    subject = say("One of your contacts was taken off your account")
    for one in ways.values():
        assert one.value is not None
        try:
            own.messenger.send(
                Message(
                    new_id(),
                    one.kind,
                    one.value,
                    subject,
                    text,
                    say.language,
                    "contact_lost",
                    site.ctx.clock.now(),
                )
            )
        except NotSent:
            continue  # the page tells it too


def words_in(language: str) -> Words:
    """The words of a language, for what is sent and not shown; English where it is not served."""
    chosen = choose_language([language], LANGUAGES)
    return Words(chosen, catalogue(chosen))


# -- guardians ----------------------------------------------------------------------------------------------


@get(f"{ME}/guardians", sync_to_thread=True, include_in_schema=False)
def show_guardians(request: Asked, site: Here, done: Done = "") -> Response[Any]:
    return _guardians_page(request, site, get_account(request, site), done=done)


@post(f"{ME}/birth", sync_to_thread=True, include_in_schema=False)
def state_birth(
    request: Asked,
    site: Here,
    data: Annotated[BirthForm, Body(media_type=RequestEncodingType.URL_ENCODED)],
) -> Response[Any]:
    account = get_account(request, site)
    try:
        born = identity.read_birth(data.born, site.ctx.clock.now().date())
        with site.ctx.tx() as tx:
            identity.state_birth(
                tx,
                means(site).sealer,
                account.account_id,
                born,
                country=country_of(tx, account),
                at=site.ctx.clock.now(),
            )
    except (InvalidInput, identity.BirthKnown) as refused:
        return _guardians_page(request, site, account, refused=refused)
    return go(f"{ME}/guardians?done=born")


@post(f"{ME}/guardians/invite", sync_to_thread=True, include_in_schema=False, status_code=200)
def invite_guardian(
    request: Asked,
    site: Here,
    data: Annotated[InviteForm, Body(media_type=RequestEncodingType.URL_ENCODED)],
) -> Response[Any]:
    """A code for whoever shall be the guardian, shown this once."""
    account = get_account(request, site)
    try:
        with site.ctx.tx() as tx:
            invitation = identity.invite_guardian(
                tx,
                means(site).sealer,
                account.account_id,
                country=country_of(tx, account),
                sees_journeys=bool(data.journeys),
                at=site.ctx.clock.now(),
            )
    except (identity.NotAMinor, identity.TooManyGuardians) as refused:
        return _guardians_page(request, site, account, refused=refused)
    return _guardians_page(request, site, account, invitation=invitation)


@post(f"{ME}/guardians/look", sync_to_thread=True, include_in_schema=False, status_code=200)
def look_at_invitation(
    request: Asked,
    site: Here,
    data: Annotated[CodeForm, Body(media_type=RequestEncodingType.URL_ENCODED)],
) -> Response[Any]:
    """Whose guardian one would be by a code, before one accepts."""
    account = get_account(request, site)
    try:
        refuse_too_often(site.ctx, f"invitation/{account.account_id}", CODES_TRIED)
        with site.ctx.tx() as tx:
            offered = identity.find_invitation(tx, data.code, site.ctx.clock.now())
            ward = identity.get_account(tx, offered.ward_id)
    except (identity.InvitationRefused, TooOften) as refused:
        note_error(request, refused)
        return _guardians_page(request, site, account, refused=refused)
    return _guardians_page(request, site, account, offered=(data.code, ward, offered))


@post(f"{ME}/guardians/accept", sync_to_thread=True, include_in_schema=False)
def accept_guardian(
    request: Asked,
    site: Here,
    data: Annotated[CodeForm, Body(media_type=RequestEncodingType.URL_ENCODED)],
) -> Response[Any]:
    account = get_account(request, site)
    try:
        refuse_too_often(site.ctx, f"invitation/{account.account_id}", CODES_TRIED)
        with site.ctx.tx() as tx:
            identity.accept_guardian(
                tx,
                means(site).sealer,
                account.account_id,
                data.code,
                country=country_of(tx, account),
                at=site.ctx.clock.now(),
            )
    except (
        identity.InvitationRefused,
        identity.CannotBeGuardian,
        identity.TooManyGuardians,
        TooOften,
    ) as refused:
        note_error(request, refused)
        return _guardians_page(request, site, account, refused=refused)
    return go(f"{ME}/guardians?done=accepted")


@post(f"{ME}/guardians/{{guardianship_id:uuid}}/end", sync_to_thread=True, include_in_schema=False)
def end_guardianship(request: Asked, site: Here, guardianship_id: FromPath[UUID]) -> Response[Any]:
    account = get_account(request, site)
    try:
        with site.ctx.tx() as tx:
            known = {one.guardianship_id: one for one in identity.list_guardianships(tx, account.account_id)}
            one = known.get(identity.GuardianshipId(guardianship_id))
            ward = identity.get_account(tx, one.ward_id) if one else account
            identity.end_guardianship(
                tx,
                means(site).sealer,
                account.account_id,
                guardianship_id,
                country=country_of(tx, ward),
                at=site.ctx.clock.now(),
            )
    except identity.LastGuardian as refused:
        return _guardians_page(request, site, account, refused=refused)
    return go(f"{ME}/guardians?done=ended")


@post(f"{ME}/guardians/{{guardianship_id:uuid}}/journeys", sync_to_thread=True, include_in_schema=False)
def let_see_journeys(
    request: Asked,
    site: Here,
    guardianship_id: FromPath[UUID],
    data: Annotated[SeesForm, Body(media_type=RequestEncodingType.URL_ENCODED)],
) -> Response[Any]:
    account = get_account(request, site)
    with site.ctx.tx() as tx:
        identity.let_see_journeys(tx, account.account_id, guardianship_id, sees=data.sees)
    return go(f"{ME}/guardians?done=rights")


def _guardians_page(
    request: Asked,
    site: Site,
    account: identity.Account,
    *,
    done: str = "",
    refused: HansaError | None = None,
    invitation: identity.Invitation | None = None,
    offered: tuple[str, identity.Account, identity.Guardianship] | None = None,
) -> Response[Any]:
    say = words_for(request, account_language=account.language)
    now = site.ctx.clock.now()
    with site.ctx.tx() as tx:
        sealer, country = means(site).sealer, country_of(tx, account)
        birth = identity.find_birth(tx, sealer, account.account_id)
        mine = [
            one
            for one in identity.list_guardianships(tx, account.account_id)
            if one.state == "accepted" or (one.state == "asked" and one.expires_at > now)
        ]
        ids = {one.ward_id for one in mine} | {one.guardian_id for one in mine if one.guardian_id}
        names = {
            one.account_id: identity.masked_name(identity.proven_name(tx, sealer, one.account_id) or one.name)
            for one in identity.find_accounts(tx, sorted(ids)).values()
        }
        lacks = identity.lacks_guardian(tx, sealer, account.account_id, country=country, day=now.date())
    minor = birth is not None and identity.is_minor(birth.born, country, now.date())
    ages = identity.ages_of(country)
    return me_page(
        request,
        site,
        account,
        "wallet/me_guardians.html",
        refused=refused,
        birth=birth,
        minor=minor,
        lacks=lacks,
        ages=ages,
        guardians=[one for one in mine if one.ward_id == account.account_id],
        wards=[one for one in mine if one.guardian_id == account.account_id],
        names=names,
        rights={name: say(text) for name, text in identity.RIGHTS.items()},
        invitation=invitation,
        offered=offered,
        masked=identity.masked_name,
        today=now.date(),
        done=done if done in ("born", "accepted", "ended", "rights") else "",
    )


ROUTES = [
    show_name,
    prove_name,
    show_contacts,
    add_contact,
    verify_contact,
    remove_contact,
    show_messages,
    show_guardians,
    state_birth,
    invite_guardian,
    look_at_invitation,
    accept_guardian,
    end_guardianship,
    let_see_journeys,
]
