"""The one comment of an issue, as GitHub-flavoured Markdown. Pure.

Texts of others (an issue's words, a run's reason, constants, names of machines) pass `one_line` or `fenced`.
"""

import re
from collections.abc import Sequence
from html import escape

from agent.core.experiment import BASELINE, SetConstant, Spec, Variant
from agent.core.records import AuditRecord, CommandRecord
from agent.core.sanitize import fenced, make_postable, one_line
from agent.core.trials import Findings
from agent.store.rounds import RoundRow
from agent.tracking.board import (
    MISSING,
    Board,
    IssueSummary,
    Row,
    ShownPicture,
    command_cells,
    failures,
    gain,
    interval,
    number,
)

_MAX_ROUNDS = 100  # in one comment
_MAX_COMMANDS = 50  # in one comment
_MAX_READS = 60  # in one comment
_MAX_BARS = 30  # in one chart
PICTURE_WIDTH = 400  # pixels
_NUMBER = re.compile(r"[0-9.,+–-]+(?: (?:±|to) [0-9.,+-]+)?(?: MB?)?")  # most cells: nothing to escape in them


def marker(issue: int) -> str:
    """Return the line by which the one comment of an issue is recognised."""
    return f"<!-- autoresearch: issue {issue} -->"


def comment(board: Board) -> str:
    """Return the result of a campaign."""
    return _join(
        marker(board.spec.issue.number),
        _headline(board),
        _outcome(board),
        describe_findings(board.findings),
        show_pictures(board.pictures),
        _table(board),
        _failures(board),
        _skipped(board),
        _chart(board),
        *map(describe_audit, board.audits),
        _proposals(board),
        _rounds(board.rounds),
        _steering(board.steering),
        _conditions(board),
        read_as(board.spec),
        _reproduce(board),
    )


def comment_before_campaign(summary: IssueSummary) -> str:
    """Return the comment of an issue that people steered before its campaign began."""
    return _without_board(summary, "## Waiting\n\nThe campaign has not begun.")


def comment_before_confirmation(summary: IssueSummary, spec: Spec) -> str:
    """Return the comment of an issue that is not run before a person has confirmed how it was read."""
    sets = [(one.name, _settings(one)) for one in spec.variants[:_MAX_READS]]
    table = _markdown_table(("ID", "sets"), sets) if sets else ""
    left_out = _left_out(len(spec.variants) - _MAX_READS).replace("earlier", "more")
    headline = "## Waiting for /go\n\nThis is how the issue was read. Comment `/go` to run it."
    return _join(_without_board(summary, headline), f"{table}{left_out}".strip(), read_as(spec, folded=False))


def _settings(variant: Variant) -> str:
    edits = [edit for edit in variant.edits if isinstance(edit, SetConstant)]
    return ", ".join(f"{edit.name}={edit.value}" for edit in edits)


def comment_without_proposals(summary: IssueSummary, reason: str) -> str:
    """Return the comment of an issue in prose of whose proposals none can run."""
    return _without_board(summary, f"## Nothing to run\n\n{one_line(reason)}")


def _without_board(summary: IssueSummary, headline: str) -> str:
    return _join(marker(summary.issue), headline, _rounds(summary.rounds), _steering(summary.steering))


def _join(*blocks: str) -> str:
    return "\n\n".join(block for block in blocks if block) + "\n"


def _headline(board: Board) -> str:
    verdict = board.verdict
    if verdict is None:
        return "## Running\n\nThe campaign has no verdict yet."
    variant = f": {verdict.variant}" if verdict.variant else ""
    return f"## Verdict: {verdict.decision}{variant}\n\n{one_line(verdict.reason)}"


def _outcome(board: Board) -> str:
    """Return the expected outcome that came true, quoted as it is: in a fence its Markdown does nothing."""
    if not board.expected_outcomes:
        return ""
    return "\n".join(f"> {line}" for line in fenced("\n".join(board.expected_outcomes), "text").split("\n"))


# --- tables -----------------------------------------------------------------------------------------------


def _table(board: Board) -> str:
    constants = list(dict.fromkeys(name for row in board.rows for name in row.sets))
    head = ["ID", *constants, "model_dim", "n_head", "params", board.track.metric, "gain", "90 % interval", "n"]
    head += ["tokens", "tok/s", "memory", "status"]
    table = _markdown_table(head, [_cells(row, constants) for row in board.best_rows])
    left_out = len(board.rows) - len(board.best_rows)
    return f"{table}\n\n{left_out} others are in `--status --json`." if left_out else table


def _markdown_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(map(_escaped, cells))} |" for cells in lines)


def _escaped(cell: str) -> str:
    """Return a cell that ends neither itself nor its row, and whose text is text: no link, no code, no HTML."""
    if _NUMBER.fullmatch(cell):
        return cell
    return re.sub(r"([|<\[`\\])", r"\\\1", one_line(cell))


def describe_findings(findings: Findings | None) -> str:
    """Return what a strategy has found: its sentence, its tables, its notes."""
    if findings is None:
        return ""
    tables = [f"### {one_line(one.title)}\n\n{_markdown_table(one.head, one.rows)}" for one in findings.tables]
    notes = "\n".join(f"- {_escaped(note)}" for note in findings.notes)
    return "\n\n".join(block for block in (one_line(findings.headline), *tables, notes) if block)


def show_pictures(pictures: Sequence[ShownPicture]) -> str:
    """Return the pictures side by side, each the one that fits the reader's page; GitHub keeps these elements."""
    return "\n".join(
        f'<picture><source media="(prefers-color-scheme: dark)" srcset="{escape(one.dark)}">'
        f'<img alt="{escape(one_line(one.title))}" src="{escape(one.light)}" width="{PICTURE_WIDTH}"></picture>'
        for one in pictures
    )


def _cells(row: Row, constants: Sequence[str]) -> list[str]:
    shape, verdict = row.shape, row.verdict if row.name != BASELINE else None
    shape_cells = [MISSING] * 3 if shape is None else [str(shape.model_dim), str(shape.n_head), f"{shape.params:,}"]
    return [
        row.name,
        *(row.sets.get(name, "") for name in constants),
        *shape_cells,
        number(row.mean) + ("" if row.spread is None else f" ± {row.spread:.4f}"),
        gain(verdict),
        interval(verdict),
        str(row.n),
        _mean(row, "total_tokens_M", "{:.2f} M"),
        _mean(row, "tokens_per_second", "{:,.0f}"),
        _mean(row, "peak_vram_mb", "{:,.0f} MB"),
        row.status,
    ]


def _mean(row: Row, metric: str, form: str) -> str:
    value = row.mean_of(metric)
    return MISSING if value is None else form.format(value)


def _failures(board: Board) -> str:
    """Return how and why each variant failed that did, and where its log is."""
    return "\n".join(f"- {name} failed, {_escaped(why)}" for name, why in failures(board))


def _skipped(board: Board) -> str:
    """Return the variants that did not run, and why."""
    return "\n".join(f"- {name} did not run: {_escaped(why)}" for name, why in board.spec.skipped.items())


def _chart(board: Board) -> str:
    """Return a mermaid bar chart of the published values; GitHub draws it."""
    bars = [(row.name, row.mean) for row in board.rows if row.mean is not None]
    if not 2 <= len(bars) <= _MAX_BARS:
        return ""
    values = [value for _, value in bars]
    margin = (max(values) - min(values)) * 0.25 + 0.001
    names = ", ".join(f'"{name}"' for name, _ in bars)
    heights = ", ".join(f"{value:.4f}" for value in values)
    axis = f'y-axis "{board.track.metric}" {min(values) - margin:.4f} --> {max(values) + margin:.4f}'
    return f"```mermaid\nxychart-beta\n  x-axis [{names}]\n  {axis}\n  bar [{heights}]\n```"


def _proposals(board: Board) -> str:
    """Return what an editor proposed, and which of it cannot run."""
    if not board.proposals:
        return ""
    rows = [(one.name, one.summary, one.outcome) for one in board.proposals]
    return f"### Proposals\n\n{_markdown_table(('ID', 'what', 'became'), rows)}"


def _rounds(rounds: Sequence[RoundRow]) -> str:
    """Return the rounds of --loop, the newest first; of very many the last."""
    if len(rounds) < 2:
        return ""
    rows = [(str(one.number), one.variants, one.outcome) for one in reversed(rounds[-_MAX_ROUNDS:])]
    table = _markdown_table(("round", "variants", "verdict"), rows)
    return f"### Rounds\n\n{table}{_left_out(len(rounds) - _MAX_ROUNDS)}"


def _steering(commands: Sequence[CommandRecord]) -> str:
    """Return every command that people gave, and the answer; of very many the last."""
    if not commands:
        return ""
    table = _markdown_table(("who", "said", "answer"), [command_cells(one) for one in commands[-_MAX_COMMANDS:]])
    return f"### Steering\n\n{table}{_left_out(len(commands) - _MAX_COMMANDS)}"


def _left_out(count: int) -> str:
    return f"\n\n{count} earlier ones are left out." if count > 0 else ""


# --- evidence and conditions ------------------------------------------------------------------------------


def describe_audit(audit: AuditRecord) -> str:
    """Return the result of a winner's audit, with the checks that failed or else the names of all."""
    failed = [f"`{name}`: {one_line(audit.checks[name])}" for name in audit.failed]
    result = "; ".join(failed) or f"{', '.join(audit.checks)} hold"
    times = "once" if audit.holdout_reads == 1 else f"{audit.holdout_reads} times"
    known = {name.removesuffix("_bpb"): value for name, value in audit.metrics.items()}  # as the first version wrote it
    before, after = (number(known.get(name)) for name in ("baseline_held", "held"))
    held_out = f"The second held-out set, read {times} so far, has {before} for the baseline and {after} for it."
    means = f"{audit.seconds:.0f} s, sandbox {audit.sandbox}."
    return f"**Audit of {audit.variant}: {audit.status}.** {result}. {held_out} {means}"


def _conditions(board: Board) -> str:
    conditions, gate = board.campaign.conditions, board.campaign.gate
    facts = [
        f"baseline `{board.campaign.base[:7]}`, now `{board.current[:7]}`",
        f"profile {conditions.profile} on {one_line(conditions.machine)}",
        f"corpus {one_line(conditions.corpus)}",
        f"{conditions.budget} a run, {conditions.clock} clock",
        f"gate {gate.kind} (alpha {gate.alpha:g}, min gain {gate.min_gain:g})",
        f"issue body sha256 `{board.campaign.body_sha256[:12]}`",
        f"sandbox {', '.join(_sandbox_levels(board))}",
    ]
    facts += [f"${board.usd:.4f} for the editor"] if board.usd else []
    notices = "".join(f"\n\n{make_postable(notice)}" for notice in board.notices)
    return "\n".join(f"- {fact}" for fact in facts) + notices


def read_as(spec: Spec, *, folded: bool = True) -> str:
    """Return how an issue was read: each line of it that counts, and what it means."""
    reads = spec.read_as[:_MAX_READS]
    if not reads:
        return ""
    rows = [("" if one.line is None else str(one.line), one.text, one.means) for one in reads]
    table = _markdown_table(("line", "text", "means"), rows)
    left_out = _left_out(len(spec.read_as) - _MAX_READS).replace("earlier", "more")
    title = f"Read as ({one_line(spec.read_by)})"
    if not folded:
        return f"### {title}\n\n{table}{left_out}"
    return f"<details><summary>{title}</summary>\n\n{table}{left_out}\n\n</details>"


def _sandbox_levels(board: Board) -> list[str]:
    return sorted({run.sandbox for row in board.rows for run in row.runs}) or ["none yet"]


def _reproduce(board: Board) -> str:
    return f"Reproduce (what is in the ledger is not run again):\n\n{fenced(board.command, 'sh')}"
