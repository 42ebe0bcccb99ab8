"""Options that need more than one container, or that the dockerd of this machine cannot do: --init, --privileged, all
capabilities, --volumes-from, --link, joined namespaces, cgroup parents, parts of volumes, recursive read-only."""

import json
import pathlib
import re
import subprocess
import time

import pytest
from cluster import wait_until
from images import busybox_tar
from peers import Dockerd
from test_bad_input import call, message


def inspect(engine, name):
    return json.loads(engine.docker("inspect", name).stdout)[0]


def create(cluster, host_config, command=("true",), **config):
    """By the API, for options that the client does not know yet. The id."""
    status, data = call(cluster, "POST", "/v1.47/containers/create",
                        json.dumps({"Image": "busybox", "Cmd": list(command), **config, "HostConfig": host_config}))
    assert status == 201, data
    return json.loads(data)["Id"]


@pytest.fixture(scope="module")
def dockerd(tmp_path_factory):
    dockerd = Dockerd(bridge="swoptpeer1")
    dockerd.docker("import", "--change", 'CMD ["sh"]', "-", "busybox", input=busybox_tar(), text=False)
    yield dockerd
    dockerd.close()


def test_term_is_set_where_there_is_a_terminal(cluster, dockerd):
    """In a process of its own right: an exec without one has none, whatever its container has."""
    seen = []
    for engine in (cluster, dockerd):
        engine.docker("run", "-dt", "--name", "terminal", "--network", "none", "-e", "A=1", "busybox", "sleep", "600")
        # The client refuses -t without a terminal, and not over script(1).
        with_one = subprocess.run(["script", "-qec", "docker exec -t terminal env", "/dev/null"], env=engine.env, text=True,
                                  capture_output=True, stdin=subprocess.DEVNULL, check=True, timeout=60).stdout
        without = engine.docker("exec", "terminal", "env").stdout
        first = engine.docker("exec", "terminal", "sh", "-c", "tr '\\0' '\\n' </proc/1/environ").stdout
        engine.docker("rm", "-f", "terminal")
        seen.append([sorted(line.strip() for line in text.splitlines() if not line.startswith("HOSTNAME="))
                     for text in (with_one, without, first)])
    assert seen[0] == seen[1]
    assert ["TERM=xterm" in lines for lines in seen[0]] == [True, False, True]


# --- --init ---

def test_init_reaps_and_is_pid_1(cluster):
    run = cluster.docker("run", "--rm", "--init", "busybox", "sh", "-c",
                         "(sleep 0.1 & exec sleep 0.2) & sleep 0.6; ps -o pid,stat,args; echo self $$")
    assert re.search(r"^ *1 S +slipway-init \d+ -- sh -c", run.stdout, re.M), run.stdout
    assert "Z" not in {line.split()[1] for line in run.stdout.splitlines()[1:-1]}
    assert "self 1\n" not in run.stdout


def test_without_init_zombies_stay(cluster):
    run = cluster.docker("run", "--rm", "busybox", "sh", "-c",
                         "(sleep 0.1 & exec sleep 0.2) & sleep 0.6; ps -o pid,stat,args; true")
    assert re.search(r"^ *1 S +sh -c", run.stdout, re.M)


@pytest.mark.parametrize("command,code", [("exit 7", 7), ("kill -TERM $$", 143), ("kill -KILL $$", 137)])
def test_init_passes_the_exit_code_on(cluster, command, code):
    assert cluster.docker("run", "--rm", "--init", "busybox", "sh", "-c", command, check=False).returncode == code


def test_init_passes_signals_on(cluster):
    cluster.docker("run", "-d", "--init", "--name", "traps", "busybox", "sh", "-c",
                   "trap 'echo got TERM; exit 5' TERM; trap 'echo got USR1' USR1; echo ready; while :; do sleep 0.05; done")
    wait_until(lambda: "ready" in cluster.docker("logs", "traps").stdout, "the trap is set")
    cluster.docker("kill", "-s", "USR1", "traps")
    wait_until(lambda: "got USR1" in cluster.docker("logs", "traps").stdout, "USR1 arrived")
    cluster.docker("stop", "-t", "5", "traps")
    assert inspect(cluster, "traps")["State"]["ExitCode"] == 5
    assert "got TERM" in cluster.docker("logs", "traps").stdout


def test_init_tells_what_cannot_be_executed(cluster):
    run = cluster.docker("run", "--rm", "--init", "busybox", "nosuch", check=False)
    assert run.returncode == 127 and 'exec: "nosuch": executable file not found in $PATH' in run.stderr


def test_init_as_a_user_with_a_terminal(cluster):
    run = cluster.docker("run", "--rm", "--init", "-t", "-u", "33:33", "busybox", "sh", "-c", "id -u; tty; stty size")
    assert run.stdout.splitlines()[0].strip() == "33" and "/dev/pts/0" in run.stdout


def test_init_is_shown(cluster, dockerd):
    for engine in (cluster, dockerd):
        engine.docker("create", "--init", "--name", "shown", "busybox", "true")
        assert inspect(engine, "shown")["HostConfig"]["Init"] is True
        assert inspect(engine, "shown")["Path"] == "true"
        engine.docker("rm", "shown")


def test_init_binary_cannot_be_changed_from_inside(cluster):
    """CVE-2019-5736: /proc/1/exe is a sealed copy in memory."""
    run = cluster.docker("run", "--rm", "--init", "busybox", "sh", "-c",
                         "readlink /proc/1/exe; for i in 1 2 3; do echo x > /proc/1/exe; echo $?; done; dd if=/dev/zero of=/proc/1/exe "
                         "conv=notrunc count=1; echo $?", check=False)
    assert "memfd:" in run.stdout or "denied" in run.stderr
    assert "\n0\n" not in run.stdout, run.stdout + run.stderr


# --- --privileged, all capabilities ---

def capabilities(text):
    return int(re.search(r"CapEff:\s+([0-9a-f]+)", text)[1], 16)


def own_capabilities():
    status = pathlib.Path("/proc/self/status").read_text()
    return capabilities(status) & int(re.search(r"CapBnd:\s+([0-9a-f]+)", status)[1], 16)


def test_privileged(cluster):
    run = cluster.docker("run", "--rm", "--privileged", "busybox", "sh", "-c",
                         "cat /proc/self/status; mount -t tmpfs x /mnt || mount -t tmpfs x /tmp; echo mount $?; ls /dev; "
                         "grep -cE ' /proc/(kcore|keys) ' /proc/self/mounts; touch /sys/fs/cgroup/x; cat /proc/self/mounts")
    assert capabilities(run.stdout) == own_capabilities()
    assert "Seccomp:\t0" in run.stdout and "mount 0" in run.stdout
    assert {"loop0", "net"} & set(run.stdout.split())
    assert re.search(r"^sysfs /sys sysfs rw,", run.stdout, re.M)


def test_privileged_and_all_capabilities_warn_of_what_is_left_out(cluster):
    for host_config in ({"Privileged": True}, {"CapAdd": ["ALL"]}):
        status, data = call(cluster, "POST", "/v1.41/containers/create",
                            json.dumps({"Image": "busybox", "Cmd": ["true"], "HostConfig": host_config}))
        warnings = json.loads(data)["Warnings"]
        assert status == 201
        complete = own_capabilities() == (1 << 41) - 1
        assert complete or any("were left out" in warning for warning in warnings), warnings


def test_all_capabilities_but_one(cluster):
    run = cluster.docker("run", "--rm", "--cap-add", "ALL", "--cap-drop", "NET_RAW", "busybox", "cat", "/proc/self/status")
    assert capabilities(run.stdout) == own_capabilities() & ~(1 << 13)


# --- volumes ---

def test_volumes_from_as_dockerd(cluster, dockerd, tmp_path):
    seen = []
    for engine in (cluster, dockerd):
        engine.docker("run", "-d", "--name", "owner", "-v", "/anonymous", "-v", "ownervolume:/named:ro", "-v", f"{tmp_path}:/host",
                      "busybox", "sh", "-c", "echo kept > /anonymous/f; sleep 1000")
        engine.docker("run", "-d", "--name", "guest", "--volumes-from", "owner", "-v", f"{tmp_path}:/named", "busybox",
                      "sleep", "1000")
        engine.docker("run", "-d", "--name", "reader", "--volumes-from", "guest:ro", "busybox", "sleep", "1000")
        assert engine.docker("exec", "guest", "cat", "/anonymous/f").stdout == "kept\n"
        run = engine.docker("exec", "reader", "touch", "/anonymous/g", check=False) if engine is cluster else None
        assert run is None or "Read-only" in run.stderr
        owner = {mount["Destination"]: mount.get("Name") for mount in inspect(engine, "owner")["Mounts"]}
        answer = []
        for name in ("guest", "reader"):
            for mount in sorted(inspect(engine, name)["Mounts"], key=lambda mount: mount["Destination"]):
                same = mount.get("Name") == owner[mount["Destination"]]
                answer.append((name, mount["Type"], mount["Destination"], mount["Mode"], mount["RW"], mount["Propagation"], same))
        seen.append((answer, inspect(engine, "reader")["HostConfig"]["VolumesFrom"]))
        engine.docker("rm", "-fv", "owner")
        assert engine.docker("exec", "guest", "cat", "/anonymous/f").stdout == "kept\n"
        engine.docker("rm", "-fv", "guest", "reader")
    assert seen[0] == seen[1]


def test_anonymous_volumes_go_with_the_last_container(cluster):
    volumes = cluster.dir / "root" / "agent" / "volumes"
    before = set(volumes.iterdir())
    cluster.docker("run", "--rm", "-v", "/data", "busybox", "touch", "/data/x")
    wait_until(lambda: set(volumes.iterdir()) == before, "the volume of --rm is gone")
    cluster.docker("create", "--name", "first", "-v", "/data", "busybox")
    cluster.docker("create", "--name", "second", "--volumes-from", "first", "busybox")
    cluster.docker("rm", "-v", "first")
    time.sleep(0.3)
    assert len(set(volumes.iterdir()) - before) == 1
    cluster.docker("rm", "-v", "second")
    wait_until(lambda: set(volumes.iterdir()) == before, "the volume is gone with its last user")
    cluster.docker("create", "--name", "third", "-v", "keptvolume:/data", "busybox")
    cluster.docker("rm", "-v", "third")
    assert (volumes / "keptvolume").exists()


def test_part_of_a_volume(cluster):
    cluster.docker("run", "--rm", "-v", "partsvolume:/v", "busybox", "sh", "-c",
                   "mkdir -p /v/in/deep; echo deep > /v/in/deep/f; ln -s /etc /v/out; ln -s in/deep /v/link; echo top > /v/f")
    for subpath, what in (("in/deep", "deep\n"), ("link", "deep\n"), ("./in/../in/deep", "deep\n")):
        mounts = [{"Type": "volume", "Source": "partsvolume", "Target": "/m", "VolumeOptions": {"Subpath": subpath}}]
        if ".." in subpath:
            status, data = call(cluster, "POST", "/v1.47/containers/create", json.dumps(
                {"Image": "busybox", "HostConfig": {"Mounts": mounts}}))
            assert status == 400 and "subpath" in message(data)
            continue
        made = create(cluster, {"Mounts": mounts}, ["cat", "/m/f"])
        assert cluster.docker("start", "-a", made).stdout == what
    # A link in the volume is followed below the volume, never out of it.
    made = create(cluster, {"Mounts": [{"Type": "volume", "Source": "partsvolume", "Target": "/m",
                                        "VolumeOptions": {"Subpath": "out"}}]}, ["ls", "/m"])
    run = cluster.docker("start", "-a", made, check=False)
    assert run.returncode != 0 and "cannot access path" in run.stderr


@pytest.fixture
def nested(tmp_path):
    """A directory with a file system of its own mounted below."""
    (tmp_path / "below").mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", tmp_path / "below"], check=True)
    yield tmp_path
    subprocess.run(["umount", tmp_path / "below"], check=True)


@pytest.mark.parametrize("options,below_is_writable", [({}, False), ({"ReadOnlyNonRecursive": True}, True),
                                                       ({"ReadOnlyForceRecursive": True}, False)])
def test_recursive_read_only(cluster, nested, options, below_is_writable):
    made = create(cluster, {"Mounts": [{"Type": "bind", "Source": str(nested), "Target": "/m", "ReadOnly": True,
                                        "BindOptions": options}]},
                  ["sh", "-c", "touch /m/x; touch /m/below/x && echo writable"])
    run = cluster.docker("start", "-a", made, check=False)
    assert "/m/x: Read-only file system" in run.stderr
    assert ("writable" in run.stdout) == below_is_writable


def test_tmpfs_options_of_the_api(cluster):
    made = create(cluster, {"Mounts": [{"Type": "tmpfs", "Target": "/m", "TmpfsOptions": {"Options": [["exec"], ["uid", "33"]]}}]},
                  ["sh", "-c", "grep ' /m ' /proc/self/mounts; stat -c %u /m"])
    run = cluster.docker("start", "-a", made)
    assert "noexec" not in run.stdout and run.stdout.splitlines()[-1] == "33"


def test_shared_mounts_propagate_both_ways(cluster, tmp_path):
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", tmp_path], check=True)
    subprocess.run(["mount", "--make-shared", tmp_path], check=True)
    try:
        for name in ("fromhost", "frominside"):
            (tmp_path / name).mkdir()
        cluster.docker("run", "-d", "--name", "shared", "--cap-add", "SYS_ADMIN", "-v", f"{tmp_path}:/m:rshared", "busybox",
                       "sh", "-c", "mount -t tmpfs inside /m/frominside; touch /m/frominside/x; sleep 1000")
        cluster.docker("run", "-d", "--name", "slave", "--cap-add", "SYS_ADMIN", "-v", f"{tmp_path}:/m:rslave", "busybox", "sh", "-c",
                       "mkdir /m/kept; mount -t tmpfs inside /m/kept; touch /m/kept/x; sleep 1000")
        wait_until(lambda: (tmp_path / "frominside" / "x").exists(), "the container's mount shows on the host")
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", tmp_path / "fromhost"], check=True)
        (tmp_path / "fromhost" / "y").touch()
        for name in ("shared", "slave"):
            assert cluster.docker("exec", name, "ls", "/m/fromhost").stdout == "y\n"
        assert cluster.docker("exec", "slave", "ls", "/m/kept").stdout == "x\n"
        assert not (tmp_path / "kept" / "x").exists()
    finally:
        cluster.docker("rm", "-f", "shared", "slave", check=False)
        subprocess.run(["umount", "-R", tmp_path], check=True)


# --- links ---

def test_links_as_dockerd(cluster, dockerd):
    seen = []
    for engine in (cluster, dockerd):
        engine.docker("run", "-d", "--name", "database", "--hostname", "dbhost", "--expose", "80", "--expose", "8000-8002", "--expose", "53/udp",
                      "-e", "FOO=bar", "-e", "PATH=/x:/bin", "busybox", "sleep", "1000")
        engine.docker("create", "--name", "web", "--link", "database:my-db", "--link", "database", "-e", "MY_DB_ENV_FOO=mine", "busybox",
                      "sh", "-c", "env | sort; echo ==; cat /etc/hosts")
        run = engine.docker("start", "-a", "web")
        address = inspect(engine, "database")["NetworkSettings"]["IPAddress"]
        env, hosts = run.stdout.replace(address, "<address>").split("==\n")
        env = [line for line in env.splitlines() if not line.startswith(("HOSTNAME=", "SHLVL=", "PWD="))]
        hosts = [line for line in hosts.splitlines() if line.startswith("<address>")]
        # dockerd has its links in a Go map: any of them may come first.
        links = sorted(inspect(engine, "web")["HostConfig"]["Links"])
        engine.docker("stop", "-t", "0", "database")
        refused = engine.docker("start", "web", check=False)
        seen.append((env, sorted(hosts), links, re.sub(r" AS /web/\S+", " AS <a link>", refused.stderr.splitlines()[0])))
        engine.docker("rm", "-f", "web", "database")
    assert seen[0] == seen[1]


# --- joined namespaces ---

def test_joined_namespaces(cluster):
    cluster.docker("run", "-d", "--name", "donor", "--ipc", "shareable", "busybox", "sh", "-c", "echo shared > /dev/shm/f; sleep 1000")
    read = ["sh", "-c", "for n in pid ipc net uts mnt; do readlink /proc/self/ns/$n; done; cat /dev/shm/f; ps | grep -c 'sleep 1000'"]
    donor = cluster.docker("exec", "donor", *read).stdout.split("\n")
    guest = cluster.docker("run", "--rm", "--pid", "container:donor", "--ipc", "container:donor", "--network", "container:donor", "busybox",
                           *read).stdout.split("\n")
    assert guest[:3] == donor[:3] and guest[3] != donor[3] and guest[4] != donor[4]
    assert guest[5] == "shared" and int(guest[6]) >= 1


def test_who_joins_a_network_has_its_hostname(cluster, dockerd):
    look = "hostname; cat /etc/hostname; echo $HOSTNAME; grep -c donor-host /etc/hosts"
    seen = []
    for engine in (cluster, dockerd):
        engine.docker("run", "-d", "--name", "named", "--hostname", "donor-host", "--domainname", "example.org", "busybox", "sleep", "600")
        engine.docker("run", "-d", "--name", "guest", "--network", "container:named", "busybox", "sh", "-c", f"{look}; sleep 600")
        wait_until(lambda: engine.docker("logs", "guest").stdout.count("\n") == 4, "the guest's words")
        config = inspect(engine, "guest")["Config"]
        seen.append([engine.docker("logs", "guest").stdout, config["Hostname"], config["Domainname"]])
        engine.docker("rm", "-f", "guest", "named")
    assert seen[0] == seen[1]
    assert seen[0][0] == "donor-host\n" * 3 + "1\n"


def test_private_ipc_cannot_be_joined(cluster):
    cluster.docker("run", "-d", "--name", "private", "busybox", "sleep", "1000")
    run = cluster.docker("run", "--rm", "--ipc", "container:private", "busybox", "true", check=False)
    assert run.returncode == 125 and "non-shareable IPC (hint: use IpcMode:shareable for the donor container)" in run.stderr


def test_namespaces_of_a_stopped_container_cannot_be_joined(cluster):
    cluster.docker("create", "--name", "still", "--ipc", "shareable", "busybox")
    for option in (("--pid", "container:still"), ("--ipc", "container:still"), ("--network", "container:still")):
        run = cluster.docker("run", "--rm", *option, "busybox", "true", check=False)
        assert run.returncode == 125 and "non running container" in run.stderr


# --- cgroups ---

def test_cgroup_parent(cluster):
    parent = f"/{cluster.prefix}parent/inner"
    cluster.docker("run", "-d", "--name", "child", "--cgroup-parent", parent, "-m", "64m", "busybox", "sleep", "1000")
    try:
        state = inspect(cluster, "child")
        groups = pathlib.Path(f"/proc/{state['State']['Pid']}/cgroup").read_text()
        assert f"memory:{parent}/{state['Id']}\n" in groups and f"pids:{parent}/{state['Id']}\n" in groups
        assert state["HostConfig"]["CgroupParent"] == parent
        assert cluster.docker("exec", "child", "cat", "/sys/fs/cgroup/memory/memory.limit_in_bytes").stdout == f"{64 << 20}\n"
        cluster.kill("agent")
        cluster.up()
        cluster.docker("rm", "-f", "child")
        wait_until(lambda: not list(pathlib.Path("/sys/fs/cgroup").glob(f"*{parent}/*/")), "the group is gone")
    finally:
        for directory in (parent, str(pathlib.PurePath(parent).parent)):
            for group in pathlib.Path("/sys/fs/cgroup").glob(f"*{directory}"):
                group.rmdir()


def test_blkio_weight(cluster):
    run = cluster.docker("run", "--rm", "--blkio-weight", "300", "busybox", "sh", "-c",
                         "cat /sys/fs/cgroup/blkio/blkio.bfq.weight || cat /sys/fs/cgroup/blkio/blkio.weight", check=False)
    weights = [path.name for path in pathlib.Path("/sys/fs/cgroup/blkio").glob("*/blkio.*weight")]
    assert not weights or "300" in run.stdout


def test_device_rules_hold(cluster):
    script = "mknod /tmp/loop b 7 0; head -c1 /tmp/loop >/dev/null && echo readable"
    refused = cluster.docker("run", "--rm", "busybox", "sh", "-c", script, check=False)
    allowed = cluster.docker("run", "--rm", "--device-cgroup-rule", "b 7:* r", "busybox", "sh", "-c", script, check=False)
    assert "not permitted" in refused.stderr and "not permitted" not in allowed.stderr


def test_gpus_are_answered_clearly(cluster):
    run = cluster.docker("run", "--rm", "--gpus", "all", "busybox", "true", check=False)
    assert run.returncode == 125 and 'could not select device driver "" with capabilities: [[gpu]]' in run.stderr


def test_annotations_are_kept(cluster):
    made = create(cluster, {"Annotations": {"a": "b", "empty": ""}})
    assert inspect(cluster, made)["HostConfig"]["Annotations"] == {"a": "b", "empty": ""}


def test_cidfile_and_detach_keys_are_the_clients(cluster, tmp_path):
    cluster.docker("run", "-d", "--cidfile", tmp_path / "id", "--detach-keys", "ctrl-x", "busybox", "true")
    assert (tmp_path / "id").read_text() in cluster.docker("ps", "-aq", "--no-trunc").stdout


def test_oom_score_needs_no_more_than_the_host_gives(cluster):
    own = int(pathlib.Path("/proc/self/oom_score_adj").read_text())
    run = cluster.docker("run", "--rm", "--oom-score-adj", str(max(own, 0) + 7), "busybox", "cat", "/proc/self/oom_score_adj")
    assert run.stdout == f"{max(own, 0) + 7}\n"


def test_files_of_etc_show_in_a_mount_over_it(cluster, tmp_path):
    for option in (["-v", "overetc:/etc"], ["--tmpfs", "/etc"], ["-v", f"{tmp_path}:/etc"]):
        run = cluster.docker("run", "--rm", "--hostname", "named", "--dns", "9.9.9.9", "--add-host", "far:10.1.2.3", *option, "busybox",
                             "cat", "/etc/resolv.conf", "/etc/hosts", "/etc/hostname")
        assert "nameserver" in run.stdout and "far" in run.stdout and run.stdout.endswith("named\n"), option


def test_users_file_in_etc_wins(cluster, tmp_path):
    (tmp_path / "hosts").write_text("mine\n")
    run = cluster.docker("run", "--rm", "--tmpfs", "/etc", "-v", f"{tmp_path}/hosts:/etc/hosts", "busybox", "cat", "/etc/hosts")
    assert run.stdout == "mine\n"


def test_directory_on_a_file_is_explained(cluster, tmp_path):
    (tmp_path / "file").write_text("x")
    for bind in (f"{tmp_path}:/etc/passwd", f"{tmp_path}/file:/etc"):
        run = cluster.docker("run", "--rm", "-v", bind, "busybox", "true", check=False)
        assert run.returncode != 0
        assert "not a directory: unknown: Are you trying to mount a directory onto a file (or vice-versa)?" in run.stderr


def test_bad_sysctl_is_named(cluster):
    run = cluster.docker("run", "--rm", "--sysctl", "kernel.msgmax=x", "busybox", "true", check=False)
    assert run.returncode != 0 and "write /proc/sys/kernel/msgmax: invalid argument" in run.stderr


def test_tmpfs_takes_what_mount_takes(cluster):
    for options in ("size=10%", "size=1t", "strictatime", "sync,dirsync", "defaults", "shared", "rprivate", "ro,rw"):
        run = cluster.docker("run", "--rm", "--tmpfs", f"/scratch:{options}", "busybox", "sh", "-c",
                             "touch /scratch/x && grep ' /scratch tmpfs ' /proc/self/mounts")
        assert " rw," in run.stdout, options
