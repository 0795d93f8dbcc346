"""What gates fetch: the trust list, which the league's root signs, and the deny list, which its list key signs."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from threading import Lock

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hansa.codes import TrustList, deny_update, sign_deny_update, sign_trust_list
from hansa.kernel import InvalidInput, Problem
from hansa.store import Tx
from hansa.trust import store
from hansa.trust.model import NoListKey, NoTrustList

TRUST_LIST_LIFE = timedelta(days=7)
TOKEN_LIFE = timedelta(hours=24)
"""The longest a ride token lives (docs/ride-code), so the longest it need stand on the deny list."""
RENEW_AFTER = timedelta(days=1)
"""A list is signed anew so long after it was issued, so that gates hear six times before theirs ends."""

KEPT_ANSWERS = 64


def current_trust_list(tx: Tx, *, at: datetime | None = None) -> TrustList:
    """The league's keys as they stand.

    at: the list is issued then and ends a week later. None: issued at the last change, ending with the last key.
    """
    version, changed_at, list_key, keys = store.trust_list_rows(tx)
    issued_at = at or changed_at or datetime.fromtimestamp(0, UTC)
    last = max((key.not_after for key in keys), default=issued_at)
    return TrustList(
        version=version,
        issued_at=issued_at,
        expires_at=last if at is None else at + TRUST_LIST_LIFE,
        keys=tuple(keys),
        list_key=list_key,
    )


def publish_trust_list(tx: Tx, root: Ed25519PrivateKey, *, at: datetime) -> bytes:
    """Sign the list as it stands and keep it for gates to fetch; gives the signed bytes."""
    trust_list = current_trust_list(tx, at=at)
    body = sign_trust_list(trust_list, root)
    store.insert_signed_list(
        tx,
        version=trust_list.version,
        issued_at=trust_list.issued_at,
        expires_at=trust_list.expires_at,
        body=body,
    )
    return body


def signed_trust_list(tx: Tx) -> bytes:
    """The newest list the league's root signed. Errors: NoTrustList."""
    body = store.find_signed_list(tx)
    if body is None:
        raise NoTrustList
    return body


def set_list_key(tx: Tx, public_key: bytes, at: datetime) -> None:
    """This Ed25519 key, 32 bytes, signs deny lists and settings from the next trust list on. Again is harmless.

    Errors: InvalidInput for what is no key.
    """
    if len(public_key) != 32:
        problem = Problem("public_key", f"it has {len(public_key)} bytes", "Give the 32 bytes of Ed25519")
        raise InvalidInput("This cannot be the list key.", problems=(problem,))
    if store.set_list_key(tx, public_key):
        store.record_key_change(tx, None, "list key", at)


def renew_trust_list(tx: Tx, root: Ed25519PrivateKey, *, at: datetime) -> bytes | None:
    """Sign the list where it is due: its keys changed, or it was signed a day ago; gives it, or None where it is not.

    A list that did not change gets a new version with its new end: gates take only a higher one. Two at once sign one.
    """
    store.lock_versions(tx)
    version, _, _, _ = store.trust_list_rows(tx)
    signed = store.find_signed_dates(tx)
    if signed is not None and signed[0] == version:
        if at < signed[1] + RENEW_AFTER:
            return None
        store.record_key_change(tx, None, "renewed", at)
    return publish_trust_list(tx, root, at=at)


def trust_list_ends_at(tx: Tx) -> datetime | None:
    """Until when the newest signed list is good; None before the first."""
    dates = store.find_signed_dates(tx)
    return None if dates is None else dates[2]


def revoke_token(tx: Tx, cti: bytes, at: datetime, *, expires_at: datetime | None = None) -> int:
    """Put a token on the deny list; gives the list's version. expires_at: the token's own end."""
    return revoke_tokens(tx, [(cti, expires_at or at + TOKEN_LIFE)], at)


def revoke_tokens(tx: Tx, tokens: Iterable[tuple[bytes, datetime]], at: datetime) -> int:
    """Put tokens, each with its own end, on the deny list; gives the list's version."""
    ends = dict(tokens)
    if any(len(cti) != 8 for cti in ends):
        raise InvalidInput(
            "A token id has 8 bytes.",
            problems=(Problem("cti", "its length is another", "Give the cti of the ride token"),),
        )
    return store.insert_revoked(tx, ends.items(), at)


def current_deny_list(tx: Tx, *, at: datetime | None = None) -> tuple[int, frozenset[bytes]]:
    """The deny list's version and its tokens; with ``at``, without those that have ended by then."""
    version, ctis = store.deny_list_rows(tx, since=0, at=at)
    return version, frozenset(ctis)


def deny_list_since(tx: Tx, since: int, *, at: datetime | None = None) -> tuple[int, list[bytes]]:
    """The deny list's version, and what was put on it after version ``since``: a gate's delta."""
    return store.deny_list_rows(tx, since=since, at=at)


def find_revoked(tx: Tx, ctis: Iterable[bytes]) -> dict[bytes, tuple[int, datetime]]:
    """Those of these tokens that were ever revoked, ended ones too: in which version of the deny list, and when."""
    return store.find_revoked(tx, ctis)


def signed_deny_update(tx: Tx, list_private: Ed25519PrivateKey, *, since: int, at: datetime) -> bytes:
    """What was put on the deny list after version ``since``, without what has ended; 0 for the whole list.

    Errors: InvalidInput for a version that is not there yet; NoListKey where the trust list names another key, so that
    no gate would believe it.
    """
    version, list_key, tokens = store.deny_update_rows(tx, since=since, at=at)
    if since > version:
        raise InvalidInput(
            "There is no such version yet.",
            problems=(Problem("since", f"{since} is past {version}", "Ask with 0 for the whole list"),),
        )
    if list_key != list_private.public_key().public_bytes_raw():
        raise NoListKey
    return sign_deny_update(deny_update(version, since, at, tokens), list_private)


class ListSigner:
    """Signs deny lists for many gates: all that ask within a minute with one version get the same bytes.

    Each is issued at the minute's beginning, so that none of a minute is older than another: a gate takes no word that
    is older than the one it has.
    """

    def __init__(self, list_private: Ed25519PrivateKey) -> None:
        self._private = list_private
        self._kept: dict[tuple[int, int, int], bytes] = {}
        self._lock = Lock()

    @property
    def private_key(self) -> Ed25519PrivateKey:
        """The league's list key."""
        return self._private

    def deny_update(self, tx: Tx, *, since: int, at: datetime) -> bytes:
        """As `signed_deny_update`. Errors: InvalidInput, NoListKey."""
        minute = at.replace(second=0, microsecond=0)
        name = store.deny_list_version(tx), since, int(minute.timestamp())
        with self._lock:
            body = self._kept.get(name)
        if body is None:
            body = signed_deny_update(tx, self._private, since=since, at=minute)
            with self._lock:
                if len(self._kept) >= KEPT_ANSWERS:
                    self._kept.clear()
                self._kept[name] = body
        return body
