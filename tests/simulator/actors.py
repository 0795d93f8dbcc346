"""Who acts in the simulated league: gates, phones, tellers, the city that serves them, the worker, the clearing house.

Each does what the real one does when it is not answered: it sends the same again.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta

from hansa import clearing, ledger, payments, rides
from hansa.kernel import HansaError
from hansa.ledger.batch import batch_of
from simulator.engine import Codes, Registry
from simulator.traffic import Traffic
from simulator.world import Actor, World

RETRY = timedelta(seconds=30)


class City(Actor):
    """The process that answers requests. Its memory is empty, so its death costs only what was under way."""

    name = "city"

    def __init__(self, world: World, registry: Registry) -> None:
        super().__init__(world)
        self.registry = registry

    def take_taps(self, taps: Sequence[rides.Tap], answer: Callable[[rides.TapReceipt], None]) -> None:
        receipt = rides.record_taps(self.world.ctx, None, taps)
        self.world.note("city keeps", receipt.recorded, "taps, knows", receipt.duplicates)
        answer(receipt)

    def take_top_up(self, top_up: payments.TopUp, answer: Callable[[], None]) -> None:
        payments.top_up(self.world.ctx, [top_up], step=lambda step: self.world.misfortune(f"once {step}"))
        answer()

    def take_transfers(self, batch: Sequence[ledger.Transfer], answer: Callable[[Codes], None]) -> None:
        """By the engine if there is one; sometimes the city takes a living engine for dead and writes itself."""
        engine = self.registry.find()
        if engine is None or self.world.happens(0.04):
            if engine is not None:
                self.world.faults["engine taken for dead"] += 1
            with self.registry.hidden():
                answer([result.code for result in ledger.post(self.world.ctx, batch)])
            return

        def done(codes: Codes | BaseException) -> None:
            if not isinstance(codes, BaseException):
                answer(codes)

        engine.submit(batch_of(batch), done)


@dataclass
class Delivery:
    """What a gate still has to hand in, in order, and what of it was acknowledged."""

    taps: list[rides.Tap]
    acknowledged: set[int] = field(default_factory=set[int])


class Gateway(Actor):
    """Hands in the taps of many gates, a few at a time, until each is acknowledged."""

    def __init__(self, world: World, city: City, number: int, taps: list[rides.Tap]) -> None:
        super().__init__(world)
        self.name = f"gateway {number}"
        self.city = city
        self.delivery = Delivery(taps)

    def forget(self) -> None:
        """What was acknowledged in the last while was not written down yet."""
        last = sorted(self.delivery.acknowledged)[-4:]
        self.delivery.acknowledged.difference_update(last)

    def wake(self) -> None:
        self.look()

    def look(self) -> None:
        """Send a few taps that have been made by now, in any order, and look again in a while."""
        now, delivery, dice = self.world.clock.now(), self.delivery, self.world.dice
        due = [
            index
            for index, tap in enumerate(delivery.taps)
            if index not in delivery.acknowledged and tap.tapped_at <= now
        ]
        if due:
            chosen = due[:6]
            if self.world.happens(0.3):
                dice.shuffle(chosen)
                self.world.faults["taps out of order"] += 1
            taps = [delivery.taps[index] for index in chosen]
            self.world.send(self.city, "hears taps", lambda: self.city.take_taps(taps, answered))

            def answered(receipt: rides.TapReceipt) -> None:
                assert not receipt.refused, receipt
                self.world.send(self, "is acknowledged", lambda: delivery.acknowledged.update(chosen))

        if len(delivery.acknowledged) < len(delivery.taps):
            pause = timedelta(minutes=dice.choice((2, 5, 20))) if not due or self.world.is_calm else RETRY
            self.world.later(pause, self, "looks", self.look)


class Phone(Actor):
    """A rider's phone: a top-up, sent again until it is confirmed."""

    def __init__(self, world: World, city: City, number: int, top_ups: list[payments.TopUp]) -> None:
        super().__init__(world)
        self.name = f"phone {number}"
        self.city = city
        self.top_ups = top_ups
        self.confirmed: set[int] = set()

    def wake(self) -> None:
        self.look()

    def look(self) -> None:
        now = self.world.clock.now()
        for index, top_up in enumerate(self.top_ups):
            if index not in self.confirmed and top_up.at <= now:
                self._send(index, top_up)
        if len(self.confirmed) < len(self.top_ups):
            self.world.later(timedelta(minutes=3), self, "looks", self.look)

    def _send(self, index: int, top_up: payments.TopUp) -> None:
        def answered() -> None:
            self.world.send(self, "is confirmed", lambda: self.confirmed.add(index))

        self.world.send(self.city, "hears a top-up", lambda: self.city.take_top_up(top_up, answered))


@dataclass
class Told:
    """A batch of a teller's: how often it was sent, and its first answer."""

    batch: list[ledger.Transfer]
    sent: int = 0
    codes: Codes | None = None


class Teller(Actor):
    """Posts batches of every kind to the ledger, one after another, and writes down what it is told."""

    def __init__(self, world: World, city: City, seed: int, number: int, batches: int) -> None:
        super().__init__(world)
        self.name = f"teller {number}"
        self.city = city
        self.traffic = Traffic(f"{seed} {self.name}", size_max=6)
        self.left = batches
        self.told: list[Told] = []

    @property
    def is_done(self) -> bool:
        return self.left == 0 and all(one.codes is not None for one in self.told)

    def wake(self) -> None:
        self.look()

    def look(self) -> None:
        if not self.told or self.told[-1].codes is not None:
            if not self.left:
                return
            self.left -= 1
            self.told.append(Told(self.traffic.batch()))
        self._send(self.told[-1])
        self.world.later(self.world.dice.choice((RETRY, RETRY / 10)), self, "looks", self.look)

    def _send(self, one: Told) -> None:
        one.sent += 1

        def keep(codes: Codes) -> None:
            if one.codes is None:
                one.codes = codes

        def answered(codes: Codes) -> None:
            self.world.note("teller's answer", ",".join(codes))
            self.world.send(self, "is told", lambda: keep(codes))

        self.world.send(self.city, "hears transfers", lambda: self.city.take_transfers(one.batch, answered))


class Worker(Actor):
    """Rates, charges, releases holds; after a death it finishes what was left."""

    name = "worker"

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.must_finish = True

    def forget(self) -> None:
        self.must_finish = True

    def wake(self) -> None:
        self.look()

    def look(self) -> None:
        dice = self.world.dice
        self.world.later(timedelta(minutes=dice.choice((3, 10, 30))), self, "looks", self.look)
        if self.must_finish:
            payments.finish(self.world.ctx)
            self.must_finish = False
        self.turn(dice.choice((3, 1_000)))

    def turn(self, limit: int) -> int:
        ctx = self.world.ctx
        rated = rides.rate(ctx, limit=limit)
        posted = rides.post_charges(ctx, limit=limit)
        ended = ledger.expire_pending(ctx, partition=0, limit=limit)
        self.world.note("worker rated", rated.days, "charged", posted.charges, "ended", ended)
        return rated.days + posted.charges + ended


class ClearingHouse(Actor):
    """Closes the business days whose cut-off has passed, again after every death."""

    name = "clearing house"

    def __init__(self, world: World, days: list[date]) -> None:
        super().__init__(world)
        self.days = days
        self.closed: set[date] = set()

    def wake(self) -> None:
        self.look()

    def look(self) -> None:
        if len(self.closed) < len(self.days):
            self.world.later(timedelta(minutes=17), self, "looks", self.look)
        for day in self.days:
            if day in self.closed:
                continue
            try:
                clearing.close_day(
                    self.world.ctx, day, step=lambda step: self.world.misfortune(f"once {step}")
                )
            except clearing.DayNotOver:
                break
            except HansaError as error:
                if error.status < 500:
                    raise
                break
            self.closed.add(day)
            self.world.note("day closed", day)
