"""The real things that Slipway is compared with and talks to, each with state of its own."""

import json
import os
import pathlib
import shutil
import subprocess
import tempfile

from cluster import free_port_range, wait_until


class Peer:
    """A daemon that the test starts and ends by its pid."""

    def __init__(self, name):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix=f"peer-{name}-", dir="/var/tmp"))
        self.process = None

    def start(self, *command, env=None):
        with (self.dir / "log").open("ab") as log:
            self.process = subprocess.Popen(list(map(str, command)), stdout=log, stderr=log,
                                            stdin=subprocess.DEVNULL, env=env, start_new_session=True)

    def log(self):
        return (self.dir / "log").read_text()[-3000:]

    def close(self):
        if self.process is not None:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        shutil.rmtree(self.dir, ignore_errors=True)


class Registry(Peer):
    """Debian's docker-registry on a loopback port."""

    def __init__(self, **config_sections):
        super().__init__("registry")
        self.port = free_port_range(1)
        self.address = f"127.0.0.1:{self.port}"
        config = self.dir / "config.yml"
        config.write_text(json.dumps({
            "version": 0.1, "log": {"level": "error"},
            "storage": {"filesystem": {"rootdirectory": str(self.dir / "data")}, "delete": {"enabled": True}},
            "http": {"addr": self.address}, **config_sections}))
        self.start("docker-registry", "serve", config)
        wait_until(self.answers, "the registry answers")

    def answers(self):
        probe = subprocess.run(["curl", "-so", "/dev/null", "-w", "%{http_code}", f"http://{self.address}/v2/"],
                               capture_output=True)
        return probe.stdout in (b"200", b"401")

    def push(self, source, name):
        """`source` as skopeo names it (oci:dir:tag, docker-archive:file)."""
        subprocess.run(["skopeo", "copy", "-q", "--insecure-policy", "--dest-tls-verify=false", source,
                        f"docker://{self.address}/{name}"], check=True, capture_output=True, timeout=600)
        return f"{self.address}/{name}"


class Dockerd(Peer):
    """Debian's dockerd, on a socket of its own and with no network of its own unless asked. In a network namespace it
    has its default bridge and makes its own rules."""

    def __init__(self, bridge=None, options=(), namespace=None):
        super().__init__("dockerd")
        self.socket = self.dir / "docker.sock"
        self.bridge = bridge
        self.namespace = namespace
        options = ["--bridge=none", *options]
        if bridge is not None:
            subprocess.run(["ip", "link", "add", bridge, "type", "bridge"], check=True)
            subprocess.run(["ip", "addr", "add", "172.27.255.1/24", "dev", bridge], check=True)
            subprocess.run(["ip", "link", "set", bridge, "up"], check=True)
            options = [f"--bridge={bridge}", *options[1:]]
        rules = ["--iptables=false", "--ip6tables=false"]
        within = []
        if namespace is not None:
            options = options[1:]
            rules = ["--iptables=true"]
            within = ["nsenter", f"--net=/run/netns/{namespace}"]
        self.start(*within, "dockerd", "--data-root", self.dir / "data", "--exec-root", self.dir / "exec", "-H",
                   f"unix://{self.socket}", "--pidfile", self.dir / "pid", *rules, *options)
        self.env = {**os.environ, "DOCKER_HOST": f"unix://{self.socket}", "DOCKER_CONFIG": str(self.dir / "config")}
        wait_until(lambda: self.docker("version", check=False).returncode == 0, "dockerd answers", 30)

    def docker(self, *arguments, check=True, input=None, text=True, timeout=120):
        return subprocess.run(["/usr/bin/docker", *map(str, arguments)], env=self.env, check=check, input=input,
                              capture_output=True, text=text, timeout=timeout)

    def close(self):
        ids = self.docker("ps", "-aq", check=False).stdout.split()
        if ids:
            self.docker("rm", "-f", *ids, check=False)
        super().close()
        # It leaves this one mounted.
        subprocess.run(["umount", self.dir / "exec" / "netns" / "default"], capture_output=True)
        shutil.rmtree(self.dir, ignore_errors=True)
        if self.bridge is not None:
            subprocess.run(["ip", "link", "delete", self.bridge], capture_output=True)
