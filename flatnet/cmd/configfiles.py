"""What a configuration file has to say that oslo.config passes over.

It takes an option or a section that it does not know for somebody else's.  A
mistyped `allow_same_net_traffic` would leave a cloud open, and a mistyped
`[database]` have everybody use a file of his own, and nobody would know.
"""

import difflib
import io
import re
import sys
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager, redirect_stderr
from pathlib import Path

from oslo_config import cfg

from flatnet.cmd import knownnames
from flatnet.config.options import DATABASE_OPTIONS, DEFAULT_OPTIONS
from flatnet.exceptions import ConfigurationError

# Of 1: how alike an unknown name must be to one of ours to be proposed.
_ALIKE = 0.8
# How alike an unknown section must be to a known one to be a mistake.
_SAME = 0.87
_ARGUMENT = re.compile(r"argument --([a-z0-9_]+): (.*)", re.DOTALL)
_DEFAULT = frozenset(
    name
    for option in DEFAULT_OPTIONS
    for name in (option.name, *(o.name for o in option.deprecated_opts))
    if name
)
_DATABASE = frozenset(option.name for option in DATABASE_OPTIONS)
_NOBODYS = " of flatnet, oslo or nova; correct or remove it"
# What tells that a section of an unknown name was meant for us.
_OURS_ALONE = {
    "transport_url": "DEFAULT",
    **{name: "DEFAULT" for name in _DEFAULT if "_" in name},
    **dict.fromkeys(_DATABASE, "database"),
}


def check_names(files: list[str]) -> None:
    """Check that no file has a name that nobody knows.

    In [DEFAULT] and [database] it is ours, oslo's or nova's.  Other sections
    are theirs, unless their name or what is in them tells otherwise.

    :raises ConfigurationError: there is one; the line names it and the file
    """
    for file in files:
        sections: dict[str, dict[str, list[str]]] = {}
        try:
            cfg.ConfigParser(file, sections).parse()
        except (OSError, cfg.ParseError, UnicodeDecodeError) as error:
            raise ConfigurationError(f"{file}: {error}") from error
        for section, names in sections.items():
            if section == "DEFAULT":
                _check_options(file, section, names, _is_default)
            elif section.lower() == "database":
                _check_options(file, section, names, _is_database)
            elif section.lower() not in knownnames.SECTIONS:
                _check_section(file, section, names)


def _is_default(name: str) -> bool:
    return name in _DEFAULT or knownnames.is_known(name)


def _is_database(name: str) -> bool:
    return name in _DATABASE or name in knownnames.DATABASE


def _check_options(
    file: str,
    section: str,
    names: Iterable[str],
    is_known: Callable[[str], bool],
) -> None:
    ours = _DEFAULT if section == "DEFAULT" else _DATABASE
    theirs = () if section != "DEFAULT" else knownnames.OSLO
    for name in names:
        if not is_known(name):
            hint = _meant(name, (*ours, *theirs), _ALIKE)
            raise ConfigurationError(
                f"{name} in [{section}] of {file} is no option"
                + (f"; did you mean {hint}?" if hint else _NOBODYS)
            )


def _check_section(file: str, section: str, names: Iterable[str]) -> None:
    known = ("DEFAULT", "database", *knownnames.SECTIONS)
    hint = _meant(section.lower(), known, _SAME)
    if section.upper() == "DEFAULT":
        hint = "DEFAULT"
    for name in names:
        hint = hint or _OURS_ALONE.get(name, "")
    if hint:
        raise ConfigurationError(
            f"[{section}] in {file} is no section; did you mean [{hint}]?"
        )


def _meant(name: str, known: Collection[str], alike: float) -> str:
    """The known name that is most like this one, or empty."""
    found = difflib.get_close_matches(name, sorted(known), 1, alike)
    return found[0] if found else ""


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
