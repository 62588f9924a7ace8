"""What a model's calls cost: reserved before each, settled after it, never beyond a cap. Core and models only."""

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING
from uuid import uuid4

from agent.core.errors import SpendingCapReached
from agent.core.frozen import frozen
from agent.core.records import SpendRecord, utc_now

if TYPE_CHECKING:  # building pydantic's models takes long, and whoever only adds up needs none
    from agent.editors.models import Price, Settings

_MILLION = 1_000_000


@frozen
class Usage:
    """The tokens of one call, each counted once."""

    input_tokens: int = 0
    output_tokens: int = 0
    cache_write_tokens: int = 0
    cache_read_tokens: int = 0


def cost(price: "Price", usage: Usage) -> Decimal:
    """Return the exact dollars that a call costs."""
    rates = price.rates(usage.input_tokens + usage.cache_write_tokens + usage.cache_read_tokens)
    priced = (
        usage.input_tokens * rates.input
        + usage.output_tokens * rates.output
        + usage.cache_write_tokens * rates.cache_write
        + usage.cache_read_tokens * rates.cache_read
    )
    return priced / _MILLION


def worst_case(price: "Price", input_tokens: int, output_tokens: int) -> Usage:
    """Return the dearest use of these tokens: as a rule, all of the input goes to the cache and none comes from it."""
    cached = Usage(output_tokens=output_tokens, cache_write_tokens=input_tokens)
    plain = Usage(output_tokens=output_tokens, input_tokens=input_tokens)
    return max(cached, plain, key=lambda usage: cost(price, usage))


def dollars(amount: Decimal) -> str:
    """Return an amount for people: to the cent, and in full where it is less than one."""
    return f"${amount:.2f}" if amount == 0 or amount >= Decimal("0.01") else f"${amount.normalize():f}"


class Spending:
    """The money of one campaign. `append` makes a record durable before it returns.

    `earlier` are the records that count against the campaign's caps. A reservation that a crash left unsettled counts
    in full, for whether its call was billed is not known.
    """

    def __init__(
        self,
        issue: int,
        settings: "Settings",
        earlier: Sequence[SpendRecord],
        append: Callable[[SpendRecord], None],
        now: Callable[[], str] = utc_now,
    ) -> None:
        self.issue = issue
        self._settings, self._append, self._now = settings, append, now
        self._calls = {record.call: record for record in earlier}  # the later record of a call is the one that counts

    def usd(self, variant: str | None = None) -> Decimal:
        """Return the dollars spent and reserved, on one variant or (None) on all."""
        return spent(self._of(variant))

    def tokens(self, variant: str | None = None) -> int:
        """Return the tokens of all kinds, spent and reserved."""
        return sum(map(_tokens, self._of(variant)))

    def _of(self, variant: str | None) -> list[SpendRecord]:
        return [record for record in self._calls.values() if variant in (None, record.variant)]

    def reserve(self, variant: str, input_tokens: int, output_tokens: int) -> str:
        """Return the name of a call for which the most that it can cost is put aside.

        Raises SpendingCapReached, before anything is recorded, where that could go beyond a cap.
        """
        usage = worst_case(self._settings.price, input_tokens, output_tokens)
        self._check_caps(variant, cost(self._settings.price, usage), input_tokens + output_tokens)
        return self._record(uuid4().hex, variant, usage, settled=False).call

    def settle(self, call: str, usage: Usage) -> SpendRecord:
        """Replace a reservation by what the call did cost (an empty Usage where it was surely not billed)."""
        return self._record(call, self._calls[call].variant, usage, settled=True)

    def _record(self, call: str, variant: str, usage: Usage, *, settled: bool) -> SpendRecord:
        record = SpendRecord(
            issue=self.issue,
            call=call,
            variant=variant,
            model=self._settings.model,
            settled=settled,
            usd=float(cost(self._settings.price, usage)),
            **vars(usage),
            at=self._now(),
        )
        self._append(record)
        self._calls[call] = record
        return record

    def _check_caps(self, variant: str, usd: Decimal, tokens: int) -> None:
        caps = self._settings.caps
        if variant:
            check_cap("usd_per_variant", caps.usd_per_variant, self.usd(variant), usd, variant)
            check_cap("tokens_per_variant", caps.tokens_per_variant, self.tokens(variant), tokens, variant)
        check_cap("usd_per_campaign", caps.usd_per_campaign, self.usd(), usd)
        check_cap("tokens_per_campaign", caps.tokens_per_campaign, self.tokens(), tokens)


def check_cap(name: str, cap: Decimal | int, spent: Decimal | int, next_call: Decimal | int, variant: str = "") -> None:
    """Raise SpendingCapReached where what is spent and the next call together exceed the cap `name` of models.yaml."""
    if spent + next_call <= cap:
        return
    unit, _, whole = name.partition("_per_")
    way = "with --max-usd" if name == "usd_per_campaign" else f"as caps.{name} in models.yaml"
    whose = f"{whole} ({variant})" if variant else whole
    raise SpendingCapReached(
        f"the cap of {_amount(unit, cap)} per {whose} is reached: {_amount(unit, spent)} are spent or reserved, and "
        f"the next call of the model may cost {_amount(unit, next_call)}",
        variant=variant,
        next_step=f"raise it {way} and run the same command again; what was done is kept",
    )


def _amount(unit: str, amount: Decimal | int) -> str:
    return dollars(Decimal(amount)) if unit == "usd" else f"{amount:,} tokens"


def _tokens(record: SpendRecord) -> int:
    return record.input_tokens + record.output_tokens + record.cache_write_tokens + record.cache_read_tokens


def spent(records: Sequence[SpendRecord], variant: str | None = None) -> Decimal:
    """Return the dollars for a variant, or in all: what each call was settled at, else its reservation."""
    last = {one.call: one for one in records if variant in (None, one.variant)}
    return sum((Decimal(str(one.usd)) for one in last.values()), Decimal(0))
