"""Standard error whose reader stops, in real processes with real pipes."""

import fcntl
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

SOURCES = Path(__file__).parents[2]
SECONDS = 30
# Said on standard output while nobody reads the other.
DONE = b"done\n"
LINES = 8000
LOST = re.compile(
    r"flatnet: (\d+) lines of the log are lost: nobody read standard error"
)
START = "import sys; from flatnet import stderr; e = stderr.take_over();"
GREEN = "e.start(); import eventlet; eventlet.monkey_patch();"
NATIVE = "e.start();"
FORKED = (
    "e.start(); import os; child = os.fork();"
    "child and os._exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]));"
    "e.start();"
)
# The moment in which the parent's thread counts what is lost.
FORKED_AT_ODDS = FORKED.replace("child =", "e._counting.acquire(); child =")
LOG = f"""
import logging
logging.basicConfig(stream=sys.stderr, format="%(message)s")
for number in range({LINES}):
    logging.error("line %d %s", number, "x" * 80)
"""
SAY = f"""
import os
os.write(1, {DONE!r})
"""


def started(code):
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", START + code],
        cwd=SOURCES,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


@pytest.mark.parametrize("kind", [NATIVE, GREEN, FORKED, FORKED_AT_ODDS])
def test_nobody_waits_for_a_reader_and_the_lost_are_counted(kind):
    reading, writing = os.pipe()
    process = subprocess.Popen(
        [
            *(sys.executable, "-W", "ignore", "-c"),
            START + kind + LOG + SAY + f"\nos.read({reading}, 1)\ne.drain(20)",
        ],
        cwd=SOURCES,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        pass_fds=(reading,),
    )
    with process:
        assert process.stdout.readline() == DONE
        os.write(writing, b"!")
        _, text = process.communicate(timeout=SECONDS)
    os.close(reading)
    os.close(writing)
    assert process.returncode == 0
    lines = text.decode().splitlines()
    numbers = [int(each.split()[1]) for each in lines if each[:5] == "line "]
    assert numbers[0] == 0
    assert numbers == sorted(set(numbers))
    told = [LOST.fullmatch(each) for each in lines if each[:5] != "line "]
    assert sum(int(each[1]) for each in told) == LINES - len(numbers) > 0


@pytest.mark.parametrize("kind", [NATIVE, GREEN])
def test_the_end_does_not_wait_for_a_reader(kind):
    with started(kind + LOG + SAY) as process:
        assert process.stdout.readline() == DONE
        assert process.wait(timeout=SECONDS) == 0


@pytest.mark.parametrize("kind", ["", NATIVE, GREEN])
def test_a_crash_shows_its_traceback(kind):
    with started(kind + "\nraise KeyError('mine')") as process:
        _, text = process.communicate(timeout=SECONDS)
    assert process.returncode == 1
    lines = text.decode().splitlines()
    assert lines[0].startswith("Traceback")
    assert lines[-1] == "KeyError: 'mine'"


def test_green_threads_go_on_while_nobody_reads():
    code = """
ticks = []
def tick():
    while True:
        ticks.append(1)
        eventlet.sleep(0.01)
eventlet.spawn(tick)
"""
    code += LOG + "\neventlet.sleep(1)\nassert len(ticks) > 10\n" + SAY
    with started(GREEN + code) as process:
        assert process.stdout.readline() == DONE
        process.stderr.read()


def test_a_descriptor_that_somebody_made_non_blocking(tmp_path):
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    os.set_blocking(writing, False)
    process = subprocess.Popen(
        [sys.executable, "-c", START + NATIVE + LOG.replace("8000", "1000")],
        cwd=SOURCES,
        stderr=writing,
    )
    os.close(writing)
    with process, os.fdopen(reading, "rb") as stream:
        time.sleep(0.1)
        lines = stream.read().splitlines()
    assert len(lines) == 1000


def test_nobody_at_the_other_end_is_no_error():
    with started(NATIVE + "\nsys.stdin.readline()" + LOG + SAY) as process:
        process.stderr.close()
        assert process.stdout.readline() == DONE
        assert process.wait(timeout=SECONDS) == 0
