"""Texts sampled from a model, and what can be counted in them. Always by one generator, whatever a run's seed."""

import re
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

SEED = 1234
NGRAM = 3  # words of an n-gram that should not come twice in a text


def sample(model: "torch.nn.Module", characters: str, *, count: int, length: int, window: int) -> list[str]:
    """Return `count` texts of at most `length` characters, each up to the first token that is no character.

    model: int64 tokens (count, time) to logits (count, time, vocab), in which token n is characters[n - 1] and 0 stands
    before a text. window: tokens that it is given at most.
    """
    import torch

    device = next(model.parameters()).device
    generator = torch.Generator().manual_seed(SEED)
    tokens = torch.zeros((count, 1), dtype=torch.int64)
    over = torch.zeros((count, 1), dtype=torch.bool)
    with torch.no_grad():
        for _ in range(length):
            logits = model(tokens[:, -window:].to(device))[:, -1].float().cpu()
            drawn = torch.multinomial(torch.softmax(logits, -1), 1, generator=generator)
            tokens = torch.cat([tokens, drawn], dim=1)
            over |= (drawn < 1) | (drawn > len(characters))
            if over.all():
                break
    return [text_of(row, characters) for row in tokens[:, 1:].tolist()]


def text_of(row: Sequence[int], characters: str) -> str:
    """Return the text of tokens, up to the first that is no character."""
    end = next((place for place, token in enumerate(row) if not 1 <= token <= len(characters)), len(row))
    return "".join(characters[token - 1] for token in row[:end])


def words(text: str) -> list[str]:
    """Return the words of a text in lower case: letters, and apostrophes between them."""
    return re.findall(r"[^\W\d_]+(?:['\u2019][^\W\d_]+)*", text.lower())


def valid_words(texts: Sequence[str], vocabulary: Collection[str]) -> float:
    """Return the share of the words in `texts` that are in the vocabulary; 0 where there are no words."""
    every = [word for text in texts for word in words(text)]
    return sum(word in vocabulary for word in every) / max(1, len(every))


def diversity(texts: Sequence[str]) -> float:
    """Return distinct words / words of all texts together; 0 where there are no words."""
    every = [word for text in texts for word in words(text)]
    return len(set(every)) / max(1, len(every))


def repetition(texts: Sequence[str], size: int = NGRAM) -> float:
    """Return the share of n-grams of `size` words that came before in the same text; 0 where there are none."""
    grams = [list(zip(*(words(text)[start:] for start in range(size)), strict=False)) for text in texts]
    total = sum(len(one) for one in grams)
    return sum(len(one) - len(set(one)) for one in grams) / max(1, total)
