"""What tellers send to a ledger: batches of every kind of transfer, worked out from a seed and from nothing else.

What comes next does not depend on the answers, so whoever knows seed and number can say what the n-th batch was.
"""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from random import Random
from uuid import UUID

from hansa.kernel import fact_id
from hansa.ledger import (
    AMOUNT_MAX,
    AS_PENDING,
    Account,
    AccountCode,
    AccountFlag,
    AccountId,
    Transfer,
    TransferCode,
    TransferFlag,
    TransferId,
)

MORNING = datetime(2026, 11, 17, 8, tzinfo=UTC)

LIMITS: dict[str, AccountFlag] = {
    "bank": AccountFlag.NONE,
    "shop": AccountFlag.NONE,
    **{f"wallet {n}": AccountFlag.DEBITS_MUST_NOT_EXCEED_CREDITS for n in range(6)},
    **{f"supplier {n}": AccountFlag.CREDITS_MUST_NOT_EXCEED_DEBITS for n in range(2)},
    **{f"door {n}": AccountFlag.NONE for n in range(2)},
}
WALLETS = [name for name in LIMITS if name.startswith("wallet")]
SUPPLIERS = [name for name in LIMITS if name.startswith("supplier")]
DOORS = [name for name in LIMITS if name.startswith("door")]

UNKNOWN = AccountId(fact_id(None, "teller account", "nobody"))


def account_id(name: str) -> AccountId:
    """The id behind an account's name."""
    return AccountId(fact_id(None, "teller account", name))


def accounts() -> list[Account]:
    """All accounts that tellers move money between; every teller uses the same ones."""
    return [
        Account(account_id(name), "CNY", AccountCode.WALLET, name, flags) for name, flags in LIMITS.items()
    ]


@dataclass
class Traffic:
    """One teller's batches, one after another.

    size_max: transfers of an ordinary batch. big: of one in fifty, if any.
    """

    seed: str
    size_max: int = 12
    big: int = 0
    number: int = 0
    dice: Random = field(init=False)
    holds: list[TransferId] = field(default_factory=list[TransferId])
    closings: list[TransferId] = field(default_factory=list[TransferId])
    plains: list[Transfer] = field(default_factory=list[Transfer])
    batches: list[list[Transfer]] = field(default_factory=list[list[Transfer]])

    def __post_init__(self) -> None:
        self.dice = Random(self.seed)

    def batch(self) -> list[Transfer]:
        """The next batch; sometimes an earlier one over again."""
        self.number += 1
        dice = self.dice
        if self.batches and dice.random() < 0.12:
            return dice.choice(self.batches[-12:])
        size = dice.randint(1, self.size_max)
        if self.big and dice.random() < 0.02:
            size = self.big
        made: list[Transfer] = []
        while len(made) < size:
            made += self._some()
        self.batches.append(made)
        del self.batches[:-12]
        return made

    def _some(self) -> list[Transfer]:
        chance = self.dice.random()
        if chance < 0.62:
            return [self._plain_or_hold()]
        if chance < 0.82:
            return [self._end()]
        if chance < 0.9:
            return self._chain()
        if chance < 0.93:
            return [self._closing()]
        if chance < 0.95 and self.plains:
            old = self.dice.choice(self.plains)
            return [self.dice.choice((old, replace(old, amount=old.amount + 1), replace(old, memo="else")))]
        if chance < 0.96:
            return [replace(self._plain("bank", "shop"), credit=UNKNOWN)]
        return [self._balancing()]

    def _plain_or_hold(self) -> Transfer:
        dice = self.dice
        sides = dice.choice(
            (
                ("bank", dice.choice(WALLETS)),
                ("bank", dice.choice(WALLETS)),
                (dice.choice(WALLETS), "shop"),
                (dice.choice(WALLETS), dice.choice(WALLETS)),
                (dice.choice(SUPPLIERS), "bank"),
                ("shop", dice.choice(SUPPLIERS)),
                (dice.choice(DOORS), "shop"),
                ("bank", dice.choice(DOORS)),
            )
        )
        transfer = self._plain(*sides)
        if dice.random() < 0.35:
            timeout_s = dice.choice((0, 0, 0, 1, 2, 30))
            transfer = replace(transfer, flags=TransferFlag.PENDING, timeout_s=timeout_s)
            self.holds = [*self.holds[-40:], transfer.transfer_id]
        else:
            self.plains = [*self.plains[-40:], transfer]
        return transfer

    def _plain(self, debit: str, credit: str) -> Transfer:
        dice = self.dice
        return Transfer(
            self._new(),
            account_id(debit),
            account_id(credit),
            dice.choice((0, 1, 5, 20, 100, 700, 2_500)) + dice.randint(0, 9),
            "CNY",
            TransferCode.PAYMENT,
            MORNING + timedelta(seconds=self.number),
            tag=dice.choice((0, 0, 7)),
            reference=UUID(int=dice.getrandbits(128)) if dice.random() < 0.2 else None,
            memo=dice.choice(("", "", "", "lunch", "午饭")),
        )

    def _new(self) -> TransferId:
        return TransferId(UUID(int=self.dice.getrandbits(127) + 1))

    def _end(self) -> Transfer:
        """End a hold, or try to: it may never have been booked, be ended, or be no hold at all."""
        dice = self.dice
        named = self._new()
        if dice.random() < 0.15 and self.closings:
            named, voids = dice.choice(self.closings), True
        else:
            voids = dice.random() < 0.35
            if self.plains and dice.random() < 0.05:
                named = dice.choice(self.plains).transfer_id
            elif self.holds and dice.random() < 0.95:
                named = dice.choice(self.holds)
        amount = dice.choice((0, 0, 0, 5)) if voids else dice.choice((AMOUNT_MAX, AMOUNT_MAX, 0, 1, 3_000))
        return Transfer(
            self._new(),
            AS_PENDING,
            AS_PENDING,
            amount,
            "",
            0,
            MORNING + timedelta(seconds=self.number),
            flags=TransferFlag.VOID_PENDING if voids else TransferFlag.POST_PENDING,
            pending_id=named,
        )

    def _chain(self) -> list[Transfer]:
        """Two to four that stand or fall together; one in twenty is left open."""
        dice = self.dice
        chain = [self._plain_or_hold() for _ in range(dice.randint(2, 4))]
        if self.holds and dice.random() < 0.3:
            chain.insert(dice.randint(0, len(chain)), self._end())
        last = len(chain) - (0 if dice.random() < 0.05 else 1)
        linked = [
            replace(transfer, flags=transfer.flags | TransferFlag.LINKED) if index < last else transfer
            for index, transfer in enumerate(chain)
        ]
        chained = {transfer.transfer_id for transfer in linked}
        self.plains = [transfer for transfer in self.plains if transfer.transfer_id not in chained]
        return linked

    def _closing(self) -> Transfer:
        dice = self.dice
        door = dice.choice(DOORS)
        if dice.random() < 0.5:
            transfer = replace(
                self._plain(door, "bank"), flags=TransferFlag.PENDING | TransferFlag.CLOSING_DEBIT
            )
        else:
            transfer = replace(
                self._plain("bank", door), flags=TransferFlag.PENDING | TransferFlag.CLOSING_CREDIT
            )
        transfer = replace(transfer, amount=0, timeout_s=dice.choice((0, 1, 1)))
        self.closings = [*self.closings[-10:], transfer.transfer_id]
        return transfer

    def _balancing(self) -> Transfer:
        dice = self.dice
        if dice.random() < 0.5:
            transfer = self._plain(dice.choice(WALLETS), "shop")
            return replace(transfer, flags=TransferFlag.BALANCING_DEBIT)
        transfer = self._plain("shop", dice.choice(SUPPLIERS))
        return replace(transfer, flags=TransferFlag.BALANCING_CREDIT)
