"""Where issues come from and results go: GitHub, files, comments, the terminal."""

__all__ = ["address", "board", "comment", "exports", "github", "live", "local", "outbox", "plots", "terminal"]
