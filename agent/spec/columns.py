"""What each column of an experiment table does: it names, sets, checks, orders, describes, or it is refused. Pure."""

import re
from collections.abc import Sequence
from typing import Literal

from agent.core.frozen import frozen
from agent.spec.layout import is_id
from agent.spec.names import Unknown, Vocabulary, in_brackets, normal_form

Role = Literal["id", "set", "check", "why", "describe", "priority", "seed", "budget", "status", "changes", "metric"]

_DERIVED = {  # a column of this name states a derived value, which is checked and never set
    **dict.fromkeys(("modeldim", "dmodel", "nembd", "width"), "model_dim"),
    **dict.fromkeys(("nhead", "nheads", "heads", "numheads"), "n_head"),
    "headdim": "head_dim",
    **dict.fromkeys(("params", "parameters", "nparams"), "params"),
}
_WHY = {"rationale", "why", "description", "notes", "note", "hypothesis", "reason", "motivation", "comment", "comments"}
_DESCRIBES = _WHY | {
    *(
        "expected",
        "expectation",
        "prediction",
        "predicted",
        "effect",
        "outcome",
        "estimate",
        "estimated",
        "est",
        "remark",
    ),
    *(
        "remarks",
        "owner",
        "author",
        "assignee",
        "who",
        "gpu",
        "gpus",
        "gpuh",
        "vram",
        "memory",
        "mem",
        "eta",
        "cost",
        "price",
    ),
    *(
        "link",
        "links",
        "url",
        "pr",
        "ref",
        "reference",
        "source",
        "risk",
        "confidence",
        "effort",
        "tag",
        "tags",
    ),
    *(
        "group",
        "category",
        "theme",
        "date",
        "summary",
        "title",
        "name",
        "label",
        "idea",
        "goal",
        "phase",
        "machine",
        "gb",
    ),
    *(
        "mb",
        "usd",
        "flops",
        "%",
        "$",
        "type",
        "usage",
        "of",
        "the",
        "this",
        "in",
        "to",
        "and",
        "for",
        "what",
    ),
}
_UNITS_OF_TIME = {"h", "hr", "hrs", "hour", "hours", "min", "mins", "minute", "minutes", "s", "sec", "seconds"}
_EXPECTS = {"expected", "expectation", "predicted", "prediction", "target", "estimated", "estimate", "est", "hoped"}
_MEASURES = {"val", "bpb", "loss", "delta", "\u0394", "\u2206", "change", "gain", "mfu", "improvement"}
_SCALE = re.compile(  # in the brackets of a header: its cells are no values as they stand
    r"(?:2|10|e)\s*(?:\^|\*\*)\s*\w+|(?:power|exponent)s?(?: of (?:2|two|10|ten))?|(?:in )?(?:powers|exponents|units"
    r"|multiples) of .*"
    r"|[x\u00d7*]?\s*(?:10\s*\^?\s*-?[0-9]+|10\*\*-?[0-9]+|1?e-?[0-9]+|[0-9]+)|%|(?:k|K|M|G|B|thousand"
    r"|million)(?: \w+)?"
    r"|[x\u00d7]|rel(?:ative)?\.?|factor|log\w*|\u0394|delta|change|diff(?:erence)?"
)
_COUNTED = {  # what a header may count its values in; it is refused but of a constant that counts in it
    *("sequence", "seq", "sample", "example", "document", "doc", "row", "token", "tok", "step", "iteration", "iter"),
    *("second", "sec", "minute", "min", "hour", "epoch", "ms", "head", "character", "char", "byte", "parameter"),
}
_BEFORE = {"old", "before", "baseline", "base", "current", "was", "previous", "now", "default", "today"}
_CHANGES = {"change", "changes", "settings", "setting", "config", "constants", "overrides", "sets", "diff"}
_BUDGET = {"budget", "steps", "step", "tokens", "numsteps", "trainsteps", "trainingsteps", "trainingtime", "timebudget"}
_SAID_ELSEWHERE = {  # what people look for in a column and say elsewhere: where
    **dict.fromkeys(
        ("time", "duration", "runtime", "traintime", "timelimit", "limit", "epochs", *sorted(_UNITS_OF_TIME)),
        "a budget? name the column Budget, as in Budget (min), and give all rows the same",
    ),
    **dict.fromkeys(
        ("corpus", "corpora", "dataset", "data", "trainingdata"), "the command line says it for all rows: --corpus C"
    ),
    **dict.fromkeys(("profile", "scale", "modelsize"), "the command line says it for all rows: --profile full"),
    **dict.fromkeys(
        ("repeats", "repeat", "runs", "replicates", "replicas", "repetitions", "reps", "n", "trials", "nruns"),
        "all variants run on the same seeds: write seeds: [0, 1, 2] in the settings block",
    ),
    **dict.fromkeys(("order", "sequence", "position", "rank", "importance", "urgency"), "name the column Priority"),
    **dict.fromkeys(
        ("run", "enabled", "active", "skip", "include", "included", "todo"),
        "name the column Status, with skip in the rows that do not run",
    ),
    **dict.fromkeys(
        ("dependson", "after", "depends", "requires", "needs", "parent", "base", "startsfrom"),
        "every row starts from the baseline: for another base file an issue that says: after #3",
    ),
    **dict.fromkeys(("gate", "decision"), "the settings block says it for all rows: gate: lowest"),
    **dict.fromkeys(("mingain", "threshold"), "the settings block says it for all rows: min_gain: 0.002"),
    **dict.fromkeys(("track",), "the settings block says it: track: names"),
}
_RESULT = {"result", "results", "measured", "loss", "valloss", "bpb", "metric", "score"}


@frozen
class Column:
    """A column by its header: what it does, and the constant that it sets or the derived value that it states."""

    header: str
    role: Role
    target: str = ""


def read_column(header: str, names: Vocabulary, described: Sequence[str] = ()) -> Column | Unknown:
    """Return what a column does by its name alone; `described` are those that an issue says do nothing."""
    form = normal_form(header)
    if form in map(normal_form, described):
        return Column(header, "describe")
    if is_id(header):
        return Column(header, "id")
    if "~~" in header:
        return Unknown(f"column {header}: it is struck out", f"take the column out; else describe: [{header}]")
    if names.knows(header):
        return _setting(header, names)
    if names.is_absent(header) or (header.isupper() and re.fullmatch(r"\w*_\w*", header)):
        return _refused(header, names)
    return _by_meaning(header, form, names)


def _setting(header: str, names: Vocabulary) -> Column | Unknown:
    """Return the column of a constant, unless what stands in brackets says that its cells are no values of it."""
    target = names.resolve(header)
    scale = next((inner for inner in in_brackets(header) if _SCALE.fullmatch(inner.strip())), None)
    if scale and isinstance(target, str):
        advice = f"write the values of {target} in full, and the column's name without ({scale})"
        return Unknown(f"column {header}: its values would be multiplied by {scale}", advice)
    unit = next((inner for inner in in_brackets(header) if _is_foreign(inner, target, names)), None)
    if unit and isinstance(target, str):
        advice = f"write the values of {target} as {names.track.script} has them, and the name without ({unit})"
        return Unknown(f"column {header}: {target} is not counted in {unit}", advice)
    before = next((inner for inner in in_brackets(header) if inner.strip().casefold() in _BEFORE), None)
    if before and isinstance(target, str):
        advice = f"for what the baseline has, write a row baseline; else describe: [{header}]"
        return Unknown(f"column {header}: it names what {target} was, and would set it", advice)
    return target if isinstance(target, Unknown) else Column(header, "set", target)


def _is_foreign(unit: str, target: str | Unknown, names: Vocabulary) -> bool:
    """Return whether the brackets of a header count in what its constant does not: its name and the track say."""
    if isinstance(target, Unknown):
        return False
    own = target.rpartition(".")[2]
    counts = {word.rstrip("s") for word in [*own.casefold().split("_"), *names.track.units.get(own, ())]}
    words = {word.rstrip("s") for word in re.findall(r"[a-z]+", unit.casefold())}
    return bool(words & _COUNTED) and not words & counts


def _by_meaning(header: str, form: str, names: Vocabulary) -> Column | Unknown:
    """Return what a column does that names no constant."""
    if form in _DERIVED:
        return Column(header, "check", _DERIVED[form])
    roles: list[tuple[Role, set[str]]] = [
        ("priority", {"priority", "prio"}),
        ("seed", {"seed", "seeds"}),
        ("status", {"status", "state"}),
        ("changes", _CHANGES),
        ("budget", _BUDGET),
        ("metric", _RESULT | {normal_form(names.track.metric)}),
    ]
    words = set(re.findall(r"[^\W_]+|[%$#]", " ".join([header, *in_brackets(header)]).casefold()))
    expects = words & _EXPECTS and words <= _DESCRIBES | _UNITS_OF_TIME | _EXPECTS | _MEASURES
    if expects or (words and words <= _DESCRIBES | _UNITS_OF_TIME and not words <= _UNITS_OF_TIME):
        return Column(header, "why" if form in _WHY else "describe")
    role = next((role for role, forms in roles if form in forms), None)
    if role == "priority" and in_brackets(header):
        return Unknown(
            f"column {header}: 1 is the most urgent here", "name the column Priority, and write HIGH, MEDIUM or LOW"
        )
    if role is not None:
        return Column(header, role)
    return _refused(header, names)


def _elsewhere(header: str) -> str | None:
    """Return where that is said which a column of this name would say; None where it is said nowhere."""
    return _SAID_ELSEWHERE.get(re.sub(r"\W", "", normal_form(header)))


def _refused(header: str, names: Vocabulary) -> Unknown:
    """Return why a column is not read, and both ways out."""
    unknown = names.resolve(header)
    assert isinstance(unknown, Unknown)
    way_out = f"if it only describes, say so in the settings block: describe: [{header}]"
    return Unknown(f"column {header}: {unknown.problem}", f"{_elsewhere(header) or unknown.next_step}; {way_out}")


def says_nothing(header: str, cells: Sequence[str], keep: frozenset[str]) -> bool:
    """Return whether an unknown column may be passed over: it is empty, or every row has the same words in it."""
    filled = [cell for cell in cells if cell and cell not in keep]
    return not filled or (
        _elsewhere(header) is None
        and len(cells) > 1
        and len(set(cells)) == 1
        and " " in filled[0]
        and not re.search(r"\d", filled[0])
    )
