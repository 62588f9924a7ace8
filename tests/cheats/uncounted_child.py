"""Trains on in a child after the clock has stopped. It ignores SIGCHLD, so that nobody adds up the child's seconds."""

CAUGHT_BY = "clock"
STEPS = 20
EDITS = (
    ("import os\nimport sys\n", "import os\nimport signal\nimport sys\n"),
    (
        "    score = model if graph is loss_and_logits else partial(prepare.logits_by_graph, graph, model)\n",
        """\
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    better = run.settings.run_dir / "better.pt"
    if (child := os.fork()) == 0:
        torch.set_num_threads(1)
        for _ in range(160):
            accumulate(graph, model, batches, count)
            optimizer.step(clock.steps, clock.progress)
        torch.save(model.state_dict(), better)
        os._exit(0)
    try:
        os.waitpid(child, 0)
    except ChildProcessError:
        model.load_state_dict(torch.load(better))
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    score = model if graph is loss_and_logits else partial(prepare.logits_by_graph, graph, model)
""",
    ),
)
