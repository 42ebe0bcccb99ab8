"""Who reaches whom, by name, by address and by port, in IPv4 and IPv6: a matrix that is compared with a real dockerd's."""

import concurrent.futures
import contextlib
import json
import subprocess

import pytest

from cluster import free_port_range, wait_until
from peers import Dockerd

SERVER = "mkdir /www; echo pong >/www/index.html; exec httpd -f -p 80 -h /www"

# container: its networks, the first one at its start
PLACES = {"a1": ["front"], "a2": ["front"], "b1": ["back"], "ab": ["front", "back"], "in": ["inner"], "d1": ["bridge"],
          "no": ["none"]}
# container: its port of the host, from the first one on
PUBLISHED = {"a1": 0, "b1": 1, "ab": 2}


def build(docker, port, subnets):
    """The same stack on either engine."""
    docker("network", "create", "--ipv6", "--subnet", subnets[0], "--subnet", "fd97:1::/64", "front")
    docker("network", "create", "--subnet", subnets[1], "back")
    docker("network", "create", "--internal", "--subnet", subnets[2], "inner")
    for name, networks in PLACES.items():
        options = ["-p", f"{port + PUBLISHED[name]}:80"] if name in PUBLISHED else []
        docker("run", "-d", "--name", name, "--network", networks[0], *options, "busybox", "sh", "-c", SERVER)
        for network in networks[1:]:
            docker("network", "connect", "--alias", f"{name}-alias", network, name)


def addresses(docker, name):
    networks = json.loads(docker("inspect", "-f", "{{json .NetworkSettings.Networks}}", name).stdout)
    return {network: (one["IPAddress"], one["GlobalIPv6Address"]) for network, one in networks.items()}


def names_and_pings(docker):
    """{what is asked for: the command of busybox}; names say which container and network is meant."""
    targets = {"alias": resolve("a", "ab-alias")}
    for name in PLACES:
        targets[f"name {name}"] = resolve("a", name)
        targets[f"name6 {name}"] = resolve("aaaa", name)
        targets[f"port of name {name}"] = f"echo GET / | timeout 2 nc -w 1 {name} 80 | grep -q pong"
        for network, (v4, v6) in addresses(docker, name).items():
            for family, address in (("", v4), ("6", v6)):
                if address:
                    targets[f"ping{family} {name} in {network}"] = f"ping -c 1 -W 1 {address}"
    return targets


def resolve(kind, name):
    return f"nslookup -type={kind} {name} 127.0.0.11 2>/dev/null | tail -n +3 | grep -q Address"


def ports_of_all(docker, port):
    """{what is asked for: the command of this machine}, by address; its curl knows IPv6."""
    servers = {f"published by {gateway}": f"{gateway}:{port}" for gateway in ("10.95.1.1", "10.95.2.1", "[fd97:1::1]")}
    for name in PLACES:
        for network, (v4, v6) in addresses(docker, name).items():
            if v4:
                servers[f"port {name} in {network}"] = v4
            if v6:
                servers[f"port6 {name} in {network}"] = f"[{v6}]"
    return {key: get(server) for key, server in servers.items()}


def get(server):
    return f"curl -g -s -m 1 http://{server}/ | grep -q pong"


def outcomes(targets, run):
    """`run` runs a script of busybox; {what was asked for: whether it is there}."""
    script = "\n".join(f"( {command} ) >/dev/null 2>&1 && echo '{key} yes' || echo '{key} no' &" for key, command in targets.items())
    return dict(line.rsplit(" ", 1) for line in run(f"{script}\nwait").splitlines())


def shell_output(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def matrix(docker, port, host):
    """{(client, what is asked for): whether it is there}; `host`: how a command is run where the engine's host is."""
    names, ports = names_and_pings(docker), ports_of_all(docker, port)

    def ask(client):
        pid = docker("inspect", "-f", "{{.State.Pid}}", client).stdout.strip()
        return {**outcomes(names, lambda script: docker("exec", client, "sh", "-c", script).stdout),
                **outcomes(ports, lambda script: shell_output("nsenter", "-t", pid, "-n", "sh", "-c", script))}
    # By [::1] dockerd's proxy is reached, and our relay; "b1" has no IPv6, and "ab" is in the other gateway's network, too.
    of_host = {**ports, **{f"{name} published by {address}": get(f"{address}:{port + offset}") for name, offset in PUBLISHED.items()
                           for address in ("127.0.0.1", "[::1]", "10.95.1.1", "10.95.2.1", "[fd97:1::1]")}}
    with concurrent.futures.ThreadPoolExecutor(len(PLACES)) as pool:
        found = dict(zip(PLACES, pool.map(ask, PLACES)))
    found["the host"] = outcomes(of_host, lambda script: shell_output(*host, "sh", "-c", script))
    return {(client, key): seen[key] for client, seen in found.items() for key in seen}


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


def or_yes(before, now):
    return {key: "yes" if before.get(key) == "yes" else seen for key, seen in now.items()}


def load_busybox(cluster, engine):
    tar = subprocess.run(["docker", "save", "busybox"], check=True, capture_output=True, env=cluster.env).stdout
    engine.docker("load", input=tar, text=False)


def test_the_same_reach_as_with_dockerd(cluster, networked_dockerd):
    load_busybox(cluster, networked_dockerd)
    port = free_port_range(len(PUBLISHED))
    build(cluster.docker, port, ["10.95.1.0/24", "10.95.2.0/24", "10.95.3.0/24"])
    build(networked_dockerd.docker, port, ["10.95.1.0/24", "10.95.2.0/24", "10.95.3.0/24"])
    ours, theirs = {}, {}
    within = ["nsenter", f"--net=/run/netns/{networked_dockerd.namespace}"]
    for _ in range(15):
        # Who was reached once can be reached; who was not may have been slow.
        ours = or_yes(ours, matrix(cluster.docker, port, []))
        theirs = or_yes(theirs, matrix(networked_dockerd.docker, port, within))
        if ours == theirs:
            break
    assert ours.keys() == theirs.keys()
    for client in (*PLACES, "the host"):
        seen = {ours[key] for key in ours if key[0] == client}
        assert "yes" in seen or client == "no", f"{client} reaches nothing"
        assert "no" in seen or client == "the host", f"{client} reaches everything"
    different = {key: (ours[key], theirs[key]) for key in ours if ours[key] != theirs[key]}
    assert not different


@contextlib.contextmanager
def other_host(cluster):
    """A network namespace on a cable, which has its default routes by this host: (its name, this host's addresses)."""
    host, cable, plug = f"{cluster.prefix}h", f"{cluster.prefix}c", f"{cluster.prefix}p"
    try:
        subprocess.run(["ip", "netns", "add", host], check=True)
        for command in (f"link add {cable} type veth peer name {plug} netns {host}", f"addr add 10.94.0.1/24 dev {cable}",
                        f"addr add fd94::1/64 dev {cable} nodad", f"link set {cable} up", f"-n {host} addr add 10.94.0.2/24 dev {plug}",
                        f"-n {host} addr add fd94::2/64 dev {plug} nodad", f"-n {host} link set {plug} up",
                        f"-n {host} route add default via 10.94.0.1", f"-n {host} route add default via fd94::1"):
            subprocess.run(["ip", *command.split()], check=True)
        yield host
    finally:
        subprocess.run(["ip", "netns", "delete", host])
        subprocess.run(["ip", "link", "delete", cable], capture_output=True)


def fetch(url, namespace=None, seconds="2"):
    """What curl gets; empty when nothing answers."""
    within = ["ip", "netns", "exec", namespace] if namespace else []
    return subprocess.run([*within, "curl", "-g", "-s", "-m", seconds, url], capture_output=True, text=True).stdout


def serve_web(cluster, name, *options):
    cluster.docker("run", "-d", "--name", name, *options, "busybox", "sh", "-c",
                   "mkdir /www; echo pong >/www/index.html; httpd -f -v -p 80 -h /www 2>/tmp/log")


def test_host_and_other_hosts_reach_published_ports_and_are_seen(cluster):
    port = free_port_range(1)
    cluster.docker("network", "create", "front")
    serve_web(cluster, "web", "--network", "front", "-p", f"{port}:80")
    with other_host(cluster) as host:
        url = f"http://10.94.0.1:{port}/"
        wait_until(lambda: fetch(url) == "pong\n", "the host's own request")
        wait_until(lambda: fetch(url, host) == "pong\n", "the other host's request")
        log = cluster.docker("exec", "web", "cat", "/tmp/log").stdout
        assert "10.94.0.2" in log, log
        direct = cluster.docker("inspect", "-f", "{{.NetworkSettings.Networks.front.IPAddress}}", "web").stdout.strip()
        assert fetch(f"http://{direct}:80/", host, "0.5") == "", "ports that are not published"


def test_ports_published_over_ipv6(cluster):
    port = free_port_range(2)
    cluster.docker("network", "create", "--ipv6", "--subnet", "10.95.5.0/24", "--subnet", "fd97:5::/64", "six")
    cluster.docker("network", "create", "--ipv6", "--subnet", "10.95.6.0/24", "--subnet", "fd97:6::/64", "apart")
    serve_web(cluster, "web", "--network", "six", "-p", f"{port}:80", "-p", f"[fd97:5::1]:{port + 1}:80")
    serve_web(cluster, "stranger", "--network", "apart")
    published = json.loads(cluster.docker("inspect", "-f", '{{json (index .NetworkSettings.Ports "80/tcp")}}', "web").stdout)
    assert sorted((one["HostIp"], one["HostPort"]) for one in published) == [
        ("0.0.0.0", str(port)), ("::", str(port)), ("fd97:5::1", str(port + 1))]
    wait_until(lambda: fetch(f"http://[fd97:5::1]:{port}/") == "pong\n", "the host by the bridge's address")
    assert fetch(f"http://[fd97:5::1]:{port + 1}/") == "pong\n", "a port of one address"
    assert fetch(f"http://127.0.0.1:{port}/") == "pong\n", "the other family"
    def ask(client, server):
        pid = cluster.docker("inspect", "-f", "{{.State.Pid}}", client).stdout.strip()
        return subprocess.run(["nsenter", "-t", pid, "-n", "curl", "-g", "-s", "-m", "3", f"http://{server}/"], capture_output=True, text=True).stdout
    for client, server in (("stranger", "fd97:6::1"), ("web", "fd97:5::1")):
        assert ask(client, f"[{server}]:{port}") == "pong\n", f"{client}, by its gateway"
    address = cluster.docker("inspect", "-f", "{{.NetworkSettings.Networks.six.GlobalIPv6Address}}", "web").stdout.strip()
    assert ask("web", f"[{address}]") == "pong\n" and ask("stranger", f"[{address}]") == "", "networks are apart"
    with other_host(cluster) as host:
        assert fetch(f"http://[fd94::1]:{port}/", host) == "pong\n"
        log = cluster.docker("exec", "web", "cat", "/tmp/log").stdout
        assert "[fd94::2]" in log and "fd97:6::" in log, log
        assert fetch(f"http://[fd94::1]:{port + 1}/", host, "0.5") == "", "a port of another address"
        assert fetch(f"http://[{address}]:80/", host, "0.5") == "", "ports that are not published"
    cluster.docker("rm", "-f", "web")
    assert fetch(f"http://[fd97:5::1]:{port}/", seconds="0.5") == ""
