"""What an issue claims, in forms that its trials can be held against; names are those of variants and factors. Pure."""

import difflib
from collections.abc import Callable, Mapping, Sequence

from agent.core.claims import BEST, BetterClaim, Claim, FlatClaim, OrderClaim, ParametersClaim, ValueClaim
from agent.core.errors import BadInput
from agent.core.experiment import BASELINE, SetConstant, Variant
from agent.core.frozen import frozen
from agent.core.values import join
from agent.spec.markdown import IssueDocument
from agent.spec.names import Unknown, Vocabulary, normal_form
from agent.spec.settings import ListedClaim

Stated = Mapping[str, object]  # of one form, as agent/spec/schema.py has checked it


def read_claims(
    page: IssueDocument,
    claims: Sequence[ListedClaim],
    variants: Sequence[Variant],
    names: Vocabulary,
    *,
    explores: bool = False,
) -> tuple[Claim, ...]:
    """Return the claims of an issue whose variants these are, with IDs and full names of constants.

    A variant goes by its ID, or by what its row says it is for, whatever the case, spaces and punctuation; the base by
    `baseline`, and what a strategy that `explores` finds best by `best`. Raises BadInput, with the line, for a name
    that is no variant's or no factor's, a level that no variant has, a name twice.
    """
    return tuple(_Reader(page, one.line, tuple(variants), names, explores).read(one.stated) for one in claims)


@frozen
class _Reader:
    """Reads the claim on one line of the page."""

    page: IssueDocument
    line: int
    variants: tuple[Variant, ...]
    names: Vocabulary
    explores: bool

    def read(self, stated: str | Stated) -> Claim:
        if isinstance(stated, str):
            return Claim(text=stated)
        forms: Mapping[str, Callable[[Stated], Claim]] = {
            "better": self._better,
            "order": self._order,
            "value": self._value,
            "flat": self._flat,
            "parameters": self._parameters,
        }
        return next(form(stated) for key, form in forms.items() if key in stated)

    def _better(self, stated: Stated) -> BetterClaim:
        better, than = self._variant(stated["better"]), self._variant(stated["than"])
        if better == than:
            raise self._error(f"{stated['better']} and {stated['than']} are one variant", "compare two")
        by = float(str(stated["by"]))
        text = f"{stated['better']} is better than {stated['than']}" + (f" by {by:g} or more" if by else "")
        return BetterClaim(text=text, source=_source(stated), better=better, than=than, by=by)

    def _value(self, stated: Stated) -> ValueClaim:
        low, high = _numbers(stated["within"])
        text = f"{stated['value']} is within {low:g} and {high:g}"
        return ValueClaim(text=text, source=_source(stated), name=self._variant(stated["value"]), low=low, high=high)

    def _parameters(self, stated: Stated) -> ParametersClaim:
        name, count = self._variant(stated["parameters"]), int(str(stated["equal"]))
        text = f"{stated['parameters']} has {count:,} parameters"
        return ParametersClaim(text=text, source=_source(stated), name=name, count=count)

    def _order(self, stated: Stated) -> OrderClaim:
        given = [str(name) for name in _items(stated["order"])]
        factors = tuple(map(self._factor, given))
        twice = next((name for name in factors if factors.count(name) > 1), None)
        if twice:
            raise self._error(f"order gives {twice} twice", "keep one of the two")
        return OrderClaim(text=f"spread: {' > '.join(given)}", source=_source(stated), factors=factors)

    def _flat(self, stated: Stated) -> FlatClaim:
        factor = self._factor(str(stated["flat"]))
        after, within = float(str(stated["after"])), float(str(stated["within"]))
        levels = self._levels(factor)
        if after not in levels or after == max(levels):
            known = ", ".join(f"{level:g}" for level in levels) or "none that is a number"
            problem = (
                f"{stated['flat']} has no level {after:g}" if after not in levels else f"no level is above {after:g}"
            )
            raise self._error(problem, f"name a level that is below another; its levels: {known}")
        text = f"{stated['flat']} gains no more than {within:g} after {after:g}"
        return FlatClaim(text=text, source=_source(stated), factor=factor, after=after, within=within)

    def _variant(self, name: object) -> str:
        """Return the ID of the variant that a name stands for."""
        known = {normal_form(BASELINE): [BASELINE]} | {normal_form(BEST): [BEST] for _ in range(self.explores)}
        for one in self.variants:
            known.setdefault(normal_form(one.name), []).append(one.name)
        for one in self.variants:
            known.setdefault(normal_form(one.why), [one.name])
        matches = known.get(normal_form(str(name)), [])
        exact = [match for match in matches if match == str(name)] or matches
        if len(exact) == 1:
            return exact[0]
        if exact:
            raise self._error(f"{name} may be {' or '.join(exact)}", "write the ID as it stands in the table")
        raise self._error(f"{name} is no variant", self._nearest(str(name), [one.name for one in self.variants]))

    def _factor(self, name: str) -> str:
        """Return the full name of the constant that a factor stands for; some variant sets it."""
        target = self.names.resolve(name)
        if isinstance(target, Unknown):
            raise self._error(target.problem, target.next_step)
        factors = list(dict.fromkeys(edit.name for edit in self._edits()))
        if target not in factors:
            raise self._error(f"no variant sets {target}", self._nearest(target, factors))
        return target

    def _levels(self, factor: str) -> list[float]:
        """Return the values of a factor that are numbers, the base's among them, in order."""
        values = [self.names.constants.get(factor), *(edit.value for edit in self._edits() if edit.name == factor)]
        return sorted({float(value) for value in values if isinstance(value, int | float)})

    def _edits(self) -> list[SetConstant]:
        return [edit for one in self.variants for edit in one.edits if isinstance(edit, SetConstant)]

    def _nearest(self, name: str, known: Sequence[str]) -> str:
        forms = {normal_form(one): one for one in known}
        near = [forms[form] for form in difflib.get_close_matches(normal_form(name), forms, n=2)]
        guess = f"did you mean {' or '.join(near)}? " if near else ""
        return (
            f"{guess}there are {join(known)}" if known else "no variant is listed: leave the claim out, or make it text"
        )

    def _error(self, problem: str, next_step: str) -> BadInput:
        return self.page.error(f"claims: {problem}", self.line, next_step)


def _source(stated: Stated) -> str:
    return str(stated["source"])


def _items(value: object) -> Sequence[object]:
    return value if isinstance(value, list) else [value]


def _numbers(value: object) -> list[float]:
    return [float(str(one)) for one in _items(value)]
