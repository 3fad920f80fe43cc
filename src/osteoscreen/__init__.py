"""osteoscreen reads a routine CT and says how the bone looks. Research use only."""

__version__ = "0.1.0"
