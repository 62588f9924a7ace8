"""Types, records, protocols, errors, text hygiene, fault points."""

__all__ = [
    "claims",
    "errors",
    "experiment",
    "faults",
    "frozen",
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
