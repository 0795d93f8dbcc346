"""Ride tokens: whom they stand for, which a phone gets, and their end before their time."""

import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar, Protocol, runtime_checkable
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hansa import atlas, codes, identity, trust
from hansa.kernel import CURRENCY_EXPONENTS, HansaError, InvalidInput, Problem, UnknownCurrency
from hansa.rides import tokens_store
from hansa.rides.model import Token, TokenConflict
from hansa.rides.token_policy import Span, TokenPolicy, TokenRule, ask_again_at, spans_to_give
from hansa.rides.tokens_store import LiveToken, NewToken
from hansa.store import Tx

REASON_MAX = 500
COUNTED = timedelta(hours=24)
"""Over how long the tokens of an account that were ended are counted."""


@runtime_checkable
class IssuerKeys(Protocol):
    """Where the issuers' private keys are; ``trust.KeyFolder`` is one."""

    def issuer(self, issuer_id: str) -> Ed25519PrivateKey:
        """The key that signs this issuer's ride tokens."""
        ...


class NoIssuerKey(HansaError):
    """The issuer of this account has no key in force here, so it can sign no ride token."""

    code: ClassVar[str] = "rides.no_issuer_key"
    status: ClassVar[int] = 409


class TooManyTokens(HansaError):
    """Too many tokens of this account were ended within a day. It gets new ones again tomorrow."""

    code: ClassVar[str] = "rides.too_many_tokens"
    status: ClassVar[int] = 409


@dataclass(frozen=True, slots=True)
class GivenToken:
    """A token as the phone gets it. data: its 149 bytes. begins_at: gates take it from then, until expires_at."""

    data: bytes
    cti: bytes
    begins_at: datetime
    expires_at: datetime
    offline_cap: int
    companions: int


@dataclass(frozen=True, slots=True)
class Given:
    """What became of a phone's question for tokens.

    tokens: the new ones, in order. drop: those it holds that are good no more. ask_again_at: it gets more then.
    """

    tokens: tuple[GivenToken, ...]
    drop: tuple[bytes, ...]
    ask_again_at: datetime
    policy_version: int


def register_tokens(tx: Tx, tokens: Sequence[Token]) -> None:
    """Tell whom ride tokens stand for. Again with the same is harmless.

    Errors: UnknownCurrency; TokenConflict when a token id is known with anything else. Nothing is kept then.
    """
    if not tokens:
        return
    for token in tokens:
        if token.wallet_currency not in CURRENCY_EXPONENTS:
            raise UnknownCurrency(f"{token.wallet_currency!r} is no active currency of ISO 4217.")
    tokens_store.insert_tokens(tx, tokens)
    known = tokens_store.find_tokens(tx, [token.cti for token in tokens])
    for token in tokens:
        if known[token.cti] != token:
            raise TokenConflict(
                f"The token {token.cti.hex()} already stands for another account, class or life."
            )


def give_tokens(
    tx: Tx,
    keys: IssuerKeys,
    phone: identity.Phone,
    *,
    hold: Collection[bytes],
    at: datetime,
    policy: TokenPolicy,
) -> Given:
    """The tokens this phone still lacks, by how far its account is trusted.

    hold: ids of the tokens that it has. A live token that it says it has not, or that was given before its account's
    standing changed, is ended and replaced. The caller has proved the phone in this transaction.
    Errors: identity.AccountBlocked; NoIssuerKey; TooManyTokens; trust.MemberMayNot where the account's issuer is
    suspended or has left. Nothing is changed then, once the transaction rolls back.
    """
    account = identity.get_account(tx, phone.account_id)
    standing = identity.standing_of(tx, account.account_id)
    rule = policy.rule_for(standing.level, account.rider_class)
    if rule is None:
        raise identity.AccountBlocked
    live = tokens_store.live_of_phone(tx, phone.phone_id, at)
    held = [
        one
        for one in live
        if one.cti in hold and one.issued_at >= standing.since and one.rider_class == account.rider_class
    ]
    ended = [one for one in live if one not in held]
    if ended:
        _end(tx, ended, at=at, reason="replaced")
    spans = [Span(one.begins_at, one.expires_at) for one in held]
    wanted = spans_to_give(rule, spans, at)
    if wanted and tokens_store.count_ended(tx, account.account_id, at - COUNTED) > policy.ended_max:
        raise TooManyTokens
    if wanted and account.issuer_id in trust.shut_out(tx, "sign", at):
        trust.check_may(tx, account.issuer_id, "sign", at)
    given = _issue(tx, keys, phone, account, rule, wanted, at=at, version=policy.version) if wanted else ()
    return Given(
        given,
        tuple(sorted(set(hold) - {one.cti for one in held})),
        ask_again_at(rule, [*spans, *wanted], at),
        policy.version,
    )


def end_tokens(
    tx: Tx, *, account_id: UUID | None = None, phone_id: UUID | None = None, at: datetime, reason: str
) -> int:
    """Put an account's or a phone's live tokens, those for days to come too, on the deny list; how many.

    Again is harmless: what was ended stays as it is. Errors: InvalidInput when neither is named, or without a reason.
    """
    if account_id is None and phone_id is None:
        problem = Problem("account_id, phone_id", "neither is named", "Name the account or the phone")
        raise InvalidInput("Whose tokens end must be said.", problems=(problem,))
    if not 1 <= len(reason.strip()) <= REASON_MAX:
        problem = Problem("reason", f"it has {len(reason)} characters", f"Give 1 to {REASON_MAX}")
        raise InvalidInput("Tokens end for a reason.", problems=(problem,))
    ended = tokens_store.lock_live(tx, account_id=account_id, phone_id=phone_id, at=at)
    _end(tx, ended, at=at, reason=reason.strip())
    return len(ended)


def count_live(tx: Tx, phone_ids: Sequence[UUID], at: datetime) -> dict[UUID, int]:
    """How many tokens of each phone gates take now or on a day to come; a phone that has none is left out."""
    return tokens_store.count_live(tx, phone_ids, at)


def end_phone(
    tx: Tx,
    account_id: identity.AccountId,
    phone_id: UUID,
    status: identity.PhoneStatus,
    *,
    at: datetime,
) -> tuple[identity.Phone, int]:
    """Have a rider's phone be ``lost`` or ``removed``, and end its tokens; the phone, and how many those were.

    Again is harmless. Errors: identity.UnknownPhone.
    """
    phone = identity.end_phone(tx, account_id, phone_id, status, at=at, reason=status)
    return phone, end_tokens(tx, phone_id=phone_id, at=at, reason=status)


def _end(tx: Tx, tokens: Sequence[LiveToken], *, at: datetime, reason: str) -> None:
    if tokens:
        tokens_store.end_tokens(tx, [one.cti for one in tokens], at=at, reason=reason)
        trust.revoke_tokens(tx, [(one.cti, one.expires_at) for one in tokens], at)


def _issue(
    tx: Tx,
    keys: IssuerKeys,
    phone: identity.Phone,
    account: identity.Account,
    rule: TokenRule,
    spans: Sequence[Span],
    *,
    at: datetime,
    version: int,
) -> tuple[GivenToken, ...]:
    private, listed = _signing_key(tx, keys, account.issuer_id, at)
    currency = atlas.get_city(tx, account.home_city_id).currency
    scope = codes.Scope(account.rider_class, listed.products, (), rule.offline_cap, rule.companions)
    device_key = EllipticCurvePublicKey.from_encoded_point(SECP256R1(), phone.public_key)
    given: list[GivenToken] = []
    kept: list[NewToken] = []
    for span in spans:
        cti = secrets.token_bytes(8)
        data = codes.make_token(
            private, kid=listed.kid, cti=cti, expires_at=span.ends_at, device_key=device_key, scope=scope
        )
        given.append(GivenToken(data, cti, span.begins_at, span.ends_at, rule.offline_cap, rule.companions))
        token = Token(
            cti,
            account.account_id,
            account.issuer_id,
            currency,
            account.rider_class,
            span.ends_at,
            span.begins_at,
            phone.phone_id,
            rule.companions,
        )
        kept.append(NewToken(token, at, version))
    tokens_store.insert_issued(tx, kept)
    return tuple(given)


def _signing_key(
    tx: Tx, keys: IssuerKeys, issuer_id: str, at: datetime
) -> tuple[Ed25519PrivateKey, codes.TrustedKey]:
    """The issuer's key that we have, as the league lists it. Errors: NoIssuerKey."""
    private = keys.issuer(issuer_id)
    public = private.public_key().public_bytes_raw()
    for key in trust.current_trust_list(tx).keys:
        good = key.status == "active" and key.not_before <= at < key.not_after
        if good and (key.issuer_id, key.public_key) == (issuer_id, public):
            return private, key
    raise NoIssuerKey(f"{issuer_id} has no key in force here, so it can sign no ride token.")
