"""What to run next, and what it says; pure."""

__all__ = ["table"]
