"""The reader of last resort: where strict reading refuses an issue, a model writes the settings block that it means.

The block is checked like a person's, and more narrowly: it may say what runs, never how it is judged, and what strict
reading has understood of a table stays as it is. What it wrote is on record and is not asked for again.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from agent.core.errors import BadInput, NotUnderstood, SpendingCapReached
from agent.core.experiment import Constant, Issue, Profile, SetConstant, Spec, Track
from agent.core.protocols import Reader
from agent.core.records import ReadingRecord, SpendRecord, utc_now
from agent.core.sanitize import one_line, secrets
from agent.editors import prompt
from agent.editors.spending import spent
from agent.spec import parser
from agent.store.ledger import Ledger

MAX_REVISIONS = 1  # a block that is refused goes back once
MAX_BLOCK = 20_000  # characters
_FORBIDDEN = ("track", "gate", "confirm", "claims", "space")  # how it is judged is for people to say
_NEXT = "write the issue in a form that is read (docs/writing-issues.md), or its settings block yourself"


def read_issue(
    issue: Issue, track: Track, constants: Mapping[str, object], profile: Profile, ledger: Ledger, reader: "Readers"
) -> Spec:
    """Return an issue as strict reading has it, else as a model does. Raises BadInput where neither reads it."""
    try:
        return parser.parse(issue, track, constants, profile)
    except NotUnderstood as refused:
        known = recorded(ledger, issue)
        if known is None:
            chosen = reader(issue.number) if reader is not None else None
            if chosen is None:
                raise
            known = _ask(issue, track, constants, profile, ledger, chosen, refused)
        return _parse(issue, track, constants, profile, known.block, known.model)


Readers = Callable[[int], Reader | None] | None  # who reads an issue of a number; None: nobody


def recorded(ledger: Ledger, issue: Issue) -> ReadingRecord | None:
    """Return what a model has made of the issue as it is now."""
    body = parser.digest(issue.body)
    records = [one for one in ledger.records_of(ReadingRecord, issue.number) if one.body_sha256 == body]
    return records[-1] if records else None


def _ask(
    issue: Issue,
    track: Track,
    constants: Mapping[str, object],
    profile: Profile,
    ledger: Ledger,
    reader: Reader,
    refused: NotUnderstood,
) -> ReadingRecord:
    """Have a model write the block, and put what it wrote on record. Raises BadInput where it cannot be used."""
    known = secrets(os.environ)
    rules = prompt.reading_rules(track, parser.settable(constants, profile), parser.schema())
    question = prompt.reading_question(issue, str(refused), known)
    before, attempts = spent(ledger.records_of(SpendRecord, issue.number)), list[tuple[str, str]]()
    for _ in range(MAX_REVISIONS + 1):
        block = _block(reader, rules, question, attempts, refused)
        try:
            _parse(issue, track, constants, profile, block, reader.name)
        except BadInput as error:
            attempts.append((block, str(error)))
            continue
        usd = float(spent(ledger.records_of(SpendRecord, issue.number)) - before)
        record = ReadingRecord(
            issue=issue.number,
            body_sha256=parser.digest(issue.body),
            model=reader.name,
            block=block,
            usd=usd,
            at=utc_now(),
        )
        ledger.append(record)
        return record
    why = one_line(attempts[-1][1], known, 300)
    problem = f"{refused.problem}; {reader.name} read it, and what it wrote is refused: {why}"
    raise BadInput(problem, where=refused.where, next_step=_NEXT)


def _block(reader: Reader, rules: str, question: str, attempts: list[tuple[str, str]], refused: NotUnderstood) -> str:
    """Return what a model answers. Raises BadInput, with why the issue was refused, where there is no answer."""
    try:
        answer = reader.block(rules, question, attempts)
    except SpendingCapReached as capped:
        raise BadInput(
            f"{refused.problem}; no model may be asked: {capped.problem}", where=refused.where, next_step=_NEXT
        ) from None
    if answer.failure or len(answer.block) > MAX_BLOCK:
        why = answer.failure or "its answer is too long"
        raise BadInput(
            f"{refused.problem}; {reader.name} could not read it: {why}", where=refused.where, next_step=_NEXT
        )
    return answer.block


def _parse(
    issue: Issue, track: Track, constants: Mapping[str, object], profile: Profile, block: str, model: str
) -> Spec:
    """Return the issue as a model's block has it. Raises BadInput for what the block may not say."""
    spec = parser.parse(issue, track, constants, profile, block=block)
    forbidden = [key for key in parser.block_keys(block) if key in _FORBIDDEN]
    if spec.seeds is not None and not spec.baseline_only:
        forbidden.append("seeds")
    if spec.strategy != "table":
        forbidden.append("strategy")
    if spec.min_gain is not None and spec.min_gain < track.min_gain:
        forbidden.append("min_gain")
    if forbidden:
        raise BadInput(f"{forbidden[0]}: is for people to say, not for a model", next_step="leave the key out")
    _check_same(parser.understood(issue, track, constants, profile), spec)
    return replace(spec, read_by=model)


def _check_same(understood: Mapping[str, Mapping[str, Constant]], spec: Spec) -> None:
    """Raise BadInput where a variant sets another value than a table gives it, or lacks one, or is left out unsaid."""
    variants = {one.name.lower(): one for one in spec.variants}
    for name, values in understood.items():
        variant = variants.get(name.lower())
        if variant is None and name.lower() not in map(str.lower, spec.skipped):
            raise BadInput(
                f"the table has a row {name}, and the block has no such variant", next_step="add it, or skip: it"
            )
        sets = {edit.name: edit.value for edit in variant.edits if isinstance(edit, SetConstant)} if variant else values
        for constant, value in values.items():
            if sets.get(constant) != value:
                problem = f"{name}: the table says {constant} = {value}, and the block {sets.get(constant, 'nothing')}"
                raise BadInput(problem, next_step="the values of a table stay as they are")


def reading_folder(logs: Path, issue: int) -> Path:
    """Return where the conversation with the model is kept."""
    return logs / f"issue-{issue}" / "reading"
