"""The progress lines of a log: a curve of rising steps, of so many points at most."""

from agent.core.progress import MOST_POINTS, PROGRESS, learning_curve

LINE = "step {:05d} | {:.1%} | loss {:.4f} | 12,034 tok/s | eta 13s\n"


def test_a_line_gives_step_share_loss_speed_and_the_time_left() -> None:
    match = PROGRESS.search(LINE.format(120, 0.345, 3.412))
    assert match
    assert match.groups() == ("00120", "34.5", "3.4120", "12,034", "13s")


def test_a_curve_has_the_steps_that_rise_and_nothing_else_of_a_log() -> None:
    log = "hello\n" + LINE.format(1, 0.1, 3.0) + "loss 9 | step 7\n" + LINE.format(5, 0.5, 2.5) + LINE.format(5, 1, 2.5)
    assert learning_curve(log) == ((1.0, 3.0), (5.0, 2.5))
    assert learning_curve("step 00001 | 1.0% | loss nan | 1 tok/s | eta 0s") == ()


def test_a_long_curve_is_thinned_and_keeps_its_end() -> None:
    curve = learning_curve("".join(LINE.format(step, step / 1001, 2.0) for step in range(1, 1002)))
    assert len(curve) <= MOST_POINTS
    assert curve[-1][0] == 1001
