"""Wallets: what people do with their own money. Send, request, split, top up, withdraw.

What people ask for flows in, judged by `approval`; ledger transfers flow out, each under an id worked out from what was
asked, and facts for members. Money between partitions is taken into transit and given out of it, once; between issuers
it becomes an item that clearing settles. Banks are reached through one Protocol; unknown is never taken for failed.
"""
