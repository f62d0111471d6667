"""The command line: strange names, numbers and paths in every place where a word can stand."""

from __future__ import annotations

import shlex
from pathlib import Path
from random import Random
from typing import Any

import pytest

from fuzzing import command
from spoiling import WORDS

#: Those that a shell can give.
STRANGE = [word for word in WORDS if "\0" not in word]
TOYS = Path(__file__).parents[1] / "core" / "cli" / "toys.py"
#: Honest commands; words with a bar before them are replaced in their turn. None of them names where to write.
COMMANDS = (
    "run |mean -m |toy-A8 -d |dots --n |3 --blocks |all --limit |2 --batch-size |2 --device |cpu --dtype |float32",
    "run |mean |other -m |toy-A8 -m |toy-B8 -d |dots --mean-mass |0.5 --on-error |stop --figures |none",
    "run |mean -m |toy-A8 --weights |toy-A8=w.pth -d |dots",
    "run |attention -m |random-S32 -d |shapes --limit |1 --blocks |first --figures |none",
    "run |knn -m |timm:vit_tiny_patch16_224 -d |imagenet --root |nowhere --k |20",
    "run |mean -m |open_clip:ViT-B-32 -d |coco --root |nowhere",
    "run --plan |plan.yaml --json",
    "show |mean", "show |toy-A8", "show |dots", "show |timm:vit_tiny_patch16_224", "show |open_clip:ViT-B-32",
    "list |models", "list |analyses |x", "table |results --metric |mean -a |mean", "compare |results |mean",
    "import |folder --importer |teaching-matters", "validate |plan.yaml", "verify |mean", "completion |bash",
    "export |shapes --layout |folder --per-class 4 --classes 2 --size 32", "cache |clear --older-than |1 --yes",
    "|doctor", "--data-root |x list",
)  # fmt: skip


def misspelt(random: Random, word: str) -> str:
    place = random.randrange(len(word) + 1)
    return random.choice([word[:place] + word[place + 1 :], word.upper(), word + " ", f"{word},{word}", word * 2])


def attempt(random: Random, folder: Path) -> None:
    del folder  # it is the working folder
    words = shlex.split(random.choice(COMMANDS))
    places = [place for place, word in enumerate(words) if word.startswith("|")]
    spoilt = set(random.sample(places, random.choice([0, 1, 1, 1, min(2, len(places))])))
    for place in places:
        word = words[place].removeprefix("|")
        strange = random.choice(STRANGE) if random.random() < 0.8 else misspelt(random, word)
        words[place] = strange if place in spoilt else word
    command("-p", str(TOYS), *words)


@pytest.mark.filterwarnings("ignore")
def test_words_are_understood_or_refused(fuzz: Any) -> None:
    fuzz(attempt, some=20, many=300)
