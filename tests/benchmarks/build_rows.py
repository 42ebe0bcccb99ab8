"""Rows of the table that are about builds."""

import io
import json
import pathlib
import random
import shutil
import statistics
import subprocess
import tarfile
import tempfile

import images
from rows import UnixClient, run_cli, timed, turns


class Context:
    """A directory with a Dockerfile."""

    def __init__(self, dockerfile):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="swbench-", dir="/var/tmp"))
        (self.dir / "Dockerfile").write_text(dockerfile)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        shutil.rmtree(self.dir, ignore_errors=True)


class Buildah:
    """buildah with state of its own, and the same base."""

    name = "buildah"

    def __init__(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="swbench-", dir="/var/tmp"))
        (self.dir / "policy.json").write_text(json.dumps({"default": [{"type": "insecureAcceptAnything"}]}))
        (self.dir / "busybox.tar").write_bytes(images.busybox_tar())
        container = self.run("from", "scratch").stdout.decode().strip()
        self.run("add", container, self.dir / "busybox.tar", "/")
        self.run("commit", "--signature-policy", self.dir / "policy.json", container, "localhost/busybox:latest")

    def run(self, *arguments, cwd=None):
        return subprocess.run(["buildah", "--root", self.dir / "root", "--runroot", self.dir / "run", "--storage-driver",
                               "overlay", *map(str, arguments)], check=True, capture_output=True, cwd=cwd)

    def build(self, directory, *options):
        # crun 1.8 refuses hybrid cgroups whose v2 side has a controller.
        return self.run("bud", "--layers", "--network", "none", "--runtime", "runc", "--signature-policy",
                        self.dir / "policy.json", *options, directory)

    def close(self):
        for command in (("rm", "--all"), ("rmi", "--all", "--force")):
            self.run(*command)
        # Its store is a mount of its own.
        subprocess.run(["umount", self.dir / "root" / "overlay"], capture_output=True)
        shutil.rmtree(self.dir, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()


def build(peer, directory, *options):
    if isinstance(peer, Buildah):
        return timed(peer.build, directory, *options)
    env = {**peer.env, "DOCKER_BUILDKIT": "0"}
    return timed(subprocess.run, ["/usr/bin/docker", "build", "-q", "--network", "none", *options, str(directory)],
                 check=True, capture_output=True, env=env)


def rebuild(peer, directory):
    seconds = build(peer, directory, "--no-cache", "-t", "built:1")
    if isinstance(peer, Buildah):
        peer.run("rmi", "built:1")
    else:
        run_cli(peer, "rmi", "built:1")
    return seconds


def row_build_copy(bench):
    total = (110 if bench.short else 1100) << 20
    with Context("FROM busybox\n" + "".join(f"COPY {i} /{i}\n" for i in range(5))) as context, Buildah() as buildah:
        source = random.Random(1)
        for i in range(5):
            (context.dir / str(i)).mkdir()
            for name in range(10):
                # Half of it can be compressed, as of programs.
                block = source.randbytes(32 << 10) + bytes(32 << 10)
                (context.dir / str(i) / str(name)).write_bytes(block * (total // 50 // len(block)))
        values = turns(bench, 1 if bench.short else 3, lambda peer: rebuild(peer, context.dir), (*bench.both, buildah))
        bench.add(f"build of 5 COPY layers, {total / 1e9:.2g} GB", "s", values)


def row_build_small_files(bench):
    count = 5_000 if bench.short else 50_000
    with Context("FROM busybox\nCOPY . /all\n") as context, Buildah() as buildah:
        for i in range(count):
            path = context.dir / str(i // 500)
            path.mkdir(exist_ok=True)
            (path / str(i)).write_text(f"file {i}\n" * 20)
        bench.add(f"build with {count} small files", "s",
                  turns(bench, 1, lambda peer: rebuild(peer, context.dir), (*bench.both, buildah)))


def dockerfile_tar(text):
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:
        info = tarfile.TarInfo("Dockerfile")
        info.size = len(text)
        tar.addfile(info, io.BytesIO(text.encode()))
    return data.getvalue()


def request_build(client, tar, query=""):
    """A build without the client's process: seconds from the request to the end of its answer."""
    def request():
        answer = client.call("POST", f"/build?networkmode=none&rm=1{query}", tar)
        assert b"Successfully built" in answer, answer[-500:]

    return timed(request)


def row_build_steps(bench):
    """Steps that ran before, and what a RUN costs beside what it runs; both on the side of the server."""
    cached = dockerfile_tar("FROM busybox\n" + "".join(f"ENV v{i}={i}\n" for i in range(10)))
    run = dockerfile_tar("FROM busybox\n" + "RUN true\n" * 10)
    nothing = dockerfile_tar("FROM busybox\nENV a=b\n")
    clients = {peer.name: UnixClient(peer.socket) for peer in bench.both}
    count = 3 if bench.short else 20
    values = turns(bench, count, lambda peer: request_build(clients[peer.name], cached))
    bench.add("build of 10 cached steps, at the server", "ms", {k: v * 1e3 for k, v in values.items()})
    floor = {name: statistics.median(request_build(client, nothing) for _ in range(5)) for name, client in clients.items()}
    values = turns(bench, 1 if bench.short else 5, lambda peer: request_build(clients[peer.name], run, "&nocache=1"))
    bench.add("build: a RUN step, at the server", "ms", {k: (v - floor[k]) * 100 for k, v in values.items()})
    with Context("FROM busybox\n" + "".join(f"ENV v{i}={i}\n" for i in range(10))) as context, Buildah() as buildah:
        values = turns(bench, count, lambda peer: build(peer, context.dir), (*bench.both, buildah))
        bench.add("build of 10 cached steps, with the client", "ms", {k: v * 1e3 for k, v in values.items()})
        (context.dir / "Dockerfile").write_text("FROM busybox\n" + "RUN true\n" * 10)
        values = turns(bench, 1 if bench.short else 3, lambda peer: rebuild(peer, context.dir), (*bench.both, buildah))
        bench.add("build of 10 RUN steps, with the client", "ms", {k: v * 1e3 for k, v in values.items()})


BUILD_ROWS = {"build-copy": row_build_copy, "build-files": row_build_small_files, "build-steps": row_build_steps}
