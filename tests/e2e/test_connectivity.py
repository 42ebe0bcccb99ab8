"""Who reaches whom, by name, by address and by port, in IPv4 and IPv6: a matrix that is compared with a real dockerd's."""

import json
import subprocess

import pytest

from cluster import free_port_range, wait_until
from peers import Dockerd

SERVER = "while :; do echo pong | nc -l -p 80; done"

# container: its networks, the first one at its start
PLACES = {"a1": ["front"], "a2": ["front"], "b1": ["back"], "ab": ["front", "back"], "in": ["inner"], "d1": ["bridge"],
          "no": ["none"]}


def build(docker, port, subnets):
    """The same stack on either engine."""
    docker("network", "create", "--ipv6", "--subnet", subnets[0], "--subnet", "fd97:1::/64", "front")
    docker("network", "create", "--subnet", subnets[1], "back")
    docker("network", "create", "--internal", "--subnet", subnets[2], "inner")
    for name, networks in PLACES.items():
        options = ["-p", f"{port}:80"] if name == "a1" else []
        docker("run", "-d", "--name", name, "--network", networks[0], *options, "busybox", "sh", "-c", SERVER)
        for network in networks[1:]:
            docker("network", "connect", "--alias", f"{name}-alias", network, name)


def addresses(docker, name):
    networks = json.loads(docker("inspect", "-f", "{{json .NetworkSettings.Networks}}", name).stdout)
    return {network: (one["IPAddress"], one["GlobalIPv6Address"]) for network, one in networks.items()}


def matrix(docker):
    """{(client, what is asked for): whether it is there}. Names say which container and network is meant."""
    targets = {}
    for name in PLACES:
        targets[f"name {name}"] = f"nslookup -type=a {name} 127.0.0.11 2>/dev/null | tail -n +3 | grep -q Address"
        for network, (v4, v6) in addresses(docker, name).items():
            if v4:
                targets[f"ping {name} in {network}"] = f"ping -c 1 -W 1 {v4}"
            if v6:
                targets[f"ping6 {name} in {network}"] = f"ping -c 1 -W 1 {v6}"
    targets["alias"] = "nslookup -type=a ab-alias 127.0.0.11 2>/dev/null | tail -n +3 | grep -q Address"
    script = "\n".join(f"( {command} ) >/dev/null 2>&1 && echo '{key} yes' || echo '{key} no' &" for key, command in targets.items())
    found = {}
    for client in PLACES:
        out = docker("exec", client, "sh", "-c", f"{script}\nwait").stdout
        found.update({(client, line.rsplit(" ", 1)[0]): line.rsplit(" ", 1)[1] for line in out.splitlines()})
    return found


@pytest.fixture(scope="module")
def networked_dockerd():
    """A dockerd with rules of its own, in a network namespace of its own."""
    name = "swt-matrix"
    subprocess.run(["ip", "netns", "add", name], check=True)
    dockerd = None
    try:
        subprocess.run(["ip", "-n", name, "link", "set", "lo", "up"], check=True)
        dockerd = Dockerd(namespace=name)
        yield dockerd
    finally:
        if dockerd is not None:
            dockerd.close()
        subprocess.run(["ip", "netns", "delete", name])


def test_the_same_reach_as_with_dockerd(cluster, networked_dockerd):
    tar = subprocess.run(["docker", "save", "busybox"], check=True, capture_output=True, env=cluster.env).stdout
    networked_dockerd.docker("load", input=tar, text=False)
    port = free_port_range(1)
    build(cluster.docker, port, ["10.95.1.0/24", "10.95.2.0/24", "10.95.3.0/24"])
    build(networked_dockerd.docker, port, ["10.95.1.0/24", "10.95.2.0/24", "10.95.3.0/24"])
    ours, theirs = matrix(cluster.docker), matrix(networked_dockerd.docker)
    assert ours.keys() == theirs.keys() and "yes" in ours.values() and "no" in ours.values()
    different = {key: (ours[key], theirs[key]) for key in ours if ours[key] != theirs[key]}
    assert not different


def test_host_and_other_hosts_reach_published_ports_and_are_seen(cluster):
    """Another host is a network namespace on a cable."""
    port = free_port_range(1)
    cluster.docker("network", "create", "front")
    cluster.docker("run", "-d", "--name", "web", "--network", "front", "-p", f"{port}:80", "busybox", "sh", "-c",
                   "mkdir /www; httpd -f -v -p 80 -h /www 2>/tmp/log")
    host, cable, plug = f"{cluster.prefix}h", f"{cluster.prefix}c", f"{cluster.prefix}p"
    try:
        subprocess.run(["ip", "netns", "add", host], check=True)
        for command in (f"link add {cable} type veth peer name {plug} netns {host}", f"addr add 10.94.0.1/24 dev {cable}",
                        f"link set {cable} up", f"-n {host} addr add 10.94.0.2/24 dev {plug}", f"-n {host} link set {plug} up",
                        f"-n {host} route add default via 10.94.0.1"):
            subprocess.run(["ip", *command.split()], check=True)
        ask = ["curl", "-s", "-m", "2", "-o", "/dev/null", "-w", "%{http_code}", f"http://10.94.0.1:{port}/"]
        wait_until(lambda: subprocess.run(ask, capture_output=True, text=True).stdout == "404", "the host's own request")
        out = subprocess.run(["ip", "netns", "exec", host, *ask], capture_output=True, text=True)
        assert out.stdout == "404"
        log = cluster.docker("exec", "web", "cat", "/tmp/log").stdout
        assert "10.94.0.2" in log, log
        direct = cluster.docker("inspect", "-f", "{{.NetworkSettings.Networks.front.IPAddress}}", "web").stdout.strip()
        blocked = ["ip", "netns", "exec", host, "curl", "-s", "-m", "0.5", f"http://{direct}:80/"]
        assert subprocess.run(blocked, capture_output=True).returncode != 0, "ports that are not published"
    finally:
        subprocess.run(["ip", "netns", "delete", host])
        subprocess.run(["ip", "link", "delete", cable], capture_output=True)
