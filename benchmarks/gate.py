"""What a gate's work takes, beside the bare signatures in it.

    python benchmarks/gate.py [--short]

verify_cold: the full check of a code whose token was not seen before, as at a rider's first gate of the day.
verify_cached: the same with the token known. decide: a whole decision of a gate, tap and chain included, token known.
bulk_verify: codes of a day verified by one core of a back office, each token four times, in no order.
Baseline of each: the signatures alone, Ed25519 and P-256 (cold), P-256 (cached, decide) or both as often as the batch
needs them (bulk), of the same bytes, by `cryptography` with its keys at hand, measured in turns in the same run.
All of these are processor time of one thread.

qr_draw_ms: a code's QR picture, as the wallet's server draws it where a phone cannot. qr_read_p95_ms: the text from a
camera's frame (``_camera.py``) of 640 x 480, by the gate agent's reader, the slowest of 20; a frame that cannot be read
counts as well. tap_intake: taps a second, durable, over HTTP, where ``_gate_intake.py`` is. The last line is one line
of JSON.
"""

import argparse
import gc
import importlib.util
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from statistics import median, quantiles
from time import thread_time_ns
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

import _camera
from hansa.apps.web.wallet import TextToDraw, draw_qr
from hansa.codes import (
    PREFIX,
    Scope,
    TokenCache,
    TrustedKey,
    TrustList,
    base45_decode,
    cbor_decode,
    make_code,
    make_token,
    verify_code,
)
from hansa.codes.cose import to_be_signed
from hansa.gate import Gate, GateIdentity
from hansa.gate.agent.camera import qr_reader

NOW = datetime(2026, 11, 17, 12, tzinfo=UTC)
KID = b"kid1"
TAPS_A_DAY = 4
"""Codes of one token in a back office's batch: two rides, in and out."""

Figures = dict[str, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Sample:
    """A code, and the calls that check its two signatures and nothing else."""

    text: str
    token_signature: Callable[[], None]
    code_signature: Callable[[], None]


def main() -> None:
    """Measure, print a small table, end with a line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--short", action="store_true", help="fewer codes and rounds: a few seconds")
    short = parser.parse_args().short
    codes, rounds, pictures = (500, 5, 60) if short else (4000, 9, 400)

    issuer = Ed25519PrivateKey.generate()
    samples = [one for _ in range(codes) for one in phone(issuer, 1)]
    figures = verifying(issuer, samples, rounds)
    figures |= pictured([one.text for one in samples[:pictures]])
    figures |= taken_in(short=short)
    print()
    print(json.dumps(figures))


def verifying(issuer: Ed25519PrivateKey, samples: list[Sample], rounds: int) -> Figures:
    """Verification and decisions, in turns with the bare signatures."""
    key = TrustedKey(
        kid=KID,
        issuer_id="bench-card",
        public_key=issuer.public_key().public_bytes_raw(),
        not_before=NOW - timedelta(days=1),
        not_after=NOW + timedelta(days=1),
        products=("metro",),
        status="active",
    )
    trust_list = TrustList(1, NOW, NOW + timedelta(days=1), (key,))
    known = TokenCache(size_max=len(samples))
    denied = frozenset(os.urandom(8) for _ in range(100_000)).__contains__
    day = [phone(issuer, TAPS_A_DAY) for _ in range(len(samples) // TAPS_A_DAY)]
    batch = [one for codes in day for one in codes]
    Random(7).shuffle(batch)
    firsts = [codes[0] for codes in day]

    def verify(sample: Sample, tokens: TokenCache | None) -> None:
        verify_code(sample.text, trust_list, now=NOW, product="metro", denied=denied, tokens=tokens)

    def gate() -> Gate:
        return Gate(
            GateIdentity("bench/1", "bench", "bench/a", "entry", "metro", b"abc"), trust_list, tokens=known
        )

    for one in samples:
        verify(one, known)
    names = ("cold", "cached", "decide", "bulk", "both", "p256", "bulk_bare")
    rows: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(rounds):
        entry, tokens = gate(), TokenCache(size_max=len(batch))
        rows["both"].append(each_us(samples, lambda s: (s.token_signature(), s.code_signature())))
        rows["cold"].append(each_us(samples, lambda s: verify(s, None)))
        rows["p256"].append(each_us(samples, lambda s: s.code_signature()))
        rows["cached"].append(each_us(samples, lambda s: verify(s, known)))
        rows["decide"].append(each_us(samples, lambda s, entry=entry: entry.decide(s.text, NOW)))
        rows["bulk_bare"].append(
            each_us(batch, lambda s: s.code_signature())
            + each_us(firsts, lambda s: s.token_signature()) / TAPS_A_DAY
        )
        rows["bulk"].append(each_us(batch, lambda s, tokens=tokens: verify(s, tokens)))
        assert entry.tally == {"ok": len(samples)}, entry.tally

    figures: Figures = {}
    print(f"{len(samples)} codes, {rounds} rounds in turns, median; processor time of one thread\n")
    print(f"{'':<15}{'us/code':>9}{'bare signatures':>18}{'ratio':>8}")
    for name, row, base in (
        ("verify_cold", "cold", "both"),
        ("verify_cached", "cached", "p256"),
        ("decide", "decide", "p256"),
        ("bulk_verify", "bulk", "bulk_bare"),
    ):
        value, baseline = median(rows[row]), median(rows[base])
        ratio = median(mine / bare for mine, bare in zip(rows[row], rows[base], strict=True))
        print(f"{name:<15}{value:>9.1f}{baseline:>18.1f}{ratio:>8.2f}")
        figures[name] = {
            "value": round(value, 2),
            "unit": "us/code",
            "baseline": round(baseline, 2),
            "ratio": round(ratio, 3),
        }
    bulk = figures["bulk_verify"]
    bulk |= {"value": round(1e6 / bulk["value"]), "unit": "codes/s per core"}
    bulk["baseline"] = round(1e6 / bulk["baseline"])
    print(f"\nbulk_verify: {bulk['value']:,} codes/s on one core; bare signatures {bulk['baseline']:,}")
    return figures


def phone(issuer: Ed25519PrivateKey, codes: int) -> list[Sample]:
    """Codes of one phone with one token."""
    device = generate_private_key(SECP256R1())
    token = make_token(
        issuer,
        kid=KID,
        cti=os.urandom(8),
        expires_at=NOW + timedelta(hours=20),
        device_key=device.public_key(),
        scope=Scope("adult", ("metro", "bus"), (), 8),
    )
    issuer_key, device_key, algorithm = issuer.public_key(), device.public_key(), ECDSA(SHA256())
    samples: list[Sample] = []
    for number in range(codes):
        text = make_code(device, token, made_at=NOW, counter=300 + number, cell=b"abc")
        message = cbor_decode(base45_decode(text[len(PREFIX) :]))
        inner = cbor_decode(message[0])[13]
        token_message, code_message = to_be_signed(inner[0], inner[2]), to_be_signed(message[0], message[2])
        der = encode_dss_signature(
            int.from_bytes(message[3][:32], "big"), int.from_bytes(message[3][32:], "big")
        )
        samples.append(
            Sample(
                text,
                lambda signature=inner[3], said=token_message: issuer_key.verify(signature, said),
                lambda der=der, said=code_message: device_key.verify(der, said, algorithm),
            )
        )
    return samples


def pictured(texts: list[str]) -> Figures:
    """Codes drawn and read."""
    look_at = qr_reader()
    drawn = each_ms(texts, lambda text: draw_qr.fn(TextToDraw(text)))
    frames = list(zip(_camera.frames(texts), texts, strict=True))
    read: list[bool] = []

    def look(frame: tuple[_camera.Grey, str]) -> None:
        read.append(look_at(frame[0].data) == [frame[1]])

    took = each_ms(frames, look)
    empty = each_ms(_camera.empty_frames(len(texts)), lambda frame: look_at(frame.data))
    share = sum(read) / len(read)
    print(f"\nQR drawn: {median(drawn):.2f} ms, the slowest of 20 {slowest_of_20(drawn):.2f} ms")
    print(
        f"QR read from {len(frames)} frames, {share:.1%} at the first look: {median(took):.2f} ms, the slowest of 20 "
        f"{slowest_of_20(took):.2f} ms; a frame without a code {slowest_of_20(empty):.2f} ms"
    )
    return {
        "qr_draw_ms": {"value": round(median(drawn), 3), "p95": round(slowest_of_20(drawn), 3), "unit": "ms"},
        "qr_read_p95_ms": {
            "value": round(slowest_of_20(took), 3),
            "median": round(median(took), 3),
            "no_code_p95": round(slowest_of_20(empty), 3),
            "read_at_first_look": round(share, 4),
            "unit": "ms",
        },
    }


def taken_in(*, short: bool) -> Figures:
    """Taps into the back office, where that benchmark is."""
    if importlib.util.find_spec("_gate_intake") is None:
        print("\ntap_intake is left out: benchmarks/_gate_intake.py is not here")
        return {}
    intake = importlib.import_module("_gate_intake")
    return {"tap_intake": intake.measured(short=short)}


def slowest_of_20(took: list[float]) -> float:
    """The 95th percentile."""
    return quantiles(took, n=20)[-1]


def each_us(things: Sequence[Any], work: Callable[[Any], object]) -> float:
    """Microseconds for each, on average, without the collector running in between."""
    gc.collect()
    gc.disable()
    try:
        started = thread_time_ns()
        for one in things:
            work(one)
        return (thread_time_ns() - started) / len(things) / 1000
    finally:
        gc.enable()


def each_ms(things: Sequence[Any], work: Callable[[Any], object]) -> list[float]:
    """Milliseconds of each, the first left out: it loads what the others find loaded."""
    took: list[float] = []
    for one in things:
        started = thread_time_ns()
        work(one)
        took.append((thread_time_ns() - started) / 1e6)
    return took[1:]


if __name__ == "__main__":
    main()
