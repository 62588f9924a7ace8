"""Has its second backward pass of each step made by the engine itself, past torch.autograd's functions."""

CAUGHT_BY = "budget"
STEPS = 20
EDITS = (
    (
        "            loss = accumulate(graph, model, batches, count)\n",
        """\
            for _ in range(3):
                tokens, targets = next(batches)
                first = graph(model, tokens, model.embedded(tokens), targets)[0]
                engine = torch.autograd.Variable._execution_engine
                engine.run_backward((first,), (torch.ones_like(first),), False, False, (), True, True)
                optimizer.step(clock.steps, clock.progress)
            loss = accumulate(graph, model, batches, count)
""",
    ),
)
