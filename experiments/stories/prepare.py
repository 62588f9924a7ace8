"""The door of the stories track's fixed side: short stories, character by character, and what its train.py uses.

An experiment edits train.py, and never this file or `fixed/`. `python experiments/stories/prepare.py` prepares them.
"""

import random
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(1, str(Path(__file__).resolve().parents[2]))  # fixed/ lies at the top, wherever a script is started

from fixed import characters, runtime, samples
from fixed.characters import CharacterClock, Text
from fixed.clock import BudgetClock
from fixed.corpora import Source, find_tinystories, read_stories
from fixed.result import RunFailure, bad_setting, run
from fixed.runtime import Run
from fixed.settings import Settings

if TYPE_CHECKING:
    from torch import nn

__all__ = ["BudgetClock", "CharacterClock", "Run", "RunFailure", "bad_setting", "begin", "evaluate", "run"]

LENGTH = 256  # characters of a row of the held-out sets
BYTES = {"full": (1_000_000_000, 2_000_000), "mini": (32_000_000, 32_000)}  # to train on, to validate with
SAMPLES = {"full": (32, 400), "mini": (6, 200)}  # stories that are sampled from each model, and their characters
# Of the stand-in: whom its stories are about, and what happens in them.
NAMES = ("Lily", "Tom", "Mia", "Ben", "Sue", "Max", "Anna", "Tim", "Zoe", "Sam")
ANIMALS = ("cat", "dog", "bird", "rabbit", "fox", "frog", "bear", "mouse", "duck", "pony")
THINGS = (
    "ball",
    "kite",
    "red box",
    "little boat",
    "big cake",
    "blue hat",
    "shiny stone",
    "old book",
    "toy car",
    "drum",
)
PLACES = ("park", "garden", "forest", "kitchen", "beach", "school", "farm", "river", "hill", "old house")
MOODS = ("happy", "sad", "brave", "tired", "hungry", "kind", "shy", "proud", "curious", "quiet")
SENTENCES = (
    "{name} had a {mood} {animal} that lived near the {place}.",
    "One day, {name} went to the {place} with {friend}.",
    "They saw a {thing} under a tree, and {friend} wanted to have it.",
    '"Look, it is a {thing}!" said {friend}.',
    "The {animal} was very {mood} and ran to the {place}.",
    '{name} said, "Can I play with your {thing}?"',
    "{friend} did not know what to do, so {friend} asked the {animal}.",
    "But the {thing} was lost, and {name} felt {mood}.",
    "The {animal} found the {thing} in the {place} and gave it back.",
    "{name} and {friend} shared the {thing} and played until it was dark.",
)
ENDINGS = (
    "They were all {mood} and went home.",
    "From that day on, {name} was always kind to the {animal}.",
    "{name} hugged {friend}, and they were best friends.",
)


def make() -> list[str]:
    """Stand-ins for stories: sentences of one pattern, their words drawn by chance, the same 4,000 each time."""
    draw = random.Random(27).random

    def pick(items: tuple[str, ...]) -> str:
        return items[int(len(items) * draw())]

    def story() -> str:
        words = {"name": pick(NAMES), "friend": pick(NAMES), "animal": pick(ANIMALS), "thing": pick(THINGS)}
        middle = [pick(SENTENCES) for _ in range(3 + int(4 * draw()))]
        lines = ["Once upon a time, there was a {mood} child named {name}.", *middle, pick(ENDINGS)]
        return " ".join(line.format(**words, place=pick(PLACES), mood=pick(MOODS)) for line in lines)

    return [story() for _ in range(4000)]


def find(settings: Settings) -> list[Source]:
    """The files of TinyStories where AUTORESEARCH_DATA leads, else their places in the cache."""
    return find_tinystories(settings, "")


def read(path: Path) -> Iterator[str]:
    """The stories of a file, without the blanks around them."""
    return (one.strip() for one in read_stories(path) if one.strip())


STORIES = Text("stories", find, read, make, LENGTH, sha256={}, by_rows=False, bytes=BYTES)


def begin() -> Run:
    """Read the settings, have the stories ready, seed everything. Raises RunFailure."""
    return runtime.begin(characters.settings_of(STORIES), lambda chosen: characters.prepare(chosen, STORIES))


def evaluate(run: Run, clock: BudgetClock, model: "nn.Module", config: Mapping[str, object]) -> None:
    """Score the model in nats a character, sample stories from it, write the run's files: see characters.evaluate."""
    characters.evaluate(run, clock, model, config, judge)


def judge(run: Run, model: "nn.Module") -> dict[str, float]:
    """Sample stories into samples.txt; return how many of their words are words, differ, and come in old company."""
    count, length = SAMPLES[run.settings.profile]
    letters, known = characters.characters(run.corpus), characters.vocabulary(run.corpus)
    stories = samples.sample(model, letters, count=count, length=length, window=LENGTH)
    (run.settings.run_dir / "samples.txt").write_text("\n\n".join(stories) + "\n", encoding="utf-8")
    print(f"{run.corpus.corpus}: {stories[0]}")
    return {
        "valid_words": samples.valid_words(stories, known),
        "diversity": samples.diversity(stories),
        "repetition": samples.repetition(stories),
    }


if __name__ == "__main__":
    sys.exit(run(lambda: characters.prepare_command(STORIES)))
