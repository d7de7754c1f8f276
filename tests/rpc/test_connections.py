"""How many connections to the broker a daemon keeps."""

import logging

import pytest
from oslo_config import cfg
from oslo_messaging._drivers import pool

from flatnet.cmd import serving
from flatnet.cmd.manager import QUIET


@pytest.mark.parametrize(
    ("lines", "connections"), [("", 8), ("rpc_conn_pool_size = 5", 5)]
)
def test_few_are_kept_unless_the_operator_says_how_many(
    tmp_path, lines, connections
):
    path = tmp_path / "flatnet.conf"
    path.write_text(
        "[DEFAULT]\ntransport_url = rabbit://guest:guest@192.0.2.1:5672/\n"
        f"[oslo_messaging_rabbit]\n{lines}\n"
    )
    options = cfg.ConfigOpts()
    options(["--config-file", str(path)], default_config_files=[])
    transport = serving.transport(options)
    found = options.oslo_messaging_rabbit.rpc_conn_pool_size
    transport.cleanup()
    assert found == connections


def test_nobody_is_warned_of_those_who_wait_for_one():
    logger = pool.LOG.logger
    levels = dict(each.split("=") for each in QUIET)
    assert getattr(logging, levels[logger.name]) > logging.WARNING
