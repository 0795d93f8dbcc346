"""The commands of ``hansa device`` and ``hansa gate enrol``: what they say and what they leave behind."""

import json
import stat
from collections.abc import Callable
from contextlib import nullcontext
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from typer.testing import CliRunner, Result

from devices.conftest import DEVICES, Broker, Town, add_devices, wait_for
from hansa import trust
from hansa.apps import device_commands
from hansa.apps.command import app
from hansa.apps.device_commands import setting_of
from hansa.apps.devices.broker import Access, BrokerFolder, acl_text, registrar_of
from hansa.gate.agent import enrol
from hansa.gate.agent.config import ConfigRefused, read_config
from hansa.gate.agent.enrol import EnrolFailed
from hansa.gate.agent.mqtt import MqttConfig, MqttConfigRefused
from hansa.kernel import HansaError, InvalidInput, SystemClock
from hansa.store import Context
from web import little_league
from web.little_league import WAY_IN

Command = Callable[..., Result]


@pytest.fixture
def hansa(ctx: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """The command line on this test's database and folder."""
    little_league.build(ctx, trust.KeyFolder(tmp_path / "keys"))
    monkeypatch.setattr(device_commands, "opened", lambda *_, **__: nullcontext(ctx))  # pyright: ignore[reportUnknownLambdaType]
    monkeypatch.setenv("HANSA_HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "200")

    def run(*words: str) -> Result:
        return CliRunner().invoke(app, list(words))

    return run


def test_a_box_is_added_listed_set_suspended_let_back_and_retired(hansa: Command, ctx: Context) -> None:
    code = hansa("device", "add", "xianghu-in", "--gate", WAY_IN, "--role", "taps").stdout.strip()
    assert len(code) == 35
    assert json.loads(hansa("device", "list", "xiang", "--json").stdout)["status"] == "invited"
    assert hansa("device", "list", "nowhere", "--json").stdout == ""
    assert "1 devices, 0 online" in hansa("device", "list").stdout

    told = hansa("device", "settings", "xianghu-in", "--set", "language=zh", "--set", "digits=true").stdout
    assert "Version 1" in told
    assert json.loads(told.splitlines()[-1]) == {"digits": True, "language": "zh"}
    told = hansa("device", "settings", "xianghu-in", "--unset", "digits").stdout
    assert json.loads(told.splitlines()[-1]) == {"language": "zh"}

    assert "is suspended." in hansa("device", "suspend", "xianghu-in", "--reason", "stolen").stdout
    assert "is suspended already." in hansa("device", "suspend", "xianghu-in").stdout
    assert len(hansa("device", "invite", "xianghu-in").stdout.strip()) == 35
    assert "is retired." in hansa("device", "retire", "xianghu-in").stdout
    with ctx.tx() as tx:
        changes = trust.device_changes(tx, "xianghu-in")
    assert [(one.status, one.reason) for one in changes] == [
        ("retired", ""),
        ("invited", ""),
        ("suspended", "stolen"),
    ]


def test_wrong_words_change_nothing(hansa: Command, ctx: Context) -> None:
    add_devices(ctx)
    for words in (
        ("device", "add", "x", "--gate", "nowhere"),
        ("device", "add", "x", "--gate", WAY_IN, "--kind", "spoon"),
        ("device", "add", "Big", "--gate", WAY_IN),
        ("device", "settings", "xianghu-in", "--set", "language"),
        ("device", "settings", "nobody"),
        ("device", "suspend", "nobody"),
        ("device", "broker", "--root", "beef"),
        ("device", "broker", "--host", "two words"),
    ):
        assert hansa(*words).exit_code != 0, words
    with ctx.tx() as tx:
        assert trust.count_devices(tx).devices == len(DEVICES)
        assert trust.device_settings(tx, "xianghu-in") == []


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True),
        ("false", False),
        ("7", 7),
        ("-7", -7),
        ("0", 0),
        ("007", "007"),
        ("1.5", "1.5"),
        ("", ""),
    ],
)
def test_a_setting_is_read_as_it_is_typed(text: str, value: bool | int | str) -> None:
    assert setting_of(text) == value
    assert type(setting_of(text)) is type(value)


def test_the_brokers_folder_is_its_owners_alone_and_again_is_harmless(
    hansa: Command, ctx: Context, tmp_path: Path
) -> None:
    assert hansa("device", "broker", "--host", "broker.example", "--name", "10.1.2.3").exit_code == 0
    folder = tmp_path / "broker"
    first = (folder / "ca.crt").read_text()
    assert hansa("device", "broker", "--host", "broker.example").exit_code == 0

    for path in folder.rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path
    assert (folder / "ca.crt").read_text() == first
    conf = (folder / "mosquitto.conf").read_text()
    for line in ("allow_anonymous false", "require_certificate true", "use_identity_as_username true"):
        assert line in conf.splitlines()
    registrar = registrar_of(tmp_path, ctx.clock.now())
    assert registrar is not None
    assert registrar.broker == trust.Broker("broker.example", 8883)
    keys = trust.KeyFolder(tmp_path / "keys")
    assert registrar.root_public == keys.league_root().public_key().public_bytes_raw()
    root = "ab" * 32
    assert hansa("device", "broker", "--root", root, "--member", "hangzhou-metro").exit_code == 0
    assert BrokerFolder(folder).members() == {"hangzhou-metro"}
    assert BrokerFolder(folder).root_public().hex() == root


def test_certificates_of_the_leagues_own_programs_are_renewed_in_time(tmp_path: Path) -> None:
    now = SystemClock().now()
    ca = trust.DeviceCa.in_folder(tmp_path / "keys", now)
    folder = BrokerFolder(tmp_path / "broker")
    folder.make(ca, root_public=bytes(32), host="broker.example", port=8883, names=["10.1.2.3"], at=now)
    folder.desk_files(ca, "main", now)
    nobody = Access((), (), ())

    def ends() -> list[str]:
        return [
            f"{trust.certificate_ends_at((folder.path / name).read_text()):%Y-%m-%d}"
            for name in ("server.crt", "hansa-desk-main.crt")
        ]

    first = ends()
    assert folder.write_access(ca, nobody, now) == frozenset()
    assert folder.write_access(ca, nobody, now + timedelta(hours=1)) is None
    assert folder.write_access(ca, nobody, now + timedelta(days=300)) == frozenset()
    folder.desk_files(ca, "main", now + timedelta(days=300))
    assert ends() == first
    folder.write_access(ca, nobody, now + timedelta(days=340))
    folder.desk_files(ca, "main", now + timedelta(days=340))
    assert ends() == [f"{now + timedelta(days=340 + 365):%Y-%m-%d}"] * 2
    text = (folder.path / "server.crt").read_bytes()
    names = x509.load_pem_x509_certificate(text).extensions.get_extension_for_class(
        x509.SubjectAlternativeName
    )
    assert names.value.get_values_for_type(x509.DNSName) == ["broker.example"]


def test_a_desk_gets_another_certificate_when_the_authority_is_another(tmp_path: Path) -> None:
    now = SystemClock().now()
    folder = BrokerFolder(tmp_path / "broker")
    first, second = (trust.DeviceCa.in_folder(tmp_path / name, now) for name in ("one", "two"))
    before = folder.desk_files(first, "main", now).certificate.read_text()
    assert folder.desk_files(first, "main", now).certificate.read_text() == before

    after = folder.desk_files(second, "main", now).certificate.read_text()

    assert second.gave(after)
    for name in ("../up", "", "Two Words", "#"):
        with pytest.raises(InvalidInput):
            folder.desk_files(first, name, now)


def test_a_brokers_list_has_the_boxes_of_its_operators_and_all_that_are_shut_out(
    ctx: Context, tmp_path: Path
) -> None:
    little_league.build(ctx, trust.KeyFolder(tmp_path))
    add_devices(ctx)
    now = ctx.clock.now()
    with ctx.tx() as tx:
        tx.execute("update trust.devices set status = 'active'")
        trust.set_device_status(tx, "dufferin", "suspended", now, made_by="test")

        everybodys = Access.read(tx, now)
        metros = Access.read(tx, now, frozenset({"hangzhou-metro"}))
        buses = Access.read(tx, now, frozenset({"toronto-ttc"}))

    both = (("binkanglu-out", "hangzhou/binkanglu"), ("xianghu-in", "hangzhou/xianghu"))
    assert (everybodys.stations, metros.stations, buses.stations) == (both, both, ())
    assert {one.shut_out for one in (everybodys, metros, buses)} == {("dufferin",)}


def test_the_access_list_says_who_may_speak_where() -> None:
    text = acl_text(Access((("xianghu-in", "hangzhou/xianghu"),), ("stolen",), ()), ["hansa-desk-main"])

    assert "user xianghu-in\ntopic readwrite hansa/station/hangzhou%2Fxianghu/seen\n" in text
    assert "user stolen\ntopic deny #\n" in text
    assert "user hansa-desk-main\ntopic read hansa/up/#\ntopic write hansa/down/#\n" in text


def test_a_box_enrols_by_command_and_its_certificate_is_renewed(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    town.desk()
    monkeypatch.setenv("COLUMNS", "200")
    folder = town.home / "box"
    root = town.keys.league_root().public_key().public_bytes_raw().hex()
    run = CliRunner().invoke
    words = ["gate", "enrol", town.url, town.invite("xianghu-in"), "--folder", str(folder)]
    wrong = run(app, [*words, "--root", "00" * 32])
    assert isinstance(wrong.exception, EnrolFailed)
    assert not folder.exists()

    words[3] = town.invite("xianghu-in")
    told = run(app, [*words, "--root", root])

    assert told.exit_code == 0, told.exception
    assert "xianghu-in speaks for gate" in told.stdout
    assert {path.name for path in folder.iterdir()} == {"gate.toml", "device.pem", "broker-ca.pem", "api-key"}
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in folder.iterdir())
    read = read_config(folder / "gate.toml")
    assert (read.device_id, read.identity.gate_id, read.identity.stop_id) == (
        "xianghu-in",
        WAY_IN,
        "hangzhou/xianghu",
    )
    before = (folder / "device.pem").read_text()
    again = run(app, words)
    assert isinstance(again.exception, EnrolFailed)
    assert "--again" in str(again.exception)
    assert "early" in run(app, ["gate", "renew", "--config", str(folder / "gate.toml")]).stdout
    assert (folder / "device.pem").read_text() == before
    assert "Good until" in run(app, ["gate", "renew", "--config", str(folder / "gate.toml"), "--now"]).stdout
    renewed = (folder / "device.pem").read_text()
    assert renewed != before
    with town.ctx.tx() as tx:
        given = trust.device_certificates(tx, "xianghu-in")
    assert sorted(one.revoked_at is None for one in given) == [False, True, True]


def test_a_renewed_certificate_is_used_from_the_next_connection_on(town: Town) -> None:
    town.desk()
    box = town.box("xianghu-in").up()
    before = (box.folder / "device.pem").read_text()

    enrol.renew(box.folder / "gate.toml", always=True)
    town.broker.stop()
    town.broker.start()

    assert (box.folder / "device.pem").read_text() != before
    wait_for(lambda: box.link.is_up, "connected again")
    assert box.link.hand_in(town.taps(box.gate_id, 1)).recorded == 1


def test_enrolment_with_what_is_no_league_leaves_nothing(broker: Broker, tmp_path: Path) -> None:
    for url in (f"http://127.0.0.1:{broker.port}", "http://127.0.0.1:1", "ftp://league", "league"):
        with pytest.raises(EnrolFailed):
            enrol.enrol(url, "0" * 35, tmp_path / "box")
    assert not (tmp_path / "box").exists()
    with pytest.raises(ConfigRefused):
        enrol.renew(tmp_path / "gate.toml")


def test_the_links_section_of_settings_is_checked(tmp_path: Path) -> None:
    good = {"host": "h", "port": 8883, "ca_file": "a", "certificate_file": "b", "key_file": "b"}
    assert MqttConfig.read(good, device_id="x", stop_id=None, folder=tmp_path).ca_file == tmp_path / "a"
    for change in ({"port": "8883"}, {"port": True}, {"host": None}, {"keepalive_s": 1}, {"more": 1}):
        with pytest.raises(MqttConfigRefused, match="mqtt"):
            MqttConfig.read({**good, **change}, device_id="x", stop_id=None, folder=tmp_path)


def test_a_folder_that_is_no_brokers_is_told(tmp_path: Path) -> None:
    assert registrar_of(tmp_path, SystemClock().now()) is None
    folder = BrokerFolder(tmp_path / "broker")
    with pytest.raises(trust.NoBroker):
        folder.address()
    folder.path.mkdir()
    for text in ("{", "[]", '{"host": "h"}'):
        (folder.path / "broker.json").write_text(text)
        with pytest.raises(trust.NoBroker):
            folder.address()
    assert not folder.reload()


def test_a_broker_without_mosquitto_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)  # pyright: ignore[reportUnknownLambdaType]

    with pytest.raises(HansaError, match="apt-get install mosquitto"):
        BrokerFolder(tmp_path).command()
