"""What the log says of reports that are not written."""

import contextlib
import io
import logging

import pytest
from oslo_config import cfg
from oslo_log import log
from oslo_log.formatters import ContextFormatter

from flatnet.cmd.heartbeat import Heartbeat
from tests.builders import settings

# Where nobody listens.
NOBODY = "mysql+pymysql://u:p@127.0.0.1:1/flatnet"


@pytest.fixture
def written():
    """What the daemon's log looks like, formatted as it is there."""
    conf = cfg.ConfigOpts()
    log.register_options(conf)
    conf([])
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(ContextFormatter(config=conf))
    logger = logging.getLogger("flatnet")
    logger.addHandler(handler)
    yield stream
    logger.removeHandler(handler)


def test_a_silence_is_told_once_and_says_it_once(written):
    with contextlib.closing(Heartbeat(settings(connection=NOBODY))) as beating:
        assert beating.beat()
        assert beating.beat()
    (line,) = written.getvalue().splitlines()
    assert "not reported, and trying on: database mysql" in line
    assert line.count("Can't connect") == 1
    assert "DatabaseUnavailable" not in line
