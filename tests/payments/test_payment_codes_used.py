"""Payer codes: signed by a phone, good for a minute, for one payment, and for nothing but paying."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as some

from hansa import codes, identity, trust
from hansa.codes import emvco
from hansa.codes.payer import APPLICATION, wrap_payer_code
from hansa.identity import AccountId
from hansa.kernel import new_id
from hansa.payments import payment_codes
from hansa.payments.payment_codes import (
    CodeExpired,
    CodeMalformed,
    CodeRevoked,
    CodeUnknown,
    CodeUsed,
    CodeWrongPurpose,
    PaymentCode,
    PaymentCodeError,
)
from hansa.store import Context
from identity.proving import PhoneKey
from scratch import NOON
from web import little_league
from web.little_league import LittleLeague

POLICY = identity.own_phone_policy()


@dataclass
class PayingPhone:
    """A phone that is connected, with a token of its own, as a rider's browser has it."""

    ctx: Context
    league: LittleLeague
    name: str = "Gao Lan"
    key: PhoneKey = field(default_factory=PhoneKey)
    counter: int = 0

    def __post_init__(self) -> None:
        self.account = self.league.riders[self.name]
        now = self.ctx.clock.now()
        with self.ctx.tx() as tx:
            secret = identity.start_session(tx, self.account.account_id, now)
            nonce, _ = identity.give_nonce(tx, self.account.account_id, secret, at=now, policy=POLICY)
            proof = identity.Proof(self.key.point, nonce)
            enrolled = identity.enrol_phone(
                tx, self.account.account_id, proof, name="A phone", at=now, policy=POLICY
            )
            self.phone_id = enrolled.phone.phone_id
            listed = next(
                one for one in trust.current_trust_list(tx).keys if one.issuer_id == self.account.issuer_id
            )
        self.cti = new_id().bytes[-8:]
        self.token = codes.make_token(
            self.league.keys.issuer(self.account.issuer_id),
            kid=listed.kid,
            cti=self.cti,
            expires_at=now + timedelta(hours=20),
            device_key=self.key.private.public_key(),
            scope=codes.Scope(self.account.rider_class, listed.products, (), 20),
        )

    def pay_code(self, *, at: datetime | None = None) -> str:
        self.counter += 1
        made_at = at or self.ctx.clock.now()
        return codes.make_payer_code(self.key.private, self.token, made_at=made_at, counter=self.counter)

    def ride_code(self) -> str:
        self.counter += 1
        return codes.make_code(
            self.key.private, self.token, made_at=self.ctx.clock.now(), counter=self.counter
        )


@pytest.fixture
def phone(ctx: Context, tmp_path: Path) -> PayingPhone:
    return PayingPhone(ctx, little_league.build(ctx, trust.KeyFolder(tmp_path / "keys")))


def read(phone: PayingPhone, text: str, *, at: datetime | None = None) -> PaymentCode:
    with phone.ctx.tx() as tx:
        return payment_codes.read_payment_code(tx, text, at or phone.ctx.clock.now())


def use(ctx: Context, code: PaymentCode, payment_id: UUID) -> None:
    with ctx.tx() as tx:
        payment_codes.use_payment_codes(tx, [(0, code, payment_id)], ctx.clock.now())


def used(ctx: Context, account_id: AccountId) -> int:
    with ctx.tx() as tx:
        return len(payment_codes.list_used_codes(tx, account_id))


def test_a_code_says_who_pays_and_any_reader_of_the_standard_reads_it(phone: PayingPhone) -> None:
    text = phone.pay_code()

    code = read(phone, text)

    assert (code.account_id, code.phone_id) == (phone.account.account_id, phone.phone_id)
    assert (code.counter, code.expires_at) == (1, NOON + timedelta(seconds=60))
    standard = emvco.read_consumer_code(text)
    assert standard.objects[0].value == b"CPV01"
    assert standard.application_id() == APPLICATION
    assert len(text) <= 356, "a QR code of version 12 at level L holds 367 letters"


def test_a_code_pays_once_and_the_same_payment_again_is_harmless(phone: PayingPhone) -> None:
    code, first = read(phone, phone.pay_code()), new_id()

    use(phone.ctx, code, first)
    use(phone.ctx, code, first)
    with pytest.raises(CodeUsed):
        use(phone.ctx, code, new_id())

    with phone.ctx.tx() as tx:
        (one,) = payment_codes.list_used_codes(tx, phone.account.account_id)
        assert (one.payment_id, one.phone_id) == (first, phone.phone_id)
        assert payment_codes.forget_used_codes(tx, NOON + timedelta(days=1)) == 0
        assert payment_codes.forget_used_codes(tx, NOON + timedelta(days=3)) == 1


def test_of_eight_payments_with_one_code_one_goes_through(committed_ctx: Context, tmp_path: Path) -> None:
    phone = PayingPhone(committed_ctx, little_league.build(committed_ctx, trust.KeyFolder(tmp_path / "keys")))
    code = read(phone, phone.pay_code())

    def pay(_: int) -> bool:
        try:
            use(committed_ctx, code, new_id())
        except CodeUsed:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(pay, range(8))) == [False] * 7 + [True]
    assert used(committed_ctx, phone.account.account_id) == 1


def test_a_ride_code_never_pays_and_a_payment_code_never_opens_a_gate(phone: PayingPhone) -> None:
    ride, pay = phone.ride_code(), phone.pay_code()
    with phone.ctx.tx() as tx:
        trust_list = trust.current_trust_list(tx)

    def at_the_gate(text: str) -> str:
        try:
            codes.verify_code(text, trust_list, now=NOON, product="metro", denied=lambda _: False)
        except codes.CodeRefused as refused:
            return refused.reason
        return "ok"

    # The same signed bytes in the other's clothes: a ride's inside EMVCo's, a payment's behind HR1:.
    ride_bytes = codes.base45_decode(ride.removeprefix(codes.PREFIX))
    pay_bytes = codes.unwrap_payer_code(pay)
    assert at_the_gate(ride) == "ok"
    assert at_the_gate(pay) == "malformed"
    assert at_the_gate(codes.PREFIX + codes.base45_encode(pay_bytes)) != "ok"
    with pytest.raises(CodeMalformed):
        read(phone, ride)
    with pytest.raises(CodeWrongPurpose):
        read(phone, wrap_payer_code(ride_bytes))


def another_key(phone: PayingPhone) -> str:
    return codes.make_payer_code(
        ec.generate_private_key(ec.SECP256R1()), phone.token, made_at=NOON, counter=1
    )


def another_phone(phone: PayingPhone) -> str:
    phone.key = PhoneKey()
    with phone.ctx.tx() as tx:
        listed = next(
            one for one in trust.current_trust_list(tx).keys if one.issuer_id == phone.account.issuer_id
        )
    phone.token = codes.make_token(
        phone.league.keys.issuer(phone.account.issuer_id),
        kid=listed.kid,
        cti=b"unheard!",
        expires_at=NOON + timedelta(hours=1),
        device_key=phone.key.private.public_key(),
        scope=codes.Scope("adult", listed.products, (), 1),
    )
    return phone.pay_code()


def revoked_token(phone: PayingPhone) -> str:
    with phone.ctx.tx() as tx:
        trust.revoke_token(tx, phone.cti, NOON)
    return phone.pay_code()


def lost_phone(phone: PayingPhone) -> str:
    with phone.ctx.tx() as tx:
        identity.end_phone(tx, phone.account.account_id, phone.phone_id, "lost", at=NOON, reason="lost")
    return phone.pay_code()


def blocked_account(phone: PayingPhone) -> str:
    with phone.ctx.tx() as tx:
        identity.set_standing(tx, phone.account.account_id, level="blocked", reason="a case", at=NOON)
    return phone.pay_code()


def issuer_key_stolen(phone: PayingPhone) -> str:
    with phone.ctx.tx() as tx:
        listed = next(
            one for one in trust.current_trust_list(tx).keys if one.issuer_id == phone.account.issuer_id
        )
        trust.set_key_status(tx, listed.kid, "compromised", NOON)
    return phone.pay_code()


Make = Callable[[PayingPhone], str]
REFUSED: list[tuple[Make, type[PaymentCodeError]]] = [
    (lambda phone: phone.pay_code(at=NOON - timedelta(seconds=61)), CodeExpired),
    (lambda phone: phone.pay_code(at=NOON + timedelta(seconds=31)), CodeExpired),
    (another_key, CodeMalformed),
    (another_phone, CodeUnknown),
    (issuer_key_stolen, CodeUnknown),
    (revoked_token, CodeRevoked),
    (lost_phone, CodeRevoked),
    (blocked_account, CodeRevoked),
    (lambda _: "hQVDUFYwMWERTwegAAAAVVVVUAZQYXltZW50", CodeMalformed),
    (lambda _: "", CodeMalformed),
]


@pytest.mark.parametrize(("make", "refusal"), REFUSED)
def test_what_is_refused_is_named_and_nothing_is_used(
    phone: PayingPhone, make: Callable[[PayingPhone], str], refusal: type[PaymentCodeError]
) -> None:
    with pytest.raises(refusal) as refused:
        read(phone, make(phone))

    assert refused.value.code == refusal.code and refused.value.detail
    assert used(phone.ctx, phone.account.account_id) == 0


@settings(max_examples=60, deadline=None)
@given(data=some.data())
def test_a_changed_letter_is_never_another_good_code(data: some.DataObject) -> None:
    text, trust_list = _published()
    place = data.draw(some.integers(0, len(text) - 1))
    letter = data.draw(some.sampled_from("ABCXYZabcxyz0189+/=$ "))
    changed = text[:place] + letter + text[place + 1 :]

    if changed == text:
        return
    with pytest.raises(codes.PayerCodeRefused):
        codes.verify_payer_code(changed, trust_list, now=NOON)


def _published() -> tuple[str, codes.TrustList]:
    if not _MADE:
        key = ec.derive_private_key(7, ec.SECP256R1())
        private = Ed25519PrivateKey.from_private_bytes(bytes(32))
        listed = codes.TrustedKey(
            b"kid1",
            "hangzhou-card",
            private.public_key().public_bytes_raw(),
            NOON - timedelta(days=1),
            NOON + timedelta(days=1),
            ("metro",),
            "active",
        )
        token = codes.make_token(
            private,
            kid=b"kid1",
            cti=b"12345678",
            expires_at=NOON + timedelta(hours=2),
            device_key=key.public_key(),
            scope=codes.Scope("adult", ("metro",), (), 1),
        )
        text = codes.make_payer_code(key, token, made_at=NOON, counter=70)
        trust_list = codes.TrustList(1, NOON, NOON + timedelta(days=7), (listed,))
        assert codes.verify_payer_code(text, trust_list, now=NOON).counter == 70
        _MADE.append((text, trust_list))
    return _MADE[0]


_MADE: list[tuple[str, codes.TrustList]] = []
