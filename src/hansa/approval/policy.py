"""Which approval a payment needs: a table of rows as data, and the pure rule that reads it.

The strictest row that applies decides. Every condition of a row holds from some risk upwards, so whatever makes a
payment riskier can only bring further rows into play: the level asked for never falls.
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files
from typing import Annotated, Any, Literal, NamedTuple

import msgspec

from hansa.approval.model import ApprovalLevel, BadPolicy, Channel, Reason
from hansa.kernel import CURRENCY_EXPONENTS, Problem

BandName = Literal["small", "everyday", "large", "great", "huge"]
ProofName = Literal["none", "contact", "name", "document"]
PayeeName = Literal["known", "recent", "new"]
LevelName = Literal["code", "session", "pin", "passkey", "passkey_delay", "second_person"]

BANDS: tuple[BandName, ...] = ("small", "everyday", "large", "great", "huge")
PROOFS: tuple[ProofName, ...] = ("none", "contact", "name", "document")
PAYEES: tuple[PayeeName, ...] = ("known", "recent", "new")

RECENT_H = 24
"""A payee who was first paid within so many hours is recent: known, but only just."""

REASONS: dict[str, str] = {
    "any": "Each payment is approved by you.",
    "amount": "This amount is more than a small purchase.",
    "bank": "Money that leaves for a bank account is always approved so.",
    "new_payee": "You pay this payee for the first time, or only began to.",
    "new_credential": "What you approve with is new on your account.",
    "old_session": "You signed in a while ago.",
    "many": "There were many payments in the last hour.",
    "much": "You have paid much in a short time.",
    "unproved": "Your name has not been proved yet.",
    "recovered": "Your account was recovered in the last days.",
    "guarded": "Somebody looks after this account with you.",
}
"""Why a level is asked for, by the name that a row gives: the sentences that a rider reads."""

_Count = Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]
_Hours = Annotated[int, msgspec.Meta(ge=1, le=8_784)]
_Unit = Annotated[int, msgspec.Meta(ge=1, le=1_000_000_000_000)]
_Text = Annotated[str, msgspec.Meta(min_length=1, max_length=100)]


class Row(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A row of the table: where all its conditions hold, the level is asked for. A condition left out always holds.

    channels: any of them. band: this one or more. payee: as little known or less. credential_under_h, session_over_h,
    recovered_within_h: hours. count_in_hour: so many payments with this one. sum_in_hour, sum_in_day: the band of all
    that was paid, with this payment. proof_under: known less well than so. guarded: another person looks after it.
    because: a name of REASONS.
    """

    name: _Text
    needs: LevelName
    because: _Text
    channels: tuple[Channel, ...] = tuple(Channel)
    band: BandName = "small"
    payee: PayeeName = "known"
    credential_under_h: _Hours | None = None
    session_over_h: _Hours | None = None
    recovered_within_h: _Hours | None = None
    count_in_hour: _Count | None = None
    sum_in_hour: BandName = "small"
    sum_in_day: BandName = "small"
    proof_under: ProofName | None = None
    guarded: bool = False

    @property
    def level(self) -> ApprovalLevel:
        return ApprovalLevel[self.needs.upper()]


class Bands(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where each band ends, in units; what is more than great is huge."""

    small: _Unit
    everyday: _Unit
    large: _Unit
    great: _Unit


class Ceiling(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What may be spent at most, in units: by one payment, in a day, in a month."""

    payment: _Unit
    day: _Unit
    month: _Unit


class Recovery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """For how long ceilings are lowered after a recovery, and to which part of them."""

    hours: _Hours
    percent: Annotated[int, msgspec.Meta(ge=0, le=100)]


class Waits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How long a raised limit, a payment that cools, and another person's answer take; and when asking ends."""

    raise_h: _Hours
    delay_h: _Hours
    second_person_h: _Hours
    expires_min: Annotated[int, msgspec.Meta(ge=1, le=1_440)]


class PinRules(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Wrong tries of a PIN before the first wait, and the seconds of each wait."""

    tries: Annotated[int, msgspec.Meta(ge=1, le=10)]
    waits_s: Annotated[
        tuple[Annotated[int, msgspec.Meta(ge=1, le=604_800)], ...], msgspec.Meta(max_length=10)
    ]


class Policy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An issuer's policy of approval. policy.toml says what each figure means."""

    version: Annotated[int, msgspec.Meta(ge=1)]
    units: dict[str, _Unit]
    bands: Bands
    ceilings: dict[ProofName, Ceiling]
    recovery: Recovery
    waits: Waits
    pin: PinRules
    rows: Annotated[tuple[Row, ...], msgspec.Meta(min_length=1, max_length=200)]

    def band_of(self, minor: int, currency: str) -> int:
        """The band of an amount: 0 for small to 4 for huge. currency: one of ``units``."""
        unit, bands = self.units[currency], self.bands
        ends = (bands.small, bands.everyday, bands.large, bands.great)
        return sum(minor > unit * end for end in ends)

    def ceiling(self, proof: int, currency: str, *, recovered: bool) -> tuple[int, int, int]:
        """Minor units that may be spent by one payment, in a day, in a month. proof: 0 for none to 3 for document."""
        found, unit = self.ceilings[PROOFS[proof]], self.units[currency]
        percent = self.recovery.percent if recovered else 100
        payment, day, month = (one * unit * percent // 100 for one in (found.payment, found.day, found.month))
        return payment, day, month


class Risk(NamedTuple):
    """All that the table looks at, in its own measures.

    band, hour_band, day_band: 0 for small to 4 for huge; of this payment, and of what was paid with it. payee: 0 for
    known to 2 for new. hours: None where there is nothing to count from. proof: 0 for none to 3 for document.
    """

    channel: Channel
    band: int
    payee: int
    proof: int
    count_in_hour: int
    hour_band: int
    day_band: int
    credential_h: int | None = None
    session_h: int | None = None
    recovered_h: int | None = None
    guarded: bool = False


def applies(row: Row, risk: Risk) -> bool:
    """Whether all conditions of this row hold."""
    return (
        risk.channel in row.channels
        and risk.band >= BANDS.index(row.band)
        and risk.payee >= PAYEES.index(row.payee)
        and risk.hour_band >= BANDS.index(row.sum_in_hour)
        and risk.day_band >= BANDS.index(row.sum_in_day)
        and (row.count_in_hour is None or risk.count_in_hour >= row.count_in_hour)
        and (row.credential_under_h is None or _under(risk.credential_h, row.credential_under_h))
        and (row.recovered_within_h is None or _under(risk.recovered_h, row.recovered_within_h))
        and (
            row.session_over_h is None
            or (risk.session_h is not None and risk.session_h >= row.session_over_h)
        )
        and (row.proof_under is None or risk.proof < PROOFS.index(row.proof_under))
        and (risk.guarded or not row.guarded)
    )


def required(rows: Iterable[Row], risk: Risk) -> tuple[ApprovalLevel, tuple[Reason, ...]]:
    """The level that this payment needs, and why: a reason for each row that asks for just that level.

    rows: of a policy; those for other channels may be left out.
    """
    found = [row for row in rows if applies(row, risk)]
    level = max(row.level for row in found)
    names = dict.fromkeys(row.because for row in found if row.level == level)
    return level, tuple(Reason(name, level) for name in names)


KNOWN_MAX = 20_000


class Rules:
    """A policy with what was worked out of it before: most payments are of few kinds."""

    __slots__ = ("_ceilings", "_ends", "_needed", "_rows", "policy")

    def __init__(self, policy: Policy) -> None:
        bands = policy.bands
        parts = (bands.small, bands.everyday, bands.large, bands.great)
        self.policy = policy
        self._ends = {currency: tuple(unit * one for one in parts) for currency, unit in policy.units.items()}
        self._ceilings: dict[tuple[int, str, bool], tuple[int, int, int]] = {}
        self._rows: dict[Channel, list[Row]] = {
            channel: [row for row in policy.rows if channel in row.channels] for channel in Channel
        }
        self._needed: dict[Risk, tuple[ApprovalLevel, tuple[Reason, ...]]] = {}

    def band_of(self, minor: int, currency: str) -> int:
        """As ``Policy.band_of``."""
        return bisect_left(self._ends[currency], minor)

    def ceiling(self, proof: int, currency: str, *, recovered: bool) -> tuple[int, int, int]:
        """As ``Policy.ceiling``."""
        asked = (proof, currency, recovered)
        found = self._ceilings.get(asked)
        if found is None:
            found = self._ceilings[asked] = self.policy.ceiling(proof, currency, recovered=recovered)
        return found

    def required(self, risk: Risk) -> tuple[ApprovalLevel, tuple[Reason, ...]]:
        """As ``required`` of this policy's rows."""
        found = self._needed.get(risk)
        if found is None:
            if len(self._needed) >= KNOWN_MAX:
                self._needed.clear()
            found = self._needed[risk] = required(self._rows[risk.channel], risk)
        return found


def read_policy(toml: str, *, under: Policy | None = None, where: str = "policy.toml") -> Policy:
    """A policy from its text. under: an issuer's own says what differs; each of its tables takes the place of theirs.

    Errors: BadPolicy, which names each field at fault and the remedy.
    """
    try:
        said: dict[str, Any] = msgspec.toml.decode(toml)
        whole: Mapping[str, Any] = said if under is None else msgspec.to_builtins(under) | said
        policy = msgspec.convert(whole, Policy)
    except msgspec.DecodeError as error:
        problem = Problem(where, str(error), "Write the fields of docs/approval.md, each within its bounds")
        raise BadPolicy(problems=(problem,)) from error
    problems = tuple(_faults(policy, where))
    if problems:
        raise BadPolicy(problems=problems)
    return policy


@cache
def own_policy() -> Policy:
    """The policy that comes with Hansa."""
    return read_policy((files("hansa.approval") / "policy.toml").read_text(encoding="utf-8"))


@cache
def own_rules() -> Rules:
    """The rules of the policy that comes with Hansa."""
    return Rules(own_policy())


def _under(hours: int | None, bound: int) -> bool:
    return hours is not None and hours < bound


def _faults(policy: Policy, where: str) -> list[Problem]:
    found = [
        Problem(f"{where} units.{currency}", "it is no currency", "Use a code of ISO 4217")
        for currency in policy.units
        if currency not in CURRENCY_EXPONENTS
    ]
    bands = policy.bands
    if not bands.small < bands.everyday < bands.large < bands.great:
        found.append(Problem(f"{where} bands", "they do not rise", "Let each band end above the one before"))
    for place, proof in enumerate(PROOFS):
        ceiling = policy.ceilings.get(proof)
        if ceiling is None:
            found.append(Problem(f"{where} ceilings.{proof}", "it is missing", "Say payment, day and month"))
            continue
        if not ceiling.payment <= ceiling.day <= ceiling.month:
            found.append(
                Problem(f"{where} ceilings.{proof}", "they fall", "Let payment <= day <= month, in units")
            )
        before = policy.ceilings.get(PROOFS[place - 1]) if place else None
        if before is not None and not (
            before.payment <= ceiling.payment and before.day <= ceiling.day and before.month <= ceiling.month
        ):
            remedy = f"Leave at least what {PROOFS[place - 1]} leaves"
            found.append(Problem(f"{where} ceilings.{proof}", "who is known better may spend less", remedy))
    names = [row.name for row in policy.rows]
    for row in policy.rows:
        if names.count(row.name) > 1:
            found.append(Problem(f"{where} row {row.name!r}", "its name is another's", "Name it otherwise"))
        if row.because not in REASONS:
            remedy = f"Choose from {', '.join(REASONS)}"
            found.append(
                Problem(f"{where} row {row.name!r} because", f"{row.because!r} is no reason", remedy)
            )
    for channel in Channel:
        bare = Risk(channel=channel, band=0, payee=0, proof=3, count_in_hour=1, hour_band=0, day_band=0)
        if not any(applies(row, bare) for row in policy.rows):
            what = f"no row says what the least risky payment by {channel.value} needs"
            found.append(Problem(f"{where} rows", what, "Add a row with this channel and no other condition"))
    return found
