"""Sharpness-aware minimization: the gradient of each step is taken a little uphill, with a second pass for it."""

HONEST = True
EDITS = (
    (
        "            loss = accumulate(graph, model, batches, count)\n",
        """\
            several = [next(batches) for _ in range(count)]
            loss = accumulate(graph, model, iter(several), count)
            uphill = climb(model)
            optimizer.forget()
            accumulate(graph, model, iter(several), count)
            torch._foreach_sub_([weight for weight, _ in uphill], [step for _, step in uphill])
""",
    ),
    (
        "def main() -> None:\n",
        '''\
@torch.no_grad()
def climb(model: GPT, radius: float = 0.02) -> list[tuple[Tensor, Tensor]]:
    """Move the weights that have a gradient along it; return each with the step that it made."""
    weights = [weight.data for weight in model.parameters() if weight.grad is not None]
    grads = [weight.grad for weight in model.parameters() if weight.grad is not None]
    length = torch.stack([grad.norm() for grad in grads]).norm().clamp_min(1e-12)
    steps = [radius * grad / length for grad in grads]
    torch._foreach_add_(weights, steps)
    return list(zip(weights, steps, strict=True))


def main() -> None:
''',
    ),
    (
        "        optimizers: list[Any] = [self.adam, self.muon, *self.ngram_optimizers]\n",
        """\
        self.forget()

    def forget(self) -> None:
        """
        + '"""'
        + """Clear the gradients."""
        + '"""'
        + """
        optimizers: list[Any] = [self.adam, self.muon, *self.ngram_optimizers]
""",
    ),
)
