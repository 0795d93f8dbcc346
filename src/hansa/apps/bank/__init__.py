"""A simulated bank that others can run: payment files in, receipts, answers and statements out.

It keeps accounts and a calendar, books what it is told on the day it is due, and makes the mistakes it was told to
make, the same for the same seed. It knows nothing of Hansa's books; it reads and writes ISO 20022 messages like any
bank, over a folder or HTTP.
"""

from hansa.apps.bank.books import Bank, BankDown
from hansa.apps.bank.conduct import Conduct, Mishap

__all__ = ["Bank", "BankDown", "Conduct", "Mishap"]
