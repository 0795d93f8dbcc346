"""The day before: some residents prove who they are, and set up what they spend by; shops open.

Every id is worked out from the person or the shop, so doing it again after a crash finds it done.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from functools import cache
from importlib.resources import files
from pathlib import Path
from uuid import UUID

from hansa import approval, identity, merchants, store, wallets
from hansa.apps import payment_clearing
from hansa.apps.bank.people_bank import PeopleBank
from hansa.apps.bank.people_rails import FILE as BANK_FILE
from hansa.apps.demo.cast import PIN, Cast, account_of, give_passkey
from hansa.apps.demo.league import League
from hansa.apps.demo.people import Rider
from hansa.apps.demo.spec import Spec
from hansa.apps.personal_means import Means, means_of
from hansa.codes import RiderClass
from hansa.identity import DocumentForm, resident_check
from hansa.kernel import FixedClock, Money, fact_id
from hansa.store import Context, Secret

WITH_PIN = 3
"""How many of each city set a payment PIN."""

FEE_BP = 60
CLERK = "demo:Ada"


@dataclass(frozen=True, slots=True)
class ShopFacts:
    """A shop of ``shops.toml``, which opens in its city. tickets, prices: of an attraction, what it sells."""

    city_id: str
    name: str
    local_name: str
    category: str
    address: str
    ticket: str = ""
    prices: Mapping[RiderClass, int] | None = None

    @property
    def merchant_id(self) -> UUID:
        """The same in every demonstration."""
        return fact_id(None, "hansa.demo.shop", self.city_id, self.name)

    @property
    def product_id(self) -> UUID:
        """What an attraction sells."""
        return fact_id(None, "hansa.demo.ticket", self.merchant_id)


@dataclass(frozen=True, slots=True)
class Tools:
    """What people's doings need from outside: keys that seal, who proves, the pepper of PINs, the bank of people."""

    means: Means
    pepper: Secret
    bank: PeopleBank

    @property
    def rails(self) -> wallets.Rails:
        """The bank, as wallets know banks."""
        return {self.bank.rail_id: self.bank}


@cache
def shop_facts() -> tuple[ShopFacts, ...]:
    """The shops of the demonstration, the attraction last."""
    raw = tomllib.loads((files("hansa.apps.demo") / "shops.toml").read_text(encoding="utf-8"))
    return tuple(
        ShopFacts(
            one["city"],
            one["name"],
            one.get("local_name", ""),
            one["category"],
            one["address"],
            one.get("ticket", ""),
            one.get("prices"),
        )
        for one in (*raw["shop"], raw["attraction"])
    )


def shop_of(city_id: str) -> ShopFacts:
    """The shop of a city."""
    return next(one for one in shop_facts() if one.city_id == city_id)


def attraction() -> ShopFacts:
    """What people visit."""
    return shop_facts()[-1]


def tools_of(ctx: Context, home: Path) -> Tools:
    """The tools of this demonstration; its secrets are made when they are first wanted. The bank has this clock."""
    pepper = store.read_secret(approval.PEPPER, home / "keys", make=True)
    return Tools(means_of(home, demo=True), pepper, PeopleBank(file=home / BANK_FILE, clock=ctx.clock))


def unit_of(currency: str) -> int:
    """What a small everyday purchase is at most, in minor units: how the demonstration's prices are measured."""
    return approval.own_policy().units[currency]


ASKED_ANEW = timedelta(minutes=2)
"""After so long a check that a killed run had in hand is asked anew."""


# -- people -------------------------------------------------------------------------------------------------


def join_people(ctx: Context, league: League, cast: Cast, spec: Spec, tools: Tools) -> int:
    """Names proved, addresses verified, PINs, bank accounts, limits, a delegation, a freeze; gives how many people."""
    for city_id, people in cast.cities.items():
        country, currency = league.networks[city_id].city.country, league.currency(city_id)
        for place, rider in enumerate(people):
            _prove(ctx, rider, country, spec, tools)
            _bank_account(ctx, rider, currency, tools)
            if place < WITH_PIN:
                _pin(ctx, rider, tools)
    give_passkey(ctx, cast.seed, cast.keeper_of_passkey)
    _limits(ctx, league, cast)
    return len(cast.people)


def born_on(number: int) -> date:
    """The day on which a rider of the demonstration was born: by their number, and all of age."""
    return date(1958 + number * 7 % 45, 1 + number * 5 % 12, 1 + number * 11 % 28)


def _prove(ctx: Context, rider: Rider, country: str, spec: Spec, tools: Tools) -> None:
    account_id, means = account_of(rider), tools.means
    with ctx.tx() as tx:
        proved = identity.proof_level(tx, account_id) >= identity.ProofLevel.NAME
        known = identity.list_contacts(tx, means.sealer, account_id)
    if not proved:
        done = identity.ask_proofing(
            ctx,
            means.sealer,
            means.provider,
            proofing_id=fact_id(None, "hansa.demo.proof", account_id),
            account_id=account_id,
            name=rider.name,
            document=identity.read_document(_document(rider, country), today=spec.day),
            policy=identity.own_level_policy(),
        )
        if (
            done.state == "asked"
        ):  # a run that was killed had it in hand; whoever sweeps asks anew when its time is over
            later = replace(ctx, clock=FixedClock(ctx.clock.now() + ASKED_ANEW))
            identity.finish_proofings(later, means.sealer, means.provider, policy=identity.own_level_policy())
    if not any(one.state == "verified" for one in known):
        letters = "".join(one for one in rider.name.lower() if one.isascii() and one.isalpha())
        address = f"{letters}.{rider.number}@example.org"
        sent = identity.ask_contact(ctx, means.sealer, account_id, "email", address, country=country)
        identity.verify_contact(ctx, means.sealer, account_id, sent.contact.contact_id, sent.code)


def _document(rider: Rider, country: str) -> DocumentForm:
    """A document that the simulated register knows, of nobody: by the rider's number."""
    born = born_on(rider.number)
    if country != "CN":
        return DocumentForm(
            "other", number=f"H{rider.number:07}A", country=country, words="Card of a demonstration"
        )
    digits = f"110101{born:%Y%m%d}{rider.number // 1_260 % 900:03}"
    return DocumentForm("resident", number=digits + resident_check(digits))


def _pin(ctx: Context, rider: Rider, tools: Tools) -> None:
    account_id = account_of(rider)
    with ctx.tx() as tx:
        standing = approval.find_pin(tx, ctx.directory.partition_of(account_id), account_id, ctx.clock.now())
    if standing is None:
        approval.set_pin(ctx, account_id, PIN, tools.pepper)


def bank_number(rider: Rider) -> str:
    """A bank account of somebody of the demonstration; by its last four digits the simulated bank does as told."""
    return f"6217{rider.number:08}8{rider.number % 1_000:03}"


def _bank_account(ctx: Context, rider: Rider, currency: str, tools: Tools) -> wallets.BankAccount:
    account_id = account_of(rider)
    with ctx.tx() as tx:
        known = wallets.bank_accounts.list_of(tx, account_id)
    return next(iter(known), None) or wallets.bank_accounts.add(
        ctx, tools.bank, tools.means.sealer, account_id, bank_number(rider), currency, may_pull=True
    )


def _limits(ctx: Context, league: League, cast: Cast) -> None:
    """One lowers a limit, one lets another spend, one freezes all."""
    currency = league.currency("beijing")
    unit = unit_of(currency)
    approval.set_limit(
        ctx, account_of(cast.of("beijing", 3)), currency=currency, span="payment", minor=unit // 2
    )
    owner, child = account_of(cast.of("beijing", 1)), account_of(cast.of("beijing", 4))
    approval.grant_delegation(
        ctx,
        owner,
        approval.NewDelegation(
            delegation_id=fact_id(None, "hansa.demo.delegation", owner),
            delegate_id=child,
            kind="child",
            currency=currency,
            payment_minor=unit,
            day_minor=2 * unit,
            month_minor=10 * unit,
            ends_at=ctx.clock.now() + timedelta(days=365),
        ),
    )
    approval.freeze(ctx, account_of(cast.of("hangzhou", 3)), reason="My purse was stolen")


# -- shops --------------------------------------------------------------------------------------------------


def open_shops(ctx: Context, league: League, cast: Cast, *, present_days: tuple[date, ...]) -> int:
    """Each shop is asked for by a resident and opened by the city's card house; gives how many are open.

    present_days: on which an attraction offers times besides the demonstration's own, for whoever looks at it now.
    """
    opened = 0
    for shop in shop_facts():
        if not cast.cities[shop.city_id]:
            continue
        _open(ctx, league, cast, shop)
        opened += 1
    with ctx.tx() as tx:
        for day in present_days:
            merchants.add_slots(tx, attraction().product_id, slots_of(ctx, day))
    payment_clearing.connect(ctx, [role.issuer_id for role in league.facts.cities])
    return opened


def slots_of(ctx: Context, day: date) -> list[tuple[datetime, datetime, int]]:
    """The times at which one may go in on a day."""
    first = ctx.clock.now().replace(
        year=day.year, month=day.month, day=day.day, hour=1, minute=0, second=0, microsecond=0
    )
    starts = [first + timedelta(hours=2 * place) for place in range(6)]
    return [(start, start + timedelta(hours=2), 40) for start in starts]


def _open(ctx: Context, league: League, cast: Cast, shop: ShopFacts) -> None:
    owner, issuer = cast.of(shop.city_id, 0), league.facts.role(shop.city_id).issuer_id
    at = ctx.clock.now() + timedelta(minutes=shop_facts().index(shop))
    with ctx.tx() as tx:
        known = merchants.list_own(tx, account_of(owner))
        if not any(one.merchant_id == shop.merchant_id for one in known):
            merchants.apply(
                tx,
                shop.merchant_id,
                account_id=account_of(owner),
                member_id=issuer,
                name=shop.name,
                local_name=shop.local_name,
                category=shop.category,
                address=shop.address,
                at=at,
            )
    merchants.decide(ctx, shop.merchant_id, yes=True, by=f"{issuer}:{CLERK}", at=at, fee_bp=FEE_BP)
    if shop.prices is not None:
        with ctx.tx() as tx:
            merchants.add_product(
                tx,
                shop.product_id,
                shop.merchant_id,
                name=shop.ticket,
                prices=shop.prices,
                at=at,
                refund_before_s=3_600,
            )


def money(fraction: tuple[int, int], currency: str) -> Money:
    """So much of a small everyday purchase: numerator and denominator."""
    return Money(max(1, unit_of(currency) * fraction[0] // fraction[1]), currency)
