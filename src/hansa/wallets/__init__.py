"""Wallets: what people do with their own money. Send, request, split, top up, withdraw."""
