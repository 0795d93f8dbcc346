"""Hansa: one account, honoured in every city.

The rooms and who may use whom: docs/rooms.md.
"""

__version__ = "0.1.0"
