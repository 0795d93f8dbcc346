"""The verifier that needs nothing of ours: `hansa_verify.py`, one file to read and to carry away."""
