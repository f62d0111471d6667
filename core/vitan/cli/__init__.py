"""The ``vitan`` command. Its modules import light things only; what is heavy is imported inside the commands."""

from .app import main
from .cache import cache
from .compare import compare
from .completion import completion
from .doctor import doctor
from .export import export
from .import_ import import_
from .listing import list_
from .run import run
from .show import show
from .table import table
from .validate import validate
from .verify import verify

__all__ = ["main"]

for command in (run, compare, table, import_, list_, show, export, validate, verify, doctor, cache, completion):
    main.add_command(command)
