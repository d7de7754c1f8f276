"""The operator's tool with a database, before and after `db upgrade`."""

import shutil

import pytest

from flatnet.db import schema
from flatnet.db.engine import Database
from tests.unit.tool import Tool


@pytest.fixture(scope="session")
def tables(tmp_path_factory):
    """A database at the newest revision, to be copied."""
    path = tmp_path_factory.mktemp("tables") / "flatnet.sqlite"
    database = Database(f"sqlite:///{path}")
    schema.upgrade(database)
    database.close()
    return path


@pytest.fixture
def empty(tmp_path):
    """The tool where nobody ran `db upgrade` yet."""
    return Tool(tmp_path)


@pytest.fixture
def tool(empty, tables):
    """The tool with tables, without rows."""
    shutil.copy(tables, empty.path)
    return empty


@pytest.fixture
def database(tool):
    """The database of `tool`."""
    database = Database(tool.url)
    yield database
    database.close()
