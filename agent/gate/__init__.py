"""The statistics: which runs count, intervals, tests, simulation; pure."""

__all__ = ["history", "results", "schedule", "simulate", "stats", "verdict"]
