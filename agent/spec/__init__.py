"""Issue text and script text to checked variants; pure."""

__all__ = ["amounts", "commands", "edits", "parser", "preflight", "schema"]
