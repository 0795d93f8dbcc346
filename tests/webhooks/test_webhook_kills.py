"""A courier that is killed loses no event, and whoever comes after it finishes; and endpoints with TLS."""

import os
import ssl
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from hansa.kernel import FixedClock
from hansa.store import Context
from hansa.webhooks.addresses import Address
from hansa.webhooks.sending import LEASE_S
from webhooks.receiving import (
    Got,
    attempts_of,
    join_league,
    listen,
    now_is,
    pass_time,
    receiving,
    send_all,
    sending,
    step,
    tell,
)

TESTS = Path(__file__).parents[1]


def test_a_courier_killed_twice_loses_nothing_and_keeps_each_subject_in_order(committed_ctx: Context) -> None:
    ctx, kills, events = committed_ctx, [7, 20], 60
    assert isinstance(ctx.clock, FixedClock)
    ctx.clock.at = datetime.now(UTC)  # the other process has the machine's clock
    join_league(ctx)
    reached, killed = ([threading.Event() for _ in kills] for _ in range(2))
    env = os.environ | {"PYTHONPATH": os.pathsep.join([str(TESTS), str(TESTS.parent / "src")])}
    with receiving() as receiver, sending(ctx) as sender:
        made = listen(ctx, receiver.url)
        tell(ctx, *(step(n, subject=f"subject-{n % 3}", at=ctx) for n in range(events)))

        def answers(_: Got) -> tuple[int, dict[str, str], float]:
            for at, event, dead in zip(kills, reached, killed, strict=True):
                if len(receiver.got) == at:
                    event.set()
                    dead.wait(120)  # killed while it waits for this answer
            return 200, {}, 0

        receiver.answers = answers
        for event, dead in zip(reached, killed, strict=True):
            command = [sys.executable, str(TESTS / "webhooks" / "dying_courier.py"), ctx.url]
            with subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL) as process:
                assert event.wait(120)
                process.kill()
            dead.set()
            with ctx.tx() as tx:  # as if its lease were over
                tx.execute("update webhooks.endpoints set leased_until = 'epoch'")
        pass_time(ctx, timedelta(seconds=2 * LEASE_S))
        send_all(ctx, sender)

    seen = receiver.seqs
    firsts = list(dict.fromkeys(one.told["data"]["n"] for one in receiver.got))
    assert sorted(firsts) == list(range(events))
    assert len(seen) > events  # what was on its way came twice
    for subject in range(3):
        mine = [n for n in firsts if n % 3 == subject]
        assert mine == sorted(mine)
    assert now_is(ctx, made.endpoint_id).behind == 0


@pytest.mark.parametrize("name", ["hook.example", "other.example"])
def test_tls_is_checked_against_the_name_and_not_the_address(
    committed_ctx: Context, tmp_path: Path, name: str
) -> None:
    ctx = committed_ctx
    join_league(ctx)
    believed = _certificate(tmp_path, "hook.example")
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")

    async def resolve(host: str, _: int) -> list[Address]:
        assert host == name
        return [ip_address("127.0.0.1")]

    with receiving(server) as receiver, sending(ctx, resolve=resolve, tls=believed) as sender:
        made = listen(ctx, f"https://{name}:{receiver.port}/hook")
        tell(ctx, step(1, at=ctx), step(2, at=ctx))
        send_all(ctx, sender)

    tried = attempts_of(ctx, made.endpoint_id)
    if name == "hook.example":
        assert [one.status for one in tried] == [200, 200]
        assert receiver.got[0].headers["host"] == f"hook.example:{receiver.port}"
    else:
        assert receiver.got == []
        assert [(one.status, "certificate" in one.fault) for one in tried] == [(None, True)]


def _certificate(folder: Path, name: str) -> ssl.SSLContext:
    """A certificate for this name in the folder; gives what believes it."""
    key = ec.generate_private_key(ec.SECP256R1())
    named = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(named)
        .issuer_name(named)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, SHA256())
    )
    (folder / "cert.pem").write_bytes(made.public_bytes(Encoding.PEM))
    (folder / "key.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return ssl.create_default_context(cafile=str(folder / "cert.pem"))
