"""Merchants: shops and attractions that are paid. Payments flow in; sales, tickets and daily reports flow out."""
