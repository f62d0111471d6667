"""``python -m vitan`` is the ``vitan`` command."""

from .cli import main

main(prog_name="vitan")
