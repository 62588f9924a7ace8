"""Pictures of what a strategy concludes, for a light page and a dark one; matplotlib is imported when one is drawn.

They are laid out 4 inches wide with letters of 9 points, so that 400 pixels are enough to read them. Values are signed
so that lower is better, as those of a trial.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from agent.core.errors import BadInput
from agent.core.frozen import frozen
from agent.core.trials import Effect, Trial

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PARAMETERS = "num_params_M"
WIDTH_IN, DPI = 4.0, 200  # 800 pixels, shown at 400 on a screen of twice the density
_LABEL_GAP = 0.11  # between the names of points, of the range of their values
_ASIDE = 1.12  # how far a name stands from its point, as a factor
ORIGINS = ("random", "elite", "mutant", "cross", "immigrant")  # those with a colour of their own


@frozen
class Theme:
    """The colours of a page: what is drawn on, letters and axes, faint lines, and the series, fit for the colour-blind.

    The series are those of Okabe and Ito (2008), the darker ones lightened on the dark page.
    """

    name: str
    page: str
    ink: str
    faint: str
    series: tuple[str, ...]


THEMES = (
    Theme("light", "#ffffff", "#1f2328", "#d1d9e0", ("#0072b2", "#d55e00", "#009e73", "#b3548f", "#8a6d00", "#57606a")),
    Theme("dark", "#0d1117", "#e6edf3", "#30363d", ("#56b4e9", "#ff9e4a", "#2ec4a0", "#e39ac4", "#f0e442", "#9da7b1")),
)
Paint = Callable[["Axes", Theme], None]


def draw_effects(effects: Sequence[Effect], path: Path, title: str, unit: str) -> list[Path]:
    """Draw gains or spreads, one below the other, each with its interval: a ladder's rungs, a sweep's factors."""

    def paint(axes: "Axes", theme: Theme) -> None:
        for at, effect in enumerate(effects):
            colour = theme.series[5 if _reaches_zero(effect) else 0]
            if effect.interval:
                axes.plot(effect.interval, (at, at), color=colour, linewidth=4, solid_capstyle="round", alpha=0.5)
            axes.plot(effect.gain, at, "o", color=colour, markersize=7)
        axes.axvline(0, color=theme.ink, linewidth=1)
        axes.set_yticks(range(len(effects)), [_short(effect.name.removeprefix("spread of ")) for effect in effects])
        axes.set_ylim(len(effects) - 0.5, -0.5)
        axes.set_xlabel(unit)

    return _save(paint, path, title, 1.3 + 0.32 * len(effects))


def draw_parameters(trials: Sequence[Trial], path: Path, title: str, metric: str) -> list[Path]:
    """Draw each trial's mean against its parameters, on a logarithmic axis; the lowest so far is a line."""
    points = sorted(
        (1e6 * trial.metrics[PARAMETERS], _mean(trial), trial.name)
        for trial in _sound(trials)
        if PARAMETERS in trial.metrics
    )

    def paint(axes: "Axes", theme: Theme) -> None:
        front = _lowest_so_far([(x, y) for x, y, _ in points])
        axes.step(*_columns(front), where="post", color=theme.series[2], linewidth=1.5)
        axes.scatter(*_columns([(x, y) for x, y, _ in points]), color=theme.series[0], s=36, zorder=3)
        _label(axes, theme, points)
        if points:
            _count_ticks(axes)
        axes.set_xlabel("parameters")
        axes.set_ylabel(metric)
        axes.margins(0.16)

    return _save(paint, path, title, 3.0)


def draw_axis(trials: Sequence[Trial], constant: str, path: Path, title: str, metric: str) -> list[Path]:
    """Draw each trial's mean against one constant that is a number, and the lowest at each of its values."""
    points = [
        (float(value), _mean(trial))
        for trial in _sound(trials)
        if isinstance(value := trial.candidate.sets.get(constant), int | float)
    ]
    lowest = sorted({x: min(y for at, y in points if at == x) for x, _ in points}.items())

    def paint(axes: "Axes", theme: Theme) -> None:
        axes.scatter(*_columns(points), color=theme.series[5], s=18, alpha=0.7, label="all")
        axes.plot(*_columns(lowest), "o-", color=theme.series[0], linewidth=2, markersize=6, label="lowest")
        axes.set_xticks([x for x, _ in lowest], [f"{x:g}" for x, _ in lowest])
        axes.set_xlabel(constant.rpartition(".")[2])
        axes.set_ylabel(metric)
        _legend(axes, theme)

    return _save(paint, path, title, 2.8)


def draw_lineage(trials: Sequence[Trial], path: Path, title: str, metric: str) -> list[Path]:
    """Draw the means by generation, a line from each parent to its child, a colour an origin, and the lowest so far."""
    sound = {trial.name: trial for trial in _sound(trials)}

    def paint(axes: "Axes", theme: Theme) -> None:
        for child in sound.values():
            for parent in (sound[name] for name in child.candidate.parents if name in sound):
                ends = [(one.candidate.generation, _mean(one)) for one in (parent, child)]
                axes.plot(*_columns(ends), color=theme.series[5], linewidth=0.7, alpha=0.45, zorder=1)
        for at, origin in enumerate((*ORIGINS, "other")):
            of = [one for one in sound.values() if _origin(one) == origin]
            points = [(one.candidate.generation, _mean(one)) for one in of]
            if points:
                axes.scatter(*_columns(points), color=theme.series[at], s=24, label=origin, zorder=2)
        every = sorted((one.candidate.generation, _mean(one)) for one in sound.values())
        axes.step(*_columns(_lowest_so_far(every)), where="post", color=theme.ink, linewidth=1.5, label="lowest so far")
        axes.set_xlabel("generation")
        axes.set_ylabel(metric)
        _whole_ticks(axes)
        _legend(axes, theme, below=True)

    return _save(paint, path, title, 3.8)


def draw_curves(
    curves: Mapping[str, Sequence[tuple[float, float]]], path: Path, title: str, across: str, metric: str
) -> list[Path]:
    """Draw learning curves, each a name and its points (steps or seconds, value); at most six can be told apart."""

    def paint(axes: "Axes", theme: Theme) -> None:
        for (name, points), colour in zip(curves.items(), theme.series, strict=False):
            axes.plot(*_columns(points), color=colour, linewidth=1.8, label=_short(name))
        axes.set_xlabel(across)
        axes.set_ylabel(metric)
        _legend(axes, theme)

    return _save(paint, path, title, 2.8)


# --- the canvas -------------------------------------------------------------------------------------------


def _save(paint: Paint, path: Path, title: str, height_in: float) -> list[Path]:
    """Paint once for each theme; return the files, `path` with the theme's name before its ending (png or svg).

    Raises BadInput where matplotlib is not installed.
    """
    try:
        from matplotlib import rc_context
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise BadInput("no matplotlib to draw with", next_step="pip install autoresearch-harness[plots]") from None
    files = []
    for theme in THEMES:
        figure = Figure(figsize=(WIDTH_IN, height_in), dpi=DPI, facecolor=theme.page, layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.add_subplot(facecolor=theme.page)
        _dress(axes, theme)
        paint(axes, theme)
        figure.suptitle(title, color=theme.ink, fontsize=10, fontweight="bold", x=0.02, ha="left")
        files.append(path.with_name(f"{path.stem}-{theme.name}{path.suffix}"))
        with rc_context({"svg.hashsalt": title}):  # else the names in a drawing are random
            figure.savefig(files[-1], facecolor=theme.page, metadata=_NO_DATE.get(path.suffix))
    return files


_NO_DATE: Mapping[str, dict[str, str | None]] = {
    ".svg": {"Date": None},
    ".png": {"Software": ""},
}  # same data, same file


def _dress(axes: "Axes", theme: Theme) -> None:
    axes.tick_params(colors=theme.ink, labelsize=9)
    for label in (axes.xaxis.label, axes.yaxis.label):
        label.set(color=theme.ink, fontsize=9)
    for side, spine in axes.spines.items():
        spine.set(color=theme.faint, visible=side in ("left", "bottom"))
    axes.grid(color=theme.faint, linewidth=0.6)
    axes.set_axisbelow(True)


def _legend(axes: "Axes", theme: Theme, *, below: bool = False) -> None:
    place = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.2), "ncols": 3} if below else {"loc": "best"}
    legend = axes.legend(fontsize=9, frameon=False, labelcolor=theme.ink, handletextpad=0.4, columnspacing=0.8, **place)
    legend.set_zorder(4)


def _whole_ticks(axes: "Axes") -> None:
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def _count_ticks(axes: "Axes") -> None:
    """Show a logarithmic axis of counts as 2k, 5k, 10k, 2M."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda count, _: short_count(count)))


def short_count(count: float) -> str:
    """Return a count in few letters: 500, 20k, 1.5M, 2B."""
    for size, unit in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if count >= size:
            return f"{count / size:.4g}{unit}"
    return f"{count:.4g}"


def _label(axes: "Axes", theme: Theme, points: Sequence[tuple[float, float, str]]) -> None:
    """Name the points on their left, on the right where they stand first, with a line to a name that had to move."""
    values = [y for _, y, _ in points]
    heights = apart(values, _LABEL_GAP * (max(values, default=0.0) - min(values, default=0.0)))
    middle = sorted(x for x, _, _ in points)[len(points) // 2] if points else 0.0
    for (x, y, name), height in zip(points, heights, strict=True):
        side = 1 if x < middle else -1
        axes.annotate(
            _short(name),
            (x, y),
            xytext=(x * _ASIDE**side, height),
            ha="left" if side > 0 else "right",
            va="center",
            fontsize=9,
            color=theme.ink,
            bbox={"facecolor": theme.page, "edgecolor": "none", "pad": 1},
            arrowprops={"arrowstyle": "-", "color": theme.series[5], "linewidth": 0.6, "shrinkA": 1, "shrinkB": 3},
        )


def apart(values: Sequence[float], gap: float) -> list[float]:
    """Return the values moved as little as keeps them `gap` from each other, in their order."""
    order = sorted(range(len(values)), key=lambda at: values[at])
    groups: list[list[int]] = []
    for at in order:
        groups.append([at])
        while len(groups) > 1 and _start(groups[-1], values, gap) < _start(groups[-2], values, gap) + gap * len(
            groups[-2]
        ):
            groups[-2:] = [groups[-2] + groups[-1]]
    moved = {at: _start(group, values, gap) + gap * rank for group in groups for rank, at in enumerate(group)}
    return [moved[at] for at in range(len(values))]


def _start(group: Sequence[int], values: Sequence[float], gap: float) -> float:
    """Return where the lowest of a group stands, when the group is about the mean of its values."""
    return sum(values[at] for at in group) / len(group) - gap * (len(group) - 1) / 2


# --- the data ---------------------------------------------------------------------------------------------


def _sound(trials: Sequence[Trial]) -> list[Trial]:
    return [trial for trial in trials if trial.values and not trial.failure]


def _mean(trial: Trial) -> float:
    return sum(trial.values.values()) / len(trial.values)


def _origin(trial: Trial) -> str:
    return trial.candidate.origin if trial.candidate.origin in ORIGINS else "other"


def _reaches_zero(effect: Effect) -> bool:
    """Return whether noise alone may be all of an effect, or its noise is unknown."""
    return effect.interval is None or effect.interval[0] <= 0 <= effect.interval[1]


def _lowest_so_far(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return the points of a line that goes down to each new lowest value, and on to the last point."""
    line: list[tuple[float, float]] = []
    for x, y in points:
        if not line or y < line[-1][1]:
            line.append((x, y))
    return [*line, (points[-1][0], line[-1][1])] if points else []


def _columns(points: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [x for x, _ in points], [y for _, y in points]


def _short(name: str) -> str:
    return name if len(name) <= 24 else f"{name[:23]}…"
