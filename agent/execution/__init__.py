"""One job on this machine: sandbox, limits, locks, result."""

__all__ = ["local", "locks", "machine", "process", "sandbox"]
