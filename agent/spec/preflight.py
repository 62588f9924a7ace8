"""What can be known before a run: each variant's files and shape, or why it is refused. Pure."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from functools import lru_cache
from types import MappingProxyType
from typing import cast

from agent.core.errors import BadInput, OffLimits
from agent.core.experiment import BASELINE, Constant, Profile, SetConstant, Shape, Spec, Track, Variant
from agent.core.frozen import frozen
from agent.core.sizes import ModelSize
from agent.spec import edits, policy, script, shape
from agent.spec.reach import Use

PROFILES: tuple[Profile, ...] = ("full", "mini")
# Of the predicted memory: what the driver takes, what lies between tensors, windows that attend by chunks.
MEMORY_HEADROOM = 1.15
_CALLED = ("Config", "build_model", "main")  # what the audit and a run call of a script that has it
_SHAPED = ("DEPTH", "ASPECT_RATIO", "HEAD_DIM")  # a script with these has a shape that shape.py can resolve


@frozen
class Resolved:
    """A variant that can run: the files it changes, its script's constants, its shape on each profile (or none)."""

    variant: Variant
    files: Mapping[str, str]
    constants: Mapping[str, object]
    shapes: Mapping[Profile, Shape]


@frozen
class Sources:
    """The committed texts that a plan is made from: editable files, and the fixed side's facts by profile.

    rewritten: a model wrote some of the script, which the formulas of `shape` may not describe. sizes: those of its
    model, by profile, where it was built.
    """

    files: Mapping[str, str]
    facts: Mapping[Profile, Mapping[str, object]]
    rewritten: bool = False
    sizes: Mapping[str, ModelSize] = field(default_factory=dict)


def profile_facts(fixed: Mapping[str, str], prepare: str) -> dict[Profile, Mapping[str, object]]:
    """Return the PROFILES table of a track's fixed side, texts by path. Raises BadInput where none has it."""
    holders = (path for path, text in fixed.items() if re.search(r"^PROFILES\b.*=", text, re.MULTILINE))
    tables = (script.constants(fixed[path], path).get("PROFILES") for path in holders)
    table = next((table for table in tables if isinstance(table, dict) and set(PROFILES) <= table.keys()), None)
    if table is None:
        raise BadInput("no PROFILES table with full and mini", where=prepare, next_step="restore its fixed files")
    return {profile: cast(Mapping[str, object], table[profile]) for profile in PROFILES}


def baseline(track: Track, sources: Sources) -> Resolved:
    """Return the unedited script, resolved."""
    return _resolve(Variant(BASELINE, (), sizes=sources.sizes), {}, track, sources)


def check_baseline(spec: Spec, resolved: Resolved) -> None:
    """Raise BadInput where the issue states a derived value of the baseline that is not the true one."""
    _check_stated(replace(resolved, variant=replace(resolved.variant, stated=spec.baseline_stated)))


def variants(spec: Spec, track: Track, sources: Sources, proposed: Sequence[Variant]) -> list[Resolved]:
    """Resolve the proposed variants; raises BadInput for the first that contradicts itself or repeats another."""
    seen: dict[tuple[tuple[str, str], ...], str] = {}
    resolved_variants = []
    for variant in proposed:
        files = edits.apply(sources.files, variant.edits, track.editable)
        resolved = _resolve(variant, files, track, sources)
        _check_reach(resolved, sources)
        _check_stated(resolved)
        _check_new(resolved, seen, spec)
        resolved_variants.append(resolved)
    return resolved_variants


def contract(one: Resolved, track: Track, sources: Sources) -> None:
    """Raise BadInput where a rewritten script has lost what the harness calls."""
    before = sources.files[track.script]
    old, new = (script.names(text, track.script) for text in (before, one.files.get(track.script, before)))
    lost = [name for name in _CALLED if name in old and name not in new]
    if lost:
        raise BadInput(
            f"{one.variant.name} has lost {', '.join(lost)}, which the harness needs",
            where=track.script,
            next_step="keep the contract: Config, build_model(config), main() under __main__",
        )


def builds_model(text: str, path: str) -> bool:
    """Return whether a script builds its model by a function that others may call."""
    return {"Config", "build_model"} <= script.names(text, path)


def makes_config(text: str, path: str) -> bool:
    """Return whether a script has a function that makes its model's configuration of its constants."""
    return "make_config" in script.names(text, path)


def check_profile(resolved: Sequence[Resolved], profile: Profile) -> None:
    """Raise BadInput for the first variant that sets nothing but what other profiles read."""
    others = {f"TUNED.{name}." for name in PROFILES if name != profile}
    for variant in (one.variant for one in resolved):
        names = [one.name for one in variant.edits if isinstance(one, SetConstant)]
        if len(names) == len(variant.edits) and all(name.startswith(tuple(others)) for name in names):
            raise BadInput(
                f"{variant.name} sets {', '.join(names)}, which profile {profile} does not read: it is the baseline",
                where=variant.where,
                next_step=f"set TUNED.{profile}. instead, or run with another --profile",
            )


def check_memory(resolved: Sequence[Resolved], profile: Profile, memory_mb: int) -> None:
    """Raise BadInput for the first variant whose predicted memory, with MEMORY_HEADROOM, exceeds the device's."""
    for one in resolved:
        shaped = one.shapes.get(profile)
        if shaped is not None and shaped.memory_mb * MEMORY_HEADROOM > memory_mb:
            raise BadInput(
                f"{one.variant.name} needs about {shaped.memory_mb:,} MB and {MEMORY_HEADROOM - 1:.0%} room beside it, "
                f"and the device has {memory_mb:,} MB",
                where=one.variant.where,
                next_step="make the variant smaller, or lower the batch per device in the script",
            )


def _resolve(variant: Variant, files: Mapping[str, str], track: Track, sources: Sources) -> Resolved:
    constants = _constants(variant, files, track, sources)
    _check_ranges(variant, constants, track)
    if not set(_SHAPED) <= constants.keys():
        return Resolved(variant, files, constants, {})
    try:
        shapes = _shapes(variant, constants, track, sources)
    except BadInput as error:  # the shape knows what is wrong, the variant knows where it was said
        raise BadInput(
            f"{variant.name}: {error.problem}", where=variant.where or track.script, next_step=error.next_step
        ) from None
    return Resolved(variant, files, constants, shapes)


def _shapes(variant: Variant, constants: Mapping[str, object], track: Track, sources: Sources) -> dict[Profile, Shape]:
    """Return the shapes on each profile: by the formulas, or of a script that they do not describe as it was built."""
    if variant.only_sets_constants and _by_formulas(track, sources):
        return {p: shape.resolve(constants, facts, p) for p, facts in sources.facts.items()}
    for facts in sources.facts.values():
        shape.read_heads(constants, facts)
    sizes = {profile: variant.sizes[profile] for profile in sources.facts if profile in variant.sizes}
    return {profile: shape.built(constants, sources.facts[profile], size) for profile, size in sizes.items()}


def _by_formulas(track: Track, sources: Sources) -> bool:
    """Return whether the formulas describe the committed script: as it was built it has the parameters that they give.

    Where nobody has built what a model rewrote, it is enough that they find their constants.
    """
    if not sources.rewritten:
        return True
    constants = _base_constants(sources.files[track.script], track.script)
    try:
        shapes = {p: shape.resolve(constants, facts, p) for p, facts in sources.facts.items()}
    except BadInput:
        return False
    return all(shapes[p].params == sources.sizes[p].params for p in shapes if p in sources.sizes)


def _check_ranges(variant: Variant, constants: Mapping[str, object], track: Track) -> None:
    """Raise BadInput for a constant that is not in the range that the track gives it."""
    for name, value in constants.items():
        limits = track.ranges.get(name.rpartition(".")[2])
        if limits is None or isinstance(value, bool) or not isinstance(value, int | float) or limits.holds(value):
            continue
        raise BadInput(
            f"{variant.name} sets {name} to {value}, and it must be {limits}",
            where=variant.where or track.script,
            next_step=f"write a value that is {limits}, or change [ranges] in experiments/{track.name}/track.toml",
        )


def _constants(variant: Variant, files: Mapping[str, str], track: Track, sources: Sources) -> dict[str, object]:
    """Return the constants of a variant's script; in a table, those of the base but for what it sets."""
    text = sources.files[track.script]
    if not variant.only_sets_constants:
        return script.constants(files.get(track.script, text), track.script)
    own = [edit for edit in variant.edits if isinstance(edit, SetConstant) and edit.path == track.script]
    return edits.constants_after(_base_constants(text, track.script), own)


@lru_cache(maxsize=4)
def _base_constants(text: str, path: str) -> Mapping[str, object]:
    return MappingProxyType(script.constants(text, path))


def _check_reach(resolved: Resolved, sources: Sources) -> None:
    """Raise OffLimits where code of a variant reaches the seed, the budget, the data or the evaluator.

    Raises BadInput, which its author may mend, where nobody can see what it reaches.
    """
    if resolved.variant.only_sets_constants:
        return
    where = resolved.variant.where or ", ".join(resolved.files)
    uses = [use for path, text in resolved.files.items() for use in _uses(sources.files.get(path, ""), path, text)]
    if forbidden := [use for use in uses if use.off_limits]:
        raise OffLimits(
            f"{resolved.variant.name} reaches what no experiment may: {', '.join(map(str, forbidden))}",
            where=where,
            next_step="leave the seed, the budget, the environment, the data and the evaluation to prepare.py",
        )
    if uses:
        raise BadInput(
            f"{resolved.variant.name} hides from a reader what it reaches: {', '.join(map(str, uses))}",
            where=where,
            next_step="say it by names that stand in the text, in one process, in Python, torch or Triton",
        )


def _uses(old: str, path: str, new: str) -> list[Use]:
    """Return what the new text of a Python file reaches and the old does not."""
    return policy.forbidden_uses(old, new) if path.endswith(".py") else []


def _check_stated(resolved: Resolved) -> None:
    """Raise BadInput where a value that the issue states for `full` is not the true one."""
    true = resolved.shapes.get("full")
    for stated in resolved.variant.stated:
        value = cast(Constant, getattr(true, stated.column, None))
        if value is not None and value != stated.value:
            assert true is not None
            raise BadInput(
                f"{resolved.variant.name}: column {stated.column} says {stated.value}, but DEPTH {true.depth} x "
                f"ASPECT_RATIO {true.aspect_ratio} with HEAD_DIM {true.head_dim} gives {value}",
                where=stated.where,
                next_step=f"write {value}, or change DEPTH or ASPECT_RATIO",
            )


def _check_new(resolved: Resolved, seen: dict[tuple[tuple[str, str], ...], str], spec: Spec) -> None:
    """Raise BadInput where a variant is the baseline, or is a variant that has another name.

    In a report on a base of its own the baseline is one variant among others.
    """
    name, key = resolved.variant.name, tuple(sorted(resolved.files.items()))
    if not key and (spec.promote or not spec.base):
        raise BadInput(
            f"{name} changes nothing: it is the baseline",
            where=resolved.variant.where,
            next_step="remove the row; the baseline is measured in every campaign",
        )
    if key in seen:
        lines = {v.name: v.where for v in spec.variants}
        raise BadInput(
            f"{name} and {seen[key]} are one model: the same constants ({lines.get(seen[key], '')})",
            where=resolved.variant.where,
            next_step="remove one of the two rows, or change a constant in one",
        )
    seen[key] = name
