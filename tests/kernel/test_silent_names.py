"""A name server that is silent holds up who asked it, in time, and no more.

In a namespace whose only name server is an address that nobody has, with a
resolv.conf of its own.
"""

import json
import shlex
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
# Far less than the resolver's own ten seconds for one server.
BOUND = 7


@pytest.mark.parametrize("executor", ["eventlet", "threading"])
@pytest.mark.parametrize("kind", ["postgresql", "mysql"])
def test_a_database_whose_name_nobody_tells(
    namespace, tmp_path, kind, executor
):
    namespace.run("ip link add eth0 type veth peer name far0")
    namespace.run("ip link set eth0 up")
    namespace.run("ip link set far0 up")
    namespace.run("ip addr add 192.0.2.1/24 dev eth0")
    # Or the kernel would say that nobody is there.
    namespace.run("ip neigh add 192.0.2.53 lladdr 02:00:00:00:00:53 dev eth0")
    resolv = tmp_path / "resolv.conf"
    resolv.write_text("nameserver 192.0.2.53\n")
    target = Path("/etc/resolv.conf").resolve()
    program = shlex.join(
        [
            *(sys.executable, "-W", "ignore", str(HERE / "silent_name.py")),
            *(executor, f"{kind}://u:p@db.example.test/flatnet"),
        ]
    )
    mount = f"mount --bind {shlex.quote(str(resolv))} {target}"
    script = f"{mount}; cd {shlex.quote(str(HERE.parents[1]))}; exec {program}"
    output = namespace.run("unshare", "--mount", "sh", "-ec", script)
    found = json.loads(output)
    assert found["said"].startswith("DatabaseUnavailable: ")
    assert "db.example.test" in found["said"]
    assert found["seconds"] < BOUND
    assert found["longest_gap"] < BOUND / 4
