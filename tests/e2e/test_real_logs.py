"""Searching what nginx, PostgreSQL and dpkg log."""

import pathlib
import subprocess

import images
import pytest
import real_logs
from cluster import wait_until


@pytest.fixture(scope="module")
def stack(shared_cluster):
    with open(images.stack_root(), "rb") as tar:
        subprocess.run(["/usr/bin/docker", "import", "-", "stack"], stdin=tar, env=shared_cluster.env, check=True,
                       capture_output=True, timeout=120)
    return "stack"


def test_every_needle_is_found_and_each_log_is_packed(cluster, stack):
    requests = 40000
    needles = real_logs.run(cluster.docker, stack, requests=requests, transactions=3000, copies=60)
    names = list(needles)
    for _ in range(2):
        run = cluster.slipway("logs", *names, "--search", "needle")
        found = run.stdout.splitlines() + run.stderr.splitlines()  # PostgreSQL logs to stderr
        by_name = {name: [line for line in found if line.split("|")[0].strip() == name] for name in names}
        assert {name: len(lines) for name, lines in by_name.items()} == needles
        assert [line.split("GET /needle/")[1].split(" ")[0] for line in by_name["web"]] == \
            [str(i) for i in range(0, requests, real_logs.RARE)]
        # Any reader finds the same.
        for name in names:
            run = subprocess.run(f"docker logs {name} 2>&1 | grep -c needle", shell=True, env=cluster.env,
                                 capture_output=True, text=True, check=True)
            assert int(run.stdout) == needles[name], name
        counted = cluster.slipway("logs", "web", "--count", "-e", r'"GET /[^"]* HTTP/1\.1" 200 \d+ "http://shop').stdout
        assert counted == f"{requests}\n"
        # And again when all is packed.
        directories = {name: pathlib.Path(cluster.dir) / "root" / "log" / "containers" / cluster.docker(
            "inspect", "-f", "{{.Id}}", name).stdout.strip() for name in names}
        wait_until(lambda: all(map(real_logs.is_sealed, directories.values())), "all is sealed", 60)
    for name, directory in directories.items():
        text = len(cluster.docker("logs", name).stdout) + len(cluster.docker("logs", name).stderr)
        packed = sum(path.stat().st_size for path in directory.iterdir())
        print(f"{name}: {text} bytes of text, {packed} on disk")
        assert packed <= text / 5, name
