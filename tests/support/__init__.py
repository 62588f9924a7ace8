"""Stand-ins, fixtures and small projects that tests share."""
