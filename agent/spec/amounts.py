"""How much training a run gets, as people write it: 5 minutes, 1h30m, 500 steps, 5Mtok. Pure."""

import math
import re
from decimal import Decimal
from itertools import pairwise

from agent.core.errors import BadInput
from agent.core.experiment import Budget

_WORDS = dict(zip("one two three four five six seven eight nine ten".split(), range(1, 11), strict=True))  # noqa: SIM905
_K, _M, _G = 10**3, 10**6, 10**9
_SCALES = {"": 1, "k": _K, "K": _K, "thousand": _K, "M": _M, "million": _M, "G": _G, "B": _G, "billion": _G}
_SECONDS = {"s": 1, "m": 60, "h": 3600}
BUDGETS = "a budget is above zero: 20 (seconds), 5 minutes, 500steps or 5Mtok"
NUMBER = rf"(?:[0-9][0-9,]*(?:\.[0-9]+)?(?:e[+-]?[0-9]{{1,3}})?|\b(?ai:{'|'.join(_WORDS)})\b)"
_STEPS = (
    "(?:(?:optimi[sz]er|optimi[sz]ation|gradient|training|train|update)[ -])?steps?|(?:training )?iter(?:ation)?s?"
    "|(?:(?:optimi[sz]er|gradient|weight)[ -])?updates?"
)
_UNIT = rf"(?:[smh]|(?ai:sec(?:ond)?s?|min(?:ute)?s?|h(?:ou)?rs?|{_STEPS}|tok(?:en)?s?))(?![A-Za-z])"
_PIECE = rf"{NUMBER}[\s-]*(?:[kKMGB]|(?ai:thousand|million|billion))?[\s-]*{_UNIT}"
AMOUNT = rf"{_PIECE}(?:(?:\s+and\s+|\s*){_PIECE})*"


def parse_budget(text: str) -> Budget:
    """Return a budget such as `20` or `20s` (seconds), `5 minutes`, `1h30m`, `500steps`, `1.5Mtok`. Raises BadInput."""
    budget = read_budget(text)
    if budget is None:
        raise BadInput(f"{text[:60]!r} is no budget", next_step=BUDGETS)
    return budget


def readable(text: str) -> bool:
    """Return whether `parse_budget` can read the text."""
    return read_budget(text) is not None


def read_budget(text: str) -> Budget | None:
    """Return the budget that a text is; None where it is none."""
    text = text.strip()
    if re.fullmatch(NUMBER, text):
        text += " s"
    if not re.fullmatch(AMOUNT, text):
        return None
    pieces = [_piece(piece) for piece in re.findall(_PIECE, text)]
    kinds, amount = {piece.kind for piece in pieces}, sum(piece.amount for piece in pieces)
    falling = all(later.amount < earlier.amount for earlier, later in pairwise(pieces))  # 1 h 30 min, not 5 min 5 min
    whole = (kinds == {"seconds"} and falling) or (len(pieces) == 1 and amount == amount // 1)
    return Budget(pieces[0].kind, amount) if whole and 0 < amount < math.inf else None


def _piece(text: str) -> Budget:
    piece = re.fullmatch(rf"({NUMBER})[\s-]*(.*?)[\s-]*({_UNIT})", text, re.DOTALL)
    assert piece
    if "," in piece[1] and not re.fullmatch(r"[1-9][0-9]{0,2}(?:,[0-9]{3})+(?:\.[0-9]+)?", piece[1]):
        return Budget("seconds", math.nan)  # 1,5 is no number here
    if (
        re.fullmatch(r"[0-9]{1,3}\.[0-9]{3}", piece[1])
        and not piece[2]
        and not re.fullmatch("[smh]|(?:sec|min|h).*", piece[3].lower())
    ):
        return Budget("seconds", math.nan)  # 1.000 steps are a thousand to some
    number, scale, unit = piece[1].replace(",", "").lower(), piece[2], piece[3].lower()
    amount = Decimal(_WORDS.get(number, number)) * _SCALES[scale if len(scale) == 1 else scale.lower()]
    if unit.startswith("tok"):
        return Budget("tokens", float(amount))
    if re.search("step|iter|update", unit):
        return Budget("steps", float(amount))
    return Budget("seconds", math.nan if scale else float(amount * _SECONDS[unit[0]]))  # no unit is a "Mminute"
