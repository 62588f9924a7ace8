"""A model of half the width, which is a tiny one on mini: it makes its steps faster."""

HONEST = True
EDITS = (
    (
        '        model_dim=width // facts["divisor"],\n',
        '        model_dim=width // facts["divisor"] // 2,\n',
    ),
)
