"""The ``vitan`` command. Its modules import light things only; what is heavy is imported inside the commands."""

from .app import main
from .commands.cache import cache
from .commands.compare import compare
from .commands.completion import completion
from .commands.demo import demo
from .commands.doctor import doctor
from .commands.export import export
from .commands.import_ import import_
from .commands.list_ import list_
from .commands.report import report
from .commands.run import run
from .commands.show import show
from .commands.table import table
from .commands.validate import validate
from .commands.verify import verify

__all__ = ["main"]

for command in (
    demo, run, compare, table, report, import_, list_, show, export, validate, verify, doctor, cache, completion,
):  # fmt: skip
    main.add_command(command)
