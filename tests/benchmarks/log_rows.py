"""Rows of the table that are about logs."""

import os
import pathlib
import random
import re
import shutil
import socket
import statistics
import subprocess
import tempfile
import time

import images
import real_logs
from rows import pss_bytes, run_cli, timed

LINE = "x" * 99


def script(lines):
    return f"yes {LINE} | head -n {lines}"


def to_a_drained_pipe(command):
    """Seconds of the same program writing to a pipe that is drained to a file: what nothing can beat by much."""
    with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="swbench-") as directory:
        root = pathlib.Path(directory)
        subprocess.run(["tar", "-C", root, "-xf", "-"], input=images.busybox_tar(), check=True)
        return timed(subprocess.run, ["sh", "-c", f"{root}/bin/busybox sh -c '{command}' | cat > {root}/out"])


def write(peer, command, *options, run=run_cli):
    """Seconds until the container has ended."""
    seconds = timed(run, peer, "run", "-d", "--name", "writer", "--network", "none", *options, "busybox", "sh", "-c",
                    command)
    return seconds + timed(run, peer, "wait", "writer")


class Podman:
    """podman with state of its own and its default log driver off a systemd host."""

    def __enter__(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="swbench-", dir="/var/tmp"))
        self.run("import", "-", "busybox", input=images.busybox_tar())
        return self

    def run(self, *arguments, input=None):
        # crun 1.8 refuses hybrid cgroups whose v2 side has a controller.
        subprocess.run(["podman", "--root", self.dir / "root", "--runroot", self.dir / "run", "--tmpdir", self.dir / "tmp",
                        "--runtime", "runc", "--cgroup-manager", "cgroupfs", "--events-backend", "file", "--storage-driver",
                        "overlay", *arguments], check=True, capture_output=True, input=input)

    def write(self, command, *options):
        # Its own limits are higher than what may be set without CAP_SYS_RESOURCE.
        seconds = write(self, command, "--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024",
                        "--log-driver", "k8s-file", *options, run=Podman.run)
        self.run("rm", "writer")
        return seconds

    def __exit__(self, *error):
        self.run("rm", "--all", "--force")
        # Its store is a mount of its own.
        subprocess.run(["umount", self.dir / "root" / "overlay"], capture_output=True)
        shutil.rmtree(self.dir, ignore_errors=True)


def read(peer, *options):
    begin = time.perf_counter()
    with subprocess.Popen(["/usr/bin/docker", "logs", *options, "writer"], env=peer.env, stdout=subprocess.PIPE) as logs:
        size = sum(len(chunk) for chunk in iter(lambda: logs.stdout.read(1 << 20), b""))
    return time.perf_counter() - begin, size


def ask(peer, query):
    """Seconds until the whole answer has come, over the API."""
    begin = time.perf_counter()
    with socket.socket(socket.AF_UNIX) as raw:
        raw.settimeout(120)
        raw.connect(str(peer.socket))
        raw.sendall(f"GET /v1.41/containers/writer/logs?stdout=1&{query} HTTP/1.1\r\nHost: x\r\n"
                    "Connection: close\r\n\r\n".encode())
        size = 0
        while part := raw.recv(1 << 20):
            size += len(part)
    return time.perf_counter() - begin, size


def median_ask(peer, query, count=7):
    return statistics.median(ask(peer, query)[0] for _ in range(count)) * 1e3


def row_write(bench):
    """A container that writes 1 GB of 100-byte lines by a program that costs nothing itself: it has them in a file."""
    size = 100 if bench.short else 1000
    rounds = 1 if bench.short else 5
    written = {"slipway": [], "dockerd": [], "dockerd local": [], "podman": [], "drained pipe": []}
    with Podman() as podman, tempfile.NamedTemporaryFile(dir="/var/tmp", prefix="swbench-") as lines:
        for _ in range(size):
            lines.write(f"{LINE}\n".encode() * 10000)
        lines.flush()
        os.chmod(lines.name, 0o644)
        mount = ("-v", f"{lines.name}:/lines:ro")
        for _ in range(rounds):
            written["slipway"].append(write(bench.ours, "cat /lines", *mount))
            run_cli(bench.ours, "rm", "writer")
            written["drained pipe"].append(to_a_drained_pipe(f"cat {lines.name}"))
        # The peers, which take half a minute and keep the disk busy, once and last.
        for name, options in (("dockerd", ()), ("dockerd local", ("--log-driver", "local"))):
            written[name].append(write(bench.theirs, "cat /lines", *mount, *options))
            run_cli(bench.theirs, "rm", "writer")
        written["podman"].append(podman.write("cat /lines", *mount))
    bench.add(f"container writes {size / 1000:g} GB from a file to stdout", "s",
              {k: statistics.median(v) for k, v in written.items()})


def row_logs(bench):
    """A container that writes 2,110,000 lines of 100 bytes, and reading them."""
    lines = 200000 if bench.short else 2110000
    size = lines // 10000
    rounds = 1 if bench.short else 3
    local = ("--log-driver", "local")
    written = {"slipway": [], "dockerd": [], "dockerd local": [], "drained pipe": []}
    for last in [False] * (rounds - 1) + [True]:
        written["slipway"].append(write(bench.ours, script(lines)))
        written["drained pipe"].append(to_a_drained_pipe(script(lines)))
        written["dockerd local"].append(write(bench.theirs, script(lines), *local))
        run_cli(bench.theirs, "rm", "writer")
        written["dockerd"].append(write(bench.theirs, script(lines)))
        if not last:
            run_cli(bench.ours, "rm", "writer")
            run_cli(bench.theirs, "rm", "writer")
    bench.add(f"container writes {size} MB to stdout", "s", {k: statistics.median(v) for k, v in written.items()})
    took = {peer.name: [] for peer in bench.both}
    for _ in range(rounds):
        for peer in bench.both:
            seconds, got = read(peer)
            assert got == lines * 100, (peer.name, got)
            took[peer.name].append(seconds)
    bench.add(f"docker logs of {size} MB", "s", {k: statistics.median(v) for k, v in took.items()})
    bench.add(f"--tail 1000 of {size} MB, API", "ms",
              {peer.name: median_ask(peer, "tail=1000") for peer in bench.both})
    since = {peer.name: subprocess.run(["/usr/bin/docker", "logs", "-t", "--tail", "1000", "writer"], env=peer.env,
                                       capture_output=True, text=True).stdout.split(" ", 1)[0] for peer in bench.both}
    values = {}
    for peer in bench.both:
        run = subprocess.run(["date", "-d", since[peer.name], "+%s.%N"], capture_output=True, text=True, check=True)
        values[peer.name] = median_ask(peer, f"since={run.stdout.strip()}", 3)
    bench.add(f"--since its last lines, of {size} MB, API", "ms", values)
    for peer in bench.both:
        run_cli(peer, "rm", "writer")


def web_lines(count):
    """What a web server logs."""
    chooser = random.Random(1)
    paths = [f"/shop/item/{chooser.randrange(5000)}" for _ in range(300)] + ["/", "/favicon.ico", "/api/v1/cart"]
    agents = ["Mozilla/5.0 (X11; Linux x86_64; rv:109.0) Gecko/20100101 Firefox/115.0", "curl/7.88.1",
              "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/119.0 Safari/537.36"]
    for i in range(count):
        yield (f'10.{chooser.randrange(256)}.{chooser.randrange(256)}.{chooser.randrange(256)} - - [26/Nov/2023:10:'
               f'{i // 6000 % 60:02}:{i // 100 % 60:02} +0000] "GET {chooser.choice(paths)} HTTP/1.1" '
               f'{chooser.choice([200, 200, 200, 304, 404])} {chooser.randrange(200, 90000)} "-" "{chooser.choice(agents)}"\n')


def sealed(ours, name):
    """The directory of a container's log when that is packed, as one is that was not written just now."""
    identity = subprocess.run(["/usr/bin/docker", "inspect", "-f", "{{.Id}}", name], env=ours.env, text=True,
                              capture_output=True, check=True).stdout.strip()
    stored = pathlib.Path(ours.cluster.dir) / "root" / "log" / "containers" / identity
    deadline = time.monotonic() + 120
    while not real_logs.is_sealed(stored) and time.monotonic() < deadline:
        time.sleep(0.2)
    return stored


def row_search(bench):
    """Finding 100 lines among those of a web server."""
    size = (64 if bench.short else 1000) << 20
    with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="swbench-") as directory:
        file = pathlib.Path(directory) / "access.log"
        block = "".join(web_lines(100000)).encode()
        needle = b'10.9.8.7 - - [26/Nov/2023:12:00:00 +0000] "GET /needle HTTP/1.1" 500 1 "-" "-"\n'
        with file.open("wb") as out:
            written = 0
            while written < size:
                out.write(block)
                out.write(needle)
                written += len(block) + len(needle)
        needles = written // (len(block) + len(needle))
        for peer in bench.both:
            run_cli(peer, "run", "--name", "writer", "--network", "none", "-v", f"{directory}:/in:ro", "busybox", "cat",
                    "/in/access.log")

    def search(peer):
        if peer is bench.ours:
            run = subprocess.run([peer.cluster.dir / "bin" / "slipway", "logs", "writer", "--search", "GET /needle"],
                                 env=peer.env, capture_output=True, check=True)
        else:
            run = subprocess.run("docker logs writer | grep -F 'GET /needle'", shell=True, env=peer.env,
                                 capture_output=True, check=True)
        assert run.stdout.count(b"\n") == needles, (peer.name, run.stdout.count(b"\n"), needles)

    stored = sealed(bench.ours, "writer")
    bench.add(f"search in {size >> 20} MB", "s",
              {peer.name: min(timed(search, peer) for _ in range(3)) for peer in bench.both})
    on_disk = sum(path.stat().st_size for path in stored.iterdir())
    theirs = subprocess.run(["/usr/bin/docker", "inspect", "-f", "{{.LogPath}}", "writer"], env=bench.theirs.env,
                            text=True, capture_output=True, check=True).stdout.strip()
    bench.add(f"disk for {size >> 20} MB of a web server's log", "MB",
              {"slipway": on_disk / 1e6, "dockerd": os.stat(theirs).st_size / 1e6, "text": written / 1e6})
    bench.add("memory of the log service after it (PSS)", "MB",
              {"slipway": pss_bytes(bench.ours.cluster.pid("log")) / 1e6, "bound": 64})
    for peer in bench.both:
        run_cli(peer, "rm", "writer")


def row_real(bench):
    """Finding one line of a thousand in 1 GB of what nginx, PostgreSQL and dpkg logged."""
    sizes = {"requests": 40000, "transactions": 3000, "copies": 60} if bench.short else \
        {"requests": 3000000, "transactions": 170000, "copies": 4600}
    text, took = {}, {}
    for peer in bench.both:
        with open(images.stack_root(), "rb") as tar:
            subprocess.run(["/usr/bin/docker", "import", "-", "stack"], stdin=tar, env=peer.env, check=True,
                           capture_output=True)

        def docker(*arguments, timeout=120):
            return subprocess.run(["/usr/bin/docker", *arguments], env=peer.env, check=True, capture_output=True,
                                  text=True, timeout=timeout)

        needles = real_logs.run(docker, "stack", **sizes)
        text[peer.name] = int(subprocess.run(
            "for name in web database packages; do docker logs $name 2>&1; done | wc -c", shell=True, env=peer.env,
            capture_output=True, check=True).stdout)
        search = "for name in web database packages; do docker logs $name 2>&1; done | grep -F needle"
        if peer is bench.ours:
            for name in needles:
                sealed(peer, name)
            search = f"{peer.cluster.dir}/bin/slipway logs web database packages --search needle 2>&1"
        runs = []
        for _ in range(3 if peer is bench.ours else 1):
            begin = time.perf_counter()
            run = subprocess.run(search, shell=True, env=peer.env, capture_output=True, check=True)
            runs.append(time.perf_counter() - begin)
            assert run.stdout.count(b"\n") == sum(needles.values()), (peer.name, needles, run.stdout[-500:])
        took[peer.name] = min(runs)
        run_cli(peer, "rm", *needles)
    bench.add(f"search in {text['slipway'] / 1e6:.0f} MB of nginx, PostgreSQL and dpkg", "s", took)


def row_follow(bench):
    """From a byte that a container writes to the follower who sees it: 99 of 100 are faster."""
    values = {}
    for peer in bench.both:
        with subprocess.Popen(["/usr/bin/docker", "run", "-i", "--rm", "--name", "writer", "--network", "none", "busybox",
                               "cat"], env=peer.env, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as echo:
            while subprocess.run(["/usr/bin/docker", "inspect", "-f", "{{.State.Running}}", "writer"], env=peer.env,
                                 capture_output=True, text=True).stdout != "true\n":
                time.sleep(0.05)
            follower = subprocess.Popen(["/usr/bin/docker", "logs", "-f", "writer"], env=peer.env, stdout=subprocess.PIPE)
            took = []
            for i in range(120 if bench.short else 400):
                begin = time.perf_counter()
                echo.stdin.write(b"line %d\n" % i)
                echo.stdin.flush()
                assert re.match(rb"line \d+\n", follower.stdout.readline())
                if i >= 20:
                    took.append(time.perf_counter() - begin)
                time.sleep(0.005)
            echo.stdin.close()
            echo.wait(30)
            follower.wait(30)
            follower.stdout.close()
        values[peer.name] = sorted(took)[len(took) * 99 // 100] * 1e3
    bench.add("write to follower, p99, two CLIs", "ms", values)


def row_huge(bench):
    """The end of a log of 10 GB, as clients ask for it; ours alone, for want of a day."""
    lines = 2000000 if bench.short else 100000000
    peer = bench.ours
    run_cli(peer, "run", "-d", "--name", "writer", "--network", "none", "--log-opt", "max-size=20g", "busybox", "sh",
            "-c", f"{script(lines)}; sleep 61; yes late | head -n 1000")
    run_cli(peer, "wait", "writer")
    size = lines // 10000
    for row, query, bound, least in ((f"--tail 1000 of {size} MB", "tail=1000", 10, 5000),
                                     (f"--since a minute ago, of {size} MB", f"since={time.time() - 60}", 20, 5000)):
        times = []
        for _ in range(9):
            seconds, got = ask(peer, query)
            assert least <= got < 1 << 20, (query, got)
            times.append(seconds)
        bench.add(row + ", API", "ms", {"slipway": statistics.median(times) * 1e3, "bound": bound})
    run_cli(peer, "rm", "writer")


# 5,500 lines of 100 bytes ten times a second, for so many tenths of a second.
STEADY = ("awk 'BEGIN { line = sprintf(\"%099d\", 7); for (t = 0; t < {tenths}; ++t) {"
          " for (i = 0; i < 5500; ++i) print line; fflush(); system(\"usleep 95000\") } }'")


def cpu_seconds(pids):
    """Of processes, their ended threads excepted."""
    total = 0
    for pid in pids:
        for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
            total += int((task / "schedstat").read_text().split()[0])
    return total / 1e9


def row_steady(bench):
    """What following a producer of 55,000 lines a second costs a platform's processes, over what recording it does."""
    tenths = 30 if bench.short else 100
    values = {}
    for peer in bench.both:
        share = {}
        for followed in (False, True):
            run_cli(peer, "run", "-d", "--name", "writer", "--network", "none", "busybox", "sh", "-c",
                    STEADY.replace("{tenths}", str(tenths)))
            pids = peer.platform_pids()
            before, begin = cpu_seconds(pids), time.perf_counter()
            if followed:
                assert ask(peer, "follow=1")[1] >= tenths * 5500 * 100
            else:
                run_cli(peer, "wait", "writer")
            share[followed] = (cpu_seconds(pids) - before) / (time.perf_counter() - begin) * 100
            run_cli(peer, "rm", "-f", "writer")
        values[peer.name] = max(share[True] - share[False], 0.01)
    bench.add("following 55,000 lines a second", "% of a core", {**values, "bound": 5})


def row_chatty(bench):
    """Many containers that write at once, all of each read back."""
    count, lines = (20, 2000) if bench.short else (500, 2000)
    values = {}
    for peer in bench.both:
        begin = time.perf_counter()
        for i in range(count):
            run_cli(peer, "run", "-d", "--name", f"chatty{i}", "--network", "none", "busybox", "sh", "-c", script(lines))
        for i in range(count):
            run_cli(peer, "wait", f"chatty{i}")
        values[peer.name] = time.perf_counter() - begin
        for i in range(count):
            got = subprocess.run(["/usr/bin/docker", "logs", f"chatty{i}"], env=peer.env, capture_output=True).stdout
            assert len(got) == lines * 100, (peer.name, i, len(got))
        run_cli(peer, "rm", *[f"chatty{i}" for i in range(count)])
    bench.add(f"{count} containers of {lines} lines each", "s", values)


LOG_ROWS = {"write": row_write, "logs": row_logs, "search": row_search, "real": row_real, "follow": row_follow,
            "steady": row_steady, "huge": row_huge, "chatty": row_chatty}
