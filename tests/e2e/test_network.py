"""Networks none, host and the default bridge; published ports."""

import socket
import subprocess

from cluster import free_port_range, wait_until

SERVER = "while :; do echo pong | nc -l -p 80; done"


def talk(address, port):
    try:
        with socket.create_connection((address, port), timeout=2) as connection:
            return connection.recv(100)
    except OSError:
        return None


def address_of(cluster, name):
    return cluster.docker("inspect", "-f", "{{.NetworkSettings.IPAddress}}", name).stdout.strip()


def test_none_has_only_loopback(cluster):
    run = cluster.docker("run", "--rm", "--network", "none", "busybox", "sh", "-c", "ls /sys/class/net; ip addr show lo")
    assert run.stdout.splitlines()[0] == "lo" and "127.0.0.1/8" in run.stdout


def test_containers_reach_each_other(cluster):
    cluster.docker("run", "-d", "--name", "server", "busybox", "sh", "-c", SERVER)
    address = address_of(cluster, "server")
    out = cluster.docker("run", "--rm", "busybox", "sh", "-c",
                         f"for i in 1 2 3 4 5 6 7 8 9; do nc {address} 80 && exit; sleep 0.1; done").stdout
    assert out == "pong\n"


def test_published_port(cluster):
    port = free_port_range(1)
    cluster.docker("run", "-d", "--name", "server", "-p", f"{port}:80", "busybox", "sh", "-c", SERVER)
    assert wait_until(lambda: talk("127.0.0.1", port), "an answer on 127.0.0.1") == b"pong\n"
    gateway = cluster.subnet.replace(".0/24", ".1")
    assert wait_until(lambda: talk(gateway, port), "an answer on the bridge's address") == b"pong\n"
    assert cluster.docker("port", "server").stdout.splitlines()[0] == f"80/tcp -> 0.0.0.0:{port}"
    out = cluster.docker("run", "--rm", "busybox", "nc", gateway, str(port)).stdout
    assert out == "pong\n"
    cluster.docker("rm", "-f", "server")
    assert talk("127.0.0.1", port) is None


def test_published_on_one_address_only(cluster):
    port = free_port_range(1)
    cluster.docker("run", "-d", "--name", "server", "-p", f"127.0.0.1:{port}:80", "busybox", "sh", "-c", SERVER)
    assert wait_until(lambda: talk("127.0.0.1", port), "an answer on 127.0.0.1") == b"pong\n"
    assert talk(cluster.subnet.replace(".0/24", ".1"), port) is None


def test_random_port(cluster):
    cluster.docker("run", "-d", "--name", "server", "-p", "80", "busybox", "sh", "-c", SERVER)
    port = int(cluster.docker("port", "server", "80").stdout.splitlines()[0].rsplit(":", 1)[1])
    assert wait_until(lambda: talk("127.0.0.1", port), "an answer") == b"pong\n"


def test_shared_network_of_another_container(cluster):
    cluster.docker("run", "-d", "--name", "server", "busybox", "sh", "-c", SERVER)
    out = cluster.docker("run", "--rm", "--network", "container:server", "busybox", "sh", "-c",
                         "for i in 1 2 3 4 5 6 7 8 9; do nc 127.0.0.1 80 && exit; sleep 0.1; done").stdout
    assert out == "pong\n"


def test_addresses_are_given_back(cluster):
    for _ in range(12):
        cluster.docker("run", "--rm", "busybox", "true")
    wait_until(cluster.is_clean, "no interface is left")


def ready_interfaces(cluster):
    """Ends on the default bridge that no container has."""
    return cluster.kernel_objects()[2]


def test_namespaces_are_made_before_they_are_needed_unless_not_wanted(own_cluster):
    cluster = own_cluster
    wait_until(lambda: ready_interfaces(cluster) == 4, "four are ready, and no more")
    cluster.docker("run", "-d", "--name", "one", "busybox", "sleep", "1000")
    wait_until(lambda: ready_interfaces(cluster) == 5, "another one is made for the one that was taken")
    cluster.deploy("down")
    cluster.deploy("up", "--no-demo", "--no-build", "--ready-sandboxes", "0")
    assert ready_interfaces(cluster) == 1, "the container's own"
    cluster.docker("run", "--rm", "busybox", "ping", "-c", "1", "-W", "2", address_of(cluster, "one"))
    wait_until(lambda: ready_interfaces(cluster) == 1, "none is made")
    refused = subprocess.run([cluster.dir / "bin" / "slipway-agent", "--ready_sandboxes=1001"], capture_output=True, text=True)
    assert refused.returncode == 2 and "--ready_sandboxes must not be more than 1000" in refused.stderr


def test_flushed_rules_come_back(cluster):
    port = free_port_range(1)
    cluster.docker("run", "-d", "--name", "server", "-p", f"{port}:80", "busybox", "sh", "-c", SERVER)
    assert wait_until(lambda: talk("127.0.0.1", port), "an answer") == b"pong\n"
    tables = subprocess.run(["nft", "list", "tables"], check=True, capture_output=True, text=True).stdout
    ours = [line.split()[1:] for line in tables.splitlines() if line.split()[-1] == cluster.prefix]
    assert ours
    for family, name in ours:
        subprocess.run(["nft", "delete", "table", family, name], check=True)
    assert wait_until(lambda: talk("127.0.0.1", port), "an answer after the rules were deleted", 5) == b"pong\n"
