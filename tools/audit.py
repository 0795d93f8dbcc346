"""Known faults of what Hansa depends on, and the list of all of it: ``make audit``.

Python's packages come from uv.lock and are asked of the advisory service by pip-audit; the browser's come from
package-lock.json and are asked by npm. Both files name each package by its hash, so what is asked about is what is
installed. A machine that reaches no advisory service is told so in one line and does not fail: it has learnt nothing,
and that is not the same as a fault. A fault that is known fails.

    python tools/audit.py                 # ask, and fail on a fault
    python tools/audit.py --sbom FILE     # write a CycloneDX 1.6 list of all that is locked; asks nobody
"""

import argparse
import json
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
TIMEOUT_S = 180
UNREACHED = re.compile(
    r"ConnectionError|ConnectTimeout|ReadTimeout|Name or service not known|Temporary failure|Max retries|Proxy|"
    r"ENOTFOUND|ECONNREFUSED|EAI_AGAIN|ETIMEDOUT|ENETUNREACH|audit endpoint returned an error|ServiceError|"
    r"\b(401|403|404|405|429|5\d\d)\b (Client|Server) Error|code E(4|5)\d\d|SSLError|certificate",
    re.IGNORECASE,
)


def locked_python(text: str) -> list[tuple[str, str, list[str]]]:
    """Name, version and SHA-256 hashes of each package of a uv.lock, our own left out."""
    found: list[tuple[str, str, list[str]]] = []
    for one in tomllib.loads(text)["package"]:
        if "registry" not in one.get("source", {}):
            continue
        files = [*one.get("wheels", []), *([one["sdist"]] if "sdist" in one else [])]
        hashes = [str(file["hash"]).removeprefix("sha256:") for file in files if "hash" in file]
        found.append((one["name"], one["version"], hashes))
    return sorted(found)


def locked_browser(text: str) -> list[tuple[str, str, str]]:
    """Name, version and integrity of each package of a package-lock.json."""
    packages: dict[str, Any] = json.loads(text)["packages"]
    return sorted(
        (path.rpartition("node_modules/")[2], one["version"], one.get("integrity", ""))
        for path, one in packages.items()
        if path
    )


def sbom(python: list[tuple[str, str, list[str]]], browser: list[tuple[str, str, str]]) -> dict[str, Any]:
    """All that is locked, as CycloneDX 1.6. The same locks give the same list."""
    parts = [
        {
            "type": "library",
            "name": name,
            "version": version,
            "purl": f"pkg:pypi/{name}@{version}",
            "hashes": [{"alg": "SHA-256", "content": one} for one in hashes[:1]],
        }
        for name, version, hashes in python
    ]
    parts += [
        {
            "type": "library",
            "name": name,
            "version": version,
            "purl": f"pkg:npm/{name.replace('@', '%40')}@{version}",
            "properties": [{"name": "integrity", "value": integrity}],
        }
        for name, version, integrity in browser
    ]
    return {"bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1, "components": parts}


def told(name: str, status: int, output: str) -> tuple[bool, str]:
    """Whether a check lets us pass, and its one line. Without an answer of the service nothing is known."""
    if status == 0:
        return True, f"{name}: no known faults."
    if UNREACHED.search(output) and "GHSA-" not in output and "PYSEC-" not in output and "CVE-" not in output:
        return True, f"{name}: no advisory service is reached from here, so nothing was checked."
    return False, f"{name}: known faults, or the check itself failed:\n{output.strip()}"


def check_python() -> tuple[bool, str]:
    """Ask about the packages of uv.lock."""
    program = Path(sys.executable).parent / "pip-audit"
    if not program.exists():
        return True, "Python: pip-audit is not installed here, so nothing was checked."
    rounds: list[
        dict[str, str]
    ] = []  # a package may be locked in several versions, by Python's; a list takes one
    for name, version, _ in locked_python((ROOT / "uv.lock").read_text("utf-8")):
        free = next((one for one in rounds if name not in one), None)
        if free is None:
            rounds.append(free := {})
        free[name] = version
    answers: list[tuple[bool, str]] = []
    for number, packages in enumerate(rounds):
        listed = ROOT / ".venv" / f"audit-{number}.txt"
        listed.write_text("".join(f"{name}=={version}\n" for name, version in packages.items()), "utf-8")
        command = [str(program), "--disable-pip", "--no-deps", "--progress-spinner", "off", "-r", str(listed)]
        answers.append(told("Python", *_run(command)))
    return next((one for one in answers if not one[0]), answers[0])


def check_browser() -> tuple[bool, str]:
    """Ask about the packages of package-lock.json."""
    npm = shutil.which("npm") or shutil.which(str(ROOT / ".venv/bin/npm"))
    if npm is None:
        return True, "Browser: npm is not installed here, so nothing was checked."
    return told("Browser", *_run([npm, "audit", "--package-lock-only"]))


def _run(command: list[str]) -> tuple[int, str]:
    try:
        done = subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        return 1, "ReadTimeout"
    return done.returncode, f"{done.stdout}\n{done.stderr}"


def main() -> int:
    """Write the list, or ask; 1 when a fault is known."""
    parser = argparse.ArgumentParser(description="Known faults of what Hansa depends on.")
    parser.add_argument("--sbom", type=Path, metavar="FILE")
    wanted = parser.parse_args().sbom
    if wanted is not None:
        listed = sbom(
            locked_python((ROOT / "uv.lock").read_text("utf-8")),
            locked_browser((ROOT / "package-lock.json").read_text("utf-8")),
        )
        wanted.write_text(json.dumps(listed, indent=1) + "\n", encoding="utf-8")
        print(f"{wanted}: {len(listed['components'])} packages.")
        return 0
    answers = [check_python(), check_browser()]
    for _, line in answers:
        print(line)
    return 0 if all(fine for fine, _ in answers) else 1


if __name__ == "__main__":
    raise SystemExit(main())
