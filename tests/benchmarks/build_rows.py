"""Rows of the table that are about builds."""

import pathlib
import random
import shutil
import statistics
import subprocess
import tempfile

from rows import run_cli, timed, turns


class Context:
    """A directory with a Dockerfile."""

    def __init__(self, dockerfile):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="swbench-", dir="/var/tmp"))
        (self.dir / "Dockerfile").write_text(dockerfile)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        shutil.rmtree(self.dir, ignore_errors=True)


def build(peer, directory, *options):
    env = {**peer.env, "DOCKER_BUILDKIT": "0"}
    return timed(subprocess.run, ["/usr/bin/docker", "build", "-q", "--network", "none", *options, str(directory)],
                 check=True, capture_output=True, env=env)


def rebuild(peer, directory):
    seconds = build(peer, directory, "--no-cache", "-t", "built:1")
    run_cli(peer, "rmi", "built:1")
    return seconds


def row_build_copy(bench):
    total = (110 if bench.short else 1100) << 20
    with Context("FROM busybox\n" + "".join(f"COPY {i} /{i}\n" for i in range(5))) as context:
        source = random.Random(1)
        for i in range(5):
            (context.dir / str(i)).mkdir()
            for name in range(10):
                # Half of it can be compressed, as of programs.
                block = source.randbytes(32 << 10) + bytes(32 << 10)
                (context.dir / str(i) / str(name)).write_bytes(block * (total // 50 // len(block)))
        values = turns(bench, 1, lambda peer: rebuild(peer, context.dir))
        bench.add(f"docker build of 5 COPY layers, {total / 1e9:.2g} GB", "s", values)


def row_build_small_files(bench):
    count = 5_000 if bench.short else 50_000
    with Context("FROM busybox\nCOPY . /all\n") as context:
        for i in range(count):
            path = context.dir / str(i // 500)
            path.mkdir(exist_ok=True)
            (path / str(i)).write_text(f"file {i}\n" * 20)
        bench.add(f"docker build with {count} small files", "s",
                  turns(bench, 1, lambda peer: rebuild(peer, context.dir)))


def row_build_steps(bench):
    """Steps that ran before, and what a RUN costs beside what it runs."""
    with Context("FROM busybox\n" + "".join(f"ENV v{i}={i}\n" for i in range(10))) as cached, \
            Context("FROM busybox\n" + "RUN true\n" * 10) as run, Context("FROM busybox\nENV a=b\n") as nothing:
        for peer in bench.both:
            build(peer, cached.dir)
            build(peer, nothing.dir)
        values = turns(bench, 5, lambda peer: build(peer, cached.dir))
        bench.add("docker build, 10 cached steps", "ms", {k: v * 1e3 for k, v in values.items()})
        floor = statistics.median(build(bench.ours, nothing.dir) for _ in range(5))
        values = turns(bench, 1 if bench.short else 5, lambda peer: rebuild(peer, run.dir))
        bench.add("docker build, a RUN step", "ms", {k: (v - floor) * 100 for k, v in values.items()})


BUILD_ROWS = {"build-copy": row_build_copy, "build-files": row_build_small_files, "build-steps": row_build_steps}
