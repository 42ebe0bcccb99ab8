"""The rows of the table: what is measured, the same way for Slipway and for each peer."""

import concurrent.futures
import contextlib
import io
import json
import os
import pathlib
import random
import shutil
import statistics
import subprocess
import tarfile
import tempfile
import time

import images
from cluster import SERVICES, Cluster
from peers import Dockerd, Registry
from raw_http import UnixClient

BRIDGE = "swbench0"


def life(client, network, ports=None):
    """create, start, wait, remove of `true`, `ports` published (dockerd publishes what is exposed too); seconds."""
    ports = ports or {}
    begin = time.perf_counter()
    identity = json.loads(client.call("POST", "/containers/create", {
        "Image": "busybox", "Cmd": ["true"], "ExposedPorts": {port: {} for port in ports},
        "HostConfig": {"NetworkMode": network, "PortBindings": ports}}))["Id"]
    client.call("POST", f"/containers/{identity}/start")
    client.call("POST", f"/containers/{identity}/wait")
    client.call("DELETE", f"/containers/{identity}")
    return time.perf_counter() - begin


def pss_bytes(pid):
    text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
    return int(next(line for line in text.splitlines() if line.startswith("Pss:")).split()[1]) * 1024


def descendants(pid):
    found = [pid]
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            found += descendants(int(child))
    return found


class Ours:
    name = "slipway"

    def __init__(self):
        self.cluster = Cluster()
        self.cluster.up()
        self.cluster.busybox()
        self.socket = self.cluster.socket
        self.env = self.cluster.env

    def platform_pids(self):
        pids = [self.cluster.pid(service) for service in SERVICES]
        for entry in pathlib.Path("/proc").iterdir():
            if entry.name.isdigit():
                with contextlib.suppress(OSError):
                    command = (entry / "cmdline").read_bytes()
                    if b"slipway-supervisor" in command.split(b"\0")[0] and str(self.cluster.run_dir).encode() in command:
                        pids.append(int(entry.name))
        return pids

    def close(self):
        self.cluster.close()


class Theirs:
    name = "dockerd"

    def __init__(self):
        self.daemon = Dockerd(bridge=BRIDGE)
        self.daemon.docker("import", "--change", 'CMD ["sh"]', "-", "busybox:latest", input=images.busybox_tar(),
                           text=False)
        self.socket = self.daemon.socket
        self.env = self.daemon.env

    def platform_pids(self):
        """dockerd, its containerd and the shims, but not the containers' own processes."""
        pids = []
        for pid in descendants(self.daemon.process.pid):
            if "docker" in os.readlink(f"/proc/{pid}/exe") or "containerd" in os.readlink(f"/proc/{pid}/exe"):
                pids.append(pid)
        for entry in pathlib.Path("/proc").iterdir():  # shims are children of init
            if entry.name.isdigit():
                with contextlib.suppress(OSError):
                    command = (entry / "cmdline").read_bytes()
                    if b"containerd-shim" in command.split(b"\0")[0] and str(self.daemon.dir).encode() in command:
                        pids.append(int(entry.name))
        return sorted(set(pids))

    def close(self):
        self.daemon.close()


class Bench:
    def __init__(self, short):
        self.short = short
        self.results = []
        self.stack = contextlib.ExitStack()

    def __enter__(self):
        self.ours = Ours()
        self.stack.callback(self.ours.close)
        self.theirs = Theirs()
        self.stack.callback(self.theirs.close)
        return self

    def __exit__(self, *error):
        self.stack.close()

    @property
    def both(self):
        return (self.ours, self.theirs)

    def add(self, row, unit, values, better="lower"):
        """`values`: {name: measured}. The ratio says how many times better we are than each peer."""
        ours = values["slipway"]
        ratios = {name: (value / ours if better == "lower" else ours / value)
                  for name, value in values.items() if name != "slipway"}
        self.results.append({"row": row, "unit": unit, "values": values, "ratios": ratios})
        print("  " + self.line(self.results[-1]), flush=True)

    @staticmethod
    def line(result):
        values = "  ".join(f"{name} {value:.4g}" for name, value in result["values"].items())
        ratios = "  ".join(f"{ratio:.1f}x {name}" for name, ratio in result["ratios"].items())
        return f"{result['row']:<44} {result['unit']:<10} {values:<50} {ratios}"

    def table(self):
        return "\n".join(["", *map(self.line, self.results)])


def busy_ticks():
    user, nice, system, _, _, irq, softirq = map(int, pathlib.Path("/proc/stat").read_text().split("\n")[0].split()[1:8])
    return user + nice + system + irq + softirq


def settle():
    """Until hardly anything runs, 0.5 s at most: what one peer cleans up behind its answer is not another's delay."""
    until = time.monotonic() + 0.5
    while time.monotonic() < until:
        before = busy_ticks()
        time.sleep(0.03)
        if busy_ticks() - before <= 1:
            return


def turns(bench, count, measure, peers=None, in_a_row=1):
    """Medians of `count` times `in_a_row` measurements of each, in turn and in a new order each time, so that the
    machine's moods, and what one leaves behind, hit all alike."""
    peers = peers or bench.both
    seen = {peer.name: [] for peer in peers}
    for peer in peers:
        measure(peer)
    for _ in range(count):
        for peer in random.sample(peers, len(peers)):
            settle()
            seen[peer.name] += [measure(peer) for _ in range(in_a_row)]
    return {name: statistics.median(values) for name, values in seen.items()}


def timed(function, *arguments, **options):
    begin = time.perf_counter()
    function(*arguments, **options)
    return time.perf_counter() - begin


def run_cli(peer, *arguments):
    return subprocess.run(["/usr/bin/docker", *arguments], env=peer.env, check=True, capture_output=True)


class Crun:
    """A bare `crun run` of the same root and command.

    crun 1.8 refuses hybrid cgroups whose v2 side has a controller, so it gets a mount namespace without that side: a
    small shell there starts it, which costs less than this process would.
    """

    name = "crun"

    def __init__(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="swbench-", dir="/var/tmp"))
        root = self.dir / "rootfs"
        root.mkdir()
        subprocess.run(["tar", "-C", root, "-xf", "-"], input=images.busybox_tar(), check=True)
        subprocess.run(["crun", "spec"], cwd=self.dir, check=True)
        spec = json.loads((self.dir / "config.json").read_text())
        spec["process"].update(terminal=False, args=["true"])
        (self.dir / "config.json").write_text(json.dumps(spec))
        self.holder = subprocess.Popen(
            ["unshare", "-m", "--propagation", "private", "sh", "-c",
             "umount /sys/fs/cgroup/unified 2>/dev/null; echo ready; while read name; do "
             f"crun --root {self.dir}/state --cgroup-manager=cgroupfs run -b {self.dir} $name </dev/null >&2; "
             "echo $?; done"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self.holder.stdout.readline() == b"ready\n"

    def run(self):
        name = f"swbench{random.randrange(1 << 40):x}"
        begin = time.perf_counter()
        self.holder.stdin.write(f"{name}\n".encode())
        self.holder.stdin.flush()
        code = self.holder.stdout.readline()
        seconds = time.perf_counter() - begin
        assert code == b"0\n", code
        return seconds

    def close(self):
        self.holder.stdin.close()
        self.holder.wait(10)
        shutil.rmtree(self.dir, ignore_errors=True)


def row_api(bench):
    """Lives of containers: ten one after the other, each peer in turn; and single ones, for each of which the machine has
    rested or done something else."""
    clients = {peer.name: UnixClient(peer.socket) for peer in bench.both}
    crun = Crun()
    try:
        for network in ("none", "bridge"):
            peers = [*bench.both, *([crun] if network == "none" else [])]

            def measure(peer, network=network):
                return crun.run() if peer is crun else life(clients[peer.name], network)

            values = turns(bench, 2 if bench.short else 6, measure, peers, in_a_row=10)
            bench.add(f"API create+start+wait+rm, {network}", "ms", {k: v * 1e3 for k, v in values.items()})
            values = turns(bench, 5 if bench.short else 30, measure, peers)
            bench.add(f"a single create+start+wait+rm, {network}", "ms", {k: v * 1e3 for k, v in values.items()})
    finally:
        crun.close()


def row_run(bench):
    for network in ("none", "bridge"):
        values = turns(bench, 5 if bench.short else 20, lambda peer: timed(
            run_cli, peer, "run", "--rm", "--network", network, "busybox", "true"))
        bench.add(f"docker run --rm, {network}", "ms", {k: v * 1e3 for k, v in values.items()})
    values = turns(bench, 10, lambda peer: timed(run_cli, peer, "ps"))
    bench.add("docker ps", "ms", {k: v * 1e3 for k, v in values.items()})


def row_exec(bench):
    for peer in bench.both:
        run_cli(peer, "run", "-d", "--name", "target", "--network", "none", "busybox", "sleep", "100000")
    try:
        values = turns(bench, 5 if bench.short else 30, lambda peer: timed(run_cli, peer, "exec", "target", "true"))
        bench.add("docker exec true", "ms", {k: v * 1e3 for k, v in values.items()})
    finally:
        for peer in bench.both:
            run_cli(peer, "rm", "-f", "target")


def row_concurrent(bench):
    counts = {"slipway": 64 if bench.short else 640, "dockerd": 32 if bench.short else 64}
    for network in ("none", "bridge"):
        rates = {}
        for peer in bench.both:
            count = counts[peer.name]
            clients = [UnixClient(peer.socket) for _ in range(32)]
            with concurrent.futures.ThreadPoolExecutor(32) as pool:
                begin = time.perf_counter()
                futures = [pool.submit(lambda c: [life(c, network) for _ in range(count // 32)], client)
                           for client in clients]
                for future in futures:
                    future.result()
                rates[peer.name] = count / (time.perf_counter() - begin)
        bench.add(f"32 at once, {network}", "per second", rates, better="higher")


def big_image(directory, short):
    """Seven gzip layers cut from the machine's own directories; about 1.28 GB unpacked (a tenth when short)."""
    layout = images.OciLayout(directory)
    total = (128 if short else 1280) << 20
    names = subprocess.run(["find", "/usr/lib", "/usr/share", "/usr/bin", "-xdev", "-type", "f", "-size", "+0", "-size",
                            "-20M", "-printf", "%s %p\n"], capture_output=True, text=True, check=True).stdout.splitlines()
    files = sorted((line.split(" ", 1) for line in names), key=lambda pair: pair[1])
    random.Random(1).shuffle(files)
    at = 0
    for _ in range(7):
        size, members = 0, []
        while size < total // 7 and at < len(files):
            size += int(files[at][0])
            members.append(files[at][1])
            at += 1
        tar = subprocess.run(["tar", "--null", "-T", "-", "-cf", "-", "--absolute-names", "--ignore-failed-read"],
                             input="\0".join(members).encode(), capture_output=True).stdout
        layout.add_layer(tar)
    return layout.finish(Cmd=["true"])


def peak_rss_bytes(pid):
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(next(line for line in text.splitlines() if line.startswith("VmHWM:")).split()[1]) * 1024


def row_pull(bench):
    """Pull, push to an empty registry, removal, and the memory of who pulls."""
    registry = Registry()
    directory = pathlib.Path(tempfile.mkdtemp(prefix="swbench-", dir="/var/tmp"))
    what = "128 MB, 7 layers" if bench.short else "1.28 GB, 7 layers"
    try:
        name = registry.push(big_image(directory / "oci", bench.short), "big:1")
        shutil.rmtree(directory)
        pushed, removed, peak = {}, {}, {}

        def pull(peer):
            pid = peer.cluster.pid("image") if peer.name == "slipway" else peer.daemon.process.pid
            pathlib.Path(f"/proc/{pid}/clear_refs").write_text("5")  # the peak begins anew
            seconds = timed(run_cli, peer, "pull", name)
            peak[peer.name] = max(peak.get(peer.name, 0), peak_rss_bytes(pid) / 1e6)
            other = Registry()
            try:
                run_cli(peer, "tag", name, f"{other.address}/big:1")
                pushed.setdefault(peer.name, []).append(timed(run_cli, peer, "push", f"{other.address}/big:1"))
                run_cli(peer, "rmi", f"{other.address}/big:1")
            finally:
                other.close()
            removed.setdefault(peer.name, []).append(timed(run_cli, peer, "rmi", name))
            return seconds

        bench.add(f"pull of {what}", "s", turns(bench, 1 if bench.short else 3, pull))
        bench.add(f"push of {what}", "s", {key: statistics.median(each) for key, each in pushed.items()})
        bench.add(f"docker rmi of {what}", "ms", {key: statistics.median(each) * 1e3 for key, each in removed.items()})
        bench.add(f"peak memory while pulling {what}", "MB", peak)
    finally:
        shutil.rmtree(directory, ignore_errors=True)
        registry.close()


def row_commit(bench):
    """A container that wrote 60 MB, committed."""
    for peer in bench.both:
        run_cli(peer, "run", "--name", "changed", "--network", "none", "busybox", "dd", "if=/dev/urandom", "of=/change",
                "bs=1M", "count=60")
    try:
        def commit(peer):
            seconds = timed(run_cli, peer, "commit", "changed", "committed:1")
            run_cli(peer, "rmi", "committed:1")
            return seconds
        clients = {peer.name: UnixClient(peer.socket) for peer in bench.both}

        def post(peer):
            seconds = timed(clients[peer.name].call, "POST", "/commit?container=changed&repo=committed&tag=1")
            run_cli(peer, "rmi", "committed:1")
            return seconds
        count = 1 if bench.short else 7
        bench.add("docker commit of 60 MB", "s", turns(bench, count, commit))
        bench.add("commit of 60 MB, API", "s", turns(bench, count, post))
    finally:
        for peer in bench.both:
            run_cli(peer, "rm", "-f", "changed")


def row_images(bench):
    """Listing many images, each with a layer of its own."""
    count = 50 if bench.short else 2000
    clients = {peer.name: UnixClient(peer.socket) for peer in bench.both}
    for peer in bench.both:
        client = clients[peer.name]
        for i in range(count):
            content = io.BytesIO()
            with tarfile.open(fileobj=content, mode="w") as tar:
                tar.addfile(tarfile.TarInfo(f"file-{i}"))
            client.call("POST", f"/images/create?fromSrc=-&repo=many&tag=t{i}", content.getvalue())
    values = turns(bench, 20, lambda peer: timed(clients[peer.name].call, "GET", "/images/json"))
    bench.add(f"list {count} images, API", "ms", {k: v * 1e3 for k, v in values.items()})
    for peer in bench.both:
        for i in range(count):
            clients[peer.name].call("DELETE", f"/images/many:t{i}")


def row_memory(bench):
    count = 20 if bench.short else 100
    idle, each = {}, {}
    for peer in bench.both:
        before = sum(map(pss_bytes, peer.platform_pids()))
        for i in range(count):
            run_cli(peer, "run", "-d", "--name", f"idle{i}", "--network", "none", "busybox", "sleep", "100000")
        after = sum(map(pss_bytes, peer.platform_pids()))
        run_cli(peer, "rm", "-f", *[f"idle{i}" for i in range(count)])
        idle[peer.name] = before / 1e6
        # A platform that gives memory back meanwhile would show less than nothing: 1 kB is what this can resolve.
        each[peer.name] = max((after - before) / count / 1e3, 1)
    bench.add("memory of the platform, idle (PSS)", "MB", idle)
    bench.add(f"memory per idle container, {count} of them (PSS)", "kB", each)


def row_list(bench):
    count = 50 if bench.short else 1000
    clients = {peer.name: UnixClient(peer.socket) for peer in bench.both}
    made = {peer.name: [] for peer in bench.both}
    for peer in bench.both:
        for _ in range(count):
            made[peer.name].append(json.loads(clients[peer.name].call(
                "POST", "/containers/create", {"Image": "busybox", "HostConfig": {"NetworkMode": "none"}}))["Id"])
    values = turns(bench, 20, lambda peer: timed(clients[peer.name].call, "GET", "/containers/json?all=1"))
    bench.add(f"list {count} containers, API", "ms", {k: v * 1e3 for k, v in values.items()})
    for peer in bench.both:
        for identity in made[peer.name]:
            clients[peer.name].call("DELETE", f"/containers/{identity}")


from build_rows import BUILD_ROWS  # noqa: E402 (it uses what is above)
from log_rows import LOG_ROWS  # noqa: E402
from network_rows import NETWORK_ROWS  # noqa: E402

ROWS = {"memory": row_memory, "api": row_api, "run": row_run, "exec": row_exec, "concurrent": row_concurrent,
        "pull": row_pull, "commit": row_commit, "images": row_images, **BUILD_ROWS, **LOG_ROWS,
        **NETWORK_ROWS, "list": row_list}
