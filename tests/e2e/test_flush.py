"""`nft flush ruleset`, the real command, during traffic. The whole platform is in a network namespace that plays the
host, so that it takes nobody else's rules."""

import contextlib
import shutil
import subprocess
import sys
import threading
import time

import pytest
from cluster import Cluster, free_port_range, wait_until

HEALED_SECONDS = 2.0

# One connection that goes on: a byte there and back every 20 ms until it is told to stop; how long the longest took.
STEADY = """
import socket, sys, threading, time
stop = threading.Event()
threading.Thread(target=lambda: (sys.stdin.readline(), stop.set()), daemon=True).start()
peer = socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=20)
longest = 0
print("connected", flush=True)
while not stop.is_set():
    begin = time.perf_counter()
    peer.sendall(b"x")
    assert peer.recv(1) == b"x"
    longest = max(longest, time.perf_counter() - begin)
    time.sleep(0.02)
print(longest)
"""


class NamespacedCluster(Cluster):
    """An instance whose host is a network namespace, with the binaries of another: Bazel's server is out of its reach."""

    def __init__(self, binaries):
        super().__init__()
        shutil.copytree(binaries, self.dir / "bin")
        self.host = f"{self.prefix}host"
        subprocess.run(["ip", "netns", "add", self.host], check=True)
        self.inside("ip", "link", "set", "lo", "up")

    def inside(self, *command, check=True, **options):
        return subprocess.run(["nsenter", f"--net=/run/netns/{self.host}", *map(str, command)], check=check,
                              capture_output=True, text=True, **options)

    def command(self, script):
        return ["nsenter", f"--net=/run/netns/{self.host}", *super().command(script)]

    def remove_kernel_objects(self):
        super().remove_kernel_objects()
        subprocess.run(["ip", "netns", "delete", self.host], capture_output=True)

    def answers(self, url, seconds="0.3"):
        return self.inside("curl", "-g", "-s", "-m", seconds, url, check=False).stdout == "pong\n"

    def tables(self):
        return sorted(line for line in self.inside("nft", "list", "tables").stdout.splitlines())


@pytest.fixture
def namespaced(shared_cluster):
    cluster = NamespacedCluster(shared_cluster.dir / "bin")
    try:
        cluster.up()
        cluster.busybox()
        yield cluster
    finally:
        cluster.close()


@contextlib.contextmanager
def echo_server(pid):
    """For one connection, on port 81 of the container with this process."""
    serve = ("import socket; server = socket.create_server(('', 81)); print('ready', flush=True); peer, _ = server.accept()\n"
             "while data := peer.recv(100): peer.sendall(data)")
    process = subprocess.Popen(["nsenter", "-t", pid, "-n", sys.executable, "-c", serve], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "ready\n"
        yield
    finally:
        process.kill()
        process.wait()


@contextlib.contextmanager
def steady(cluster, address, port):
    process = subprocess.Popen(["nsenter", f"--net=/run/netns/{cluster.host}", sys.executable, "-c", STEADY, address, str(port)],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "connected\n"
        yield process
    finally:
        process.kill()
        process.wait()


class Visitors:
    """New connections all the time, and when they were answered."""

    def __init__(self, cluster, url):
        self.cluster, self.url = cluster, url
        self.answered = [time.monotonic()]
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self.visit, daemon=True)
        self.thread.start()

    def visit(self):
        while not self.stop.is_set():
            if self.cluster.answers(self.url):
                self.answered.append(time.monotonic())

    def longest_gap(self):
        self.stop.set()
        self.thread.join()
        return max(after - before for before, after in zip(self.answered, self.answered[1:]))


def test_a_flush_of_all_rules_during_traffic_heals(namespaced):
    cluster = namespaced
    port = free_port_range(2)
    cluster.docker("network", "create", "--ipv6", "--subnet", "10.95.8.0/24", "--subnet", "fd97:8::/64", "front")
    cluster.docker("network", "create", "--subnet", "10.95.9.0/24", "back")
    cluster.docker("run", "-d", "--name", "web", "--network", "front", "-p", f"{port}:80", "-p", f"{port + 1}:81", "busybox", "sh", "-c",
                   "mkdir /www; echo pong >/www/index.html; exec httpd -f -p 80 -h /www")
    pid = cluster.docker("inspect", "-f", "{{.State.Pid}}", "web").stdout.strip()
    cluster.docker("run", "-d", "--name", "stranger", "--network", "back", "busybox", "sleep", "1000")
    url = f"http://127.0.0.1:{port}/"
    wait_until(lambda: cluster.answers(url), "the published port answers")
    before = cluster.tables()
    assert len(before) >= 2, before
    visitors = Visitors(cluster, url)
    with echo_server(pid), steady(cluster, "127.0.0.1", port + 1) as connection:
        for _ in range(5):
            cluster.inside("nft", "flush", "ruleset")
            wait_until(lambda: cluster.tables() == before, cluster.tables, HEALED_SECONDS)
            time.sleep(0.2)
        connection.stdin.write("stop\n")
        connection.stdin.flush()
        longest = float(connection.stdout.readline())
    gap = visitors.longest_gap()
    print(f"longest time without an answer: {gap:.2f} s to new connections, {longest:.2f} s to an old one")
    assert len(visitors.answered) > 5
    assert gap < HEALED_SECONDS and longest < HEALED_SECONDS
    # Everything is as it was, not only what was asked for.
    assert cluster.answers(f"http://[fd97:8::1]:{port}/", "2")
    address = cluster.docker("inspect", "-f", "{{.NetworkSettings.Networks.front.IPAddress}}", "web").stdout.strip()
    stranger = cluster.docker("inspect", "-f", "{{.State.Pid}}", "stranger").stdout.strip()

    def asked(server, seconds):
        return subprocess.run(["nsenter", "-t", stranger, "-n", "curl", "-s", "-m", seconds, f"http://{server}/"],
                              capture_output=True, text=True).stdout
    assert asked(address, "0.5") == "", "networks are apart"
    assert asked(f"10.95.9.1:{port}", "2") == "pong\n"


def test_rules_that_went_while_the_agent_was_away(namespaced):
    cluster = namespaced
    port = free_port_range(1)
    cluster.docker("run", "-d", "--name", "web", "-p", f"{port}:80", "busybox", "sh", "-c",
                   "mkdir /www; echo pong >/www/index.html; httpd -f -p 80 -h /www")
    url = f"http://127.0.0.1:{port}/"
    wait_until(lambda: cluster.answers(url), "the published port answers")
    before = cluster.tables()
    cluster.kill("agent")
    cluster.inside("nft", "flush", "ruleset")
    assert not cluster.answers(url)
    cluster.up()
    assert cluster.tables() == before and cluster.answers(url, "2")
