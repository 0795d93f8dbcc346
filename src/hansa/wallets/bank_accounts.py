"""A person's own bank accounts, and the reference under which a credit transfer finds their wallet.

The number of a bank account goes to the bank's rail and no further: what is kept is the token that the rail gave for
it, and what a person recognises it by. An account counts as its owner's where the bank knows its holder by the name
that its owner has proved; the name that somebody signed up with says nothing.
"""

import secrets
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from hansa import identity
from hansa.identity import AccountId, PersonId, ProofLevel, Sealer
from hansa.kernel import CURRENCY_EXPONENTS, UnknownCurrency, fact_id, is_iban
from hansa.store import Context, Rate, Tx, refuse_too_often
from hansa.wallets import bank_store as store
from hansa.wallets.bank_model import (
    COOLING,
    BankAccount,
    BankAccountInUse,
    NameNotProved,
    NotYourBankAccount,
    UnknownBankAccount,
)
from hansa.wallets.model import NameMatch
from hansa.wallets.rails import BadBankNumber, BankRail

ADDING = Rate(5, timedelta(days=1))
"""How often one person may try to add a bank account: each try asks a bank for a name."""

REFERENCE_LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def add(
    ctx: Context,
    rail: BankRail,
    sealer: Sealer,
    account_id: AccountId,
    number: str,
    currency: str,
    *,
    may_pull: bool = False,
) -> BankAccount:
    """Add a bank account in the name that its person has proved; again gives the one that is there.

    may_pull: the person gives a mandate to collect from it. It is paid nothing for a day. One that was added when
    another name was proved, or none, is the person's anew from now on, and cools anew. Errors: UnknownAccount,
    NameNotProved, BadBankNumber, NotYourBankAccount, RailAway, UnknownCurrency, store.TooOften; store.SecretMissing.
    """
    if currency not in CURRENCY_EXPONENTS:
        raise UnknownCurrency(f"{currency[:10]!r} is not an active ISO 4217 currency code.")
    plain = "".join(number.split()).upper()
    if not 6 <= len(plain) <= 34 or not plain.isalnum() or not plain.isascii():
        raise BadBankNumber
    if plain[:2].isalpha() and not is_iban(plain):
        raise BadBankNumber("The check digits of this IBAN are wrong: a digit is missing or mistyped.")
    with ctx.tx() as tx:
        identity.get_account(tx, account_id)
        person_id = _person(tx, account_id)
        holder = identity.proven_name(tx, sealer, account_id)
    if holder is None:
        raise NameNotProved
    refuse_too_often(ctx, f"wallets.bank/{account_id}", ADDING)
    verified = rail.verify(plain, holder)
    if verified.match is NameMatch.NO_MATCH:
        raise NotYourBankAccount
    now = ctx.clock.now()
    bank_account_id = fact_id(now, "bank account", account_id, rail.rail_id, verified.token)
    new = BankAccount(
        bank_account_id=bank_account_id,
        account_id=account_id,
        rail_id=rail.rail_id,
        token=verified.token,
        currency=currency,
        shown=verified.shown,
        may_pull=may_pull,
        mandate_id=_mandate_id(bank_account_id) if may_pull else "",
        added_at=now,
        usable_at=now + COOLING,
        ended_at=None,
        person_id=person_id,
    )
    with ctx.tx() as tx:
        if store.add_bank_account(tx, new):
            return new
        known = store.bank_account_of_token(tx, account_id, rail.rail_id, verified.token)
        assert known is not None, "what is in the way is there"
        if known.person_id == person_id:
            return known
        name = _mandate_id(known.bank_account_id) if may_pull else ""
        renewed = replace(
            known, person_id=person_id, may_pull=may_pull, mandate_id=name, usable_at=new.usable_at
        )
        store.renew_bank_account(tx, renewed)
        return renewed


def get(tx: Tx, account_id: AccountId, bank_account_id: UUID) -> BankAccount:
    """A person's bank account. Errors: UnknownBankAccount, for others' and ended ones too."""
    return _there(store.find_bank_account(tx, account_id, bank_account_id))


def get_own(tx: Tx, account_id: AccountId, bank_account_id: UUID) -> BankAccount:
    """A person's bank account that may be paid and pulled: theirs by the name that is proved now. Nobody ends it before
    this transaction does.

    Errors: UnknownBankAccount; NameNotProved; NotYourBankAccount where it was added under another name, or under none.
    """
    person_id = _person(tx, account_id)
    found = _there(store.find_bank_account(tx, account_id, bank_account_id, lock=True))
    if found.person_id != person_id:
        raise NotYourBankAccount(
            "Your name was proved, or changed, since this bank account was added. Add it again."
        )
    return found


def list_of(tx: Tx, account_id: AccountId) -> list[BankAccount]:
    """A person's bank accounts, the latest first."""
    return store.list_bank_accounts(tx, account_id)


def end(tx: Tx, account_id: AccountId, bank_account_id: UUID, at: datetime, *, partition: int = 0) -> None:
    """Take a bank account out, with its mandate; automatic top-ups from it stop. Again is harmless.

    partition: of the account. Errors: BankAccountInUse while a withdrawal to it is under way; nothing is changed then.
    """
    store.find_bank_account(tx, account_id, bank_account_id, lock=True)
    under_way = store.find_withdrawal_to(tx, partition, account_id, bank_account_id)
    if under_way is not None:
        raise BankAccountInUse(f"A withdrawal to it is under way: /wallet/withdraw/{under_way}")
    store.end_bank_account(tx, account_id, bank_account_id, at)


def end_all(tx: Tx, account_id: AccountId, at: datetime) -> None:
    """Take all bank accounts of a person out, whatever is under way, since nothing is left to be paid to them."""
    store.end_bank_accounts(tx, account_id, at)


def set_mandate(tx: Tx, account_id: AccountId, bank_account_id: UUID, *, may_pull: bool) -> BankAccount:
    """Give a mandate to collect from a bank account, or take it back.

    Errors: those of ``get_own``, to give; else those of ``get``.
    """
    (get_own if may_pull else get)(tx, account_id, bank_account_id)
    name = _mandate_id(bank_account_id) if may_pull else ""
    store.set_mandate(tx, account_id, bank_account_id, may_pull=may_pull, mandate_id=name)
    return get(tx, account_id, bank_account_id)


def reference_of(ctx: Context, account_id: AccountId, currency: str) -> str:
    """What a person writes on a credit transfer so that it finds their wallet: a creditor reference, made when first
    asked for. Errors: UnknownAccount. Source: ISO 11649, check digits by ISO 7064 mod 97-10.
    """
    with ctx.tx() as tx:
        found = store.reference_of(tx, account_id, currency)
        if found is None:
            identity.get_account(tx, account_id)
            body = "".join(secrets.choice(REFERENCE_LETTERS) for _ in range(12))
            store.add_reference(tx, account_id, currency, creditor_reference(body), ctx.clock.now())
            found = store.reference_of(tx, account_id, currency)
        assert found is not None, "it was just kept"
        return found


def creditor_reference(body: str) -> str:
    """A reference with its check digits: ``RF18539007547034``. body: 1 to 21 letters and digits."""
    digits = "".join(str(int(letter, 36)) for letter in f"{body}RF00")
    return f"RF{98 - int(digits) % 97:02}{body}"


def read_reference(text: str) -> str | None:
    """A creditor reference as it was written, spaces and case aside; None where it is none, or mistyped."""
    plain = "".join(text.split()).upper()
    if not 5 <= len(plain) <= 25 or not plain.startswith("RF") or not plain.isalnum() or not plain.isascii():
        return None
    digits = "".join(str(int(letter, 36)) for letter in plain[4:] + plain[:4])
    return plain if int(digits) % 97 == 1 else None


def _there(found: BankAccount | None) -> BankAccount:
    if found is None or found.ended_at is not None:
        raise UnknownBankAccount
    return found


def _person(tx: Tx, account_id: AccountId) -> PersonId:
    """Who the holder of this account is by proof. Errors: NameNotProved."""
    person_id = identity.person_of(tx, account_id)
    if person_id is None or identity.proof_level(tx, account_id) < ProofLevel.NAME:
        raise NameNotProved
    return person_id


def _mandate_id(bank_account_id: UUID) -> str:
    return f"HANSA-{bank_account_id.hex[-12:].upper()}"
