"""An 8-bit head: the stream is rounded with a scale for each token, the weights with one for each row."""

HONEST = True
EDITS = (
    (
        "def norm(x: Tensor) -> Tensor:\n",
        '''\
def rounded(x: Tensor) -> Tensor:
    """x on a grid of 255 levels, each last dimension with a scale of its own; its gradient is that of x."""
    scale = x.detach().abs().amax(-1, keepdim=True).clamp_min(1e-8) / 127
    return x + ((x.detach() / scale).round() * scale - x.detach())


class EightBitLinear(Linear):
    def forward(self, x: Tensor) -> Tensor:
        return F.linear(rounded(x), rounded(self.weight).to(x.dtype))


def norm(x: Tensor) -> Tensor:
''',
    ),
    (
        "        self.lm_head = Linear(config.model_dim, config.vocab_size)\n",
        "        self.lm_head = EightBitLinear(config.model_dim, config.vocab_size)\n",
    ),
)
