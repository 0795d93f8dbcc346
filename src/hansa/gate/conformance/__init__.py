"""The conformance kit: questions with the answer every verifier of HRC-1 must give, and a runner that asks them.

In flow a seed and a vendor's program; out flows what it got wrong, in words its maker can use. Keys come from public
words; nothing is secret. docs/ride-code/conformance.md is the vendor's page.
"""

from hansa.gate.conformance.bench import DENY_REFUSED, LIST_REFUSED, NOW, SETTINGS_REFUSED, Question
from hansa.gate.conformance.kit import kit_lines, questions, read_kit
from hansa.gate.conformance.runner import Report, VerifierFailed, Wrong, run

__all__ = [
    "DENY_REFUSED",
    "LIST_REFUSED",
    "NOW",
    "SETTINGS_REFUSED",
    "Question",
    "Report",
    "VerifierFailed",
    "Wrong",
    "kit_lines",
    "questions",
    "read_kit",
    "run",
]
