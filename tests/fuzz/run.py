"""Fuzz the decoders and verifiers, and say what came of it.

    python tests/fuzz/run.py --executions 1000000 [--only cbor,code] [--python PROGRAM]

Runs each target of ``targets.py`` so many times under atheris, which looks for inputs that reach new branches, each in
a process of its own, and prints executions, coverage (branches reached), executions a second and crashes. The input of
a crash is written to ``tests/fuzz/found``; put it into ``tests/fuzz/regressions`` once it is mended. Slow targets
(those that make signatures) get a share of the executions, which the table shows.

Atheris is in an environment of its own (`environment`), since the project needs it for nothing else.
Exit code: 0 without a crash, 1 with one, 2 where atheris cannot be had.
"""

import argparse
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
FOUND, REGRESSIONS = HERE / "found", HERE / "regressions"
ENVIRONMENT = ROOT / ".tools" / "fuzz"
NEEDS = ("atheris==3.0.0", "cbor2>=6.1", "cryptography>=46")
LENGTH_MAX = 512

# Target | its share of the executions, by what one of them costs
SHARES = {
    "base45": 1.0,
    "cbor": 1.0,
    "cbor_values": 1.0,
    "cose": 1.0,
    "token": 1.0,
    "code": 1.0,
    "spoilt_code": 1.0,
    "trust_list": 0.2,
    "deny_list": 0.2,
    "settings": 0.2,
    "verify_forged": 0.2,
    "verify_signed": 0.1,
    "two_verifiers": 0.1,
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one target. coverage: branches of Hansa's code that were reached."""

    target: str
    executions: int
    coverage: int
    crashes: int
    took_s: float
    said: str


def main() -> int:
    """Fuzz everything, or one target in this process (``--inside``, which the other calls)."""
    parser = argparse.ArgumentParser(description="Fuzz the decoders and verifiers.")
    parser.add_argument("--executions", type=int, default=100_000, help="of the quick targets")
    parser.add_argument("--only", default="", help="names of targets, with commas between")
    parser.add_argument("--python", default="", help="a Python that has atheris, cbor2 and cryptography")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--inside", default="", help=argparse.SUPPRESS)
    asked, rest = parser.parse_known_args()
    if asked.inside:
        inside(asked.inside, rest)
    python = asked.python or environment()
    if python is None:
        print("atheris cannot be had here: give a Python that has it by --python")
        return 2
    names = [name for name in asked.only.split(",") if name] or list(SHARES)
    print(f"{'target':<16}{'executions':>12}{'coverage':>10}{'per s':>9}{'crashes':>9}")
    outcomes: list[Outcome] = []
    for name in names:
        if name == "two_verifiers" and shutil.which("node") is None:
            print(f"{name:<16} is left out: there is no Node here")
            continue
        outcome = fuzzed(python, name, max(1, int(asked.executions * SHARES[name])), asked.seed)
        outcomes.append(outcome)
        rate = outcome.executions / max(outcome.took_s, 0.001)
        print(
            f"{name:<16}{outcome.executions:>12,}{outcome.coverage:>10,}{rate:>9,.0f}{outcome.crashes:>9}",
            flush=True,
        )
        if outcome.crashes:
            print(outcome.said)
    crashes = sum(outcome.crashes for outcome in outcomes)
    print(f"{'together':<16}{sum(outcome.executions for outcome in outcomes):>12,}{'':>19}{crashes:>9}")
    return 1 if crashes else 0


def environment(*, make: bool = True) -> str | None:
    """A Python with atheris: ours, or one made beside the project's; None where it cannot be had."""
    if importlib.util.find_spec("atheris") is not None:
        return sys.executable
    program = ENVIRONMENT / "bin" / "python"
    if program.exists():
        return str(program)
    uv = shutil.which("uv") or next(map(str, ROOT.glob(".tools/bin/uv")), None)
    if uv is None or not make:
        return None
    steps = [
        [uv, "venv", "-q", "--python", sys.executable, str(ENVIRONMENT)],
        [uv, "pip", "install", "-q", "--python", str(program), *NEEDS],
    ]
    for step in steps:
        if subprocess.run(step, capture_output=True, timeout=600, check=False).returncode != 0:
            shutil.rmtree(ENVIRONMENT, ignore_errors=True)
            return None
    return str(program)


def fuzzed(python: str, target: str, executions: int, seed: int = 1) -> Outcome:
    """Run a target so many times in a process of its own."""
    FOUND.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="hansa-fuzz-") as corpus:
        started = time.perf_counter()
        ran = subprocess.run(
            [
                python,
                __file__,
                f"--inside={target}",
                f"-runs={executions}",
                f"-seed={seed}",
                f"-max_len={LENGTH_MAX}",
                "-timeout=20",
                "-rss_limit_mb=2048",
                f"-artifact_prefix={FOUND}/{target}-",
                corpus,
            ],
            capture_output=True,
            text=True,
            errors="replace",
            env={**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT / "src"), str(ROOT / "tests")))},
            check=False,
        )
        took_s = time.perf_counter() - started
    said = ran.stdout + ran.stderr
    done = re.findall(r"^#(\d+)\s", said, re.MULTILINE)
    reached = re.findall(r"\bcov: (\d+)", said)
    return Outcome(
        target=target,
        executions=int(done[-1]) if done else 0,
        coverage=int(reached[-1]) if reached else 0,
        crashes=int(ran.returncode != 0),
        took_s=took_s,
        said=said[-4000:],
    )


def inside(target: str, arguments: list[str]) -> None:
    """Fuzz in this process; does not come back."""
    atheris: Any = importlib.import_module("atheris")

    with atheris.instrument_imports(include=["hansa.codes", "hansa.gate"]):
        from fuzz import targets

    corpus = Path(next(argument for argument in arguments if not argument.startswith("-")))
    for number, seed in enumerate(targets.SEEDS.get(target, [])):
        (corpus / f"seed-{number}").write_bytes(seed)
    for file in REGRESSIONS.glob(f"{target}-*"):
        shutil.copy(file, corpus)
    if target == "two_verifiers":
        script = ROOT / "src/hansa/apps/web/static/js/verifier.js"
        ask = targets.two_verifiers(targets.Second(["node", str(script)]))
    else:
        ask = targets.TARGETS[target]
    atheris.Setup([sys.argv[0], *arguments], ask)
    atheris.Fuzz()


if __name__ == "__main__":
    sys.exit(main())
