"""A gate whose taps do not hold together gives its device an alert for a day."""

from dataclasses import replace
from datetime import timedelta

import pytest

from devices.conftest import DEVICES, add_devices
from hansa import rides, trust
from hansa.apps.devices import chains
from hansa.apps.devices.chains import BrokenGates
from hansa.kernel import FixedClock, fact_id
from hansa.store import Context
from web import little_league
from web.little_league import WAY_IN, LittleLeague, Phone


@pytest.fixture
def league(committed_ctx: Context, tmp_path_factory: pytest.TempPathFactory) -> LittleLeague:
    league = little_league.build(committed_ctx, trust.KeyFolder(tmp_path_factory.mktemp("keys")))
    add_devices(committed_ctx)
    return league


def test_a_broken_chain_gives_its_device_an_alert_that_ends_after_a_day(
    committed_ctx: Context, league: LittleLeague, monkeypatch: pytest.MonkeyPatch
) -> None:
    ctx, now = committed_ctx, committed_ctx.clock.now()
    monkeypatch.setattr(chains, "AT_ONCE", 1)
    phone = Phone(ctx, league, "Gao Lan")
    with ctx.tx() as tx:
        tx.execute("update trust.devices set status = 'active'")
        gate = trust.get_gate(tx, WAY_IN)
    taps = [
        rides.Tap(
            tap_id=fact_id(now - timedelta(minutes=10 - number), WAY_IN, number),
            gate_id=WAY_IN,
            sequence=number,
            action="entry",
            stop_id=gate.stop_id,
            tapped_at=now - timedelta(minutes=10 - number),
            cti=phone.cti,
            counter=number,
            kid=bytes(4),
            made_at=now - timedelta(minutes=10 - number),
            list_version=0,
            chain=bytes(32),
        )
        for number in (1, 2, 3)
    ]
    broken = BrokenGates()
    with ctx.tx() as tx:
        assert broken.at(tx, now) == []
    assert rides.record_taps(ctx, None, taps).recorded == 3
    assert rides.check_chains(ctx).broken > 0
    later = replace(ctx, clock=FixedClock(now + timedelta(hours=1)))

    with later.tx() as tx:
        gates = broken.at(tx, now)
        opened, _ = trust.check_devices(tx, now, broken_gates=gates)
        told = [(one.rule, DEVICES[one.device_id]) for one in opened if one.rule == "chain"]
        ended = broken.at(tx, now + chains.TOLD_FOR)
        _, closed = trust.check_devices(tx, now + chains.TOLD_FOR, broken_gates=ended)

    assert gates == [WAY_IN]
    assert told == [("chain", WAY_IN)]
    assert ended == []
    assert "chain" in {one.rule for one in closed}
