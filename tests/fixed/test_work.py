"""What a run took is counted where it is taken: backward passes by the engine, tokens by the loader."""

from collections.abc import Callable

import pytest
import torch
from torch.utils.checkpoint import checkpoint

from fixed.work import Work, count_passes


def square(x: torch.Tensor) -> torch.Tensor:
    return (x * x).sum()


def by_gradients(x: torch.Tensor) -> None:
    torch.autograd.grad(square(x), [x])


def by_the_engine(x: torch.Tensor) -> None:
    engine = torch.autograd.Variable._execution_engine
    engine.run_backward((square(x),), (torch.ones(()),), False, False, (), True, True)


@pytest.mark.parametrize(
    "backward",
    [
        lambda x: square(x).backward(),
        lambda x: torch.autograd.backward(square(x)),
        by_gradients,
        by_the_engine,
        lambda x: torch.func.grad(square)(x.detach()),
    ],
)
def test_every_way_to_a_backward_pass_is_counted_once(backward: Callable[[torch.Tensor], None]) -> None:
    work = Work()
    count_passes(work)
    backward(torch.ones(3, requires_grad=True))
    assert work.passes == 1


def test_a_pass_inside_another_is_not_one_of_its_own() -> None:
    work = Work()
    count_passes(work)
    x = torch.ones(3, requires_grad=True)
    for reentrant in (True, False):
        checkpoint(square, x, use_reentrant=reentrant).backward()
    assert work.passes == 2


def test_only_the_latest_run_of_a_process_counts() -> None:
    first, second = Work(), Work()
    count_passes(first)
    count_passes(second)
    square(torch.ones(1, requires_grad=True)).backward()
    assert (first.passes, second.passes) == (0, 1)


@pytest.mark.parametrize(
    ("passes", "drawn", "counted", "charged"),
    [
        (10, [2048] * 10, 10, 10.0),  # as train.py does
        (20, [1024] * 20, 10, 10.0),  # two batches for a step
        (20, [2048] * 10, 10, 20.0),  # two passes over each batch
        (20, [2048] * 20, 10, 20.0),  # two steps for each counted
        (10, [512] * 5 + [2048] * 10, 10, 10.0),  # longer and longer rows
        (0, [2048] * 10, 10, 10.0),  # gradients of its own
        (20, [], 10, 20.0),  # batches of its own: nobody knows how large
        (20, [1] * 30, 10, 20.0),  # and small ones of the loader's for show
        (80, [2048] * 80, 0, 80.0),  # before the first step
    ],
)
def test_passes_are_charged_by_the_tokens_that_they_are_over(
    passes: int, drawn: list[int], counted: int, charged: float
) -> None:
    work = Work()
    for tokens in drawn:
        work.draw(tokens)
    work.passes = passes
    assert work.steps(counted, 2048) == charged
