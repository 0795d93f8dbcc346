"""What can be done in rides: hand in taps, have days rated, have charges posted, look into a journey."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

from hansa import atlas, clearing, identity, ledger, payments, trust
from hansa.fares import JourneyId, Tariff
from hansa.kernel import (
    HansaError,
    InvalidInput,
    Money,
    Problem,
    fact_id,
    service_day_bounds,
)
from hansa.rides import charges_store, first_charges, looking_back, store, tokens_store
from hansa.rides.chains import note_two_taps
from hansa.rides.model import (
    REFUSED_CODES_MAX,
    TAPS_MAX,
    ChargeRecord,
    CityFares,
    CityFlow,
    Flow,
    FlowSlot,
    HeldReason,
    JourneyDetail,
    JourneyRecord,
    OpeningSpend,
    PostCounts,
    Refusals,
    RefusedCode,
    RefusedCodesReceipt,
    RefusedTap,
    TapBatchTooLarge,
    TapLike,
    TapReceipt,
    TariffConflict,
    Token,
    UnknownJourney,
    UnknownTariff,
    tap_digest,
)
from hansa.rides.pairing import taps_beside
from hansa.rides.rating_store import NewCharge
from hansa.rides.standing import part_held
from hansa.rides.store import DayKey, KnownTap, TariffVersion
from hansa.rides.tariffs import Tariffs, digest_of
from hansa.rides.waiting import end_waiting, keep_waiting, take_waiting
from hansa.store import Context, Tx

AHEAD_MAX = timedelta(minutes=5)
"""How far a gate's clock may run ahead of ours before its taps are refused."""

BEFORE_ALL = datetime(2000, 1, 1, tzinfo=UTC)
"""A tap from before this comes from a clock that lost its time."""

EXPIRED_MAX = timedelta(seconds=30)
"""How long after a ride token's end a gate may still let it in: the skew that gates forgive."""

CHARGES_MAX = 2_000
"""Charges in one call of payments, so that its chains stay within one ledger batch."""

# -- tariffs ------------------------------------------------------------------------------------------------


def import_tariff(tx: Tx, tariff: Tariff) -> bool:
    """Put a tariff in force from its first day; False when exactly this one was there already.

    Days that it speaks for and that have taps are rated again.
    Errors: TariffConflict when another text begins on that day, or the operator's day would start at another time;
    InvalidInput for rules that need what the books do not keep, and for a subsidy whose payer is no member.
    """
    _refuse_what_it_asks(tx, tariff)
    versions = [version for version in store.list_tariffs(tx) if version.operator_id == tariff.operator_id]
    digest = digest_of(tariff.source)
    for version in versions:
        if version.valid_from == tariff.valid_from:
            if version.digest == digest:
                return False
            raise TariffConflict
        if (version.tz, version.day_starts, version.currency) != (
            tariff.tz,
            tariff.day_starts,
            tariff.currency,
        ):
            raise TariffConflict(
                "Time zone, day start and currency of an operator are the same in all its tariffs."
            )
    if not store.insert_tariff(tx, tariff, digest, looking_back.Look.of(tariff).partners, _now(tx)):
        raise TariffConflict
    store.mark_days_of_operator(tx, tariff)
    return True


def _refuse_what_it_asks(tx: Tx, tariff: Tariff) -> None:
    """A rule that is not given what it needs would be priced as if there were nothing to give."""
    problems = [
        Problem(f"tariff.toml: {name}", "the books do not keep it", "Leave out the rules that need it")
        for name in sorted(tariff.asks - looking_back.KEPT)
    ]
    payers = {
        rule.subsidy.payer: f"classes.{name}.subsidy.payer"
        for name, rule in tariff.classes.items()
        if rule.subsidy is not None
    }
    members = {one.member_id for one in trust.list_members(tx)} if payers else set[str]()
    problems += [
        Problem(f"tariff.toml: {field}", f"{payer!r} is no member of the league", "Name a member that pays")
        for payer, field in sorted(payers.items())
        if payer not in members
    ]
    if problems:
        raise InvalidInput(
            "This tariff cannot be put in force here yet; it can be checked.", problems=tuple(problems)
        )


def list_tariffs(tx: Tx) -> list[TariffVersion]:
    """All versions of all tariffs, by operator and first day."""
    return store.list_tariffs(tx)


def get_tariff(tx: Tx, operator_id: str, day: date) -> Tariff:
    """The tariff in force on a service day. Errors: UnknownTariff."""
    tariffs = Tariffs(tx)
    version = tariffs.version_on(operator_id, day)
    if version is None:
        raise UnknownTariff(f"{operator_id} has no tariff in force on {day}.")
    return tariffs.read(version)


# -- taps ---------------------------------------------------------------------------------------------------


def record_taps(
    ctx: Context, gate_id: str | None, taps: Sequence[TapLike], *, operator_id: str | None = None
) -> TapReceipt:
    """Keep taps exactly once. Sending a batch again is harmless: all its taps are duplicates then.

    gate_id: the one gate that speaks; None when someone hands in for many. operator_id: whose gates these must be.
    A refused tap does not hold up the others. One whose token nobody has told of is refused too, but is kept aside
    and taken in by ``retry_taps`` once an issuer has. Errors: TapBatchTooLarge, with nothing kept.
    """
    if len(taps) > TAPS_MAX:
        raise TapBatchTooLarge(f"{len(taps):,} taps in one batch; send at most {TAPS_MAX:,} at a time.")
    if not taps:
        return TapReceipt(0, 0, ())
    with ctx.tx() as tx:
        gates = trust.find_gates(tx, {tap.gate_id for tap in taps})
        if gate_id is not None:
            gates = {one: gate for one, gate in gates.items() if one == gate_id}
        if operator_id is not None:
            gates = {one: gate for one, gate in gates.items() if gate.operator_id == operator_id}
        return _record(tx, ctx, taps, gates)


def retry_taps(ctx: Context, limit: int = TAPS_MAX) -> int:
    """Take in taps that waited for their token and need not any more; gives how many were looked at.

    One that may not be taken in now stays aside with the reason. Safe to run again, to kill, and beside itself.
    """
    with ctx.tx() as tx:
        waited = take_waiting(tx, min(limit, TAPS_MAX))
        if not waited:
            return 0
        gates = trust.find_gates(tx, {one.gate_id for one in waited})
        receipt = _record(tx, ctx, [one.tap for one in waited], gates)
        refused = {one.index: one.code for one in receipt.refused}
        end_waiting(
            tx,
            [one for index, one in enumerate(waited) if index not in refused],
            [(waited[index], code) for index, code in refused.items()],
        )
    return len(waited)


def _record(tx: Tx, ctx: Context, taps: Sequence[TapLike], gates: dict[str, trust.GateRecord]) -> TapReceipt:
    """Keep the taps of these gates; those of any other are refused."""
    now = ctx.clock.now()
    tokens = tokens_store.find_tokens(tx, [tap.cti for tap in taps])
    stops = stops_to_name(tx, [(tap.gate_id, tap.stop_id) for tap in taps], gates)
    good, refused, repeats = _sort_out(ctx, taps, gates, tokens, stops, now)
    recorded, duplicates, conflicts = _keep(tx, good, now)
    refused += conflicts
    aside = {
        code: [
            (taps[one.index], gates[taps[one.index].gate_id].operator_id)
            for one in refused
            if one.code == code
        ]
        for code in ("rides.unknown_token", "rides.tap_conflict")
    }
    keep_waiting(tx, aside["rides.unknown_token"], now)
    note_two_taps(
        tx, [(tap, operator) for tap, operator in aside["rides.tap_conflict"] if _is_own_id(tap)], now
    )
    return TapReceipt(recorded, duplicates + repeats, tuple(sorted(refused, key=lambda one: one.index)))


def _is_own_id(tap: TapLike) -> bool:
    return tap.tap_id == fact_id(tap.tapped_at, tap.gate_id, tap.sequence)


def _sort_out(
    ctx: Context,
    taps: Sequence[TapLike],
    gates: dict[str, trust.GateRecord],
    tokens: dict[bytes, Token],
    stops: dict[str, frozenset[str]],
    now: datetime,
) -> tuple[dict[int, KnownTap], list[RefusedTap], int]:
    """Taps that may be kept, by their place in the batch; those that may not; and repeats within the batch."""
    good: dict[int, KnownTap] = {}
    refused: list[RefusedTap] = []
    seen: dict[tuple[str, int], bytes] = {}
    partitions: dict[UUID, int] = {}
    repeats = 0
    for index, tap in enumerate(taps):
        gate, token = gates.get(tap.gate_id), tokens.get(tap.cti)
        if gate is None:
            refused.append(
                RefusedTap(index, "rides.unknown_gate", f"No gate {tap.gate_id!r} that you speak for.")
            )
            continue
        if token is None:
            detail = f"No issuer told of token {tap.cti.hex()}; the tap is kept aside until one does."
            refused.append(RefusedTap(index, "rides.unknown_token", detail))
            continue
        fault = _fault_of(tap, gate, token, stops, now)
        if fault is not None:
            refused.append(RefusedTap(index, *fault))
            continue
        digest = tap_digest(tap)
        first = seen.get((tap.gate_id, tap.sequence))
        if first is None:
            seen[tap.gate_id, tap.sequence] = digest
            partition = partitions.get(token.account_id)
            if partition is None:
                partition = partitions[token.account_id] = ctx.directory.partition_of(token.account_id)
            good[index] = KnownTap(
                tap,
                digest,
                partition,
                token.account_id,
                gate.operator_id,
                tap.stop_id or gate.stop_id,
                gate.line_id,
                gate.product,
            )
        elif first == digest:
            repeats += 1
        else:
            refused.append(_conflict(index, tap))
    return good, refused, repeats


def _fault_of(
    tap: TapLike,
    gate: trust.GateRecord,
    token: Token,
    stops: dict[str, frozenset[str]],
    now: datetime,
) -> tuple[str, str] | None:
    """Why this gate cannot have made this tap, as a stable code and in words; None when it can."""
    if tap.tapped_at > now + AHEAD_MAX:
        ahead = int((tap.tapped_at - now).total_seconds())
        detail = f"{ahead:,} s ahead of our clock; set the gate's clock and hand the tap in again later."
        return "rides.tap_from_future", detail
    if tap.tapped_at < BEFORE_ALL:
        return (
            "rides.tap_too_old",
            f"{tap.tapped_at.isoformat()} is before any ride; set the gate's clock.",
        )
    if tap.action != gate.action:
        return "rides.wrong_action", f"Gate {tap.gate_id!r} makes taps of {gate.action}, not of {tap.action}."
    if tap.stop_id is not None and not stands_at(gate, tap.stop_id, stops):
        place = gate.stop_id or f"the stops of {gate.city_id}"
        return "rides.wrong_stop", f"Gate {tap.gate_id!r} is at {place}, not at {tap.stop_id!r}."
    if tap.tapped_at - EXPIRED_MAX > token.expires_at:
        detail = f"Token {tap.cti.hex()} ended at {token.expires_at.isoformat()}, before this tap."
        return "rides.token_expired", detail
    if not _is_own_id(tap):
        detail = "tap_id is not the id of this gate's tap with this sequence number and instant."
        return "rides.tap_conflict", detail
    return None


def stands_at(gate: trust.GateRecord, stop_id: str, stops: Mapping[str, frozenset[str]]) -> bool:
    """Whether a tap of this gate may name this stop. stops: what ``stops_to_name`` gave."""
    return stop_id == gate.stop_id if gate.stop_id is not None else stop_id in stops[gate.city_id]


def stops_to_name(
    tx: Tx, named: Iterable[tuple[str, str | None]], gates: Mapping[str, trust.GateRecord]
) -> dict[str, frozenset[str]]:
    """By city, the stops that taps on board may name; only of cities in which some do. named: gate and stop of taps."""
    on_board = {gate_id for gate_id, stop_id in named if stop_id is not None} & gates.keys()
    found: dict[str, frozenset[str]] = {}
    for city_id in {gates[gate_id].city_id for gate_id in on_board if gates[gate_id].stop_id is None}:
        try:
            found[city_id] = frozenset(atlas.get_network(tx, city_id).stops)
        except atlas.UnknownCity:
            found[city_id] = frozenset()
    return found


def _keep(tx: Tx, good: dict[int, KnownTap], now: datetime) -> tuple[int, int, list[RefusedTap]]:
    """Write what is new, and tell repeats from contradictions in the rest."""
    if not good:
        return 0, 0, []
    fresh = store.add_taps(tx, list(good.values()), now)
    tariffs = Tariffs(tx)
    days: set[DayKey] = set()
    old: dict[int, KnownTap] = {}
    for index, known in good.items():
        if (known.tap.gate_id, known.tap.sequence) not in fresh:
            old[index] = known
        elif tariffs.knows(known.operator_id):
            day = tariffs.day_of(known.operator_id, known.tap.tapped_at)
            days.add(DayKey(known.partition, known.account_id, known.operator_id, day))
    store.mark_days(tx, days, now)
    if not old:
        return len(fresh), 0, []
    digests = store.find_digests(tx, [(known.tap.gate_id, known.tap.sequence) for known in old.values()])
    conflicts = [
        _conflict(index, known.tap)
        for index, known in old.items()
        if digests[known.tap.gate_id, known.tap.sequence] != known.digest
    ]
    return len(fresh), len(old) - len(conflicts), conflicts


def _conflict(index: int, tap: TapLike) -> RefusedTap:
    detail = f"Tap {tap.sequence} of gate {tap.gate_id!r} is known with other content; the first stays."
    return RefusedTap(index, "rides.tap_conflict", detail)


def find_last_tap(tx: Tx, gate_id: str) -> tuple[int, bytes] | None:
    """Number and chain of a gate's last tap, from which a replaced device goes on; None before its first."""
    return store.find_last_tap(tx, gate_id)


def record_refusals(tx: Tx, refusals: Sequence[Refusals]) -> None:
    """Take in how often gates refused, by minute and reason. Hearing a count again is harmless.

    Errors: trust.UnknownGate, with nothing kept.
    """
    gates = trust.find_gates(tx, {one.gate_id for one in refusals})
    for one in refusals:
        if one.gate_id not in gates:
            raise trust.UnknownGate(f"The league has no gate {one.gate_id!r}.")
    store.record_refusals(
        tx,
        [
            (one.gate_id, one.minute, one.reason, gates[one.gate_id].operator_id, one.count)
            for one in refusals
        ],
    )


def record_refused_codes(
    ctx: Context, gate_id: str | None, codes: Sequence[RefusedCode], *, operator_id: str | None = None
) -> RefusedCodesReceipt:
    """Keep what codes said that gates refused although both signatures were good. Again is harmless.

    gate_id: the one gate that speaks; None when someone tells for many. operator_id: whose gates these must be.
    Errors: trust.UnknownGate, InvalidInput for more than 1,000 or none, or from more than five minutes ahead of our
    clock; nothing is kept then.
    """
    if not 0 < len(codes) <= REFUSED_CODES_MAX:
        problem = Problem("codes", f"there are {len(codes):,}", f"Send 1 to {REFUSED_CODES_MAX:,} at a time")
        raise InvalidInput("These refused codes cannot be taken.", problems=(problem,))
    now = ctx.clock.now()
    for index, code in enumerate(codes):
        if code.at > now + AHEAD_MAX:
            problem = Problem(f"codes[{index}].at", "it is ahead of our clock", "Set the gate's clock")
            raise InvalidInput("A refusal cannot be of the future.", problems=(problem,))
    with ctx.tx() as tx:
        gates = trust.find_gates(tx, {code.gate_id for code in codes})
        for code in codes:
            gate = gates.get(code.gate_id)
            if gate is None or operator_id not in (None, gate.operator_id):
                raise trust.UnknownGate(f"No gate {code.gate_id!r} that you speak for.")
            if gate_id not in (None, code.gate_id):
                raise trust.UnknownGate(f"{gate_id} does not speak for {code.gate_id!r}.")
        found = {
            fact_id(
                code.at,
                "rides.refused_code",
                *(code.gate_id, code.reason, code.kid.hex(), code.cti.hex(), code.companion, code.counter),
                code.made_at.timestamp(),
            ): code
            for code in codes
        }
        rows = [(key, gates[code.gate_id].operator_id, code) for key, code in found.items()]
        recorded = store.record_refused_codes(tx, rows, now)
    return RefusedCodesReceipt(recorded, len(codes) - recorded)


def set_opening_spend(tx: Tx, spends: Sequence[OpeningSpend]) -> None:
    """State what accounts had spent in a week or month before Hansa kept the books."""
    store.set_opening_spend(tx, spends)


# -- charges ------------------------------------------------------------------------------------------------


def post_charges(ctx: Context, limit: int = 100_000) -> PostCounts:
    """Send charges to the ledger, through payments, in the order in which the rides ended.

    A charge is noted as an intent first and carries its own id, so a run after a kill finishes what was begun. What
    payments will not take, such as for want of an exchange rate, waits for a later run and holds up nothing else; so
    does what a member that is suspended, or has left, would be charged or earn.
    """
    counts = PostCounts()
    opened: set[tuple[str, str, str]] = set()
    last: NewCharge | None = None
    while counts.charges + counts.waiting < limit:
        with ctx.tx() as tx:
            most = min(CHARGES_MAX, limit - counts.charges - counts.waiting)
            intents = charges_store.load_intents(tx, most, after=last)
            due = part_held(tx, intents, ctx.clock.now())
        if not intents:
            break
        last = intents[-1]
        positions = {(one.issuer_id, one.operator_id, one.currency) for one in due}
        if positions - opened:
            clearing.open_positions(ctx, sorted(positions - opened), for_the_past=True)
            opened |= positions
        charged = {one.charge_id: one for one in _send(ctx, [_charge(one) for one in due])}
        posted = [
            charges_store.PostedCharge(
                one.partition,
                one.journey_id,
                one.revision,
                charged[one.charge_id].wallet_amount.minor,
                charged[one.charge_id].on_risk,
                " ".join(str(transfer_id) for transfer_id in charged[one.charge_id].transfer_ids),
            )
            for one in due
            if one.charge_id in charged
        ]
        with ctx.tx() as tx:
            charges_store.mark_posted(tx, posted, ctx.clock.now())
        counts = PostCounts(
            counts.charges + len(posted),
            counts.on_risk + sum(one.on_risk for one in posted),
            counts.waiting + len(intents) - len(posted),
        )
    return replace(counts, subsidies=_post_subsidies(ctx, limit, opened))


def _post_subsidies(ctx: Context, limit: int, opened: set[tuple[str, str, str]]) -> int:
    """Have members pay their parts of fares; gives how many. opened: positions that are open already."""
    count = 0
    while count < limit:
        with ctx.tx() as tx:
            held = trust.shut_out(tx, "ride", ctx.clock.now())
            intents = charges_store.load_subsidy_intents(tx, min(CHARGES_MAX, limit - count), held)
        if not intents:
            break
        positions = {(one.payer_id, one.operator_id, one.currency) for one in intents}
        if positions - opened:
            clearing.open_positions(ctx, sorted(positions - opened), for_the_past=True)
            opened |= positions
        transfers = payments.subsidise(
            ctx,
            [
                payments.Subsidy(
                    subsidy_id=one.subsidy_id,
                    payer_id=one.payer_id,
                    amount=Money(one.amount_minor, one.currency),
                    payee=clearing.position_account(
                        one.payer_id, one.operator_id, one.currency, one.partition
                    ),
                    at=one.event_at,
                    reference=one.journey_id,
                    partition=one.partition,
                )
                for one in intents
            ],
        )
        with ctx.tx() as tx:
            posted = list(zip(intents, transfers, strict=True))
            charges_store.mark_subsidies_posted(tx, posted, ctx.clock.now())
        count += len(intents)
    return count


def _send(ctx: Context, charges: Sequence[payments.Charge]) -> list[payments.Charged]:
    """Charge them together; where that is refused, halve until those that are refused stand alone."""
    try:
        return payments.charge(ctx, charges)
    except HansaError as error:
        if error.status >= 500:
            raise
        if len(charges) == 1:
            return []
        half = len(charges) // 2
        return [*_send(ctx, charges[:half]), *_send(ctx, charges[half:])]


def _charge(intent: NewCharge) -> payments.Charge:
    first = intent.revision == 0
    return payments.Charge(
        charge_id=intent.charge_id,
        account_id=identity.AccountId(intent.account_id),
        issuer_id=trust.MemberId(intent.issuer_id),
        wallet_currency=intent.wallet_currency,
        amount=Money(intent.amount_minor, intent.currency),
        payee=clearing.position_account(
            intent.issuer_id, intent.operator_id, intent.currency, intent.partition
        ),
        at=intent.event_at,
        rate_day=intent.service_day,
        reference=intent.journey_id,
        code=ledger.TransferCode.FARE if first else ledger.TransferCode.FARE_CORRECTION,
    )


# -- looking ------------------------------------------------------------------------------------------------


def journeys(
    tx: Tx, account_id: UUID, *, after: tuple[datetime, UUID] | None = None, limit: int = 50
) -> list[JourneyRecord]:
    """An account's journeys, latest first. after: start and id of the last one seen."""
    return store.list_journeys(tx, account_id, after, limit)


def find_journeys(tx: Tx, ids: Sequence[JourneyId]) -> dict[JourneyId, JourneyRecord]:
    """Those of these journeys that there are, by id."""
    return {found.record.journey_id: found.record for found in store.get_journeys(tx, ids)}


def journey(tx: Tx, journey_id: JourneyId) -> JourneyDetail:
    """A journey down to its taps and up to its postings. Errors: UnknownJourney."""
    found = store.get_journeys(tx, [journey_id])
    if not found:
        raise UnknownJourney(f"There is no journey {journey_id}.")
    one = found[0]
    taps = store.get_taps(tx, one, [*one.taps, *taps_beside(one.record.notes)])
    charges = first_charges.charges_of(tx, one.partition, [journey_id]).get(journey_id, [])
    subsidies = store.get_subsidies(tx, one.partition, journey_id)
    return JourneyDetail(one.record, tuple(taps), tuple(charges), tuple(subsidies))


def charges_of(tx: Tx, journey_ids: Sequence[JourneyId]) -> dict[UUID, list[ChargeRecord]]:
    """The charges of each of these journeys, first to last; those that have none are left out."""
    partitions: dict[int, list[UUID]] = {}
    for found in store.get_journeys(tx, journey_ids):
        partitions.setdefault(found.partition, []).append(found.record.journey_id)
    return {
        journey_id: records
        for partition, ids in partitions.items()
        for journey_id, records in first_charges.charges_of(tx, partition, ids).items()
    }


def list_held(tx: Tx, operator_id: str, day: date | None = None, *, limit: int = 200) -> list[HeldReason]:
    """Why an operator's rides wait for a price, by service day, latest first; of one day where one is named."""
    return store.list_held(tx, operator_id, day, limit)


def rate_again(
    tx: Tx,
    operator_id: str,
    first_day: date,
    last_day: date,
    *,
    only_held: bool = False,
    afresh: bool = True,
) -> int:
    """Have an operator's service days rated again on purpose; gives how many (of all its riders).

    afresh: over the network that holds on each day by now; else a day keeps the network it was priced over, as it does
    whenever a tap comes late. only_held: only days with a ride that waits for a price.
    """
    return store.rate_again(tx, operator_id, first_day, last_day, only_held=only_held, afresh=afresh)


def fares_by_city(tx: Tx, day: date) -> list[CityFares]:
    """What a service day brought each operator."""
    cities = {version.operator_id: version.city_id for version in Tariffs(tx).all_latest()}
    return [
        CityFares(cities[operator_id], operator_id, currency, *counts)
        for operator_id, currency, *counts in store.fares_by_operator(tx, day)
    ]


def posted_total(tx: Tx) -> dict[str, int]:
    """All charges and subsidies ever posted, by currency: what positions have taken in from rides, to the cent."""
    return first_charges.posted_by_currency(tx)


def flow(tx: Tx, day: date) -> Flow:
    """A service day of the whole league: taps and refusals by five minutes, by stop and by line."""
    versions = sorted(Tariffs(tx).all_latest(), key=lambda version: version.city_id)
    spans = {one.operator_id: service_day_bounds(day, one.tz, one.day_starts) for one in versions}
    rows = store.flow_rows(tx, day, spans)
    return Flow(day, tuple(_city_flow(tx, version, rows[version.operator_id]) for version in versions))


def _city_flow(tx: Tx, version: TariffVersion, rows: store.FlowRows) -> CityFlow:
    first_minute = version.day_starts.hour * 60 + version.day_starts.minute
    slots: dict[int, list[int]] = {}
    for slot, action, count in rows.taps:
        slots.setdefault(slot, [0, 0, 0, 0])[_COLUMNS[action]] += count
    reasons: dict[str, int] = {}
    for slot, reason, count in rows.refusals:
        slots.setdefault(slot, [0, 0, 0, 0])[3] += count
        reasons[reason] = reasons.get(reason, 0) + count
    stops: dict[str, int] = {}
    lines: dict[str, int] = {}
    network = atlas.get_network(tx, version.city_id)
    for stop, line, count in rows.places:
        if stop is not None:
            stops[stop] = stops.get(stop, 0) + count
        for name in _lines_of(network, stop, line):
            lines[name] = lines.get(name, 0) + count
    number, riders, incomplete, held, fares = rows.journeys
    return CityFlow(
        city_id=version.city_id,
        operator_id=version.operator_id,
        taps=sum(count for _, _, count in rows.taps),
        journeys=number,
        riders=riders,
        incomplete=incomplete,
        held=held,
        fares=Money(fares, version.currency),
        slots=tuple(FlowSlot(first_minute + 5 * slot, *slots[slot]) for slot in sorted(slots)),
        refusals=reasons,
        stops=stops,
        lines=lines,
    )


_COLUMNS = {"entry": 0, "exit": 1, "board": 2}


def _lines_of(network: atlas.Network, stop: str | None, line: str | None) -> list[str]:
    """The line that was boarded, else those that call where the rider entered."""
    if line is not None:
        return [line]
    if stop is None or stop not in network.stops:
        return []
    return [one.line_id for one in network.lines_at(stop)]


def _now(tx: Tx) -> datetime:
    row = tx.execute("select now()").fetchone()
    assert row is not None, "now() has a row"
    return row[0]
