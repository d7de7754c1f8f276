"""Who writes files is told of, as far as the kernel tells."""

import select
import shutil
import subprocess
from pathlib import Path

from flatnet.apply.file_events import FileEvents
from tests.waiting import eventually


def readable(events):
    return bool(select.select(events.descriptors, [], [], 0)[0])


def test_what_is_done_to_files_of_a_directory_is_heard(tmp_path):
    files, other = tmp_path / "files", tmp_path / "other"
    files.mkdir()
    other.mkdir()
    (files / "one").write_text("1")
    events = FileEvents()
    events.watch(str(files))
    for does in (
        lambda: (files / "one").write_text("2"),
        lambda: (files / "one").chmod(0o600),
        lambda: (files / "one").rename(files / "two"),
        lambda: (files / "two").rename(other / "two"),
        lambda: (other / "two").rename(files / "two"),
        lambda: (files / "two").unlink(),
    ):
        assert not readable(events)
        assert events.written() == frozenset()
        does()
        assert readable(events)
        assert events.written() == {str(files)}


def test_who_appends_to_a_file_that_he_has_open_wakes_nobody(tmp_path):
    events = FileEvents()
    with (tmp_path / "leases").open("w") as leases:
        events.watch(str(tmp_path))
        leases.write("one\n")
        leases.flush()
        assert not readable(events)
    assert events.written() == {str(tmp_path)}


def test_what_is_forgotten_or_gone_is_not_told(tmp_path):
    (tmp_path / "one").mkdir()
    events = FileEvents()
    events.watch(str(tmp_path / "one"))
    events.watch(str(tmp_path / "nothing"))
    events.forget(str(tmp_path / "nothing"))
    events.forget(str(tmp_path / "one"))
    (tmp_path / "one" / "file").write_text("")
    assert events.written() == frozenset()


def test_a_directory_that_is_replaced_is_watched_anew(tmp_path):
    place = tmp_path / "one"
    place.mkdir()
    events = FileEvents()
    events.watch(str(place))
    place.rename(tmp_path / "away")
    assert events.written() == {str(place)}
    place.mkdir()
    events.watch(str(place))
    (tmp_path / "away" / "file").write_text("")
    assert events.written() == frozenset()
    (place / "file").write_text("")
    assert events.written() == {str(place)}


def test_where_events_were_lost_all_may_have_been_written(tmp_path):
    most = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    names = [tmp_path / "one", tmp_path / "two"]
    for each in names:
        each.write_text("")
    quiet = tmp_path / "quiet"
    quiet.mkdir()
    events = FileEvents()
    for each in (tmp_path, quiet):
        events.watch(str(each))
    # Of the same done twice in a row the kernel tells once.
    for _ in range(most // 2 + 1):
        for each in names:
            each.chmod(0o600)
    assert events.written() == {str(tmp_path), str(quiet)}
    assert events.written() == frozenset()
    names[0].chmod(0o644)
    assert events.written() == {str(tmp_path)}


def test_a_setting_of_the_kernel_is_a_file(namespace):
    def flipped():
        name = Path("/proc/sys/net/ipv6/conf/lo/disable_ipv6")
        events = FileEvents()
        events.watch(str(name))
        name.read_text()
        assert events.written() == frozenset()
        name.write_text("1")
        return events.written() == {str(name)}

    assert namespace.call(flipped)


def test_the_end_of_a_program_is_heard_and_not_its_start(tmp_path):
    program = tmp_path / "cat"
    shutil.copy(shutil.which("cat"), program)
    events = FileEvents()
    events.watch_runs(str(program))
    with subprocess.Popen([program], stdin=subprocess.PIPE) as running:
        assert Path(f"/proc/{running.pid}/exe").readlink() == program
        assert not readable(events)
        running.stdin.close()
        running.wait(60)
        eventually(lambda: readable(events))
    assert events.written() == {str(program)}
    events.forget(str(program))
    subprocess.run([program], stdin=subprocess.DEVNULL, check=True)
    assert events.written() == frozenset()
