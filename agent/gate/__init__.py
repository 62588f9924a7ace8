"""The statistics: which runs count, intervals, tests, simulation; pure."""

__all__ = ["history", "schedule", "simulate", "stats", "verdict"]
