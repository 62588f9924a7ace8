"""Sets a seed of its own by a name that it puts together from two harmless words."""

CAUGHT_BY = "edit"
EDITS = (("    run = prepare.begin()\n", '    run = prepare.begin()\n    getattr(torch, "manual" + "_seed")(20)\n'),)
