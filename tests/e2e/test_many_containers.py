"""More containers on one network than a bridge of Linux has ports for: all of them start, find and reach each other."""

import concurrent.futures
import json
import os
import pathlib
import random
import statistics
import subprocess
import sys
import time

from cluster import free_port_range
from raw_http import UnixClient

LONG = {"bench", "faults"} & set(os.environ.get("SLIPWAY_LONG", "").split())
# More than one bridge takes (ports_per_bridge of the agent), or what was promised.
COUNT = 2000 if LONG else 520
WORKERS = 16

# In a container's network namespace: a TCP connection to each address on a port that nobody listens on. A refusal
# comes from who was asked.
REACH = """
import socket, sys, time
for address in sys.argv[1:]:
    begin = time.perf_counter()
    client = socket.socket()
    client.settimeout(5)
    try:
        client.connect((address, 9))
        print(address, "open")
    except ConnectionRefusedError:
        print(address, time.perf_counter() - begin)
    except OSError as error:
        print(address, error)
    client.close()
"""


def create(client, name, network, options=None):
    body = {"Image": "busybox", "Cmd": ["sleep", "100000"], "HostConfig": {"NetworkMode": network}, **(options or {})}
    client.call("POST", f"/containers/create?name={name}", body)
    client.call("POST", f"/containers/{name}/start")


def reach(pid, targets):
    """{address: seconds until it answered, or what went wrong}"""
    out = subprocess.run(["nsenter", "-t", str(pid), "-n", sys.executable, "-c", REACH, *targets], check=True,
                         capture_output=True, text=True).stdout
    return dict(line.split(" ", 1) for line in out.splitlines())


def assert_reached(found):
    wrong = {address: text for address, text in found.items() if not text.replace(".", "").replace("e-", "").isdigit()}
    assert not wrong
    return statistics.median(map(float, found.values()))


def publish_cost(client, count, network):
    """What 32 published ports add to a create and start, between which work may move, in ms: of the fastest of each, in
    turn, for whatever else the machine does only adds."""
    seconds = {0: [], 32: []}
    for number in range(15):
        for ports in seconds:
            first = free_port_range(32)
            bindings = {f"{port}/tcp": [{"HostPort": str(first + port)}] for port in range(1, ports + 1)}
            begin = time.perf_counter()
            client.call("POST", "/containers/create?name=publisher", {
                "Image": "busybox", "Cmd": ["sleep", "1000"], "ExposedPorts": {port: {} for port in bindings},
                "HostConfig": {"NetworkMode": network, "PortBindings": bindings}})
            client.call("POST", "/containers/publisher/start")
            seconds[ports].append(time.perf_counter() - begin)
            client.call("DELETE", "/containers/publisher?force=1")
    cost = (min(seconds[32]) - min(seconds[0])) * 1e3
    print(f"32 published ports beside {count} containers: {cost:.2f} ms more")
    return cost


def test_many_on_one_network(own_cluster):
    cluster = own_cluster
    cluster.docker("network", "create", "--subnet", "10.96.0.0/16", "many")
    client = UnixClient(cluster.socket)
    alone = publish_cost(client, 0, "many")
    names = [f"c{number}" for number in range(COUNT)]
    begin = time.perf_counter()
    with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        clients = [UnixClient(cluster.socket) for _ in range(WORKERS)]
        list(pool.map(lambda slot: [create(clients[slot], name, "many") for name in names[slot::WORKERS]], range(WORKERS)))
    print(f"{COUNT} containers on one network: {time.perf_counter() - begin:.1f} s")
    # A machine that is slow for some seconds is measured again; what grows with the count stays.
    assert any(publish_cost(client, COUNT, "many") < alone + 5 for _ in range(3))
    members = json.loads(cluster.docker("network", "inspect", "many").stdout)[0]["Containers"]
    assert len(members) == COUNT
    addresses = {one["Name"]: one["IPv4Address"].split("/")[0] for one in members.values()}
    assert len(set(addresses.values())) == COUNT
    first, middle, last = names[0], names[COUNT // 2], names[-1]
    pids = {name: json.loads(client.call("GET", f"/containers/{name}/json"))["State"]["Pid"]
            for name in (first, middle, last, *random.sample(names, 60))}
    # One reaches all, all that were drawn reach three, the gateway and each other.
    print(f"first contact: {assert_reached(reach(pids[first], addresses.values())) * 1e3:.2f} ms median")
    drawn = [addresses[name] for name in pids]
    for name, pid in pids.items():
        assert_reached(reach(pid, ["10.96.0.1", *drawn]))
    for asker, asked in ((first, last), (last, first), (middle, last)):
        found = cluster.docker("exec", asker, "nslookup", "-type=a", asked).stdout
        assert addresses[asked] in found
    # From the host, and by a published port.
    port = free_port_range(1)
    create(client, "web", "many", {
        "Cmd": ["sh", "-c", "mkdir /www; httpd -f -p 80 -h /www"], "ExposedPorts": {"80/tcp": {}},
        "HostConfig": {"NetworkMode": "many", "PortBindings": {"80/tcp": [{"HostPort": str(port)}]}}})
    assert subprocess.run(["curl", "-s", "--retry", "20", "--retry-connrefused", "--retry-delay", "1", "-o", "/dev/null", "-w", "%{http_code}",
                           f"http://127.0.0.1:{port}/"], capture_output=True, text=True).stdout == "404"
    # The agent comes back to all of them.
    cluster.kill("agent")
    begin = time.perf_counter()
    cluster.up()
    print(f"the agent is back after {time.perf_counter() - begin:.1f} s")
    assert_reached(reach(pids[last], drawn))
    begin = time.perf_counter()
    with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        list(pool.map(lambda slot: [clients[slot].call("DELETE", f"/containers/{name}?force=1") for name in names[slot::WORKERS]],
                      range(WORKERS)))
    print(f"removed in {time.perf_counter() - begin:.1f} s")
    assert int(pathlib.Path("/proc/sys/net/ipv4/neigh/default/gc_thresh3").read_text()) >= 65536
