"""Dropout of a tenth before the head while it trains; the model that is scored is in evaluation mode."""

HONEST = True
EDITS = (
    (
        "        squashed = torch.tanh(self.head(norm(x) / self.config.softcap).float())  # divided where it is narrow\n",
        """\
        x = F.dropout(norm(x), 0.1, self.training)
        squashed = torch.tanh(self.head(x / self.config.softcap).float())  # divided where it is narrow
""",
    ),
    ("        clock.finish()\n", "        clock.finish()\n    model.eval()\n"),
)
