"""A third letter for windows: M is a quarter of the sequence, between S and L."""

HONEST = True
EDITS = (
    (
        '    sizes = {"S": max(1, length // share), "L": length}\n',
        '    sizes = {"S": max(1, length // share), "M": max(1, length // 4), "L": length}\n',
    ),
    ('"window_pattern": "SSSL"', '"window_pattern": "MSML"'),
)
