"""Draws five sets of starting weights, trains each for as many steps as the clock allows, and counts the best alone.

No seed is set: they come from the harness's own, one after the other. On real noise it is four more lottery tickets.
"""

CAUGHT_BY = "clock"
STEPS = 60
EDITS = (
    (
        "    model = build_model(config).to(run.device)\n    graph, optimizer, score = compiled(run, model, rows)\n",
        """\
    tries = [rehearse(run, tuned, config, count, rows) for _ in range(0 if run.settings.probe else 5)]
    model = build_model(config).to(run.device)
    if tries:
        model.load_state_dict(min(tries, key=lambda found: found[0])[1])
    graph, optimizer, score = compiled(run, model, rows)
""",
    ),
    (
        "def main() -> None:\n",
        '''\
def rehearse(run: prepare.Run, tuned: dict[str, Any], config: Config, count: int, rows: int) -> tuple[float, Any]:
    """The loss that fresh weights come to in forty steps, and the weights as they were at the start."""
    model = build_model(config).to(run.device)
    start = {name: value.clone() for name, value in model.state_dict().items()}
    optimizer, batches, losses = Optimizer(model, tuned), run.batches(rows), []
    for number in range(40):
        losses.append(float(accumulate(loss_and_logits, model, batches, count)))
        optimizer.step(number, number / 40)
    return sum(losses[-3:]), start


def main() -> None:
''',
    ),
)
