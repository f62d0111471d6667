"""What each installed analysis asks of a GPU while it watches a block: kernels, copies, and what is waited for.

Counted on a pretended one (``vitan.testing.check_on_accelerator``), on a small model: how many kernels there are does
not depend on its size, but for attention whose batches do not fit half a gigabyte.
"""

from __future__ import annotations

from vitan.registry.plugins import plugins_from
from vitan.testing import check_on_accelerator

_BLOCKS = 3


def main() -> None:
    """Print the table."""
    print("| analysis | kernels a block and batch | copies that are waited for |\n|---|---|---|")
    for _, spec in plugins_from(None).probes:
        try:
            asked = check_on_accelerator(spec)
        except AssertionError as error:
            print(f"| {spec.name} | | {error} |")
        else:
            print(f"| {spec.name} | {sum(asked.kernels.values()) / _BLOCKS:.0f} | {len(asked.faults)} |")


if __name__ == "__main__":
    main()
