"""An outside library reads our codes: ``cwt`` from PyPI, in an environment of its own.

It is no gate: it takes twins and other writings of the same code. But what it verifies and reads of our good codes is
what we meant, so the tokens are CWTs and the codes COSE messages as the RFCs have them.
"""

import json
import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from gate.outside import LIBRARY
from hansa.codes import Scope
from hansa.codes.ride import scope_bytes
from hansa.gate.conformance.drafts import Message, Mint

SCRIPT = Path(__file__).with_name("outside_library.py")
NOW = datetime.now(UTC).replace(microsecond=0)
EXPIRES = NOW + timedelta(hours=20)
SCOPE = Scope("student", ("metro", "bus"), ("metro",), 8, companions=2)
MINT = Mint(11)


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A Python that has the library. Skipped where no package can be had."""
    folder = tmp_path_factory.mktemp("outside") / "env"
    program = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
    uv = shutil.which("uv") or next(map(str, Path(__file__).parents[2].glob(".tools/bin/uv")), None)
    if uv is not None:
        steps = [[uv, "venv", "-q", "--python", sys.executable, str(folder)]]
        steps += [[uv, "pip", "install", "-q", "--python", str(program), LIBRARY]]
    else:
        steps = [[sys.executable, "-m", "venv", str(folder)]]
        steps += [[str(program), "-m", "pip", "install", "-q", "--disable-pip-version-check", LIBRARY]]
    for step in steps:
        made = subprocess.run(step, capture_output=True, text=True, timeout=300, check=False)
        if made.returncode != 0:
            pytest.skip(f"{LIBRARY} cannot be installed here, so no outside library reads our codes")
    return str(program)


def read(python: str, codes: list[Message]) -> list[dict[str, Any]]:
    issuer = {"kid": MINT.kid("one").hex(), "x": MINT.issuer("one").public_key().public_bytes_raw().hex()}
    asked = json.dumps({"issuer": issuer, "codes": [code.data.hex() for code in codes]})
    told = subprocess.run(
        [python, str(SCRIPT)], input=asked, capture_output=True, text=True, timeout=300, check=True
    )
    return json.loads(told.stdout)


def test_it_verifies_our_codes_and_reads_what_we_meant(python: str) -> None:
    codes: list[Message] = []
    meant: list[dict[str, Any]] = []
    for number in range(48):  # keys of either sign, signatures with leading zeros
        phone = MINT.phone(expires_at=EXPIRES, scope=SCOPE)
        ride: dict[str, Any] = {
            "counter": number * 1366,
            "companion": number % 3,
            "challenge": number * 200 if number % 2 else None,
        }
        cell = MINT.some_bytes(f"cell {number}", 3)
        codes.append(phone.code(NOW, cell=cell, **ride))
        meant.append(
            {
                **ride,
                "alg": -7,
                "unprotected": 0,
                "exp": int(EXPIRES.timestamp()),
                "cti": phone.token.payload[9:17].hex(),
                "x": phone.key.public_key().public_numbers().x.to_bytes(32, "big").hex(),
                "scope": scope_bytes(SCOPE).hex(),
                "made_at": int(NOW.timestamp()),
                "cell": cell.hex(),
            }
        )

    assert read(python, codes) == meant


def test_it_refuses_what_was_changed_after_signing(python: str) -> None:
    phone, other = (MINT.phone(expires_at=EXPIRES, scope=SCOPE) for _ in range(2))
    code = phone.code(NOW, cell=bytes(3))
    forged = phone.token.signed(MINT.issuer("nobody"))
    ended = MINT.phone(expires_at=NOW - timedelta(hours=1), scope=SCOPE)

    told = read(
        python,
        [
            code.body({7: 9}),
            other.around(phone.token, code.payload),
            phone.around(forged, code.payload),
            phone.around(phone.token.body({9: b"12345"}), code.payload),
            ended.code(NOW, cell=bytes(3)),
        ],
    )

    assert ["VerifyError" in one.get("error", "") for one in told] == [True] * 5
