"""A league in which everything was done once: the demonstration, and what its day leaves out.

So pages are looked at with things in them: lists that are not empty, and a page for each kind of thing.
"""

import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from uuid import UUID

from atlas.test_feeds_handed_in import CHANGED, packed
from browser.conftest import Served
from hansa import (
    atlas,
    clearing,
    identity,
    merchants,
    payments,
    reconciliation,
    reports,
    trust,
    wallets,
    webhooks,
)
from hansa.apps import hub_clearing
from hansa.apps.demo.cast import account_of, approve, find_cast
from hansa.apps.demo.joining import Tools, attraction, shop_of, slots_of, tools_of
from hansa.apps.demo.paying import CURRENCY, PAYEE, PAYER
from hansa.apps.demo.people import Rider, make_riders
from hansa.apps.demo.run import DemoRun
from hansa.apps.demo.spec import Spec, league_facts
from hansa.apps.open import opened
from hansa.kernel import CURRENCY_EXPONENTS, FixedClock, Money, SystemClock, fact_id
from hansa.merchants import Asker
from hansa.payments import NewPayment
from hansa.store import Context
from hansa.wallets import NewTransfer, bank_store, strays
from hansa.wallets.rails import Entry, EntryKind
from hansa.webhooks.addresses import Reach
from reconciliation.test_member_files import PROFILE, write
from rides import feed_town
from web.little_league import LittleLeague

RIDERS = 150
"""As few as the whole day needs: with fewer, somebody is missing for a dispute."""

KNOWN_FOR = timedelta(days=90)


@dataclass(frozen=True, slots=True)
class Lived:
    """The league, being served. person: who keeps a shop and has done a little of everything.

    addresses: of what stands behind an id that no list links to, for this person. others: who else has done things
    that pages are of, by account id. desk: for the console.
    """

    served: Served
    person: UUID
    addresses: tuple[str, ...]
    others: tuple[UUID, ...]
    desk: tuple[str, ...]


@contextmanager
def live() -> Generator[Lived]:
    """The demonstration's day and what is added to it, served by the real clock; all of it is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="hansa-lived-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)  # the database's user passes through
        home = Path(folder) / "home"
        clock = FixedClock(SystemClock().now())
        with opened(home, clock=clock) as ctx:
            day = DemoRun(ctx, clock, Spec(riders=RIDERS), home).run().spec.day
            clock.at = SystemClock().now()
            served = Served(
                replace(ctx, clock=SystemClock()), home, LittleLeague(trust.KeyFolder(home / "keys"), {})
            )
            added = _add(ctx, served, day)
            served.start()
            try:
                yield added
            finally:
                served.stop()


def _add(ctx: Context, served: Served, day: date) -> Lived:
    with ctx.tx() as tx:
        cities = {one.city_id: one for one in atlas.list_cities(tx)}
    currencies = {city_id: one.currency for city_id, one in cities.items()}
    riders = make_riders(Spec(riders=RIDERS), league_facts(), CURRENCY_EXPONENTS, currencies)
    cast = find_cast(1, riders, list(currencies))
    assert cast is not None, "there are enough riders for people's day"
    tools = tools_of(ctx, served.home)
    person, friend = cast.of("hangzhou", 0), cast.of("beijing", 5)
    desk = _as_desk(ctx, served.home, day)

    def approved(kind: str, subject_id: UUID) -> None:
        approve(ctx, cast, person, kind, subject_id, tools.pepper)

    gift = fact_id(None, "axe gift")
    wallets.transfers.send(ctx, _transfer(ctx, gift, person, None, 5_00))
    approved("transfer", gift)
    secret = wallets.transfers.renew_link(ctx, account_of(person), gift)
    wallets.transfers.send(ctx, _transfer(ctx, fact_id(None, "axe waits"), person, friend, 300_00))
    _strays(ctx)
    traveller = cast.of("beijing", 2).account_id
    counter = fact_id(None, "hansa.demo.counter", traveller)
    return Lived(
        served,
        person.account_id,
        (
            *_shopping(ctx, person),
            f"/wallet/claim/{secret}",
            _ward(ctx, person, riders, tools),
        ),
        tuple(
            cast.of(city, place).account_id
            for city, place in (("beijing", 0), ("beijing", 2), ("beijing", 5))
        ),
        (*desk, f"/console/counter/top-ups/{traveller}/{counter}"),
    )


def _transfer(
    ctx: Context, transfer_id: UUID, sender: Rider, receiver: Rider | None, minor: int
) -> NewTransfer:
    return NewTransfer(
        transfer_id=transfer_id,
        sender_id=account_of(sender),
        receiver_id=None if receiver is None else account_of(receiver),
        amount=Money(minor, "CNY"),
        note="For the lantern feast",
        session_at=ctx.clock.now(),
    )


def _shopping(ctx: Context, person: Rider) -> tuple[str, ...]:
    """An order, an offer, a payment and an invitation; the addresses that lead to them."""
    now = ctx.clock.now()
    mine, theirs = shop_of("hangzhou"), shop_of("beijing")
    order_id, offer_id = fact_id(None, "axe order"), fact_id(None, "axe offer")
    asker = Asker(
        account_id=account_of(person),
        by=f"person:{person.account_id}",
        session_at=now,
        credential_at=now - KNOWN_FOR,
    )
    with ctx.tx() as tx:
        merchants.add_slots(tx, attraction().product_id, slots_of(ctx, now.date() + timedelta(days=1)))
        for shop_id in (mine.merchant_id, theirs.merchant_id):
            merchants.make_order(
                tx,
                fact_id(None, "axe order", shop_id),
                shop_id,
                amount=Money(5_00, "CNY"),
                made_by="person:test",
                at=now,
                bill_number="12",
            )
        payee = merchants.get_merchant(tx, theirs.merchant_id).payee_id
        invitation = merchants.invite(tx, mine.merchant_id, by=account_of(person), role="cashier", at=now)
    bought = merchants.pay_shop(ctx, fact_id(None, "axe sale"), theirs.merchant_id, asker, amount_minor=4_50)
    payments.create(
        ctx,
        [
            NewPayment(
                payment_id=offer_id,
                payee_id=payee,
                amount=Money(6_00, "CNY"),
                by="beijing-card",
                description="A map of the hutongs",
                expires_at=now + timedelta(days=3),
            )
        ],
    )
    order_id, own = (fact_id(None, "axe order", one.merchant_id) for one in (theirs, mine))
    return (
        f"/wallet/pay/order/{order_id}",
        f"/wallet/pay/offer/{offer_id}",
        f"/wallet/pay/shop/{theirs.merchant_id}",
        f"/wallet/pay/done/{bought.payment.payment_id}",
        f"/merchant/{mine.merchant_id}/orders/{own}",
        f"/merchant/join/{invitation}",
    )


def _ward(ctx: Context, guardian: Rider, riders: list[Rider], tools: Tools) -> str:
    """A child of the same city whom this person answers for; the page of them."""
    now, sealer = ctx.clock.now(), tools.means.sealer
    child = next(one for one in riders if one.home == guardian.home and one.rider_class == "child")
    born = now.date().replace(year=now.year - 9, day=1)
    with ctx.tx() as tx:
        identity.state_birth(tx, sealer, account_of(child), born, country="CN", at=now)
        code = identity.invite_guardian(
            tx, sealer, account_of(child), country="CN", sees_journeys=True, at=now
        ).code
        identity.accept_guardian(tx, sealer, account_of(guardian), code, country="CN", at=now)
    return f"/wallet/me/wards/{child.account_id}"


def _strays(ctx: Context) -> None:
    """What a bank moved and said, and belongs to nothing here."""
    at = ctx.clock.now()
    with ctx.tx() as tx:
        for number, (kind, reference) in enumerate(
            ((EntryKind.ARRIVAL, "Rent, third floor"), (EntryKind.RETURN, ""))
        ):
            amount = Money(1_250_00 - number, "CNY")
            entry = Entry(number, f"axe stray {number}", kind, amount, at, reference=reference)
            bank_store.add_entry(tx, "simbank", entry, "stray")
        back = Entry(9, "axe stray 9", EntryKind.ARRIVAL, Money(3_00, "CNY"), at, reference="Invoice 4471")
        bank_store.add_entry(tx, "simbank", back, "stray")
    strays.send_back(
        ctx, "simbank", back.entry_id, expected=back.amount, by="demo:Ada", reason="nobody is meant"
    )


def _as_desk(ctx: Context, home: Path, day: date) -> tuple[str, ...]:
    """What members' and the league's people do: an endpoint, a network that changed, a payment that is netted, a
    member's own file; the addresses that lead to them.
    """
    now = ctx.clock.now()
    webhooks.add_endpoint(
        ctx,
        endpoint_id=fact_id(None, "axe endpoint"),
        member_id="hangzhou-card",
        url="https://shop.example/hook",
        about="The till",
        by="league:anna",
        reach=Reach(()),
    )
    own = trust.MemberId(feed_town.OPERATOR)
    with ctx.tx() as tx:
        members = [one.member_id for one in trust.list_members(tx)]
        gate = trust.list_gates(tx, "hangzhou-metro")[0]
        box = trust.NewDevice("xianghu-in", "gate", gate.operator_id, gate.gate_id, roles=("taps",))
        trust.add_devices(tx, [box], now)
        trust.add_members(tx, [trust.Member(own, "Town Transit", "operator", "town", own, "bank")])
    for number, archive in enumerate((packed(), packed(**CHANGED))):
        feed_id = fact_id(None, "axe feed", number)
        atlas.propose_feed(
            ctx,
            feed_id,
            archive,
            city=feed_town.CITY,
            operator_id=feed_town.OPERATOR,
            label="town.zip",
            valid_from=now.date() + timedelta(days=3 * number - 1),
            by="ana",
        )
        with ctx.tx() as tx:
            atlas.approve_feed(tx, feed_id, by="bo", at=now)
    for member_id in members:
        party = reports.Party(
            member_id, f"{member_id} Ltd", "Main Street 1", "Town", "10000", "DE", "DE123", day
        )
        reports.set_party(ctx, party, by="anna")
    hub_clearing.carry(ctx)
    window = clearing.close_day(ctx, day + timedelta(days=1))
    hub_clearing.follow(ctx, window.window_id, "closing", "")
    row: dict[str, object] = {
        "Trip": str(fact_id(None, "axe trip")),
        "Paid": "3.00",
        "CCY": "CNY",
        "When": f"{day}T08:00:00+08:00",
    }
    with ctx.tx() as tx:
        lots = clearing.window_items(tx, window.window_id, PAYER, PAYEE, CURRENCY)
        reconciliation.set_profile(tx, PROFILE, by="anna", at=now)
    own_file = write(home / "own.csv", [row])
    reconciliation.read_file(ctx, own_file, "beijing-subway", day, day, name=own_file.name, by="anna")
    return (
        "/console/networks/town/changes?before=1&after=2",
        *(f"/console/liquidity/lots/{one.reference}" for one in lots),
    )
