"""Orders: the one order life that every city service will share. Nothing stands here yet.

The room is kept so that the import contracts already know its place: above payments, below the services.
"""
