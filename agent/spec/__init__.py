"""Issue text and script text to checked variants; pure."""

__all__ = ["commands", "edits", "parser", "preflight", "prose"]
