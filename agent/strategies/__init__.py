"""Which variants run next, by the runs so far; pure."""

__all__ = ["question", "registry", "search", "strategy"]
