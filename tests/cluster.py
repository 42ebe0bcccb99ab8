"""An instance of Slipway of a test's own: own state, sockets, names, subnet and ports, made by deploy/up."""

import contextlib
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import docker

SOURCE = pathlib.Path(__file__).resolve().parents[1]
SERVICES = ("log", "image", "agent", "container", "build", "gateway")

# The agent keeps so many network namespaces ready.
READY_NAMESPACES = 8


def free_port_range(count):
    """The first of `count` consecutive loopback ports that nobody listens on."""
    while True:
        first = random.randrange(20000, 30000)
        sockets = []
        try:
            for port in range(first, first + count):
                probe = socket.socket()
                sockets.append(probe)
                probe.bind(("127.0.0.1", port))
            return first
        except OSError:
            continue
        finally:
            for probe in sockets:
                probe.close()


def is_gone(pid):
    """Ended, whether somebody has asked for its exit code or not."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] in "ZX"
    except OSError:
        return True


def wait_until(condition, what, seconds=10.0):
    """Polls until `condition()` is true; its value is returned."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what() if callable(what) else what}")
        time.sleep(0.02)


class Cluster:
    def __init__(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="sw-", dir="/var/tmp"))
        self.dir.chmod(0o755)
        self.prefix = "swt" + self.dir.name[-4:].lower().replace("_", "x")
        self.subnet = f"172.28.{random.randrange(0, 250)}.0/24"
        self.network_pool = f"10.{random.randrange(100, 250)}.{random.randrange(0, 16) * 16}.0/20"
        self.port_base = free_port_range(6)
        self.run_dir = self.dir / "run"
        self.socket = self.run_dir / "docker.sock"
        self.env = {**os.environ, "DOCKER_HOST": f"unix://{self.socket}", "DOCKER_CONFIG": str(self.dir / "config"),
                    "SLIPWAY_HOST": f"unix://{self.run_dir}/slipway.sock"}

    def command(self, script):
        """How a script of deploy/ is started."""
        return [SOURCE / "deploy" / script]

    def deploy(self, script, *options, check=True):
        run = subprocess.run(
            [*self.command(script), "--root", self.dir / "root", "--run-dir", self.run_dir, "--log-dir",
             self.dir / "logs", "--bin-dir", self.dir / "bin", "--prefix", self.prefix, "--subnet", self.subnet,
             "--network-pool", self.network_pool,
             "--port-base", str(self.port_base), *options],
            capture_output=True, text=True, timeout=900)
        if check and run.returncode != 0:
            raise AssertionError(f"deploy/{script} failed:\n{run.stdout}\n{run.stderr}")
        return run

    def up(self):
        """Installs what is built (the first time) and starts what does not run."""
        installed = (self.dir / "bin").exists()
        self.deploy("up", "--no-demo", *(["--no-build"] if installed else []))
        watched = os.environ.get("SLIPWAY_WATCHED_GATEWAY")
        if watched and not installed:
            self.kill("gateway")
            shutil.copy(watched, self.dir / "bin" / "watched")
            (self.dir / "bin" / "watched").rename(self.dir / "bin" / "slipway-gateway")
            self.deploy("up", "--no-demo", "--no-build")

    def close(self):
        try:
            self.up()
            ids = self.docker("ps", "-aq").stdout.split()
            if ids:
                self.docker("rm", "-f", *ids, timeout=60)
            self.docker("network", "prune", "-f")
        finally:
            self.deploy("down", "--all", check=False)
            self.remove_kernel_objects()
            shutil.rmtree(self.dir, ignore_errors=True)

    def remove_kernel_objects(self):
        """What outlives every process by design: the bridge, the firewall table and the cgroup parents."""
        for link in self.links():
            subprocess.run(["ip", "link", "delete", link], capture_output=True)
        for family in ("inet", "ip", "ip6", "bridge"):
            subprocess.run(["nft", "delete", "table", family, self.prefix], capture_output=True)
        for group in pathlib.Path("/sys/fs/cgroup").glob(f"*/{self.prefix}"):
            with contextlib.suppress(OSError):
                group.rmdir()

    def links(self):
        """The interfaces of networks on the host, which are marked as this instance's."""
        links = json.loads(subprocess.run(["ip", "-j", "-d", "link"], check=True, capture_output=True).stdout)
        return [link["ifname"] for link in links if link["ifname"] == f"{self.prefix}0" or
                link.get("ifalias", "").startswith(f"slipway/{self.prefix}/")]

    def docker(self, *arguments, check=True, input=None, timeout=60, binary="/usr/bin/docker", text=True):
        run = subprocess.run([binary, *map(str, arguments)], env=self.env, input=input, capture_output=True,
                             text=text, timeout=timeout)
        if check and run.returncode != 0:
            raise AssertionError(f"docker {' '.join(map(str, arguments))} exited with {run.returncode}:\n"
                                 f"{run.stdout}\n{run.stderr}")
        return run

    def slipway(self, *arguments, check=True, input=None, timeout=60, text=True):
        return self.docker(*arguments, check=check, input=input, timeout=timeout, text=text,
                           binary=str(self.dir / "bin" / "slipway"))

    def client(self):
        return docker.DockerClient(base_url=f"unix://{self.socket}", timeout=60)

    def pid(self, service):
        return int((self.run_dir / f"{service}.pid").read_text())

    def kill(self, *services):
        """kill -9, and waits until they are gone."""
        pids = [self.pid(service) for service in services]
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        for pid in pids:
            wait_until(lambda: is_gone(pid), f"end of process {pid}", 30)

    def logs(self):
        """The services' own logs, to be shown when a test fails."""
        return "\n".join(f"--- {path.name}\n{path.read_text()[-4000:]}"
                         for path in sorted((self.dir / "logs").glob("*.log")))

    def busybox(self):
        """The id of a busybox image, tagged `busybox`."""
        found = self.docker("images", "-q", "busybox").stdout.split()
        if found:
            return found[0]
        tar = subprocess.run([SOURCE / "deploy" / "busybox-root"], check=True, capture_output=True).stdout
        return self.docker("import", "--change", 'CMD ["sh"]', "-", "busybox:latest", input=tar,
                           text=False).stdout.decode().strip()

    def kernel_objects(self):
        """What this instance has on the host for its containers: cgroups and mounts, and how many interfaces are on
        the bridge (a few wait there for the next container)."""
        cgroups = sorted(str(path) for path in pathlib.Path("/sys/fs/cgroup").glob(f"*/{self.prefix}/*")
                         if path.is_dir())
        mounts = [line for line in pathlib.Path("/proc/self/mounts").read_text().splitlines()
                  if str(self.dir) in line or self.prefix in line]
        links = subprocess.run(["ip", "-o", "link"], capture_output=True, text=True).stdout
        return cgroups, mounts, sum(f"master {self.prefix}0" in line for line in links.splitlines())

    def is_clean(self):
        """Nothing of any container is left on the host."""
        cgroups, mounts, links = self.kernel_objects()
        return not cgroups and not mounts and links <= READY_NAMESPACES
