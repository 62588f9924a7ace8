"""Issue text and script text to checked variants; pure."""

__all__ = ["amounts", "capacity", "claims", "commands", "edits", "parser", "preflight", "schema"]
