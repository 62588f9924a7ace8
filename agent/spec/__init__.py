"""Issue text and script text to checked variants; pure."""

__all__ = ["amounts", "capacity", "commands", "edits", "parser", "preflight", "schema"]
