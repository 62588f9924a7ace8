"""Types, records, protocols, errors, text hygiene, fault points."""

__all__ = [
    "claims",
    "errors",
    "experiment",
    "faults",
    "frozen",
    "progress",
    "proposals",
    "protocols",
    "records",
    "retry",
    "runs",
    "sanitize",
    "sizes",
    "trials",
    "values",
]
