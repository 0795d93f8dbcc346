"""How long a gate takes to verify a ride code, beside the bare signatures in it.

    python benchmarks/gate.py [--short]

verify_cold: the full check of a code whose token was not seen before, as at a rider's first gate of the day.
verify_warm: the same with the token known. decide: a whole decision of a gate, tap and chain included, token known.
Baseline of each: the signatures alone, Ed25519 and P-256 (cold) or P-256 (warm, decide), of the same bytes, by
`cryptography` with its keys at hand, measured in turns in the same run. The last line is one line of JSON.
"""

import argparse
import gc
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from statistics import median
from time import perf_counter_ns

from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

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

NOW = datetime(2026, 11, 17, 12, tzinfo=UTC)
KID = b"kid1"


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
    codes, rounds = (500, 5) if short else (4000, 9)

    issuer = Ed25519PrivateKey.generate()
    samples = [sample(issuer) for _ in range(codes)]
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
    known = TokenCache(size_max=codes)
    denied = frozenset(os.urandom(8) for _ in range(100_000)).__contains__

    def verify(sample: Sample, tokens: TokenCache | None) -> None:
        verify_code(sample.text, trust_list, now=NOW, product="metro", denied=denied, tokens=tokens)

    def gate() -> Gate:
        return Gate(
            GateIdentity("bench/1", "bench", "bench/a", "entry", "metro", b"abc"), trust_list, tokens=known
        )

    for one in samples:
        verify(one, known)
    rows: dict[str, list[float]] = {name: [] for name in ("cold", "warm", "decide", "both", "p256")}
    for _ in range(rounds):
        entry = gate()
        rows["both"].append(per_code_us(samples, lambda s: (s.token_signature(), s.code_signature())))
        rows["cold"].append(per_code_us(samples, lambda s: verify(s, None)))
        rows["p256"].append(per_code_us(samples, lambda s: s.code_signature()))
        rows["warm"].append(per_code_us(samples, lambda s: verify(s, known)))
        rows["decide"].append(per_code_us(samples, lambda s, entry=entry: entry.decide(s.text, NOW)))
        assert entry.tally == {"ok": codes}, entry.tally

    figures: dict[str, dict[str, float | str]] = {}
    print(f"{codes} codes, {rounds} rounds in turns, median; one thread\n")
    print(f"{'':<14}{'us/code':>9}{'bare signatures':>18}{'ratio':>8}")
    for name, row, base in (
        ("verify_cold", "cold", "both"),
        ("verify_warm", "warm", "p256"),
        ("decide", "decide", "p256"),
    ):
        value, baseline = median(rows[row]), median(rows[base])
        ratio = median(mine / bare for mine, bare in zip(rows[row], rows[base], strict=True))
        print(f"{name:<14}{value:>9.1f}{baseline:>18.1f}{ratio:>8.2f}")
        figures[name] = {
            "value": round(value, 2),
            "unit": "us/code",
            "baseline": round(baseline, 2),
            "ratio": round(ratio, 3),
        }
    print()
    print(json.dumps(figures))


def sample(issuer: Ed25519PrivateKey) -> Sample:
    """A code of a phone of its own."""
    device = generate_private_key(SECP256R1())
    token = make_token(
        issuer,
        kid=KID,
        cti=os.urandom(8),
        expires_at=NOW + timedelta(hours=20),
        device_key=device.public_key(),
        scope=Scope("adult", ("metro", "bus"), (), 8),
    )
    text = make_code(device, token, made_at=NOW, counter=300, cell=b"abc")
    message = cbor_decode(base45_decode(text[len(PREFIX) :]))
    inner = cbor_decode(message[0])[13]
    token_message, code_message = to_be_signed(inner[0], inner[2]), to_be_signed(message[0], message[2])
    r, s = int.from_bytes(message[3][:32], "big"), int.from_bytes(message[3][32:], "big")
    der, algorithm = encode_dss_signature(r, s), ECDSA(SHA256())
    issuer_key, device_key, token_signature = issuer.public_key(), device.public_key(), inner[3]
    return Sample(
        text,
        lambda: issuer_key.verify(token_signature, token_message),
        lambda: device_key.verify(der, code_message, algorithm),
    )


def per_code_us(samples: list[Sample], work: Callable[[Sample], object]) -> float:
    """Microseconds for each, on average, without the collector running in between."""
    gc.collect()
    gc.disable()
    try:
        started = perf_counter_ns()
        for one in samples:
            work(one)
        return (perf_counter_ns() - started) / len(samples) / 1000
    finally:
        gc.enable()


if __name__ == "__main__":
    main()
