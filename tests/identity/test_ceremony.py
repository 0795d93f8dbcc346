"""Ceremonies by a software authenticator: what is good is taken, and each thing that is wrong is refused by name."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hansa.identity import ceremony
from hansa.identity.ceremony import CeremonyRefused, CounterWentBack, Evidence, RelyingParty, check_evidence
from identity.authenticating import PRESENT, VERIFIED, Authenticator, Kind, base64url, octets_of

RP = RelyingParty("wallet.example", "https://wallet.example")
CHALLENGE = bytes(range(32))
OTHER = bytes(32)


def made(device: Authenticator) -> tuple[str, ceremony.Registered]:
    options = ceremony.registration_options(RP, user_handle=b"u" * 16, name="Gao Lan", challenge=CHALLENGE)
    answer = device.create(options)
    return answer, ceremony.check_registration(answer, challenge=CHALLENGE, rp=RP)


def used(device: Authenticator, **changed: Any) -> ceremony.Assertion:
    options = ceremony.assertion_options(RP, challenge=CHALLENGE)
    return ceremony.read_assertion(device.get(options, **changed))


@pytest.mark.parametrize("kind", ["ES256", "EdDSA", "RS256"])
def test_a_passkey_is_made_used_and_its_evidence_checked_again(kind: Kind) -> None:
    device = Authenticator(origin=RP.origin, kind=kind)
    answer, registered = made(device)
    assert ceremony.read_challenge_of_registration(answer) == CHALLENGE
    assert registered.credential_id == device.credentials[0].credential_id
    assert registered.transports == ("internal", "hybrid") and not registered.backed_up

    assertion = used(device)
    checked = ceremony.check_assertion(
        assertion, public_key=registered.public_key, challenge=CHALLENGE, rp=RP, sign_count=0
    )
    evidence = ceremony.evidence_of(assertion, registered.public_key)

    assert checked.sign_count == 1 and assertion.user_handle == b"u" * 16
    check_evidence(evidence, CHALLENGE, RP.rp_id, RP.origin)


def test_options_ask_for_a_key_that_stays_and_an_owner_who_is_known() -> None:
    asked = json.loads(
        ceremony.registration_options(
            RP, user_handle=b"u", name="Gao Lan", challenge=CHALLENGE, exclude=[b"c" * 16]
        )
    )

    assert asked["authenticatorSelection"] == {
        "residentKey": "required",
        "requireResidentKey": True,
        "userVerification": "required",
    }
    assert [one["alg"] for one in asked["pubKeyCredParams"]] == [-7, -8, -257]
    assert asked["attestation"] == "none" and octets_of(asked["challenge"]) == CHALLENGE
    assert [one["id"] for one in asked["excludeCredentials"]] == [base64url(b"c" * 16)]
    assert json.loads(ceremony.assertion_options(RP, challenge=CHALLENGE))["userVerification"] == "required"


@pytest.mark.parametrize(
    "changed",
    [
        {"origin": "https://wallet.example.evil"},
        {"origin": "http://wallet.example"},
        {"rp_id": "evil.example"},
        {"type": "webauthn.get"},
        {"crossOrigin": True},
        {"challenge": base64url(OTHER)},
        {"challenge": ""},
    ],
)
def test_a_passkey_made_for_anything_else_is_refused(changed: dict[str, Any]) -> None:
    options = ceremony.registration_options(RP, user_handle=b"u", name="Gao Lan", challenge=CHALLENGE)
    answer = Authenticator(origin=RP.origin).create(options, **changed)

    with pytest.raises(CeremonyRefused) as refused:
        ceremony.check_registration(answer, challenge=CHALLENGE, rp=RP)
    assert refused.value.problems


@pytest.mark.parametrize(
    "changed",
    [
        {"origin": "https://evil.example"},
        {"type": "webauthn.create"},
        {"crossOrigin": True},
        {"challenge": base64url(OTHER)},
    ],
)
def test_a_passkey_used_for_anything_else_is_refused(changed: dict[str, Any]) -> None:
    device = Authenticator(origin=RP.origin)
    _, registered = made(device)
    assertion = used(device, **changed)

    with pytest.raises(CeremonyRefused):
        ceremony.check_assertion(assertion, public_key=registered.public_key, challenge=CHALLENGE, rp=RP)
    evidence = ceremony.evidence_of(assertion, registered.public_key)
    with pytest.raises(CeremonyRefused):
        check_evidence(evidence, CHALLENGE, RP.rp_id, RP.origin)


@pytest.mark.parametrize("flags", [0, PRESENT, VERIFIED])
def test_an_owner_who_is_not_there_or_not_verified_is_refused(flags: int) -> None:
    good, poor = Authenticator(origin=RP.origin), Authenticator(origin=RP.origin, flags=flags)
    options = ceremony.registration_options(RP, user_handle=b"u", name="Gao Lan", challenge=CHALLENGE)
    with pytest.raises(CeremonyRefused):
        ceremony.check_registration(poor.create(options), challenge=CHALLENGE, rp=RP)

    _, registered = made(good)
    good.flags = flags
    with pytest.raises(CeremonyRefused):
        ceremony.check_assertion(used(good), public_key=registered.public_key, challenge=CHALLENGE, rp=RP)


@pytest.mark.parametrize(
    ("kept", "shown", "taken"),
    [(0, 0, True), (0, 1, True), (5, 6, True), (5, 5, False), (5, 4, False), (5, 0, False)],
)
def test_the_count_of_signatures_grows_or_was_never_kept(kept: int, shown: int, taken: bool) -> None:
    device = Authenticator(origin=RP.origin)
    _, registered = made(device)
    device.credentials[0].count = shown - 1 if shown else None
    assertion = used(device)

    def check() -> int:
        return ceremony.check_assertion(
            assertion, public_key=registered.public_key, challenge=CHALLENGE, rp=RP, sign_count=kept
        ).sign_count

    if taken:
        assert check() == shown
    else:
        with pytest.raises(CounterWentBack):
            check()


def test_another_passkeys_signature_is_refused() -> None:
    mine, others = Authenticator(origin=RP.origin), Authenticator(origin=RP.origin)
    _, registered = made(mine)
    made(others)

    with pytest.raises(CeremonyRefused):
        ceremony.check_assertion(used(others), public_key=registered.public_key, challenge=CHALLENGE, rp=RP)


DEVICE = Authenticator(origin=RP.origin)
ANSWER, REGISTERED = made(DEVICE)
ASSERTION = used(DEVICE)
EVIDENCE = ceremony.evidence_of(ASSERTION, REGISTERED.public_key)
FIELDS = ("public_key", "authenticator_data", "client_data", "signature")


@settings(max_examples=300, deadline=None)
@given(name=st.sampled_from(FIELDS), place=st.integers(0, 10_000), bit=st.integers(0, 7))
def test_evidence_with_any_bit_changed_is_refused(name: str, place: int, bit: int) -> None:
    octets = bytearray(getattr(EVIDENCE, name))
    octets[place % len(octets)] ^= 1 << bit
    spoilt = Evidence(
        **{one: getattr(EVIDENCE, one) for one in Evidence.__struct_fields__} | {name: bytes(octets)}
    )

    with pytest.raises(CeremonyRefused):
        check_evidence(spoilt, CHALLENGE, RP.rp_id, RP.origin)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_a_hostile_answer_is_refused_and_never_a_fault_of_ours(data: st.DataObject) -> None:
    told = json.loads(ANSWER)
    inside = octets_of(told["response"]["attestationObject"])
    start = data.draw(st.integers(0, len(inside)))
    cut = data.draw(st.integers(0, 20))
    spoilt = inside[:start] + data.draw(st.binary(max_size=20)) + inside[start + cut :]
    told["response"]["attestationObject"] = base64url(spoilt)
    for text in (
        json.dumps(told),
        data.draw(st.text(max_size=50)),
        "[" * 5_000,
        '{"id":"a","rawId":"%%","response":{"clientDataJSON":"AAAA","attestationObject":"AAAA"}}',
    ):
        try:
            found = ceremony.check_registration(text, challenge=CHALLENGE, rp=RP)
        except CeremonyRefused:
            continue
        assert found == REGISTERED or spoilt != inside  # without attestation, another key is another passkey


def test_an_answer_of_any_size_is_refused_before_it_is_read() -> None:
    with pytest.raises(CeremonyRefused):
        ceremony.read_assertion("{" + " " * ceremony.CREDENTIAL_MAX + "}")
