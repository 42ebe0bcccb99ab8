"""Debian's docker-compose drives stacks against the Docker API."""

import json
import subprocess

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


class Project:
    def __init__(self, cluster, directory, stack, name="stack"):
        self.cluster = cluster
        self.directory = directory
        self.name = name
        self.write(stack)

    def write(self, stack):
        (self.directory / "docker-compose.yml").write_text(yaml.safe_dump(stack))

    def compose(self, *arguments, check=True, timeout=120):
        run = subprocess.run(["/usr/bin/docker-compose", "--no-ansi", "-p", self.name, *map(str, arguments)], cwd=self.directory,
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
