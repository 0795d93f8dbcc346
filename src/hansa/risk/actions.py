"""What risk does: listens, judges, opens cases, acts at once where a rule says so, and takes a person's decision."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from time import monotonic
from uuid import UUID

from hansa import atlas, identity
from hansa.kernel import InvalidInput, Problem
from hansa.risk import kinds, store
from hansa.risk.feed import Broken, Feed, Hands, Heard
from hansa.risk.memory import KEPT, Memory
from hansa.risk.model import (
    Case,
    CaseDecided,
    Evidence,
    Facts,
    Figure,
    Finding,
    Point,
    RuleCount,
    Seen,
    Taken,
    Turned,
    UnknownCase,
    Verdict,
    WatchCounts,
)
from hansa.risk.rules import Rule, RuleSet, own_rules, read_rules
from hansa.risk.store import Asked
from hansa.store import Context, Tx

WATCHER = "cases"
SOME = 5_000
REASON_MAX = 2_000
PLACES_LAST_S = 300.0


class Places:
    """Where stations are. A vehicle is somewhere in its city: its middle, and as far around as its stops lie.

    Cities are read again now and then, since a network may be imported anew.
    """

    def __init__(self) -> None:
        self._cities: dict[str, dict[str, Point]] = {}
        self._read_at = monotonic()

    def of(self, tx: Tx, stations: Mapping[str, str]) -> dict[str, Point]:
        """The places of these stations, each with its city, that are known."""
        if monotonic() - self._read_at > PLACES_LAST_S:
            self._cities.clear()
            self._read_at = monotonic()
        found: dict[str, Point] = {}
        for station, city_id in stations.items():
            city = self._cities.get(city_id)
            if city is None:
                city = self._cities[city_id] = _points(tx, city_id)
            point = city.get(station) or city.get("")
            if point is not None:
                found[station] = point
        return found


def _points(tx: Tx, city_id: str) -> dict[str, Point]:
    try:
        stops = atlas.get_network(tx, city_id).stops.values()
    except atlas.UnknownCity:
        return {}
    known = {
        stop.stop_id: Point(stop.lat, stop.lon)
        for stop in stops
        if stop.lat is not None and stop.lon is not None
    }
    if known:
        middle = Point(
            sum(point.lat for point in known.values()) / len(known),
            sum(point.lon for point in known.values()) / len(known),
        )
        around = max(kinds.distance_m(middle, point) for point in known.values())
        known[""] = replace(middle, within_m=around)
    return known


# -- rules --------------------------------------------------------------------------------------------------


def use_rules(tx: Tx, rules: RuleSet, at: datetime) -> int:
    """Judge by these rules from now on; gives their version, a new one only when they changed."""
    while True:
        latest = store.latest_rules(tx)
        if latest is not None and latest[1] == rules.digest:
            return latest[0]
        version = 1 if latest is None else latest[0] + 1
        if store.insert_rules(tx, version, rules.digest, rules.toml, at):
            return version


def rules_in_force(tx: Tx) -> tuple[int, RuleSet]:
    """The rules that judge now, with their version; 0 before the watcher's first turn."""
    latest = store.latest_rules(tx)
    return (0, own_rules()) if latest is None else (latest[0], read_rules(latest[2]))


def rule_of(tx: Tx, case: Case) -> Rule | None:
    """The rule as it stood when it judged this case."""
    toml = store.rules_of(tx, case.rules_version)
    return None if toml is None else read_rules(toml).named(case.rule)


# -- listening ----------------------------------------------------------------------------------------------


class Watcher:
    """Reads what gates sent, in turns. One transaction a turn: a kill loses nothing and doubles nothing.

    rules: judged by; those that come with Hansa if not given.
    """

    def __init__(self, feed: Feed, hands: Hands, rules: RuleSet | None = None) -> None:
        self._feed, self._hands = feed, hands
        self._rules = rules or own_rules()
        self._places = Places()

    def turn(self, ctx: Context, *, limit: int = SOME) -> WatchCounts:
        """Take in the next facts, at most ``limit`` of a kind. Zero heard means that nothing waits."""
        with ctx.tx() as tx:
            marks = store.lock_watcher(tx, WATCHER)
            taps, taps_mark = self._feed.taps(tx, marks.get("taps"), limit)
            refused, refused_mark = self._feed.refused(tx, marks.get("refused"), limit)
            broken, broken_mark = self._feed.broken(tx, marks.get("broken"), limit)
            now_marks = {"taps": taps_mark, "refused": refused_mark, "broken": broken_mark}
            counts = WatchCounts(len(taps), len(refused) + len(broken))
            if counts.heard:
                heard = _by_account(taps, refused)
                counts += self._judge(ctx, tx, heard, broken)
            if now_marks != marks:
                store.save_watcher(tx, WATCHER, now_marks)
        return counts

    def hear(self, ctx: Context, heard: Sequence[Heard]) -> WatchCounts:
        """Take in facts from elsewhere than the feed, in a transaction of their own."""
        with ctx.tx() as tx:
            store.lock_watcher(tx, WATCHER)
            return self._judge(ctx, tx, heard, ())

    def forget(self, ctx: Context, *, limit: int = SOME) -> int:
        """Drop what is remembered of accounts that were not seen for days; gives how many accounts."""
        with ctx.tx() as tx:
            return store.forget_memories(tx, before=ctx.clock.now() - 2 * KEPT, limit=limit)

    def _judge(self, ctx: Context, tx: Tx, heard: Sequence[Heard], broken: Sequence[Broken]) -> WatchCounts:
        now = ctx.clock.now()
        version = use_rules(tx, self._rules, now)
        partitions = {one.account_id: ctx.directory.partition_of(one.account_id) for one in heard}
        known = store.load_memories(tx, partitions)
        grown: dict[UUID, Memory] = {}
        for one in heard:
            before = grown.get(one.account_id) or known.get(one.account_id) or Memory()
            after = before.with_facts(one.taps, one.refused)
            if after is not before:
                grown[one.account_id] = after
        findings = self._findings(tx, grown)
        findings += [(None, finding) for finding in _of_chains(self._rules, broken)]
        if grown:
            store.save_memories(tx, partitions, grown)
        opened, acted = self._open(tx, findings, version, now)
        return WatchCounts(opened=opened, acted=acted)

    def _findings(self, tx: Tx, memories: Mapping[UUID, Memory]) -> list[tuple[UUID | None, Finding]]:
        stations = {
            fact.station: fact.city_id
            for memory in memories.values()
            for fact in (*memory.taps, *memory.refused)
        }
        places = self._places.of(tx, stations)
        ctis = {tap.cti for memory in memories.values() for tap in memory.taps}
        revoked = self._feed.revoked(tx, [bytes.fromhex(cti) for cti in ctis]) if ctis else {}
        return [
            (account_id, finding)
            for account_id, memory in memories.items()
            for facts in [Facts(account_id, memory.taps, memory.refused, revoked, places)]
            for rule in self._rules.rules
            for finding in kinds.judge(rule, facts)
        ]

    def _open(
        self, tx: Tx, findings: Sequence[tuple[UUID | None, Finding]], version: int, now: datetime
    ) -> tuple[int, int]:
        if not findings:
            return 0, 0
        accounts = [identity.AccountId(account_id) for account_id, _ in findings if account_id is not None]
        issuers = {one.account_id: one.issuer_id for one in identity.find_accounts(tx, accounts).values()}
        cases: dict[UUID, Case] = {}
        for account_id, finding in findings:
            rule = self._rules.named(finding.rule)
            assert rule is not None, "it was found by one of these rules"
            issuer = None if account_id is None else issuers.get(identity.AccountId(account_id))
            cases[finding.case_id] = _new_case(rule, finding, version, account_id, issuer, now)
        opened = store.open_cases(tx, [cases[case_id] for case_id in sorted(cases)])
        acted = 0
        for case_id in sorted(opened):
            acted += self._act(tx, cases[case_id], now)
        return len(opened), acted

    def _act(self, tx: Tx, case: Case, now: datetime) -> int:
        """What the rule says is done at once: in this transaction, and once, since a case is opened once."""
        rule = self._rules.named(case.rule)
        if rule is None or case.account_id is None:
            return 0
        done = 0
        for action in rule.does:
            told: dict[str, Figure]
            if action == "rotate":
                ended = self._hands.rotate(
                    tx, case.account_id, at=now, reason=f"risk: {case.rule} {case.case_id}"
                )
                if ended is None:
                    continue
                told = {"tokens_ended": ended}
            else:
                changed = self._hands.raise_standing(
                    tx, case.account_id, level=action, reason=rule.words, at=now, case_id=case.case_id
                )
                if changed is None:
                    continue
                told = {"changed": "yes" if changed else "no, it stands so already"}
            done += store.add_action(tx, case.case_id, Taken(action, now, told))
        return done


def _by_account(taps: Sequence[tuple[UUID, Seen]], refused: Sequence[tuple[UUID, Turned]]) -> list[Heard]:
    seen: dict[UUID, list[Seen]] = {}
    turned: dict[UUID, list[Turned]] = {}
    for account_id, tap in taps:
        seen.setdefault(account_id, []).append(tap)
    for account_id, one in refused:
        turned.setdefault(account_id, []).append(one)
    return [
        Heard(account_id, tuple(seen.get(account_id, ())), tuple(turned.get(account_id, ())))
        for account_id in dict.fromkeys([*seen, *turned])
    ]


# -- deciding -----------------------------------------------------------------------------------------------


def decide(
    ctx: Context,
    hands: Hands,
    case_id: UUID,
    *,
    verdict: Verdict,
    by: str,
    reason: str,
    member: str | None = None,
) -> Case:
    """A person's decision. Dismissing takes back what the case asked of the rider. Deciding so again changes nothing.

    by: who decides. reason: why, 3 to 2,000 letters. member: only a case that this member may see.
    Errors: UnknownCase, CaseDecided, InvalidInput.
    """
    reason = reason.strip()
    if not 3 <= len(reason) <= REASON_MAX:
        problem = Problem("reason", "it is missing or too long", f"Say why, in 3 to {REASON_MAX:,} letters")
        raise InvalidInput("A decision needs a reason.", problems=(problem,))
    now = ctx.clock.now()
    with ctx.tx() as tx:
        case = _seen_by(store.find_case(tx, case_id, lock=True), case_id, member)
        if case.status != "open":
            if case.status == verdict:
                return case
            raise CaseDecided(f"This case was {case.status} by {case.decided_by}.")
        store.decide(tx, case_id, status=verdict, by=by, reason=reason, at=now)
        if verdict == "dismissed" and case.account_id is not None:
            asked = any(taken.action in ("step_up", "block") for taken in case.taken)
            if asked and hands.clear_standing(tx, case.account_id, reason=reason, at=now, case_id=case_id):
                store.add_action(tx, case_id, Taken("clear", now, {"changed": "yes"}))
        decided = store.find_case(tx, case_id)
    assert decided is not None, "cases are never deleted"
    return decided


def get_case(tx: Tx, case_id: UUID, *, member: str | None = None) -> Case:
    """A case with its evidence. member: only one that this member may see. Errors: UnknownCase."""
    return _seen_by(store.find_case(tx, case_id), case_id, member)


def list_cases(tx: Tx, asked: Asked, *, limit: int = 50) -> list[Case]:
    """Cases that are looked for, newest evidence first."""
    return store.list_cases(tx, asked, limit=limit)


def count_cases(tx: Tx, *, member: str | None = None) -> list[RuleCount]:
    """Cases by day and rule, newest day first."""
    return store.count_cases(tx, member)


def _seen_by(case: Case | None, case_id: UUID, member: str | None) -> Case:
    if case is None or (member is not None and member != case.issuer_id and member not in case.operators):
        raise UnknownCase(f"There is no case {case_id}.")
    return case


def _of_chains(rules: RuleSet, broken: Sequence[Broken]) -> list[Finding]:
    """A case for each gate and place where its chain does not hold."""
    return [
        Finding(
            rule.name,
            f"{one.gate_id}/{one.sequence}",
            Evidence(
                figures={
                    "gate": one.gate_id,
                    "operator": one.operator_id,
                    "sequence": one.sequence,
                    "at": one.at.isoformat(),
                    **one.figures,
                }
            ),
        )
        for rule in rules.rules
        if rule.kind == "chain"
        for one in broken
    ]


def _new_case(
    rule: Rule, finding: Finding, version: int, account_id: UUID | None, issuer_id: str | None, now: datetime
) -> Case:
    facts = (*finding.evidence.taps, *finding.evidence.refused)
    operators = {fact.operator_id for fact in facts}
    instants = [fact.at for fact in facts]
    if not facts:
        operators = {str(finding.evidence.figures["operator"])}
        instants = [datetime.fromisoformat(str(finding.evidence.figures["at"]))]
    return Case(
        case_id=finding.case_id,
        rule=rule.name,
        rules_version=version,
        severity=rule.severity,
        subject=finding.subject,
        account_id=account_id,
        issuer_id=issuer_id,
        operators=tuple(sorted(operators)),
        opened_at=now,
        first_at=min(instants),
        last_at=max(instants),
        status="open",
        evidence=finding.evidence,
    )
