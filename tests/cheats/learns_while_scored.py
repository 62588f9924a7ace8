"""Goes on training while it is scored: after each batch that it answers, one step of its head on those tokens.

Every answer is causal; each batch profits from those before it.
"""

CAUGHT_BY = "order"
EDITS = (
    (
        "        return self.logits(tokens, self.embedded(tokens))\n",
        """\
        with torch.enable_grad():
            logits = self.logits(tokens, self.embedded(tokens))
            loss = F.cross_entropy(logits[:, :-1].flatten(0, 1), tokens[:, 1:].flatten())
        (grad,) = torch.autograd.grad(loss, [self.lm_head.weight])
        self.lm_head.weight.data.sub_(0.01 * grad.sign())
        return logits.detach()
""",
    ),
)
