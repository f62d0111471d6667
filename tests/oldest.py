"""Print the lower bound of every dependency in setup.cfg as a constraint: ``make oldest`` installs just these."""

from __future__ import annotations

import configparser
import re
from pathlib import Path

SETUP = Path(__file__).parents[1] / "setup.cfg"


def constraints() -> list[str]:
    """``name==version`` for every requirement with a lower bound, of the package and of its tests."""
    setup = configparser.ConfigParser()
    setup.read(SETUP, encoding="utf-8")
    lines = [*setup["options"]["install_requires"].split("\n"), *setup["options.extras_require"]["dev"].split("\n")]
    bounds = (re.fullmatch(r"\s*([\w.-]+)>=([\w.]+)\s*", line) for line in lines)
    return [f"{bound[1]}=={bound[2]}" for bound in bounds if bound]


if __name__ == "__main__":
    print("\n".join(constraints()))
