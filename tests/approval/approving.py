"""What tests of giving approvals share: riders with passkeys and sign-ins, and payments to approve."""

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from approval.spending import ANNA, open_riders, spend
from hansa import approval, identity
from hansa.approval import ApprovalLevel, Needs, Spend
from hansa.kernel import FixedClock, new_id
from hansa.store import Context, Secret
from identity.authenticating import Authenticator

RP = identity.RelyingParty("localhost", "http://localhost")
PEPPER = Secret("pin-pepper", {1: bytes(range(32))})


@dataclass
class Person:
    """A rider signed in with a passkey of their own."""

    ctx: Context
    account_id: identity.AccountId
    device: Authenticator
    session: identity.Session

    def approve(self, asked: approval.Approval, **changed: Any) -> approval.Outcome:
        """Sign what is asked with the passkey, and hand it in."""
        options = approval.begin_passkey(self.ctx, asked.approval_id, self.session, RP)
        credential = self.device.get(options, **changed)
        return approval.give_by_passkey(self.ctx, asked.approval_id, self.session, credential, RP)


def join(ctx: Context, account_id: identity.AccountId, *, ago: timedelta = timedelta(days=90)) -> Person:
    """This rider, with a passkey that they have had for a while, signed in just now."""
    now = ctx.clock.now()
    device = Authenticator()
    with ctx.tx() as tx:
        options = identity.begin_registration(
            tx, account_id, person="Rider", rp=RP, purpose="add", owner="here", at=now - ago
        )
        passkey = identity.finish_registration(
            tx, device.create(options), rp=RP, purpose="add", owner="here", name="Phone", at=now - ago
        )
        secret = identity.start_session(tx, account_id, now, method="passkey", passkey_id=passkey.passkey_id)
        session = identity.find_session(tx, secret, now)
    assert session is not None
    return Person(ctx, account_id, device, session)


def anna(ctx: Context) -> Person:
    with ctx.tx() as tx:
        open_riders(tx)
    return join(ctx, ANNA)


def ask(
    ctx: Context, one: Spend | None = None, *, kind: str = "payment", lasts: timedelta | None = None
) -> approval.Approval:
    """Ask for what policy says that this needs; a payment to a new payee, unless another is given. lasts: no longer."""
    one = one or spend(1, 120_00)
    at = ctx.clock.now()
    one = replace(one, session_at=at)
    with ctx.tx() as tx:
        verdict = approval.decide(tx, [one], at)[0]
        assert isinstance(verdict, Needs), verdict
        subject = approval.subject_for(
            one, kind=kind, subject_id=one.spend_id, asked_at=at, about="Two pots of tea"
        )
        return approval.open_approval(
            tx,
            one,
            verdict.level,
            subject,
            "/wallet/pay/done",
            at,
            reasons=verdict.reasons,
            expires_at=None if lasts is None else at + lasts,
        )


def guard(ctx: Context, ward: identity.AccountId, *, by: identity.AccountId) -> None:
    """Somebody answers for this rider."""
    at = ctx.clock.now()
    with ctx.tx() as tx:
        tx.execute(
            """
            insert into identity.guardianships
                (guardianship_id, ward_id, guardian_id, state, rights, asked_at, expires_at, accepted_at, looked_on)
            values (%s, %s, %s, 'accepted', %s, %s, %s, %s, %s)
            """,
            (new_id(), ward, by, ["see_money", "approve", "limit", "freeze"], at, at, at, at.date()),
        )


def later(ctx: Context, **more: float) -> None:
    """Some time goes by."""
    assert isinstance(ctx.clock, FixedClock)
    ctx.clock.at += timedelta(**more)


LEVELS = tuple(ApprovalLevel)
