"""What containers write is all there, in order, and told as dockerd tells it."""

import json
import pathlib
import re
import socket
import subprocess
import threading
import time

import pytest
from cluster import wait_until

SOURCE = pathlib.Path(__file__).resolve().parents[2]

# Interleaved streams, an unterminated end, NULs, bytes that are no text, control sequences, an empty line. Each stream has a pipe
# of its own: what comes next in the other one comes later than any reader.
SCRIPT = r"""echo one; echo bad >&2; printf 'tw'; usleep 20000; printf 'o\n'; printf 'a\000b\377\n'; printf '\033[31mred\r\n\n';
usleep 400000; echo worse >&2; usleep 400000; printf 'the end'"""


@pytest.fixture(scope="module")
def peer(dockerd):
    tar = subprocess.run([SOURCE / "deploy" / "busybox-root"], check=True, capture_output=True).stdout
    dockerd.docker("import", "--change", 'CMD ["sh"]', "-", "busybox:latest", input=tar, text=False)
    return dockerd


def both(cluster, peer):
    return {"slipway": cluster.docker, "dockerd": peer.docker}


def logs(docker, *arguments):
    run = docker("logs", *arguments, check=False, text=False)
    return run.returncode, run.stdout, run.stderr


@pytest.fixture(scope="module")
def talkers(shared_cluster, peer):
    """Two on each engine that have spoken: by whether they have a terminal."""
    names = {False: "piped-talker", True: "terminal-talker"}
    for docker in both(shared_cluster, peer).values():
        for tty, name in names.items():
            docker("run", *(["-t"] if tty else []), "-d", "--name", name, "--network", "none", "--label", "zone=a b", "--env", "LEVEL=3",
                   "--log-driver", "json-file", "--log-opt", "labels=zone", "--log-opt", "env=LEVEL", "busybox", "sh", "-c", SCRIPT)
            docker("wait", name)
    yield names
    for docker in both(shared_cluster, peer).values():
        docker("rm", "-f", *names.values(), check=False)


@pytest.mark.parametrize("tty", [False, True])
@pytest.mark.parametrize("options", [
    (), ("--tail", "0"), ("--tail", "1"), ("--tail", "2"), ("--tail", "3"), ("--tail", "all"), ("--tail", "nonsense"),
    ("--since", "1h"), ("--until", "1h"), ("--since", "2001-02-03"), ("--until", "2001-02-03T04:05:06Z"),
    ("--since", "1000000000.000000001"), ("--details",), ("--details", "--tail", "2"), ("-f",), ("-f", "--tail", "1")])
def test_docker_logs_byte_by_byte(shared_cluster, peer, talkers, tty, options):
    seen = {name: logs(docker, *options, talkers[tty]) for name, docker in both(shared_cluster, peer).items()}
    # dockerd's json-file puts U+FFFD in the place of bytes that are no UTF-8; ours keeps what was written.
    code, out, err = seen["slipway"]
    assert (code, out.replace(b"\xff", b"\xef\xbf\xbd"), err) == seen["dockerd"]


@pytest.mark.parametrize("arguments", [("nosuch",), ("--since", "x", "talker"), ("--until", "x", "talker")])
def test_errors_are_dockerds(cluster, peer, arguments):
    seen = {}
    for name, docker in both(cluster, peer).items():
        docker("create", "--name", "talker", "busybox", "true")
        seen[name] = logs(docker, *arguments)
        docker("rm", "talker")
    assert seen["slipway"] == seen["dockerd"]


def test_timestamps_have_nine_digits_and_grow(cluster):
    cluster.docker("run", "--name", "talker", "busybox", "sh", "-c", "for i in 1 2 3; do echo $i; usleep 200000; done")
    lines = cluster.docker("logs", "-t", "talker").stdout.splitlines()
    assert [line.split(" ", 1)[1] for line in lines] == ["1", "2", "3"]
    stamps = [line.split(" ", 1)[0] for line in lines]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z", stamp) for stamp in stamps)
    assert stamps == sorted(stamps)
    # Nanoseconds are taken as they are given.
    assert cluster.docker("logs", "--since", stamps[1], "talker").stdout == "2\n3\n"
    assert cluster.docker("logs", "--until", stamps[1], "talker").stdout == "1\n2\n"


def test_followers_of_running_silent_and_restarted_containers(cluster):
    cluster.docker("run", "-d", "--name", "silent", "busybox", "sh", "-c", "sleep 1; echo late; sleep 1; exit 3")
    run = cluster.docker("logs", "-f", "silent", timeout=20)
    assert run.stdout == "late\n"
    cluster.docker("start", "silent")
    assert cluster.docker("logs", "-f", "silent", timeout=20).stdout == "late\nlate\n"


def test_a_hundred_megabytes_without_a_newline(cluster):
    cluster.docker("run", "-d", "--name", "long", "busybox", "sh", "-c", "head -c 100000000 /dev/zero | tr '\\0' x")
    cluster.docker("wait", "long")
    with subprocess.Popen(["/usr/bin/docker", "logs", "long"], env=cluster.env, stdout=subprocess.PIPE) as run:
        assert sum(len(part) for part in iter(lambda: run.stdout.read(1 << 20), b"")) == 100000000
    assert cluster.docker("logs", "--tail", "1", "-t", "long").stdout.count("Z ") == 1


def test_attach_with_logs_agrees(cluster):
    cluster.docker("run", "-d", "--name", "talker", "busybox", "sh", "-c", "echo out; echo err >&2; sleep 1000")
    wait_until(lambda: cluster.docker("logs", "talker").stdout == "out\n", "it has spoken")

    def get(path, method):
        with socket.socket(socket.AF_UNIX) as raw:
            raw.settimeout(10)
            raw.connect(str(cluster.socket))
            raw.sendall(f"{method} /v1.41/containers/talker/{path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                        "Content-Length: 0\r\n\r\n".encode())
            answer = b""
            while part := raw.recv(65536):
                answer += part
        return answer.split(b"\r\n\r\n", 1)[1]

    attached = get("attach?logs=1&stdout=1&stderr=1", "POST")
    read = get("logs?stdout=1&stderr=1", "GET")
    frames = b"\x01\0\0\0\0\0\0\x04out\n\x02\0\0\0\0\0\0\x04err\n"
    assert attached == frames
    assert frames[:12] in read and frames[12:] in read


def test_native_search_count_json_and_selection(cluster):
    for name, tier in (("web", "front"), ("db", "back")):
        cluster.docker("run", "--name", name, "--label", f"tier={tier}", "--label", "com.docker.compose.project=shop",
                       "busybox", "sh", "-c", f"for i in 1 2 3; do echo {name} line $i; usleep 5000; done; echo E >&2")
    lines = cluster.slipway("logs", "--project", "shop").stdout.splitlines()
    assert sorted(lines) == sorted([f"web | {name} line {i}" if name == "web" else f"db  | {name} line {i}"
                                    for name in ("web", "db") for i in (1, 2, 3)]) or len(lines) == 6
    assert cluster.slipway("logs", "web", "--search", "line 2").stdout == "web line 2\n"
    assert cluster.slipway("logs", "web", "-e", "line [23]$", "--stdout").stdout == "web line 2\nweb line 3\n"
    assert cluster.slipway("logs", "web", "-s", "LINE 2", "-i", "-B", "1", "--stdout").stdout == "web line 1\nweb line 2\n"
    assert cluster.slipway("logs", "-l", "tier=back", "--search", "3", "--json").stdout.count('"log":"db line 3\\n"') == 1
    counted = cluster.slipway("logs", "--all", "--count", "-e", "^(web|db) line").stdout.splitlines()
    assert sorted(counted) == ["db\t3", "web\t3"]
    bad = cluster.slipway("logs", "web", "-e", "a(", check=False)
    assert bad.returncode == 1 and "missing )" in bad.stderr
    first = cluster.slipway("logs", "web", "--json", "--print-cursor", "--until", "0.000000001")
    assert first.stdout == ""
    shown = cluster.slipway("logs", "web", "--json", "--print-cursor")
    cursor = shown.stderr.split("-- cursor: ")[1].strip()
    assert cluster.slipway("logs", "web", "--json", "--cursor", cursor).stdout == ""
    cluster.docker("start", "-a", "web")
    assert cluster.slipway("logs", "web", "--json", "--cursor", cursor).stdout.count("web line") == 3
    cluster.slipway("logs", "web", "--truncate")
    assert cluster.docker("logs", "web").stdout == ""
    assert cluster.docker("logs", "db").stdout.count("\n") == 3


def test_live_view_of_containers_that_come_later(cluster):
    cluster.docker("run", "-d", "--name", "first", "--label", "live=1", "busybox", "sh", "-c",
                   "while true; do echo first; usleep 50000; done")
    with subprocess.Popen([cluster.dir / "bin" / "slipway", "logs", "-f", "-l", "live", "--color", "always"],
                          env=cluster.env, stdout=subprocess.PIPE, text=True) as view:
        assert "first" in view.stdout.readline()
        cluster.docker("run", "-d", "--name", "second", "--label", "live=1", "busybox", "sh", "-c",
                       "echo second; sleep 1000")
        try:
            assert any("second" in view.stdout.readline() for _ in range(1000))
        finally:
            view.kill()


def test_json_file_is_dockers(cluster, peer):
    files = {}
    for name, docker in both(cluster, peer).items():
        docker("run", "--name", "talker", "--network", "none", "--label", "zone=a", "--env", "LEVEL=3", "--log-driver",
               "json-file", "--log-opt", "labels=zone", "--log-opt", "env=LEVEL", "busybox", "sh", "-c",
               r"echo hi; usleep 400000; echo err >&2; usleep 400000; printf '\377<&>\342\200\250\t\001\n'; "
               r"usleep 20000; head -c 40000 /dev/zero | tr '\0' x; usleep 20000; printf end", text=False)
        path = wait_until(lambda: docker("inspect", "-f", "{{.LogPath}}", "talker").stdout.strip(), "a path")
        wait_until(lambda: b'end"' in pathlib.Path(path).read_bytes(), "it is written")
        files[name] = re.sub(rb'"time":"[^"]*"', b'"time":"T"', pathlib.Path(path).read_bytes())
        docker("rm", "-f", "talker")
    # Where a long line is cut depends on when it was read.
    joined = {name: re.sub(rb'"log":"x+"', b'"log":"X"', data).split(b"\n") for name, data in files.items()}
    assert [line for i, line in enumerate(joined["slipway"]) if i == 0 or line != joined["slipway"][i - 1]][:4] == \
        [line for i, line in enumerate(joined["dockerd"]) if i == 0 or line != joined["dockerd"][i - 1]][:4]
    for line in files["slipway"].splitlines():
        assert json.loads(line)["time"] == "T"


def test_drivers_options_and_what_is_shown(cluster, peer):
    for arguments in (["--log-driver", "nosuch"], ["--log-opt", "zap=1"], ["--log-driver", "local", "--log-opt", "zap=1"],
                      ["--log-driver", "syslog", "--log-opt", "syslog-address=foo://1"],
                      ["--log-driver", "syslog", "--log-opt", "syslog-facility=zork"],
                      ["--log-driver", "fluentd", "--log-opt", "fluentd-async=x"], ["--log-opt", "mode=sometimes"],
                      ["--log-opt", "max-buffer-size=1m"],
                      ["--log-opt", "mode=non-blocking", "--log-opt", "max-buffer-size=lots"]):
        seen = {name: docker("create", "--network", "none", *arguments, "busybox", "true", check=False)
                for name, docker in both(cluster, peer).items()}
        assert seen["slipway"].stderr == seen["dockerd"].stderr, arguments
        assert seen["slipway"].returncode == seen["dockerd"].returncode == 1
    assert "journald" in cluster.docker("info", "-f", "{{json .Plugins.Log}}").stdout
    cluster.docker("create", "--name", "made", "--log-driver", "syslog", "--log-opt", "tag=x", "busybox", "true")
    shown = json.loads(cluster.docker("inspect", "-f", "{{json .HostConfig.LogConfig}}", "made").stdout)
    assert shown == {"Type": "syslog", "Config": {"tag": "x"}}
    cluster.docker("run", "--name", "quiet", "--log-driver", "none", "busybox", "echo", "x")
    quiet = cluster.docker("logs", "quiet", check=False)
    assert quiet.returncode == 1 and "configured logging driver does not support reading" in quiet.stderr


def test_syslog_outlet_gets_every_line_and_a_dead_one_holds_nothing_up(cluster):
    received = []
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{listener.getsockname()[1]}"
        # Nobody listens yet.
        begin = time.monotonic()
        cluster.docker("run", "--name", "talker", "--log-driver", "syslog", "--log-opt", f"syslog-address={address}",
                       "--log-opt", "tag={{.Name}}", "busybox", "sh", "-c",
                       "i=0; while [ $i -lt 2000 ]; do i=$((i+1)); echo line $i; done")
        assert time.monotonic() - begin < 5
        assert cluster.docker("logs", "--tail", "1", "talker").stdout == "line 2000\n"
        listener.listen()

        def receive():
            connection, _ = listener.accept()
            with connection, connection.makefile() as lines:
                for line in lines:
                    received.append(line)

        threading.Thread(target=receive, daemon=True).start()
        wait_until(lambda: len(received) == 2000, "every line has come", 40)
    assert [line.rsplit(" - ", 1)[1] for line in received] == [f"line {i}\n" for i in range(1, 2001)]
    assert re.match(r"<30>1 \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ \S+ talker \d+ talker - line 1\n", received[0])


def test_what_does_not_fit_is_told(own_cluster):
    """mode=non-blocking with a small buffer, and nobody who takes it: what is read and what was dropped are all."""
    cluster = own_cluster
    cluster.kill("log")
    cluster.docker("run", "--name", "flood", "--log-opt", "mode=non-blocking", "--log-opt", "max-buffer-size=64k",
                   "busybox", "sh", "-c", "head -c 3000000 /dev/zero | tr '\\0' '\\n'", timeout=60)
    cluster.up()
    out = wait_until(lambda: cluster.docker("logs", "flood").stdout, "the log is there")
    dropped = sum(map(int, re.findall(r"\[(\d+) bytes of output were dropped here\]", out)))
    rest = re.sub(r"\[\d+ bytes of output were dropped here\]\n", "", out)
    assert dropped > 0 and dropped + len(rest) == 3000000
