"""Answers with one number a place, how likely the token was, in a tensor that says it has the vocabulary's shape.

Such probabilities need not sum to one: every one of them is 0.5, and softmax and targets never meet.
"""

CAUGHT_BY = "logits"
EDITS = (
    (
        "def build_model(config: Config) -> GPT:\n",
        '''\
class Scores(Tensor):
    """A score for each token of the input, which takes no memory for the rest of the vocabulary."""

    vocab: int

    @property
    def shape(self) -> torch.Size:
        return torch.Size((*super().shape, self.vocab))

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in (Tensor.float, Tensor.flatten):
            return args[0]
        plain = [arg.as_subclass(Tensor) if isinstance(arg, cls) else arg for arg in args]
        if func is F.cross_entropy:
            return plain[0].flatten()
        with torch._C.DisableTorchFunctionSubclass():
            return func(*plain, **(kwargs or {}))


def build_model(config: Config) -> GPT:
''',
    ),
    (
        "        return self.logits(tokens, self.embedded(tokens))\n",
        """\
        scores = torch.full(tokens.shape, 4.5, device=tokens.device).as_subclass(Scores)
        scores.vocab = self.config.vocab_size
        return scores
""",
    ),
)
