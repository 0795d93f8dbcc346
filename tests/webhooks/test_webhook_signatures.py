"""Signatures: the standard's own vectors, rotation, and what a receiver refuses."""

from base64 import b64decode, b64encode
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from hansa.webhooks.signing import BadSignature, Secret, sign, verify
from webhooks.receiving import SECRETS, endpoint_id

# From the public test suites of Standard Webhooks (libraries/go): one message, and what each scheme makes of it.
AT_S = 1614265330
AT = datetime.fromtimestamp(AT_S, UTC)
BODY = b'{"test": 2432232314}'
MESSAGE = "msg_p5jXN8AQM9LWM0D4loKWxJek"
SHARED_TEXT = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
V1 = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
SEED = b"TESTSIGNINGKEYDONOTUSETHISFORANY"
V1A = "v1a,tQ9V2XOqn7jL/DQenEFpqIugdBVtiMmER5mhSkXBNwM0mkATuDe6KYYUuxqtaiHeYGb7KaaBRdM5WqyeFiL8Ag=="


def vector() -> Secret:
    private = Ed25519PrivateKey.from_private_bytes(SEED)
    return Secret(b64decode(SHARED_TEXT.removeprefix("whsec_")), private)


def headers(signature: str, *, message: str = MESSAGE, at: str = str(AT_S)) -> dict[str, str]:
    return {"Webhook-Id": message, "Webhook-Timestamp": at, "Webhook-Signature": signature}


def test_signatures_are_those_of_the_standard() -> None:
    signed = sign([vector()], MESSAGE, AT, BODY)

    assert signed["webhook-signature"].split(" ") == [V1, V1A]
    assert vector().shared_text == SHARED_TEXT
    for secret in (SHARED_TEXT, vector().public_text):
        assert verify(BODY, signed, secret, now_s=AT_S) == MESSAGE


@pytest.mark.parametrize(
    ("what", "sent", "body", "now_s", "is_good"),
    [
        ("as it is", headers(V1), BODY, AT_S, True),
        ("without its prefix", headers(V1), BODY, AT_S, True),
        ("among others", headers(f"v1,AAAA v2,zzz nonsense {V1}"), BODY, AT_S, True),
        ("at the end of tolerance", headers(V1), BODY, AT_S + 300, True),
        ("too old", headers(V1), BODY, AT_S + 301, False),
        ("from tomorrow", headers(V1), BODY, AT_S - 301, False),
        ("other body", headers(V1), BODY + b" ", AT_S, False),
        ("other id", headers(V1, message="msg_other"), BODY, AT_S, False),
        ("other instant", headers(V1, at=str(AT_S + 1)), BODY, AT_S, False),
        ("instant with a sign", headers(V1, at=f"+{AT_S}"), BODY, AT_S, False),
        ("no instant", headers(V1, at="soon"), BODY, AT_S, False),
        ("other scheme", headers(V1.replace("v1,", "v1a,")), BODY, AT_S, False),
        ("half of it", headers(V1[:20]), BODY, AT_S, False),
        ("none", headers("v1,"), BODY, AT_S, False),
        ("no header", {"Webhook-Id": MESSAGE, "Webhook-Timestamp": str(AT_S)}, BODY, AT_S, False),
    ],
)
def test_a_receiver_believes(what: str, sent: dict[str, str], body: bytes, now_s: int, is_good: bool) -> None:
    secret = SHARED_TEXT.removeprefix("whsec_") if what == "without its prefix" else SHARED_TEXT
    if is_good:
        assert verify(body, sent, secret, now_s=now_s) == MESSAGE
    else:
        with pytest.raises(BadSignature):
            verify(body, sent, secret, now_s=now_s)


@pytest.mark.parametrize("secret", ["whsec_", "whsec_c2hvcnQ=", "whpk_c2hvcnQ=", "whsec_?"])
def test_a_secret_that_is_none_is_said_to_be_none(secret: str) -> None:
    with pytest.raises(ValueError, match="secret"):
        verify(BODY, headers(V1), secret, now_s=AT_S)


@given(body=st.binary(max_size=200), flip=st.integers(0, 10_000), versions=st.integers(1, 3))
def test_any_secret_that_counts_verifies_and_any_other_body_fails(
    body: bytes, flip: int, versions: int
) -> None:
    secrets = [SECRETS.secret(endpoint_id(), one) for one in range(1, versions + 1)]
    signed = sign(secrets, "an-id", AT, body)

    for one in secrets:
        assert verify(body, signed, one.shared_text, now_s=AT_S) == "an-id"
        assert verify(body, signed, one.public_text, now_s=AT_S) == "an-id"
    strangers = SECRETS.secret(endpoint_id(2), 1)
    with pytest.raises(BadSignature):
        verify(body, signed, strangers.shared_text, strangers.public_text, now_s=AT_S)
    if body:
        spoilt = bytearray(body)
        spoilt[flip % len(body)] ^= 1 << flip % 8
        with pytest.raises(BadSignature):
            verify(bytes(spoilt), signed, secrets[0].shared_text, now_s=AT_S)


def test_a_code_proves_one_address_of_one_endpoint_and_is_no_secret() -> None:
    codes = {
        SECRETS.code(endpoint_id(n), url) for n in (1, 2) for url in ("https://a.org/", "https://b.org/")
    }

    assert len(codes) == 4 and all(len(one) == 24 for one in codes)


def test_texts_are_base64_of_32_bytes() -> None:
    secret = SECRETS.secret(endpoint_id(), 1)

    assert secret.shared_text == f"whsec_{b64encode(secret.shared).decode()}"
    assert len(secret.shared) == 32
    assert SECRETS.secret(endpoint_id(), 2).shared != secret.shared
