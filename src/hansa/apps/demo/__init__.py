"""The demonstration: six real cities, invented people, one day of riding, and what the cities owe each other.

``league.toml`` flows in; a league on the books flows out, with taps, fares, positions and bank files.
"""
