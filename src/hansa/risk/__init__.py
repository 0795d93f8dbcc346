"""Risk: what taps, refused codes and phones tell of fraud.

In flow taps and refused codes in the order of their receipt; out flow cases with their evidence, rotated tokens and
accounts that must step up. It changes no money.
"""
