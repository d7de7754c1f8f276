"""The sample configuration is the one that the options make."""

import subprocess
import sys
from pathlib import Path

import pytest
from oslo_config import cfg

from flatnet.cmd import serving

ROOT = Path(__file__).parent.parent.parent
SAMPLE = ROOT / "etc/flatnet.conf.sample"


def generated():
    """The sample of a process of its own.

    In ours others may have set defaults that only a running flatnet has.
    """
    return subprocess.run(
        [
            *(sys.executable, "-W", "ignore", "-m", "oslo_config.generator"),
            *("--config-file", ROOT / "etc/generate-sample.conf"),
            "--output-file=",
        ],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout


def test_the_sample_is_up_to_date():
    assert SAMPLE.read_text() == generated()


@pytest.mark.parametrize(
    ("name", "group"),
    [
        ("control_exchange", None),
        ("rpc_conn_pool_size", "oslo_messaging_rabbit"),
    ],
)
def test_the_sample_says_what_holds_in_a_running_flatnet(name, group):
    conf = cfg.ConfigOpts()
    conf([], default_config_files=[], default_config_dirs=[])
    serving.transport(conf).cleanup()
    holds = conf[group][name] if group else conf[name]
    assert f"#{name} = {holds}" in SAMPLE.read_text().splitlines()
