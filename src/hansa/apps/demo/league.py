"""Build the demonstration league through the rooms' own doors: members, keys, cities, tariffs, gates, positions.

Every step is idempotent: building a league that stands changes nothing.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from fractions import Fraction
from typing import ClassVar

from hansa import atlas, clearing, gate, identity, payments, rides, trust
from hansa.apps.demo.people import Rider, make_riders
from hansa.apps.demo.spec import CityRole, LeagueFacts, Spec, league_facts
from hansa.kernel import CURRENCY_EXPONENTS, HansaError, Money, fact_id
from hansa.store import Context

PRODUCTS = ("metro", "bus", "tram")
VEHICLES_PER_LINE = 4
STATION_GATES: tuple[tuple[str, gate.Action], ...] = (("in", "entry"), ("out", "exit"))
BUSINESS_ZONE, CUT_OFF = "UTC", time(10)
"""The league's business day ends when Toronto's last riders, in the west, are home."""


@dataclass(frozen=True, slots=True)
class League:
    """A league that stands: its facts, its networks by city, its gates by city."""

    facts: LeagueFacts
    networks: dict[str, atlas.Network]
    gates: dict[str, tuple[gate.GateIdentity, ...]]

    def currency(self, city_id: str) -> str:
        return self.networks[city_id].city.currency

    def riders(self, spec: Spec) -> list[Rider]:
        homes = {city: self.currency(city) for city in self.networks}
        return make_riders(spec, self.facts, CURRENCY_EXPONENTS, homes)


class OlderDemoStands(HansaError):
    """This folder holds a demonstration made by a Hansa with other tariffs."""

    code: ClassVar[str] = "demo.older_stands"
    status: ClassVar[int] = 409


def build_league(ctx: Context, keys: trust.KeyFolder, spec: Spec) -> League:
    """Members, keys, cities, tariffs, gates, agreements, rates and accounts, as ``league.toml`` states them.

    Errors: OlderDemoStands when a city of an earlier demonstration has another tariff; nothing of that city is changed.
    """
    facts = league_facts()
    midnight = datetime.combine(spec.day, time(0), UTC)
    with ctx.tx() as tx:
        trust.add_members(tx, _members(facts))
        for role in facts.cities:
            trust.add_issuer_key(
                tx,
                role.issuer_id,
                keys.issuer(role.issuer_id).public_key().public_bytes_raw(),
                not_before=midnight - timedelta(days=30),
                not_after=midnight + timedelta(days=730),
                products=PRODUCTS,
            )
        trust.set_list_key(tx, keys.lists().public_key().public_bytes_raw(), midnight - timedelta(days=1))
        try:
            trust.signed_trust_list(tx)
        except trust.NoTrustList:
            trust.publish_trust_list(tx, keys.league_root(), at=midnight - timedelta(days=1))
    for role in facts.cities:
        _import_city(ctx, role)
    with ctx.tx() as tx:
        networks = {role.city_id: atlas.get_network(tx, role.city_id) for role in facts.cities}
    currencies = sorted({network.city.currency for network in networks.values()})
    gates = {role.city_id: gates_of(role, networks[role.city_id]) for role in facts.cities}
    with ctx.tx() as tx:
        trust.add_gates(
            tx, [record for role in facts.cities for record in _records(role, gates[role.city_id])]
        )
        clearing.set_settings(tx, tz=BUSINESS_ZONE, cut_off=CUT_OFF)
        clearing.add_agreements(tx, _agreements(facts, spec.day))
        for day in (spec.day, spec.day + timedelta(days=1)):
            payments.set_rates(tx, day, _rates(facts, currencies))
    members = [member.member_id for member in _members(facts)]
    payments.open_member_accounts(ctx, members, currencies)
    clearing.open_positions(
        ctx,
        [
            (issuer.issuer_id, operator.operator_id, networks[operator.city_id].city.currency)
            for issuer in facts.cities
            for operator in facts.cities
        ],
    )
    return League(facts, networks, gates)


def settle_people(ctx: Context, league: League, riders: Sequence[Rider], spec: Spec) -> None:
    """Open an account and a wallet for each rider and put the morning's money in it."""
    at = datetime.combine(spec.day - timedelta(days=1), time(9), UTC)
    accounts = [
        identity.Account(
            account_id=identity.AccountId(rider.account_id),
            name=rider.name,
            issuer_id=league.facts.role(rider.home).issuer_id,
            home_city_id=rider.home,
            rider_class=rider.rider_class,
            language="en",
            created_at=at,
        )
        for rider in riders
    ]
    with ctx.tx() as tx:
        identity.open_accounts(tx, accounts)
    payments.open_wallets(ctx, [(account, league.currency(account.home_city_id)) for account in accounts])
    payments.top_up(
        ctx,
        [
            payments.TopUp(
                top_up_id=fact_id(at, "hansa.demo.top-up", rider.account_id),
                account_id=identity.AccountId(rider.account_id),
                issuer_id=league.facts.role(rider.home).issuer_id,
                amount=Money(rider.purse_minor, league.currency(rider.home)),
                at=at,
            )
            for rider in riders
        ],
    )


def gates_of(role: CityRole, network: atlas.Network) -> tuple[gate.GateIdentity, ...]:
    """An entry and an exit gate at each station; on buses, validators aboard each line's vehicles."""
    if role.product == "bus":
        return tuple(
            gate.GateIdentity(
                gate_id=f"{role.operator_id}.{line_id.rpartition('/')[2]}.v{vehicle}",
                operator_id=role.operator_id,
                stop_id=None,
                action="board",
                product=role.product,
                cell=_cell(line_id),
            )
            for line_id in sorted(network.lines)
            for vehicle in range(1, VEHICLES_PER_LINE + 1)
        )
    return tuple(
        gate.GateIdentity(
            gate_id=f"{role.operator_id}.{stop_id.rpartition('/')[2]}.{suffix}",
            operator_id=role.operator_id,
            stop_id=stop_id,
            action=action,
            product=role.product,
            cell=_cell(stop_id),
        )
        for stop_id in sorted(network.stops)
        for suffix, action in STATION_GATES
    )


def _cell(place: str) -> bytes:
    return hashlib.sha256(place.encode()).digest()[:3]


def _records(role: CityRole, gates: Sequence[gate.GateIdentity]) -> list[trust.GateRecord]:
    return [
        trust.GateRecord(
            gate_id=identity.gate_id,
            operator_id=trust.MemberId(role.operator_id),
            city_id=role.city_id,
            stop_id=identity.stop_id,
            line_id=f"{role.city_id}/{identity.gate_id.split('.')[1]}" if identity.stop_id is None else None,
            action=identity.action,
            product=identity.product,
            cell=identity.cell,
        )
        for identity in gates
    ]


def _members(facts: LeagueFacts) -> list[trust.Member]:
    members = [
        trust.Member(
            trust.MemberId("league"), facts.name, "league", None, trust.MemberId("league"), "LEAGUE-0001"
        ),
        trust.Member(
            trust.MemberId("league-bank"),
            facts.bank_name,
            "bank",
            None,
            trust.MemberId("league-bank"),
            "LEAGUE-0000",
        ),
    ]
    for role in facts.cities:
        city = trust.MemberId(role.city_id)
        members.append(
            trust.Member(
                city, role.issuer_name.removesuffix(" City Card"), "city", role.city_id, city, role.account
            )
        )
        members.append(
            trust.Member(
                trust.MemberId(role.issuer_id), role.issuer_name, "issuer", role.city_id, city, role.account
            )
        )
        members.append(
            trust.Member(
                trust.MemberId(role.operator_id),
                role.operator_name,
                "operator",
                role.city_id,
                city,
                role.account,
            )
        )
    return members


def _agreements(facts: LeagueFacts, day: date) -> list[clearing.Agreement]:
    since = day.replace(month=1, day=1)
    agreements = [clearing.Agreement("*", "*", issuer_fee_bp=120, league_fee_bp=30, valid_from=since)]
    agreements += [
        clearing.Agreement(
            role.issuer_id, role.operator_id, issuer_fee_bp=80, league_fee_bp=0, valid_from=since
        )
        for role in facts.cities
    ]
    return agreements


def _rates(facts: LeagueFacts, currencies: Sequence[str]) -> list[tuple[str, str, Fraction]]:
    return [
        (base, quote, facts.rate(base, quote)) for base in currencies for quote in currencies if base != quote
    ]


def _import_city(ctx: Context, role: CityRole) -> None:
    try:
        _read_city(ctx, role)
    except rides.TariffConflict as error:
        raise OlderDemoStands(
            f"The data here is of a demonstration in which {role.operator_id} had another tariff than comes with "
            "this Hansa. Start over with `hansa demo --fresh`, or choose another folder with --home."
        ) from error


def _read_city(ctx: Context, role: CityRole) -> None:
    folder = atlas.city_folder(role.city_id)
    if (folder / "gtfs").is_dir():
        feed = atlas.read_gtfs(
            atlas.gtfs_zip(role.city_id), city=atlas.read_city_facts(folder), operator_id=role.operator_id
        )
        with ctx.tx() as tx:
            atlas.import_city(tx, feed.city_file)
            rides.import_tariff(tx, rides.tariff_from_fares_v1(feed.fares_v1, operator_id=role.operator_id))
        return
    with ctx.tx() as tx:
        atlas.import_city(tx, atlas.read_city(folder))
        rides.import_tariff(tx, rides.read_tariff(rides.tariff_folder(role.operator_id)))
