"""The parts a tariff is made of: each file holds one kind, how it is read, and what it says about a ride."""
