"""Mojaloop's public test collections, run against Hansa.

    python tools/mojaloop_score.py --collections FOLDER [--toolkit FOLDER] [--only PART] [--json FILE] [--failures]

FOLDER of --collections is a checkout of Mojaloop's repository of test cases; nothing of it is kept here. Starts a
PostgreSQL of its own in a temporary folder, Hansa's facade on it, simulated members, and Mojaloop's testing toolkit
without its pages (from npm, put into --toolkit, outside this repository). Runs the provisioning and the golden path
folder by folder, and prints how many assertions hold, by file; with --failures which do not, and why.
"""

import argparse
import json
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen
from uuid import uuid4

import uvicorn

sys.path.insert(0, str(Path(__file__).parent))

from _mojaloop_members import Members

from hansa.apps import fspiop
from hansa.apps.engines import ledger_engines
from hansa.apps.rooms import migrate_all
from hansa.store import EmbeddedServer, open_context

TOOLKIT = {
    "private": True,
    "dependencies": {"ml-testing-toolkit": "18.19.2", "node": "22"},
    "overrides": {"@mojaloop/ml-testing-toolkit-shared-lib": "14.3.0"},
}
"""What is installed. Its shared library is pinned to what the registry has; node runs the toolkit, which needs 22."""

PROVISIONING = "collections/hub/provisioning/for_golden_path"
GOLDEN = "collections/hub/golden_path"

LEFT_OUT = {
    "golden_path/fx": "exchange between members within a transfer is not offered",
    "golden_path/e2e_tests": "drives members' own software (scheme adapters) from outside the hub",
    "post_scenarios": "drives members' own software (their test interface) from outside the hub",
    "e2e-sim": "prepares e2e_tests",
    "ttkfx": "prepares fx",
    "bulk": "transfers in bulk are not offered",
}
"""What makes no sense here, by a part of the path, and why."""


@dataclass
class Score:
    """What came of a file. total: assertions that were made. skipped: where the collection's own script made none."""

    name: str
    passed: int = 0
    total: int = 0
    skipped: int = 0
    failures: list[str] = field(default_factory=list)


def main() -> None:
    options = arguments()
    signal.signal(
        signal.SIGTERM, signal.default_int_handler
    )  # so that what was started is stopped in any case
    node = install(options.toolkit)
    home = Path(tempfile.mkdtemp(prefix="hansa-mojaloop-"))
    home.chmod(0o755)
    scores: list[Score] = []
    try:
        with hansa(home) as hub_port:
            hub = f"http://127.0.0.1:{hub_port}"
            environment = json.loads((options.collections / "environments/hub.json").read_text())[
                "inputValues"
            ]
            keys = {
                name: environment[key]
                for name, key in (
                    ("payeefsp", "SIMPAYEE_JWS_PRIVATE_KEY"),
                    ("payerfsp", "SIMPAYER_JWS_PRIVATE_KEY"),
                )
                if key in environment
            }
            members = Members(hub, keys)
            environment |= inputs(hub, f"127.0.0.1:{members.port}")
            with toolkit(options.toolkit, node, options.collections, hub):
                before(hub, environment)
                for folder in folders(files(options.collections, options.only)):
                    for score in run(folder, options.collections, environment):
                        scores.append(score)
                        print(f"{score.passed:5} of {score.total:5}  {score.name}", flush=True)
                        if options.failures:
                            for line in score.failures:
                                print(f"               {line}")
            members.close()
    finally:
        shutil.rmtree(home, ignore_errors=True)
    told = {}
    for part, title in (("provisioning", "provisioning"), ("golden_path", "golden path")):
        some = [one for one in scores if f"hub/{part}" in one.name]
        passed, total = sum(one.passed for one in some), sum(one.total for one in some)
        told[title] = {"passed": passed, "total": total, "files": len(some)}
        skipped = sum(one.skipped for one in some)
        print(f"{title}: {passed} of {total} assertions hold, in {len(some)} files; {skipped} made no claim")
    print(json.dumps(told))
    if options.json:
        options.json.write_text(json.dumps([vars(one) for one in scores], indent=1))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--collections", type=Path, required=True, help="a checkout of Mojaloop's test cases")
    parser.add_argument(
        "--toolkit", type=Path, default=Path(tempfile.gettempdir()) / "hansa-mojaloop-toolkit"
    )
    parser.add_argument(
        "--only", default="", help="files whose path holds one of these, by commas, besides the provisioning"
    )
    parser.add_argument("--json", type=Path, help="where to write all of it")
    parser.add_argument("--failures", action="store_true", help="name each assertion that does not hold")
    return parser.parse_args()


def inputs(hub: str, members: str) -> dict[str, Any]:
    """What the collections ask for: where everybody lives, and which versions are which."""
    told: dict[str, Any] = {
        "HOST_CENTRAL_LEDGER": f"{hub}/admin",
        "HOST_CENTRAL_SETTLEMENT": f"{hub}/settlement/v2",
        "HOST_ACCOUNT_LOOKUP_ADMIN": f"{hub}/admin",
        "HOST_ACCOUNT_LOOKUP_SERVICE_ADMIN": f"{hub}/admin",
        "CALLBACK_ENDPOINT_BASE_URL": "http://127.0.0.1:4040",
        "ENABLE_JWS_VALIDATION": False,
        "SIMPLE_ROUTING_MODE_ENABLED": False,
        "API_TYPE": "fspiop",
        "currency": "USD",
        "currency2": "EUR",
        "currency3": "KES",
        "SIMPAYER_CURRENCY": "USD",
        "SIMPAYEE_CURRENCY": "USD",
        "TTKSIM1_CURRENCY": "USD",
        "DELAY_FUNDS_IN": 200,
        "DELAY_CL": 100,
        "DELAY_QUOTES": 100,
        "DELAY_CGS": 500,
        "email": "nobody@example.org",
        "FX_PAYEE_DFSP_ID": "testingtoolkitdfsp",
        "ADDITIONAL_TIMEOUT_EXPIRATION_MS": 4_000,
        "FX_MSISDN_1": "27713803955",
        "payerIdentifier": "17039811901",
        "payeefspIdentifier": "17039811902",
    }
    for name in (
        "ACCOUNT_LOOKUP_SERVICE",
        "ML_API_ADAPTER",
        "QUOTING_SERVICE",
        "QUOTING_SERVICE_HANDLER",
        "TRANSACTION_REQUESTS_SERVICE",
    ):
        told[f"HOST_{name}"] = hub
    for name in ("payerfsp", "payeefsp", "testfsp1", "testfsp2", "testfsp3", "testfsp4"):
        place = f"{members}/sim/{name}"
        told |= {
            f"{name.upper()}_BACKEND_TESTAPI_URL": f"http://{place}",
            f"{name.upper()}_CALLBACK_URL": f"http://{place}",
            f"{name.upper()}_SDK_TESTAPI_URL": f"http://{place}",
            f"{name.upper()}_SDK_TESTAPI_WS_URL": f"ws://{place}",
        }
    for name in ("Parties", "Participants", "Quotes", "Transfers"):
        resource = name[0].lower() + name[1:]
        kind = f"application/vnd.interoperability.{resource}+json;version="
        told |= {
            f"accept{name}": f"{kind}2.0",
            f"contentType{name}": f"{kind}2.0",
            f"accept{name}Old": f"{kind}2",
            f"contentType{name}Old": f"{kind}2.0",
            f"accept{name}NotSupported": f"{kind}3.0",
            f"contentType{name}NotSupported": f"{kind}3.0",
            f"expected{name}Version": "2.0",
        }
    for name in ("Authorizations", "TransactionRequests"):
        kind = f"application/vnd.interoperability.{name[0].lower() + name[1:]}+json;version="
        told |= {
            f"accept{name}": f"{kind}1.1",
            f"contentType{name}": f"{kind}1.1",
            f"accept{name}Old": f"{kind}1",
            f"contentType{name}Old": f"{kind}1.1",
            f"accept{name}NotSupported": f"{kind}3.0",
            f"contentType{name}NotSupported": f"{kind}3.0",
            f"expected{name}Version": "1.1",
        }
    told["contentTransfers"] = told["contentTypeTransfers"]
    return told


def before(hub: str, environment: dict[str, Any]) -> None:
    """What the collections take for granted: settlement models named after the currencies."""
    model = {
        "settlementGranularity": "NET",
        "settlementInterchange": "MULTILATERAL",
        "settlementDelay": "DEFERRED",
        "ledgerAccountType": "POSITION",
        "settlementAccountType": "SETTLEMENT",
    }
    for currency in (environment["currency"], environment["currency2"]):
        body = model | {"name": f"DEFERREDNET{currency}", "currency": currency}
        post(f"{hub}/admin/settlementModels", body, timeout=30)


def files(collections: Path, only: str) -> list[Path]:
    """Files in the order that their folders' lists name, provisioning first."""
    found = ordered(collections / PROVISIONING) + [
        file for file in ordered(collections / GOLDEN) if any(part in str(file) for part in only.split(","))
    ]
    return [file for file in found if not any(part in str(file) for part in LEFT_OUT)]


def ordered(folder: Path) -> list[Path]:
    """The files of a folder and those within, as its list orders them; what it does not list comes last."""
    entries = {path.name: path for path in sorted(folder.iterdir()) if path.name != "master.json"}
    order: list[str] = []
    if (folder / "master.json").exists():
        order = [one["name"] for one in json.loads((folder / "master.json").read_text())["order"]]
    names = [name for name in order if name in entries] + [name for name in entries if name not in order]
    found: list[Path] = []
    for name in names:
        path = entries[name]
        if path.is_dir():
            found += ordered(path)
        elif path.suffix == ".json":
            found.append(path)
    return found


def folders(found: list[Path]) -> list[list[Path]]:
    """Files by their folder, each folder's in order: they share what they note."""
    grouped: dict[Path, list[Path]] = {}
    for file in found:
        grouped.setdefault(file.parent, []).append(file)
    return list(grouped.values())


def run(folder: list[Path], collections: Path, environment: dict[str, Any]) -> list[Score]:
    """Have the toolkit run the files of a folder; what of each holds."""
    cases = [(file, case) for file in folder for case in json.loads(file.read_text())["test_cases"]]
    scores = {file: Score(str(file.relative_to(collections / "collections"))) for file in folder}
    name = str(folder[0].parent.relative_to(collections / "collections"))
    body = {"name": name, "inputValues": environment, "test_cases": [case for _, case in cases]}
    trace = uuid4().hex
    try:
        told = post(f"http://127.0.0.1:5050/api/outbound/template/{trace}?sync=true", body, timeout=1_800)
    except (OSError, ValueError) as error:
        told = {}
        scores[folder[0]].failures.append(f"the toolkit: {error}")
    done = (told or {}).get("test_cases", [])
    for n, (file, case) in enumerate(cases):
        results = done[n].get("requests", []) if n < len(done) else []
        count(scores[file], case, results)
    return list(scores.values())


def count(score: Score, case: dict[str, Any], results: list[dict[str, Any]]) -> None:
    """Count which assertions of a test case hold."""
    for place, request in enumerate(case["requests"]):
        if request.get("disabled"):
            continue
        result = results[place] if place < len(results) else {}
        held = ((result.get("request") or {}).get("tests") or {}).get("assertions", [])
        for number, wanted in enumerate((request.get("tests") or {}).get("assertions", [])):
            status = (held[number].get("resultStatus") or {}) if number < len(held) else {}
            if status.get("status") == "SKIPPED":
                score.skipped += 1
                continue
            score.total += 1
            if status.get("status") == "SUCCESS":
                score.passed += 1
                continue
            why = str(status.get("message", "it was not reached"))[:160]
            if (answer := result.get("response")) and answer.get("status", 200) >= 400:
                why += f" ({answer['status']} {json.dumps(answer.get('body'))[:200]})"
            what = wanted.get("description", "")
            score.failures.append(f"{case['name']} | {request.get('description')} | {what} | {why}")


@contextmanager
def hansa(home: Path) -> Generator[int]:
    """The facade on a database of its own; gives its port."""
    with EmbeddedServer(home / "db") as server:
        migrate_all(server.url)
        choices = fspiop.Choices(trusted_network=True, one_person=True, private_calls=True)
        with (
            open_context(server.url) as ctx,
            ledger_engines(ctx),
            fspiop.running(ctx, home / "keys", choices) as app,
        ):
            with socket.socket() as free:
                free.bind(("127.0.0.1", 0))
                port = free.getsockname()[1]
            config = uvicorn.Config(app, port=port, log_level="warning", access_log=False, lifespan="off")
            served = uvicorn.Server(config)
            thread = threading.Thread(target=served.run, daemon=True)
            thread.start()
            wait_for(port, 30)
            try:
                yield port
            finally:
                served.should_exit = True
                thread.join()


def install(folder: Path) -> Path:
    """The toolkit and its node, from npm; gives the node."""
    package = folder / "node_modules/ml-testing-toolkit"
    nodes = (folder / "node_modules/.bin/node", folder / "node22/node_modules/.bin/node")
    if not package.exists():
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "package.json").write_text(json.dumps(TOOLKIT))
        for ask in (["--ignore-scripts", "--force"], []):
            subprocess.run(["npm", "install", "--no-audit", "--no-fund", *ask], cwd=folder, check=True)
    return next(node for node in nodes if node.exists())


@contextmanager
def toolkit(folder: Path, node: Path, collections: Path, hub: str) -> Generator[None]:
    """The toolkit, with the collections' own rules for what its members answer, calling back to the hub."""
    package = folder / "node_modules/ml-testing-toolkit"
    for kind in ("callback", "response", "validation"):
        rules = collections / f"rules/hub/rules_{kind}/default.json"
        shutil.copy(rules, package / f"spec_files/rules_{kind}/default.json")
    config = package / "spec_files/user_config.json"
    told = json.loads(config.read_text())
    told |= {"CALLBACK_ENDPOINT": hub, "CALLBACK_TIMEOUT": 15_000, "JWS_SIGN": False, "CLIENT_TLS_CREDS": []}
    config.write_text(json.dumps(told))
    with (folder / "toolkit.log").open("w") as log:
        process = subprocess.Popen(
            [str(node), "src/index.js"], cwd=package, stdout=log, stderr=subprocess.STDOUT
        )
        try:
            for port in (5050, 4040):
                wait_for(port, 60)
            yield
        finally:
            process.terminate()
            process.wait()


def wait_for(port: int, seconds: float) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        with socket.socket() as door:
            if door.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise SystemExit(f"Nothing listens on port {port} after {seconds:.0f} s.")


def post(url: str, body: Any, *, timeout: float) -> Any:
    request = Request(url, json.dumps(body).encode(), {"content-type": "application/json"})  # noqa: S310
    try:
        with urlopen(request, timeout=timeout) as answer:  # noqa: S310
            return json.loads(answer.read() or b"null")
    except HTTPError as error:
        return json.loads(error.read() or b"null")
    except URLError as error:
        raise OSError(str(error)) from error


if __name__ == "__main__":
    main()
