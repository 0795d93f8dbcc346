"""What stands in a sandbox at first: a city with its issuer, a member with a shop, people with money, and keys."""

from dataclasses import dataclass
from datetime import timedelta

from hansa import approval, atlas, clearing, identity, payments, rides, trust
from hansa.apps.sandbox.people import PEOPLE
from hansa.kernel import Money, fact_id
from hansa.store import Context

CITY, CARD, OPERATOR, SHOPS, PAYEE = "london", "london-card", "london-tfl", "test-shops", "test-cafe"
CURRENCY = "GBP"

SHOP_SCOPES = ("keys:write", "payments:read", "payments:write", "webhooks:read", "webhooks:write", "hub:read")
ISSUER_SCOPES = (
    "keys:write",
    "payments:read",
    "payments:write",
    "webhooks:read",
    "webhooks:write",
    "risk:read",
)

POLICY = """
[ceilings]
none = {payment = 1000000, day = 10000000, month = 100000000}
contact = {payment = 1000000, day = 10000000, month = 100000000}
name = {payment = 1000000, day = 10000000, month = 100000000}
document = {payment = 1000000, day = 10000000, month = 100000000}

[[rows]]
name = "given before"
needs = "code"
because = "any"

[[rows]]
name = "somebody asks"
channels = ["qr", "online", "person", "bank"]
needs = "session"
because = "any"
"""
"""What the sandbox's issuer asks of its people: a sign-in is enough for any amount, so that they can approve alone."""


@dataclass(frozen=True, slots=True)
class Seeded:
    """The secrets of the keys that were made, by what they are for. They are shown once."""

    shop: str
    issuer: str
    league: str


def is_seeded(ctx: Context) -> bool:
    """Whether the sandbox stands already."""
    with ctx.tx() as tx:
        return any(one.member_id == SHOPS for one in trust.list_members(tx))


def seed(ctx: Context, keys: trust.KeyFolder, *, league_scopes: frozenset[str]) -> Seeded:
    """Make it, once. After a crash on the way, again is harmless, with further keys."""
    now = ctx.clock.now()
    with ctx.tx() as tx:
        trust.add_members(tx, _members())
        atlas.import_city(tx, atlas.read_city(atlas.city_folder(CITY)))
        rides.import_tariff(tx, rides.read_tariff(rides.tariff_folder(OPERATOR)))
        trust.add_issuer_key(
            tx,
            CARD,
            keys.issuer(CARD).public_key().public_bytes_raw(),
            not_before=now - timedelta(days=1),
            not_after=now + timedelta(days=3_660),
        )
        approval.set_policy(tx, CARD, POLICY, by="sandbox", at=now)
        people = [
            identity.Account(one.account_id, one.name, CARD, CITY, "adult", "en", now - timedelta(days=400))
            for one in PEOPLE
        ]
        known = identity.find_accounts(tx, [one.account_id for one in people])
        identity.open_accounts(tx, [one for one in people if one.account_id not in known])
    payments.open_member_accounts(ctx, [CARD], [CURRENCY])
    clearing.open_positions(ctx, [(CARD, SHOPS, CURRENCY), (CARD, OPERATOR, CURRENCY)])
    payments.open_wallets(ctx, [(one, CURRENCY) for one in people])
    payments.open_payees(
        ctx,
        [
            payments.Payee(
                payee_id=PAYEE,
                member_id=trust.MemberId(SHOPS),
                name="Test Café",
                currency=CURRENCY,
                category="5814",
            )
        ],
    )
    at = now.replace(microsecond=0) - timedelta(hours=1)
    payments.top_up(
        ctx,
        [
            payments.TopUp(
                fact_id(None, "sandbox money", one.name),
                one.account_id,
                trust.MemberId(CARD),
                Money(one.minor, CURRENCY),
                at,
            )
            for one in PEOPLE
        ],
    )
    with ctx.tx() as tx:
        return Seeded(
            shop=trust.create_api_key(tx, SHOPS, SHOP_SCOPES, at=now, test=True),
            issuer=trust.create_api_key(tx, CARD, ISSUER_SCOPES, at=now, test=True),
            league=trust.create_api_key(tx, "league", league_scopes, at=now, test=True),
        )


def _members() -> list[trust.Member]:
    def member(name: str, words: str, role: trust.Role, clears_as: str) -> trust.Member:
        city = CITY if clears_as == CITY else None
        return trust.Member(
            trust.MemberId(name), words, role, city, trust.MemberId(clears_as), f"TEST-{name}"
        )

    return [
        member("league", "Sandbox League", "league", "league"),
        member("league-bank", "Sandbox Bank", "bank", "league-bank"),
        member(CITY, "London", "city", CITY),
        member(CARD, "London Card", "issuer", CITY),
        member(OPERATOR, "TfL", "operator", CITY),
        member(SHOPS, "Test Shops", "city", SHOPS),
    ]
