"""The sample configuration is the one that the options make."""

import io
from pathlib import Path

from oslo_config import cfg, generator

ROOT = Path(__file__).parent.parent.parent


def generated():
    conf = cfg.ConfigOpts()
    generator.register_cli_opts(conf)
    conf(
        ["--config-file", str(ROOT / "etc/generate-sample.conf")],
        default_config_files=[],
    )
    text = io.StringIO()
    generator.generate(conf, text)
    return text.getvalue()


def test_the_sample_is_up_to_date():
    assert (ROOT / "etc/flatnet.conf.sample").read_text() == generated()
