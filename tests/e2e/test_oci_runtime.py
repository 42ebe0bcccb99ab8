"""slipway-runtime as engines and scripts use it: the runtime-spec's verbs on bundles made here, what is seen from inside
compared with runc for the same bundle, and a real dockerd and podman that run containers with it."""

import copy
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import pytest
from cluster import SOURCE, wait_until
from peers import Dockerd

RUNTIME = pathlib.Path(os.environ.get("SLIPWAY_RUNTIME", SOURCE / "bazel-bin/runtime-agent/oci/slipway-runtime"))
CAPABILITIES = ["CAP_CHOWN", "CAP_KILL", "CAP_NET_BIND_SERVICE", "CAP_SETUID", "CAP_SETGID", "CAP_AUDIT_WRITE"]


def config(*args, **process):
    """A config.json like `runc spec` makes it."""
    return {
        "ociVersion": "1.0.2",
        "process": {
            "terminal": False, "user": {"uid": 0, "gid": 0}, "args": list(args), "cwd": "/",
            "env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm"],
            "capabilities": {kind: CAPABILITIES for kind in ("bounding", "effective", "permitted")},
            "rlimits": [{"type": "RLIMIT_NOFILE", "hard": 1024, "soft": 512}], "noNewPrivileges": True, **process},
        "root": {"path": "rootfs", "readonly": True},
        "hostname": "box",
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs",
             "options": ["nosuid", "strictatime", "mode=755", "size=65536k"]},
            {"destination": "/dev/pts", "type": "devpts", "source": "devpts",
             "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]},
            {"destination": "/dev/shm", "type": "tmpfs", "source": "shm",
             "options": ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]},
            {"destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue", "options": ["nosuid", "noexec", "nodev"]},
            {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["nosuid", "noexec", "nodev", "ro"]},
        ],
        "linux": {
            "resources": {"devices": [{"allow": False, "access": "rwm"}]},
            "namespaces": [{"type": kind} for kind in ("pid", "network", "ipc", "uts", "mount")],
            "maskedPaths": ["/proc/kcore", "/proc/keys", "/proc/scsi", "/sys/firmware"],
            "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"],
        },
    }


class Bundles:
    """Bundles over one root file system, and a runtime with its own state."""

    def __init__(self):
        if not RUNTIME.exists():
            subprocess.run(["bazel", "build", "--noshow_progress", "//runtime-agent/oci:slipway-runtime"], cwd=SOURCE,
                           check=True)
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="sw-oci-", dir="/var/tmp"))
        self.binary = self.dir / "slipway-runtime"
        shutil.copy(RUNTIME, self.binary)
        (self.dir / "rootfs").mkdir()
        tar = subprocess.run([SOURCE / "deploy" / "busybox-root"], check=True, capture_output=True).stdout
        subprocess.run(["tar", "-xC", self.dir / "rootfs"], input=tar, check=True)
        self.count = 0
        self.parent = "swoci" + self.dir.name[-6:]

    def make(self, spec):
        self.count += 1
        bundle = self.dir / f"bundle{self.count}"
        bundle.mkdir()
        (bundle / "rootfs").symlink_to(self.dir / "rootfs")
        spec = copy.deepcopy(spec)
        spec["root"]["path"] = str(self.dir / "rootfs")
        spec["linux"].setdefault("cgroupsPath", f"/{self.parent}/c{self.count}")
        (bundle / "config.json").write_text(json.dumps(spec))
        return bundle

    def call(self, *arguments, runtime=None, check=True, input=None):
        command = [runtime or self.binary, "--root", self.dir / ("state-" + pathlib.Path(runtime or "ours").name), *arguments]
        run = subprocess.run([str(part) for part in command], input=input, capture_output=True, text=True, timeout=60)
        if check and run.returncode != 0:
            raise AssertionError(f"{' '.join(map(str, arguments))}: {run.returncode}\n{run.stdout}\n{run.stderr}")
        return run

    def state(self, name):
        return json.loads(self.call("state", name).stdout)

    def create(self, spec, name="c", output=subprocess.DEVNULL, check=True, *options):
        """Not captured through pipes of ours: the held process would keep them open."""
        bundle = self.make(spec)
        run = subprocess.run([self.binary, "--root", self.dir / "state-ours", "--log", bundle / "log", "--log-format", "json",
                              "create", "--bundle", bundle, "--pid-file", bundle / "pid", *options, name],
                             stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.DEVNULL, timeout=60)
        if check:
            assert run.returncode == 0, (bundle / "log").read_text()
        return bundle, run.returncode

    def groups(self):
        return [path for path in pathlib.Path("/sys/fs/cgroup").glob(f"*/{self.parent}/*") if path.is_dir()]

    def close(self):
        for name in json.loads(self.call("list", "--format", "json").stdout):
            self.call("delete", "--force", name["id"])
        for group in pathlib.Path("/sys/fs/cgroup").glob(f"*/{self.parent}"):
            group.rmdir()
        shutil.rmtree(self.dir)


@pytest.fixture(scope="module")
def bundles():
    made = Bundles()
    yield made
    made.close()


@pytest.fixture(autouse=True)
def nothing_is_left(bundles):
    yield
    for entry in json.loads(bundles.call("list", "--format", "json").stdout):
        bundles.call("delete", "--force", entry["id"])
    assert not list((bundles.dir / "state-ours").glob("*"))
    wait_until(lambda: not bundles.groups(), "no cgroup is left")
    assert str(bundles.dir) not in pathlib.Path("/proc/self/mounts").read_text()


@pytest.mark.parametrize("change, words", [
    (lambda c: c.pop("process"), "process.args is empty"),
    (lambda c: c["process"].update(args=[]), "process.args is empty"),
    (lambda c: c["process"].update(cwd="here"), "process.cwd"),
    (lambda c: c["linux"]["namespaces"].append({"type": "user"}), "user namespaces are not supported"),
    (lambda c: c["linux"].update(cgroupsPath="system.slice:a:b"), "systemd"),
    (lambda c: c["mounts"].append({"destination": "/x", "type": "nonsense", "source": "x"}), "mount /x"),
    (lambda c: c["mounts"].append({"destination": "/x", "source": "/nowhere", "options": ["bind"]}), "/nowhere"),
    (lambda c: c["process"].update(args=["no-such-program"]), 'exec: "no-such-program": executable file not found in $PATH'),
    (lambda c: c["process"].update(args=["/etc"]), 'exec: "/etc": permission denied'),
    (lambda c: c["process"].update(args=["/no/such"]), "no such file or directory"),
    (lambda c: c["linux"].update(sysctl={"kernel.nonsense": "1"}), "sysctl"),
    (lambda c: c.update(hooks={"prestart": [{"path": "/bin/sh", "args": ["sh", "-c", "echo why >&2; exit 3"]}]}),
     "exited with 3: why"),
    (lambda c: c.update(hooks={"createRuntime": [{"path": "/bin/sleep", "args": ["sleep", "100"], "timeout": 1}]}),
     "did not end in 1 s"),
])
def test_a_create_that_fails_says_why_and_leaves_nothing(bundles, change, words):
    spec = config("true")
    change(spec)
    spec.setdefault("process", {})
    bundle, code = bundles.create(spec, "bad", check=False)
    assert code == 1
    logged = json.loads((bundle / "log").read_text().splitlines()[-1])
    assert logged["level"] == "error" and words in logged["msg"]
    assert bundles.call("state", "bad", check=False).returncode == 1
    # nothing_is_left looks at the rest


@pytest.mark.parametrize("text", ["", "[]", "{", "null", '{"ociVersion":"1.0.2"}', "[" * 100000])
def test_a_config_that_is_no_config(bundles, text):
    bundle = bundles.make(config("true"))
    (bundle / "config.json").write_text(text)
    run = bundles.call("run", "--bundle", bundle, "x", check=False)
    assert run.returncode == 1 and "config.json" in run.stderr


def test_arguments_that_are_refused(bundles):
    bundle = bundles.make(config("true"))
    for arguments, words in ((["--systemd-cgroup", "list"], "cgroupfs"), (["state", "../x"], "invalid container id"),
                             (["state", "nobody"], 'container "nobody" does not exist'),
                             (["start", "nobody"], "does not exist"), (["delete", "nobody"], "does not exist"),
                             (["kill", "nobody", "KILL"], "does not exist"), (["create", "--bundle", "/nowhere", "x"], "/nowhere"),
                             (["run", "--bundle", bundle, "--preserve-fds", "2", "x"], "preserve-fds")):
        run = bundles.call(*arguments, check=False)
        assert run.returncode == 1 and words in run.stderr, (arguments, run.stderr)
    assert bundles.call("delete", "--force", "nobody").returncode == 0
    unknown = bundles.call("no-such-verb", check=False)
    assert unknown.returncode == 3 and 'unknown command "no-such-verb"' in unknown.stderr
    wrong = bundles.call("--log-format", "bogus", "list", check=False)
    assert wrong.returncode == 1 and "invalid log-format: bogus" in wrong.stderr


def test_life_cycle(bundles):
    out = (bundles.dir / "out").open("w+")
    bundle, _ = bundles.create(config("sh", "-c", "echo ran; trap 'exit 3' TERM; while :; do sleep 0.05; done"), "life", out)
    pid = int((bundle / "pid").read_text())
    state = bundles.state("life")
    assert (state["status"], state["pid"], state["bundle"], state["id"]) == ("created", pid, str(bundle), "life")
    assert bundles.create(config("true"), "life", check=False)[1] == 1  # the name is taken
    out.seek(0)
    assert out.read() == ""  # held
    bundles.call("start", "life")
    assert bundles.state("life")["status"] == "running"
    assert bundles.call("start", "life", check=False).returncode == 1
    assert "not stopped" in bundles.call("delete", "life", check=False).stderr
    wait_until(lambda: out.seek(0) == 0 and out.read() == "ran\n", "it ran")
    assert json.loads(bundles.call("ps", "--format", "json", "life").stdout)[0] == pid
    bundles.call("pause", "life")
    assert bundles.state("life")["status"] == "paused"
    bundles.call("resume", "life")
    bundles.call("update", "-r", "-", "life", input='{"pids": {"limit": 77}}')
    assert "77\n" in [(group / "pids.max").read_text() for group in bundles.groups() if (group / "pids.max").exists()]
    assert bundles.call("exec", "life", "sh", "-c", "exit 9", check=False).returncode == 9
    assert bundles.call("exec", "life", "hostname").stdout == "box\n"
    bundles.call("kill", "life", "SIGTERM")
    wait_until(lambda: bundles.state("life")["status"] == "stopped", "it stopped")
    assert "container not running" in bundles.call("kill", "life", "9", check=False).stderr
    assert bundles.state("life")["pid"] == 0
    assert bundles.call("list").stdout.splitlines()[1].split()[:3] == ["life", "0", "stopped"]
    bundles.call("delete", "life")
    assert bundles.call("state", "life", check=False).returncode == 1


@pytest.mark.parametrize("code", [0, 1, 77, 255])
def test_exit_codes(bundles, code):
    bundle = bundles.make(config("sh", "-c", f"exit {code}"))
    assert bundles.call("run", "--bundle", bundle, "x", check=False).returncode == code
    assert bundles.call("run", "--bundle", bundle, "x", runtime="runc", check=False).returncode == code


def test_a_created_container_can_be_deleted(bundles):
    _, _ = bundles.create(config("true"), "never")
    bundles.call("delete", "never")


def test_a_start_that_is_killed_half_way_can_be_repeated(bundles):
    bundle, _ = bundles.create(config("sleep", "1000"), "half")
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
        connection.connect(str(bundles.dir / "state-ours" / "half" / "start.sock"))
    assert bundles.state("half")["status"] == "created"
    bundles.call("start", "half")
    assert bundles.state("half")["status"] == "running"
    assert pathlib.Path(f"/proc/{(bundle / 'pid').read_text()}").exists()


def test_hooks_run_in_their_order_and_places(bundles):
    trace = bundles.dir / "trace"
    trace.write_text("")

    def hook(kind, shell="/bin/sh"):
        return [{"path": shell, "args": ["sh", "-c", f"read state; echo {kind} $(readlink /proc/self/ns/mnt) $state >>$TRACE"],
                 "env": [f"TRACE={trace}", "PATH=/bin:/usr/bin"]}]

    spec = config("sh", "-c", "echo program >>/trace/trace; readlink /proc/self/ns/mnt >/trace/inside")
    spec["mounts"].append({"destination": "/trace", "source": str(bundles.dir), "options": ["bind"]})
    spec["hooks"] = {kind: hook(kind) for kind in ("prestart", "createRuntime", "createContainer", "poststart", "poststop")}
    spec["hooks"]["startContainer"] = [
        {"path": "/bin/sh", "args": ["sh", "-c", "echo startContainer $(readlink /proc/self/ns/mnt) >>/trace/trace"],
         "env": ["PATH=/bin"]}]
    spec["annotations"] = {"key": "value"}
    bundle, _ = bundles.create(spec, "hooked")
    host = os.readlink("/proc/self/ns/mnt")
    lines = trace.read_text().splitlines()
    assert [line.split()[0] for line in lines] == ["prestart", "createRuntime", "createContainer"]
    assert [line.split()[1] == host for line in lines] == [True, True, False]
    state = json.loads(lines[0].split(" ", 2)[2])
    assert (state["status"], state["id"], state["annotations"]) == ("creating", "hooked", {"key": "value"})
    assert state["pid"] == int((bundle / "pid").read_text())
    bundles.call("start", "hooked")
    wait_until(lambda: bundles.state("hooked")["status"] == "stopped", "it ended")
    bundles.call("delete", "hooked")
    lines = [line.split() for line in trace.read_text().splitlines()]
    assert {line[0] for line in lines[3:6]} == {"startContainer", "program", "poststart"}
    assert lines[3][0] == "startContainer" and lines[3][1] == (bundles.dir / "inside").read_text().strip()
    assert [line[0] for line in lines[6:]] == ["poststop"] and lines[6][1] == host


LOOK = r"""
for n in cgroup ipc mnt net pid uts user; do
  [ "$(readlink /proc/self/ns/$n)" = "$(grep "^$n " /host | cut -d' ' -f2)" ] && echo "$n is the host's"
done
grep -E '^(Cap|NoNewPrivs|Seccomp:|Groups|Uid|Gid)' /proc/self/status
grep -E 'open files|core file' /proc/self/limits
cut -d' ' -f2-4 /proc/self/mounts | sed 's/,inode64//; s/,size=[0-9k]*//; s/,nr_inodes=1,mode=555//'
ls -ld /dev/* | sed 's/ [A-Z][a-z][a-z] .*[0-9]:[0-9]* / /' | cut -c1-10,40-
hostname; pwd; umask; env | sort
head -c 10 /proc/kcore | wc -c; ls /sys/firmware | wc -l
echo x >/proc/sys/kernel/domainname; touch /x
mkdir /tmp/d 2>&1; chroot / true 2>&1; echo "chroot $?"
cat /proc/sys/net/ipv4/ip_unprivileged_port_start
cat /proc/self/oom_score_adj
cat /proc/net/dev | wc -l; cat /sys/class/net/lo/flags
"""


def variations():
    yield "plain", lambda c: None
    yield "writable", lambda c: c["root"].update(readonly=False)
    yield "user", lambda c: c["process"].update(user={"uid": 1000, "gid": 1001, "additionalGids": [7, 8], "umask": 0o27})
    yield "mounts", lambda c: c["mounts"].extend([
        {"destination": "/tmp", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "noexec", "size=1m"]},
        {"destination": "/mnt/etc", "source": "/etc", "options": ["rbind", "ro", "nosuid"]},
        {"destination": "/mnt/hosts", "source": "/etc/hosts", "options": ["bind", "noexec", "nodev", "ro"]}])
    yield "settings", lambda c: (
        c["process"].update(oomScoreAdj=100, noNewPrivileges=False, cwd="/tmp"),
        c["linux"].update(sysctl={"net.ipv4.ip_unprivileged_port_start": "80"}))
    yield "cgroup namespace", lambda c: (
        c["linux"]["namespaces"].append({"type": "cgroup"}))
    yield "host network", lambda c: c["linux"].update(
        namespaces=[n for n in c["linux"]["namespaces"] if n["type"] != "network"])
    yield "seccomp", lambda c: c["linux"].update(seccomp={
        "defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"],
        "syscalls": [{"names": ["chroot"], "action": "SCMP_ACT_ERRNO", "errnoRet": 5}]})
    yield "device", lambda c: c["linux"].update(
        devices=[{"path": "/dev/loop-control", "type": "c", "major": 10, "minor": 237, "fileMode": 0o660, "uid": 1, "gid": 2}])
    yield "propagation", lambda c: c["linux"].update(rootfsPropagation="rslave")


@pytest.mark.parametrize("name, change", list(variations()), ids=[name for name, _ in variations()])
def test_seen_from_inside_as_with_runc(bundles, name, change):
    namespaces = "".join(f"{n} {os.readlink(f'/proc/self/ns/{n}')}\n" for n in ("cgroup", "ipc", "mnt", "net", "pid", "uts", "user"))
    (bundles.dir / "host").write_text(namespaces)
    spec = config("sh", "-c", LOOK)
    spec["mounts"].append({"destination": "/host", "source": str(bundles.dir / "host"), "options": ["bind", "ro"]})
    change(spec)
    (bundles.dir / "rootfs" / "host").touch()
    (bundles.dir / "rootfs" / "mnt" / "etc").mkdir(parents=True, exist_ok=True)
    (bundles.dir / "rootfs" / "mnt" / "hosts").touch()
    seen = {}
    for runtime in (None, "runc"):
        for leftover in ("x", "tmp/d"):
            path = bundles.dir / "rootfs" / leftover
            if path.exists():
                path.unlink() if path.is_file() else path.rmdir()
        run = bundles.call("run", "--bundle", bundles.make(spec), "look", runtime=runtime, check=False)
        text = re.sub(r"(Mem|Swap).*", "", run.stdout + run.stderr)
        seen[runtime] = sorted(text.splitlines())  # mounts are listed in the order in which they were prepared
    differences = {"ours": [line for line in seen[None] if line not in seen["runc"]],
                   "runc": [line for line in seen["runc"] if line not in seen[None]]}
    assert not any(differences.values()), json.dumps(differences, indent=1)
    assert len(seen[None]) == len(seen["runc"]), (seen[None], seen["runc"])


def test_terminal(bundles):
    path = bundles.dir / "console"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(path))
        listener.listen()
        spec = config("sh", "-c", "tty; stty size; ls -l /proc/self/fd/0; exit 3", terminal=True,
                      consoleSize={"height": 30, "width": 90})
        bundles.create(spec, "tty", subprocess.DEVNULL, True, "--console-socket", path)
        connection, _ = listener.accept()
        _, fds, _, _ = socket.recv_fds(connection, 100, 1)
    bundles.call("start", "tty")
    text = b""
    while True:
        try:
            text += os.read(fds[0], 4096)
        except OSError:
            break
    os.close(fds[0])
    assert text.startswith(b"/dev/pts/0\r\n30 90\r\n"), text
    assert bundles.create(config("true", terminal=True), "notty", check=False)[1] == 1


def test_exec_with_a_process_file(bundles):
    bundles.create(config("sleep", "1000"), "host-of-exec")
    bundles.call("start", "host-of-exec")
    process = config("sh", "-c", "id -u; pwd; echo $A; grep CapEff /proc/self/status; exit 5", user={"uid": 7, "gid": 7}, cwd="/tmp",
                     env=["A=b", "PATH=/bin"])["process"]
    process["capabilities"] = {"bounding": ["CAP_KILL"], "effective": [], "permitted": []}
    file = bundles.dir / "process.json"
    file.write_text(json.dumps(process))
    run = bundles.call("exec", "--process", file, "--pid-file", bundles.dir / "exec.pid", "host-of-exec", check=False)
    assert (run.returncode, run.stdout) == (5, "7\n/tmp\nb\nCapEff:\t0000000000000000\n")
    assert int((bundles.dir / "exec.pid").read_text()) > 1
    run = bundles.call("exec", "host-of-exec", "nothing-here", check=False)
    assert run.returncode == 1 and "executable file not found in $PATH" in run.stderr


def test_the_runtimes_own_program_cannot_be_changed_from_inside(bundles):
    """As CVE-2019-5736: a program of the container that is /proc/self/exe runs from a sealed copy."""
    before = bundles.binary.read_bytes()
    script = bundles.dir / "rootfs" / "bin" / "evil"
    script.write_text("#!/proc/self/exe\n")
    script.chmod(0o755)
    bundles.call("run", "--bundle", bundles.make(config("/bin/evil")), "evil", check=False)
    spec = config("sh", "-c", "for p in /proc/[0-9]*/exe; do echo x >>$p; done 2>/dev/null; sleep 1")
    bundles.create(spec, "outer")
    bundles.call("start", "outer")
    for _ in range(5):
        bundles.call("exec", "outer", "true", check=False)
    script.unlink()
    assert bundles.binary.read_bytes() == before


@pytest.fixture(scope="module")
def engine(bundles):
    """A real dockerd that may run containers with our runtime."""
    wrapper = bundles.dir / "dockerd-runtime"
    wrapper.write_text(f"#!/bin/sh\nexec {bundles.binary} --root {bundles.dir}/state-dockerd \"$@\"\n")
    wrapper.chmod(0o755)
    dockerd = Dockerd(options=["--add-runtime", f"slipway={bundles.binary}"])
    tar = subprocess.run([SOURCE / "deploy" / "busybox-root"], check=True, capture_output=True).stdout
    dockerd.docker("import", "-", "busybox", input=tar, text=False)
    yield dockerd
    dockerd.close()


def test_dockerd_runs_containers_with_it(engine):
    def docker(*arguments, check=True):
        return engine.docker(*arguments, check=check)

    run = ["run", "--runtime", "slipway", "--network", "none"]
    assert docker(*run, "--rm", "busybox", "echo", "hello").stdout == "hello\n"
    assert docker(*run, "--rm", "busybox", "sh", "-c", "exit 42", check=False).returncode == 42
    missing = docker(*run, "--rm", "busybox", "no-such-program", check=False)
    assert missing.returncode == 127 and "executable file not found in $PATH" in missing.stderr
    assert docker(*run, "--rm", "-m", "32m", "--hostname", "h", "-u", "7:8", "-w", "/tmp", "-e", "A=b", "--read-only", "busybox",
                  "sh", "-c", "id -u; pwd; hostname; echo $A; touch /x 2>&1; true").stdout.splitlines() == [
                      "7", "/tmp", "h", "b", "touch: /x: Read-only file system"]
    docker(*run, "-d", "--name", "trapper", "busybox", "sh", "-c", "trap 'exit 5' TERM; while :; do sleep 0.05; done")
    assert docker("exec", "trapper", "hostname").stdout == docker("inspect", "-f", "{{.Config.Hostname}}", "trapper").stdout
    assert docker("exec", "trapper", "sh", "-c", "exit 3", check=False).returncode == 3
    assert "sleep" in docker("top", "trapper").stdout or "sh -c" in docker("top", "trapper").stdout
    docker("pause", "trapper")
    assert docker("inspect", "-f", "{{.State.Status}}", "trapper").stdout == "paused\n"
    docker("unpause", "trapper")
    docker("stop", "trapper")
    assert docker("inspect", "-f", "{{.State.ExitCode}}", "trapper").stdout == "5\n"
    docker("start", "trapper")
    docker("kill", "trapper")
    assert docker("wait", "trapper").stdout == "137\n"
    docker("rm", "trapper")


def test_podman_runs_containers_with_it(bundles):
    """With state of its own, cgroupfs and no network."""
    root = bundles.dir / "podman"
    podman = ["podman", "--root", root / "root", "--runroot", root / "run", "--tmpdir", root / "tmp", "--runtime", bundles.binary,
              "--cgroup-manager", "cgroupfs", "--events-backend", "file", "--storage-driver", "vfs"]

    def call(*arguments, check=True, **options):
        run = subprocess.run([str(part) for part in [*podman, *arguments]], capture_output=True, timeout=120, **options)
        assert not check or run.returncode == 0, run.stderr
        return run

    tar = subprocess.run([SOURCE / "deploy" / "busybox-root"], check=True, capture_output=True).stdout
    call("import", "-", "localhost/busybox", input=tar)
    try:
        run = ["run", "--network", "none", "--rm", "localhost/busybox"]
        assert call(*run, "echo", "hello").stdout == b"hello\n"
        assert call(*run, "sh", "-c", "exit 42", check=False).returncode == 42
        assert call(*run, "no-such-program", check=False).returncode == 127
        call("run", "-d", "--network", "none", "--name", "p", "localhost/busybox", "sleep", "1000")
        assert call("exec", "p", "sh", "-c", "echo in; exit 3", check=False).stdout == b"in\n"
        call("kill", "p")
        assert call("wait", "p").stdout == b"137\n"
    finally:
        call("rm", "-fa", check=False)
        call("rmi", "-fa", check=False)
        for line in pathlib.Path("/proc/self/mounts").read_text().splitlines():
            if str(root) in line:
                subprocess.run(["umount", "-l", line.split()[1]], check=False)
