"""What cannot be done with networks and ports: codes and messages beside a real dockerd's, and nothing left behind."""

import json
import re
import socket
import subprocess
import sys

import pytest
import raw_http as raw
from cluster import free_port_range
from test_connectivity import load_busybox, networked_dockerd  # noqa: F401 (a fixture)


def api(one, method, path, body=None):
    data = None if body is None else json.dumps(body).encode()
    status, _, answer = raw.request(one.socket, method, "/v1.41" + path, data, {"Content-Type": "application/json"})
    return status, json.loads(answer) if answer.strip() else None


def network(name, subnet=None, **options):
    body = {"Name": name, "CheckDuplicate": True, **options}
    if subnet is not None:
        body["IPAM"] = {"Config": subnet if isinstance(subnet, list) else [subnet]}
    return "POST", "/networks/create", body


def connect(name, container, **endpoint):
    return "POST", f"/networks/{name}/connect", {"Container": container, "EndpointConfig": endpoint}


def container(name, mode, **more):
    return "POST", f"/containers/create?name={name}", {"Image": "busybox", "Cmd": ["sleep", "1000"], "HostConfig": {"NetworkMode": mode}, **more}


def place(network_name, **endpoint):
    return {"NetworkingConfig": {"EndpointsConfig": {network_name: endpoint}}}


WRONG = {
    "subnets that overlap": [
        network("x", {"Subnet": "10.98.1.0/25"}),
        network("x", {"Subnet": "10.98.0.0/16"}),
        network("x", {"Subnet": "10.98.1.0/24"}),
        network("x", [{"Subnet": "fd97:9::/80"}], EnableIPv6=True),
    ],
    "names that cannot be": [network("taken"), network("bridge"), network("host"), network("none")],
    "networks in use, and none": [
        ("DELETE", "/networks/taken", None), ("DELETE", "/networks/bridge", None), ("DELETE", "/networks/nobody", None),
        ("GET", "/networks/nobody", None),
        ("POST", '/networks/prune?filters={"nosuch":["1"]}', None), ("GET", '/networks?filters={"nosuch":["1"]}', None),
    ],
    "connections": [
        connect("taken", "inside"), connect("nobody", "inside"), connect("taken", "nobody"),
        connect("host", "inside"), connect("none", "inside"),
        connect("taken", "outside", IPAMConfig={"IPv4Address": "10.98.1.2"}),
        connect("taken", "outside", IPAMConfig={"IPv4Address": "10.98.1.1"}),
        connect("plain", "outside", IPAMConfig={"IPv4Address": "172.31.0.9"}),
        connect("bridge", "inside", Aliases=["x"]),
        connect("tiny", "outside"),
        ("POST", "/networks/plain/disconnect", {"Container": "inside"}),
        ("POST", "/networks/nobody/disconnect", {"Container": "inside"}),
        ("POST", "/networks/taken/disconnect", {"Container": "nobody"}),
    ],
    "containers": [
        container("", "bridge", HostConfig={"PortBindings": {"80/tcp": [{"HostPort": "99999"}]}}),
        container("", "bridge", HostConfig={"PortBindings": {"80/tcp": [{"HostPort": "1-x"}]}}),
    ],
}

# What dockerd 20.10 takes, or calls an error of its own (500); later ones, and we, say that the request is wrong.
STRICTER = [
    (network("x", {"Subnet": "10.98.0.0/33"}), "invalid CIDR address: 10.98.0.0/33"),
    (network("x", {"Subnet": "nonsense"}), "invalid CIDR address: nonsense"),
    (network("x", {"Subnet": "10.97.0.0/24", "Gateway": "10.96.0.1"}), "no matching subnet for gateway 10.96.0.1"),
    (network("x", {"Subnet": "10.97.0.0/24", "Gateway": "nonsense"}), "invalid IP address: nonsense"),
    (network("x", {"Subnet": "10.97.0.0/24", "IPRange": "10.96.0.0/25"}), "no matching subnet for range 10.96.0.0/25"),
    (network("x", {"Subnet": "10.97.0.0/24", "AuxiliaryAddresses": {"a": "10.96.0.9"}}), "no matching subnet for aux-address 10.96.0.9"),
    (network(""), "invalid network name"),
    (network("a/b"), "invalid network name"),
    (network("x", Options={"com.docker.network.driver.mtu": "huge"}), "com.docker.network.driver.mtu"),
    (network("x", Options={"com.docker.network.bridge.enable_icc": "perhaps"}), "com.docker.network.bridge.enable_icc"),
    (("GET", '/networks?filters={"type":["nosuch"]}', None), "Invalid filter: 'type'='nosuch'"),
    (connect("taken", "outside", IPAMConfig={"IPv4Address": "10.98.2.2"}), "10.98.2.2"),
    (connect("taken", "outside", IPAMConfig={"IPv4Address": "nonsense"}), "invalid IPv4 address: nonsense"),
    (connect("taken", "outside", IPAMConfig={"IPv6Address": "fd97:5::5"}), "fd97:5::5"),
    (container("", "container:nobody"), "No such container: nobody"),
    (container("", "bridge", MacAddress="nonsense"), "invalid MAC address: nonsense"),
    (container("", "bridge", HostConfig={"PortBindings": {"80/tcp": [{"HostIp": "nonsense", "HostPort": "1"}]}}), "invalid IP address: nonsense"),
    (container("", "bridge", HostConfig={"PortBindings": {"80/nosuch": [{"HostPort": "1"}]}}), "80/nosuch"),
]

# (mode, more of the container): it can be created and cannot be started.
STARTS = {
    "a network that is not there": ("nobody", {}),
    "an address in use": ("taken", place("taken", IPAMConfig={"IPv4Address": "10.98.1.2"})),
    "an exhausted pool": ("tiny", {}),
    "a port of another container": ("bridge", {"published": "taken"}),
    "a port of another process": ("bridge", {"published": "listening"}),
}


@pytest.fixture(scope="module")
def ports(networked_dockerd):  # noqa: F811
    """Ports of this host; the one that somebody listens on, on both engines' hosts."""
    first = free_port_range(2)
    listen = f"import socket; s = socket.create_server(('0.0.0.0', {first + 1})); print('listening', flush=True); input()"
    theirs = subprocess.Popen(["nsenter", f"--net=/run/netns/{networked_dockerd.namespace}", sys.executable, "-c", listen],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert theirs.stdout.readline() == "listening\n"
        with socket.create_server(("0.0.0.0", first + 1)):
            yield {"taken": first, "listening": first + 1}
    finally:
        theirs.kill()
        theirs.wait()


@pytest.fixture(scope="module")
def both(shared_cluster, networked_dockerd, ports):  # noqa: F811
    load_busybox(shared_cluster, networked_dockerd)
    for one in (shared_cluster, networked_dockerd):
        docker = one.docker
        docker("network", "create", "--subnet", "10.98.1.0/24", "taken")
        docker("network", "create", "--ipv6", "--subnet", "10.98.2.0/24", "--subnet", "fd97:9::/64", "six")
        docker("network", "create", "--subnet", "10.98.9.0/30", "tiny")
        docker("network", "create", "plain")
        for name, network_name, options in (("inside", "taken", ["--ip", "10.98.1.2"]), ("outside", "bridge", []), ("full", "tiny", []),
                                            ("holder", "bridge", ["-p", f"{ports['taken']}:80"])):
            docker("run", "-d", "--name", name, "--network", network_name, *options, "busybox", "sleep", "1000")
    yield shared_cluster, networked_dockerd
    for one in (shared_cluster, networked_dockerd):
        one.docker("rm", "-f", *one.docker("ps", "-aq").stdout.split())
        one.docker("network", "prune", "-f")


def plain(answer):
    status, body = answer
    text = body.get("message", "") if isinstance(body, dict) else ""
    text = re.sub(r"[0-9a-f]{64}", "ID", text)
    # We give no id to what was never made, and have no proxy.
    text = re.sub(r"endpoint [^ :]+( \(ID\))?:", "endpoint NAME:", text).replace("Error starting userland proxy: ", "")
    return status, text.lower().strip()


def state(one):
    return (sorted(one.docker("network", "ls", "--format", "{{.Name}}").stdout.split()),
            sorted(one.docker("ps", "-a", "--format", "{{.Names}}").stdout.split()))


@pytest.mark.parametrize("kind", WRONG)
def test_refused_as_by_dockerd(both, kind):
    before = [state(one) for one in both]
    differences = []
    for method, path, body in WRONG[kind]:
        mine, theirs = (plain(api(one, method, path, body)) for one in both)
        if mine != theirs:
            differences.append(f"{method} {path} {json.dumps(body)}\n  ours:   {mine}\n  theirs: {theirs}")
    assert not differences, "\n".join(["", *differences])
    assert [state(one) for one in both] == before


def test_refused_where_dockerd_was_lax(both):
    ours = both[0]
    before = state(ours)
    for (method, path, body), expected in STRICTER:
        status, answer = api(ours, method, path, body)
        assert (status, expected in answer["message"]) == (400, True), (path, body, status, answer)
    assert state(ours) == before


@pytest.mark.parametrize("kind", STARTS)
def test_starts_that_fail_as_with_dockerd(both, ports, kind):
    mode, more = STARTS[kind]
    body = {"Image": "busybox", "Cmd": ["true"], "HostConfig": {"NetworkMode": mode}, **more}
    if "published" in body:
        body["ExposedPorts"] = {"80/tcp": {}}
        body["HostConfig"]["PortBindings"] = {"80/tcp": [{"HostPort": str(ports[body.pop("published")])}]}
    seen = []
    for one in both:
        status, answer = api(one, "POST", "/containers/create?name=starting", body)
        assert status == 201, answer
        answer = plain(api(one, "POST", "/containers/starting/start"))
        inspected = api(one, "GET", "/containers/starting/json")[1]["State"]
        seen.append((answer, inspected["Status"], inspected["ExitCode"], inspected["Error"].lower() != ""))
        assert api(one, "DELETE", "/containers/starting")[0] == 204
    assert seen[0] == seen[1]
