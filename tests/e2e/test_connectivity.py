"""A host outside is a network namespace on a cable: what it reaches, and as whom it is seen."""

import subprocess

from cluster import free_port_range, wait_until


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
