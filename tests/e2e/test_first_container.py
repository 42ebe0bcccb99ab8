"""The thin path with the stock client: run, logs, exec, stop, rm, and what they print."""

import json
import os
import pty
import re
import select
import subprocess
import time

import pytest

from cluster import wait_until

NEW_DOCKER = "/usr/local/bin/docker"
CLIENTS = ["/usr/bin/docker"] + ([NEW_DOCKER] if os.path.exists(NEW_DOCKER) else [])


@pytest.mark.parametrize("binary", CLIENTS)
def test_run_echo(cluster, binary):
    run = cluster.docker("run", "--rm", "busybox", "echo", "hello", binary=binary)
    assert (run.stdout, run.stderr) == ("hello\n", "")
    assert cluster.docker("ps", "-aq").stdout == ""


def test_stdout_and_stderr_are_apart(cluster):
    run = cluster.docker("run", "--rm", "busybox", "sh", "-c", "echo out; echo err >&2")
    assert (run.stdout, run.stderr) == ("out\n", "err\n")


@pytest.mark.parametrize("code", [0, 1, 42, 255])
def test_exit_code(cluster, code):
    assert cluster.docker("run", "--rm", "busybox", "sh", "-c", f"exit {code}", check=False).returncode == code


def test_exit_code_of_a_signal(cluster):
    run = cluster.docker("run", "--rm", "busybox", "sh", "-c", "kill -9 $$; sleep 5", check=False)
    # Process 1 of a pid namespace takes no signal from inside: the shell goes on to its end.
    assert run.returncode == 0
    cluster.docker("run", "-d", "--name", "killed", "busybox", "sleep", "1000")
    cluster.docker("kill", "killed")
    assert cluster.docker("wait", "killed").stdout == "137\n"


def test_stdin(cluster):
    data = "".join(f"line {i}\n" for i in range(20000))
    run = cluster.docker("run", "--rm", "-i", "busybox", "md5sum", input=data)
    import hashlib
    assert run.stdout.split()[0] == hashlib.md5(data.encode()).hexdigest()


def test_a_big_output_arrives_whole(cluster):
    run = cluster.docker("run", "--rm", "busybox", "sh", "-c", "seq 1 300000; printf end")
    assert run.stdout == "".join(f"{i}\n" for i in range(1, 300001)) + "end"


def test_environment_workdir_user_hostname(cluster):
    run = cluster.docker("run", "--rm", "-e", "A=b c", "-w", "/some/dir", "-u", "nobody", "--hostname", "box",
                         "busybox", "sh", "-c", 'echo "$A"; pwd; id; hostname; echo $HOME $PATH')
    assert run.stdout.splitlines() == [
        "b c", "/some/dir", "uid=65534(nobody) gid=65534(nogroup) groups=65534(nogroup)", "box",
        "/nonexistent /usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]


def test_logs(cluster):
    cluster.docker("run", "--name", "talk", "busybox", "sh", "-c", "for i in 1 2 3 4 5; do echo l$i; done; echo e >&2")
    assert cluster.docker("logs", "talk").stdout == "l1\nl2\nl3\nl4\nl5\n"
    assert cluster.docker("logs", "talk").stderr == "e\n"
    assert cluster.docker("logs", "--tail", "2", "talk").stdout in ("l4\nl5\n", "l5\n")
    stamped = cluster.docker("logs", "-t", "talk").stdout.splitlines()
    assert all(re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z l\d", line) for line in stamped)
    assert cluster.docker("logs", "--since", "2100-01-01T00:00:00Z", "talk").stdout == ""
    assert cluster.docker("logs", "--until", "2000-01-01T00:00:00Z", "talk").stdout == ""


def test_logs_follow_until_the_end(cluster):
    cluster.docker("run", "-d", "--name", "slow", "busybox", "sh", "-c",
                   "for i in 1 2 3; do echo $i; sleep 0.3; done; printf last")
    assert cluster.docker("logs", "-f", "slow").stdout == "1\n2\n3\nlast"


def test_exec(cluster):
    cluster.docker("run", "-d", "--name", "box", "-e", "OF=container", "busybox", "sleep", "1000")
    assert cluster.docker("exec", "box", "sh", "-c", "echo $OF; ps | grep -c sleep").stdout.splitlines()[0] == "container"
    assert cluster.docker("exec", "-e", "OF=exec", "-w", "/tmp", "-u", "www-data", "box", "sh", "-c",
                          "echo $OF $PWD; id -u").stdout == "exec /tmp\n33\n"
    assert cluster.docker("exec", "box", "sh", "-c", "exit 7", check=False).returncode == 7
    assert cluster.docker("exec", "-i", "box", "cat", input="through\n").stdout == "through\n"
    missing = cluster.docker("exec", "box", "nosuch", check=False)
    assert missing.returncode in (126, 127)
    assert 'exec: "nosuch": executable file not found in $PATH' in missing.stdout + missing.stderr
    cluster.docker("exec", "-d", "box", "touch", "/made")
    wait_until(lambda: cluster.docker("exec", "box", "ls", "/made", check=False).returncode == 0, "exec -d ran")


class Terminal:
    """A command on a pseudo-terminal, as a person would run it."""

    def __init__(self, command, env):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execvpe(command[0], command, env)
        self.seen = ""

    def expect(self, text, seconds=10):
        deadline = time.monotonic() + seconds
        while text not in self.seen:
            left = deadline - time.monotonic()
            assert left > 0, f"no {text!r} in {self.seen!r}"
            if select.select([self.fd], [], [], left)[0]:
                try:
                    self.seen += os.read(self.fd, 65536).decode(errors="replace")
                except OSError:
                    break
        assert text in self.seen
        self.seen = self.seen.split(text, 1)[1]

    def type(self, text):
        os.write(self.fd, text.encode())

    def wait(self):
        while True:
            try:
                if not os.read(self.fd, 65536):
                    break
            except OSError:
                break
        os.close(self.fd)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def test_interactive_shell(cluster):
    terminal = Terminal(["/usr/bin/docker", "run", "-it", "--rm", "busybox", "sh"], cluster.env)
    terminal.expect("# ")
    terminal.type("tty; echo $((40+2))\n")
    terminal.expect("/dev/pts/0")
    terminal.expect("42")
    terminal.type("stty size; exit 3\n")
    assert terminal.wait() == 3


def test_interactive_exec_and_detach(cluster):
    cluster.docker("run", "-dit", "--name", "box", "busybox", "sh")
    terminal = Terminal(["/usr/bin/docker", "exec", "-it", "box", "sh"], cluster.env)
    terminal.expect("# ")
    terminal.type("test -t 0 && echo is-a-$((1))-tty\n")
    terminal.expect("is-a-1-tty")
    terminal.type("exit 4\n")
    assert terminal.wait() == 4
    attached = Terminal(["/usr/bin/docker", "attach", "box"], cluster.env)
    attached.type("echo $((6*7))\n")
    attached.expect("42")
    attached.type("\x10\x11")
    attached.wait()
    assert cluster.docker("inspect", "-f", "{{.State.Running}}", "box").stdout == "true\n"


def test_stop_is_graceful_and_then_not(cluster):
    cluster.docker("run", "-d", "--name", "polite", "busybox", "sh", "-c",
                   "trap 'echo bye; exit 5' TERM; while :; do sleep 0.1; done")
    wait_until(lambda: cluster.docker("exec", "polite", "true", check=False).returncode == 0, "polite runs")
    begin = time.monotonic()
    cluster.docker("stop", "polite")
    assert time.monotonic() - begin < 5
    assert cluster.docker("logs", "polite").stdout == "bye\n"
    assert cluster.docker("inspect", "-f", "{{.State.ExitCode}} {{.State.Status}}", "polite").stdout == "5 exited\n"
    cluster.docker("run", "-d", "--name", "deaf", "busybox", "sh", "-c", "trap '' TERM; while :; do sleep 0.1; done")
    begin = time.monotonic()
    cluster.docker("stop", "-t", "1", "deaf")
    assert 0.9 < time.monotonic() - begin < 5
    assert cluster.docker("inspect", "-f", "{{.State.ExitCode}}", "deaf").stdout == "137\n"


def test_start_again_keeps_the_writable_layer(cluster):
    cluster.docker("run", "--name", "again", "busybox", "sh", "-c", "echo x >> /kept; wc -l < /kept")
    cluster.docker("start", "again")
    cluster.docker("wait", "again")
    assert cluster.docker("logs", "again").stdout.split() == ["1", "2"]
    assert cluster.docker("start", "-a", "again").stdout.strip() == "3"


def test_ps_and_inspect(cluster):
    cluster.docker("run", "-d", "--name", "shown", "-l", "k=v", "busybox", "sleep", "1000")
    listed = cluster.docker("ps", "--format", "{{.Names}} {{.Image}} {{.Command}} {{.State}}").stdout
    assert listed == 'shown busybox "sleep 1000" running\n'
    seen = json.loads(cluster.docker("inspect", "shown").stdout)[0]
    assert seen["Name"] == "/shown"
    assert seen["State"]["Status"] == "running" and seen["State"]["Pid"] > 1
    assert seen["Config"]["Labels"] == {"k": "v"}
    assert seen["Config"]["Cmd"] == ["sleep", "1000"]
    assert seen["NetworkSettings"]["Networks"]["bridge"]["IPAddress"].startswith("172.28.")
    assert cluster.docker("ps", "-q", "--filter", "label=k=v", "--no-trunc").stdout.strip() == seen["Id"]
    assert cluster.docker("ps", "-q", "--filter", "name=other").stdout == ""
    assert cluster.docker("ps", "-aq", "--filter", "status=exited").stdout == ""


def test_events(cluster):
    begin = time.time()
    cluster.docker("run", "--name", "evented", "busybox", "sh", "-c", "exit 3", check=False)
    cluster.docker("rm", "evented")
    lines = cluster.docker("events", "--since", f"{begin:.3f}", "--until", f"{time.time() + 0.5:.3f}", "--format",
                           "{{.Type}} {{.Action}} {{.Actor.Attributes.exitCode}}",
                           "--filter", "container=evented").stdout.splitlines()
    actions = [line.split()[1] for line in lines if line.startswith("container")]
    assert [a for a in actions if a in ("create", "start", "die", "destroy")] == ["create", "start", "die", "destroy"]
    assert "container die 3" in lines


def test_images(cluster):
    assert "busybox" in cluster.docker("images").stdout
    seen = json.loads(cluster.docker("inspect", "--type", "image", "busybox").stdout)[0]
    assert seen["RepoTags"] == ["busybox:latest"] and seen["Config"]["Cmd"] == ["sh"]
    cluster.docker("tag", "busybox", "other/name:1")
    assert "Untagged: other/name:1" in cluster.docker("rmi", "other/name:1").stdout


def test_image_in_use_is_kept(cluster):
    cluster.docker("create", "--name", "user", "busybox")
    refused = cluster.docker("rmi", "busybox", check=False)
    assert refused.returncode == 1 and "conflict" in refused.stderr


def test_python_sdk(cluster):
    client = cluster.client()
    assert client.ping()
    assert client.version()["ApiVersion"] == "1.51"
    assert client.containers.run("busybox", ["echo", "from the sdk"], remove=True) == b"from the sdk\n"
    container = client.containers.run("busybox", ["sleep", "1000"], detach=True)
    assert container.exec_run("id -u").output == b"0\n"
    container.remove(force=True)


def test_docker_info_and_version(cluster):
    assert "Server Version" in cluster.docker("info").stdout
    assert "Server:" in cluster.docker("version").stdout


def test_unix_socket_is_not_for_everybody(cluster):
    assert cluster.socket.stat().st_mode & 0o777 == 0o660
    assert (cluster.run_dir / "agent.sock").stat().st_mode & 0o777 == 0o600


def test_a_second_up_is_quick_and_changes_nothing(cluster):
    pids = {name: cluster.pid(name) for name in ("gateway", "agent")}
    begin = time.monotonic()
    cluster.deploy("up", "--no-build", "--no-demo")
    assert time.monotonic() - begin < 10
    assert pids == {name: cluster.pid(name) for name in ("gateway", "agent")}


def test_first_container_of_deploy_up(cluster):
    run = cluster.deploy("up", "--no-build")
    assert "Hello from a container that slipway runs." in run.stdout
    assert f"export DOCKER_HOST=unix://{cluster.socket}" in run.stdout
