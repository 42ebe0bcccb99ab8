"""Container output in the journal of a real systemd-journald."""

import contextlib
import json
import os
import subprocess

import pytest
from cluster import Cluster, wait_until
from peers import Peer

JOURNALD = "/lib/systemd/systemd-journald"

# In a mount namespace of its own: what systemd has in /run is this test's there, and nothing of the host's is read.
ALONE = """
set -e
mkdir -p "$0/journal"
mount --make-rprivate /
mount -t tmpfs tmpfs /run
mkdir -p /run/systemd/journal /run/log/journal
mount --bind "$0/run" /run/systemd/journal
mount --bind "$0/journal" /run/log/journal
mount -t tmpfs tmpfs /var/log
mount --bind /dev/null /dev/kmsg
exec {journald}
"""


class Journald(Peer):
    def __init__(self):
        super().__init__("journald")
        self.dir.chmod(0o755)
        (self.dir / "run").mkdir()
        self.socket = self.dir / "run" / "socket"
        self.start("unshare", "--mount", "sh", "-c", ALONE.format(journald=JOURNALD), self.dir)
        wait_until(self.socket.exists, lambda: f"journald listens: {self.log()}")

    def entries(self, container):
        found = subprocess.run(["journalctl", f"--directory={self.dir}/journal", "--no-pager", "-o", "json", "--all",
                                f"CONTAINER_NAME={container}"], capture_output=True, text=True)
        return [json.loads(line) for line in found.stdout.splitlines()]


@pytest.fixture(scope="module")
def journald():
    with contextlib.closing(Journald()) as daemon:
        yield daemon


@pytest.fixture(scope="module")
def near(journald):
    """Slipway whose log service finds this journald."""
    with contextlib.closing(Cluster()) as cluster:
        cluster.up()
        cluster.busybox()
        pid = cluster.pid("log")
        command = open(f"/proc/{pid}/cmdline").read().split("\0")[:-1]
        status = dict(line.split(":\t", 1) for line in open(f"/proc/{pid}/status") if ":\t" in line)
        uid, gid = (int(status[key].split()[0]) for key in ("Uid", "Gid"))
        cluster.kill("log")
        with open(cluster.dir / "logs" / "log.log", "a") as log:
            again = subprocess.Popen([*command, f"--journald_socket={journald.socket}"], user=uid, group=gid,
                                     extra_groups=[], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                     start_new_session=True)
        (cluster.run_dir / "log.pid").write_text(f"{again.pid}\n")
        yield cluster
        again.kill()
        again.wait()


def test_journald_has_every_line_with_its_fields(near, journald):
    script = "i=0; while [ $i -lt 500 ]; do i=$((i+1)); echo line $i; done; printf 'a\\tb \\303\\244\\n'; echo bad >&2"
    near.docker("run", "--name", "web", "--network", "none", "--log-driver", "journald", "--log-opt", "tag=shop/{{.Name}}",
                "--log-opt", "labels=tier", "--label", "tier=front", "busybox", "sh", "-c", script)
    identity = near.docker("inspect", "-f", "{{.Id}}", "web").stdout.strip()
    wait_until(lambda: len(journald.entries("web")) >= 502, lambda: f"{len(journald.entries('web'))} of 502", 30)
    entries = journald.entries("web")
    out = [entry["MESSAGE"] for entry in entries if entry["PRIORITY"] == "6"]
    assert out == [f"line {i}" for i in range(1, 501)] + ["a\tb ä"]
    assert [entry["MESSAGE"] for entry in entries if entry["PRIORITY"] == "3"] == ["bad"]
    for entry in entries:
        assert entry["CONTAINER_ID_FULL"] == identity and entry["CONTAINER_ID"] == identity[:12]
        assert entry["CONTAINER_TAG"] == entry["SYSLOG_IDENTIFIER"] == "shop/web"
        assert entry["IMAGE_NAME"] == "busybox" and entry["TIER"] == "front"
    # The store has it too, whatever journald does.
    assert near.docker("logs", "web").stdout.splitlines()[:2] == ["line 1", "line 2"]


def test_what_is_written_while_journald_is_down_arrives_when_it_is_back(near, journald):
    near.docker("run", "-d", "--name", "steady", "--network", "none", "--log-driver", "journald", "busybox", "sh", "-c",
                "echo before; while [ ! -e /go ]; do usleep 20000; done; echo while; echo after")
    wait_until(lambda: [entry["MESSAGE"] for entry in journald.entries("steady")] == ["before"], "the first line", 20)
    journald.process.terminate()
    journald.process.wait(10)
    os.unlink(journald.socket)
    near.docker("exec", "steady", "touch", "/go")
    near.docker("wait", "steady")
    journald.start("unshare", "--mount", "sh", "-c", ALONE.format(journald=JOURNALD), journald.dir)
    wait_until(lambda: [entry["MESSAGE"] for entry in journald.entries("steady")] == ["before", "while", "after"],
               lambda: str([entry["MESSAGE"] for entry in journald.entries("steady")]), 60)
