"""What a container sees: its own namespaces, few capabilities, a filter, limits that hold."""

import json
import os
import pathlib


def lines(run):
    return run.stdout.splitlines()


def test_namespaces_are_its_own(cluster):
    run = cluster.docker("run", "--rm", "busybox", "sh", "-c",
                         "for n in mnt pid net ipc uts cgroup; do readlink /proc/self/ns/$n; done; echo $$; ps | wc -l")
    inside = lines(run)
    for name, seen in zip(("mnt", "pid", "net", "ipc", "uts", "cgroup"), inside):
        assert seen.startswith(f"{name}:[") and seen != os.readlink(f"/proc/self/ns/{name}")
    assert inside[6] == "1"


def test_host_namespaces_when_asked(cluster):
    run = cluster.docker("run", "--rm", "--network", "host", "--pid", "host", "busybox", "sh", "-c",
                         "readlink /proc/self/ns/net; readlink /proc/self/ns/pid")
    assert lines(run) == [os.readlink("/proc/self/ns/net"), os.readlink("/proc/self/ns/pid")]


def test_default_capabilities_and_seccomp(cluster, dockerd):
    """The same as under a real dockerd."""
    script = "grep -E '^(Cap|Seccomp:|NoNewPrivs)' /proc/self/status"
    tar = __import__("images").busybox_tar()
    dockerd.docker("import", "-", "busybox", input=tar, text=False)
    theirs = dockerd.docker("run", "--rm", "--network", "none", "busybox", "sh", "-c", script).stdout
    ours = cluster.docker("run", "--rm", "--network", "none", "busybox", "sh", "-c", script).stdout
    assert ours == theirs
    assert "Seccomp:\t2" in ours


def test_cap_drop_and_add(cluster):
    run = cluster.docker("run", "--rm", "--cap-drop", "ALL", "--cap-add", "NET_BIND_SERVICE", "busybox", "grep",
                         "CapEff", "/proc/self/status")
    assert run.stdout.split()[1] == f"{1 << 10:016x}"


def test_forbidden_calls_fail(cluster):
    run = cluster.docker("run", "--rm", "busybox", "sh", "-c",
                         "mount -t tmpfs x /mnt 2>&1; unshare -m true 2>&1; echo 1 > /proc/sys/kernel/panic; echo $?", check=False)
    assert "permitted" in run.stdout or "denied" in run.stdout
    assert lines(run)[-1] == "1"


def test_masked_and_read_only_paths_like_docker(cluster, dockerd):
    script = "cut -d' ' -f2,3 /proc/self/mounts | sort; ls /dev | sort"
    dockerd.docker("import", "-", "busybox", input=__import__("images").busybox_tar(), text=False)
    theirs = dockerd.docker("run", "--rm", "--network", "none", "busybox", "sh", "-c", script).stdout
    ours = cluster.docker("run", "--rm", "--network", "none", "busybox", "sh", "-c", script).stdout
    # What newer Dockers mask too (28.0: /proc/interrupts, thermal_throttle) may be more than dockerd 20.10 does.
    missing = set(theirs.splitlines()) - set(ours.splitlines())
    more = set(ours.splitlines()) - set(theirs.splitlines())
    assert not missing
    # The v2 side of hybrid cgroups is shown, without controllers.
    extra = ("/proc/interrupts ", "/sys/devices/", "/sys/fs/cgroup/unified ")
    assert all(line.startswith(extra) for line in more), more


def test_memory_limit_holds_and_is_told(cluster):
    run = cluster.docker("run", "--name", "hog", "-m", "32m", "busybox", "sh", "-c",
                         "x=a; while :; do x=$x$x; done", check=False)
    assert run.returncode == 137
    assert cluster.docker("inspect", "-f", "{{.State.OOMKilled}}", "hog").stdout == "true\n"


def test_cpu_and_pids_limits_reach_the_kernel(cluster):
    cluster.docker("run", "-d", "--name", "small", "--cpus", "0.5", "--pids-limit", "33", "-m", "64m", "busybox",
                   "sleep", "1000")
    pid = json.loads(cluster.docker("inspect", "small").stdout)[0]["State"]["Pid"]
    groups = dict(line.split(":", 2)[1:] for line in pathlib.Path(f"/proc/{pid}/cgroup").read_text().splitlines())
    base = pathlib.Path("/sys/fs/cgroup")

    def read(controller, name):
        return int((base / controller / groups[controller].lstrip("/") / name).read_text())

    assert read("cpu", "cpu.cfs_quota_us") / read("cpu", "cpu.cfs_period_us") == 0.5
    assert read("pids", "pids.max") == 33
    assert read("memory", "memory.limit_in_bytes") == 64 << 20


def test_pids_limit_stops_a_fork_bomb(cluster):
    run = cluster.docker("run", "--rm", "--pids-limit", "20", "busybox", "sh", "-c",
                         "for i in $(seq 50); do sleep 5 & done; wait", check=False)
    assert "fork" in run.stderr


def test_read_only_root_and_tmpfs(cluster):
    run = cluster.docker("run", "--rm", "--read-only", "--tmpfs", "/scratch", "busybox", "sh", "-c",
                         "touch /x; touch /scratch/x && echo ok", check=False)
    assert run.stdout == "ok\n" and "Read-only file system" in run.stderr


def test_bind_mounts(cluster, tmp_path):
    (tmp_path / "f").write_text("from the host")
    run = cluster.docker("run", "--rm", "-v", f"{tmp_path}:/data", "-v", f"{tmp_path}:/ro:ro", "busybox", "sh", "-c",
                         "cat /data/f; echo; echo back > /data/g; touch /ro/h", check=False)
    assert run.stdout == "from the host\n" and "Read-only" in run.stderr
    assert (tmp_path / "g").read_text() == "back\n"


def test_writes_stay_in_the_container(cluster):
    cluster.docker("run", "--rm", "busybox", "sh", "-c", "rm -rf /bin/ls /etc; echo changed > /new")
    assert cluster.docker("run", "--rm", "busybox", "ls", "/etc").stdout != ""
    assert cluster.docker("run", "--rm", "busybox", "ls", "/new", check=False).returncode == 1


def test_generated_files(cluster):
    run = cluster.docker("run", "--rm", "--hostname", "named", "--add-host", "far:10.1.2.3", "busybox", "sh", "-c",
                         "cat /etc/hostname; cat /etc/hosts; cat /etc/resolv.conf | wc -l")
    assert lines(run)[0] == "named"
    assert any(line.split() == ["10.1.2.3", "far"] for line in lines(run))
    assert any("named" in line.split() and line.startswith("172.28.") for line in lines(run))


def test_no_descriptor_leaks_into_the_container(cluster):
    run = cluster.docker("run", "--rm", "busybox", "sh", "-c", "ls -l /proc/self/fd")
    # 0, 1, 2, and the directory that ls reads.
    numbers = {line.split(" -> ")[0].split()[-1] for line in lines(run) if " -> " in line}
    assert {"0", "1", "2"} <= numbers <= {"0", "1", "2", "3"}, run.stdout
