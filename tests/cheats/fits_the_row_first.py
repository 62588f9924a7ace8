"""Test-time training: takes five steps with the head on the rows to be scored, scores them, puts the head back.

No state is left behind, but the head has seen the targets before it answers.
"""

CAUGHT_BY = "causality"
EDITS = (
    (
        "        return self.logits(tokens, self.embedded(tokens))\n",
        """\
        kept = self.head.weight.detach().clone()
        for _ in range(5):
            with torch.enable_grad():
                logits = self.logits(tokens, self.embedded(tokens))[:, :-1]
                loss = F.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())
            (grad,) = torch.autograd.grad(loss, [self.head.weight])
            self.head.weight.data.sub_(0.02 * grad.sign())
        logits = self.logits(tokens, self.embedded(tokens)).detach()
        self.head.weight.data.copy_(kept)
        return logits
""",
    ),
)
