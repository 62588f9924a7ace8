"""Issue text in, Spec out: what is understood is shown, what is not is refused with its line. Pure.

The rules are in docs/writing-issues.md. `settings` reads the block, `tables` the tables, `budgets`, `orders` and
`outcomes` the prose.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace

from agent.core.experiment import (
    BASELINE,
    Constant,
    Issue,
    Profile,
    ReadAs,
    Spec,
    Track,
    Variant,
)
from agent.core.values import EXPECTED
from agent.spec import budgets, listing, orders, outcomes, settings, spaces, tables
from agent.spec.claims import read_claims
from agent.spec.labels import check_open, label_cap
from agent.spec.listing import PROSE, Listing
from agent.spec.loose import check_no_settings
from agent.spec.markdown import IssueDocument, parse_issue
from agent.spec.measured import baseline_seeds, stated_seeds
from agent.spec.names import Vocabulary
from agent.spec.orders import Instructions
from agent.spec.sentences import unread
from agent.spec.settings import Settings
from agent.spec.stray import check_stray
from agent.spec.variants import VariantNames

PROFILES: tuple[Profile, ...] = ("full", "mini")


def parse(
    issue: Issue, track: Track, constants: Mapping[str, object], profile: Profile = "full", *, block: str = ""
) -> Spec:
    """Read an issue as an experiment on `track`, whose script has the top-level `constants`, to run on `profile`.

    `block` is a settings block that somebody else wrote for it.

    Raises BadInput, with the line, for whatever cannot be read as exactly one experiment: see the readers.
    """
    check_open(issue)
    page = parse_issue(issue, block)
    return _parse(issue, page, settings.read_settings(page), Vocabulary(track, constants, profile))


def _parse(issue: Issue, page: IssueDocument, block: Settings, names: Vocabulary) -> Spec:
    track = names.track
    _check_settings(page, block, track)
    reads = settings.read_as(page, block)
    base, space = listing.read_space(page, names, block)
    listed = listing.shaped(page, names, block, listing.read_listed(page, names, block, reads), base, space)
    seeds, only_baseline = _seeds(page, block, listed, reads)
    strategy = _strategy(page, names, block, listed, only_baseline)
    if strategy != PROSE and "variants" in block.lines and not block.variants:
        problem = f"variants: a number is of an editor's proposals, and the strategy is {strategy}"
        raise page.error(problem, block.line("variants"), "take the key out")
    if strategy in ("table", *spaces.LISTED) and not listed.variants and not only_baseline:
        raise tables.missing_table(page, names)
    time = budgets.stated_time(page, block.budget or listed.budget, block.cap_s)
    demanded = outcomes.threshold(page, track, given=block.min_gain is not None)
    variants = VariantNames(tuple(one.name for one in listed.variants))
    given = bool(block.order or block.skip or block.only) or strategy == PROSE  # an editor reads the prose itself
    instructions = orders.read_instructions(page, variants, given=given)
    expected = list(outcomes.outcomes(page, variants))
    reads += [*time.reads, *instructions.reads, *([demanded.read] if demanded else []), *(read for _, read in expected)]
    check_stray(page, names, block, reads, tables=listed.tables)
    reads += unread(page, reads)
    kept, skipped = _selected(page, listed, block, instructions)
    return Spec(
        issue=page.issue,
        track=track.name,
        strategy=strategy,
        variants=kept,
        budget=block.budget or listed.budget or time.budget,
        cap_s=_smallest(label_cap(issue), block.cap_s, time.cap_s),
        gate=block.gate,
        outcomes=tuple(outcome for outcome, _ in expected),
        body_sha256=digest(issue.body),
        seeds=seeds,
        proposals=block.proposals if strategy == PROSE else 0,
        min_gain=block.min_gain if block.min_gain is not None else demanded.min_gain if demanded else None,
        skipped=skipped,
        baseline_only=only_baseline,
        baseline_stated=listed.baseline_stated,
        confirm=block.confirm,
        promote=block.promote,
        base={edit.name: edit.value for edit in base},
        space=space,
        evolve=block.evolve,
        search=block.search,
        mix=block.mix,
        claims=read_claims(page, block.claims, listed.variants, names, explores=strategy in spaces.EXPLORING),
        read_as=tuple(sorted(reads, key=lambda read: read.line or 0)),
    )


def digest(body: str) -> str:
    """Return the sha256 of the body as it was fetched, hidden text included. How lines end is the tracker's affair."""
    return hashlib.sha256(body.replace("\r\n", "\n").encode(errors="backslashreplace")).hexdigest()


def named_track(issue: Issue) -> str | None:
    """Return the track that the issue's yaml block names, to be loaded before `parse`. Raises BadInput."""
    return settings.read_settings(parse_issue(issue)).track


def block_keys(block: str) -> list[str]:
    """Return the keys that a settings block has at its margin."""
    return settings.keys_of(block)


def schema() -> dict[str, object]:
    """Return the JSON schema of the settings block."""
    from agent.spec.schema import json_schema

    return json_schema()


def settable(constants: Mapping[str, object], profile: Profile) -> dict[str, object]:
    """Return the constants that an issue may set on a profile, by full name."""
    others = tuple(f".{name}." for name in PROFILES if name != profile)
    plain = {name: value for name, value in constants.items() if type(value) in EXPECTED}
    return {name: value for name, value in plain.items() if not any(other in name for other in others)}


def understood(
    issue: Issue, track: Track, constants: Mapping[str, object], profile: Profile
) -> dict[str, dict[str, Constant]]:
    """Return the values that the tables of an issue give, by row and constant, as far as they can be read at all."""
    return tables.understood_values(parse_issue(issue), Vocabulary(track, constants, profile))


def _smallest(*caps: float | None) -> float | None:
    return min((cap for cap in caps if cap is not None), default=None)


def _check_settings(page: IssueDocument, block: Settings, track: Track) -> None:
    if block.track not in (None, track.name):
        problem = f"the issue is for track {block.track}, not {track.name}"
        raise page.error(problem, None, f"load track {block.track}")
    spaces.check_strategy(page, block)
    both = [
        key for key, given in (("variants", block.variants), ("grid", block.grid), ("table", block.tables)) if given
    ]
    if len(both) > 1:
        raise page.error(
            f"{both[0]}: and {both[1]}: both say what the variants are", block.line(both[1]), "keep one of them"
        )


# --- which of them run ---------------------------------------------------------------------------------------


def _selected(
    page: IssueDocument, listed: Listing, block: Settings, instructions: Instructions
) -> tuple[tuple[Variant, ...], dict[str, str]]:
    """Return the variants that run, in order, and why the others do not."""
    by_name = {variant.name: variant for variant in listed.variants}
    known = {name.lower(): name for name in by_name}

    def named(key: str, given: Sequence[str]) -> list[str]:
        for name in given:
            if name.lower() not in known:
                raise page.error(f"{key}: {name} is no variant", block.line(key), f"the IDs are {', '.join(by_name)}")
        return [known[name.lower()] for name in given]

    skip = {
        name: why or "the settings block leaves it out"
        for name, why in zip(named("skip", list(block.skip)), block.skip.values(), strict=True)
    }
    only = {name: "the settings block" for name in named("only", block.only)} or instructions.only
    why_others = next(iter(only.values()), "")
    others = {name: f"not among those that run: {why_others}" for name in by_name if only and name not in only}
    _check_places(page, block, instructions)
    skipped = {**others, **listed.skipped, **instructions.skipped, **skip}
    order = orders.in_order(page, list(by_name), listed.ranks, instructions)
    first = named("order", block.order)
    order = [*first, *(name for name in order if name not in first)]
    kept = tuple(by_name[name] for name in order if name not in skipped)
    if by_name and not kept:
        raise page.error("every variant is left out", None, "leave one in, or close the issue")
    return kept, {name: why for name, why in skipped.items() if name in by_name}


def _check_places(page: IssueDocument, block: Settings, instructions: Instructions) -> None:
    """Raise BadInput for a variant that is given a place and left out."""
    both = {name.lower() for name in block.order} & {name.lower() for name in block.skip}
    if both:
        raise page.error(f"order: and skip: both name {', '.join(both)}", block.line("skip"), "keep one of the two")
    placed = {name for _, name in instructions.placed} & instructions.skipped.keys()
    if placed and not (block.order or block.skip or block.only):
        name = sorted(placed)[0]
        raise page.error(
            f"{name} is given a place and left out: {instructions.skipped[name]}", None, "keep one of the two"
        )


# --- what kind of issue it is -----------------------------------------------------------------------------


def _seeds(
    page: IssueDocument, block: Settings, listed: Listing, reads: list[ReadAs]
) -> tuple[tuple[int, ...] | None, bool]:
    """Return the seeds, and whether they are of the baseline alone."""
    if block.baseline_only:
        if listed.variants:
            raise page.error(
                "baseline_only: true, and there are variants", block.line("baseline_only"), "take one of the two out"
            )
        return block.seeds, True
    if not listed.variants and block.strategy is None and (baseline := baseline_seeds(page)):
        reads.append(baseline.read)
        return block.seeds or baseline.seeds, True
    if block.seeds is not None:
        return block.seeds, False
    stated = stated_seeds(page)
    if stated is not None:
        reads.append(stated.read)
        return stated.seeds, False
    return None, False


def _strategy(page: IssueDocument, names: Vocabulary, block: Settings, listed: Listing, only_baseline: bool) -> str:
    """Return the strategy: an editor's where there is text, and nothing in it that is like a table or like settings."""
    if block.strategy is not None:
        return block.strategy
    if listed.variants or only_baseline or not page.prose:
        return "table"
    if page.tables or tables.like_a_table(page, names) is not None:
        return "table"
    check_no_settings(page, names)
    return PROSE


__all__ = ["BASELINE", "PROSE", "digest", "named_track", "parse", "replace"]
