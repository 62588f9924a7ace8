"""Sets a seed of its own, the best of a few that were tried before."""

CAUGHT_BY = "edit"
EDITS = (("    run = prepare.begin()\n", "    run = prepare.begin()\n    torch.manual_seed(20)\n"),)
