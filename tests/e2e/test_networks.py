"""Networks of users: who reaches whom and by what name, what they are told that cannot be, and that nothing is left."""

import json
import pathlib
import subprocess

import pytest

from cluster import free_port_range, wait_until

SERVER = "while :; do echo pong | nc -l -p 80; done"
ASK = "for i in 1 2 3 4 5 6 7 8 9; do timeout 1 nc {} 80 </dev/null && exit; sleep 0.05; done; exit 1"


def inspect(cluster, name, template):
    return cluster.docker("inspect", "-f", template, name).stdout.strip()


def address(cluster, name, network):
    return inspect(cluster, name, "{{(index .NetworkSettings.Networks \"%s\").IPAddress}}" % network)


def serve(cluster, name, *options):
    cluster.docker("run", "-d", "--name", name, *options, "busybox", "sh", "-c", SERVER)


def reaches(cluster, client, target):
    return cluster.docker("exec", client, "sh", "-c", ASK.format(target), check=False).stdout == "pong\n"


def cut_off(cluster, client, target):
    """What does not answer within a moment does not: packets are dropped, not refused."""
    ask = f"timeout 0.3 nc {target} 80 </dev/null"
    return cluster.docker("exec", client, "sh", "-c", ask, check=False).stdout == ""


def resolves(cluster, client, name):
    out = cluster.docker("exec", client, "nslookup", "-type=a", name, check=False).stdout
    return sorted(line.split()[-1] for line in out.split("\n\n", 1)[-1].splitlines() if line.startswith("Address"))


def test_networks_are_apart_and_their_containers_are_not(cluster):
    cluster.docker("network", "create", "one")
    cluster.docker("network", "create", "two")
    serve(cluster, "a1", "--network", "one")
    serve(cluster, "a2", "--network", "one", "--network-alias", "second")
    serve(cluster, "b1", "--network", "two")
    serve(cluster, "plain")
    for name in ("a2", "second", address(cluster, "a2", "one"), inspect(cluster, "a2", "{{.Id}}")[:12]):
        assert reaches(cluster, "a1", name), name
    for other in (address(cluster, "b1", "two"), address(cluster, "plain", "bridge"), "b1", "plain"):
        assert cut_off(cluster, "a1", other), other
    assert cut_off(cluster, "plain", address(cluster, "a1", "one"))
    # One that is in both reaches both, and is found in each by that network's address.
    cluster.docker("network", "connect", "--alias", "bridgehead", "two", "a1")
    assert reaches(cluster, "a1", "b1") and reaches(cluster, "a1", "a2")
    assert reaches(cluster, "b1", "bridgehead")
    assert resolves(cluster, "b1", "a1") == [address(cluster, "a1", "two")]
    cluster.docker("network", "disconnect", "two", "a1")
    assert not reaches(cluster, "a1", "b1")
    assert cluster.docker("exec", "a1", "ls", "/sys/class/net").stdout.split() == ["eth0", "lo"]
    assert reaches(cluster, "a1", "a2"), "the default route went back"


def test_static_addresses_dual_stack_and_mac(cluster):
    cluster.docker("network", "create", "--ipv6", "--subnet", "10.99.7.0/24", "--gateway", "10.99.7.254",
                   "--ip-range", "10.99.7.128/25", "--aux-address", "router=10.99.7.128", "--subnet", "fd99:7::/64", "dual")
    serve(cluster, "server", "--network", "dual", "--ip", "10.99.7.9", "--ip6", "fd99:7::9", "--mac-address", "02:11:22:33:44:55")
    serve(cluster, "client", "--network", "dual")
    assert address(cluster, "client", "dual") == "10.99.7.129"
    assert "02:11:22:33:44:55" in cluster.docker("exec", "server", "cat", "/sys/class/net/eth0/address").stdout
    assert reaches(cluster, "client", "10.99.7.9")
    assert cluster.docker("exec", "client", "ping", "-c", "1", "-W", "2", "fd99:7::9").returncode == 0
    networks = json.loads(inspect(cluster, "server", "{{json .NetworkSettings.Networks}}"))["dual"]
    assert networks["GlobalIPv6Address"] == "fd99:7::9" and networks["GlobalIPv6PrefixLen"] == 64
    assert networks["Gateway"] == "10.99.7.254" and networks["IPAMConfig"]["IPv4Address"] == "10.99.7.9"
    members = json.loads(cluster.docker("network", "inspect", "dual").stdout)[0]["Containers"]
    assert {one["Name"]: one["IPv4Address"] for one in members.values()} == {
        "server": "10.99.7.9/24", "client": "10.99.7.129/24"}


def test_internal_and_no_icc(cluster):
    cluster.docker("network", "create", "--internal", "inner")
    serve(cluster, "in1", "--network", "inner")
    serve(cluster, "in2", "--network", "inner")
    assert reaches(cluster, "in1", "in2")
    assert "default" not in cluster.docker("exec", "in1", "ip", "route").stdout
    cluster.docker("network", "create", "-o", "com.docker.network.bridge.enable_icc=false", "quiet")
    serve(cluster, "q1", "--network", "quiet")
    serve(cluster, "q2", "--network", "quiet")
    assert cut_off(cluster, "q1", address(cluster, "q2", "quiet"))
    gateway = json.loads(cluster.docker("network", "inspect", "quiet").stdout)[0]["IPAM"]["Config"][0]["Gateway"]
    assert cluster.docker("exec", "q1", "ping", "-c", "1", "-W", "2", gateway).returncode == 0


def test_mtu_and_ports_follow_the_gateway(cluster):
    port = free_port_range(1)
    cluster.docker("network", "create", "-o", "com.docker.network.driver.mtu=1400", "small")
    cluster.docker("network", "create", "zlast")
    serve(cluster, "server", "--network", "zlast", "-p", f"{port}:80")
    gateway = json.loads(cluster.docker("network", "inspect", "zlast").stdout)[0]["IPAM"]["Config"][0]["Gateway"]

    def answers():
        out = subprocess.run(["timeout", "1", "bash", "-c", f"cat </dev/tcp/127.0.0.1/{port}"], capture_output=True)
        return out.stdout == b"pong\n"
    assert wait_until(answers, "an answer")
    assert gateway in cluster.docker("exec", "server", "ip", "route").stdout
    cluster.docker("network", "connect", "small", "server")
    assert "mtu 1400" in cluster.docker("exec", "server", "ip", "link", "show", "eth1").stdout
    assert gateway not in cluster.docker("exec", "server", "sh", "-c", "ip route | grep default").stdout
    assert wait_until(answers, "an answer by the other network")
    assert cluster.docker("port", "server").stdout.splitlines()[0] == f"80/tcp -> 0.0.0.0:{port}"
    cluster.docker("network", "disconnect", "small", "server")
    assert wait_until(answers, "an answer by the first again")


def test_names_of_services_reverse_names_and_their_own_port_53(cluster):
    cluster.docker("network", "create", "svc")
    for name in ("w1", "w2", "w3"):
        serve(cluster, name, "--network", "svc", "--network-alias", "web")
    serve(cluster, "client", "--network", "svc", "--link", "w1:linked")
    expected = sorted(address(cluster, name, "svc") for name in ("w1", "w2", "w3"))
    assert resolves(cluster, "client", "web") == expected
    assert resolves(cluster, "client", "w1.svc") == [address(cluster, "w1", "svc")]
    assert resolves(cluster, "client", "linked") == [address(cluster, "w1", "svc")]
    reverse = cluster.docker("exec", "client", "nslookup", address(cluster, "w2", "svc")).stdout
    assert "w2.svc" in reverse
    cluster.docker("rename", "w3", "renamed")
    assert resolves(cluster, "client", "renamed") == [address(cluster, "renamed", "svc")]
    cluster.docker("rm", "-f", "w1")
    assert wait_until(lambda: len(resolves(cluster, "client", "web")) == 2, "the removed one is gone")
    resolv = cluster.docker("exec", "client", "cat", "/etc/resolv.conf").stdout
    assert "nameserver 127.0.0.11" in resolv and "ndots:0" in resolv
    # Whoever serves names in the container itself may.
    own = cluster.docker("exec", "client", "sh", "-c", "timeout 0.2 nc -l -p 53; test $? = 143 -o $? = 124 && echo ok")
    assert own.stdout == "ok\n"


def test_names_survive_the_ends_of_their_server_and_of_the_agent(own_cluster):
    cluster = own_cluster
    cluster.docker("network", "create", "svc")
    serve(cluster, "one", "--network", "svc")
    serve(cluster, "two", "--network", "svc")
    expected = [address(cluster, "two", "svc")]
    pid = inspect(cluster, "one", "{{.State.Pid}}")

    def asked():
        out = subprocess.run(["nsenter", "-t", pid, "-n", "-m", "nslookup", "-type=a", "two"], capture_output=True, text=True)
        return [line.split()[-1] for line in out.stdout.split("\n\n", 1)[-1].splitlines() if line.startswith("Address")]

    def server():
        found = [entry.name for entry in pathlib.Path("/proc").iterdir() if entry.name.isdigit()]
        return [pid for pid in found if is_dns_of(cluster, pid)]
    first = server()
    assert len(first) == 1
    for _ in range(3):
        before = server()
        subprocess.run(["kill", "-9", *before], check=True)
        assert asked() == expected, "asked while it was gone"
        wait_until(lambda: server() and server() != before, "another one")
    cluster.kill("agent")
    assert asked() == expected, "without an agent"
    cluster.up()
    assert asked() == expected, "with another agent"
    assert wait_until(lambda: len(server()) == 1, "one of them is left")
    cluster.kill("agent")
    subprocess.run(["kill", "-9", *server()], check=True)
    cluster.up()
    assert asked() == expected, "both were gone"
    assert reaches(cluster, "one", "two")


def test_a_rename_that_the_agent_missed(own_cluster):
    cluster = own_cluster
    cluster.docker("network", "create", "svc")
    serve(cluster, "one", "--network", "svc")
    serve(cluster, "two", "--network", "svc")
    cluster.kill("agent")
    cluster.docker("rename", "two", "second")
    cluster.up()
    wait_until(lambda: resolves(cluster, "one", "second") == [address(cluster, "second", "svc")], "the new name is known")
    assert resolves(cluster, "one", "two") == []


def test_links_follow_what_they_link_to(cluster):
    cluster.docker("run", "-d", "--name", "db", "--hostname", "store", "busybox", "sleep", "1000")
    cluster.docker("run", "-d", "--name", "web", "--link", "db:data", "busybox", "sleep", "1000")
    cluster.docker("network", "create", "own")
    cluster.docker("run", "-d", "--name", "elsewhere", "--network", "own", "busybox", "sleep", "1000")

    def line():
        hosts = cluster.docker("exec", "web", "cat", "/etc/hosts").stdout
        return [line for line in hosts.splitlines() if line.endswith("\tdata store db")]
    before = address(cluster, "db", "bridge")
    assert line() == [f"{before}\tdata store db"]
    cluster.docker("restart", "-t", "0", "db")
    after = address(cluster, "db", "bridge")
    assert after != before and line() == [f"{after}\tdata store db"]
    assert cluster.docker("exec", "web", "ping", "-c", "1", "-W", "2", "data").returncode == 0
    refused = cluster.docker("run", "--rm", "--link", "elsewhere", "busybox", "true", check=False)
    assert refused.returncode != 0 and "as it does not belong to the default network" in refused.stderr


def is_dns_of(cluster, pid):
    """Whether the process answers for names, and was started by this instance's supervisor."""
    try:
        if pathlib.Path(f"/proc/{pid}/cmdline").read_text() != "slipway-dns\0":
            return False
        parent = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1]
        return str(cluster.run_dir) in pathlib.Path(f"/proc/{parent}/cmdline").read_text()
    except OSError:
        return False


def test_networks_survive_every_service(own_cluster):
    cluster = own_cluster
    cluster.docker("network", "create", "--label", "a=b", "kept")
    cluster.docker("network", "create", "gone")
    serve(cluster, "one", "--network", "kept")
    serve(cluster, "two", "--network", "kept")
    cluster.kill("agent", "container", "gateway")
    cluster.up()
    assert reaches(cluster, "one", "two")
    assert cluster.docker("network", "ls", "-q", "--filter", "label=a=b").stdout
    cluster.docker("network", "rm", "gone")
    before = address(cluster, "two", "kept")
    cluster.docker("restart", "-t", "0", "two")
    assert address(cluster, "two", "kept") == before and reaches(cluster, "one", "two")
    cluster.docker("rm", "-f", "one", "two")
    cluster.docker("network", "rm", "kept")
    assert wait_until(lambda: cluster.links() == [f"{cluster.prefix}0"], "the bridges are gone")


@pytest.mark.parametrize("command, expected", [
    ("network create bridge", "operation is not permitted on predefined bridge network"),
    ("network create --subnet 10.98.0.0/33 x", "invalid CIDR address"),
    ("network create --subnet 10.98.1.0/25 x", "Pool overlaps with other one on this address space"),
    ("network create taken", "network with name taken already exists"),
    ("network create -d weave x", 'plugin "weave" not found'),
    ("network create -o com.docker.network.driver.mtu=huge x", "com.docker.network.driver.mtu"),
    ("network create -d macvlan -o parent=nothere0 x", "nothere0"),
    ("network create -o com.docker.network.bridge.name=lo x", "existing interface lo is not a bridge"),
    ("network create --subnet 10.97.0.0/24 --gateway 10.96.0.1 x", "no matching subnet for gateway 10.96.0.1"),
    ("network rm bridge", "bridge is a pre-defined network and cannot be removed"),
    ("network rm nobody", "nobody"),
    ("network rm taken", "has active endpoints"),
    ("network connect taken inside", "endpoint with name inside already exists in network taken"),
    ("network connect nobody inside", "network nobody not found"),
    ("network connect taken nobody", "No such container: nobody"),
    ("network connect --ip 10.98.1.2 taken outside", "Address already in use"),
    ("network connect --ip 10.98.1.65 taken outside", "Address already in use"),
    ("network connect --ip 10.98.1.255 taken outside", "Address already in use"),
    ("network connect --ip 10.98.2.2 taken outside", "10.98.2.2"),
    ("network connect --alias x bridge inside", "network-scoped alias is supported only for containers in user defined networks"),
    ("network disconnect bridge inside", "is not connected to network bridge"),
    ("run --rm --network nobody busybox true", "network nobody not found"),
    ("run --rm --network taken --ip 10.98.1.2 busybox true", "Address already in use"),
    ("run --rm --network tiny busybox true", "no available IPv4 addresses on this network's address pools: tiny"),
])
def test_what_cannot_be_is_refused_in_dockers_words(refusing, command, expected):
    run = refusing.docker(*command.split(), check=False)
    assert run.returncode != 0 and expected in run.stderr, run.stderr
    assert len(refusing.docker("network", "ls", "-q", "--filter", "type=custom").stdout.split()) == 2
    assert refusing.docker("ps", "-aq").stdout.count("\n") == 3


@pytest.fixture(scope="module")
def refusing(shared_cluster):
    cluster = shared_cluster
    cluster.docker("network", "create", "--subnet", "10.98.1.0/24", "--aux-address", "router=10.98.1.65", "taken")
    cluster.docker("network", "create", "--subnet", "10.98.9.0/30", "tiny")
    cluster.docker("run", "-d", "--name", "inside", "--network", "taken", "--ip", "10.98.1.2", "busybox", "sleep", "1000")
    cluster.docker("run", "-d", "--name", "outside", "busybox", "sleep", "1000")
    cluster.docker("run", "-d", "--name", "full", "--network", "tiny", "busybox", "sleep", "1000")
    yield cluster
    cluster.docker("rm", "-f", "inside", "outside", "full")
    cluster.docker("network", "prune", "-f")
