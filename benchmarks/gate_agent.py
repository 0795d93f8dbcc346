"""What a gate's box must have: disk, memory, time to start, and what a decision costs with everything on.

    python benchmarks/gate_agent.py [--short]

installed_mb: an environment with the package hansa-gate and what it needs, pip apart; baseline: what it needs alone.
start_ms: from nothing to judging, with a deny list of a million tokens on the disk; baseline: with none.
rss_mb: memory of the program then; baseline: with none. rss_peak_mb: while it takes the whole list as one update.
take_list_s: X lookup_us: the look-up alone; baseline: in memory.
state_bytes: what a tap that waits adds to the disk; baseline: its JSON. The last line is one line of JSON.

--short: a hundred thousand tokens, fewer decisions, and no environment is made (installed_mb is left out).
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from time import perf_counter

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hansa.codes import (
    Scope,
    TokenCache,
    TrustedKey,
    TrustList,
    deny_update,
    make_code,
    make_token,
    sign_deny_update,
    sign_trust_list,
)
from hansa.gate import Denied, DenyList, FileState, Gate, GateIdentity
from hansa.gate.agent.deny import DenyFile

ROOT = Path(__file__).parents[1]
NOW = datetime.now(UTC).replace(microsecond=0)
KID = b"kid1"
ISSUER, LEAGUE, LISTS = (Ed25519PrivateKey.generate() for _ in range(3))
LIST_KEY = LISTS.public_key().public_bytes_raw()

# A life of the program up to the first judged text, as the command has it but for the health server; told as JSON.
BEGIN = """
import json, sys, time
began = time.perf_counter()
from pathlib import Path
from hansa.gate.agent.command import agent_of
from hansa.gate.agent.config import read_config
agent = agent_of(read_config(Path(sys.argv[1])))
reason = agent.show("HR1:").reason
took = time.perf_counter() - began
print(json.dumps({
    "reason": reason, "ms": took * 1000, "denied": len(agent.lists.deny_list),
    "rss_mb": int(open("/proc/self/statm").read().split()[1]) * 4096 / 1e6,
}))
"""

# Taking the whole list as it comes from the league, in a program of its own so that its memory is seen alone.
TAKE = """
import json, sys, time
from pathlib import Path
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hansa.codes import read_deny_update
from hansa.gate.agent.deny import DenyFile
key, data = bytes.fromhex(sys.argv[3]), Path(sys.argv[1]).read_bytes()
deny = DenyFile(Path(sys.argv[2]))
began = time.perf_counter()
deny.take(read_deny_update(data, Ed25519PublicKey.from_public_bytes(key)), list_key=key)
took = time.perf_counter() - began
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(json.dumps({"s": took, "peak_mb": int(peak.split()[1]) * 1024 / 1e6}))
"""

CONFIG = """
[gate]
device_id = "bench"
gate_id = "bench/1"
operator_id = "bench"
stop_id = "bench/a"
action = "entry"
product = "metro"
state = "{state}"
[league]
url = "http://127.0.0.1:9"
api_key_env = "BENCH_KEY"
roots = ["{root}"]
"""


def main() -> None:
    """Measure, print a small table, end with a line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--short", action="store_true", help="a tenth of it, without making an environment")
    short = parser.parse_args().short
    tokens, codes, rounds = (100_000, 100, 3) if short else (1_000_000, 1_000, 5)
    figures: dict[str, dict[str, float | str | None]] = {}
    with tempfile.TemporaryDirectory(prefix="hansa-bench-") as temporary:
        folder = Path(temporary)
        denied = denied_tokens(tokens)
        if not short:
            put(figures, "installed_mb", "MB", *installed_mb(folder))
        took = take(folder, denied)
        put(figures, "take_list_s", "s", took["s"], None)
        put(figures, "rss_peak_mb", "MB", took["peak_mb"], None)
        begun = [(begin(folder, "full"), begin(folder, "empty")) for _ in range(rounds)]
        for name, unit, field in (("start_ms", "ms", "ms"), ("rss_mb", "MB", "rss_mb")):
            put(
                figures,
                name,
                unit,
                median(float(full[field]) for full, _ in begun),
                median(float(empty[field]) for _, empty in begun),
            )
        in_file = DenyFile(folder / "full" / "deny.db")
        in_memory = DenyList(1, frozenset(cti for cti, _ in denied))
        lookups = [(lookup_us(in_file, denied), lookup_us(in_memory, denied)) for _ in range(rounds)]
        put(figures, "lookup_us", "us", median(a for a, _ in lookups), median(b for _, b in lookups))
        put(figures, "decide_us", "us", *decide_us(folder, (in_file, in_memory), codes * rounds))
        put(figures, "state_bytes", "B/tap", *state_bytes(folder, codes))
        in_file.close()
    print(f"{tokens:,} denied tokens, {codes:,} codes, {rounds} rounds in turns, median\n")
    print(f"{'':<14}{'value':>12}{'baseline':>12}{'ratio':>8}")
    for name, one in figures.items():
        shown = [f"{one[key]:,.2f}" if one[key] is not None else "" for key in ("value", "baseline", "ratio")]
        print(f"{name:<14}{shown[0]:>12}{shown[1]:>12}{shown[2]:>8} {one['unit']}")
    print()
    print(json.dumps(figures))


def put(
    figures: dict[str, dict[str, float | str | None]],
    name: str,
    unit: str,
    value: float,
    baseline: float | None,
) -> None:
    """One more figure."""
    figures[name] = {
        "value": round(value, 2),
        "unit": unit,
        "baseline": None if baseline is None else round(baseline, 2),
        "ratio": None if not baseline else round(value / baseline, 3),
    }


def denied_tokens(count: int) -> list[tuple[bytes, datetime]]:
    """Tokens that end within the next day."""
    dice = random.Random(1)
    return [(dice.randbytes(8), NOW + timedelta(hours=1 + number % 24)) for number in range(count)]


def gate_folder(folder: Path, name: str) -> Path:
    """A gate's file of settings, with its trust list in its folder."""
    (folder / name).mkdir(exist_ok=True)
    config = folder / f"{name}.toml"
    config.write_text(
        CONFIG.format(state=folder / name, root=LEAGUE.public_key().public_bytes_raw().hex()),
        encoding="ascii",
    )
    (folder / name / "trust-list.cose").write_bytes(sign_trust_list(trust_list(), LEAGUE))
    return config


def take(folder: Path, denied: list[tuple[bytes, datetime]]) -> dict[str, float]:
    """Have the whole list taken as one signed update, and an empty one beside it."""
    for name, tokens in (("empty", denied[:0]), ("full", denied)):
        gate_folder(folder, name)
        update = folder / f"{name}.cose"
        update.write_bytes(sign_deny_update(deny_update(1, 0, NOW, tokens), LISTS))
        took = told_by(TAKE, update, folder / name / "deny.db", LIST_KEY.hex())
    return took


def begin(folder: Path, name: str) -> dict[str, float]:
    """Start the program on this folder."""
    told = told_by(BEGIN, folder / f"{name}.toml")
    assert told["reason"] == "malformed", told
    return told


def told_by(program: str, *arguments: object) -> dict[str, float]:
    """What a Python program says in its last line."""
    done = subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)],
        env=os.environ | {"BENCH_KEY": "key"},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def trust_list() -> TrustList:
    key = TrustedKey(
        kid=KID,
        issuer_id="bench-card",
        public_key=ISSUER.public_key().public_bytes_raw(),
        not_before=NOW - timedelta(days=1),
        not_after=NOW + timedelta(days=2),
        products=("metro",),
        status="active",
    )
    return TrustList(1, NOW, NOW + timedelta(days=7), (key,), LIST_KEY)


def lookup_us(denied: Denied, tokens: list[tuple[bytes, datetime]]) -> float:
    """A look-up, half of them of tokens on the list."""
    asked = [cti for cti, _ in tokens[:10_000]] + [os.urandom(8) for _ in range(10_000)]
    random.Random(2).shuffle(asked)
    started = perf_counter()
    found = sum(cti in denied for cti in asked)
    took_s = perf_counter() - started
    assert found == 10_000
    return took_s / len(asked) * 1e6


def codes_of(count: int) -> list[str]:
    """Codes of one phone each."""
    made: list[str] = []
    for _ in range(count):
        device = generate_private_key(SECP256R1())
        token = make_token(
            ISSUER,
            kid=KID,
            cti=os.urandom(8),
            expires_at=NOW + timedelta(hours=20),
            device_key=device.public_key(),
            scope=Scope("adult", ("metro",), (), 8),
        )
        made.append(make_code(device, token, made_at=NOW, counter=1))
    return made


def decide_us(folder: Path, lists: tuple[Denied, Denied], count: int) -> tuple[float, float]:
    """The median decision of two gates, code about, by each of the lists; taps are written through to the disk."""
    states = [FileState(folder / f"decide-{place}.db") for place, _ in enumerate(lists)]
    identity = GateIdentity("bench/1", "bench", "bench/a", "entry", "metro", bytes(3))
    gates = [
        Gate(identity, trust_list(), deny_list=denied, state=state, tokens=TokenCache())
        for denied, state in zip(lists, states, strict=True)
    ]
    took_us: tuple[list[float], list[float]] = [], []
    for text in codes_of(count):
        for gate, took in zip(gates, took_us, strict=True):
            took.append(gate.decide(text, NOW).took_ns / 1000)
    for gate, state in zip(gates, states, strict=True):
        assert gate.tally["ok"] == count, gate.tally
        state.close()
    return median(took_us[0]), median(took_us[1])


def state_bytes(folder: Path, count: int) -> tuple[float, float]:
    """What waiting taps add to the state's file each, their counters with them; and their JSON."""
    file = folder / "growth.db"
    state = FileState(file)
    identity = GateIdentity("bench/1", "bench", "bench/a", "entry", "metro", bytes(3))
    gate = Gate(identity, trust_list(), state=state)

    def size() -> int:
        state._db.execute("pragma wal_checkpoint(truncate)")
        return file.stat().st_size

    before = size()
    for text in codes_of(count):
        gate.decide(text, NOW)
    grown = size() - before
    json_bytes = sum(len(json.dumps(tap.json())) for tap in gate.pending(count))
    state.close()
    return grown / count, json_bytes / count


def installed_mb(folder: Path) -> tuple[float, float]:
    """Megabytes of site-packages with the package, and with what it needs alone; without pip and setuptools."""
    environment = folder / "env"
    python = environment / "bin" / "python"
    quiet: Callable[..., object] = lambda *command: subprocess.run(command, check=True, capture_output=True)  # noqa: E731
    quiet(sys.executable, "-m", "venv", environment)
    quiet(python, "-m", "pip", "wheel", "-q", "--no-deps", "-w", folder, ROOT / "packages" / "hansa-gate")
    quiet(python, "-m", "pip", "install", "-q", "cbor2>=6.1", "cryptography>=46")
    site = next(environment.glob("lib/python*/site-packages"))

    def size_mb() -> float:
        return (
            sum(
                path.stat().st_size
                for path in site.rglob("*")
                if path.is_file() and path.relative_to(site).parts[0].partition("-")[0] not in TOOLS
            )
            / 1e6
        )

    needs = size_mb()
    quiet(python, "-m", "pip", "install", "-q", *folder.glob("hansa_gate-*.whl"))
    return size_mb(), needs


TOOLS = ("pip", "setuptools", "pkg_resources", "_distutils_hack", "distutils")

if __name__ == "__main__":
    main()
