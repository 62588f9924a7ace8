"""The door of the names track's fixed side: given names, one a line, and what a run of its train.py uses.

An experiment edits train.py, and never this file or `fixed/`. `python experiments/names/prepare.py` prepares the names.
"""

import random
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(1, str(Path(__file__).resolve().parents[2]))  # fixed/ lies at the top, wherever a script is started

from fixed import characters, runtime, samples
from fixed.characters import CharacterClock, Text, row_batches
from fixed.clock import BudgetClock
from fixed.corpora import Source
from fixed.decoder import Decoder, Layer, fastest_gradient
from fixed.result import RunFailure, bad_setting, run
from fixed.runtime import Run
from fixed.settings import Settings

if TYPE_CHECKING:
    from torch import nn

__all__ = [
    "BudgetClock",
    "CharacterClock",
    "Decoder",
    "Layer",
    "Run",
    "RunFailure",
    "bad_setting",
    "begin",
    "evaluate",
    "fastest_gradient",
    "row_batches",
    "run",
]

URL = "https://raw.githubusercontent.com/karpathy/makemore/master/names.txt"
SHA256 = "0a30b5557f192f32ab962680889aac5f6fda0f4cecf40a6d0b5694f58ea8cc4d"  # of the 32,033 names
LONGEST = 16  # tokens of a row: the longest name has 15 letters, then its end
BYTES = dict.fromkeys(("full", "mini"), (1_000_000, 1_000_000))  # all there are, on either profile
SAMPLES = 20  # names that are sampled from each model
SYLLABLES = (  # of the stand-in: how they begin, their vowels, how a name may end; the first are the most frequent
    "b br c ch d dr f g gr h j k kr l m n p q r s sh st t th tr v w x y z",
    "a a a e e i i o u ai ea ie",
    "n l r s m t d nn",
)


def find(settings: Settings) -> list[Source]:
    """names.txt where AUTORESEARCH_DATA leads (a folder or the file itself), else its place in the cache."""
    data = settings.data
    places = [data, data / "names.txt"] if data else []
    cached = settings.cache / "raw" / "names" / "names.txt"
    return [Source(next((place for place in places if place.is_file()), cached), "any", URL)]


def read(path: Path) -> Iterator[str]:
    """The names of a file, as they stand there: some are there twice."""
    yield from path.read_text(encoding="utf-8").split()


def make() -> list[str]:
    """Stand-ins for names: syllables strung together by chance, the same 8,000 each time."""
    draw = random.Random(27).random
    onsets, vowels, codas = (tuple(line.split()) for line in SYLLABLES)

    def pick(items: tuple[str, ...]) -> str:
        return items[int(len(items) * draw() ** 1.5)]

    def name() -> str:
        syllables = [pick(onsets) * (draw() < 0.8) + pick(vowels) for _ in range(1 + int(3 * draw()))]
        return ("".join(syllables) + pick(codas) * (draw() < 0.5))[: LONGEST - 1]

    return [name() for _ in range(8000)]


NAMES = Text("names", find, read, make, LONGEST, {"names.txt": SHA256}, by_rows=True, bytes=BYTES)


def begin() -> Run:
    """Read the settings, have the names ready, seed everything. Raises RunFailure."""
    settings = characters.settings_of(NAMES)
    return runtime.begin(settings, lambda chosen: characters.prepare(chosen, NAMES))


def evaluate(run: Run, clock: BudgetClock, model: "nn.Module", config: Mapping[str, object]) -> None:
    """Score the model in nats a character, sample names from it, write the run's files: see characters.evaluate."""
    characters.evaluate(run, clock, model, config, judge)


def judge(run: Run, model: "nn.Module") -> dict[str, float]:
    """Sample names into samples.txt, the new ones marked; return the share of those that no training name is."""
    letters = characters.characters(run.corpus)
    names = samples.sample(model, letters, count=SAMPLES, length=LONGEST - 1, window=LONGEST)
    new = characters.new_texts(run.corpus, names)
    lines = [f"{name}  (new)" if name in new else name for name in names]
    (run.settings.run_dir / "samples.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"{run.corpus.corpus}: {len(new)} of {len(names)} sampled names are new: {', '.join(names)}")
    return {"new_names": len(new) / len(names)}


if __name__ == "__main__":
    sys.exit(run(lambda: characters.prepare_command(NAMES)))
