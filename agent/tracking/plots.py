"""Pictures of what a strategy concludes, for a light page and a dark one; matplotlib is imported when one is drawn.

They are laid out 4 inches wide with letters of 9 points, so that 400 pixels are enough to read them. Values are signed
so that lower is better, as those of a trial.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from io import BytesIO
from typing import TYPE_CHECKING

from agent.core.errors import BadInput
from agent.core.frozen import frozen
from agent.core.trials import (
    Ancestor,
    CurvePicture,
    Effect,
    EffectPicture,
    LearningPicture,
    LineagePicture,
    ParameterPicture,
    Picture,
)
from agent.tracking.plot_layout import apart, columns, descents, lowest_so_far, short_count, spaced

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH_IN, DPI = 4.0, 200  # 800 pixels, shown at 400 on a screen of twice the density
MOST_BARS = 16  # effects in one picture, those furthest from 0
MOST_NAMES = 8  # points with a name in one picture; of more the lowest alone has one
_LABEL_GAP = 0.11  # between the names of points, of the range of their values
_ASIDE = 1.12  # how far a name stands from its point, as a factor
_TICK_GAP = 0.1  # between the values below an axis, of its length
BULK = 0.8  # of the organisms of a lineage, the fittest: the picture ends above them
_FAR_ABOVE = 1.3  # times the height of the bulk from which on the picture ends above it
_DECADES = 30  # the largest count over the smallest from which on only powers of 10 have room
_EARLY = 0.05  # of a run's steps: what it loses before them is not shown
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
_Style = str | tuple[int, tuple[int, ...]]  # of a line


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
        case LearningPicture():
            return lambda axes, theme: _paint_learning(axes, theme, picture), 3.2
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
    front = lowest_so_far(points)
    axes.step(*columns(front), where="post", color=theme.series[2], linewidth=1.5)
    few = len(points) <= MOST_NAMES
    axes.scatter(*columns(points), color=theme.series[0], s=30 if few else 12, zorder=3)
    if few:
        _label(axes, theme, picture.trials)
    else:
        _label_lowest(axes, theme, picture.trials)
    _count_ticks(axes, points[-1][0] / points[0][0])
    axes.set_xlabel("parameters")
    axes.set_ylabel(metric)
    axes.margins(0.16)


def _paint_curve(axes: "Axes", theme: Theme, picture: CurvePicture, metric: str) -> None:
    """Paint a line, the points about it and the level that it is held against."""
    if picture.base is not None:
        axes.axhline(picture.base, color=theme.ink, linewidth=1, linestyle=(0, (4, 3)), label="base")
    axes.scatter(*columns(picture.points), color=theme.series[5], s=18, alpha=0.7, label=picture.points_name)
    style = {"where": "post"} if picture.is_step else {"marker": "o", "markersize": 5}
    plot = axes.step if picture.is_step else axes.plot
    plot(*columns(picture.line), color=theme.series[0], linewidth=2, label=picture.line_name, **style)
    axes.set_xlabel(picture.across)
    axes.set_ylabel(metric)
    if picture.is_step:
        _whole_ticks(axes)
    else:
        _value_ticks(axes, [x for x, _ in picture.line])
    _legend(axes, theme)


def _paint_learning(axes: "Axes", theme: Theme, picture: LearningPicture) -> None:
    """Paint a line a run; the axis ends above what is left when a twentieth of the steps is done."""
    for (name, line), colour in zip(picture.lines, theme.series, strict=False):
        axes.plot(*columns(line), color=colour, linewidth=1.5, label=_short(name, 14))
    low = min(y for _, line in picture.lines for _, y in line)
    late = [max(y for x, y in line if x >= _EARLY * line[-1][0]) for _, line in picture.lines]
    if max(late) > low:
        margin = 0.06 * (max(late) - low)
        axes.set_ylim(low - margin, max(late) + margin)
    axes.set_xlabel("step")
    axes.set_ylabel("training loss, nats")
    _few_ticks(axes)
    axes.xaxis.set_major_formatter(lambda count, _: short_count(count))
    _legend(axes, theme)


def _paint_lineage(axes: "Axes", theme: Theme, picture: LineagePicture, metric: str) -> None:
    """Paint organisms by generation, a line from parent to child, a colour an origin, the best of both sides so far."""
    for ends in descents(picture.organisms):
        axes.plot(*columns(ends), color=theme.series[5], linewidth=0.7, alpha=0.45, zorder=1)
    axes.scatter(*columns(_places(picture.beside)), color=theme.series[5], s=16, marker="x", linewidths=1, zorder=2)
    for family, colour in zip(FAMILIES, theme.series, strict=False):
        own = [one for one in picture.organisms if _FAMILIES.get(one.origin, _BY_CHANCE) == family]
        if own:
            axes.scatter(*columns(_places(own)), color=colour, s=22, label=family, zorder=3)
    _paint_best(axes, picture.organisms, "best so far", theme.ink, "solid")
    if picture.beside:
        _paint_best(axes, picture.beside, "random search", theme.ink, (0, (3, 2)))
    axes.set_xlabel("generation")
    axes.set_ylabel(metric)
    _whole_ticks(axes)
    _legend(axes, theme)
    _show_bulk(axes, [*picture.organisms, *picture.beside])


def _paint_best(axes: "Axes", organisms: Sequence[Ancestor], name: str, colour: str, style: _Style) -> None:
    line = lowest_so_far(_places(organisms))
    axes.step(*columns(line), where="post", color=colour, linewidth=1.5, linestyle=style, label=name)


def _show_bulk(axes: "Axes", organisms: Sequence[Ancestor]) -> None:
    """End the axis above most of the organisms: the few worst would squeeze the differences that matter."""
    fitness = sorted(one.fitness for one in organisms)
    ceiling, low = fitness[math.ceil(BULK * len(fitness)) - 1], fitness[0]
    if low < ceiling and fitness[-1] - low > _FAR_ABOVE * (ceiling - low):
        margin = 0.06 * (ceiling - low)
        axes.set_ylim(low - margin, ceiling + margin)
        axes.set_xlabel(f"generation ({sum(one > ceiling for one in fitness)} of {len(fitness)} are above)")


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
    figure.draw_without_rendering()  # which settles the ticks, and with them the room for the names of the axes
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
    axes.ticklabel_format(useOffset=False)


def _legend(axes: "Axes", theme: Theme) -> None:
    """Name the series below the picture, where they hide no point."""
    handles, names = axes.get_legend_handles_labels()
    axes.get_figure(root=True).legend(  # type: ignore[union-attr]
        handles,
        names,
        loc="outside lower center",
        ncols=3,
        fontsize=9,
        frameon=False,
        labelcolor=theme.ink,
        handletextpad=0.4,
        columnspacing=0.8,
    )


def _few_ticks(axes: "Axes") -> None:
    """Have at most five numbers below, so that they do not run into each other."""
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(nbins=4))


def _value_ticks(axes: "Axes", values: Sequence[float]) -> None:
    """Show the values themselves, those that are apart, on a logarithmic axis where they grow by factors."""
    from matplotlib.ticker import NullLocator

    by_factors = values[0] > 0 and values[-1] / values[0] >= _BY_FACTORS

    if by_factors:
        axes.set_xscale("log")
        axes.xaxis.set_minor_locator(NullLocator())
    places = [math.log(value) if by_factors else value for value in values]
    kept = [values[at] for at in spaced(places, _TICK_GAP * (places[-1] - places[0]))]
    axes.set_xticks(kept, [short_count(value) for value in kept])


def _whole_ticks(axes: "Axes") -> None:
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def _count_ticks(axes: "Axes", ratio: float) -> None:
    """Show a logarithmic axis of counts as 2k, 5k, 10k, 2M; from 1 to 30 times itself, else the powers of 10 alone."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if ratio < _DECADES else (1,)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda count, _: short_count(count)))


def _label_lowest(axes: "Axes", theme: Theme, points: Sequence[tuple[float, float, str]]) -> None:
    x, y, name = min(points, key=lambda one: one[1])
    label = axes.annotate(_short(name), (x, y), (0, -5), textcoords="offset points", ha="center", va="top")
    label.set(color=theme.ink, fontsize=9)


def _label(axes: "Axes", theme: Theme, points: Sequence[tuple[float, float, str]]) -> None:
    """Name the points on their left, on the right where they stand first, with a line to a name that had to move."""
    values = [y for _, y, _ in points]
    heights = apart(values, _LABEL_GAP * (max(values, default=0.0) - min(values, default=0.0)))
    middle = sorted(x for x, _, _ in points)[len(points) // 2] if points else 0.0
    axes.update_datalim([(x, height) for (x, _, _), height in zip(points, heights, strict=True)])
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
            bbox={"facecolor": theme.page, "edgecolor": "none", "pad": 1, "alpha": 0.6},
            arrowprops={"arrowstyle": "-", "color": theme.series[5], "linewidth": 0.6, "shrinkA": 1, "shrinkB": 3},
        )


# --- the data ---------------------------------------------------------------------------------------------


def _largest(effects: Sequence[Effect]) -> list[Effect]:
    """Return the effects in their order; of very many those furthest from 0."""
    kept = sorted(effects, key=lambda one: -abs(one.gain))[:MOST_BARS]
    return [one for one in effects if one in kept]


def _bare(name: str) -> str:
    """Return an effect's name without what the title says."""
    return name.removeprefix("spread of ").removesuffix(" beyond the sum")


def _places(organisms: Sequence[Ancestor]) -> list[tuple[float, float]]:
    return sorted((float(one.generation), one.fitness) for one in organisms)


def _reaches_zero(effect: Effect) -> bool:
    """Return whether noise alone may be all of an effect, or its noise is unknown."""
    return effect.interval is None or effect.interval[0] <= 0 <= effect.interval[1]


def _short(name: str, most: int = 24) -> str:
    return name if len(name) <= most else f"{name[: most - 1]}…"
