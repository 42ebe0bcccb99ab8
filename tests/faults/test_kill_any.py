"""Any of our processes, one or several at the same instant, is killed with -9 at a random moment under a load of
starting, logging and exec-ing containers: no container is lost, no line lost or doubled, no exit code lost, and
nothing is left behind."""

import contextlib
import os
import pathlib
import random
import signal
import socket
import struct
import subprocess
import threading
import time

import docker
import pytest
import requests
from cluster import SERVICES, is_gone, wait_until

LONG = "faults" in os.environ.get("SLIPWAY_LONG", "")
KILLS = 500 if LONG else 25
PATIENCE = 60


def our_processes(cluster):
    """Keeper and supervisor, those that live: {"keeper": pid, "supervisor": pid}. By the status page (status_page.h): a
    process that is being started looks like the supervisor that it was cloned from."""
    found = {}
    try:
        pids = struct.unpack("<ii", (cluster.run_dir / "supervisor.status").read_bytes()[16:24])
    except (OSError, struct.error):
        return found
    for name, pid in zip(("supervisor", "keeper"), pids):
        try:
            command = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if command[:2] == [b"slipway-supervisor", name.encode()]:
            found[name] = pid
    return found


def kill_at_once(pids):
    """All stop before the first dies, so that none can react to the death of another."""
    alive = []
    for pid in pids:
        try:
            os.kill(pid, signal.SIGSTOP)
            alive.append(pid)
        except ProcessLookupError:
            pass
    for pid in alive:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    for pid in alive:
        wait_until(lambda: is_gone(pid), f"end of process {pid}", 30)


class Refused(Exception):
    """The platform is there and said no."""


class Platform:
    """The Docker API of a platform whose services come and go: what cannot be reached is asked again, and what may
    have been done is looked at before it is done again."""

    def __init__(self, cluster):
        self.cluster = cluster
        self.local = threading.local()

    @property
    def api(self):
        if not hasattr(self.local, "api"):
            self.local.api = docker.APIClient(base_url=f"unix://{self.cluster.socket}", version="1.41", timeout=20)
        return self.local.api

    def again(self, what, call):
        """`call` until the platform answers it."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                return call()
            except docker.errors.NotFound:
                raise
            except docker.errors.APIError as error:
                # 5xx: a service behind the gateway is away.
                if error.response is not None and error.response.status_code < 500:
                    raise Refused(f"{what}: {error}") from error
                last = error
            except (requests.exceptions.RequestException, docker.errors.DockerException, OSError) as error:
                last = error
            if time.monotonic() > deadline:
                raise AssertionError(f"{what}: not within {PATIENCE} s: {last}")
            time.sleep(0.02)

    def state(self, name):
        return self.again(f"inspect {name}", lambda: self.api.inspect_container(name))["State"]

    def create(self, name, script):
        """Once it was answered with success, the container has to be there."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                return self.again(f"create {name}",
                                  lambda: self.api.create_container("busybox", ["sh", "-c", script], name=name))
            except Refused as error:
                assert "already in use" in str(error) and time.monotonic() < deadline, error
            # An earlier try, whose answer did not get through, has the name: it gets somewhere, or gives it up.
            with contextlib.suppress(docker.errors.NotFound):
                return self.state(name)
            time.sleep(0.05)

    def run(self, name, script):
        """A start that was not answered is given time to show: what was begun the platform finishes by itself, and one
        that is asked for again too soon may run a short program twice."""
        self.create(name, script)
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                return self.api.start(name)
            except (requests.exceptions.RequestException, docker.errors.DockerException, OSError) as error:
                assert time.monotonic() < deadline, f"start {name}: {error}"
            with contextlib.suppress(AssertionError):
                return wait_until(lambda: self.state(name)["Status"] != "created", "it began", 3)

    def exit_code(self, name):
        return wait_until(lambda: (lambda s: (s["ExitCode"],) if s["Status"] == "exited" else None)(self.state(name)),
                          f"{name} ends", PATIENCE)[0]

    def logs(self, name):
        return self.again(f"logs {name}", lambda: self.api.logs(name)).decode()

    def expect_log(self, name, expected):
        """What is missing may be on its way; what is wrong or doubled will stay."""
        deadline = time.monotonic() + PATIENCE
        while (text := self.logs(name)) != expected:
            if not expected.startswith(text):
                at = next(i for i in range(len(text)) if text[i:i + 1] != expected[i:i + 1])
                raise AssertionError(f"{name} logged {len(text)} bytes, not {len(expected)}, from {self.times_of_first_line(name)} on; at {at}: "
                                     f"{text[max(0, at - 40):at + 40]!r}, not {expected[max(0, at - 40):at + 40]!r}")
            assert time.monotonic() < deadline, f"{name}: {len(text)} of {len(expected)} bytes"
            time.sleep(0.1)

    def times_of_first_line(self, name):
        """Two when the program ran twice; one twice when a record was stored twice."""
        lines = self.api.logs(name, timestamps=True).decode().splitlines()
        return [line.split(" ", 1)[0] for line in lines if line.split(" ", 1)[1:] == lines[0].split(" ", 1)[1:]]

    def remove(self, name):
        try:
            self.again(f"remove {name}", lambda: self.api.remove_container(name, force=True))
        except (docker.errors.NotFound, Refused):
            pass  # an earlier try got through

    def exec(self, name, script):
        """The exit code of an exec, or None when nobody can tell whether it began."""
        try:
            exec_id = self.api.exec_create(name, ["sh", "-c", script])["Id"]
            self.api.exec_start(exec_id, detach=True)
        except (requests.exceptions.RequestException, docker.errors.DockerException, OSError):
            return None
        deadline = time.monotonic() + PATIENCE
        while True:
            found = self.again(f"inspect exec {exec_id}", lambda: self.api.exec_inspect(exec_id))
            if not found["Running"] and found["ExitCode"] is not None:
                return found["ExitCode"]
            assert time.monotonic() < deadline, f"exec {exec_id} of {name} does not end: {found}"
            time.sleep(0.02)


class Load:
    """Threads that use the platform until told to stop; what they find wrong ends the test."""

    def __init__(self, cluster):
        self.platform = Platform(cluster)
        self.stop = threading.Event()
        self.wrong = []
        self.done = {"containers": 0, "execs": 0}
        self.loggers = [f"logger{i}" for i in range(3)]
        for name in self.loggers:
            self.platform.run(name, "i=0; while [ ! -e /stop ]; do i=$((i+1)); echo line $i; usleep 3000; done; exit 17")
        self.threads = [threading.Thread(target=self.guard, args=(work, number))
                        for number, work in enumerate((self.start_containers, self.start_containers, self.exec_in_loggers))]
        for thread in self.threads:
            thread.start()

    def guard(self, work, number):
        try:
            work(number)
        except BaseException as error:  # pylint: disable=broad-except
            self.wrong.append(error)

    def start_containers(self, number):
        count = 0
        while not self.stop.is_set():
            count += 1
            name, code, lines = f"short{number}-{count}", count % 120 + 1, count * 37 % 400
            self.platform.run(name, f"i=0; while [ $i -lt {lines} ]; do i=$((i+1)); echo {name} $i; done; exit {code}")
            found = self.platform.exit_code(name)
            assert found == code, f"{name} exited with {found}, not {code}"
            self.platform.expect_log(name, "".join(f"{name} {i}\n" for i in range(1, lines + 1)))
            self.platform.remove(name)
            self.done["containers"] += 1

    def exec_in_loggers(self, _):
        count = 0
        while not self.stop.is_set():
            count += 1
            code = count % 120 + 1
            found = self.platform.exec(self.loggers[count % 3], f"echo {count} >>/execs; exit {code}")
            assert found in (None, code), f"exec {count} exited with {found}, not {code}"
            self.done["execs"] += found is not None

    def finish(self):
        self.stop.set()
        for thread in self.threads:
            thread.join(3 * PATIENCE)
            assert not thread.is_alive()

    def check_loggers(self):
        for name in self.loggers:
            assert self.platform.state(name)["Status"] == "running", f"{name} was lost"
            while self.platform.exec(name, "touch /stop") is None:
                time.sleep(0.1)
        for name in self.loggers:
            assert self.platform.exit_code(name) == 17
            text = self.platform.logs(name)
            last = int(text.rsplit(" ", 1)[1])
            self.platform.expect_log(name, "".join(f"line {i}\n" for i in range(1, last + 1)))
            self.platform.remove(name)


def open_files(pid, but_of):
    """What a process has open. A RocksDB has more files the more often it was opened, up to bounds of its own."""
    found = []
    for fd in pathlib.Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            target = os.readlink(fd)
            if not target.startswith(f"{but_of}/"):
                found.append(target)
    return sorted(found)


def descriptors(cluster):
    pids = {**our_processes(cluster), "agent": cluster.pid("agent")}
    return {name: len(open_files(pid, cluster.dir / "root" / "agent" / "db")) for name, pid in pids.items()}


def network_namespaces(cluster):
    """Of processes of this instance: those that its agent holds open."""
    held = 0
    for fd in pathlib.Path(f"/proc/{cluster.pid('agent')}/fd").iterdir():
        try:
            held += os.readlink(fd).startswith("net:[")
        except OSError:
            pass
    return held


def leftovers(cluster):
    """What of containers is on the host: none when there are none."""
    found = [f"{kind}: {item}" for kind, items in zip(("cgroup", "mount"), cluster.kernel_objects()) for item in items]
    for name in ("containers", "spool", "stage"):
        found += [str(path) for path in (cluster.dir / "root" / "agent" / name).iterdir()]
    return found


def expect_nothing_left(cluster, before):
    wait_until(lambda: not leftovers(cluster), lambda: f"nothing is left: {leftovers(cluster)}", 30)
    wait_until(cluster.is_clean, "no veth is left", 30)
    for name, count in before.items():
        wait_until(lambda: descriptors(cluster).get(name, 1000) <= count + 8,
                   lambda: f"descriptors of {name}: {descriptors(cluster)}, before {before}; the agent's: "
                   f"{open_files(cluster.pid('agent'), cluster.dir / 'root' / 'agent' / 'db')}", 30)


def warm_descriptors(cluster):
    """Of an instance that has run a container and an exec once, and has let go of them."""
    cluster.docker("run", "-d", "--name", "warm", "busybox", "sleep", "1000")
    cluster.docker("exec", "warm", "true")
    cluster.docker("rm", "-f", "warm")
    wait_until(cluster.is_clean, "the first container is gone", 20)
    time.sleep(1.5)  # the pool of ready namespaces fills again
    return descriptors(cluster)


def choose_victims(chooser):
    """One process mostly, several at once sometimes, all services at once now and then. Agent, supervisor and keeper
    together are another test: then there are ends that nobody can know of."""
    everyone = [*SERVICES, "supervisor", "keeper"]
    kind = chooser.random()
    if kind < 0.5:
        return [chooser.choice(everyone)]
    if kind < 0.65:
        return ["supervisor", "keeper"]
    if kind < 0.75:
        return list(SERVICES)
    victims = chooser.sample(everyone, chooser.randrange(2, len(everyone)))
    if {"agent", "supervisor", "keeper"} <= set(victims):
        victims.remove(chooser.choice(["agent", "supervisor", "keeper"]))
    return victims


def test_kill_any(own_cluster):
    cluster = own_cluster
    before = warm_descriptors(cluster)
    seed = int(os.environ.get("SLIPWAY_SEED", random.randrange(1 << 30)))
    print("SLIPWAY_SEED", seed)
    chooser = random.Random(seed)
    load = Load(cluster)
    kills = 0
    try:
        while kills < KILLS and not load.wrong:
            time.sleep(chooser.random() * 0.3)
            wait_until(lambda: len(our_processes(cluster)) == 2, "supervisor and keeper run", 20)
            pids = {**our_processes(cluster), **{name: cluster.pid(name) for name in SERVICES}}
            victims = choose_victims(chooser)
            kill_at_once([pids[name] for name in victims])
            print("killed", *victims)
            kills += len(victims)
            if set(victims) & set(SERVICES):
                cluster.up()
    finally:
        load.finish()
    print(f"{kills} kills, {load.done}")
    assert not load.wrong, load.wrong
    assert load.done["containers"] > 5 and load.done["execs"] > 5
    load.check_loggers()
    expect_nothing_left(cluster, before)


def test_agent_supervisor_and_keeper_at_once(own_cluster):
    """Nobody is left who holds a descriptor: what runs goes on and loses no line; what ends in that moment is said to
    have ended in a way that nobody knows."""
    cluster = own_cluster
    before = warm_descriptors(cluster)
    platform = Platform(cluster)
    # More than its pipe takes: it cannot end while nobody reads.
    platform.run("counter", "i=0; while [ $i -lt 12000 ]; do i=$((i+1)); echo line $i; usleep 300; done; exit 17")
    platform.run("ends", "sleep 1; exit 7")
    kill_at_once([*our_processes(cluster).values(), *(cluster.pid(name) for name in SERVICES)])
    time.sleep(1.5)
    cluster.up()
    assert platform.exit_code("counter") == 17
    platform.expect_log("counter", "".join(f"line {i}\n" for i in range(1, 12001)))
    # Known only where the host's init had not reaped it yet; otherwise said to be unknown.
    assert platform.exit_code("ends") in (7, 255)
    platform.run("next", "exit 3")
    assert platform.exit_code("next") == 3
    for name in ("counter", "ends", "next"):
        platform.remove(name)
    expect_nothing_left(cluster, before)


def test_upgrade_under_load(own_cluster):
    """Supervisor and keeper are replaced by another build, and all services restarted, under load."""
    cluster = own_cluster
    before = warm_descriptors(cluster)
    newer = cluster.dir / "slipway-supervisor"
    newer.write_bytes((cluster.dir / "bin" / "slipway-supervisor").read_bytes() + b"another build")
    newer.chmod(0o755)
    load = Load(cluster)
    try:
        for _ in range(20 if LONG else 6):
            pids = our_processes(cluster)
            subprocess.run([newer, "--run-dir", cluster.run_dir, "--upgrade"], check=True, timeout=20)
            # The same processes. One that has just changed its program has no arguments yet.
            wait_until(lambda: our_processes(cluster) == pids and
                       all(os.stat(f"/proc/{pid}/exe").st_size == newer.stat().st_size for pid in pids.values()),
                       lambda: f"both run the newer build: {our_processes(cluster)}, before {pids}")
            cluster.deploy("down")
            cluster.up()
    finally:
        load.finish()
    assert not load.wrong, load.wrong
    load.check_loggers()
    expect_nothing_left(cluster, before)


def attach_raw(cluster, name):
    """A connection to a container's streams, as `docker attach` makes it."""
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(str(cluster.socket))
    connection.sendall(f"POST /v1.41/containers/{name}/attach?stream=1&stdin=1&stdout=1 HTTP/1.1\r\nHost: x\r\n"
                       "Connection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: 0\r\n\r\n".encode())
    assert b"101" in connection.recv(4096).split(b"\r\n")[0]
    return connection


@pytest.mark.parametrize("victims", [["supervisor"], ["keeper"], ["supervisor", "keeper"]])
def test_terminal_and_stdin_go_on(own_cluster, victims):
    """A container with a terminal or an open stdin is as well off as another."""
    cluster = own_cluster
    loop = "while read x; do [ $x = quit ] && exit {}; echo got $x; done"
    cluster.docker("run", "-dit", "--name", "terminal", "busybox", "sh", "-c", loop.format(4))
    cluster.docker("run", "-di", "--name", "input", "busybox", "sh", "-c", loop.format(5))
    pids = our_processes(cluster)
    kill_at_once([pids[name] for name in victims])
    wait_until(lambda: len(our_processes(cluster)) == 2, "both are there again")
    with attach_raw(cluster, "input") as stdin:
        stdin.sendall(b"one\ntwo\nquit\n")
        assert cluster.docker("wait", "input").stdout == "5\n"
    assert cluster.docker("logs", "input").stdout == "got one\ngot two\n"
    with attach_raw(cluster, "terminal") as terminal:
        terminal.sendall(b"three\nquit\n")
        assert cluster.docker("wait", "terminal").stdout == "4\n"
    assert "got three\n" in cluster.docker("logs", "terminal").stdout
