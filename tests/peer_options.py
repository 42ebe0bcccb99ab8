"""The same `docker run` option against Slipway and against a real dockerd: what inspect says and what a process inside sees.

The probe's report and inspect's answer are normalised here; every difference that stays, and is meant, is named with
its reason.
"""

import io
import json
import re
import subprocess
import tarfile

from images import busybox_tar

# Sections of what a process inside sees, one shell function each.
PROBE = r"""#!/bin/sh
section() { echo "== $1"; }
section argv; tr '\0' ' ' </proc/self/cmdline | sed 's/ *$//'; echo
section user; id
section status; grep -E '^(Cap|NoNewPrivs|Seccomp:|Umask|Groups)' /proc/self/status
section env; env | grep -vE '^(SHLVL|PWD|_)=' | sort
section cwd; pwd
section names; hostname; cat /proc/sys/kernel/domainname
section limits; sed 's/  */ /g' /proc/self/limits
section oom; cat /proc/self/oom_score_adj
section namespaces; for n in cgroup ipc mnt net pid uts user; do readlink /proc/self/ns/$n; done
section pid; [ $$ = 1 ] && echo first || echo among others; ps | wc -l | sed 's/^[^1]$/few/; s/^[0-9][0-9]*$/many/'
section mounts; sed -E 's/^[0-9]+ [0-9]+ [0-9]+:[0-9]+ //' /proc/self/mountinfo | sort -k 2,2
section devices; find /dev -type c -o -type b | sort | while read d; do stat -c '%n %F %t:%T %a %u:%g' $d; done
section links; find /dev -maxdepth 1 -type l | sort | while read d; do echo $d $(readlink $d); done
section files; cat /etc/hosts /etc/resolv.conf /etc/hostname
section sysctls; for s in net/ipv4/ip_unprivileged_port_start net/ipv4/ping_group_range net/core/somaxconn kernel/shmmax kernel/msgmax; do
  echo $s $(cat /proc/sys/$s); done
section cgroup; cd /sys/fs/cgroup; for f in cpu/cpu.shares cpu/cpu.cfs_quota_us cpu/cpu.cfs_period_us cpuset/cpuset.cpus \
  cpuset/cpuset.mems memory/memory.limit_in_bytes memory/memory.soft_limit_in_bytes memory/memory.swappiness \
  memory/memory.oom_control pids/pids.max blkio/blkio.throttle.read_bps_device blkio/blkio.throttle.write_bps_device \
  blkio/blkio.throttle.read_iops_device blkio/blkio.throttle.write_iops_device devices/devices.list; do
  [ -e $f ] && echo $f $(grep -v '^oom_kill ' $f | sort); done
section tree; ls -ld / /tmp /data /data/* /etc/passwd /proc /dev /dev/shm /work 2>/dev/null | sed -E 's/ +/ /g; s/^([^ ]+ )[^ ]+ ([^ ]+ [^ ]+ ).* ([^ ]+)$/\1\2\3/'
section extra; [ -z "$EXTRA" ] || sh -c "$EXTRA" 2>&1
"""


def probe_image():
    """A root with users, data and the probe in it."""
    out = io.BytesIO()
    with tarfile.open(fileobj=io.BytesIO(busybox_tar())) as old, tarfile.open(fileobj=out, mode="w") as new:
        for member in old.getmembers():
            data = old.extractfile(member) if member.isreg() else None
            if member.name in ("./etc/passwd", "./etc/group"):
                text = data.read()
                text += {"./etc/passwd": b"alice:x:1000:1001:Alice:/home/alice:/bin/sh\n",
                         "./etc/group": b"staff:x:1001:\nwheel:x:1002:alice\nvideo:x:44:\n"}[member.name]
                member.size = len(text)
                data = io.BytesIO(text)
            new.addfile(member, data)
        for name, mode, uid, text in (("probe", 0o755, 0, PROBE), ("data/a", 0o640, 1000, "in the image\n")):
            if "/" in name:
                directory = tarfile.TarInfo(name.split("/")[0])
                directory.type, directory.mode, directory.uid, directory.gid = tarfile.DIRTYPE, 0o750, 1000, 1001
                new.addfile(directory)
            info = tarfile.TarInfo(name)
            info.mode, info.uid, info.gid, info.size = mode, uid, uid and 1001, len(text)
            new.addfile(info, io.BytesIO(text.encode()))
    return out.getvalue()


class Side:
    """One engine, with its client."""

    def __init__(self, name, docker):
        self.name = name
        self.docker = docker

    def prepare(self):
        self.docker("import", "--change", 'CMD ["/probe"]', "--change", "ENV FROM_IMAGE=yes", "--change",
                    "LABEL from-image=yes", "-", "probe:latest", input=probe_image(), text=False)

    def run(self, options, command=(), extra="", name="subject", network="none"):
        """(inspect before the start, the probe's sections, exit code)."""
        arguments = [*options]
        if network:
            arguments = ["--network", network, *arguments]
        if extra:
            arguments = ["-e", f"EXTRA={extra}", *arguments]
        created = self.docker("create", "--name", name, *arguments, "probe", *command, check=False)
        if created.returncode != 0:
            raise AssertionError(f"{self.name}: create failed: {created.stderr}")
        try:
            inspect = json.loads(self.docker("inspect", name).stdout)[0]
            run = self.docker("start", "-a", name, check=False)
            return inspect, sections(run.stdout), run.returncode, run.stderr
        finally:
            self.docker("rm", "-fv", name, check=False)


def sections(report):
    found = {}
    for line in report.splitlines():
        if line.startswith("== "):
            current = found.setdefault(line[3:], [])
        else:
            current.append(line)
    return found


# --- What differs and is meant ---

# Members of HostConfig that one side has and the other does not, or that say something of the engine itself.
HOST_CONFIG = {
    "Runtime": "the runtime's name",
    "MaskedPaths": "Docker 28's list, which masks more than dockerd 20.10's",
    "ReadonlyPaths": "the order",
    "ConsoleSize": "given back since API 1.42",
    "KernelMemory": "gone since API 1.42", "KernelMemoryTCP": "gone since API 1.42",
    "LogConfig": "each engine's default driver",
}
CONFIG = {
    "Image": "the same", "Hostname": "the short id", "AttachStdin": "", "AttachStdout": "", "AttachStderr": "",
}
# Masked by Docker 28 and not by 20.10; hierarchies without controllers, in which ours makes no groups.
MORE_MOUNTS = ("/proc/interrupts", "/sys/devices/", "/sys/fs/cgroup/unified", "/sys/fs/cgroup/systemd")


def host_config(inspect):
    return {key: value for key, value in inspect["HostConfig"].items() if key not in HOST_CONFIG and value not in (None, [], {}, "", 0, False)}


def config(inspect):
    said = {key: value for key, value in inspect["Config"].items() if key not in CONFIG and value not in (None, [], {}, "", False)}
    # The client sends variables in the order of a Go map.
    return {**said, "Env": sorted(said.get("Env", []))}


def inspected_mounts(inspect):
    mounts = []
    for mount in inspect["Mounts"]:
        mount = dict(mount)
        if mount["Type"] == "volume":
            mount["Source"] = re.sub(r".*/volumes/", "<volumes>/", mount["Source"])
            for member in ("Name", "Source"):
                mount[member] = re.sub(r"[0-9a-f]{64}", "<made up>", mount[member])
        mounts.append(mount)
    return sorted(mounts, key=lambda mount: mount["Destination"])


def mount_lines(lines):
    """"target options propagation type super-options" of each mount."""
    seen = []
    for line in lines:
        left, right = line.split(" - ")
        root, target, options, *tags = left.split(" ")
        kind, source, super_options = (right.split(" ") + [""])[:3]
        if target.startswith(MORE_MOUNTS):
            continue
        tags = sorted({tag.split(":")[0] for tag in tags})
        if kind in ("overlay", "cgroup") or target.startswith("/etc/"):
            super_options = root = source = ""
        if kind == "sysfs":
            super_options = ""  # of the file system that all mounts share
        if kind != "tmpfs":
            tags = []  # dockerd makes the directory of its roots and volumes a shared mount
        if kind == "tmpfs" and target.startswith(("/proc/", "/sys/firmware")):
            super_options = re.sub(r",?(size|nr_inodes|mode)=[^,]*", "", super_options)
        super_options = ",".join(option for option in super_options.split(",") if option != "inode64")
        seen.append(f"{target} {options} {','.join(tags)} {kind} {super_options}")
    return sorted(seen)


def normal(report, container_id, host):
    """A report without what must differ between two containers."""
    short = container_id[:12]
    out = {}
    for name, lines in report.items():
        lines = [line.replace(container_id, "<id>").replace(short, "<short id>") for line in lines]
        if name == "namespaces":
            lines = [line.split(":")[0] + (" host" if line in host else " own") for line in lines]
        if name == "mounts":
            lines = mount_lines(lines)
        if name == "files":
            lines = [re.sub(r"^172\.\d+\.\d+\.\d+", "172.x.x.x", line) for line in lines]
        if name == "cgroup":
            # Which runc 1.1 allows every container still: a tunnel, and a console that no container has.
            lines = [re.sub(r" c (10:200|5:1) rwm", "", line) for line in lines]
        if name == "status":
            lines = [line for line in lines if not line.startswith("Seccomp_filters")]
        out[name] = lines
    return out


def host_namespaces():
    names = ("cgroup", "ipc", "mnt", "net", "pid", "uts", "user")
    return {subprocess.run(["readlink", f"/proc/self/ns/{name}"], capture_output=True, text=True).stdout.strip()
            for name in names}


def differences(ours, theirs, where=""):
    """One line for each thing that is not the same, lists line by line."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        return [line for key in sorted(ours.keys() | theirs.keys())
                for line in differences(ours.get(key), theirs.get(key), f"{where}.{key}" if where else str(key))]
    if isinstance(ours, list) and isinstance(theirs, list) and ours != theirs:
        only = [f"{where}: only ours: {line}" for line in ours if line not in theirs]
        only += [f"{where}: only dockerd's: {line}" for line in theirs if line not in ours]
        return only or [f"{where}: the order: {ours} and {theirs}"]
    return [] if ours == theirs else [f"{where}: ours {ours!r}, dockerd's {theirs!r}"]
