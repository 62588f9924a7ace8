"""One job on this machine: sandbox, limits, locks, result."""

__all__ = ["beside", "folders", "local", "locks", "machine", "process", "sandbox"]
