"""What networks cost: published ports, names, throughput and latency between containers and through a published port."""

import contextlib
import json
import statistics
import subprocess
import sys

from cluster import free_port_range
from rows import UnixClient, life, run_cli, turns

# In a container's network namespace: the median time to an answer of its name server, in microseconds.
ASK = """
import socket, statistics, sys, time
query = b"\\0\\7\\1\\0\\0\\1\\0\\0\\0\\0\\0\\0" + bytes([len(sys.argv[1])]) + sys.argv[1].encode() + b"\\0\\0\\1\\0\\1"
client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
client.connect(("127.0.0.11", 53))
client.settimeout(5)
times = []
for _ in range(2000):
    begin = time.perf_counter()
    client.send(query)
    assert client.recv(512)[3] & 15 == 0
    times.append(time.perf_counter() - begin)
print(statistics.median(times) * 1e6)
"""


# One connection whose bytes come back, and the median time that one takes there and back, in microseconds.
ECHO = """
import socket
server = socket.create_server(("", 81))
print("ready", flush=True)
peer, _ = server.accept()
peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
while data := peer.recv(100):
    peer.sendall(data)
"""

ROUND_TRIPS = """
import socket, statistics, sys, time
peer = socket.create_connection((sys.argv[1], 81))
peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
times = []
for _ in range(3000):
    begin = time.perf_counter()
    peer.sendall(b"x")
    peer.recv(1)
    times.append(time.perf_counter() - begin)
print(statistics.median(times) * 1e6)
"""


def inside(pid, *command):
    return subprocess.run(["nsenter", "-t", pid, "-n", *command], check=True, capture_output=True, text=True).stdout


def fact(peer, name, template):
    return run_cli(peer, "inspect", "-f", template, name).stdout.decode().strip()


def row_publish(bench):
    """A whole life with 32 published ports, and what is more than without."""
    def published(peer):
        client = clients[peer.name]
        bindings = {f"{port}/tcp": [{"HostPort": str(first + port - 1)}] for port in range(1, 33)}
        return life(client, "bridge", bindings)
    first = free_port_range(32)
    clients = {peer.name: UnixClient(peer.socket) for peer in bench.both}
    count = 5 if bench.short else 20
    plain = turns(bench, count, lambda peer: life(clients[peer.name], "bridge"))
    ports = turns(bench, count, published)
    bench.add("32 published ports more", "ms", {name: max(1e-3, (ports[name] - plain[name]) * 1e3) for name in ports})


@contextlib.contextmanager
def pair(bench):
    """Two containers on a network of their own, on each engine."""
    try:
        for peer in bench.both:
            peer.front = free_port_range(1)
            run_cli(peer, "network", "create", "bench")
            run_cli(peer, "run", "-d", "--name", "server", "--network", "bench", "-p", f"{peer.front}:5201", "busybox", "sleep", "100000")
            run_cli(peer, "run", "-d", "--name", "client", "--network", "bench", "busybox", "sleep", "100000")
            server = fact(peer, "server", "{{.State.Pid}}")
            peer.iperf = subprocess.Popen(["nsenter", "-t", server, "-n", "iperf3", "-s"], stdout=subprocess.DEVNULL)
        yield
    finally:
        for peer in bench.both:
            if getattr(peer, "iperf", None) is not None:
                peer.iperf.terminate()
                peer.iperf.wait()
            run_cli(peer, "rm", "-f", "server", "client")
            run_cli(peer, "network", "rm", "bench")


def throughput(text):
    return json.loads(text)["end"]["sum_received"]["bits_per_second"] / 1e9


def measure_pair(peer, server, client):
    """{what: how much} of one turn."""
    address = fact(peer, "server", "{{.NetworkSettings.Networks.bench.IPAddress}}")
    gateway = fact(peer, "server", "{{.NetworkSettings.Networks.bench.Gateway}}")
    with subprocess.Popen(["nsenter", "-t", server, "-n", sys.executable, "-c", ECHO], stdout=subprocess.PIPE) as echo:
        echo.stdout.readline()
        latency = float(inside(client, sys.executable, "-c", ROUND_TRIPS, address))
    through_port = subprocess.run(["iperf3", "-c", gateway, "-p", str(peer.front), "-t", "1", "-J"], check=True,
                                  capture_output=True, text=True).stdout
    return {"name of a container": float(inside(client, sys.executable, "-c", ASK, "server")),
            "round trip between containers": latency,
            "TCP between containers": throughput(inside(client, "iperf3", "-c", address, "-t", "1", "-J")),
            "TCP through a published port": throughput(through_port)}


def row_network(bench):
    seen = {}
    with pair(bench):
        pids = {peer.name: (fact(peer, "server", "{{.State.Pid}}"), fact(peer, "client", "{{.State.Pid}}")) for peer in bench.both}
        for _ in range(3 if bench.short else 9):
            for peer in bench.both:
                for row, value in measure_pair(peer, *pids[peer.name]).items():
                    seen.setdefault(row, {}).setdefault(peer.name, []).append(value)
    for row, values in seen.items():
        fast = row.startswith("TCP")
        bench.add(row, "Gbit/s" if fast else "µs", {name: statistics.median(each) for name, each in values.items()},
                  better="higher" if fast else "lower")


NETWORK_ROWS = {"publish": row_publish, "network": row_network}
