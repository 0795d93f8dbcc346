"""The trust list and the deny list: every change has a version, and a reader of versions misses none."""

from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hansa import trust
from hansa.codes import DenyUpdate, read_deny_update, read_trust_list
from hansa.kernel import InvalidInput
from hansa.store import Context, Tx
from hansa.trust import Member, MemberId

NOW = datetime(2026, 11, 17, 12, tzinfo=UTC)
YEAR = timedelta(days=365)
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
OTHER_KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))
ROOT = Ed25519PrivateKey.from_private_bytes(bytes(range(2, 34)))


def public(key: Ed25519PrivateKey) -> bytes:
    return key.public_key().public_bytes_raw()


def league(tx: Tx) -> None:
    trust.add_members(
        tx,
        [
            Member(MemberId("london"), "London", "city", "london", MemberId("london"), "GB00"),
            Member(MemberId("london-card"), "London Card", "issuer", "london", MemberId("london"), "GB01"),
        ],
    )


def vouch(tx: Tx, key: Ed25519PrivateKey, **more: object) -> None:
    trust.add_issuer_key(
        tx,
        "london-card",
        public(key),
        not_before=NOW - YEAR,
        not_after=NOW + YEAR,
        products=("metro", "bus"),
        **more,  # pyright: ignore[reportArgumentType]
    )


def test_each_change_of_a_key_is_a_version_of_the_trust_list(ctx: Context) -> None:
    with ctx.tx() as tx:
        league(tx)
        assert trust.current_trust_list(tx).version == 0

        vouch(tx, KEY, kid=b"one1")
        vouch(tx, KEY, kid=b"one1")
        vouch(tx, OTHER_KEY, kid=b"two2")
        trust.set_key_status(tx, b"one1", "compromised", NOW)
        trust.set_key_status(tx, b"one1", "compromised", NOW)
        vouch(tx, KEY, kid=b"one1")

        now = trust.current_trust_list(tx)
        assert now.version == 3
        assert {key.kid: (key.issuer_id, key.status, key.products) for key in now.keys} == {
            b"one1": ("london-card", "compromised", ("metro", "bus")),
            b"two2": ("london-card", "active", ("metro", "bus")),
        }
        assert (now.issued_at, now.expires_at) == (NOW, NOW + YEAR)


def test_a_key_id_is_not_given_to_a_second_key(ctx: Context) -> None:
    with ctx.tx() as tx:
        league(tx)
        vouch(tx, KEY, kid=b"one1")

    with pytest.raises(trust.MemberDiffers), ctx.tx() as tx:
        vouch(tx, OTHER_KEY, kid=b"one1")

    with ctx.tx() as tx:
        assert [key.public_key for key in trust.current_trust_list(tx).keys] == [public(KEY)]


def test_only_an_issuer_of_the_league_has_a_key(ctx: Context) -> None:
    with ctx.tx() as tx:
        league(tx)

        for name in ("london", "atlantis-card"):
            with pytest.raises(trust.UnknownIssuer):
                trust.add_issuer_key(tx, name, public(KEY), not_before=NOW, not_after=NOW + YEAR)
        with pytest.raises(trust.UnknownIssuer):
            trust.set_key_status(tx, b"none", "retired", NOW)

        assert trust.current_trust_list(tx).version == 0


def test_gates_fetch_the_list_as_the_root_signed_it(ctx: Context) -> None:
    with ctx.tx() as tx:
        league(tx)
        with pytest.raises(trust.NoTrustList):
            trust.signed_trust_list(tx)
        vouch(tx, KEY)

        trust.publish_trust_list(tx, ROOT, at=NOW)
        body = trust.signed_trust_list(tx)

        read = read_trust_list(body, ROOT.public_key(), now=NOW)
        assert read == trust.current_trust_list(tx, at=NOW)
        assert read.expires_at == NOW + trust.TRUST_LIST_LIFE


def test_revoked_tokens_stand_on_the_deny_list_while_they_live(ctx: Context) -> None:
    with ctx.tx() as tx:
        assert trust.current_deny_list(tx) == (0, frozenset())

        trust.revoke_token(tx, b"a" * 8, NOW)
        trust.revoke_tokens(
            tx, [(b"b" * 8, NOW + timedelta(hours=1)), (b"c" * 8, NOW + timedelta(hours=9))], NOW
        )
        trust.revoke_token(tx, b"a" * 8, NOW)

        assert trust.current_deny_list(tx) == (3, frozenset({b"a" * 8, b"b" * 8, b"c" * 8}))
        later = NOW + timedelta(hours=2)
        assert trust.current_deny_list(tx, at=later) == (3, frozenset({b"a" * 8, b"c" * 8}))
        assert trust.deny_list_since(tx, 1) == (3, [b"b" * 8, b"c" * 8])
        assert trust.deny_list_since(tx, 3) == (3, [])


def test_a_revoked_token_is_found_with_the_version_that_first_had_it(ctx: Context) -> None:
    with ctx.tx() as tx:
        first = trust.revoke_tokens(tx, [(b"phone 01", NOW + timedelta(hours=1))], NOW)
        trust.revoke_tokens(tx, [(b"phone 01", NOW + timedelta(hours=1))], NOW + timedelta(minutes=9))

        found = trust.find_revoked(tx, [b"phone 01", b"phone 02"])

    assert found == {b"phone 01": (first, NOW)}


LISTS = Ed25519PrivateKey.from_private_bytes(bytes(range(3, 35)))


def test_the_list_key_stands_on_the_trust_list_as_a_version_of_its_own(ctx: Context) -> None:
    with ctx.tx() as tx:
        league(tx)
        vouch(tx, KEY)
        trust.set_list_key(tx, public(LISTS), NOW)
        trust.set_list_key(tx, public(LISTS), NOW + timedelta(hours=1))

        body = trust.publish_trust_list(tx, ROOT, at=NOW)
        with pytest.raises(InvalidInput):
            trust.set_list_key(tx, b"short", NOW)

        read = read_trust_list(body, ROOT.public_key(), now=NOW)
        assert (read.version, read.list_key) == (2, public(LISTS))
        assert trust.current_trust_list(tx, at=NOW) == read


def test_a_list_is_signed_anew_when_it_changed_or_a_day_has_gone(ctx: Context) -> None:
    with ctx.tx() as tx:
        league(tx)
        vouch(tx, KEY)
        hours = (0.0, 1.0, 23.9, 24.0, 30.0, 31.0, 54.0, 55.0)
        changes = {30.0: OTHER_KEY}
        signed: list[tuple[float, int]] = []
        for hour in hours:
            if hour in changes:
                vouch(tx, changes[hour])
            at = NOW + timedelta(hours=hour)
            body = trust.renew_trust_list(tx, ROOT, at=at)
            if body is not None:
                read = read_trust_list(body, ROOT.public_key(), now=at)
                signed.append((hour, read.version))
                assert trust.trust_list_ends_at(tx) == read.expires_at == at + trust.TRUST_LIST_LIFE
                assert trust.signed_trust_list(tx) == body

    assert signed == [(0, 1), (24, 2), (30, 3), (54, 4)]


def test_a_gate_is_told_of_revoked_tokens_by_the_hour_in_which_they_end(ctx: Context) -> None:
    with ctx.tx() as tx:
        trust.set_list_key(tx, public(LISTS), NOW)
        trust.revoke_token(tx, b"a" * 8, NOW, expires_at=NOW + timedelta(minutes=10))
        trust.revoke_token(tx, b"b" * 8, NOW, expires_at=NOW + timedelta(minutes=20))
        trust.revoke_token(tx, b"c" * 8, NOW, expires_at=NOW + timedelta(hours=3))
        at = NOW + timedelta(minutes=15)

        whole = read_deny_update(trust.signed_deny_update(tx, LISTS, since=0, at=at), LISTS.public_key())
        delta = read_deny_update(trust.signed_deny_update(tx, LISTS, since=2, at=at), LISTS.public_key())
        none = read_deny_update(trust.signed_deny_update(tx, LISTS, since=3, at=at), LISTS.public_key())

    hour, third = NOW + timedelta(hours=1), NOW + timedelta(hours=3)
    assert whole == DenyUpdate(3, 0, at, ((hour, b"b" * 8), (third, b"c" * 8)))
    assert delta == DenyUpdate(3, 2, at, ((third, b"c" * 8),))
    assert none == DenyUpdate(3, 3, at, ())


def test_no_gate_would_believe_a_list_by_a_key_that_is_not_on_the_trust_list(ctx: Context) -> None:
    with ctx.tx() as tx:
        with pytest.raises(trust.NoListKey):
            trust.signed_deny_update(tx, LISTS, since=0, at=NOW)
        trust.set_list_key(tx, public(LISTS), NOW)

        with pytest.raises(trust.NoListKey):
            trust.signed_deny_update(tx, OTHER_KEY, since=0, at=NOW)
        with pytest.raises(InvalidInput) as refusal:
            trust.signed_deny_update(tx, LISTS, since=1, at=NOW)

    assert refusal.value.problems[0].where == "since"


def test_gates_that_ask_within_a_minute_get_the_same_bytes_until_something_is_revoked(ctx: Context) -> None:
    signer = trust.ListSigner(LISTS)
    with ctx.tx() as tx:
        trust.set_list_key(tx, public(LISTS), NOW)
        first = signer.deny_update(tx, since=0, at=NOW + timedelta(seconds=20))
        again = signer.deny_update(tx, since=0, at=NOW + timedelta(seconds=59))
        fresh = signer.deny_update(tx, since=0, at=NOW + timedelta(seconds=60))
        trust.revoke_token(tx, b"a" * 8, NOW)
        revoked = signer.deny_update(tx, since=0, at=NOW + timedelta(seconds=61))

    assert first == again
    assert [read_deny_update(body, LISTS.public_key()).issued_at for body in (first, fresh)] == [
        NOW,
        NOW + timedelta(seconds=60),
    ]
    assert read_deny_update(revoked, LISTS.public_key()).version == 1
