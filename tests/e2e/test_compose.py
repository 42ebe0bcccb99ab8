"""Debian's docker-compose drives stacks against the Docker API."""

import json
import subprocess

import images
import pytest
import yaml
from cluster import wait_until

STACK = {
    "version": "2.4",
    "services": {
        "store": {
            "image": "busybox", "network_mode": "bridge", "init": True,
            "command": ["sh", "-c", "sleep 1; echo ready >/data/ready; exec sleep 600"],
            "volumes": ["data:/data", "/scratch"], "stop_grace_period": "1s",
            "healthcheck": {"test": ["CMD", "test", "-e", "/data/ready"], "interval": "200ms", "timeout": "5s", "retries": 50},
        },
        "front": {
            "image": "busybox", "network_mode": "bridge", "init": True,
            "command": ["sh", "-c", "cat /data/ready; echo front of $$PROJECT; exec sleep 600"],
            "environment": {"PROJECT": "stack"}, "volumes": ["data:/data:ro"], "stop_grace_period": "1s",
            "depends_on": {"store": {"condition": "service_healthy"}},
        },
    },
    "volumes": {"data": {"labels": {"kept": "yes"}}},
}


# What a file of version 2.4 can say of a service on one host, in the long forms where there are such.
EVERYTHING = {
    "version": "2.4",
    "services": {
        "one": {
            "image": "busybox", "command": ["sh", "-c", "sleep 600"], "init": True, "hostname": "one-host", "domainname": "example.org",
            "networks": {"inner": {"aliases": ["uno", "first"], "ipv4_address": "10.77.5.10"}, "outer": None},
            "ports": [{"target": 80, "published": 28180, "protocol": "tcp"}, "127.0.0.1:28181:81/udp"], "expose": ["3000"],
            "volumes": [{"type": "bind", "source": "./conf", "target": "/conf", "read_only": True},
                        {"type": "volume", "source": "data", "target": "/data", "volume": {"nocopy": True}},
                        {"type": "tmpfs", "target": "/scratch", "tmpfs": {"size": 1048576}}, "./conf/a.txt:/etc/a.txt:ro"],
            "tmpfs": ["/run:size=64k,mode=700"], "extra_hosts": ["somehost:10.9.8.7"], "env_file": ["one.env"],
            "environment": ["B=2", "UNSET"], "ulimits": {"nproc": 65, "nofile": {"soft": 100, "hard": 200}},
            "sysctls": {"net.core.somaxconn": "77"}, "cap_drop": ["ALL"], "cap_add": ["CHOWN", "NET_BIND_SERVICE"],
            "labels": {"com.example.a": "b"}, "stop_signal": "SIGINT", "stop_grace_period": "2s", "mem_limit": "64m",
            "memswap_limit": "128m", "mem_reservation": "32m", "cpus": 0.5, "cpu_shares": 512, "cpuset": "0", "pids_limit": 50,
            "shm_size": "8m", "oom_score_adj": 100, "security_opt": ["no-new-privileges:true"], "dns": ["192.0.2.1"],
            "dns_search": ["example.com"], "dns_opt": ["ndots:2"], "user": "1000:1000", "working_dir": "/data", "read_only": True,
            "group_add": ["2000"], "restart": "on-failure:3", "tty": True, "stdin_open": True,
            "logging": {"driver": "json-file", "options": {"max-size": "1m", "max-file": "2"}},
            "healthcheck": {"test": "exit 0", "interval": "1s", "timeout": "3s", "retries": 2, "start_period": "1s"}},
        "two": {
            "image": "busybox", "command": "sleep 600", "network_mode": "service:one", "pid": "service:one", "ipc": "shareable",
            "depends_on": {"one": {"condition": "service_healthy"}}, "devices": ["/dev/null:/dev/mynull:r"]},
        "three": {
            "image": "busybox", "networks": ["inner"], "links": ["one:linked"], "depends_on": ["two"],
            "entrypoint": ["/bin/sh", "-c", "exec sleep 600"]},
    },
    "networks": {
        "inner": {"driver": "bridge", "internal": True, "labels": {"n": "1"}, "ipam": {"driver": "default", "config": [
            {"subnet": "10.77.5.0/24", "gateway": "10.77.5.1", "ip_range": "10.77.5.128/25", "aux_addresses": {"r": "10.77.5.200"}}]}},
        "outer": {"driver_opts": {"com.docker.network.bridge.enable_icc": "false"}}},
    "volumes": {"data": {"driver": "local", "driver_opts": {"type": "tmpfs", "device": "tmpfs", "o": "size=1m,uid=1000"}}},
}

# And of version 3.8.
DEPLOYED = {
    "version": "3.8",
    "services": {"web": {
        "image": "busybox", "command": ["sleep", "600"], "secrets": ["s1", {"source": "s1", "target": "/other"}],
        "configs": [{"source": "c1", "target": "/c1.conf"}],
        "deploy": {"replicas": 2, "resources": {"limits": {"cpus": "0.25", "memory": "32M"}, "reservations": {"memory": "16M"}},
                   "restart_policy": {"condition": "on-failure", "max_attempts": 2}},
        "networks": {"default": {"aliases": ["w"]}}}},
    "networks": {"default": {"name": "deployed", "attachable": True}},
    "secrets": {"s1": {"file": "./conf/a.txt"}}, "configs": {"c1": {"file": "./conf/a.txt"}},
}

# Of open files the hard limit: runc, as Debian builds it, raises the soft one of an exec now and then (Go 1.19 does so for itself).
INSIDE = r"""id; pwd; env | grep -v HOSTNAME | sort; grep -v '^#' /etc/resolv.conf; grep somehost /etc/hosts
ls -ln /conf /data /scratch /etc/a.txt /run /run/secrets /other /c1.conf 2>&1 | sed 's/ [A-Z][a-z][a-z] .*[0-9]:[0-9]* / /'
grep -E 'Cap|NoNewPrivs' /proc/self/status; ulimit -Hn; ulimit -u; cat /proc/sys/net/core/somaxconn
[ ! -e /dev/mynull ] || wc -c </dev/mynull
mount | grep -E ' (/run|/scratch|/data|/dev/shm) ' | sed 's/^[^ ]* on //; s/,inode64//' | sort
nslookup linked 2>&1 | grep -c 10.77.5.10; ps -o args | grep -c '^sleep 600'"""


class Project:
    def __init__(self, cluster, directory, stack, name="stack"):
        self.cluster = cluster
        self.directory = directory
        self.name = name
        self.write(stack)

    def write(self, stack):
        (self.directory / "docker-compose.yml").write_text(yaml.safe_dump(stack))

    def compose(self, *arguments, check=True, timeout=120):
        run = subprocess.run(["/usr/bin/docker-compose", "--no-ansi", "--compatibility", "-p", self.name, *map(str, arguments)], cwd=self.directory,
                             env=self.cluster.env, capture_output=True, text=True, timeout=timeout)
        if check and run.returncode != 0:
            raise AssertionError(f"docker-compose {' '.join(map(str, arguments))} exited with {run.returncode}:\n"
                                 f"{run.stdout}\n{run.stderr}")
        return run

    def states(self):
        ids = self.compose("ps", "-q").stdout.split()
        if not ids:
            return {}
        found = json.loads(self.cluster.docker("inspect", *ids).stdout)
        return {one["Name"].lstrip("/"): one["State"]["Status"] for one in found}


@pytest.fixture
def project(cluster, tmp_path):
    project = Project(cluster, tmp_path, STACK)
    yield project
    project.compose("down", "-v", "-t", "0", check=False)


def test_life_of_a_stack(project):
    one = project.cluster
    project.compose("up", "-d")
    assert project.states() == {"stack_store_1": "running", "stack_front_1": "running"}
    # It began when what it depends on was healthy.
    wait_until(lambda: "front of stack" in project.compose("logs", "front").stdout, "the front's words")
    assert "ready\n" in project.compose("logs", "--no-color", "front").stdout
    assert one.docker("volume", "inspect", "-f", "{{.Labels.kept}}", "stack_data").stdout == "yes\n"
    assert project.compose("exec", "-T", "store", "cat", "/data/ready").stdout == "ready\n"
    assert project.compose("exec", "-T", "front", "sh", "-c", "echo x >/data/x", check=False).returncode != 0
    project.compose("up", "-d", "--scale", "front=3")
    assert sorted(project.states()) == ["stack_front_1", "stack_front_2", "stack_front_3", "stack_store_1"]
    project.compose("up", "-d", "--scale", "front=1")
    assert sorted(project.states()) == ["stack_front_1", "stack_store_1"]
    project.compose("stop", "-t", "0")
    assert set(project.states().values()) == {"exited"}
    project.compose("start")
    wait_until(lambda: set(project.states().values()) == {"running"}, "all run again")
    project.compose("restart", "-t", "0")
    assert set(project.states().values()) == {"running"}
    assert "Up" in project.compose("ps").stdout
    assert "sleep" in project.compose("top").stdout


def test_data_stays_until_its_volume_goes(project):
    one = project.cluster
    project.compose("up", "-d", "store")
    project.compose("exec", "-T", "store", "sh", "-c", "echo row >>/data/rows")
    anonymous = one.docker("volume", "ls", "-q", "-f", "dangling=false").stdout.split()
    assert len(anonymous) == 2
    project.compose("down", "-t", "0")
    assert project.states() == {}
    project.compose("up", "-d", "store")
    assert project.compose("exec", "-T", "store", "cat", "/data/rows").stdout == "row\n"
    # A changed service is made anew and keeps what it had mounted.
    stack = json.loads(json.dumps(STACK))
    stack["services"]["store"]["environment"] = {"CHANGED": "1"}
    project.write(stack)
    project.compose("exec", "-T", "store", "sh", "-c", "echo kept >/scratch/kept")
    project.compose("up", "-d", "store")
    assert project.compose("exec", "-T", "store", "sh", "-c", "echo $CHANGED; cat /scratch/kept /data/rows").stdout == "1\nkept\nrow\n"
    project.compose("down", "-v", "-t", "0")
    assert "stack_data" not in one.docker("volume", "ls", "-q").stdout.split()


def test_a_service_that_cannot_become_healthy_holds_back_others(project):
    stack = json.loads(json.dumps(STACK))
    stack["services"]["store"]["healthcheck"].update(test=["CMD", "false"], retries=2)
    project.write(stack)
    run = project.compose("up", "-d", check=False)
    assert run.returncode != 0 and "unhealthy" in run.stderr
    assert project.states().get("stack_front_1") in (None, "created")


def test_one_off_commands(project):
    run = project.compose("run", "--rm", "-T", "--no-deps", "front", "sh", "-c", "echo $PROJECT; exit 3", check=False)
    assert run.returncode == 3 and run.stdout == "stack\n"
    assert project.compose("config", "--services").stdout.split() == ["store", "front"]


def describe(engine, project, services):
    """{service: what inspect says of it and it looks like from inside}, but for what differs by nature."""
    project.compose("up", "-d")
    found = {}
    for service in services:
        name = f"everything_{service}_1"
        one = json.loads(engine.docker("inspect", name).stdout)[0]
        host = one["HostConfig"]
        inside = engine.docker("exec", name, "sh", "-c", INSIDE).stdout
        found[service] = {
            "inside": inside.replace(str(project.directory), "").splitlines(),
            "mounts": sorted((mount["Type"], mount["Destination"], mount["RW"], mount["Mode"]) for mount in one["Mounts"]),
            "networks": {name: [sorted(set(network["Aliases"]) - {one["Id"][:12]} - {"one-host"}), network["IPAMConfig"],
                                network["Links"]] for name, network in one["NetworkSettings"]["Networks"].items()},
            "config": {key: value or None for key, value in one["Config"].items()
                       if key not in ("Labels", "Image") and (key != "Hostname" or value != one["Id"][:12])},
            "host": {key: host.get(key) or None for key in (
                "Memory", "MemorySwap", "MemoryReservation", "NanoCpus", "CpuShares", "CpusetCpus", "PidsLimit", "ShmSize", "OomScoreAdj",
                "SecurityOpt", "CapAdd", "CapDrop", "Dns", "DnsOptions", "DnsSearch", "ExtraHosts", "GroupAdd", "Init", "LogConfig",
                "PortBindings", "ReadonlyRootfs", "Sysctls", "Tmpfs", "Ulimits", "Devices", "IpcMode", "UTSMode")},
            "labels": {key: value for key, value in one["Config"]["Labels"].items() if not key.startswith("com.docker.compose.")}}
    return found


@pytest.mark.parametrize("stack,services", [(EVERYTHING, ("one", "two", "three")), (DEPLOYED, ("web",))], ids=["2.4", "3.8"])
def test_everything_that_a_file_can_say(cluster, dockerd, tmp_path, stack, services):
    dockerd.docker("import", "--change", 'CMD ["sh"]', "-", "busybox:latest", input=images.busybox_tar(), text=False)
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "a.txt").write_text("A\n")
    (tmp_path / "one.env").write_text("A=1\n# not this\nX=y z\n")
    seen = []
    for engine in (cluster, dockerd):
        project = Project(engine, tmp_path, stack, "everything")
        try:
            seen.append(describe(engine, project, services))
        finally:
            project.compose("down", "-v", "-t", "0", check=False)
    for service in services:
        for part in seen[0][service]:
            assert seen[0][service][part] == seen[1][service][part], (service, part)
