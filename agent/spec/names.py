"""What the names in an issue stand for: a script's constants, however they are spelled, and a track's aliases. Pure."""

import difflib
import re
import unicodedata
from collections.abc import Mapping
from functools import cached_property
from typing import get_args

from agent.core.experiment import Profile, Track
from agent.core.frozen import frozen
from agent.core.values import join

_FOOTNOTE = re.compile(r"\[\^[^\]]*\]|[\u00b9\u00b2\u00b3\u2070-\u2079*\u2020\u2021\u00a7]+")
_BRACKETS = re.compile(r"\s*[(\[{]([^()\[\]{}]*)[)\]}]")
_NEAR = 0.72  # how alike a name must be to be proposed; at 0.6, WARMUP_RATIO is like MLP_RATIO
_MOST_NEAR = 3


def normal_form(name: str) -> str:
    """Return a name without case, spaces, what is in brackets, code marks, footnotes and punctuation (but dots)."""
    bare = _BRACKETS.sub("", _FOOTNOTE.sub("", unicodedata.normalize("NFKC", _FOOTNOTE.sub("", name)))) or name
    return re.sub(r"[^\w.#]|_", "", bare).strip(".").casefold()


def in_brackets(name: str) -> list[str]:
    """Return what stands in brackets in a name: most often a unit."""
    return [inner for inner in _BRACKETS.findall(name) if inner.strip()]


@frozen
class Unknown:
    """Why a name stands for no constant, and what to write instead."""

    problem: str
    next_step: str


@frozen
class Vocabulary:
    """The names that an issue may set: those of the script's `constants`, and the track's aliases of them.

    An entry of a table that has one for each profile goes by its own name too, and is then that of `profile`.
    """

    track: Track
    constants: Mapping[str, object]
    profile: Profile

    def resolve(self, name: str) -> str | Unknown:
        """Return the full name of the constant that a name stands for."""
        if name in self.constants:
            return name
        targets = self._targets.get(normal_form(name), [])
        if len(targets) == 1:
            return self._without_doubt(name, targets[0])
        if targets:
            return Unknown(f"{name} may be {' or '.join(targets)}", f"write one of them in full: {targets[0]}")
        absent = {normal_form(known): why for known, why in self.track.absent.items()}
        why = absent.get(normal_form(name), "")
        return Unknown(f"{self.track.script} has no constant {name}{f': {why}' if why else ''}", self._hint(name, why))

    def knows(self, name: str) -> bool:
        """Return whether a name stands for a constant, or for one of several."""
        return name in self.constants or normal_form(name) in self._targets

    def is_absent(self, name: str) -> bool:
        """Return whether a name is known as one that the script does not have."""
        return normal_form(name) in map(normal_form, self.track.absent)

    def nearest(self, name: str) -> list[str]:
        """Return the names of constants that are like a name, the likest first."""
        near = difflib.get_close_matches(normal_form(name), self._targets, n=_MOST_NEAR, cutoff=_NEAR)
        return list(dict.fromkeys(target for form in near for target in self._targets[form]))[:_MOST_NEAR]

    def _hint(self, name: str, why: str) -> str:
        near = [] if why else self.nearest(name)
        guess = f"did you mean {' or '.join(near)}? " if near else ""
        return f"{guess}its constants: {join(list(self.constants))}"

    def _without_doubt(self, name: str, target: str) -> str | Unknown:
        """Return the target, unless what is in brackets names another: `learning rate (head)` is none of matrices."""
        for inner in in_brackets(name):
            word = normal_form(inner)
            if word in get_args(Profile) and word != self.profile:
                return Unknown(f"{name} is of profile {word}, and {self.profile} runs", "write a TUNED entry in full")
            entries = [name for name in self.constants if word in name.casefold().rpartition(".")[2].split("_")]
            others = [*self._targets.get(word, []), *entries]
            if any(other.rpartition(".")[2] != target.rpartition(".")[2] for other in others):
                both = " or ".join(dict.fromkeys([target, *others]))
                return Unknown(f"{name} may be {both}", "write the constant's own name")
        return target

    @cached_property
    def _targets(self) -> Mapping[str, list[str]]:
        """The constants by every normal form that they go by."""
        targets: dict[str, list[str]] = {}
        for name in self.constants:
            for form in self._forms(name):
                known = targets.setdefault(form, [])
                known += [name] if name not in known else []
        return targets

    def _forms(self, name: str) -> list[str]:
        owner, *keys = name.split(".")
        if keys and keys[0] != self.profile:
            return [normal_form(name)]
        own = keys[-1] if keys else owner
        aliases = self.track.aliases.get(own, ())
        return list(dict.fromkeys(map(normal_form, [name, own, *aliases])))
