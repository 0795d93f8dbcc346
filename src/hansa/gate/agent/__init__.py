"""Agent: the gate as a program that runs by itself, from the scanner to the door and to the back office.

In flow scanned texts, signed lists and settings; out flow opened doors, words for the rider, and taps. What it must
not lose lies in its folder before a door opens. It needs codes, kernel and the gate; docs/operating/gates.md is for
who runs it.
"""
