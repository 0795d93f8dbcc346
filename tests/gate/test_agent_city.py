"""The agent with a real Hansa: taps arrive once and in their chain, over a bad network and after a day without any."""

import gc
import io
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import cast

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key

from gate.agents import Time, assert_chained
from gate.city import BadNetwork, City, city, register
from hansa import trust
from hansa.codes import Scope, make_code, make_token
from hansa.gate.agent.actuators import LineActuator
from hansa.gate.agent.agent import Agent
from hansa.gate.agent.clock import GateClock
from hansa.gate.agent.config import Config, config_of
from hansa.gate.agent.link import HttpLink
from hansa.kernel import FixedClock, SystemClock
from hansa.store import Context
from web.little_league import WAY_IN, Phone


@pytest.fixture
def here(committed_ctx: Context, tmp_path: Path) -> Iterator[City]:
    """A city that goes by the machine's clock."""
    with city(replace(committed_ctx, clock=SystemClock()), tmp_path / "home") as here:
        yield here


def gate_config(here: City, folder: Path, *, url: str = "") -> Config:
    return config_of(
        {
            "gate": {
                "device_id": "xianghu-in-1",
                "gate_id": WAY_IN,
                "operator_id": "hangzhou-metro",
                "stop_id": "hangzhou/xianghu",
                "action": "entry",
                "product": "metro",
                "state": "state",
            },
            "league": {"url": url or here.url, "api_key_env": "KEY", "roots": [here.root]},
        },
        folder=folder,
        environ={"KEY": here.api_key},
    )


def agent_at(
    config: Config, *, clock: GateClock | None = None, steady: Callable[[], float] | None = None
) -> Agent:
    http = HttpLink(config.league_url, config.api_key, timeout_s=20)
    more = {} if steady is None else {"steady": steady}
    return Agent(config, LineActuator(io.StringIO()), http, links=[http], clock=clock, **more)


def memory_mb() -> float:
    gc.collect()
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * 4096 / 1e6


def test_a_tap_goes_from_the_phone_to_the_books(here: City, tmp_path: Path) -> None:
    phone = Phone(here.ctx, here.league, "Gao Lan")
    with closing(agent_at(gate_config(here, tmp_path))) as agent:
        agent.exchange()
        assert agent.health().state == "ok", agent.health().json()

        notice = agent.show(phone.show())
        assert notice is not None and notice.opens
        agent._tasks["taps"].due_s = 0
        agent.exchange()

        assert_chained(here.taps())
        with here.ctx.tx() as tx:
            trust.revoke_token(tx, phone.cti, here.ctx.clock.now())
        agent._tasks["deny list"].due_s = 0
        agent.exchange()
        refused = agent.show(phone.show())
        assert refused is not None and refused.reason == "revoked"
        agent._tasks["refusals"].due_s = 0
        agent.exchange()
        assert agent.refusals.waiting == 0
    with here.ctx.tx() as tx:
        told = tx.execute("select reason from rides.refused_codes").fetchall()
    assert told == [("revoked",)]
    assert len(here.taps()) == 1


@pytest.mark.slow
def test_a_network_that_flaps_loses_and_doubles_nothing(
    here: City, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taps_wanted = int(os.environ.get("HANSA_SOAK_TAPS", "1000"))
    monkeypatch.setattr("hansa.gate.agent.agent.PAUSE_MAX_S", 0.1)
    monkeypatch.setattr("hansa.gate.agent.agent.HAND_IN_S", 0.02)
    monkeypatch.setattr("hansa.gate.agent.handing.BATCH_MAX", 20)
    phones = [Phone(here.ctx, here.league, name) for name in ("Gao Lan", "Qian Qing")]
    with BadNetwork(here.port, seed=4) as network:
        network.calm = True
        config = gate_config(here, tmp_path, url=f"http://127.0.0.1:{network.port}")
        agent = agent_at(config)
        agent.exchange()
        network.calm = False
        agent.start()
        opened = 0
        memory: list[float] = []
        for number in range(taps_wanted):
            notice = agent.show(phones[number % 2].show())
            opened += notice is not None and notice.opens
            threading.Event().wait(0.01)
            if number in (taps_wanted // 4, taps_wanted - 1):
                memory.append(memory_mb())
            if number == taps_wanted // 2:  # and a restart in the middle of it
                agent.close()
                agent = agent_at(config)
                agent.start()
        network.calm = True
        for _ in range(600):
            if not agent.health().pending:
                break
            threading.Event().wait(0.1)
        agent.close()
        fates = dict(network.done)

    kept = here.taps()
    print(f"\n{opened} opened, {len(kept)} kept, connections {fates}, memory {memory} MB")
    assert opened == taps_wanted
    assert len(kept) == opened
    assert_chained(kept)
    assert here.breaks() == 0
    assert min(fates.values()) > 0
    assert memory[-1] - memory[0] < 20


@pytest.mark.slow
def test_a_day_without_network_is_caught_up(committed_ctx: Context, tmp_path: Path) -> None:
    """Five thousand riders in 24 hours, three codes each hour of some; then all of it is handed in."""
    time = Time(committed_ctx.clock.now())
    league_clock = cast(FixedClock, committed_ctx.clock)
    with city(committed_ctx, tmp_path / "home") as here:
        key = here.league.keys.issuer("hangzhou-card")
        with committed_ctx.tx() as tx:
            listed = next(
                one for one in trust.current_trust_list(tx).keys if one.issuer_id == "hangzhou-card"
            )
        clock = GateClock(not_before=time.at, steady=time.steady, wall=time.wall)
        agent = agent_at(gate_config(here, tmp_path), clock=clock, steady=time.steady)
        agent.exchange()
        assert agent.health().state == "ok", agent.health().json()
        league = agent._league
        agent._league = HttpLink("http://127.0.0.1:9", None, timeout_s=1)
        assert agent.hand_in is not None
        agent.hand_in._links.clear()

        device = generate_private_key(SECP256R1())
        opened, hours, riders = 0, 24, 250
        memory: list[float] = []
        for hour in range(hours):
            ends_at = time.at + timedelta(hours=1, minutes=30)
            ctis = [bytes((hour,)) + os.urandom(7) for _ in range(riders)]
            register(committed_ctx, here.league, "Gao Lan", ctis, hours=hour + 2)
            for cti in ctis:
                token = make_token(
                    key,
                    kid=listed.kid,
                    cti=cti,
                    expires_at=ends_at,
                    device_key=device.public_key(),
                    scope=Scope("adult", ("metro",), (), 255),
                )
                notice = agent.show(make_code(device, token, made_at=time.at, counter=1))
                opened += notice is not None and notice.opens
                time.pass_by(seconds=3600 / riders)
            agent.exchange()
            memory.append(memory_mb())
        assert agent.gate is not None
        remembered = len(agent.gate._memory.counters)
        assert (opened, agent.health().pending) == (hours * riders, hours * riders)
        assert {"offline", "hand_in_failed"} <= set(agent.health().alerts)
        assert remembered < 1_500 + riders * 2  # ended tokens are forgotten each 1,024 taps
        print(
            f"\n{opened} taps, {remembered} counters remembered, memory {memory[2]:.1f} to {memory[-1]:.1f} MB"
        )
        assert memory[-1] - memory[2] < 20

        agent.close()
        league_clock.at = time.at
        agent = agent_at(gate_config(here, tmp_path), clock=clock, steady=time.steady)
        agent.exchange()

        assert agent.health().pending == 0, agent.health().json()
        assert agent.health().aside == {}
        agent.close()
        league.close()
        kept = here.taps()
        assert len(kept) == opened
        assert_chained(kept)
        assert here.breaks() == 0
