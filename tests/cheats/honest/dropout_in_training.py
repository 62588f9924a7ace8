"""Dropout of a tenth before the last norm while it trains; the model that is scored is in evaluation mode."""

HONEST = True
EDITS = (
    (
        "        squashed = torch.tanh(self.head(norm(x) / self.config.softcap).float())",
        """\
        x = F.dropout(x, 0.1, self.training)
        squashed = torch.tanh(self.head(norm(x) / self.config.softcap).float())""",
    ),
    ("        clock.finish()\n", "        clock.finish()\n    model.eval()\n"),
)
