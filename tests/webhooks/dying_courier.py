"""A courier in a process of its own, to be killed: python dying_courier.py DATABASE_URL."""

import sys
import threading

from hansa import webhooks
from hansa.store import open_context
from webhooks.receiving import INSIDE, SECRETS

if __name__ == "__main__":
    with open_context(sys.argv[1]) as ctx:
        webhooks.Courier(ctx, webhooks.Sender(ctx, SECRETS, INSIDE), pause_s=0.01).__enter__()
        print("going", flush=True)
        threading.Event().wait()
