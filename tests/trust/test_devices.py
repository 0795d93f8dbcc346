"""Devices: who they are, what they say, what is asked of them, what is the matter with them."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from hansa import trust
from hansa.kernel import InvalidInput
from hansa.store import Context, read_outbox
from hansa.trust import Broker, DeviceCa, NewDevice, Registrar, StateReport, Telemetry

METRO, BUS = trust.MemberId("metro"), trust.MemberId("bus")
IN, OUT, CAB = "metro.bank.in", "metro.bank.out", "bus.24.v1"


@pytest.fixture
def registrar(ctx: Context, tmp_path: Path) -> Registrar:
    with ctx.tx() as tx:
        trust.add_members(
            tx,
            [
                trust.Member(one, one.title(), "operator", "london", one, f"TEST-{one}")
                for one in (METRO, BUS)
            ],
        )
        trust.add_gates(
            tx,
            [
                trust.GateRecord(IN, METRO, "london", "london/bank", None, "entry", "metro"),
                trust.GateRecord(OUT, METRO, "london", "london/bank", None, "exit", "metro"),
                trust.GateRecord(CAB, BUS, "london", None, "24", "board", "bus"),
            ],
        )
        trust.add_devices(
            tx,
            [
                NewDevice("bank-in", "gate", METRO, IN, roles=("taps",)),
                NewDevice("bank-out", "gate", METRO, OUT),
                NewDevice("cab", "validator", BUS, CAB, vehicle="LTZ 1001"),
            ],
            ctx.clock.now(),
        )
    ca = DeviceCa.in_folder(tmp_path / "keys", ctx.clock.now())
    return Registrar(ca, bytes(32), bytes(32), Broker("127.0.0.1", 8883))


def request_by(key: ec.EllipticCurvePrivateKey, name: str = "box") -> str:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, SHA256())
    return request.public_bytes(Encoding.PEM).decode()


def p256() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def enrol(
    ctx: Context, registrar: Registrar, device_id: str = "bank-in"
) -> tuple[ec.EllipticCurvePrivateKey, trust.Enrolled]:
    key = p256()
    with ctx.tx() as tx:
        code = trust.invite_device(tx, device_id, ctx.clock.now())
        return key, trust.enrol_device(tx, registrar, code=code, csr=request_by(key), at=ctx.clock.now())


def test_a_box_enrols_once_with_its_code_and_gets_a_certificate_in_its_name(
    ctx: Context, registrar: Registrar
) -> None:
    now = ctx.clock.now()
    with ctx.tx() as tx:
        code = trust.invite_device(tx, "bank-in", now)

    with ctx.tx() as tx:
        got = trust.enrol_device(tx, registrar, code=code, csr=request_by(p256(), "bank-out"), at=now)
    with ctx.tx() as tx, pytest.raises(trust.EnrolmentRefused):
        trust.enrol_device(tx, registrar, code=code, csr=request_by(p256()), at=now)

    certificate = x509.load_pem_x509_certificate(got.certificate.encode())
    assert certificate.subject.rfc4514_string() == "CN=bank-in"
    assert registrar.ca.signed(certificate)
    assert certificate.not_valid_after_utc - now == timedelta(days=365)
    assert (got.device.status, got.gate.gate_id) == ("active", IN)
    with ctx.tx() as tx:
        caller = trust.caller_of_key(tx, got.api_key)
    assert (caller.gate_id, caller.scopes) == (IN, frozenset({"taps:write"}))


def test_a_code_ends_after_a_day_and_a_wrong_one_enrols_nothing(ctx: Context, registrar: Registrar) -> None:
    now = ctx.clock.now()
    with ctx.tx() as tx:
        code = trust.invite_device(tx, "bank-in", now)

    for said, at in ((code, now + timedelta(days=1)), ("0" * 35, now)):
        with ctx.tx() as tx, pytest.raises(trust.EnrolmentRefused):
            trust.enrol_device(tx, registrar, code=said, csr=request_by(p256()), at=at)

    with ctx.tx() as tx:
        assert trust.get_device(tx, "bank-in").status == "invited"


def test_a_request_that_its_own_key_did_not_sign_is_refused_and_the_code_stays_good(
    ctx: Context, registrar: Registrar
) -> None:
    now = ctx.clock.now()
    key = p256()
    request = x509.load_pem_x509_csr(request_by(key).encode())
    der = bytearray(request.public_bytes(Encoding.DER))
    der[-1] ^= 1
    forged = x509.load_der_x509_csr(bytes(der)).public_bytes(Encoding.PEM).decode()
    other = ec.generate_private_key(ec.SECP384R1())
    with ctx.tx() as tx:
        code = trust.invite_device(tx, "bank-in", now)

    for csr in (forged, request_by(other), "no request"):
        with pytest.raises(InvalidInput), ctx.tx() as tx:
            trust.enrol_device(tx, registrar, code=code, csr=csr, at=now)

    with ctx.tx() as tx:
        got = trust.enrol_device(tx, registrar, code=code, csr=request_by(key), at=now)
    assert got.device.status == "active"


def test_a_device_renews_with_its_present_key_and_with_no_other(ctx: Context, registrar: Registrar) -> None:
    now = ctx.clock.now()
    key, got = enrol(ctx, registrar)
    next_key = p256()
    csr = request_by(next_key)
    words = trust.renewal_words("bank-in", int(now.timestamp()), csr)

    def renew(signer: ec.EllipticCurvePrivateKey, certificate: str, at_s: timedelta = timedelta()) -> str:
        with ctx.tx() as tx:
            return trust.renew_device(
                tx,
                registrar,
                certificate=certificate,
                csr=csr,
                said_at=now,
                signature=signer.sign(words, ec.ECDSA(SHA256())),
                at=now + at_s,
            )

    with pytest.raises(trust.RenewalRefused):
        renew(next_key, got.certificate)
    with pytest.raises(trust.RenewalRefused):
        renew(key, got.certificate, timedelta(minutes=11))
    renewed = x509.load_pem_x509_certificate(renew(key, got.certificate).encode())

    assert renewed.public_key() == next_key.public_key()
    with ctx.tx() as tx:
        trust.set_device_status(tx, "bank-in", "suspended", now, made_by="test")
    with pytest.raises(trust.RenewalRefused):
        renew(key, got.certificate)


@pytest.mark.parametrize("serial", ["another", "its own"])
def test_a_certificate_of_another_authority_renews_nothing(
    ctx: Context, registrar: Registrar, serial: str
) -> None:
    now = ctx.clock.now()
    _, got = enrol(ctx, registrar)
    own = x509.load_pem_x509_certificate(got.certificate.encode())
    key, csr = p256(), request_by(p256())
    foreign = (
        x509.CertificateBuilder()
        .subject_name(own.subject)
        .issuer_name(own.issuer)
        .public_key(key.public_key())
        .serial_number(own.serial_number if serial == "its own" else x509.random_serial_number())
        .not_valid_before(own.not_valid_before_utc)
        .not_valid_after(own.not_valid_after_utc)
        .sign(p256(), SHA256())
    )
    signature = key.sign(trust.renewal_words("bank-in", int(now.timestamp()), csr), ec.ECDSA(SHA256()))

    with ctx.tx() as tx, pytest.raises(trust.RenewalRefused):
        trust.renew_device(
            tx,
            registrar,
            certificate=foreign.public_bytes(Encoding.PEM).decode(),
            csr=csr,
            said_at=now,
            signature=signature,
            at=now,
        )


def test_a_suspended_device_loses_certificate_and_key_at_once_and_comes_back_by_a_new_code(
    ctx: Context, registrar: Registrar
) -> None:
    now = ctx.clock.now()
    _, got = enrol(ctx, registrar)

    with ctx.tx() as tx:
        assert trust.set_device_status(tx, "bank-in", "suspended", now, made_by="test")
        assert not trust.set_device_status(tx, "bank-in", "suspended", now, made_by="test")

    with ctx.tx() as tx:
        revoked = trust.revoked_certificates(tx, now)
        with pytest.raises(trust.NotSignedIn):
            trust.caller_of_key(tx, got.api_key)
        with pytest.raises(trust.DeviceNotActive):
            trust.invite_device(tx, "bank-in", now)
        assert trust.shut_out_devices(tx) == ["bank-in"]
    serial = x509.load_pem_x509_certificate(got.certificate.encode()).serial_number
    crl = x509.load_pem_x509_crl(registrar.ca.revocation_list(revoked, now).encode())
    assert crl.get_revoked_certificate_by_serial_number(serial) is not None
    with ctx.tx() as tx:
        trust.set_device_status(tx, "bank-in", "invited", now, made_by="test")
    _, again = enrol(ctx, registrar)
    assert again.device.status == "active"


def test_what_was_retired_stays_retired(ctx: Context, registrar: Registrar) -> None:
    now = ctx.clock.now()
    with ctx.tx() as tx:
        trust.set_device_status(tx, "cab", "retired", now, made_by="test")

    with ctx.tx() as tx, pytest.raises(trust.DeviceNotActive):
        trust.set_device_status(tx, "cab", "invited", now, made_by="test")

    with ctx.tx() as tx:
        assert trust.get_device(tx, "cab").status == "retired"


@pytest.mark.parametrize("name", ["Gate", "a/b", "a+b", "#", "hansa-desk", "a" * 65, "", "-a", "a b", "a\n"])
def test_a_name_that_would_be_a_topic_or_another_program_is_refused(name: str) -> None:
    with pytest.raises(InvalidInput):
        NewDevice(name, "gate", METRO, IN)


def test_a_device_of_another_members_gate_or_with_other_words_is_refused(
    ctx: Context, registrar: Registrar
) -> None:
    now = ctx.clock.now()
    with ctx.tx() as tx, pytest.raises(trust.UnknownGate):
        trust.add_devices(tx, [NewDevice("thief", "gate", BUS, IN)], now)
    with ctx.tx() as tx, pytest.raises(trust.DeviceDiffers):
        trust.add_devices(tx, [NewDevice("cab", "validator", BUS, CAB, vehicle="another")], now)

    with ctx.tx() as tx:
        assert trust.find_devices(tx, ["thief"]) == {}
        assert trust.get_device(tx, "cab").vehicle == "LTZ 1001"


def test_the_last_will_of_an_older_connection_counts_for_nothing(ctx: Context, registrar: Registrar) -> None:
    now = ctx.clock.now()
    enrol(ctx, registrar)
    steps = [
        (StateReport("bank-in", True, "one"), True),
        (StateReport("bank-in", True, "two"), True),
        (StateReport("bank-in", False, "one"), True),
        (StateReport("bank-in", False, "two"), False),
    ]

    for report, connected in steps:
        with ctx.tx() as tx:
            trust.record_states(tx, [report], now)
            assert trust.get_device_state(tx, "bank-in").connected is connected

    with ctx.tx() as tx:
        trust.record_states(tx, [report for report, _ in steps[:3]], now)
        assert trust.get_device_state(tx, "bank-in").connected


def test_what_a_suspended_or_unknown_device_says_is_dropped(ctx: Context, registrar: Registrar) -> None:
    now = ctx.clock.now()

    with ctx.tx() as tx:
        trust.record_states(tx, [StateReport("cab", True, "one"), StateReport("nobody", True, "one")], now)
        trust.record_telemetry(tx, [Telemetry("cab", "one", pending=3), Telemetry("nobody", "one")], now)

    with ctx.tx() as tx:
        state = trust.get_device_state(tx, "cab")
    assert (state.connected, state.pending) == (False, None)


def test_telemetry_counts_decisions_between_messages_and_starts_anew_after_a_restart(
    ctx: Context, registrar: Registrar
) -> None:
    start = ctx.clock.now()
    enrol(ctx, registrar)
    tallies = [{"ok": 5}, {"ok": 9, "replay": 1}, {"ok": 2}]

    for minute, tally in enumerate(tallies):
        with ctx.tx() as tx:
            trust.record_telemetry(
                tx,
                [Telemetry("bank-in", "one", tally=tally, pending=minute)],
                start + timedelta(minutes=minute),
            )

    with ctx.tx() as tx:
        (slot,) = trust.telemetry_since(tx, "bank-in", start - timedelta(hours=1))
        assert (slot.messages, slot.accepted, slot.refused, slot.pending_max) == (3, 11, 1, 2)
        assert trust.get_device_state(tx, "bank-in").tally == {"ok": 2}
        assert trust.forget_telemetry(tx, start + timedelta(days=8)) == 1


def test_settings_get_a_version_each_and_the_same_again_none(ctx: Context, registrar: Registrar) -> None:
    now = ctx.clock.now()
    _, got = enrol(ctx, registrar)

    with ctx.tx() as tx:
        first = trust.set_device_settings(tx, "bank-in", {"challenge": True}, at=now, made_by="league")
        again = trust.set_device_settings(tx, "bank-in", {"challenge": True}, at=now, made_by="other")
        behind = trust.settings_behind(tx)
        trust.record_telemetry(tx, [Telemetry("bank-in", "one", settings=first.version)], now)
        after = trust.settings_behind(tx)

    assert got.settings.version == 1
    assert (first.version, again, behind, after) == (2, first, [first], [])


@pytest.mark.parametrize(
    "values", [{"Big": 1}, {"a": "x" * 501}, {"a": "\0"}, {"a": 2**60}, {f"n{n}": n for n in range(51)}]
)
def test_what_cannot_be_settings_is_refused(
    ctx: Context, registrar: Registrar, values: dict[str, object]
) -> None:
    with ctx.tx() as tx, pytest.raises(InvalidInput):
        trust.set_device_settings(tx, "bank-in", values, at=ctx.clock.now(), made_by="league")

    with ctx.tx() as tx:
        assert trust.device_settings(tx, "bank-in") == []


@pytest.mark.parametrize(
    ("rule", "bad", "good"),
    [
        ("clock", {"clock_offset_ms": -2001}, {"clock_offset_ms": 2000}),
        ("pending", {"pending": 501}, {"pending": 500}),
        ("storage", {"storage_free_pct": 9}, {"storage_free_pct": 10}),
        ("refusals", {"tally": {"ok": 13, "replay": 7}}, {"tally": {"ok": 200, "replay": 7}}),
    ],
)
def test_an_alert_opens_once_closes_by_itself_and_is_told(
    committed_ctx: Context, tmp_path: Path, rule: str, bad: dict[str, Any], good: dict[str, Any]
) -> None:
    ctx = committed_ctx
    registrar = registrar_on(ctx, tmp_path)
    now = ctx.clock.now()
    enrol(ctx, registrar)

    def check(told: dict[str, Any]) -> tuple[list[str], list[str]]:
        with ctx.tx() as tx:
            trust.record_telemetry(tx, [Telemetry("bank-in", "s", **told)], now)
            opened, closed = trust.check_devices(tx, now)
        return [one.rule for one in opened], [one.rule for one in closed]

    assert check(bad) == ([rule], [])
    assert check(bad) == ([], [])
    with ctx.tx() as tx:
        assert [one.device_id for one in trust.open_device_alerts(tx)] == ["bank-in"]
    assert check(good) == ([], [rule])
    with ctx.tx() as tx:
        assert trust.open_device_alerts(tx) == []
        told = read_outbox(tx, trust.DEVICE_ALERTS)
    assert [(one.body["what"], one.body["rule"]) for one in told] == [("opened", rule), ("closed", rule)]


def test_a_device_that_is_away_for_ten_minutes_or_has_an_old_list_or_certificate_is_told(
    ctx: Context, registrar: Registrar
) -> None:
    now = ctx.clock.now()
    enrol(ctx, registrar)
    old = Telemetry("bank-in", "one", deny_list_at=now)
    with ctx.tx() as tx:
        trust.record_states(tx, [StateReport("bank-in", True, "one")], now)
        trust.record_telemetry(tx, [old], now)
    later = [
        (timedelta(minutes=10), set[str]()),
        (timedelta(minutes=15), {"offline"}),
        (timedelta(minutes=15, seconds=1), {"offline", "list_old"}),
        (timedelta(days=336), {"offline", "list_old", "certificate"}),
    ]

    for after, rules in later:
        with ctx.tx() as tx:
            trust.check_devices(tx, now + after)
            assert {one.rule for one in trust.open_device_alerts(tx)} == rules
    with ctx.tx() as tx:
        trust.record_telemetry(tx, [old], now + timedelta(days=336))
        trust.check_devices(tx, now + timedelta(days=336))
        assert {one.rule for one in trust.open_device_alerts(tx)} == {"list_old", "certificate"}
        trust.record_states(tx, [StateReport("bank-in", False, "one")], now + timedelta(days=336))
        trust.check_devices(tx, now + timedelta(days=336, minutes=10, seconds=1), broken_gates=[IN])
        assert {one.rule for one in trust.open_device_alerts(tx)} == {"offline", "certificate", "chain"}


def test_a_device_that_is_shut_out_is_not_connected_any_more(ctx: Context, registrar: Registrar) -> None:
    now = ctx.clock.now()
    enrol(ctx, registrar)
    with ctx.tx() as tx:
        trust.record_states(tx, [StateReport("bank-in", True, "one")], now)

        trust.set_device_status(tx, "bank-in", "suspended", now + timedelta(minutes=1), made_by="test")

        state = trust.get_device_state(tx, "bank-in")
    assert (state.connected, state.since) == (False, now + timedelta(minutes=1))


def test_devices_are_found_by_part_of_a_name_of_theirs(ctx: Context, registrar: Registrar) -> None:
    for text, found in [
        ("bank", ["bank-in", "bank-out"]),
        ("LTZ", ["cab"]),
        ("ltz 10", ["cab"]),
        ("%", []),
        ("bus.24", ["cab"]),
    ]:
        with ctx.tx() as tx:
            shown = trust.list_device_states(tx, text=text)
        assert [one.device.device_id for one in shown] == found


def test_a_revocation_list_is_later_than_the_one_before_by_a_second_at_least(
    ctx: Context, registrar: Registrar
) -> None:
    now = ctx.clock.now()
    enrol(ctx, registrar)
    enrol(ctx, registrar)
    with ctx.tx() as tx:
        revoked = trust.revoked_certificates(tx, now)

    first = trust.read_revocation_list(registrar.ca.revocation_list([], now))
    second = trust.read_revocation_list(registrar.ca.revocation_list(revoked, now, before=first))

    assert (first.number, second.number) == (1, 2)
    assert second.updated_at - first.updated_at == timedelta(seconds=1)
    assert (first.serials, second.serials) == (frozenset(), frozenset({revoked[0].serial}))
    with pytest.raises(InvalidInput):
        trust.read_revocation_list("no list")


def test_a_threshold_is_data(ctx: Context, registrar: Registrar) -> None:
    now = ctx.clock.now()
    enrol(ctx, registrar)
    with ctx.tx() as tx:
        said: dict[str, Any] = {"by": "staff:ada", "reason": "busy gates", "at": now}
        for rule, threshold in (("pending", -1), ("nothing", 5)):
            with pytest.raises(InvalidInput):
                trust.set_device_rule(tx, rule, threshold=threshold, **said)
        trust.set_device_rule(tx, "pending", threshold=5, **said)
        trust.record_telemetry(tx, [Telemetry("bank-in", "s", pending=6)], now)

        opened, _ = trust.check_devices(tx, now)

    assert [(one.rule, one.facts) for one in opened] == [("pending", {"pending": 6})]


def test_a_key_that_others_may_read_is_not_used(ctx: Context, tmp_path: Path) -> None:
    DeviceCa.in_folder(tmp_path, ctx.clock.now())
    (tmp_path / "device-ca.pem").chmod(0o644)

    with pytest.raises(trust.KeyUnfit):
        DeviceCa.in_folder(tmp_path, ctx.clock.now())


def test_the_authority_is_the_same_when_asked_again(ctx: Context, tmp_path: Path) -> None:
    first = DeviceCa.in_folder(tmp_path, ctx.clock.now())

    assert DeviceCa.in_folder(tmp_path, ctx.clock.now()).certificate == first.certificate


def registrar_on(ctx: Context, folder: Path) -> Registrar:
    """As the fixture, on a database of its own."""
    with ctx.tx() as tx:
        trust.add_members(tx, [trust.Member(METRO, "Metro", "operator", "london", METRO, "TEST-metro")])
        trust.add_gates(tx, [trust.GateRecord(IN, METRO, "london", "london/bank", None, "entry", "metro")])
        trust.add_devices(tx, [NewDevice("bank-in", "gate", METRO, IN)], ctx.clock.now())
    ca = DeviceCa.in_folder(folder / "keys", ctx.clock.now())
    return Registrar(ca, bytes(32), bytes(32), Broker("127.0.0.1", 8883))
