"""The commands of ``hansa proofing``: a simulated provider of proofs, and a document released at an issuer's desk."""

import base64
import signal
from threading import Event
from typing import Annotated
from uuid import UUID

import typer
from rich.console import Console

from hansa import audit, identity
from hansa.apps.open import opened
from hansa.apps.options import DEFAULT_HOME, Home
from hansa.apps.personal_means import PROVIDER_KEY
from hansa.store import read_secret

out = Console(width=120)

proofing_app = typer.Typer(no_args_is_help=True, help="Proof of real names: a simulated provider; releases.")


@proofing_app.command()
def simulate(
    port: Annotated[
        int, typer.Option(min=0, max=65_535, help="Port to listen on; 0 takes a free one.")
    ] = 8_021,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    slow: Annotated[float, typer.Option(min=0, max=60, help="Seconds that a slow number takes.")] = 3.0,
    home: Home = DEFAULT_HOME,
) -> None:
    """Answer checks of names and documents, by the document's number alone.

    The three digits before a resident number's check character, or the last three characters of another number, decide:
    990 no match, 991 slow, 992 down, 993 down twice, 994 nonsense, 995 answers another question, 996 knows the name and
    not the document. All others match.

    Example: [cyan]hansa proofing simulate --port 8021[/cyan], then HANSA_PROOFING_URL=http://127.0.0.1:8021 hansa serve
    """
    from hansa.apps.proofing.simulator import ProofingDoor

    secret = read_secret(PROVIDER_KEY, home / "keys", make=True)
    key = base64.urlsafe_b64encode(secret.value).decode().rstrip("=")
    with ProofingDoor(key=key, host=host, port=port, slow_s=slow) as door:
        out.print(
            f"Checks are answered at {door.url}/checks, with the secret {PROVIDER_KEY} of {home / 'keys'}."
        )
        out.print("Stop with Ctrl-C.")
        stop = Event()
        for told in (signal.SIGINT, signal.SIGTERM):
            signal.signal(told, lambda _number, _frame: stop.set())
        stop.wait()


@proofing_app.command()
def release(
    account: Annotated[UUID, typer.Argument(help="The account whose proofs end.")],
    by: Annotated[str, typer.Option(help="Who decides, such as anna.")],
    reason: Annotated[str, typer.Option(help="Why, for the record.")],
    home: Home = DEFAULT_HOME,
) -> None:
    """End the proofs of an account, so that its documents may prove another: after somebody showed them at a desk."""
    with opened(home, join=True) as ctx, ctx.tx() as tx:
        at = ctx.clock.now()
        ended = identity.release_document(tx, identity.AccountId(account), at=at)
        audit.record(tx, audit.Act(f"desk:{by}", "document.release", f"account:{account}", reason), at)
    out.print(f"{ended} proofs ended.")
