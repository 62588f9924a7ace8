"""Which variants run next, by the runs so far; pure."""

__all__ = ["axes", "question", "registry", "search", "strategy"]
