"""Where issues come from and results go: GitHub, files, comments, the terminal."""

__all__ = ["address", "comment", "github", "live", "local", "outbox", "terminal"]
