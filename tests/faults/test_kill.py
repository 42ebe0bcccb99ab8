"""Services die at any moment; containers, their output and their exit codes do not."""

import json
import os
import pathlib
import random
import signal

import pytest
from cluster import SERVICES, is_gone, wait_until

COUNT = "i=0; while [ $i -lt {} ]; do i=$((i+1)); echo line $i; usleep 2000; done; exit 17"


def expected(lines):
    return "".join(f"line {i}\n" for i in range(1, lines + 1))


def state(cluster, name):
    return json.loads(cluster.docker("inspect", name).stdout)[0]["State"]


def finish(cluster, name, lines):
    assert cluster.docker("wait", name, timeout=120).stdout == "17\n"
    assert cluster.docker("logs", name).stdout == expected(lines)


def test_each_service_and_then_all_at_once(own_cluster):
    cluster = own_cluster
    cluster.docker("run", "-d", "--name", "counter", "busybox", "sh", "-c", COUNT.format(6000))
    pid = state(cluster, "counter")["Pid"]
    for service in SERVICES:
        cluster.kill(service)
        assert pathlib.Path(f"/proc/{pid}").exists()
        cluster.up()
        assert state(cluster, "counter")["Pid"] == pid
    cluster.kill(*SERVICES)
    assert pathlib.Path(f"/proc/{pid}").exists()
    cluster.up()
    finish(cluster, "counter", 6000)


def test_a_container_that_ends_while_nobody_is_there(own_cluster):
    cluster = own_cluster
    cluster.docker("run", "-d", "--name", "orphan", "busybox", "sh", "-c", COUNT.format(300))
    pid = state(cluster, "orphan")["Pid"]
    cluster.kill(*SERVICES)
    wait_until(lambda: is_gone(pid), "the container ends by itself", 60)
    cluster.up()
    finish(cluster, "orphan", 300)
    assert state(cluster, "orphan")["Status"] == "exited"


def test_down_leaves_containers_and_up_finds_them(own_cluster):
    cluster = own_cluster
    cluster.docker("run", "-d", "--name", "counter", "busybox", "sh", "-c", COUNT.format(6000))
    pid = state(cluster, "counter")["Pid"]
    cluster.deploy("down")
    assert pathlib.Path(f"/proc/{pid}").exists()
    cluster.up()
    finish(cluster, "counter", 6000)


def supervisors(cluster):
    """Pids of keeper and supervisor: whoever runs the supervisor's binary for this run directory."""
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                command = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if b"slipway-supervisor" in command[0] and any(str(cluster.run_dir).encode() in part for part in command):
                found.append(int(entry.name))
    return sorted(found)


@pytest.mark.parametrize("which", [0, 1])
def test_supervisor_or_keeper_dies(own_cluster, which):
    cluster = own_cluster
    cluster.docker("run", "-d", "--name", "counter", "busybox", "sh", "-c", COUNT.format(1000))
    pid = state(cluster, "counter")["Pid"]
    pids = supervisors(cluster)
    assert len(pids) == 2
    os.kill(pids[which], signal.SIGKILL)
    wait_until(lambda: len(supervisors(cluster)) == 2 and pids[which] not in supervisors(cluster), "a new one is there")
    assert pathlib.Path(f"/proc/{pid}").exists()
    finish(cluster, "counter", 1000)
    assert cluster.docker("run", "--rm", "busybox", "echo", "still works").stdout == "still works\n"


def test_random_kills_under_load(own_cluster):
    cluster = own_cluster
    rounds = 100 if "faults" in os.environ.get("SLIPWAY_LONG", "") else 6
    seed = random.randrange(1 << 30)
    print("seed", seed)
    chooser = random.Random(seed)
    names = [f"counter{i}" for i in range(3)]
    for name in names:
        cluster.docker("run", "-d", "--name", name, "busybox", "sh", "-c", COUNT.format(3000))
    for _ in range(rounds):
        victims = chooser.sample(SERVICES, chooser.randrange(1, len(SERVICES) + 1))
        cluster.kill(*victims)
        cluster.up()
    for name in names:
        finish(cluster, name, 3000)
    cluster.docker("rm", *names)
    wait_until(cluster.is_clean, "nothing is left")
