"""An agent with --userns_remap: root inside is nobody in particular outside, and what is on disk keeps its ids."""

import json
import os
import pathlib
import subprocess

import pytest
from cluster import Cluster, wait_until

FIRST = 231072


def restart_agent(cluster, *more):
    command = pathlib.Path(f"/proc/{cluster.pid('agent')}/cmdline").read_text().split("\0")[:-1]
    command = [word for word in command if not word.startswith("--userns_remap")]
    cluster.kill("agent")
    with (cluster.dir / "logs" / "agent.log").open("ab") as log:
        agent = subprocess.Popen([*command, *more], stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True)
    (cluster.run_dir / "agent.pid").write_text(f"{agent.pid}\n")
    wait_until(lambda: cluster.docker("run", "--rm", "--network", "none", "busybox", "true", check=False).returncode == 0,
               "containers start again", 20)
    return agent


@pytest.fixture(scope="module")
def own():
    cluster = Cluster()
    try:
        cluster.up()
        cluster.busybox()
        agent = restart_agent(cluster, f"--userns_remap={FIRST}:65536")
        yield cluster
        agent.kill()
        agent.wait()
    finally:
        cluster.close()


@pytest.fixture
def remapped(own):
    yield own
    ids = own.docker("ps", "-aq").stdout.split()
    if ids:
        own.docker("rm", "-f", *ids)


def test_remapped_users(remapped, tmp_path):
    cluster = remapped
    run = cluster.docker("run", "--rm", "busybox", "sh", "-c",
                         "id; cat /proc/self/uid_map; stat -c '%u:%g %n' / /bin/busybox /dev /dev/shm /etc/hosts /root; touch /new && stat -c %u /new; "
                         "echo x >> /etc/passwd && echo written; grep CapEff /proc/self/status; readlink /proc/self/ns/user")
    lines = run.stdout.splitlines()
    assert lines[0].startswith("uid=0(root) gid=0(root)")
    assert lines[1].split() == ["0", str(FIRST), "65536"]
    assert lines[2:8] == [f"0:0 {path}" for path in ("/", "/bin/busybox", "/dev", "/dev/shm", "/etc/hosts", "/root")]
    assert lines[8:10] == ["0", "written"] and "00000000a80425fb" in lines[10]
    assert lines[11] != os.readlink("/proc/self/ns/user")


def test_processes_are_unprivileged_outside(remapped):
    cluster = remapped
    for name, options, uid in (("root", (), FIRST), ("user", ("-u", "33:33"), FIRST + 33)):
        cluster.docker("run", "-d", "--name", name, *options, "busybox", "sleep", "1000")
        pid = json.loads(cluster.docker("inspect", name).stdout)[0]["State"]["Pid"]
        status = pathlib.Path(f"/proc/{pid}/status").read_text()
        assert f"Uid:\t{uid}\t{uid}\t{uid}\t{uid}\n" in status
        inside = cluster.docker("exec", name, "sh", "-c", "id -u; cat /proc/self/uid_map; echo hello > /dev/stderr").stdout.split()
        assert inside[:3] == [str(uid - FIRST), "0", str(FIRST)]


def test_what_is_on_disk_keeps_its_ids(remapped, tmp_path):
    cluster = remapped
    cluster.docker("run", "--name", "writer", "-v", "mapped:/vol", "busybox", "sh", "-c",
                   "touch /mine /vol/mine; touch /theirs; chown 33:33 /theirs; chmod 4755 /theirs; rm /etc/group; mkdir -p /made/deep")
    upper = next((cluster.dir / "root" / "agent" / "containers").glob("*/upper"))
    assert (upper / "mine").stat().st_uid == 0 and (upper / "theirs").stat().st_uid == 33
    assert (cluster.dir / "root" / "agent" / "volumes" / "mapped" / "_data" / "mine").stat().st_uid == 0
    changes = cluster.docker("diff", "writer", check=False)
    assert changes.returncode != 0 or {"A /mine", "A /theirs", "D /etc/group"} <= set(changes.stdout.splitlines())


def test_links_of_output_and_terminal_can_be_reopened(remapped):
    for options in ((), ("-t",), ("-u", "33"), ("-t", "-u", "33"), ("--init",)):
        run = remapped.docker("run", "--rm", *options, "busybox", "sh", "-c", "echo again > /dev/stdout")
        assert run.stdout.strip() == "again", options


def test_the_host_is_out_of_reach(remapped, tmp_path):
    tmp_path.chmod(0o755)
    (tmp_path / "secret").write_text("root's\n")
    (tmp_path / "secret").chmod(0o600)
    run = remapped.docker("run", "--rm", "-v", f"{tmp_path}:/host", "busybox", "sh", "-c",
                          "cat /host/secret; touch /host/made; mknod /n c 1 3; echo 1 > /proc/sys/kernel/panic; true")
    assert run.stdout == "" and len(run.stderr.splitlines()) == 4


def test_users_of_the_host_when_asked(remapped):
    run = remapped.docker("run", "--rm", "--userns", "host", "busybox", "cat", "/proc/self/uid_map")
    assert run.stdout.split()[:2] == ["0", "0"]
    run = remapped.docker("run", "--rm", "--userns", "host", "--privileged", "busybox", "true", check=False)
    assert run.returncode == 0


@pytest.mark.parametrize("options,words", [
    (["--privileged"], "privileged mode is incompatible with user namespaces"),
    (["--network", "host"], "cannot share the host's network namespace when user namespaces are enabled"),
    (["--pid", "host"], "cannot share the host's PID namespace when user namespaces are enabled")])
def test_what_does_not_go_with_it(remapped, options, words):
    run = remapped.docker("run", "--rm", *options, "busybox", "true", check=False)
    assert run.returncode == 125 and words in run.stderr
