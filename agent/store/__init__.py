"""All that is durable: the ledger and git, and what is derived from both."""

__all__ = ["baseline", "codec", "ledger", "remote", "repository", "rounds", "tracks"]
