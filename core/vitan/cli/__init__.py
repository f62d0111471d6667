"""The ``vitan`` command. Its modules import light things only; what is heavy is imported inside the commands."""

from .app import main
from .cache import cache
from .compare import compare
from .completion import completion
from .doctor import doctor
for command in (run, compare, table, import_, list_, show, export, validate, verify, doctor, cache, completion):
    main.add_command(command)
