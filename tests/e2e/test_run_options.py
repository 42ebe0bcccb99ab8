"""`docker run`, option by option: the stock client asks Slipway and a real dockerd for the same, and inspect and what a
process inside sees must agree. docs/docker-run-options.md names the test of each option."""

import pytest
from peer_options import Side, config, differences, host_config, host_namespaces, inspected_mounts, normal
from peers import Dockerd

# id: (options, {command, extra: more for the probe to do, network})
OPTIONS = {
    "nothing": ([], {}),
    "user-name": (["-u", "alice"], {}),
    "user-id": (["-u", "1000"], {}),
    "user-unknown-id": (["-u", "4321"], {}),
    "user-name-group": (["-u", "alice:wheel"], {}),
    "user-ids": (["-u", "12:34"], {}),
    "group-add": (["-u", "alice", "--group-add", "video", "--group-add", "77"], {}),
    "group-add-root": (["--group-add", "wheel"], {}),
    "workdir": (["-w", "/data"], {}),
    "workdir-made": (["-w", "/work/new/deep"], {}),
    "workdir-dots": (["-w", "/data/../tmp"], {}),
    "env": (["-e", "A=1", "-e", "B=two words", "-e", "FROM_IMAGE=no", "-e", "PATH=/bin:/other"], {}),
    "env-remove": (["-e", "FROM_IMAGE"], {}),
    "hostname": (["--hostname", "named"], {"network": None}),
    "hostname-dots": (["--hostname", "a.b.example"], {"network": None}),
    "domainname": (["--hostname", "h", "--domainname", "example.org"], {"network": None}),
    "entrypoint": (["--entrypoint", "/bin/sh"], {"command": ["-c", "exec /probe arg"]}),
    "entrypoint-none": (["--entrypoint", ""], {"command": ["/probe"]}),
    "read-only": (["--read-only"], {"extra": "touch /x /tmp/x /dev/shm/x"}),
    "tmpfs": (["--tmpfs", "/scratch"], {"extra": "echo ok > /scratch/x; ls -ld /scratch | cut -c1-10"}),
    "tmpfs-options": (["--tmpfs", "/scratch:size=1m,mode=1770,uid=1000,exec,nosuid"], {"extra": "stat -c '%a %u' /scratch"}),
    "tmpfs-over-content": (["--tmpfs", "/data"], {"extra": "ls -l /data | wc -l"}),
    "tmpfs-two": (["--tmpfs", "/scratch", "--tmpfs", "/scratch/below:ro"], {"extra": "touch /scratch/below/x"}),
    "shm-size": (["--shm-size", "10m"], {}),
    "volume-bind": (["-v", "{dir}:/host"], {"extra": "cat /host/f; echo back > /host/made; rm /host/made"}),
    "volume-bind-ro": (["-v", "{dir}:/host:ro"], {"extra": "touch /host/x"}),
    "volume-bind-file": (["-v", "{dir}/f:/data/a"], {"extra": "cat /data/a"}),
    "volume-bind-over-dev": (["-v", "{dir}:/dev/sub"], {"extra": "ls /dev/sub"}),
    "volume-bind-dots": (["-v", "{dir}:/data/../host"], {"extra": "ls /host"}),
    "volume-bind-dots-above": (["-v", "{dir}:/../../host"], {"extra": "ls /host"}),
    "volume-bind-labels": (["-v", "{dir}:/host:z,ro"], {}),
    "volume-bind-sys": (["-v", "{dir}:/sys/fs/cgroup/sub:ro"], {}),
    "volume-bind-private": (["-v", "{dir}:/host:private"], {}),
    "volume-bind-shared": (["-v", "{shared}:/host:shared"], {"extra": "ls /host /host/below"}),
    "volume-bind-rshared": (["-v", "{shared}:/host:rshared"], {"extra": "ls /host/below"}),
    "volume-bind-slave": (["-v", "{shared}:/host:slave"], {}),
    "volume-bind-rslave": (["-v", "{shared}:/host:rslave"], {}),
    "volume-bind-below": (["-v", "{shared}:/host"], {"extra": "ls /host/below; touch /host/below/x; rm /host/below/x"}),
    "volume-named": (["-v", "optionsvolume:/data"], {"extra": "ls -ln /data | tail -n +2 | sed -E 's/ +/ /g' | cut -d' ' -f1,3,4,9"}),
    "volume-named-ro": (["-v", "optionsvolume2:/vol:ro"], {"extra": "touch /vol/x"}),
    "volume-named-nocopy": (["-v", "optionsvolume3:/data:nocopy"], {"extra": "ls -a /data | wc -l"}),
    "volume-anonymous": (["-v", "/data", "-v", "/fresh"], {"extra": "cat /data/a; touch /fresh/x; ls /fresh"}),
    "mount-bind": (["--mount", "type=bind,src={dir},dst=/host"], {"extra": "ls /host"}),
    "mount-bind-readonly": (["--mount", "type=bind,src={dir},dst=/host,readonly"], {"extra": "touch /host/x"}),
    "mount-bind-propagation": (["--mount", "type=bind,src={shared},dst=/host,bind-propagation=rslave"], {}),
    "mount-bind-nonrecursive": (["--mount", "type=bind,src={shared},dst=/host,bind-nonrecursive"], {"extra": "ls /host/below | wc -l"}),
    "mount-volume": (["--mount", "type=volume,src=optionsvolume4,dst=/data"], {"extra": "cat /data/a"}),
    "mount-volume-nocopy": (["--mount", "type=volume,src=optionsvolume5,dst=/data,volume-nocopy"], {"extra": "ls /data | wc -l"}),
    "mount-volume-anonymous": (["--mount", "type=volume,dst=/data"], {"extra": "cat /data/a"}),
    "mount-tmpfs": (["--mount", "type=tmpfs,dst=/scratch,tmpfs-size=65536,tmpfs-mode=1700"], {"extra": "stat -c %a /scratch"}),
    "mounts-nested": (["-v", "{dir}:/outer/inner", "--mount", "type=tmpfs,dst=/outer"], {"extra": "ls /outer/inner"}),
    "device": (["--device", "/dev/null:/dev/mine"], {}),
    "device-permissions": (["--device", "/dev/loop-control:/dev/mine:r"], {"extra": "head -c0 /dev/mine && echo readable; : > /dev/mine"}),
    "device-elsewhere": (["--device", "/dev/zero:/data/zero"], {"extra": "head -c3 /data/zero | wc -c"}),
    "device-directory": (["--device", "/dev/net"], {}),
    "device-cgroup-rule": (["--device-cgroup-rule", "c 42:* rmw", "--device-cgroup-rule", "b 7:1 r"], {}),
    "cap-add": (["--cap-add", "NET_ADMIN", "--cap-add", "cap_sys_time"], {}),
    "cap-drop": (["--cap-drop", "CHOWN", "--cap-drop", "MKNOD"], {}),
    "cap-drop-all": (["--cap-drop", "ALL"], {}),
    "cap-drop-all-add": (["--cap-drop", "all", "--cap-add", "KILL"], {}),
    "cap-add-user": (["--cap-add", "SYS_PTRACE", "-u", "alice"], {}),
    "no-new-privileges": (["--security-opt", "no-new-privileges"], {}),
    "no-new-privileges-false": (["--security-opt", "no-new-privileges:false"], {}),
    "seccomp-unconfined": (["--security-opt", "seccomp=unconfined"], {"extra": "unshare -m true && echo possible"}),
    "seccomp-file": (["--security-opt", "seccomp={profile}"], {"extra": "mkdir /made; ls -d /made; chmod 700 /tmp"}),
    "systempaths-unconfined": (["--security-opt", "systempaths=unconfined"], {"extra": "ls /proc/acpi | wc -l"}),
    "apparmor": (["--security-opt", "apparmor=mine"], {}),
    "selinux": (["--security-opt", "label=type:mine_t"], {}),
    "sysctl-net": (["--sysctl", "net.core.somaxconn=777", "--sysctl", "net.ipv4.ip_unprivileged_port_start=99"], {}),
    "sysctl-ipc": (["--sysctl", "kernel.shmmax=123456", "--sysctl", "kernel.msgmax=65000"], {}),
    "ulimit": (["--ulimit", "nofile=100:200", "--ulimit", "core=0", "--ulimit", "nproc=77"], {}),
    "pid-host": (["--pid", "host"], {}),
    "ipc-host": (["--ipc", "host"], {}),
    "ipc-private": (["--ipc", "private"], {}),
    "ipc-shareable": (["--ipc", "shareable"], {}),
    "ipc-none": (["--ipc", "none"], {"extra": "ls -ld /dev/shm | wc -l"}),
    "uts-host": (["--uts", "host"], {}),
    "userns-host": (["--userns", "host"], {}),
    "cgroupns-host": (["--cgroupns", "host"], {}),
    "network-host": ([], {"network": "host"}),
    "cpus": (["--cpus", "0.5"], {}),
    "cpu-shares": (["--cpu-shares", "512"], {}),
    "cpu-quota-period": (["--cpu-quota", "20000", "--cpu-period", "50000"], {}),
    "cpuset": (["--cpuset-cpus", "1", "--cpuset-mems", "0"], {}),
    "memory": (["-m", "64m"], {}),
    "memory-swap": (["-m", "64m", "--memory-swap", "128m"], {}),
    "memory-swap-unlimited": (["-m", "64m", "--memory-swap", "-1"], {}),
    "memory-reservation": (["-m", "64m", "--memory-reservation", "32m"], {}),
    "memory-swappiness": (["--memory-swappiness", "13"], {}),
    "kernel-memory": (["--kernel-memory", "50m"], {}),
    "pids-limit": (["--pids-limit", "55"], {}),
    "pids-limit-unlimited": (["--pids-limit", "-1"], {}),
    "device-read-bps": (["--device-read-bps", "/dev/loop0:1mb", "--device-write-bps", "/dev/loop0:2mb"], {}),
    "device-read-iops": (["--device-read-iops", "/dev/loop0:100", "--device-write-iops", "/dev/loop0:200"], {}),
    "oom-score-adj": (["--oom-score-adj", "500"], {}),
    "oom-kill-disable": (["--oom-kill-disable", "-m", "64m"], {}),
    "stop-signal": (["--stop-signal", "SIGUSR1"], {}),
    "stop-timeout": (["--stop-timeout", "42"], {}),
    "label": (["--label", "a=b", "-l", "empty", "--label", "from-image=no"], {}),
    "label-file": (["--label-file", "{labels}"], {}),
    "env-file": (["--env-file", "{env}"], {}),
    "add-host": (["--add-host", "far:10.1.2.3", "--add-host", "six:2001:db8::7"], {"network": None}),
    "dns": (["--dns", "9.9.9.9", "--dns-search", "example.org", "--dns-option", "ndots:3"], {"network": None}),
    "dns-search-none": (["--dns-search", "."], {"network": None}),
    "expose": (["--expose", "80", "--expose", "90-92/udp"], {}),
    "tty": (["-t"], {}),
    "interactive": (["-i"], {}),
    "mac-address": (["--mac-address", "02:42:ac:11:00:99"], {"network": None, "extra": "cat /sys/class/net/eth0/address"}),
    "restart-policy": (["--restart", "on-failure:2"], {}),
    "health": (["--health-cmd", "true", "--health-interval", "30s", "--health-retries", "2"], {}),
    "no-healthcheck": (["--no-healthcheck"], {}),
}



@pytest.fixture(scope="module")
def bridged_dockerd():
    dockerd = Dockerd(bridge="swoptpeer0", options=["--default-cgroupns-mode=private"])
    yield dockerd
    dockerd.close()


@pytest.fixture(scope="module")
def sides(shared_cluster, bridged_dockerd):
    both = Side("slipway", shared_cluster.docker), Side("dockerd", bridged_dockerd.docker)
    for side in both:
        side.prepare()
    return both


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """Files of the host that options name; a shared mount with another below it."""
    import subprocess
    base = tmp_path_factory.mktemp("options")
    base.chmod(0o755)
    (base / "dir").mkdir()
    (base / "dir" / "f").write_text("from the host\n")
    (base / "profile.json").write_text(
        '{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO"}]}')
    (base / "labels").write_text("from-file=1\nsecond=two\n")
    (base / "env").write_text("FROM_FILE=1\n# a comment\nSECOND=two words\n")
    shared = base / "shared"
    shared.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", shared], check=True)
    subprocess.run(["mount", "--make-shared", shared], check=True)
    (shared / "below").mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", shared / "below"], check=True)
    (shared / "below" / "inside").write_text("")
    yield {"dir": base / "dir", "profile": base / "profile.json", "labels": base / "labels", "env": base / "env",
           "shared": shared}
    subprocess.run(["umount", "-R", shared], check=True)


@pytest.mark.parametrize("option", OPTIONS)
def test_same_as_docker(sides, places, option):
    arguments, more = OPTIONS[option]
    arguments = [argument.format(**places) for argument in arguments]
    host = host_namespaces()
    answers = []
    for side in sides:
        inspect, report, code, errors = side.run(arguments, **more)
        assert report, f"{side.name}: nothing was reported; exit code {code}: {errors}"
        answers.append({"HostConfig": host_config(inspect), "Config": config(inspect), "Mounts": inspected_mounts(inspect),
                        "exit": code, **{key: inspect[key] for key in ("Path", "Args", "AppArmorProfile")},
                        "seen": normal(report, inspect["Id"], host)})
    ours, theirs = answers
    found = differences(ours, theirs)
    assert not found, "\n" + "\n".join(found)
