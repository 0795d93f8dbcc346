"""What a journey cost first and after each correction, and what made the difference."""

from collections.abc import Sequence
from datetime import date, datetime
from itertools import pairwise
from uuid import UUID

from hansa.kernel import Money
from hansa.rides import corrections_store
from hansa.rides.corrections_model import Correction, LateTap
from hansa.rides.model import ChargeRecord, JourneyDetail
from hansa.rides.tariffs import Tariffs
from hansa.store import Tx


def corrections(tx: Tx, detail: JourneyDetail, *, partition: int) -> list[Correction]:
    """The changes of a journey's fare, first to last; none where it was right at once.

    partition: of the journey's account.
    """
    record, charges = detail.journey, detail.charges
    if len(charges) < 2:
        return []
    first, _ = Tariffs(tx).bounds(record.operator_id, record.service_day)
    since = charges[0].made_at
    taps = corrections_store.taps_between(
        tx,
        partition=partition,
        account_id=record.account_id,
        operator_id=record.operator_id,
        companion=record.companion,
        first=first,
        last=record.ended_at,
        after=since,
    )
    tariffs = corrections_store.tariffs_between(
        tx, operator_id=record.operator_id, day=record.service_day, after=since
    )
    stated = corrections_store.stated_between(tx, partition, record.journey_id, since)
    return corrections_of(charges, taps, tariffs, stated=stated, own=[tap.tap_id for tap in detail.taps[1:]])


def corrections_of(
    charges: Sequence[ChargeRecord],
    taps: Sequence[LateTap],
    tariffs: Sequence[tuple[datetime, date]],
    *,
    stated: Sequence[tuple[datetime, str]] = (),
    own: Sequence[UUID] = (),
) -> list[Correction]:
    """Each charge after the first with the likeliest cause before it: the latest tap, a stated end, a tariff.

    charges: by revision, of one journey. taps: of its rider, made no later than it ended. tariffs: (came in at, first
    day). stated: when the journey's missing end was stated, and by whom. own: the journey's taps after its first,
    which tell even where they came in at the instant of a charge.
    """
    found: list[Correction] = []
    paid = charges[0].amount
    for before, charge in pairwise(charges):
        fare = paid + charge.amount
        came = [tap for tap in taps if before.made_at < tap.received_at <= charge.made_at]
        if not came:
            came = [tap for tap in taps if tap.received_at == before.made_at and tap.tap_id in own]
        ends = [by for at, by in stated if before.made_at <= at <= charge.made_at]
        texts = [day for at, day in tariffs if before.made_at < at <= charge.made_at]
        correction = Correction(charge.revision, charge.made_at, paid, fare, "day")
        if came:
            late = max(came, key=lambda tap: (tap.received_at - tap.tapped_at, tap.tapped_at))
            correction = Correction(charge.revision, charge.made_at, paid, fare, "late_tap", tap=late)
        elif ends:
            correction = Correction(charge.revision, charge.made_at, paid, fare, "stated", stated_by=ends[-1])
        elif texts:
            correction = Correction(
                charge.revision, charge.made_at, paid, fare, "tariff", tariff_from=texts[-1]
            )
        found.append(correction)
        paid = fare
    return found


def fares_by_revision(charges: Sequence[ChargeRecord]) -> list[Money]:
    """What the journey's fare was with each of its charges."""
    sums: list[Money] = []
    for charge in charges:
        sums.append(charge.amount if not sums else sums[-1] + charge.amount)
    return sums
