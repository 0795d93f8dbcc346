"""A league small enough for a test: Hangzhou by metro and distance, Toronto by bus at a flat fare, four riders."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction
from functools import cache

from cryptography.hazmat.primitives.asymmetric import ec

from hansa import atlas, clearing, codes, identity, payments, rides, trust
from hansa.kernel import Money, fact_id
from hansa.store import Context
from rolled_back import RolledBack
from scratch import NOON

CITIES = {"hangzhou": ("hangzhou-metro", "metro", "CNY"), "toronto": ("toronto-ttc", "bus", "CAD")}
WAY_IN = "hangzhou-metro.xianghu.in"
WAY_OUT = "hangzhou-metro.binkanglu.out"
BUS = "toronto-ttc.29-dufferin.v1"


@dataclass(frozen=True, slots=True)
class LittleLeague:
    """keys: the issuers'. riders: by name."""

    keys: trust.KeyFolder
    riders: dict[str, identity.Account]


def build(ctx: Context, keys: trust.KeyFolder) -> LittleLeague:
    """The league, standing, with money in its riders' wallets. Rates hold for the clock's day and its neighbours.

    A ``ctx`` that rolls back and in which nothing was written yet moves to where the league stands already.
    """
    now = ctx.clock.now()
    here = ctx.open_tx
    if not (isinstance(here, RolledBack) and now == NOON and here.stand_on("little league", _build)):
        _build(ctx)
    with ctx.tx() as tx:
        for city_id in CITIES:
            trust.add_issuer_key(
                tx,
                f"{city_id}-card",
                keys.issuer(f"{city_id}-card").public_key().public_bytes_raw(),
                not_before=now - timedelta(days=30),
                not_after=now + timedelta(days=365),
            )
    return LittleLeague(keys, {account.name: account for account in _riders(now)})


def _build(ctx: Context) -> None:
    """All of it but the keys of its issuers, which each test has of its own."""
    now = ctx.clock.now()
    with ctx.tx() as tx:
        trust.add_members(tx, _members())
        for city_id, (operator_id, _, _) in CITIES.items():
            atlas.import_city(tx, _read_city(city_id))
            rides.import_tariff(tx, _read_tariff(operator_id))
        trust.add_gates(tx, _gates())
        for days in (-1, 0, 1):
            payments.set_rates(
                tx,
                (now + timedelta(days=days)).date(),
                [("CAD", "CNY", Fraction("5.12")), ("CNY", "CAD", 1 / Fraction("5.12"))],
            )
    units = [unit for _, _, unit in CITIES.values()]
    payments.open_member_accounts(ctx, [f"{city_id}-card" for city_id in CITIES], units)
    clearing.open_positions(
        ctx,
        [(f"{home}-card", operator_id, unit) for home in CITIES for operator_id, _, unit in CITIES.values()],
    )
    riders = _riders(now)
    with ctx.tx() as tx:
        identity.open_accounts(tx, riders)
    payments.open_wallets(ctx, [(account, CITIES[account.home_city_id][2]) for account in riders])
    payments.top_up(
        ctx,
        [
            payments.TopUp(
                fact_id(now, "test top-up", account.account_id),
                account.account_id,
                trust.MemberId(account.issuer_id),
                Money(100_00, CITIES[account.home_city_id][2]),
                now - timedelta(hours=1),
            )
            for account in riders
        ],
    )


class Phone:
    """A rider's phone as Python has it: a key, a token, a counter."""

    def __init__(self, ctx: Context, league: LittleLeague, name: str, *, companions: int = 0) -> None:
        self.ctx = ctx
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.counter = 0
        account = league.riders[name]
        now = ctx.clock.now()
        self.cti = fact_id(now, "test cti", name).bytes[:8]
        expires_at = (now + timedelta(hours=20)).replace(microsecond=0)
        with ctx.tx() as tx:
            key = next(k for k in trust.current_trust_list(tx).keys if k.issuer_id == account.issuer_id)
            rides.register_tokens(
                tx,
                [
                    rides.Token(
                        self.cti,
                        account.account_id,
                        account.issuer_id,
                        CITIES[account.home_city_id][2],
                        account.rider_class,
                        expires_at,
                    )
                ],
            )
        self.token = codes.make_token(
            league.keys.issuer(account.issuer_id),
            kid=key.kid,
            cti=self.cti,
            expires_at=expires_at,
            device_key=self.key.public_key(),
            scope=codes.Scope(account.rider_class, key.products, (), 20, companions),
        )

    def show(self, *, at: datetime | None = None) -> str:
        """The next code, made at the clock's instant unless another is given."""
        self.counter += 1
        return codes.make_code(
            self.key, self.token, made_at=at or self.ctx.clock.now(), counter=self.counter, cell=bytes(3)
        )


@cache
def _read_city(city_id: str) -> atlas.CityFile:
    return atlas.read_city(atlas.city_folder(city_id))


@cache
def _read_tariff(operator_id: str) -> rides.Tariff:
    return rides.read_tariff(rides.tariff_folder(operator_id))


def _members() -> list[trust.Member]:
    def member(name: str, role: trust.Role, city: str | None, clears_as: str) -> trust.Member:
        words = name.replace("-", " ").title()
        return trust.Member(
            trust.MemberId(name), words, role, city, trust.MemberId(clears_as), f"TEST-{name}"[:30]
        )

    members = [member("league", "league", None, "league"), member("league-bank", "bank", None, "league-bank")]
    for city_id, (operator_id, _, _) in CITIES.items():
        members += [
            member(city_id, "city", city_id, city_id),
            member(f"{city_id}-card", "issuer", city_id, city_id),
            member(operator_id, "operator", city_id, city_id),
        ]
    return members


def _gates() -> list[trust.GateRecord]:
    metro = trust.MemberId("hangzhou-metro")
    return [
        trust.GateRecord(WAY_IN, metro, "hangzhou", "hangzhou/xianghu", None, "entry", "metro"),
        trust.GateRecord(WAY_OUT, metro, "hangzhou", "hangzhou/binkanglu", None, "exit", "metro"),
        trust.GateRecord(
            BUS, trust.MemberId("toronto-ttc"), "toronto", None, "toronto/29-dufferin", "board", "bus"
        ),
    ]


def _riders(now: datetime) -> list[identity.Account]:
    def rider(name: str, city: str, rider_class: identity.RiderClass) -> identity.Account:
        return identity.Account(
            identity.AccountId(fact_id(None, "test rider", name)),
            name,
            f"{city}-card",
            city,
            rider_class,
            "en",
            now,
        )

    return [
        rider("Gao Lan", "hangzhou", "adult"),
        rider("Qian Qing", "hangzhou", "child"),
        rider("Emily Tremblay", "toronto", "adult"),
        rider("Omar Singh", "toronto", "senior"),
    ]
