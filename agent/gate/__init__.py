"""The statistics: which runs count, intervals, tests, simulation; pure."""

__all__ = ["simulate", "stats", "verdict"]
