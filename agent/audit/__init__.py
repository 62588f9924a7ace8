"""Is a winner's number true? It is scored by processes that believe none of its word."""

__all__ = ["checks", "integrity", "metrics", "reports", "rules", "timing"]
