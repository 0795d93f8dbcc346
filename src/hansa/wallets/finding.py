"""Whom a person means to pay: by a code, a link or QR picture with it, or a contact that was proved.

What is told of a stranger is a masked name, and whether the name that the payer expects fits. Looking is counted, so
that nobody reads out who has an account here.
"""

from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

from hansa import identity
from hansa.identity import AccountId
from hansa.identity.contact_lookup import account_of_contact
from hansa.kernel import InvalidInput, Problem
from hansa.store import Context, Rate, Tx, refuse_too_often
from hansa.wallets import transfers_store as store
from hansa.wallets.model import (
    NameMatch,
    Receiver,
    UnknownReceiver,
    compare_names,
    new_code,
    read_code,
)

LOOKING = Rate(20, timedelta(minutes=10))
"""How often one person may look for others."""

TEXT_MAX = 400


def find_receiver(
    ctx: Context,
    asker_id: AccountId,
    text: str,
    *,
    sealer: identity.Sealer | None = None,
    country: str = "",
) -> Receiver:
    """Who is meant by a code, the address of a link or QR picture with one, or a proved e-mail address or phone number.

    sealer: finds contacts; without it only codes are found. country: ISO 3166-1 alpha-2, for a number without its
    country code. Errors: UnknownReceiver, for a code mistyped, for nobody, and for oneself; store.TooOften.
    """
    refuse_too_often(ctx, f"wallets.look/{asker_id}", LOOKING)
    with ctx.tx() as tx:
        found = _account_of(tx, text.strip()[:TEXT_MAX], sealer, country)
        if found is None or found == asker_id:
            raise UnknownReceiver
        return receiver_of(tx, found)


def account_of_code(ctx: Context, text: str) -> AccountId | None:
    """Whose code this is, for a clerk to whom they showed it; None where it is nobody's, or mistyped."""
    code = read_code(text[:TEXT_MAX])
    if code is None:
        return None
    with ctx.tx() as tx:
        found = store.account_of_code(tx, code)
        if found is None or identity.is_closed(tx, AccountId(found)):
            return None
    return AccountId(found)


def receiver_of(tx: Tx, account_id: AccountId) -> Receiver:
    """Who would be paid, as a payer sees them. Errors: UnknownReceiver, also for an account that was deleted."""
    account = identity.find_account(tx, account_id)
    if account is None or identity.is_closed(tx, account_id):
        raise UnknownReceiver
    return Receiver(account.account_id, account.issuer_id, identity.masked_name(account.name))


def check_name(ctx: Context, asker_id: AccountId, receiver_id: AccountId, expected: str) -> NameMatch:
    """How the name that a payer expects fits; looking is counted, so nobody guesses a name letter by letter.

    Errors: UnknownReceiver, store.TooOften; InvalidInput for a name of more than 200 characters.
    """
    if len(expected) > 200:
        problem = Problem("expected_name", "is too long", "Write the name alone")
        raise InvalidInput("This is no name.", problems=(problem,))
    refuse_too_often(ctx, f"wallets.name/{asker_id}/{receiver_id}", Rate(5, timedelta(hours=1)))
    with ctx.tx() as tx:
        account = identity.find_account(tx, receiver_id)
        closed = identity.is_closed(tx, receiver_id)
    if account is None or closed:
        raise UnknownReceiver
    return compare_names(expected, account.name)


def code_of(ctx: Context, account_id: AccountId) -> str:
    """The code by which this account is paid; made when first asked for. Errors: UnknownAccount."""
    while True:
        with ctx.tx() as tx:
            found = store.code_of(tx, account_id)
            if found is not None:
                return found
            identity.get_account(tx, account_id)
            store.add_code(tx, account_id, new_code(), ctx.clock.now())


def change_code(ctx: Context, account_id: AccountId) -> str:
    """Another code for an account; the one before leads to nobody. Errors: UnknownAccount."""
    code = new_code()
    with ctx.tx() as tx:
        identity.get_account(tx, account_id)
        store.change_code(tx, account_id, code, ctx.clock.now())
    return code


def _account_of(tx: Tx, text: str, sealer: identity.Sealer | None, country: str) -> AccountId | None:
    if "://" in text or text.startswith("/"):
        text = next(iter(parse_qs(urlsplit(text).query).get("to", [""])), "")
    code = read_code(text)
    if code is not None:
        found = store.account_of_code(tx, code)
        if found is not None:
            return AccountId(found)
    return account_of_contact(tx, sealer, text, country=country) if sealer is not None and text else None
