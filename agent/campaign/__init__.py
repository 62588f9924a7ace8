"""One experiment from plan to verdict, promotion and publication; every step can be repeated."""

__all__ = [
    "base",
    "context",
    "engine",
    "evidence",
    "explore",
    "further",
    "mix",
    "plan",
    "promote",
    "propose",
    "publish",
    "question",
    "reading",
    "rules",
    "shapes",
    "steer",
]
