"""models.yaml, read: the model that edits, its limits and its prices. Depends on core, pydantic and PyYAML."""

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agent.core.errors import BadInput

OURS = Path(__file__).with_name("models.yaml")
_Dollars = Annotated[Decimal, Field(ge=0, allow_inf_nan=False)]
_Count = Annotated[int, Field(gt=0)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Rates(_Strict):
    """Dollars per million tokens, by what is done with a token."""

    input: _Dollars
    output: _Dollars
    cache_write: _Dollars
    cache_read: _Dollars


class LongPrompt(Rates):
    """The rates of a call whose whole prompt has more than `above` tokens."""

    above: _Count


class Price(Rates):
    """What a model costs."""

    long_prompt: LongPrompt | None = None

    def rates(self, prompt_tokens: int) -> Rates:
        """Return the rates of one call with a prompt of that many tokens, cached ones included."""
        if self.long_prompt is not None and prompt_tokens > self.long_prompt.above:
            return self.long_prompt
        return self


class Caps(_Strict):
    """What may be spent: nothing begins that could go beyond one of these."""

    usd_per_campaign: _Dollars
    usd_per_variant: _Dollars
    tokens_per_campaign: _Count
    tokens_per_variant: _Count


class Settings(_Strict):
    """The whole file. Raises ValidationError where a field is missing, unknown or out of range."""

    model: str
    effort: Literal["low", "medium", "high", "xhigh", "max"] | None
    max_tokens: _Count
    deadline_s: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    turns: _Count
    tool_calls: _Count
    file_bytes: _Count
    caps: Caps
    prices: Mapping[str, Price]

    @property
    def price(self) -> Price:
        """Return what the model costs. Raises BadInput where the file has no price: nothing unpriced is called."""
        if self.model not in self.prices:
            raise BadInput(
                f"there is no price for the model {self.model!r}",
                next_step=f"set AUTORESEARCH_MODEL to one of {', '.join(sorted(self.prices))}, or add its prices to "
                "a copy of agent/editors/models.yaml and name that in AUTORESEARCH_MODELS_FILE",
            )
        return self.prices[self.model]


def read(environment: Mapping[str, str], model: str | None = None, max_usd: float | None = None) -> Settings:
    """Return the settings: `model` and `max_usd` of the command line, else the environment's, else the file's.

    Raises BadInput where the file is missing or wrong, or has no price for the model.
    """
    path = Path(environment.get("AUTORESEARCH_MODELS_FILE") or OURS)
    settings = _read_file(path)
    settings = settings.model_copy(update={"model": model or environment.get("AUTORESEARCH_MODEL") or settings.model})
    if max_usd is not None:
        caps = settings.caps.model_copy(update={"usd_per_campaign": Decimal(str(max_usd))})
        settings = settings.model_copy(update={"caps": caps})
    assert settings.price
    return settings


def _read_file(path: Path) -> Settings:
    step = "correct it after the example of agent/editors/models.yaml, or unset AUTORESEARCH_MODELS_FILE"
    try:
        return Settings.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"cannot read the models: {error}", where=str(path), next_step=step) from None
    except yaml.YAMLError as error:
        raise BadInput(f"is no YAML: {' '.join(str(error).split())}", where=str(path), next_step=step) from None
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"])) or "the file"
        raise BadInput(f"{field}: {first['msg']}", where=str(path), next_step=step) from None
