"""CIN, the Collective Intelligence Network: capture a skill once, and every agent has it."""

__version__ = "0.1.0"
