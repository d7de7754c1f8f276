"""What setup.cfg says is what the tree has."""

import ast
import configparser
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def setup_cfg():
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg")
    return parser


def words(text):
    return sorted(line for line in text.splitlines() if line)


def packages_of_tree():
    """All directories with modules, under the names they install as."""
    for top, name in (("flatnet", "flatnet"), ("migrations", None)):
        for path in (ROOT / top).rglob("__init__.py"):
            parts = list(path.parent.relative_to(ROOT).parts)
            yield ".".join(parts if name else ["flatnet", *parts])


def test_every_package_is_installed(setup_cfg):
    assert words(setup_cfg["options"]["packages"]) == sorted(
        packages_of_tree()
    )


def test_every_directory_with_modules_is_a_package():
    directories = {
        path.parent
        for top in ("flatnet", "migrations")
        for path in (ROOT / top).rglob("*.py")
    }
    assert [d for d in directories if not (d / "__init__.py").exists()] == []


def test_every_dependency_has_both_bounds(setup_cfg):
    lists = [
        setup_cfg["options"]["install_requires"],
        *dict(setup_cfg["options.extras_require"]).values(),
    ]
    wanted = [line for text in lists for line in words(text)]
    wanted = [line for line in wanted if not line.startswith("#")]
    assert wanted
    for line in wanted:
        assert ">=" in line, line
        assert ",<" in line, line


def test_every_dependency_is_pinned(setup_cfg):
    pinned = {
        line.partition("==")[0].lower()
        for line in (ROOT / "constraints.txt").read_text().splitlines()
    }
    for line in words(setup_cfg["options"]["install_requires"]):
        if not line.startswith("#"):
            assert line.partition(">")[0].lower() in pinned


def test_only_declared_packages_are_imported(setup_cfg):
    """A library that comes by chance, as another's, may go as it came."""
    modules = {
        "alembic": "alembic",
        "amqp": "amqp",
        "cliff": "cliff",
        "eventlet": "eventlet",
        "kombu": "kombu",
        "msgspec": "msgspec",
        "oslo_config": "oslo.config",
        "oslo_log": "oslo.log",
        "oslo_messaging": "oslo.messaging",
        "pymysql": "PyMySQL",
        "pyroute2": "pyroute2",
        "psycopg2": "psycopg2-binary",
        "sqlalchemy": "SQLAlchemy",
        "tenacity": "tenacity",
    }
    foreign = {
        (str(path.relative_to(ROOT)), module)
        for path in [
            *(ROOT / "flatnet").rglob("*.py"),
            *(ROOT / "migrations").rglob("*.py"),
        ]
        for module in imported(path)
        if module not in sys.stdlib_module_names
        and module not in (*modules, "flatnet")
    }
    assert foreign == set()
    declared = setup_cfg["options"]["install_requires"]
    assert [name for name in modules.values() if name not in declared] == []


def imported(path):
    """Top-level names of what a file imports."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.split(".")[0]
