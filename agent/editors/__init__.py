"""Who writes changes: Claude or any command; prompt, conversation, money."""

__all__ = ["anthropic", "command", "models", "prompt", "spending"]
