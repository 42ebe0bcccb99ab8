"""Lines of many containers through rotation and the kills of everything that touches them: each once, in order."""

import contextlib
import os
import random
import signal
import subprocess
import sys
import threading
import time

import write_recorder
from cluster import wait_until
from test_kill import supervisors

SEGMENT_BYTES = 64 << 10  # the least


@contextlib.contextmanager
def log_on(cluster, image):
    """The log service's files are in the file system in `image`, which is a disk."""
    cluster.deploy("down")
    root = cluster.dir / "root" / "log"
    subprocess.run(["mkfs.ext4", "-q", "-E", "lazy_itable_init=0,lazy_journal_init=0", image], check=True)
    kept = cluster.dir / "kept"
    root.rename(kept)
    root.mkdir()
    subprocess.run(["mount", "-o", "loop", image, root], check=True)
    try:
        stat = kept.stat()
        os.chown(root, stat.st_uid, stat.st_gid)
        cluster.up()
        yield root
    finally:
        cluster.deploy("down", "--all")
        subprocess.run(["umount", root], check=True)
        root.rmdir()
        kept.rename(root)
        cluster.up()


@contextlib.contextmanager
def slow_disk(directory, size_bytes, delay_s):
    """A disk each of whose writes takes `delay_s` longer."""
    disk = subprocess.Popen([sys.executable, write_recorder.__file__, directory, "/dev/null", str(size_bytes),
                             str(delay_s)])
    try:
        wait_until((directory / "disk").exists, "the disk is there")
        yield directory / "disk"
    finally:
        subprocess.run(["umount", directory])
        disk.wait(10)


def test_every_line_once_and_in_order(own_cluster, tmp_path):
    (own_cluster.dir / "root" / "log.flags").write_text(f"--max_segment_bytes={SEGMENT_BYTES}\n")
    with slow_disk(tmp_path, 384 << 20, 0.005) as disk, log_on(own_cluster, disk) as root:
        check_every_line(own_cluster, root)


def check_every_line(cluster, root):
    """Short form; SLIPWAY_LONG=faults: more than a million lines of 50 containers, a thousand rotations, 40 kills."""
    long = "faults" in os.environ.get("SLIPWAY_LONG", "")
    containers, lines, enough = (50, 30000, 40) if long else (8, 60000, 3)
    seed = random.randrange(1 << 30)
    print("seed", seed)
    chooser = random.Random(seed)
    # Small segments: the log is rotated all the time. At least so many lines, and until enough was killed.
    script = ("until [ -e /gate/go ]; do sleep 0.1; done; i=0; "
              f"while [ $i -lt {lines} ] || [ ! -e /gate/open -a $i -lt {lines * 50} ]; do i=$((i+1)); "
              "echo line $i of a container that counts; done; echo $i in all")
    gate = cluster.dir / "gate"
    gate.mkdir()
    for i in range(containers):
        cluster.docker("run", "-d", "--name", f"counter{i}", "--network", "none", "-v", f"{gate}:/gate:ro", "busybox",
                       "sh", "-c", script)
    stop = threading.Event()
    kills = {"log": 0, "agent": 0, "supervisor": 0}

    def kill():
        while not stop.wait(0.2):
            victim = chooser.choice(list(kills))
            if victim == "supervisor":
                pids = supervisors(cluster)
                if len(pids) == 2:
                    os.kill(chooser.choice(pids), signal.SIGKILL)
                    kills[victim] += 1
                    time.sleep(0.3)
                continue
            cluster.kill(victim)
            kills[victim] += 1
            cluster.up()

    (gate / "go").touch()
    killer = threading.Thread(target=kill)
    killer.start()
    try:
        def ended():
            run = cluster.docker("ps", "-q", check=False)
            return run.returncode == 0 and not run.stdout.split()

        wait_until(lambda: sum(kills.values()) >= enough, f"{enough} kills", 300)
        (gate / "open").touch()
        wait_until(ended, "all have ended", 600 if long else 180)
    finally:
        stop.set()
        killer.join()
    cluster.up()
    print(kills)
    for i in range(containers):
        got = wait_until(lambda: (out := cluster.docker("logs", f"counter{i}", timeout=60).stdout) and
                         out.endswith(" in all\n") and out, f"the whole log of counter{i}", 60)
        *numbered, last = got.splitlines()
        assert len(numbered) >= lines and last == f"{len(numbered)} in all", f"counter{i}"
        wrong = [n for n, line in enumerate(numbered, 1) if line != f"line {n} of a container that counts"]
        assert not wrong, f"counter{i}: {wrong[:5]}"
    # A segment is begun where another ended; both its forms are there while it is sealed (docs/log-format.md).
    segments = {path.with_name(path.name.split(".")[0]) for path in (root / "containers").glob("*/*.seg*")}
    rotations = len(segments) - containers
    print(rotations, "rotations")
    assert rotations >= (1000 if long else 30)


def test_a_log_service_that_is_away_holds_nothing_up(own_cluster):
    cluster = own_cluster
    cluster.kill("log")
    begin = time.monotonic()
    cluster.docker("run", "--name", "busy", "--network", "none", "busybox", "sh", "-c",
                   "yes 0123456789012345678901234567890123456789 | head -n 2000000")
    assert time.monotonic() - begin < 30
    cluster.up()

    def whole():
        return cluster.docker("logs", "--tail", "1", "busy", check=False).stdout and \
            cluster.slipway("logs", "busy", "--count", check=False).stdout == "2000000\n"

    wait_until(whole, "all of it is there", 60)


def test_a_disk_that_fills(own_cluster, tmp_path):
    """The log service's disk is full: it says so, containers go on, and it catches up when there is room."""
    cluster = own_cluster
    image = tmp_path / "disk"
    with image.open("wb") as disk:
        disk.truncate(24 << 20)
    with log_on(cluster, image) as root:
        ballast = root / "ballast"
        ballast.write_bytes(bytes(18 << 20))
        cluster.docker("run", "--name", "busy", "--network", "none", "busybox", "sh", "-c",
                       "yes 0123456789012345678901234567890123456789 | head -n 300000", timeout=60)
        wait_until(lambda: "ENOSPC" in (cluster.dir / "logs" / "agent.log").read_text() +
                   (cluster.dir / "logs" / "log.log").read_text(), "somebody says so", 20)
        ballast.unlink()
        wait_until(lambda: cluster.slipway("logs", "busy", "--count", check=False).stdout == "300000\n",
                   "it has caught up", 60)
