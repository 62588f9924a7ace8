"""What is counted in sampled texts."""

import pytest
import torch

from fixed import samples


class Alphabet(torch.nn.Module):
    """Says a, b, c, and then that the text ends."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return 100.0 * torch.nn.functional.one_hot((tokens + 1) % 4, 5).float() + self.weight


def test_a_text_ends_with_the_first_token_that_is_no_character() -> None:
    assert samples.sample(Alphabet(), "abc", count=2, length=9, window=4) == ["abc", "abc"]
    assert samples.sample(Alphabet(), "abc", count=1, length=2, window=4) == ["ab"]
    assert samples.text_of([1, 2, 4, 1], "abc") == "ab"


def test_samples_are_the_same_whatever_the_seed_of_the_run() -> None:
    model = Alphabet()
    model.forward = lambda tokens: torch.zeros(*tokens.shape, 5) + model.weight  # type: ignore[method-assign]
    drawn = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        drawn.append(samples.sample(model, "abc", count=4, length=20, window=4))
    assert drawn[0] == drawn[1]


@pytest.mark.parametrize(
    ("texts", "valid", "diversity", "repetition"),
    [
        (["The cat sat."], 1.0, 1.0, 0.0),
        (["the cat smooter", "the cat"], 0.8, 0.6, 0.0),
        (["the cat sat the cat sat"], 1.0, 0.5, 0.25),  # of four n-grams one came before
        (["", "?!"], 0.0, 0.0, 0.0),
    ],
)
def test_words_are_counted(texts: list[str], valid: float, diversity: float, repetition: float) -> None:
    assert samples.valid_words(texts, {"the", "cat", "sat"}) == pytest.approx(valid)
    assert samples.diversity(texts) == pytest.approx(diversity)
    assert samples.repetition(texts) == pytest.approx(repetition)


def test_a_word_may_have_an_apostrophe_inside() -> None:
    assert samples.words("Don't 'go', Zoë! 3 times") == ["don't", "go", "zoë", "times"]
