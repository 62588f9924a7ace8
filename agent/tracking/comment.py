"""Records and verdicts to text: the issue's comment, --status, results.tsv, git notes. Pure: core and untrusted only.

Texts of others (an issue's words, a run's reason, constants, names of machines and corpora) pass `line` or `fenced`.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from agent.core.experiment import BASELINE, Shape, Spec, Track
from agent.core.records import AuditRecord, CampaignRecord, CommandRecord, RunRecord
from agent.core.runs import Verdict
from agent.core.sanitize import fenced, make_postable, one_line
from agent.store.codec import to_json

_ROUNDS = 100  # that are told in a comment
_ANSWERS = 50  # to commands, in one comment
_FAILED = ("crash", "oom", "timeout", "nan", "no_metric", "invalid")


@dataclass(frozen=True)
class Row:
    """One line of the board: a variant (or the baseline), what it set, its runs, and the gate's word on it.

    `mean` and `spread` are the value to publish with the half-width of its 90 % interval (None: unknown) and `n` the
    runs behind it: the confirmations of a variant that has them, else its screening run; all runs of the baseline.
    """

    name: str
    sets: Mapping[str, str]
    why: str
    commit: str
    shape: Shape | None
    runs: tuple[RunRecord, ...]
    verdict: Verdict | None
    mean: float | None
    spread: float | None
    n: int


@dataclass(frozen=True)
class Board:
    """All that is known of one campaign. `rows` begin with the baseline; `current` is the track's baseline by now."""

    spec: Spec
    track: Track
    campaign: CampaignRecord
    rows: tuple[Row, ...]
    verdict: Verdict | None
    current: str
    current_shape: Shape | None
    command: str
    notices: tuple[str, ...] = ()
    audits: tuple[AuditRecord, ...] = ()
    steering: tuple[CommandRecord, ...] = ()
    proposals: tuple[tuple[str, str, str], ...] = ()  # of an issue in prose: name, what, and what became of it
    rounds: tuple[tuple[str, str, str], ...] = ()  # all of an issue in prose: number, variants, what came of them
    usd: float = 0.0  # what the issue's editor has cost so far


def number(value: float | None, digits: int = 4) -> str:
    """A number for a table; a dash where there is none."""
    return "–" if value is None else f"{value:.{digits}f}"


def _signed(value: float | None) -> str:
    return "–" if value is None else f"{value:+.4f}"


def _interval(verdict: Verdict | None) -> str:
    if verdict is None or verdict.interval is None:
        return "–"
    low, high = verdict.interval
    return f"{low:+.4f} to {high:+.4f}"


def _mean_of(runs: Sequence[RunRecord], metric: str) -> float | None:
    values = [run.metrics[metric] for run in runs if metric in run.metrics]
    return sum(values) / len(values) if values else None


def _status(row: Row) -> str:
    """One word for a row: how its runs ended if one failed, else the gate's decision."""
    failed = [run.status for run in row.runs if run.status in _FAILED]
    if failed:
        return failed[-1]
    if row.name == BASELINE:
        return BASELINE
    return row.verdict.decision if row.verdict else "pending"


# --- the comment ------------------------------------------------------------------------------------------


def marker(issue: int) -> str:
    """The line by which the one comment of an issue is found again."""
    return f"<!-- autoresearch: issue {issue} -->"


def comment(board: Board) -> str:
    """The result of a campaign as GitHub-flavoured Markdown."""
    parts = [marker(board.spec.issue.number), _headline(board), _outcome(board), _table(board), _chart(board)]
    parts += [
        *map(_audit, board.audits),
        _proposals(board),
        _rounds(board.rounds),
        _steering(board.steering),
        _conditions(board),
        _reproduce(board),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _headline(board: Board) -> str:
    verdict = board.verdict
    if verdict is None:
        return "## Running\n\nThe campaign has no verdict yet."
    named = f": {verdict.variant}" if verdict.variant else ""
    return f"## Verdict: {verdict.decision}{named}\n\n{one_line(verdict.reason)}"


def _expected(board: Board) -> list[str]:
    """What the issue expected of the variant that won; only a winner makes an outcome true."""
    verdict = board.verdict
    if verdict is None or verdict.decision != "keep":
        return []
    return [one_line(outcome.text) for outcome in board.spec.outcomes if outcome.variant == verdict.variant]


def _outcome(board: Board) -> str:
    """The expected outcome that came true, quoted as it is: in a fence its Markdown does nothing."""
    told = "\n".join(_expected(board))
    return "\n".join(f"> {quoted}" for quoted in fenced(told, "text").split("\n")) if told else ""


def _table(board: Board) -> str:
    names = list(dict.fromkeys(name for row in board.rows for name in row.sets))
    head = ["ID", *names, "model_dim", "n_head", "params", board.track.metric, "gain", "90 % interval", "n"]
    head += ["tokens", "tok/s", "memory", "status"]
    lines = [head, ["---"] * len(head), *(_cells(row, names) for row in board.rows)]
    return "\n".join(f"| {' | '.join(map(_escaped, cells))} |" for cells in lines)


def _escaped(cell: str) -> str:
    """A cell that ends neither itself nor its row, and whose text is text: no link, no code, no HTML."""
    return re.sub(r"([|<\[`\\])", r"\\\1", one_line(cell))


def _cells(row: Row, names: Sequence[str]) -> list[str]:
    shape, tokens = row.shape, _mean_of(row.runs, "total_tokens_M")
    speed, memory = _mean_of(row.runs, "tokens_per_second"), _mean_of(row.runs, "peak_vram_mb")
    shaped = ["–"] * 3 if shape is None else [str(shape.model_dim), str(shape.n_head), f"{shape.params:,}"]
    spread = "" if row.spread is None else f" ± {row.spread:.4f}"
    judged = row.verdict if row.name != BASELINE else None
    return [
        row.name,
        *(row.sets.get(name, "") for name in names),
        *shaped,
        number(row.mean) + spread,
        _signed(judged.gain if judged else None),
        _interval(judged),
        str(row.n),
        "–" if tokens is None else f"{tokens:.2f} M",
        "–" if speed is None else f"{speed:,.0f}",
        "–" if memory is None else f"{memory:,.0f} MB",
        _status(row),
    ]


def _chart(board: Board) -> str:
    """A mermaid bar chart of the published values; GitHub draws it."""
    shown = [(row.name, row.mean) for row in board.rows if row.mean is not None]
    if len(shown) < 2:
        return ""
    values = [value for _, value in shown]
    room = (max(values) - min(values)) * 0.25 + 0.001
    names = ", ".join(f'"{name}"' for name, _ in shown)
    bars = ", ".join(f"{value:.4f}" for value in values)
    axis = f'y-axis "{board.track.metric}" {min(values) - room:.4f} --> {max(values) + room:.4f}'
    return f"```mermaid\nxychart-beta\n  x-axis [{names}]\n  {axis}\n  bar [{bars}]\n```"


def _audit(found: AuditRecord) -> str:
    """What the audit of a winner found, with the checks that failed or else the names of all."""
    failed = [f"`{name}`: {one_line(found.checks[name])}" for name in found.failed]
    held = "; ".join(failed) or f"{', '.join(found.checks)} hold"
    told, times = found.metrics, "once" if found.holdout_reads == 1 else f"{found.holdout_reads} times"
    names = ("baseline_held_bpb", "held_bpb")
    before, after = (number(told.get(name)) for name in names)
    second = f"The second held-out set, read {times} so far, has {before} for the baseline and {after} for it."
    how = f"{found.seconds:.0f} s, sandbox {found.sandbox}."
    return f"**Audit of {found.variant}: {found.status}.** {held}. {second} {how}"


@dataclass(frozen=True)
class IssueSummary:
    """What can be told of an issue without a campaign: the commands that people gave, the rounds it had."""

    issue: int
    steering: tuple[CommandRecord, ...] = ()
    rounds: tuple[tuple[str, str, str], ...] = ()


def unbegun(said: IssueSummary) -> str:
    """The comment of an issue that people steered before its campaign began."""
    return _without_board(said, "## Waiting\n\nThe campaign has not begun.")


def fruitless(said: IssueSummary, why: str) -> str:
    """The comment of an issue in prose of whose proposals none could run."""
    return _without_board(said, f"## Nothing to run\n\n{one_line(why)}")


def _without_board(said: IssueSummary, headline: str) -> str:
    parts = [marker(said.issue), headline, _rounds(said.rounds), _steering(said.steering)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _steering(said: Sequence[CommandRecord]) -> str:
    """Every command that people gave, and what became of it; of very many the last."""
    if not said:
        return ""
    left = f"\n\n{len(said) - _ANSWERS} earlier ones are left out." if len(said) > _ANSWERS else ""
    rows = (f"| {' | '.join(map(_escaped, _answer(one)))} |" for one in said[-_ANSWERS:])
    return "\n".join(["### Steering", "", "| who | said | answer |", "| --- | --- | --- |", *rows]) + left


def _answer(one: CommandRecord) -> tuple[str, str, str]:
    """Who, what, and the answer; a remark in a file has no author, and is named itself."""
    return one.author or one.remark, one.command, one.answer if one.obeyed else f"not obeyed: {one.answer}"


def _proposals(board: Board) -> str:
    """What an editor proposed, and what of it may not run."""
    if not board.proposals:
        return ""
    rows = (f"| {' | '.join(map(_escaped, one))} |" for one in board.proposals)
    return "\n".join(["### Proposals", "", "| ID | what | became |", "| --- | --- | --- |", *rows])


def _rounds(rounds: Sequence[tuple[str, str, str]]) -> str:
    """The rounds of --loop, the newest first; of very many the last."""
    if len(rounds) < 2:
        return ""
    left = f"\n\n{len(rounds) - _ROUNDS} earlier ones are left out." if len(rounds) > _ROUNDS else ""
    rows = (f"| {' | '.join(map(_escaped, one))} |" for one in reversed(rounds[-_ROUNDS:]))
    return "\n".join(["### Rounds", "", "| round | variants | verdict |", "| --- | --- | --- |", *rows]) + left


def _conditions(board: Board) -> str:
    told, gate = board.campaign.conditions, board.campaign.gate
    facts = [
        f"baseline `{board.campaign.base[:7]}`, now `{board.current[:7]}`",
        f"profile {told.profile} on {one_line(told.machine)}",
        f"corpus {one_line(told.corpus)}",
        f"{told.budget} a run, {told.clock} clock",
        f"gate {gate.kind} (alpha {gate.alpha:g}, min gain {gate.min_gain:g})",
        f"issue body sha256 `{board.campaign.body_sha256[:12]}`",
        f"sandbox {', '.join(_levels(board))}",
    ]
    facts += [f"${board.usd:.4f} for the editor"] if board.usd else []
    notices = "".join(f"\n\n{make_postable(notice)}" for notice in board.notices)
    return "\n".join(f"- {fact}" for fact in facts) + notices


def _levels(board: Board) -> list[str]:
    """The levels of the sandboxes that the runs were in."""
    return sorted({run.sandbox for row in board.rows for run in row.runs}) or ["none yet"]


def _reproduce(board: Board) -> str:
    return f"Reproduce (what is in the ledger is not run again):\n\n{fenced(board.command, 'sh')}"


# --- for machines -----------------------------------------------------------------------------------------


def verdict_json(verdict: Verdict | None) -> dict[str, object] | None:
    """A verdict as --status prints it; None while there is none."""
    if verdict is None:
        return None
    return {
        "decision": verdict.decision,
        "variant": verdict.variant,
        "gain": verdict.gain,
        "interval": None if verdict.interval is None else list(verdict.interval),
        "n": verdict.n,
        "p": verdict.p,
        "reason": verdict.reason,
    }


def _run_json(run: RunRecord) -> dict[str, object]:
    return {
        "variant": run.variant,
        "seed": run.seed,
        "status": run.status,
        "val_bpb": run.metric,
        "tokens_per_second": run.metrics.get("tokens_per_second"),
        "seconds": round(run.seconds, 3),
        "commit": run.commit,
    }


def status_json(board: Board) -> dict[str, object]:
    """What --status --json prints. `model_dim` is that of the `full` profile, the one the issue speaks of."""
    shape = board.current_shape
    return {
        "issue": board.spec.issue.number,
        "verdict": verdict_json(board.verdict),
        "baseline": {"commit": board.current, "model_dim": None if shape is None else shape.model_dim},
        "runs": [_run_json(run) for row in board.rows for run in row.runs],
        "audits": [to_json(one) for one in board.audits],
        "steering": [to_json(command) for command in board.steering],
        "proposals": [dict(zip(("id", "what", "became"), one, strict=True)) for one in board.proposals],
        "usd": board.usd,
    }


def shape_json(shape: Shape | None) -> dict[str, object]:
    """A shape as --plan prints it."""
    if shape is None:
        return {}
    return {
        "DEPTH": shape.depth,
        "ASPECT_RATIO": shape.aspect_ratio,
        "model_dim": shape.model_dim,
        "n_head": shape.n_head,
        "params": shape.params,
        "flops_per_token": shape.flops_per_token,
        "memory_mb": shape.memory_mb,
    }


# --- for people at a terminal -----------------------------------------------------------------------------


def columns(rows: Sequence[Sequence[str]]) -> str:
    """Rows of cells as aligned plain text: the first column to the left, numbers to the right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = (
        "  ".join(
            cell.ljust(w) if i == 0 else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )
    return "\n".join(row.rstrip() for row in lines)


def shapes_table(profile: str, rows: Sequence[tuple[str, Shape | None]]) -> str:
    """The resolved shapes of one profile."""
    head = [profile, "DEPTH", "ASPECT_RATIO", "model_dim", "n_head", "parameters", "FLOPs/token", "memory MB"]
    body = [
        [name, str(s.depth), str(s.aspect_ratio), str(s.model_dim), str(s.n_head), f"{s.params:,}"]
        + [f"{s.flops_per_token:,}", f"{s.memory_mb:,}"]
        for name, s in rows
        if s is not None
    ]
    return columns([head, *body])


def board_text(board: Board) -> str:
    """The board, the verdict and where more is to be read, for a terminal or a pipe."""
    head = ["variant", board.track.metric, "n", "gain", "90 % interval", "tok/s", "status"]
    body = [
        [row.name, number(row.mean), str(row.n)]
        + [_signed(row.verdict.gain if row.verdict else None), _interval(row.verdict)]
        + [number(_mean_of(row.runs, "tokens_per_second"), 0), _status(row)]
        for row in board.rows
    ]
    return "\n".join(["", columns([head, *body]), "", *_verdict_lines(board)])


def _verdict_lines(board: Board) -> list[str]:
    verdict = board.verdict
    if verdict is None:
        return [*_steering_lines(board), "no verdict yet; the same command goes on"]
    named = f" {verdict.variant}" if verdict.variant else ""
    lines = [f"verdict: {verdict.decision}{named}", one_line(verdict.reason)]
    lines += [f"the issue expected: {outcome}" for outcome in _expected(board)]
    lines += [one_line(_audit(one).replace("**", "").replace("`", "")) for one in board.audits]
    lines += _steering_lines(board)
    lines += [f"baseline {board.track.name}: {board.current[:7]}", *map(make_postable, board.notices)]
    return [told for told in lines if told]


def _steering_lines(board: Board) -> list[str]:
    return ["{} said {}: {}".format(*map(one_line, _answer(said))) for said in board.steering]


# --- exports ----------------------------------------------------------------------------------------------


def results_tsv(campaigns: Sequence[tuple[Verdict, Sequence[RunRecord]]]) -> str:
    """results.tsv with the columns its readers know. A crash is 0.000000 here, and only here."""
    lines = ["commit\tval_bpb\tmemory_gb\tstatus\tdescription"]
    lines += [_tsv_line(run, verdict) for verdict, runs in campaigns for run in runs]
    return "\n".join(lines) + "\n"


def _tsv_line(run: RunRecord, verdict: Verdict) -> str:
    told = one_line(f"{run.variant} {run.description} (seed {run.seed}, {run.role})")
    if run.metric is None:
        return f"{run.commit[:7]}\t0.000000\t0.0\tcrash\t{told}: {run.status}"
    kept = run.variant == BASELINE or (verdict.decision == "keep" and run.variant == verdict.variant)
    memory = run.metrics.get("peak_vram_mb", 0.0) / 1024
    return f"{run.commit[:7]}\t{run.metric:.6f}\t{memory:.1f}\t{'keep' if kept else 'discard'}\t{told}"


def note(campaign: CampaignRecord, name: str, verdict: Verdict | None, runs: Sequence[RunRecord], metric: str) -> str:
    """One campaign's section of a commit's git note: its runs, a line each, then what the gate said."""
    told = campaign.conditions
    lines = [
        f"{name}: {verdict.decision if verdict else BASELINE} (issue {campaign.issue}, {told.budget}, {told.profile})"
    ]
    for run in runs:
        value = one_line(run.reason) if run.metric is None else f"{metric} {run.metric:.6f}"
        lines.append(f"seed {run.seed} ({run.role}): {run.status}, {value}")
    return "\n".join([*lines, *([json.dumps(verdict_json(verdict))] if verdict else [])])
