"""People whose proof is not what is tested: a level set as it stands in the tables, and names proved for real."""

from collections.abc import Iterable
from datetime import timedelta

from hansa import identity
from hansa.identity import AccountId, ProofLevel, Sealer
from hansa.kernel import fact_id, new_id
from hansa.store import Context, Tx
from identity.sealed import Register

MATCHED = """
insert into identity.proofings (proofing_id, account_id, provider, kind, wanted, document_digest,
    document_digest_version, body_digest, state, level, asked_at, answered_at, good_until)
values (%s, %s, 'test', 'other', 2, '\\x00', 1, '\\x00', 'matched', %s, now(), now(), now() + interval '4 years')
"""

VERIFIED = """
insert into identity.contacts (contact_id, account_id, kind, box, digest, digest_version, state, asked_at, verified_at)
values (%s, %s, 'email', '\\x00', sha256(%s), 1, 'verified', now(), now())
"""


def set_level(tx: Tx, account_id: AccountId, level: ProofLevel) -> None:
    """Let an account be known as well as this, from no level or a lower one; no name comes with it."""
    if level is ProofLevel.CONTACT:
        tx.execute(VERIFIED, (new_id(), account_id, account_id.bytes))
    elif level is not ProofLevel.NONE:
        tx.execute(MATCHED, (new_id(), account_id, int(level)))


def prove_names(
    ctx: Context, sealer: Sealer, people: Iterable[identity.Account], *, document: bool = False
) -> None:
    """Have these people's names proved, as they stand in their accounts. document: their documents too."""
    today = ctx.clock.now().date()
    expires = (today + timedelta(days=1_000)).isoformat() if document else ""
    for one in people:
        form = identity.DocumentForm(
            "other", number=one.account_id.hex[:24], country="CN", words="test card", expires=expires
        )
        done = identity.ask_proofing(
            ctx,
            sealer,
            Register(),
            proofing_id=fact_id(None, "proved in a test", one.account_id),
            account_id=one.account_id,
            name="".join(letter for letter in one.name if not letter.isdigit()),
            document=identity.read_document(form, today=today),
            policy=identity.own_level_policy(),
        )
        assert done.state == "matched", done
