"""What a container with raw sockets sends under others' names does not arrive: IPv6 and its neighbour discovery, and
answers to questions of the name server. IPv4 and ARP: runtime-agent/network/host_networks_test.cc."""

import json
import pathlib
import socket
import subprocess
import sys

import pytest
from cluster import wait_until
from test_connectivity import other_host

# In a container's network namespace, with the rights that CAP_NET_RAW gives: a frame as it is written here.
SEND = """
import socket, sys
wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
wire.bind(("eth0", 0))
for frame in sys.argv[1:]:
    wire.send(bytes.fromhex(frame))
"""

# Ears on eth0 that print what they hear, from the first line on.
HEAR = """
import socket, sys
ears = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
ears.bind(("eth0", 3))
print("listening", flush=True)
while True:
    print(ears.recv(2000).hex(), flush=True)
"""

ICMP6, HOP_BY_HOP, NO_SUCH_PROTOCOL = 58, 0, 253
ROUTER_ADVERTISEMENT, SOLICITATION, ADVERTISEMENT = 134, 135, 136
ALL_NODES = "ff02::1"


def six(address):
    return socket.inet_pton(socket.AF_INET6, address)


def mac_bytes(mac):
    return bytes.fromhex(mac.replace(":", ""))


def checksum(data):
    total = sum(int.from_bytes(data[at:at + 2].ljust(2, b"\0"), "big") for at in range(0, len(data), 2))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def icmp6(source, target, kind, body):
    message = bytes([kind, 0, 0, 0]) + body
    pseudo = six(source) + six(target) + len(message).to_bytes(4, "big") + bytes([0, 0, 0, ICMP6])
    return message[:2] + checksum(pseudo + message).to_bytes(2, "big") + message[4:]


def packet6(mac, source, target, protocol, payload, behind_options=False):
    """A frame to everybody."""
    if behind_options:
        payload = bytes([protocol, 0, 1, 4, 0, 0, 0, 0]) + payload
        protocol = HOP_BY_HOP
    header = b"\x60\0\0\0" + len(payload).to_bytes(2, "big") + bytes([protocol, 255]) + six(source) + six(target)
    return (b"\xff" * 6 + mac_bytes(mac) + b"\x86\xdd" + header + payload).hex()


def advertisement(mac, source, claimed, **options):
    body = b"\x20\0\0\0" + six(claimed) + b"\2\1" + mac_bytes(mac)
    return packet6(mac, source, ALL_NODES, ICMP6, icmp6(source, ALL_NODES, ADVERTISEMENT, body), **options)


def solicitation(mac, source, asked, **options):
    body = bytes(4) + six(asked) + b"\1\1" + mac_bytes(mac)
    return packet6(mac, source, ALL_NODES, ICMP6, icmp6(source, ALL_NODES, SOLICITATION, body), **options)


def router(mac, source, **options):
    body = b"\x40\0\x07\x08" + bytes(8)
    return packet6(mac, source, ALL_NODES, ICMP6, icmp6(source, ALL_NODES, ROUTER_ADVERTISEMENT, body), **options)


class Place:
    """A container with its addresses."""

    def __init__(self, cluster, name):
        inspect = json.loads(cluster.docker("inspect", name).stdout)[0]
        one = inspect["NetworkSettings"]["Networks"]["six"]
        self.pid, self.mac = str(inspect["State"]["Pid"]), one["MacAddress"]
        self.v4, self.v6 = one["IPAddress"], one["GlobalIPv6Address"]
        mac = mac_bytes(self.mac)
        self.local = socket.inet_ntop(socket.AF_INET6, b"\xfe\x80" + bytes(6) + bytes([mac[0] ^ 2]) + mac[1:3] + b"\xff\xfe" + mac[3:])

    def run(self, *command):
        return subprocess.run(["nsenter", "-t", self.pid, "-n", *command], check=True, capture_output=True, text=True).stdout

    def send(self, *frames):
        self.run(sys.executable, "-c", SEND, *frames)


@pytest.fixture
def places(cluster):
    cluster.docker("network", "create", "--ipv6", "--subnet", "10.95.7.0/24", "--subnet", "fd97:7::/64", "six")
    for name in ("thief", "victim", "friend"):
        cluster.docker("run", "-d", "--name", name, "--network", "six", "busybox", "sleep", "1000")
    return tuple(Place(cluster, name) for name in ("thief", "victim", "friend"))


def test_ipv6_sources_and_neighbours_cannot_be_made_up(places):
    thief, victim, friend = places
    ears = subprocess.Popen(["nsenter", "-t", victim.pid, "-n", sys.executable, "-c", HEAR], stdout=subprocess.PIPE, text=True)
    try:
        assert ears.stdout.readline() == "listening\n"
        plain = b"made up"
        good = [packet6(thief.mac, source, ALL_NODES, NO_SUCH_PROTOCOL, plain, behind_options=behind)
                for source in (thief.v6, thief.local) for behind in (False, True)]
        good += [advertisement(thief.mac, thief.v6, thief.v6), solicitation(thief.mac, thief.v6, victim.v6)]
        bad = []
        for behind in (False, True):
            for source in (friend.v6, friend.local, "fd97:7::1", "fe80::1", "2001:db8::1", "::"):
                bad.append(packet6(thief.mac, source, ALL_NODES, NO_SUCH_PROTOCOL, plain, behind_options=behind))
            for claimed in (friend.v6, friend.local, "fd97:7::1", "fe80::1"):
                bad.append(advertisement(thief.mac, thief.v6, claimed, behind_options=behind))
                bad.append(solicitation(thief.mac, claimed, victim.v6, behind_options=behind))
            bad.append(router(thief.mac, thief.local, behind_options=behind))
            bad.append(packet6(friend.mac, thief.v6, ALL_NODES, NO_SUCH_PROTOCOL, plain, behind_options=behind))
        end = packet6(thief.mac, thief.v6, ALL_NODES, NO_SUCH_PROTOCOL, b"that was all")
        thief.send(*bad, *good, end)
        heard = []
        while not heard or not heard[-1].startswith(end):
            heard.append(ears.stdout.readline().strip())
    finally:
        ears.kill()
        ears.wait()
    assert [frame for frame in good if frame in heard] == good, "its own"
    assert not [frame for frame in bad if frame in heard], "others'"


def test_neighbours_stay_who_they_are(places):
    thief, victim, friend = places
    reach = ["/usr/bin/env", "python3", "-c", f"import socket; socket.socket(10, 2).sendto(b'x', ('{friend.v6}', 9))"]

    def neighbour():
        return victim.run("ip", "-6", "neigh", "show", friend.v6)
    victim.run(*reach)
    wait_until(lambda: friend.mac in neighbour(), neighbour)
    for behind in (False, True):
        thief.send(advertisement(thief.mac, friend.v6, friend.v6, behind_options=behind),
                   advertisement(thief.mac, thief.v6, friend.v6, behind_options=behind),
                   solicitation(thief.mac, friend.v6, victim.v6, behind_options=behind))
    victim.run(*reach)
    assert thief.mac not in neighbour() and friend.mac in neighbour()
    routes = victim.run("ip", "-6", "route")
    thief.send(router(thief.mac, thief.local), router(thief.mac, thief.local, behind_options=True))
    assert victim.run("ip", "-6", "route") == routes


# A name server that tells who asked what, and answers with what it is told.
NAME_SERVER = """
import socket, sys
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("10.94.0.2", 53))
print("ready", flush=True)
question, asker = server.recvfrom(600)
print(question.hex(), *asker, flush=True)
sys.stdin.readline()
body = question[12:]
server.sendto(question[:2] + bytes.fromhex("81800001000100000000") + body[:body.index(0) + 5]
              + bytes.fromhex("c00c00010001000003e80004") + socket.inet_aton("192.0.2.7"), asker)
"""


def udp4(mac, target_mac, source, target, source_port, target_port, payload):
    """A frame with an IPv4 datagram; UDP's checksum is left out, which is allowed."""
    udp = b"".join(part.to_bytes(2, "big") for part in (source_port, target_port, 8 + len(payload), 0)) + payload
    header = bytearray(b"\x45\0" + (20 + len(udp)).to_bytes(2, "big") + b"\0\0\0\0\x40\x11\0\0"
                       + socket.inet_aton(source) + socket.inet_aton(target))
    header[10:12] = checksum(bytes(header)).to_bytes(2, "big")
    return (mac_bytes(target_mac) + mac_bytes(mac) + b"\x08\0" + bytes(header) + udp).hex()


def test_answers_of_name_servers_cannot_be_forged(cluster, places):
    """The forger is told all that protects an answer, its id and its port; it is what it cannot send that stops it."""
    thief, _, _ = places
    with other_host(cluster) as host:
        server = subprocess.Popen(["ip", "netns", "exec", host, sys.executable, "-c", NAME_SERVER], stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE, text=True)
        try:
            assert server.stdout.readline() == "ready\n"
            cluster.docker("run", "-d", "--name", "asker", "--network", "six", "--dns", "10.94.0.2", "busybox", "sleep", "1000")
            # All that takes time is done before: the question waits for its answer two seconds.
            bridge = pathlib.Path(f"/sys/class/net/{bridge_of(cluster, 'six')}/address").read_text().strip()
            asker = json.loads(cluster.docker("inspect", "asker").stdout)[0]["State"]["Pid"]
            asking = subprocess.Popen(["docker", "exec", "asker", "nslookup", "-type=a", "bank.example"], env=cluster.env,
                                      stdout=subprocess.PIPE, text=True)
            question, address, port = server.stdout.readline().split()
            question = bytes.fromhex(question)
            body = question[12:]
            answer = (question[:2] + bytes.fromhex("81800001000100000000") + body[:body.index(0) + 5]
                      + bytes.fromhex("c00c00010001000003e80004") + socket.inet_aton("6.6.6.6"))
            thief.send(*[udp4(thief.mac, bridge, source, target, 53, int(port), answer)
                         for target in (address, "10.95.7.1") for source in ("10.94.0.2", thief.v4, "127.0.0.1")])
            # To the socket in the sandbox itself, where an answer is no question.
            subprocess.run(["nsenter", "-t", str(asker), "-n", sys.executable, "-c",
                            f"import socket; socket.socket(2, 2).sendto(bytes.fromhex('{answer.hex()}'), ('127.0.0.11', 53))"], check=True)
            server.stdin.write("now\n")
            server.stdin.flush()
            found = asking.communicate(timeout=20)[0]
        finally:
            server.kill()
            server.wait()
        assert "192.0.2.7" in found and "6.6.6.6" not in found, found
        again = cluster.docker("exec", "asker", "nslookup", "-type=a", "bank.example").stdout
        assert "192.0.2.7" in again and "6.6.6.6" not in again, "and what is kept is true"


def bridge_of(cluster, network):
    identity = cluster.docker("network", "inspect", "-f", "{{.Id}}", network).stdout.strip()
    links = json.loads(subprocess.run(["ip", "-j", "-d", "link"], check=True, capture_output=True).stdout)
    return next(link["ifname"] for link in links if link.get("ifalias", "") == f"slipway/{cluster.prefix}/{identity}"
                and link.get("linkinfo", {}).get("info_kind") == "bridge")
