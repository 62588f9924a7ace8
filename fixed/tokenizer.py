"""The tokenizer: byte-level BPE, trained on training documents alone."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:  # loaded where a corpus is prepared: most commands find it prepared
    from tokenizers import Tokenizer

BOS = "<|bos|>"
# Words with the blank or mark before them, digits by ones and twos, runs of marks, line ends, blanks.
PIECES = r" ?\p{L}+|[^\s\p{L}\p{N}]\p{L}+|\p{N}{1,2}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"


def train_tokenizer(texts: Iterable[str], vocab_size: int) -> "Tokenizer":
    """Byte-level BPE over `texts`. Id 0 is BOS, the 256 bytes follow, then at most vocab_size - 257 merges."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    pieces = pre_tokenizers.Split(Regex(PIECES), "isolated")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pieces, pre_tokenizers.ByteLevel(False, use_regex=False)])
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size, special_tokens=[BOS], initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.encode_special_tokens = True  # a document that spells out BOS is text like any other
    return tokenizer


def count_token_bytes(tokenizer: "Tokenizer", vocab_size: int) -> np.ndarray:
    """Raw bytes of each token, int64 of (vocab_size,). Byte-level BPE spells one byte as one character."""
    sizes = np.zeros(vocab_size, dtype=np.int64)
    for token, index in tokenizer.get_vocab().items():
        sizes[index] = 0 if token == BOS else len(token)
    return sizes


def encode(tokenizer: "Tokenizer", texts: list[str]) -> list[np.ndarray]:
    """The tokens of each text as uint16, BOS first."""
    bos = tokenizer.token_to_id(BOS)
    return [np.array([bos, *item.ids], dtype=np.uint16) for item in tokenizer.encode_batch_fast(texts)]
