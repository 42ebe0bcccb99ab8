"""What has led out of containers elsewhere is tried, and leads nowhere."""

import hashlib
import io
import pathlib
import subprocess
import tarfile

import pytest
from images import busybox_tar


def add(tar, name, kind=tarfile.REGTYPE, mode=0o755, link="", device=(0, 0)):
    info = tarfile.TarInfo(name)
    info.type, info.mode, info.linkname = kind, mode, link
    info.devmajor, info.devminor = device
    tar.addfile(info)


@pytest.fixture(scope="module")
def hostile(shared_cluster):
    """An image with links where mounts go, and with device nodes."""
    out = io.BytesIO()
    with tarfile.open(fileobj=io.BytesIO(busybox_tar())) as old, tarfile.open(fileobj=out, mode="w") as new:
        for member in old.getmembers():
            new.addfile(member, old.extractfile(member) if member.isreg() else None)
        add(new, "toproc", tarfile.SYMTYPE, link="/proc")
        add(new, "toetc", tarfile.SYMTYPE, link="/etc")
        add(new, "above", tarfile.SYMTYPE, link="../../../../etc")
        add(new, "loop", tarfile.SYMTYPE, link="/loop")
        add(new, "memory", tarfile.CHRTYPE, 0o666, device=(1, 1))
        add(new, "kernel-log", tarfile.CHRTYPE, 0o666, device=(1, 11))
        add(new, "disk", tarfile.BLKTYPE, 0o666, device=(7, 0))
    shared_cluster.docker("import", "-", "hostile:latest", input=out.getvalue(), text=False)
    return "hostile"


def test_a_link_does_not_lead_a_mount_into_proc(cluster, hostile, tmp_path):
    for option in (["-v", f"{tmp_path}:/toproc/sys"], ["--tmpfs", "/toproc/sys"], ["-v", f"{tmp_path}:/toproc"],
                   ["--tmpfs", "/toproc"]):
        run = cluster.docker("run", "--rm", *option, hostile, "true", check=False)
        assert run.returncode != 0 and ("EPERM" in run.stderr or "not permitted" in run.stderr), run.stderr


@pytest.mark.parametrize("target", ["/toetc/slipway-escape", "/above/slipway-escape", "/../../etc/slipway-escape"])
def test_a_mount_target_stays_inside(cluster, hostile, tmp_path, target):
    (tmp_path / "f").write_text("mounted")
    run = cluster.docker("run", "--rm", "-v", f"{tmp_path}:{target}", hostile, "cat", "/etc/slipway-escape/f")
    assert run.stdout == "mounted"
    assert not pathlib.Path("/etc/slipway-escape").exists()


def test_a_loop_of_links_is_told(cluster, hostile, tmp_path):
    run = cluster.docker("run", "--rm", "-v", f"{tmp_path}:/loop/x", hostile, "true", check=False)
    assert run.returncode != 0 and "ELOOP" in run.stderr


def test_device_nodes_of_a_layer_open_nothing(cluster, hostile):
    for node in ("/memory", "/kernel-log", "/disk"):
        run = cluster.docker("run", "--rm", hostile, "head", "-c1", node, check=False)
        assert run.returncode != 0 and "not permitted" in run.stderr, (node, run.stdout, run.stderr)


def test_device_nodes_made_inside_open_nothing(cluster):
    run = cluster.docker("run", "--rm", "busybox", "sh", "-c",
                         "mknod /tmp/m c 1 1; head -c1 /tmp/m; mknod /tmp/d b 7 0; head -c1 /tmp/d; mknod /dev/shm/k c 1 11; "
                         "head -c1 /dev/shm/k; true")
    assert run.stderr.count("not permitted") + run.stderr.count("denied") == 3 and run.stdout == ""


@pytest.mark.parametrize("number", range(3, 16))
def test_working_directory_behind_a_descriptor(cluster, number):
    """CVE-2024-21626."""
    run = cluster.docker("run", "--rm", "-w", f"/proc/self/fd/{number}", "busybox", "sh", "-c", "ls ../../../../..", check=False)
    assert run.returncode != 0 and run.stdout == ""


def test_exec_behind_a_descriptor(cluster):
    cluster.docker("run", "-d", "--name", "runs", "busybox", "sleep", "1000")
    for number in range(3, 16):
        run = cluster.docker("exec", "-w", f"/proc/self/fd/{number}", "runs", "ls", check=False)
        assert run.returncode != 0 and "etc" not in run.stdout.split(), run.stdout


def test_nobody_overwrites_our_programs(cluster):
    """CVE-2019-5736: whoever can open /proc/<pid>/exe of a process on its way into the container."""
    binary = cluster.dir / "bin" / "slipway-supervisor"
    before = hashlib.sha256(binary.read_bytes()).hexdigest()
    cluster.docker("run", "-d", "--name", "attacker", "--cap-add", "SYS_PTRACE", "busybox", "sh", "-c",
                   "cp /bin/busybox /tmp/b; while :; do for p in /proc/[0-9]*; do e=$(readlink $p/exe) || continue; case $e in /bin/busybox) ;; "
                   "*) echo found $e; echo '#!/bin/false' > $p/exe && echo WROTE $e;; esac; done; done 2>/dev/null")
    for _ in range(40):
        assert cluster.docker("exec", "attacker", "echo", "alive").stdout == "alive\n"
    assert "WROTE" not in cluster.docker("logs", "attacker").stdout
    assert hashlib.sha256(binary.read_bytes()).hexdigest() == before
    assert cluster.docker("run", "--rm", "busybox", "echo", "still").stdout == "still\n"


@pytest.mark.parametrize("options", [(), ("--init",), ("-t",), ("-i",), ("--privileged",)])
def test_no_descriptor_leaks(cluster, options):
    cluster.docker("run", "-d", "--name", "open", *options, "busybox", "sh", "-c", "sleep 1000; true")
    seen = cluster.docker("exec", "open", "sh", "-c", "for p in 1 $(pidof sleep); do ls /proc/$p/fd; done; echo self; ls /proc/self/fd")
    numbers = set(seen.stdout.split()) - {"self"}
    # ash keeps its terminal as 10, ls reads its directory as 3.
    assert {"0", "1", "2"} <= numbers <= {"0", "1", "2", "3", "10"}, seen.stdout


def test_processes_of_the_host_cannot_be_read(cluster):
    """Even with the host's pid namespace: no ptrace over what has other capabilities."""
    agent = cluster.pid("agent")
    run = cluster.docker("run", "--rm", "--pid", "host", "busybox", "sh", "-c",
                         f"cat /proc/{agent}/environ; readlink /proc/{agent}/fd/3; ls /proc/{agent}/root/; "
                         f"readlink /proc/{agent}/exe; head -c1 /proc/{agent}/mem", check=False)
    assert run.stdout == "" and run.stderr.lower().count("denied") >= 3, (run.stdout, run.stderr)


def test_settings_of_the_host_cannot_be_written(cluster):
    pattern = pathlib.Path("/proc/sys/kernel/core_pattern").read_text()
    run = cluster.docker("run", "--rm", "busybox", "sh", "-c",
                         "echo '|/x' > /proc/sys/kernel/core_pattern; echo b > /proc/sysrq-trigger; echo 1 > /proc/sys/vm/drop_caches; "
                         "echo 0 > /sys/kernel/mm/ksm/run; echo x > /proc/irq/default_smp_affinity; mount -o remount,rw /proc/sys; "
                         "mount -o remount,rw /sys; umount /proc/sys; umount /proc/kcore; true")
    assert pathlib.Path("/proc/sys/kernel/core_pattern").read_text() == pattern
    assert run.stdout == "" and len(run.stderr.splitlines()) >= 9


def test_a_volume_does_not_follow_its_links(cluster):
    """A bind inside of a volume whose directory became a link meanwhile."""
    cluster.docker("run", "--rm", "-v", "linksvolume:/v", "busybox", "ln", "-s", "/etc", "/v/sub")
    run = cluster.docker("run", "--rm", "-v", "linksvolume:/v", "-v", "linksvolume2:/v/sub/slipway-escape", "busybox", "ls", "-d",
                         "/etc/slipway-escape")
    assert run.stdout == "/etc/slipway-escape\n"
    assert not pathlib.Path("/etc/slipway-escape").exists()
    assert subprocess.run(["findmnt", "-n", "/etc/slipway-escape"]).returncode != 0
