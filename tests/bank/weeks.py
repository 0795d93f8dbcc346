"""Weeks of business days between a league and its banks, with kills between any two steps."""

import base64
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from hansa import clearing, ledger, settlement, trust
from hansa.apps.bank import Bank, BankDown, Conduct
from hansa.kernel import FixedClock, fact_id
from hansa.settlement import NoAnswer, TurnedAway, desk
from hansa.settlement.delivery import Arrived, read_receipt
from hansa.settlement.iso20022 import read_account
from hansa.settlement.signing import sign_file
from hansa.store import Context

CITIES = ("aachen", "bergen", "cadiz")

LEAGUE_KEY = Ed25519PrivateKey.from_private_bytes(b"\x01" * 32)


class Killed(Exception):
    """The process was killed here."""


def bank_key(bank_id: str) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(bank_id.encode().ljust(32, b"\0")[:32])


def public_hex(key: Ed25519PrivateKey) -> str:
    return key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw).hex()


@dataclass(frozen=True)
class BankSpec:
    """A settlement bank and how the league pays through it."""

    bank_id: str
    currencies: tuple[str, ...]
    tz: str
    form: str = "pain.001.001.09"
    basis: str = "net"
    holidays: tuple[date, ...] = ()
    limits: str = ""

    @property
    def account(self) -> str:
        return f"HNSA{self.bank_id[:2].upper()}XX/ACC-{self.bank_id}"

    @property
    def profile(self) -> str:
        days = ", ".join(str(day) for day in self.holidays)
        codes = ", ".join(f'"{code}"' for code in self.currencies)
        return f"""
            bank_id = "{self.bank_id}"
            currencies = [{codes}]
            form = "{self.form}"
            basis = "{self.basis}"
            investigate_after_min = 240

            [calendar]
            tz = "{self.tz}"
            cut_off = 17:00:00
            holidays = [{days}]

            [delivery]
            way = "folder"
            folder = "unused"
            key = "{public_hex(bank_key(self.bank_id))}"
            {self.limits}
            """


@dataclass
class DirectLink:
    """To a bank in this process. It answers or it does not, as the bank does."""

    bank: Bank
    bank_id: str
    clock: FixedClock
    handed: dict[str, set[bytes]] = field(default_factory=lambda: defaultdict(set))

    def hand_over(self, message_id: str, document: bytes, signature: bytes) -> bytes:
        LEAGUE_KEY.public_key().verify(base64.b64decode(signature), document)
        self.handed[message_id].add(document)
        try:
            receipt = self.bank.receive(message_id, document, self.clock.now())
        except BankDown as error:
            raise NoAnswer(str(error)) from error
        read_receipt(receipt, message_id, document)
        return receipt

    def arrived(self) -> Sequence[Arrived]:
        try:
            found = self.bank.answers(self.clock.now())
        except BankDown as error:
            raise NoAnswer(str(error)) from error
        key = bank_key(self.bank_id)
        return [Arrived(name, body, sign_file(key, body)) for name, body in found]

    def take_away(self, name: str) -> None:
        self.bank.fetched(name)


def open_league(ctx: Context, banks: Sequence[BankSpec]) -> None:
    """Three cities, each an issuer and an operator, and their settlement banks."""
    currencies = [code for bank in banks for code in bank.currencies]
    members = [
        trust.Member(
            trust.MemberId("league"), "League", "league", None, trust.MemberId("league"), "HNSALEXX/LEAGUE-1"
        )
    ]
    for bank in banks:
        own = trust.MemberId(bank.bank_id)
        members.append(trust.Member(own, bank.bank_id.title(), "bank", None, own, bank.account))
    for city in CITIES:
        own = trust.MemberId(city)
        account = f"HNSA{city[:2].upper()}XX/{city.upper()}-1"
        members.append(trust.Member(own, city.title(), "city", None, own, account))
        for kind in ("issuer", "operator"):
            name = trust.MemberId(f"{city}-{kind}")
            members.append(trust.Member(name, name.title(), kind, None, own, ""))
    with ctx.tx() as tx:
        trust.add_members(tx, members)
        for bank in banks:
            desk.set_profile(tx, bank.profile, by="olga", at=ctx.clock.now())
    clearing.open_positions(
        ctx,
        [
            (f"{payer}-issuer", f"{payee}-operator", code)
            for payer in CITIES
            for payee in CITIES
            for code in currencies
        ],
    )
    ledger.open_accounts(
        ctx,
        [
            ledger.Account(
                account_id=purse(code),
                currency=code,
                code=ledger.AccountCode.RISK,
                holder=trust.MemberId("aachen-issuer"),
                path=ledger.account_path(ledger.AccountCode.RISK, "aachen-issuer"),
            )
            for code in currencies
        ],
    )


def purse(currency: str) -> ledger.AccountId:
    return ledger.AccountId(fact_id(None, "test purse", currency))


def ride(ctx: Context, day: date, currencies: Sequence[str], rng: random.Random) -> None:
    """What a day's riding books on positions; also corrections that are larger than the fares."""
    transfers: list[ledger.Transfer] = []
    for payer in CITIES:
        for payee in CITIES:
            for code in currencies:
                minor = rng.choice(
                    [0, 1, 7, rng.randint(1, 10_000), rng.randint(1, 10**7), -rng.randint(1, 500)]
                )
                if not minor:
                    continue
                position = clearing.position_account(f"{payer}-issuer", f"{payee}-operator", code)
                debit, credit = (purse(code), position) if minor > 0 else (position, purse(code))
                transfers.append(
                    ledger.Transfer(
                        transfer_id=ledger.TransferId(fact_id(ctx.clock.now(), day, payer, payee, code)),
                        debit=debit,
                        credit=credit,
                        amount=abs(minor),
                        currency=code,
                        code=ledger.TransferCode.FARE,
                        event_at=ctx.clock.now(),
                        reference=None,
                        memo="",
                    )
                )
    results = ledger.post(ctx, transfers)
    assert all(result.ok for result in results)


@dataclass
class Weeks:
    """A run: the clock goes on by hours, and whoever works may be killed at any step."""

    ctx: Context
    banks: Sequence[BankSpec]
    conducts: Mapping[str, Conduct]
    first: date
    days: int
    seed: int = 1
    kills: float = 0.05
    rests: int = 15
    links: dict[str, DirectLink] = field(default_factory=dict[str, DirectLink])
    killed: Counter[str] = field(default_factory=Counter[str])
    waiting: set[date] = field(default_factory=set[date])

    def __post_init__(self) -> None:
        self.rng = random.Random(self.seed)
        assert isinstance(self.ctx.clock, FixedClock)
        self.clock = self.ctx.clock
        self.clock.at = datetime.combine(self.first, datetime.min.time(), UTC)
        open_league(self.ctx, self.banks)
        with self.ctx.tx() as tx:
            for spec in self.banks:
                profile = desk.get_profile(tx, spec.bank_id)
                bank = Bank(
                    read_account(spec.account).number,
                    profile.calendar,
                    self.conducts[spec.bank_id],
                    name=spec.bank_id.upper(),
                )
                self.links[spec.bank_id] = DirectLink(bank, spec.bank_id, self.clock)

    def run(self) -> None:
        """All days, and then enough rest for every loose end."""
        currencies = [code for bank in self.banks for code in bank.currencies]
        for number in range(self.days + self.rests):
            day = self.first + timedelta(days=number)
            at = datetime.combine(day, datetime.min.time(), UTC)
            if number < self.days:
                self.clock.at = at + timedelta(hours=12)
                ride(self.ctx, day, currencies, self.rng)
                self.waiting.add(day)
            for hour in (20, 23, 33, 38):
                self.clock.at = at + timedelta(hours=hour, minutes=5)
                for waiting in sorted(self.waiting):
                    self._may_die(lambda waiting=waiting: self._close(waiting))
                for spec in self.banks:
                    link = self.links[spec.bank_id]
                    link.bank.turn(self.clock.now())
                    for work in (self._deliver, self._collect, self._ask):
                        self._may_die(lambda spec=spec, link=link, work=work: work(spec, link))
                if hour == 33:
                    self._may_die(self._people)
            self._may_die(lambda: settlement.finish(self.ctx))

    def step(self, name: str) -> None:
        if self.rng.random() < self.kills:
            self.killed[name] += 1
            raise Killed(name)

    def _may_die(self, work: Callable[[], object]) -> None:
        with suppress(Killed, NoAnswer, TurnedAway):
            work()

    def _close(self, day: date) -> None:
        clearing.close_day(self.ctx, day, step=self.step)
        for file in desk.prepare(self.ctx, day):
            for person in ("ann", "bob"):
                self._release(file.message_id, person)
            self.step("released")
        self.waiting.remove(day)

    def _release(self, message_id: str, by: str) -> None:
        with self.ctx.tx() as tx:
            file = desk.view_file(tx, message_id).file
        desk.release(
            self.ctx, message_id, by=by, count=file.transactions, control_sum_minor=file.control_sum_minor
        )

    def _deliver(self, spec: BankSpec, link: DirectLink) -> None:
        desk.deliver(self.ctx, spec.bank_id, link, LEAGUE_KEY, step=self.step)

    def _collect(self, spec: BankSpec, link: DirectLink) -> None:
        desk.collect(self.ctx, spec.bank_id, link, step=self.step)

    def _ask(self, spec: BankSpec, link: DirectLink) -> None:
        desk.ask(self.ctx, spec.bank_id, LEAGUE_KEY)

    def _people(self) -> None:
        """In the morning somebody looks at what was rejected or came back, and others release it."""
        with self.ctx.tx() as tx:
            payments = desk.list_payments(tx, limit=100_000)
        back = [one.told.end_to_end_id for one in payments if one.anew and one.replaced_by is None]
        if back:
            for file in desk.pay_anew(self.ctx, back, by="carl", why="the account was looked at"):
                self._release(file.message_id, "ann")


def settled_nets(weeks: Weeks) -> dict[tuple[str, str], int]:
    """What each member receives (+) or pays (-) over all days, by clearing alone."""
    sums: dict[tuple[str, str], int] = defaultdict(int)
    with weeks.ctx.tx() as tx:
        for number in range(weeks.days):
            for net in clearing.net_positions(tx, weeks.first + timedelta(days=number)):
                sums[str(net.member_id), net.currency] += net.net
    return dict(sums)
