"""The line in which a run reports its progress (fixed/clock.py prints it), and what all of a log's lines make. Pure."""

import re

# step 00120 | 34.5% | loss 3.4120 | 12,034 tok/s | eta 13s
PROGRESS = re.compile(
    r"step (\d{1,12}) \| +([\d.]{1,9})% \| loss (\d{1,9}\.\d{1,9}) \| ([\d,]+) tok/s(?: \| eta (\S+))?"
)
MOST_POINTS = 200  # of a curve


def learning_curve(log: str) -> tuple[tuple[float, float], ...]:
    """Return (step, training loss) of a log's lines, as far as steps rise: at most MOST_POINTS, the last among them."""
    points = list[tuple[float, float]]()
    for match in PROGRESS.finditer(log):
        step, loss = float(match[1]), float(match[3])
        if not points or step > points[-1][0]:
            points.append((step, loss))
    stride = -(-len(points) // MOST_POINTS)
    return tuple(points[::-1][:: max(1, stride)][::-1])
