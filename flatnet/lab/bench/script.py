"""How a file of ours runs in a namespace, without all else that is ours."""

import sys

from flatnet.lab import namespaces
from flatnet.lab.server_process import as_user


def command(namespace: str, file: str, *words: str) -> list[str]:
    """The command line that runs a file of Python with these arguments."""
    python = [sys.executable, "-I", file]
    return namespaces.inside(namespace, [*as_user(None), *python, *words])
