"""Devices over MQTT: the broker's folder, the desk that listens and answers, and boxes made up for a show.

Out of the broker flow states, telemetry and taps; into it flow receipts, lists and settings, each signed.
"""
