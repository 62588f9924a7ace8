"""--capacity: what a shape costs and what a budget buys, as tables and a chart for a person, as JSON for a program."""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace

from agent.app.request import choose_profile, make_request
from agent.app.scatter import PLAIN, UNICODE, Mark, scatter
from agent.app.wiring import Workspace
from agent.campaign.base import check_committed, fixed_texts, read_base
from agent.core.errors import BadInput
from agent.core.experiment import Budget, Profile, Track
from agent.core.frozen import frozen
from agent.core.sanitize import one_line, strip_control
from agent.spec import amounts, capacity
from agent.spec.capacity import Device, Model, Purchase
from agent.spec.preflight import Resolved, Sources
from agent.store import tracks
from agent.store.baseline import natural_base
from agent.tracking.board import MISSING, columns

_SHORT = {
    "token embedding": "token",
    "position embedding": "place",
    "value embeddings": "value",
    "n-gram embeddings": "n-gram",
    "queries, keys, values": "qkv",
    "attention output": "out",
    "gates and scalars": "other",
    "biases and norms": "other",
}


@frozen
class Report:
    """Own models (an issue's, a shape's, the baseline's), the published ones beside them, and what is bought."""

    title: str
    own: tuple[Model, ...]
    published: tuple[Model, ...]
    device: Device
    mfu: float
    budget: Budget
    issue: int | None = None
    profile: Profile | None = None

    @property
    def models(self) -> tuple[Model, ...]:
        return self.own + self.published

    @property
    def flops(self) -> float | None:
        """The FLOPs that the budget buys; None where they are the model's to say."""
        return self.budget.amount * self.device.peak_flops * self.mfu if self.budget.kind == "seconds" else None


# --- what is counted --------------------------------------------------------------------------------------


def make_report(args: argparse.Namespace, workspace: Workspace) -> Report:
    """Return what --capacity reports of an issue, a shape or the baseline. Raises BadInput for what cannot be counted.

    The profile is `full` unless one is chosen: the budget is a GPU's.
    """
    given = amounts.parse_budget(args.budget) if args.budget else None
    if args.issue is not None:
        report = _of_issue(args, workspace)
    elif args.shape is not None:
        report = _of_shape(args, workspace)
    else:
        report = _of_baseline(args, workspace)
    return report if given is None else replace(report, budget=given)


def _of_issue(args: argparse.Namespace, workspace: Workspace) -> Report:
    request = make_request(args, workspace.machine, args.issue)
    request = replace(request, budget=None, profile=choose_profile(args, "full"))
    elsewhere = replace(workspace.machine, gpus=())  # whether it fits the named device is what is reported
    plan = replace(workspace, machine=elsewhere).plan(request)
    own = [_count(one, plan.base.sources, plan.track, plan.profile) for one in (plan.baseline, *plan.variants)]
    return Report(
        title=f"issue {plan.spec.issue.number}: {one_line(plan.spec.issue.title)}, baseline {plan.base.commit[:7]}",
        own=tuple(own),
        published=(),
        device=_device(args, workspace, plan.track, plan.base.commit),
        mfu=args.mfu or capacity.DEFAULT_MFU,
        budget=plan.budget,
        issue=plan.spec.issue.number,
        profile=plan.profile,
    )


def _of_shape(args: argparse.Namespace, workspace: Workspace) -> Report:
    track = tracks.load(workspace.repo.root, "main")
    model = capacity.parse_shape(args.shape)
    return Report(
        title=f"a GPT-2 of n_layer={model.n_layer} d_model={model.d_model} n_head={model.n_head} "
        f"vocab={model.vocab} context={model.context}",
        own=(model,),
        published=tuple(one for one in capacity.published() if one.name != model.name),
        device=_device(args, workspace, track, natural_base(workspace.repo, track)),
        mfu=args.mfu or capacity.DEFAULT_MFU,
        budget=track.budget,
    )


def _of_baseline(args: argparse.Namespace, workspace: Workspace) -> Report:
    track = tracks.load(workspace.repo.root, "main")
    base = read_base(workspace.repo, track, natural_base(workspace.repo, track), workspace.ledger)
    check_committed(workspace.repo, track, base.commit, args.committed)
    profile = choose_profile(args, "full")
    return Report(
        title=f"the baseline of track {track.name}, {base.commit[:7]}",
        own=(_count(base.baseline, base.sources, track, profile),),
        published=tuple(capacity.published()),
        device=_device(args, workspace, track, base.commit),
        mfu=args.mfu or capacity.DEFAULT_MFU,
        budget=track.budget,
        profile=profile,
    )


def _count(one: Resolved, sources: Sources, track: Track, profile: Profile) -> Model:
    if profile not in one.shapes:
        raise BadInput(
            f"{track.script} of track {track.name} has no shape that can be counted: no DEPTH, ASPECT_RATIO, HEAD_DIM",
            next_step="count a shape by its numbers: --capacity --shape n_layer=4,d_model=64,vocab=28,context=16",
        )
    return capacity.count_script(one.variant.name, one.constants, sources.facts[profile], profile)


def _device(args: argparse.Namespace, workspace: Workspace, track: Track, commit: str) -> Device:
    """Return the device that is named, else this machine's where it is known, else DEFAULT_DEVICE."""
    peaks = capacity.read_peaks(fixed_texts(workspace.repo, track, commit))
    if args.device is not None:
        return capacity.choose_device(args.device, peaks)
    here = " ".join(gpu.name for gpu in workspace.machine.gpus[:1])
    known = any(name.lower() in here.lower() for name in peaks)
    return capacity.choose_device(here if known else capacity.DEFAULT_DEVICE, peaks)


# --- for a person -----------------------------------------------------------------------------------------


def report_text(report: Report, pretty: bool) -> str:
    """Return the report for a person, 80 columns wide; `pretty` draws with more than ASCII."""
    sections = [_head(report), _parts_table(report.own), _block(report.own[0])]
    if report.published:
        sections.append(_sizes_table(report.published))
    sections += [_budget_table(report), _optimal(report), _chart(report, pretty)]
    text = "\n\n".join(section for section in sections if section)
    return text if pretty else text.replace(MISSING, "-")


def _head(report: Report) -> str:
    share = f"{report.mfu:.0%} of {report.device.name}"
    peak = "" if "FLOP/s" in share else f" ({report.device.peak_flops / 1e12:g} TFLOP/s dense bf16)"
    profile = "" if report.profile is None else f"profile {report.profile}, "
    return f"{report.title}\n{profile}{_budget_words(report.budget)} at {share}{peak}"


def _budget_words(budget: Budget) -> str:
    return f"{budget.amount:,.10g} {budget.kind}"


def _parts_table(models: Sequence[Model]) -> str:
    """Return the parameters by part, rounded, and in all, exactly."""
    names = list(models[0].by_part)
    head = ["model", "parameters", *(_SHORT.get(name, name) for name in names)]
    rows = [[one.name, f"{one.params:,}", *(rounded(one.by_part[name]) for name in names)] for one in models]
    return columns([head, *rows])


def _block(model: Model) -> str:
    """Return where the matrices of a block are, in d_model squared: what an estimate of 3 + 8 = 12 leaves out."""
    square, left_out = model.d_model**2, "often left out"
    notes = {
        "queries, keys, values": "",
        "attention output": f"{left_out}: 3 + 8 is not 12" if model.mlp_ratio == 4 else left_out,
        "MLP": f"up and down, {model.mlp_ratio} x d_model wide",
    }
    rows = [[part, f"{count} d^2", f"{count * square:,}"] for part, count in model.block.items()]
    total = sum(model.block.values())
    body = columns([*rows, ["together", f"{total} d^2", f"{total * square:,}"]]).splitlines()
    noted = [f"{line}  {note}" for line, note in zip(body, [*notes.values(), ""], strict=True)]
    return "\n".join(
        [f"one block of {model.name}, d = d_model = {model.d_model:,}", *(f"  {one}".rstrip() for one in noted)]
    )


def _sizes_table(models: Sequence[Model]) -> str:
    head = ["published", "d_model", "n_layer", "context", "counted", "stated", "blocks' 12 d^2"]
    rows = [
        [one.name, str(one.d_model), str(one.n_layer), str(one.context), f"{one.params:,}", one.stated]
        + [f"{one.n_layer * sum(one.block.values()) * one.d_model**2 / one.params:.0%}"]
        for one in models
    ]
    return columns([head, *rows])


def _budget_table(report: Report) -> str:
    """Return what the budget buys of the own models, and of the published ones that fit the device."""
    result = "seconds" if report.budget.kind == "tokens" else "tokens"
    head = ["to train", "FLOPs/token", "rows", "memory GB", "fits", result, "per parameter", "of 20"]
    bought = [(one, _buy(report, one)) for one in report.models]
    shown = [(one, what) for one, what in bought if what and (one in report.own or what.fits is not False)]
    return columns(
        [head, *([*_needs(one, what), rounded(getattr(what, result)), *_ratio(what)] for one, what in shown)]
    )


def _buy(report: Report, model: Model) -> Purchase | None:
    """Return what the budget buys; None of a published model where it is in steps. Raises BadInput of an own one."""
    if report.budget.kind == "steps" and model in report.published:
        return None
    return capacity.buy(model, report.budget, report.device, report.mfu)


def _needs(model: Model, bought: Purchase) -> list[str]:
    fits = MISSING if bought.fits is None else "yes" if bought.fits else "no"
    memory = f"{model.memory_mb / 1024:,.1f}"
    return [model.name, rounded(model.flops_per_token), str(model.rows), memory, fits]


def _ratio(bought: Purchase) -> list[str]:
    return [f"{bought.tokens_per_parameter:,.3g}", f"{bought.chinchilla_ratio:.2g}"]


def _optimal(report: Report) -> str:
    if report.flops is None:
        return ""
    params, tokens = capacity.compute_optimal(report.flops)
    return (
        f"of 20: what is bought, as a share of Chinchilla's {capacity.TOKENS_PER_PARAMETER} tokens a parameter\n"
        f"{report.flops:.3g} FLOPs train {rounded(params)} parameters best by that, on {rounded(tokens)} tokens"
    )


def _chart(report: Report, pretty: bool) -> str:
    """Return parameters against d_model: an issue's variants by letter, else own and published by family."""
    sign = "●" if pretty else "o"
    if report.published:
        marks = [
            *(Mark("2" if "GPT-2" in one.name else "3", one.d_model, one.params) for one in report.published),
            *(Mark(sign, one.d_model, one.params) for one in report.own),
        ]
        legend = f"2 GPT-2   3 GPT-3   {sign} {report.own[0].name}"
    else:
        letters = "abcdefghijklmnopqrstuvwxyz"
        named = list(zip(letters, report.own, strict=False))
        marks = [Mark(letter, one.d_model, one.params) for letter, one in named]
        legend = "   ".join(f"{letter} {one.name}" for letter, one in named)
    drawn = scatter(marks, UNICODE if pretty else PLAIN, label=rounded)
    return f"parameters against d_model, both on log scales\n{drawn}\n{legend}"


def rounded(number: float) -> str:
    """Return a number in three digits: 38.6M, 1.56B, 300."""
    for unit, scale in (("T", 1e12), ("B", 1e9), ("M", 1e6), ("k", 1e3)):
        if abs(number) >= 0.9995 * scale:
            return f"{number / scale:.3g}{unit}" if number / scale < 999.5 else f"{number / scale:,.0f}{unit}"
    return f"{number:.3g}"


def is_pretty() -> bool:
    """Whether standard output is a terminal that shows more than ASCII."""
    return sys.stdout.isatty() and (sys.stdout.encoding or "").lower().startswith("utf")


# --- for a program ----------------------------------------------------------------------------------------


def report_json(report: Report) -> dict[str, object]:
    """Return all numbers of the report, exactly."""
    optimal = None if report.flops is None else capacity.compute_optimal(report.flops)
    return {
        "title": strip_control(report.title),
        "issue": report.issue,
        "profile": report.profile,
        "budget": str(report.budget),
        "device": asdict(report.device),
        "mfu": report.mfu,
        "flops": report.flops,
        "compute_optimal": None if optimal is None else {"params": optimal[0], "tokens": optimal[1]},
        "models": [_model_json(report, one) for one in report.own],
        "published": [_model_json(report, one) for one in report.published],
    }


def _model_json(report: Report, model: Model) -> dict[str, object]:
    bought = _buy(report, model)
    return {
        **asdict(model),
        "params": model.params,
        "block_in_d_model_squared": model.block,
        "buys": None if bought is None else asdict(bought),
    }
