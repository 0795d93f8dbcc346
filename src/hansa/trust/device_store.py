"""The SQL of devices."""

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from psycopg.rows import class_row, dict_row
from psycopg.types.json import Jsonb

from hansa.store import Tx
from hansa.trust.device_model import (
    Certificate,
    Device,
    DeviceAlert,
    DeviceChange,
    DeviceCounts,
    DeviceRule,
    DeviceState,
    DeviceStatus,
    NewDevice,
    StateReport,
    Telemetry,
    TelemetrySlot,
    WantedSettings,
)

INSERT_DEVICES = """
insert into trust.devices (device_id, kind, member_id, gate_id, vehicle, roles, status, registered_at, changed_at)
select device_id, kind, member_id, gate_id, vehicle, string_to_array(roles, ' '), 'invited', %(at)s, %(at)s
from unnest(%(ids)s::text[], %(kinds)s::text[], %(members)s::text[], %(gates)s::text[], %(vehicles)s::text[],
            %(roles)s::text[]) as u (device_id, kind, member_id, gate_id, vehicle, roles)
on conflict (device_id) do nothing
"""

DEVICES = """
select device_id, kind, member_id, gate_id, vehicle, roles, status, registered_at, changed_at, public_key, firmware
from trust.devices where device_id = any(%s) order by device_id
"""

LOCK_DEVICE = "select status from trust.devices where device_id = %s for no key update"

INSERT_CODE = (
    "insert into trust.device_codes (code_hash, device_id, made_at, ends_at) values (%s, %s, %s, %s)"
)

USE_CODE = """
update trust.device_codes set used_at = %(at)s
where code_hash = %(code_hash)s and used_at is null and ends_at > %(at)s
returning device_id
"""

ENROLLED = """
update trust.devices set status = 'active', public_key = %s, api_key_hash = %s, changed_at = %s
where device_id = %s and status in ('invited', 'active')
returning device_id
"""

API_KEY_HASH = "select api_key_hash from trust.devices where device_id = %s"

SET_PUBLIC_KEY = "update trust.devices set public_key = %s, changed_at = %s where device_id = %s"

SET_STATUS = """
update trust.devices set status = %s, changed_at = %s where device_id = %s and status <> %s returning device_id
"""

INSERT_CERTIFICATE = """
insert into trust.device_certificates (serial, device_id, begins_at, ends_at) values (%s, %s, %s, %s)
"""

CERTIFICATE = """
select serial, device_id, begins_at, ends_at, revoked_at from trust.device_certificates where serial = %s
"""

CERTIFICATES = """
select serial, device_id, begins_at, ends_at, revoked_at from trust.device_certificates
where device_id = %s order by begins_at desc, serial limit %s
"""

REVOKE_CERTIFICATES = """
update trust.device_certificates set revoked_at = %s where device_id = %s and revoked_at is null
"""

REVOKED_CERTIFICATES = """
select serial, device_id, begins_at, ends_at, revoked_at from trust.device_certificates
where revoked_at is not null and ends_at > %s order by serial
"""

ACTIVE_GATES = """
select d.device_id, d.gate_id, g.stop_id, g.operator_id
from trust.devices d join trust.gates g using (gate_id) where d.status = 'active' order by d.device_id
"""

DISCONNECTED = """
update trust.device_states set connected = false, since = %s where device_id = %s and connected
"""

# The caller holds the device's row, so that numbers are in the order of their commits.
INSERT_CHANGE = """
insert into trust.device_changes (device_id, number, at, status, made_by, reason)
select %(device_id)s, coalesce(max(number), 0) + 1, %(at)s, %(status)s, %(made_by)s, %(reason)s
from trust.device_changes where device_id = %(device_id)s
"""

CHANGES = """
select at, status, made_by, reason from trust.device_changes where device_id = %s order by number desc limit %s
"""

SHUT_OUT = "select device_id from trust.devices where status in ('suspended', 'retired') order by device_id"

# Rows in the order of their ids, so that two desks that write at once wait for each other and do not deadlock.
UPSERT_STATES = """
insert into trust.device_states as s (device_id, connected, since, session, last_seen_at, firmware)
select u.device_id, u.online, %(at)s, u.session, case when u.online then %(at)s::timestamptz end, u.firmware
from unnest(%(ids)s::text[], %(online)s::boolean[], %(sessions)s::text[], %(firmwares)s::text[])
    as u (device_id, online, session, firmware)
join trust.devices d on d.device_id = u.device_id and d.status = 'active'
order by u.device_id
on conflict (device_id) do update set
    connected = excluded.connected,
    since = case when s.connected = excluded.connected and s.session = excluded.session then s.since
                 else excluded.since end,
    session = excluded.session,
    last_seen_at = coalesce(excluded.last_seen_at, s.last_seen_at),
    firmware = coalesce(excluded.firmware, s.firmware)
where excluded.connected or s.session = excluded.session
"""

UPSERT_TELEMETRY = """
with told as (
    select u.*, coalesce(s.accepted, 0) as accepted_before, coalesce(s.refused, 0) as refused_before
    from unnest(%(ids)s::text[], %(sessions)s::text[], %(offsets)s::bigint[], %(trust_lists)s::bigint[],
                %(deny_lists)s::bigint[], %(deny_list_ats)s::timestamptz[], %(settings)s::bigint[],
                %(sequences)s::bigint[], %(last_taps)s::timestamptz[], %(pendings)s::bigint[], %(uptimes)s::bigint[],
                %(firmwares)s::text[], %(accepted)s::bigint[], %(refused)s::bigint[], %(tallies)s::text[],
                %(storage)s::smallint[], %(batteries)s::smallint[], %(temperatures)s::smallint[])
        as u (device_id, session, clock_offset_ms, trust_list, deny_list, deny_list_at, settings, sequence,
              last_tap_at, pending, uptime_s, firmware, accepted, refused, tally, storage_free_pct, battery_pct,
              temperature_c)
    join trust.devices d on d.device_id = u.device_id and d.status = 'active'
    left join trust.device_states s on s.device_id = u.device_id
    order by u.device_id
), slots as (
    insert into trust.device_telemetry as t (device_id, slot, messages, accepted, refused, pending_max, clock_offset_ms)
    select device_id, date_bin('5 minutes', %(at)s::timestamptz, 'epoch'::timestamptz), 1,
           case when accepted >= accepted_before then accepted - accepted_before else accepted end,
           case when refused >= refused_before then refused - refused_before else refused end,
           pending, clock_offset_ms
    from told
    on conflict (device_id, slot) do update set
        messages = t.messages + 1,
        accepted = t.accepted + excluded.accepted,
        refused = t.refused + excluded.refused,
        pending_max = greatest(t.pending_max, excluded.pending_max),
        clock_offset_ms = excluded.clock_offset_ms
)
insert into trust.device_states as s (
    device_id, connected, since, session, last_seen_at, clock_offset_ms, trust_list, deny_list, deny_list_at, settings,
    sequence, last_tap_at, pending, uptime_s, firmware, accepted, refused, tally, storage_free_pct, battery_pct,
    temperature_c)
select device_id, true, %(at)s, session, %(at)s, clock_offset_ms, trust_list, deny_list, deny_list_at, settings,
       sequence, last_tap_at, pending, uptime_s, firmware, accepted, refused, tally::jsonb, storage_free_pct,
       battery_pct, temperature_c
from told
on conflict (device_id) do update set
    connected = case when s.session = excluded.session then s.connected else true end,
    since = case when s.session = excluded.session then s.since else excluded.since end,
    session = excluded.session,
    last_seen_at = excluded.last_seen_at,
    clock_offset_ms = excluded.clock_offset_ms, trust_list = excluded.trust_list, deny_list = excluded.deny_list,
    deny_list_at = excluded.deny_list_at, settings = excluded.settings, sequence = excluded.sequence,
    last_tap_at = excluded.last_tap_at, pending = excluded.pending, uptime_s = excluded.uptime_s,
    firmware = coalesce(excluded.firmware, s.firmware), accepted = excluded.accepted, refused = excluded.refused,
    tally = excluded.tally, storage_free_pct = excluded.storage_free_pct, battery_pct = excluded.battery_pct,
    temperature_c = excluded.temperature_c
"""

FORGET_TELEMETRY = "delete from trust.device_telemetry where slot < %s"

STATES = """
select d.device_id, d.kind, d.member_id, d.gate_id, d.vehicle, d.roles, d.status, d.registered_at, d.changed_at,
       d.public_key, d.firmware as noted_firmware, g.city_id, g.stop_id, g.line_id,
       coalesce(s.connected, false) as connected, s.since, s.last_seen_at, s.clock_offset_ms, s.trust_list,
       s.deny_list, s.deny_list_at, s.settings, w.version as settings_wanted, s.sequence, s.last_tap_at, s.pending,
       s.uptime_s, s.firmware, coalesce(s.accepted, 0) as accepted, coalesce(s.refused, 0) as refused,
       coalesce(s.tally, '{}'::jsonb) as tally, s.storage_free_pct, s.battery_pct, s.temperature_c,
       c.ends_at as certificate_ends_at, a.alerts
from trust.devices d
join trust.gates g using (gate_id)
left join trust.device_states s using (device_id)
left join lateral (select max(version) as version from trust.device_settings w where w.device_id = d.device_id) w
    on true
left join lateral (select max(ends_at) as ends_at from trust.device_certificates c
                   where c.device_id = d.device_id and c.revoked_at is null) c on true
cross join lateral (select count(*) as alerts from trust.device_alerts a
                    where a.device_id = d.device_id and a.closed_at is null) a
where d.device_id > %(after)s
  and (%(device_id)s::text is null or d.device_id = %(device_id)s)
  and (%(member_id)s::text is null or d.member_id = %(member_id)s)
  and (%(city_id)s::text is null or g.city_id = %(city_id)s)
  and (%(status)s::text is null or d.status = %(status)s)
  and (%(connected)s::boolean is null or coalesce(s.connected, false) = %(connected)s)
  and (not %(alerted)s or a.alerts > 0)
  and (%(text)s::text is null or position(lower(%(text)s) in lower(concat_ws(' ', d.device_id, d.gate_id, d.vehicle,
       d.member_id, g.stop_id, g.line_id, s.firmware))) > 0)
order by d.device_id
limit %(limit)s
"""

COUNTS = """
select count(*) as devices, count(*) filter (where d.status = 'active') as active,
       count(*) filter (where d.status = 'active' and s.connected) as connected,
       count(*) filter (where d.status = 'suspended') as suspended,
       (select count(*) from trust.device_alerts a join trust.devices o using (device_id)
        where a.closed_at is null and (%(member_id)s::text is null or o.member_id = %(member_id)s)) as alerts
from trust.devices d left join trust.device_states s using (device_id)
where %(member_id)s::text is null or d.member_id = %(member_id)s
"""

TELEMETRY = """
select slot, messages, accepted, refused, pending_max, clock_offset_ms
from trust.device_telemetry where device_id = %s and slot >= %s order by slot
"""

INSERT_SETTINGS = """
insert into trust.device_settings (device_id, version, values, made_at, made_by)
select %(device_id)s, coalesce(max(version), 0) + 1, %(values)s, %(at)s, %(made_by)s
from trust.device_settings where device_id = %(device_id)s
returning device_id, version, values, made_at, made_by
"""

SETTINGS = """
select device_id, version, values, made_at, made_by
from trust.device_settings where device_id = %s order by version desc limit %s
"""

SETTINGS_BEHIND = """
select distinct on (w.device_id) w.device_id, w.version, w.values, w.made_at, w.made_by
from trust.device_settings w
join trust.devices d on d.device_id = w.device_id and d.status = 'active'
left join trust.device_states s on s.device_id = w.device_id
where w.version > coalesce(s.settings, 0)
order by w.device_id, w.version desc
"""

# What is the matter now, by rule and device. chain: gates whose taps do not continue, found by whoever keeps taps.
# offline: also a device that says nothing though nobody told us that it is gone, as after a broker's power cut.
FINDINGS = """
with rules as (select rule, threshold from trust.device_rules where is_on),
live as (
    select d.device_id, d.gate_id, s.*,
           case when s.connected then coalesce(s.last_seen_at, s.since) else coalesce(s.since, d.changed_at) end
               as quiet_since
    from trust.devices d
    left join (select device_id as told_by, connected, since, last_seen_at, clock_offset_ms, deny_list_at, pending,
                      storage_free_pct from trust.device_states) s on s.told_by = d.device_id
    where d.status = 'active'
),
certificates as (
    select device_id, max(ends_at) as ends_at from trust.device_certificates where revoked_at is null group by 1
),
rates as (
    select device_id,
           sum(refused) filter (where slot > %(at)s::timestamptz - interval '15 minutes') as refused_now,
           sum(accepted + refused) filter (where slot > %(at)s::timestamptz - interval '15 minutes') as all_now,
           sum(refused) filter (where slot <= %(at)s::timestamptz - interval '15 minutes') as refused_before,
           sum(accepted + refused) filter (where slot <= %(at)s::timestamptz - interval '15 minutes') as all_before
    from trust.device_telemetry where slot > %(at)s::timestamptz - interval '24 hours' group by 1
)
select r.rule, l.device_id, jsonb_build_object('since', l.quiet_since) as facts
from rules r, live l
where r.rule = 'offline' and l.quiet_since < %(at)s::timestamptz - make_interval(secs => r.threshold)
union all
select r.rule, l.device_id, jsonb_build_object('clock_offset_ms', l.clock_offset_ms)
from rules r, live l where r.rule = 'clock' and abs(l.clock_offset_ms) > r.threshold
union all
select r.rule, l.device_id, jsonb_build_object('deny_list_at', l.deny_list_at)
from rules r, live l where r.rule = 'list_old' and l.connected
  and l.deny_list_at < %(at)s::timestamptz - make_interval(secs => r.threshold)
union all
select r.rule, l.device_id, jsonb_build_object('pending', l.pending)
from rules r, live l where r.rule = 'pending' and l.pending > r.threshold
union all
select r.rule, l.device_id, jsonb_build_object('ends_at', c.ends_at)
from rules r, live l join certificates c using (device_id)
where r.rule = 'certificate' and c.ends_at < %(at)s::timestamptz + make_interval(days => r.threshold::int)
union all
select r.rule, l.device_id, jsonb_build_object('refused', x.refused_now, 'of', x.all_now)
from rules r, live l join rates x using (device_id)
where r.rule = 'refusals' and x.all_now >= 20 and x.refused_now * 100 > x.all_now * r.threshold
  and (coalesce(x.all_before, 0) = 0 or x.refused_now * x.all_before > 3 * x.refused_before * x.all_now)
union all
select r.rule, l.device_id, jsonb_build_object('storage_free_pct', l.storage_free_pct)
from rules r, live l where r.rule = 'storage' and l.storage_free_pct < r.threshold
union all
select r.rule, l.device_id, jsonb_build_object('gate_id', l.gate_id)
from rules r, live l where r.rule = 'chain' and l.gate_id = any(%(broken)s::text[])
"""

ALERTS = """
select a.alert_id, a.rule, a.device_id, a.opened_at, a.closed_at, a.facts,
       replace(r.words, '%%s', r.threshold::text) as words
from trust.device_alerts a join trust.device_rules r using (rule) join trust.devices d using (device_id)
where (a.closed_at is null or %(closed)s) and (%(device_id)s::text is null or a.device_id = %(device_id)s)
  and (%(member_id)s::text is null or d.member_id = %(member_id)s)
order by a.opened_at desc, a.device_id, a.rule
limit %(limit)s
"""

OPEN_ALERT = """
insert into trust.device_alerts (alert_id, rule, device_id, opened_at, facts) values (%s, %s, %s, %s, %s)
on conflict (rule, device_id) where closed_at is null do nothing
returning alert_id
"""

CLOSE_ALERTS = "update trust.device_alerts set closed_at = %s where alert_id = any(%s) and closed_at is null"

SET_RULE = "update trust.device_rules set threshold = %s, is_on = %s where rule = %s returning rule"
RULES = "select rule, threshold, words, is_on from trust.device_rules order by rule"

_STATE_ONLY = (
    "city_id",
    "stop_id",
    "line_id",
    "connected",
    "since",
    "last_seen_at",
    "clock_offset_ms",
    "trust_list",
    "deny_list",
    "deny_list_at",
    "settings",
    "settings_wanted",
    "sequence",
    "last_tap_at",
    "pending",
    "uptime_s",
    "firmware",
    "accepted",
    "refused",
    "tally",
    "storage_free_pct",
    "battery_pct",
    "temperature_c",
    "certificate_ends_at",
    "alerts",
)


def insert_devices(tx: Tx, devices: Sequence[NewDevice], at: datetime) -> None:
    """Add those that are not there yet."""
    tx.execute(
        INSERT_DEVICES,
        {
            "ids": [one.device_id for one in devices],
            "kinds": [one.kind for one in devices],
            "members": [one.member_id for one in devices],
            "gates": [one.gate_id for one in devices],
            "vehicles": [one.vehicle for one in devices],
            "roles": [" ".join(one.roles) for one in devices],
            "at": at,
        },
    )


def find_devices(tx: Tx, ids: Iterable[str]) -> dict[str, Device]:
    """Those of these devices that are there."""
    rows = tx.cursor(row_factory=dict_row).execute(DEVICES, (sorted(set(ids)),)).fetchall()
    return {row["device_id"]: _device(row) for row in rows}


def lock_device(tx: Tx, device_id: str) -> DeviceStatus | None:
    """The device's status, which nobody else changes before this transaction ends; None when there is none."""
    row = tx.execute(LOCK_DEVICE, (device_id,)).fetchone()
    return None if row is None else row[0]


def insert_code(tx: Tx, code_hash: bytes, device_id: str, *, at: datetime, ends_at: datetime) -> None:
    """Keep the hash of an enrolment code."""
    tx.execute(INSERT_CODE, (code_hash, device_id, at, ends_at))


def use_code(tx: Tx, code_hash: bytes, at: datetime) -> str | None:
    """Which device this code enrols; it does so once."""
    row = tx.execute(USE_CODE, {"code_hash": code_hash, "at": at}).fetchone()
    return None if row is None else row[0]


def set_enrolled(tx: Tx, device_id: str, *, public_key: bytes, api_key_hash: bytes, at: datetime) -> bool:
    """Whether the device may enrol, and has."""
    return tx.execute(ENROLLED, (public_key, api_key_hash, at, device_id)).fetchone() is not None


def api_key_hash(tx: Tx, device_id: str) -> bytes | None:
    """The hash of the key with which the device speaks HTTP."""
    row = tx.execute(API_KEY_HASH, (device_id,)).fetchone()
    return None if row is None else row[0]


def set_public_key(tx: Tx, device_id: str, public_key: bytes, at: datetime) -> None:
    """The device has another key."""
    tx.execute(SET_PUBLIC_KEY, (public_key, at, device_id))


def set_status(tx: Tx, device_id: str, status: DeviceStatus, at: datetime) -> bool:
    """Whether it had another status before."""
    return tx.execute(SET_STATUS, (status, at, device_id, status)).fetchone() is not None


def insert_change(tx: Tx, device_id: str, change: DeviceChange) -> None:
    """Keep who changed its status, and why."""
    asked = {
        "device_id": device_id,
        "at": change.at,
        "status": change.status,
        "made_by": change.made_by,
        "reason": change.reason,
    }
    tx.execute(INSERT_CHANGE, asked)


def changes(tx: Tx, device_id: str, limit: int) -> list[DeviceChange]:
    """A device's changes of status, newest first."""
    return tx.cursor(row_factory=class_row(DeviceChange)).execute(CHANGES, (device_id, limit)).fetchall()


def insert_certificate(tx: Tx, one: Certificate) -> None:
    """Keep what was given out."""
    tx.execute(INSERT_CERTIFICATE, (one.serial, one.device_id, one.begins_at, one.ends_at))


def find_certificate(tx: Tx, serial: bytes) -> Certificate | None:
    """The certificate of this serial number, or None."""
    return tx.cursor(row_factory=class_row(Certificate)).execute(CERTIFICATE, (serial,)).fetchone()


def certificates(tx: Tx, device_id: str, limit: int) -> list[Certificate]:
    """Those given out to a device, newest first."""
    return tx.cursor(row_factory=class_row(Certificate)).execute(CERTIFICATES, (device_id, limit)).fetchall()


def revoke_certificates(tx: Tx, device_id: str, at: datetime) -> None:
    """Take back all of a device's."""
    tx.execute(REVOKE_CERTIFICATES, (at, device_id))


def revoked_certificates(tx: Tx, at: datetime) -> list[Certificate]:
    """Those taken back that would still be good."""
    return tx.cursor(row_factory=class_row(Certificate)).execute(REVOKED_CERTIFICATES, (at,)).fetchall()


def active_gates(tx: Tx) -> list[tuple[str, str, str | None, str]]:
    """Active devices with their gate, its stop and its operator."""
    return tx.execute(ACTIVE_GATES).fetchall()


def shut_out(tx: Tx) -> list[str]:
    """Devices that may not speak."""
    return [row[0] for row in tx.execute(SHUT_OUT).fetchall()]


def set_disconnected(tx: Tx, device_id: str, at: datetime) -> None:
    """The device is no longer there, whatever it says."""
    tx.execute(DISCONNECTED, (at, device_id))


def upsert_states(tx: Tx, reports: Sequence[StateReport], at: datetime) -> None:
    """Take what active devices, each at most once, say of being there."""
    tx.execute(
        UPSERT_STATES,
        {
            "ids": [one.device_id for one in reports],
            "online": [one.online for one in reports],
            "sessions": [one.session for one in reports],
            "firmwares": [one.firmware for one in reports],
            "at": at,
        },
    )


def upsert_telemetry(tx: Tx, told: Sequence[Telemetry], at: datetime) -> None:
    """Take what active devices, each at most once, say of themselves."""
    tx.execute(
        UPSERT_TELEMETRY,
        {
            "ids": [one.device_id for one in told],
            "sessions": [one.session for one in told],
            "offsets": [one.clock_offset_ms for one in told],
            "trust_lists": [one.trust_list for one in told],
            "deny_lists": [one.deny_list for one in told],
            "deny_list_ats": [one.deny_list_at for one in told],
            "settings": [one.settings for one in told],
            "sequences": [one.sequence for one in told],
            "last_taps": [one.last_tap_at for one in told],
            "pendings": [one.pending for one in told],
            "uptimes": [one.uptime_s for one in told],
            "firmwares": [one.firmware for one in told],
            "accepted": [one.accepted for one in told],
            "refused": [one.refused for one in told],
            "tallies": [_json(dict(one.tally)) for one in told],
            "storage": [one.storage_free_pct for one in told],
            "batteries": [one.battery_pct for one in told],
            "temperatures": [one.temperature_c for one in told],
            "at": at,
        },
    )


def forget_telemetry(tx: Tx, before: datetime) -> int:
    """Let go of what is old; gives how many rows."""
    return tx.execute(FORGET_TELEMETRY, (before,)).rowcount


def states(
    tx: Tx,
    *,
    device_id: str | None = None,
    member_id: str | None = None,
    city_id: str | None = None,
    status: str | None = None,
    connected: bool | None = None,
    alerted: bool = False,
    text: str | None = None,
    after: str = "",
    limit: int = 100,
) -> list[DeviceState]:
    """Devices by id with what they said last."""
    asked = {
        "text": text,
        "device_id": device_id,
        "member_id": member_id,
        "city_id": city_id,
        "status": status,
        "connected": connected,
        "alerted": alerted,
        "after": after,
        "limit": limit,
    }
    rows = tx.cursor(row_factory=dict_row).execute(STATES, asked).fetchall()
    return [_state(row) for row in rows]


def counts(tx: Tx, member_id: str | None = None) -> DeviceCounts:
    """How many there are, all or a member's."""
    row = tx.cursor(row_factory=class_row(DeviceCounts)).execute(COUNTS, {"member_id": member_id}).fetchone()
    assert row is not None, "an aggregate has one row"
    return row


def telemetry(tx: Tx, device_id: str, since: datetime) -> list[TelemetrySlot]:
    """A device's five minutes since then, oldest first."""
    return tx.cursor(row_factory=class_row(TelemetrySlot)).execute(TELEMETRY, (device_id, since)).fetchall()


def insert_settings(
    tx: Tx, device_id: str, values: dict[str, Any], *, at: datetime, made_by: str
) -> WantedSettings:
    """The next version. The caller holds the device's row, so versions are in the order of their commits."""
    asked = {"device_id": device_id, "values": Jsonb(values), "at": at, "made_by": made_by}
    row = tx.cursor(row_factory=class_row(WantedSettings)).execute(INSERT_SETTINGS, asked).fetchone()
    assert row is not None, "the insert gives its row"
    return row


def settings(tx: Tx, device_id: str, limit: int) -> list[WantedSettings]:
    """A device's settings, newest first."""
    return tx.cursor(row_factory=class_row(WantedSettings)).execute(SETTINGS, (device_id, limit)).fetchall()


def settings_behind(tx: Tx) -> list[WantedSettings]:
    """The newest settings of active devices that do not say they follow them."""
    return tx.cursor(row_factory=class_row(WantedSettings)).execute(SETTINGS_BEHIND).fetchall()


def findings(tx: Tx, at: datetime, broken: Sequence[str]) -> dict[tuple[str, str], dict[str, Any]]:
    """What is the matter now: facts by rule and device."""
    rows = tx.execute(FINDINGS, {"at": at, "broken": list(broken)}).fetchall()
    return {(rule, device_id): facts for rule, device_id, facts in rows}


def open_alerts(
    tx: Tx,
    *,
    device_id: str | None = None,
    member_id: str | None = None,
    closed: bool = False,
    limit: int = 100_000,
) -> list[DeviceAlert]:
    """Alerts that are not over, or all, newest first."""
    asked = {"device_id": device_id, "member_id": member_id, "closed": closed, "limit": limit}
    return tx.cursor(row_factory=class_row(DeviceAlert)).execute(ALERTS, asked).fetchall()


def open_alert(tx: Tx, alert: DeviceAlert) -> bool:
    """Whether it was not open already."""
    values = (alert.alert_id, alert.rule, alert.device_id, alert.opened_at, Jsonb(alert.facts))
    return tx.execute(OPEN_ALERT, values).fetchone() is not None


def close_alerts(tx: Tx, alert_ids: Sequence[Any], at: datetime) -> None:
    """These are over."""
    tx.execute(CLOSE_ALERTS, (at, list(alert_ids)))


def rules(tx: Tx) -> list[DeviceRule]:
    """All rules, by name."""
    return tx.cursor(row_factory=class_row(DeviceRule)).execute(RULES).fetchall()


def set_rule(tx: Tx, rule: str, *, threshold: int, is_on: bool) -> bool:
    """Whether there is such a rule."""
    return tx.execute(SET_RULE, (threshold, is_on, rule)).fetchone() is not None


def _state(row: dict[str, Any]) -> DeviceState:
    device = _device({**row, "firmware": row["noted_firmware"]})
    return DeviceState(device=device, **{name: row[name] for name in _STATE_ONLY})


def _device(row: dict[str, Any]) -> Device:
    return Device(
        device_id=row["device_id"],
        kind=row["kind"],
        member_id=row["member_id"],
        gate_id=row["gate_id"],
        vehicle=row["vehicle"],
        roles=tuple(row["roles"]),
        status=row["status"],
        registered_at=row["registered_at"],
        changed_at=row["changed_at"],
        public_key=row["public_key"],
        firmware=row["firmware"],
    )


def _json(value: dict[str, int]) -> str:
    return json.dumps(value)
