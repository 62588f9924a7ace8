"""Which variants run next, by the runs so far; pure."""

__all__ = ["claims", "evolve", "ladder", "search", "sweep", "table"]
