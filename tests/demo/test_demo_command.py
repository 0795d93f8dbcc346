"""`hansa demo` and the commands that look at what it leaves, as a person runs them."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from hansa import atlas, clearing, identity, ledger, rides, trust
from hansa.apps.demo.run import AnotherDemoStands, DemoRun
from hansa.apps.demo.spec import Spec
from hansa.apps.open import opened
from hansa.apps.web.demo_rates import keep_rates
from hansa.apps.worker import work_once
from hansa.kernel import FixedClock, fact_id

pytestmark = [pytest.mark.slow, pytest.mark.limit(1_500)]

DAY = "2026-11-17"


def hansa(home: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", "from hansa.apps.command import main; main()", *words],
        capture_output=True,
        text=True,
        timeout=1_200,
        check=False,
        env=os.environ | {"HANSA_HOME": str(home), "NO_COLOR": "1"},
    )


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="hansa-demo-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        yield Path(folder) / "home"


@pytest.fixture(scope="module")
def told(home: Path) -> str:
    done = hansa(home, "demo", "--once", "--riders", "150", "--json")
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def test_the_closing_page_tells_the_day(told: str) -> None:
    unwrapped = " ".join(told.split())
    for words in (
        "Fares by city",
        "refused",
        "What cities owe each other before netting",
        "Net positions after fees",
        "How long it took",
        "HANSA-20261117-CNY.xml",
        "cosigned by 1 witness, 3 receipts verified",
        "twice-20261117-1",
        "twice-20261117-2",
        "agreed on fees of their own, by two persons",
        "Hangzhou paid Beijing ¥6,600.00 through the house: committed; another ¥8,000.00 was over its limit: aborted",
        "alarms that stand: hard, warning",
        "audit pack proves itself",
        "in 10 steps: each is explained",
        "People paid shops",
        "transit is zero in every currency",
        "3 unused ones are worth",
        "nothing: all of it is settled",
        "each proved again from its stored bytes",
        "Their PIN is 482915",
        "Where to look",
    ):
        assert words in unwrapped
    assert "✗" not in told
    assert told.count("✓") >= 5 + 15


def test_its_figures_hang_together(told: str) -> None:
    cents: dict[str, int] = json.loads(told.splitlines()[-1])

    for currency in ("CNY", "HKD", "GBP", "JPY", "CAD"):
        nets = [minor for name, minor in cents.items() if name.startswith("net ") and name.endswith(currency)]
        assert len(nets) > 2
        assert sum(nets) == 0
        gross = sum(
            minor
            for name, minor in cents.items()
            if name.startswith("position ") and name.endswith(f"{currency} gross")
        )
        fares = sum(
            minor for name, minor in cents.items() if name.startswith("fares ") and name.endswith(currency)
        )
        assert fares == gross + cents.get(f"next day {currency}", 0) > 0


def test_people_did_what_the_day_tells(told: str) -> None:
    cents: dict[str, int] = json.loads(told.splitlines()[-1])

    did = {
        name.removeprefix("people "): number for name, number in cents.items() if name.startswith("people ")
    }
    assert did["payments failed"] == 2  # one had frozen all, one had lowered a limit
    assert did["payments voided"] == did["withdrawals settled"] == 1
    assert did["top-ups failed"] == 1
    assert did["prepaid CNY"] == 3 * 50_00
    assert did["sent settled"] >= 8
    assert did["payments settled"] > 5
    assert did["approvals passkey"] == 2
    assert did["approvals pin"] > 10
    for currency in ("CNY", "HKD", "GBP", "CAD"):
        assert did[f"paid {currency}"] > did[f"back {currency}"] > 0


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("ledger", "verify"), "0 findings"),
        (("ledger", "trial-balance"), "wallet"),
        (("clearing", "show", DAY), "beijing"),
        (("clearing", "close", DAY), "is settled"),
        (("audit", "check"), "Whole: "),
        (("privacy", "keys"), "accounts"),
        (("key", "create", "london-tfl", "--scope", "taps:write", "--reason", "gates"), "hansa_"),
    ],
)
def test_the_commands_read_what_it_left(home: Path, told: str, words: tuple[str, ...], expected: str) -> None:
    done = hansa(home, *words)

    assert done.returncode == 0, done.stderr
    assert expected in done.stdout


def test_what_members_and_auditors_are_handed_lies_in_its_folder(home: Path, told: str) -> None:
    reports = home / "reports"
    names = {one.name for one in (reports / "statements-daily-20261117").iterdir()}
    for city in ("beijing", "hong-kong", "league"):
        for ending in ("en.pdf", "zh.pdf", "csv", "parquet"):
            assert f"{city}.statement.{ending}" in names
    assert {one.name for one in reports.iterdir()} == {
        "audit-daily-20261117.zip",
        "statements-daily-20261117",
        "statements-twice-20261117-1",
        "statements-twice-20261117-2",
    }

    verified = hansa(home, "audit", "verify", str(reports / "audit-daily-20261117.zip"))

    assert verified.returncode == 0, verified.stdout
    assert "NO " not in verified.stdout


def test_a_bank_statement_read_again_changes_nothing(home: Path, told: str) -> None:
    before = hansa(home, "ledger", "trial-balance").stdout

    again = hansa(home, "settlement", "statement", str(home / "files" / "camt.053-HANSA-20261117-CNY.xml"))

    assert again.returncode == 0, again.stderr
    assert "0 breaks" in again.stdout
    assert hansa(home, "ledger", "trial-balance").stdout == before


def test_bank_files_written_elsewhere_are_the_same_bytes(home: Path, told: str, tmp_path: Path) -> None:
    done = hansa(home, "settlement", "files", DAY, "--out", str(tmp_path))

    assert done.returncode == 0, done.stderr
    name = "HANSA-20261117-GBP.xml"
    assert (tmp_path / name).read_bytes() == (home / "files" / name).read_bytes()


def test_another_demonstration_does_not_mix_into_this_one(home: Path, told: str) -> None:
    before = hansa(home, "ledger", "trial-balance").stdout

    refused = hansa(home, "demo", "--once", "--riders", "150", "--seed", "2")

    assert refused.returncode == 1
    assert "--fresh" in refused.stderr
    assert hansa(home, "ledger", "trial-balance").stdout == before


def test_a_business_day_that_is_not_over_is_not_closed(home: Path, told: str) -> None:
    refused = hansa(home, "clearing", "close", "2099-01-01")

    assert refused.returncode == 1
    assert "clearing.day_not_over" in refused.stderr


def test_a_database_holds_one_demonstration(home: Path, told: str, tmp_path: Path) -> None:
    with opened(home) as ctx:
        other = DemoRun(ctx, FixedClock(ctx.clock.now()), Spec(riders=150), tmp_path / "other")

        with pytest.raises(AnotherDemoStands, match="another folder"):
            other.run()

        with ctx.tx() as tx:
            assert ledger.trial_balance(tx).is_even


def test_rides_after_the_day_leave_its_proof_standing(home: Path, told: str) -> None:
    """Someone rides at a gate screen, the demonstration is started again: every check still holds."""
    clock = FixedClock(datetime(2026, 11, 20, 9, tzinfo=UTC))
    with opened(home, clock=clock) as ctx:
        with ctx.tx() as tx:
            gates = {gate.gate_id: gate for gate in trust.list_gates(tx, "hangzhou-metro")}
            rider = identity.list_accounts(tx, limit=1)[0]
            rides.register_tokens(
                tx,
                [
                    rides.Token(
                        cti=b"later on",
                        account_id=rider.account_id,
                        issuer_id=rider.issuer_id,
                        wallet_currency=atlas.get_city(tx, rider.home_city_id).currency,
                        rider_class="adult",
                        expires_at=clock.at + timedelta(hours=8),
                    )
                ],
            )
        keep_rates(ctx, clock.at.date())
        entry = next(gate for gate in gates.values() if gate.action == "entry")
        way_out = next(
            gate for gate in gates.values() if gate.action == "exit" and gate.stop_id != entry.stop_id
        )
        taps = [
            rides.Tap(
                tap_id=fact_id(at, gate.gate_id, 900_001),
                gate_id=gate.gate_id,
                sequence=900_001,
                action=gate.action,
                stop_id=gate.stop_id,
                tapped_at=at,
                cti=b"later on",
                counter=number,
                kid=bytes(4),
                made_at=at,
                list_version=1,
                chain=bytes(32),
            )
            for number, (gate, at) in enumerate(
                ((entry, clock.at - timedelta(minutes=40)), (way_out, clock.at - timedelta(minutes=10))),
                start=1,
            )
        ]
        assert rides.record_taps(ctx, None, taps).recorded == 2
        while work_once(ctx):
            pass
        clock.at += timedelta(days=1, hours=2)
        clearing.close_day(ctx, clock.at.date() - timedelta(days=1))

    again = hansa(home, "demo", "--once", "--riders", "150", "--json")

    assert again.returncode == 0, again.stdout[-2000:]
    assert json.loads(again.stdout.splitlines()[-1]) == json.loads(told.splitlines()[-1])
