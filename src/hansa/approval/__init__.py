"""Approval: who may spend what, and how they approve it. No money moves here."""
