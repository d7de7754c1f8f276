"""What a configuration file has to say that oslo.config passes over.

It takes an option that it does not know for somebody else's.  A mistyped
`allow_same_net_traffic` would leave a cloud open, and nobody would know.
"""

import difflib
import io
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from pathlib import Path

from oslo_config import cfg

from flatnet.exceptions import ConfigurationError
from flatnet.options import DATABASE_OPTIONS, DEFAULT_OPTIONS

# Of 1: how alike an unknown name must be to one of ours to be a mistake.
_ALIKE = 0.87
_ARGUMENT = re.compile(r"argument --([a-z0-9_]+): (.*)", re.DOTALL)
_OURS = {
    "DEFAULT": [option.name for option in DEFAULT_OPTIONS],
    "database": [option.name for option in DATABASE_OPTIONS],
}


def check_names(files: list[str], known: cfg.ConfigOpts) -> None:
    """Check that no file has a name that is nearly one of ours.

    :raises ConfigurationError: it has; the line names it and the file
    """
    for file in files:
        sections: dict[str, dict[str, list[str]]] = {}
        try:
            cfg.ConfigParser(file, sections).parse()
        except (OSError, cfg.ParseError) as error:
            raise ConfigurationError(f"{file}: {error}") from error
        for section, ours in _OURS.items():
            for name in sections.get(section, {}):
                if name in ours or (section == "DEFAULT" and name in known):
                    continue
                meant = difflib.get_close_matches(name, ours, 1, _ALIKE)
                if meant:
                    raise ConfigurationError(
                        f"{name} in {file} is no option; did you mean "
                        f"{meant[0]}?"
                    )


def files_of(directories: list[str], files: list[str]) -> list[str]:
    """All configuration files, in the order in which they are read."""
    more = [
        str(path)
        for directory in directories
        for path in sorted(Path(directory).glob("*.conf"))
    ]
    return [*files, *more]


@contextmanager
def complaints(files: list[str]) -> Iterator[None]:
    """Raise what oslo.config would print of a file before it exits.

    Bad usage stays what it is: text on stderr, and status 2.

    :raises ConfigurationError: a bad value in one of `files`
    """
    said = io.StringIO()
    try:
        with redirect_stderr(said):
            yield
    except SystemExit as ending:
        if str(ending.code) == "1":
            raise explained(said.getvalue(), files) from ending
        sys.stderr.write(said.getvalue())
        raise


def explained(text: str, files: list[str]) -> ConfigurationError:
    """Return what oslo.config found wrong as one line that names the file.

    A bad value in a file of an option that could also be an argument is
    reported by it as if it had been one.
    """
    text = " ".join(text.split())
    match = _ARGUMENT.fullmatch(text)
    if match:
        text = f"{match[1]} in {', '.join(files)}: {match[2]}"
    return ConfigurationError(text)
