"""Handing in: taps go up in batches, by the first link that answers, as fast as the back office takes them."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from hansa.gate.agent.aside import Aside, RefusedTap
from hansa.gate.agent.link import BatchRefused, HandedIn, Link, LinkDown
from hansa.gate.gate import Gate
from hansa.gate.model import Tap

BATCH_MAX = 500
"""Taps of a batch: some 200 kB of JSON."""

AGAIN_AFTER = timedelta(hours=1)
"""A refused tap is offered again so long after: its token or its gate may have been made known by then."""


class HandIn:
    """Hands in a gate's taps, oldest first. Called from one thread.

    A batch that is refused as a whole is halved, down to the one tap that is at fault; that one is put aside. After
    each batch that was taken, the next may be twice as large.
    """

    def __init__(
        self, gate: Gate, aside: Aside, links: Sequence[Link], *, now: Callable[[], datetime]
    ) -> None:
        self._gate, self._aside, self._links, self._now = gate, aside, list(links), now
        self._size = BATCH_MAX
        self.handed_in = 0
        """Taps that the back office has by us since the start, those it had before among them."""
        self.refused = 0
        """Taps that it refused since the start, each time it did."""
        self.by_link: dict[str, int] = {}

    def prefer(self, link: Link) -> None:
        """Try this link before all others."""
        self._links.insert(0, link)

    def one_batch(self) -> int:
        """Hand in the oldest taps; gives how many are done with, 0 when none waited.

        Errors: LinkDown when no link answers, and the taps stay; StateFailed.
        """
        while taps := self._gate.pending(self._size):
            try:
                receipt = self._hand_in(taps)
            except BatchRefused as error:
                if len(taps) > 1:
                    self._size = len(taps) // 2
                    continue
                receipt = HandedIn(0, 0, ((0, BatchRefused.code, error.detail),))
            self._keep(taps, receipt)
            self._gate.acknowledge(taps[-1].sequence)
            self._size = min(BATCH_MAX, self._size * 2)
            return len(taps)
        return 0

    def offer_again(self) -> int:
        """Offer some of the taps put aside once more; gives how many were taken. Errors: LinkDown, StateFailed."""
        kept = self._aside.list_refused_before(self._now() - AGAIN_AFTER, self._size)
        if not kept:
            return 0
        taps = [one.tap for one in kept]
        try:
            receipt = self._hand_in(taps)
        except BatchRefused as error:
            if len(taps) > 1:
                self._size = len(taps) // 2
            self._aside.keep([RefusedTap(taps[0], BatchRefused.code, error.detail)], self._now())
            return 0
        self._keep(taps, receipt)
        places = {place for place, _, _ in receipt.refused}
        taken = [tap for place, tap in enumerate(taps) if place not in places]
        if taken:
            self._aside.let_go(taken)
        return len(taken)

    def _keep(self, taps: Sequence[Tap], receipt: HandedIn) -> None:
        """Put aside what was refused, before anything is let go."""
        if receipt.refused:
            refused = [RefusedTap(taps[place], code, detail) for place, code, detail in receipt.refused]
            self._aside.keep(refused, self._now())
        self.refused += len(receipt.refused)
        self.handed_in += receipt.recorded + receipt.duplicates

    def _hand_in(self, taps: Sequence[Tap]) -> HandedIn:
        """By the first link that answers. Errors: LinkDown with the longest pause that one asked for; BatchRefused."""
        told: list[str] = []
        pauses: list[float] = []
        for link in self._links:
            try:
                receipt = link.hand_in(taps)
            except LinkDown as error:
                told.append(f"{link.name}: {error.detail}")
                if error.retry_after_s is not None:
                    pauses.append(error.retry_after_s)
            else:
                self.by_link[link.name] = self.by_link.get(link.name, 0) + len(taps)
                return receipt
        raise LinkDown("; ".join(told) or "There is no link.", retry_after_s=max(pauses, default=None))
