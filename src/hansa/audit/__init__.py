"""Audit: who did what to whom, and why, in a record that shows whether anything was changed."""
