"""Pictures of what a strategy concludes, for a light page and a dark one; matplotlib is imported when one is drawn.

They are laid out 4 inches wide with letters of 9 points, so that 400 pixels are enough to read them. Values are signed
so that lower is better, as those of a trial.
"""

from collections.abc import Callable, Mapping, Sequence
from io import BytesIO
from typing import TYPE_CHECKING

from agent.core.errors import BadInput
from agent.core.frozen import frozen
from agent.core.trials import Ancestor, CurvePicture, Effect, EffectPicture, LineagePicture, ParameterPicture, Picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH_IN, DPI = 4.0, 200  # 800 pixels, shown at 400 on a screen of twice the density
MOST_BARS = 16  # effects in one picture, those furthest from 0
MOST_NAMES = 9  # points with a name in one picture: those of the front, then the lowest
_LABEL_GAP = 0.11  # between the names of points, of the range of their values
_ASIDE = 1.12  # how far a name stands from its point, as a factor
_MOST_TICKS = 6  # of values that all stand below a picture
_BY_FACTORS = 8  # the last value over the first from which on an axis is logarithmic
_FAMILIES: Mapping[str, str] = {  # origins that share a colour
    "cross": "cross",
    "champion": "cross",
    "mutant": "mutant",
    "hyper": "mutant",
    "tuned": "mutant",
    "grown": "mutant",
    "elite": "elite",
    "re-eval": "elite",
}
_BY_CHANCE = "chance"  # every other origin
FAMILIES = ("cross", "mutant", "elite", _BY_CHANCE)  # in the order of their colours


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


def draw(picture: Picture, metric: str) -> dict[str, bytes]:
    """Return a picture as PNG files by theme, the same bytes for the same picture. Raises BadInput without matplotlib.

    metric: the name of the values, such as `val_bpb`.
    """
    paint, height_in = _painter(picture, metric)
    try:
        return {theme.name: _render(paint, picture.title, height_in, theme) for theme in THEMES}
    except ImportError:
        step = "pip install 'autoresearch-harness[plots]' draws them"
        raise BadInput("no matplotlib to draw pictures with", next_step=step) from None


def _painter(picture: Picture, metric: str) -> tuple[Paint, float]:
    """Return what paints a picture, and its height in inches."""
    match picture:
        case EffectPicture():
            shown = _largest(picture.effects)
            return lambda axes, theme: _paint_effects(axes, theme, shown, f"{picture.measure}, {metric}"), (
                1.1 + 0.3 * len(shown)
            )
        case ParameterPicture():
            return lambda axes, theme: _paint_parameters(axes, theme, picture, metric), 3.0
        case CurvePicture():
            return lambda axes, theme: _paint_curve(axes, theme, picture, metric), 2.8
        case LineagePicture():
            return lambda axes, theme: _paint_lineage(axes, theme, picture, metric), 3.6


# --- one kind after another -------------------------------------------------------------------------------


def _paint_effects(axes: "Axes", theme: Theme, effects: Sequence[Effect], unit: str) -> None:
    """Paint gains or spreads, one below the other, each with its interval; grey where noise may be all of it."""
    for at, effect in enumerate(effects):
        colour = theme.series[5 if _reaches_zero(effect) else 0]
        if effect.interval:
            axes.plot(effect.interval, (at, at), color=colour, linewidth=4, solid_capstyle="round", alpha=0.5)
        axes.plot(effect.gain, at, "o", color=colour, markersize=7)
    axes.axvline(0, color=theme.ink, linewidth=1)
    axes.set_yticks(range(len(effects)), [_short(_bare(effect.name)) for effect in effects])
    axes.set_ylim(len(effects) - 0.5, -0.5)
    axes.set_xlabel(unit)
    _few_ticks(axes)


def _paint_parameters(axes: "Axes", theme: Theme, picture: ParameterPicture, metric: str) -> None:
    """Paint values against parameters, on a logarithmic axis; the lowest so far is a line."""
    points = [(x, y) for x, y, _ in picture.trials]
    front = _lowest_so_far(points)
    axes.step(*_columns(front), where="post", color=theme.series[2], linewidth=1.5)
    axes.scatter(*_columns(points), color=theme.series[0], s=30, zorder=3)
    _label(axes, theme, _named(picture.trials, front))
    _count_ticks(axes)
    axes.set_xlabel("parameters")
    axes.set_ylabel(metric)
    axes.margins(0.16)


def _paint_curve(axes: "Axes", theme: Theme, picture: CurvePicture, metric: str) -> None:
    """Paint a line, the points about it and the level that it is held against."""
    if picture.base is not None:
        axes.axhline(picture.base, color=theme.ink, linewidth=1, linestyle=(0, (4, 3)), label="base")
    axes.scatter(*_columns(picture.points), color=theme.series[5], s=18, alpha=0.7, label=picture.points_name)
    style = {"where": "post"} if picture.is_step else {"marker": "o", "markersize": 5}
    plot = axes.step if picture.is_step else axes.plot
    plot(*_columns(picture.line), color=theme.series[0], linewidth=2, label=picture.line_name, **style)
    axes.set_xlabel(picture.across)
    axes.set_ylabel(metric)
    if picture.is_step:
        _whole_ticks(axes)
    else:
        _value_ticks(axes, [x for x, _ in picture.line])
    _legend(axes, theme)


def _paint_lineage(axes: "Axes", theme: Theme, picture: LineagePicture, metric: str) -> None:
    """Paint organisms by generation, a line from parent to child, a colour an origin, the best of both sides so far."""
    for ends in _descents(picture.organisms):
        axes.plot(*_columns(ends), color=theme.series[5], linewidth=0.7, alpha=0.45, zorder=1)
    axes.scatter(*_columns(_places(picture.beside)), color=theme.series[5], s=16, marker="x", linewidths=1, zorder=2)
    for family, colour in zip(FAMILIES, theme.series, strict=False):
        own = [one for one in picture.organisms if _FAMILIES.get(one.origin, _BY_CHANCE) == family]
        if own:
            axes.scatter(*_columns(_places(own)), color=colour, s=22, label=family, zorder=3)
    _paint_best(axes, picture.organisms, "best so far", theme.ink)
    if picture.beside:
        _paint_best(axes, picture.beside, "random search", theme.series[5])
    axes.set_xlabel("generation")
    axes.set_ylabel(metric)
    _whole_ticks(axes)
    _legend(axes, theme, below=True)


def _paint_best(axes: "Axes", organisms: Sequence[Ancestor], name: str, colour: str) -> None:
    line = _lowest_so_far(_places(organisms))
    axes.step(*_columns(line), where="post", color=colour, linewidth=1.5, label=name)


# --- the canvas -------------------------------------------------------------------------------------------


def _render(paint: Paint, title: str, height_in: float, theme: Theme) -> bytes:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH_IN, height_in), dpi=DPI, facecolor=theme.page, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot(facecolor=theme.page)
    _dress(axes, theme)
    paint(axes, theme)
    figure.suptitle(title, color=theme.ink, fontsize=10, fontweight="bold", x=0.02, ha="left")
    file = BytesIO()
    figure.savefig(file, format="png", facecolor=theme.page, metadata={"Software": None})
    return file.getvalue()


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


def _few_ticks(axes: "Axes") -> None:
    """Have at most five numbers below, so that they do not run into each other."""
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(nbins=4))


def _value_ticks(axes: "Axes", values: Sequence[float]) -> None:
    """Show the values themselves where they are few and apart, on a logarithmic axis where they grow by factors."""
    from matplotlib.ticker import NullLocator

    if values[0] > 0 and values[-1] / values[0] >= _BY_FACTORS:
        axes.set_xscale("log")
        axes.xaxis.set_minor_locator(NullLocator())
    if len(values) <= _MOST_TICKS:
        axes.set_xticks(values, [short_count(value) for value in values])


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


def _named(
    trials: Sequence[tuple[float, float, str]], front: Sequence[tuple[float, float]]
) -> list[tuple[float, float, str]]:
    """Return the points that are named: all where they are few, else those of the front, then the lowest."""
    chosen = sorted(trials, key=lambda one: ((one[0], one[1]) not in front, one[1]))[:MOST_NAMES]
    return sorted(chosen)


# --- the data ---------------------------------------------------------------------------------------------


def _largest(effects: Sequence[Effect]) -> list[Effect]:
    """Return the effects in their order; of very many those furthest from 0."""
    kept = sorted(effects, key=lambda one: -abs(one.gain))[:MOST_BARS]
    return [one for one in effects if one in kept]


def _bare(name: str) -> str:
    """Return an effect's name without what the title says."""
    return name.removeprefix("spread of ").removesuffix(" beyond the sum")


def _descents(organisms: Sequence[Ancestor]) -> list[tuple[tuple[float, float], tuple[float, float]]]:
    """Return a line from each parent, where it last lived, to its child, where that was born."""
    lines, places, born = [], dict[str, tuple[float, float]](), set[str]()
    for child in sorted(organisms, key=lambda one: one.generation):
        here = (float(child.generation), child.fitness)
        if child.name not in born:
            lines += [(places[parent], here) for parent in child.parents if parent in places]
        born.add(child.name)
        places[child.name] = here
    return lines


def _places(organisms: Sequence[Ancestor]) -> list[tuple[float, float]]:
    return sorted((float(one.generation), one.fitness) for one in organisms)


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
