"""The n-grams of a token are those that begin at it and no longer those that end there: one wrong sign.

Their rows then belong to the next tokens, which the head reads off.
"""

CAUGHT_BY = "causality"
EDITS = (
    (
        "        key = key * 1_000_003 + F.pad(tokens, (back, -back)) + 1\n",
        "        key = key * 1_000_003 + F.pad(tokens, (-back, back)) + 1\n",
    ),
)
