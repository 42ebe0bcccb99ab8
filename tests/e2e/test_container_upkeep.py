"""Verbs on running containers: pause, update, top, stats, health checks, detach keys, prune, sizes."""

import json
import os
import pathlib
import pty
import select
import socket
import subprocess
import time

import images
import pytest
import raw_http as raw
from cluster import wait_until


def api(one, method, path, body=None):
    data = None if body is None else json.dumps(body).encode()
    status, _, answer = raw.request(one.socket, method, path, data, {"Content-Type": "application/json"})
    return status, json.loads(answer) if answer.strip() else None


def inspect(one, name):
    return json.loads(one.docker("inspect", name).stdout)[0]


@pytest.fixture(scope="module")
def peer(dockerd):
    dockerd.docker("import", "-", "busybox", input=images.busybox_tar(), text=False)
    yield dockerd
    ids = dockerd.docker("ps", "-aq").stdout.split()
    if ids:
        dockerd.docker("rm", "-f", *ids)


@pytest.fixture
def both(cluster, peer):
    yield cluster, peer
    ids = peer.docker("ps", "-aq").stdout.split()
    if ids:
        peer.docker("rm", "-f", *ids)


def run(one, name, *command, options=()):
    one.docker("run", "-d", "--network", "none", "--name", name, *options, "busybox", *command)


def test_pause_freezes_and_answers_as_dockerd(both):
    ours, theirs = both
    for one in both:
        run(one, "pp", "sh", "-c", "while true; do date +%s%N >/t; sleep 0.05; done")
    answers = []
    for one in both:
        seen = [api(one, "POST", "/containers/pp/pause")[0], inspect(one, "pp")["State"]["Status"],
                inspect(one, "pp")["State"]["Paused"], inspect(one, "pp")["State"]["Running"]]
        for method, path in [("POST", "pause"), ("POST", "start"), ("DELETE", ""), ("POST", "exec")]:
            body = {"Cmd": ["true"]} if path == "exec" else None
            status, answer = api(one, method, f"/containers/pp/{path}".rstrip("/"), body)
            # dockerd says what it was called where we say what it is.
            seen.append((status, answer["message"].replace(inspect(one, "pp")["Id"], "ID").replace("Container pp is", "Container ID is")))
        seen.append(api(one, "POST", "/containers/pp/unpause")[0])
        status, answer = api(one, "POST", "/containers/pp/unpause")
        assert status in (409, 500)  # 500 in 20.10
        seen.append(answer["message"].replace(inspect(one, "pp")["Id"], "ID"))
        answers.append(seen)
    assert answers[0] == answers[1]
    ours.docker("pause", "pp")
    before = [pathlib.Path(f"/proc/{pid}/stat").read_text().split()[13:15] for pid in pids(ours, "pp")]
    time.sleep(0.3)
    assert before == [pathlib.Path(f"/proc/{pid}/stat").read_text().split()[13:15] for pid in pids(ours, "pp")]
    assert "(Paused)" in ours.docker("ps").stdout
    ours.docker("kill", "pp")
    wait_until(lambda: inspect(ours, "pp")["State"]["Status"] == "exited", "a paused container is killed")
    assert inspect(ours, "pp")["State"]["ExitCode"] == 137


def pids(one, name):
    rows = one.docker("top", name, "-o", "pid").stdout.split()[1:]
    return rows


def test_stop_of_a_paused_container(cluster):
    run(cluster, "ps", "sh", "-c", "trap 'exit 3' TERM; echo ready; while true; do sleep 0.1; done")
    wait_until(lambda: "ready" in cluster.docker("logs", "ps").stdout, "it is ready")
    cluster.docker("pause", "ps")
    begin = time.monotonic()
    cluster.docker("stop", "-t", "10", "ps")
    assert time.monotonic() - begin < 5
    assert inspect(cluster, "ps")["State"]["ExitCode"] == 3


def test_update_is_live_and_answers_as_dockerd(both):
    ours, theirs = both
    for one in both:
        run(one, "uu", "sleep", "600", options=("-m", "64m", "--cpus", "1", "--pids-limit", "50"))
    group = next(pathlib.Path("/sys/fs/cgroup/memory").glob(f"{ours.prefix}/{inspect(ours, 'uu')['Id']}"), None)
    if group is None:
        group = next(pathlib.Path("/sys/fs/cgroup").glob(f"*/{ours.prefix}/{inspect(ours, 'uu')['Id']}"))
    bodies = [{"Memory": 32 << 20}, {"Memory": 1 << 20}, {"Memory": 512 << 20}, {"CpuQuota": 50000}, {"NanoCpus": 10 ** 12},
              {"PidsLimit": 70}, {"CpuShares": 512}, {"RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 3}},
              {"RestartPolicy": {"Name": "bogus"}}, {"Memory": 96 << 20, "MemorySwap": -1}]
    for body in bodies:
        got, expected = (api(one, "POST", "/containers/uu/update", body) for one in both)
        assert got[0] == expected[0], (body, got, expected)
    keys = ("Memory", "MemorySwap", "PidsLimit", "CpuShares", "RestartPolicy", "NanoCpus", "CpuQuota")
    assert [inspect(ours, "uu")["HostConfig"][key] for key in keys] == [inspect(theirs, "uu")["HostConfig"][key] for key in keys]
    limit = group / "memory.limit_in_bytes"
    if limit.exists():
        assert int(limit.read_text()) == 96 << 20
    # And for the next start.
    ours.docker("restart", "-t", "0", "uu")
    if limit.exists():
        assert int(limit.read_text()) == 96 << 20
    status, answer = api(ours, "POST", "/containers/nope/update", {})
    assert status == 404 and answer["message"] == "No such container: nope"


def test_top_as_dockerd(both):
    ours, theirs = both
    for one in both:
        run(one, "tt", "sh", "-c", "sleep 601 & sleep 602; true")
    for options in ((), ("-ef",), ("aux",), ("-o", "pid,ppid,user,comm,args"), ("-eo", "pid,nlwp,stat,cmd"), ("ax",)):
        tables = []
        for one in both:
            words = " ".join(options)
            status, table = api(one, "GET", "/containers/tt/top" + (f"?ps_args={words.replace(' ', '%20')}" if words else ""))
            assert status == 200, table
            command = next(i for i, title in enumerate(table["Titles"]) if title in ("CMD", "COMMAND") and
                           (title == "CMD" or i == len(table["Titles"]) - 1))
            user = next((i for i, title in enumerate(table["Titles"]) if title in ("UID", "USER")), None)
            tables.append((table["Titles"], sorted((row[command], user is not None and row[user]) for row in table["Processes"])))
        assert tables[0] == tables[1], options
    for path in ("/containers/tt/top?ps_args=-o%20cmd", "/containers/nope/top"):
        got, expected = (api(one, "GET", path) for one in both)
        assert (got[0] >= 400) == (expected[0] >= 400)
    for one in both:
        one.docker("kill", "tt")
        one.docker("wait", "tt")
    got, expected = (api(one, "GET", "/containers/tt/top") for one in both)
    assert got[0] == expected[0]


def keys_of(value, depth=0):
    if isinstance(value, dict) and depth < 3:
        return {key: keys_of(inner, depth + 1) for key, inner in value.items() if key not in ("stats", "networks")}
    return type(value).__name__ if not isinstance(value, (int, float)) else "number"


def test_stats_have_dockerds_fields(both):
    ours, theirs = both
    for one in both:
        run(one, "ss", "sh", "-c", "while true; do :; done", options=("-m", "64m"))
    time.sleep(1)
    got, expected = (api(one, "GET", "/containers/ss/stats?stream=false")[1] for one in both)
    got_keys, expected_keys = keys_of(got), keys_of(expected)
    # An absent table and an empty one are the kernel's and the version's choice.
    for keys in (got_keys, expected_keys):
        keys.pop("blkio_stats")
        keys["pids_stats"].pop("limit", None)
        keys["memory_stats"].pop("failcnt", None)
    assert got_keys == expected_keys
    assert set(got["blkio_stats"]) == set(expected["blkio_stats"])
    assert set(got["memory_stats"]["stats"]) >= set(expected["memory_stats"]["stats"]) - {"hierarchical_memory_limit",
                                                                                          "hierarchical_memsw_limit"}
    assert got["name"] == "/ss" and got["memory_stats"]["limit"] == 64 << 20
    cpu, before = got["cpu_stats"], got["precpu_stats"]
    share = ((cpu["cpu_usage"]["total_usage"] - before["cpu_usage"]["total_usage"])
             / (cpu["system_cpu_usage"] - before["system_cpu_usage"]) * cpu["online_cpus"])
    assert 0.1 < share < 1.5, share
    one_shot = api(ours, "GET", "/containers/ss/stats?stream=false&one-shot=true")[1]
    assert one_shot["preread"] == "0001-01-01T00:00:00Z"
    for one in both:
        one.docker("kill", "ss")
        one.docker("wait", "ss")
    got, expected = (api(one, "GET", "/containers/ss/stats?stream=false")[1] for one in both)
    for stats in (got, expected):
        stats.pop("id")
    assert got["read"] == expected["read"] and got["memory_stats"] == expected["memory_stats"] == {}


def test_stats_stream_and_client(cluster):
    run(cluster, "st", "sleep", "600")
    line = cluster.docker("stats", "--no-stream", "--format", "{{.Name}} {{.PIDs}} {{.MemUsage}}").stdout.split()
    assert line[0] == "st" and line[1] == "1"
    client = cluster.client()
    samples = client.containers.get("st").stats(stream=True, decode=True)
    first, second, third = next(samples), next(samples), next(samples)
    assert second["preread"] != "0001-01-01T00:00:00Z" and first["read"] < second["read"] < third["read"]


def test_one_shot_stats_are_quick(cluster):
    run(cluster, "qq", "sleep", "600")
    api(cluster, "GET", "/containers/qq/stats?stream=false")
    times = []
    for _ in range(9):
        begin = time.monotonic()
        api(cluster, "GET", "/containers/qq/stats?stream=false")
        times.append(time.monotonic() - begin)
    assert sorted(times)[4] < 0.2


def test_health_as_dockerd(both):
    ours, theirs = both
    options = ("--health-cmd", "test -f /ok || { echo not yet; exit 1; }", "--health-interval", "1s", "--health-timeout", "2s",
               "--health-retries", "2")
    for one in both:
        run(one, "hh", "sleep", "600", options=options)
        assert inspect(one, "hh")["State"]["Health"]["Status"] == "starting"
    for one in both:
        wait_until(lambda: inspect(one, "hh")["State"]["Health"]["Status"] == "unhealthy", "it becomes unhealthy", 20)
        health = inspect(one, "hh")["State"]["Health"]
        assert health["Log"][-1]["Output"] == "not yet\n" and health["Log"][-1]["ExitCode"] == 1
        assert health["FailingStreak"] >= 2
        assert "(unhealthy)" in one.docker("ps", "--filter", "health=unhealthy").stdout
        assert one.docker("ps", "-q", "--filter", "health=healthy").stdout == ""
        one.docker("exec", "hh", "touch", "/ok")
        wait_until(lambda: inspect(one, "hh")["State"]["Health"]["Status"] == "healthy", "it becomes healthy", 20)
        wait_until(lambda: len(inspect(one, "hh")["State"]["Health"]["Log"]) == 5, "the log has five", 20)
    ours_config, their_config = (inspect(one, "hh")["Config"]["Healthcheck"] for one in both)
    assert ours_config == their_config
    events = ours.docker("events", "--since", "1", "--until", str(int(time.time()) + 1), "--filter", "container=hh",
                         "--format", "{{.Status}}").stdout.splitlines()
    assert [e for e in events if e.startswith("health_status")] == ["health_status: unhealthy", "health_status: healthy"]
    time.sleep(1)
    assert len(inspect(ours, "hh")["State"]["Health"]["Log"]) == 5
    for one in both:
        one.docker("restart", "-t", "0", "hh")
    # A probe may have come already.
    assert all(inspect(one, "hh")["State"]["Health"]["Status"] in ("starting", "healthy") for one in both)


def test_health_timeout_kills_the_probe(cluster):
    run(cluster, "slow", "sleep", "600", options=("--health-cmd", "sleep 300", "--health-interval", "200ms",
                                                  "--health-timeout", "300ms", "--health-retries", "1"))
    wait_until(lambda: inspect(cluster, "slow")["State"]["Health"]["Status"] == "unhealthy", "the probe times out", 20)
    entry = inspect(cluster, "slow")["State"]["Health"]["Log"][0]
    assert entry["ExitCode"] == -1 and "Health check exceeded timeout (300ms)" in entry["Output"]
    wait_until(lambda: len(pids(cluster, "slow")) <= 3, "killed probes do not pile up")


def test_restart_on_unhealthy(cluster):
    run(cluster, "phoenix", "sh", "-c", "touch /started; sleep 600",
        options=("--label", "slipway.restart-on-unhealthy=true", "--health-cmd", "false", "--health-interval", "200ms",
                 "--health-retries", "2"))
    first = inspect(cluster, "phoenix")["State"]["StartedAt"]
    wait_until(lambda: inspect(cluster, "phoenix")["State"]["StartedAt"] != first, "it is restarted", 30)


def test_health_goes_on_when_the_services_die(own_cluster):
    run(own_cluster, "hh", "sleep", "600", options=("--health-cmd", "true", "--health-interval", "200ms"))
    wait_until(lambda: inspect(own_cluster, "hh")["State"]["Health"]["Status"] == "healthy", "healthy", 20)
    own_cluster.kill("container", "agent")
    own_cluster.up()
    assert inspect(own_cluster, "hh")["State"]["Health"]["Status"] == "healthy"
    last = inspect(own_cluster, "hh")["State"]["Health"]["Log"][-1]["Start"]
    wait_until(lambda: inspect(own_cluster, "hh")["State"]["Health"]["Log"][-1]["Start"] != last, "probed again", 20)
    own_cluster.docker("pause", "hh")
    own_cluster.kill("container", "agent")
    own_cluster.up()
    assert inspect(own_cluster, "hh")["State"]["Status"] == "paused"
    own_cluster.docker("unpause", "hh")
    own_cluster.docker("exec", "hh", "true")


def test_oom_is_reported(cluster):
    cluster.docker("run", "--network", "none", "--name", "oom", "-m", "8m", "--memory-swap", "8m", "busybox", "sh", "-c",
                   "x=x; while true; do x=$x$x; done", check=False)
    state = inspect(cluster, "oom")["State"]
    assert state["OOMKilled"] and state["ExitCode"] == 137


def test_out_of_memory_of_a_child_is_told_at_once(cluster):
    """The container goes on, and nobody has to wait for its end to learn of it; told once at its end, too."""
    run(cluster, "starved", "sh", "-c", "(x=x; while true; do x=$x$x; done); echo went on; sleep 600",
        options=("-m", "12m", "--memory-swap", "12m"))

    def ooms():
        return cluster.docker("events", "--since", "1", "--until", str(int(time.time()) + 1), "--filter", "container=starved",
                              "--filter", "event=oom", "--format", "{{.Status}}").stdout.splitlines()
    wait_until(ooms, "the event is there", 20)
    wait_until(lambda: "went on" in cluster.docker("logs", "starved").stdout, "the container goes on")
    assert inspect(cluster, "starved")["State"]["Running"]
    cluster.docker("kill", "starved")
    cluster.docker("wait", "starved")
    assert ooms() == ["oom"]
    assert inspect(cluster, "starved")["State"]["OOMKilled"]


def test_history_is_whole_when_until_comes_while_it_is_told(cluster):
    begin = time.time()
    cluster.docker("create", "--network", "none", "--name", "told0", "busybox")
    client = raw.UnixClient(cluster.socket)
    for i in range(1500):
        client.call("POST", f"/containers/told{i}/rename?name=told{i + 1}")
    for lead in (0.001, 0.003, 0.01, 0.03, 0.1):
        status, _, answer = raw.request(cluster.socket, "GET", f"/events?since={begin:.6f}&until={time.time() + lead:.6f}")
        assert (status, answer.count(b'"status":"rename"')) == (200, 1500), lead
    # And for one who reads when it has come: more than the socket holds is still in the gateway.
    until = time.time() + 0.2
    with socket.socket(socket.AF_UNIX) as late:
        late.settimeout(60)
        late.connect(str(cluster.socket))
        late.sendall(f"GET /events?since={begin:.6f}&until={until:.6f} HTTP/1.0\r\n\r\n".encode())
        time.sleep(0.7)
        answer = late.makefile("rb").read()
    assert answer.count(b'"status":"rename"') == 1500


def test_restart_policy_backs_off_and_counts(cluster):
    run(cluster, "again", "sh", "-c", "exit 3", options=("--restart", "on-failure:3"))
    wait_until(lambda: inspect(cluster, "again")["State"]["Status"] == "exited", "three restarts are enough", 30)
    after = inspect(cluster, "again")
    assert after["RestartCount"] == 3 and after["State"]["ExitCode"] == 3


def test_prune_and_sizes(cluster):
    cluster.docker("run", "--network", "none", "--name", "old", "--label", "x=1", "busybox", "sh", "-c",
                   "dd if=/dev/zero of=/big bs=1k count=100 2>/dev/null")
    run(cluster, "alive", "sleep", "600")
    sized = json.loads(cluster.docker("inspect", "-s", "old").stdout)[0]
    assert sized["SizeRw"] == 102400 and sized["SizeRootFs"] > sized["SizeRw"]
    assert "102kB (virtual" in cluster.docker("ps", "-as", "--format", "{{.Names}} {{.Size}}").stdout
    assert cluster.docker("container", "prune", "-f", "--filter", "label=y").stdout.count("\n") == 1
    pruned = cluster.docker("container", "prune", "-f").stdout
    assert sized["Id"] in pruned and "102.4kB" in pruned
    assert cluster.docker("ps", "-a", "--format", "{{.Names}}").stdout == "alive\n"
    assert api(cluster, "POST", "/containers/prune?filters=%7B%22bogus%22%3A%5B%22x%22%5D%7D")[0] == 400


def test_kill_any_signal(cluster):
    run(cluster, "kk", "sh", "-c", "trap 'echo usr1; exit 42' USR1; echo ready; while true; do sleep 0.05; done")
    wait_until(lambda: "ready" in cluster.docker("logs", "kk").stdout, "it is ready")
    assert api(cluster, "POST", "/containers/kk/kill?signal=NOSUCH")[0] == 400
    cluster.docker("kill", "-s", "USR1", "kk")
    assert cluster.docker("wait", "kk").stdout == "42\n"
    assert "usr1" in cluster.docker("logs", "kk").stdout


def test_exec_in_every_way(cluster):
    run(cluster, "ee", "sleep", "600")
    assert cluster.docker("exec", "-u", "12:34", "-w", "/tmp", "-e", "A=b", "ee", "sh", "-c", "id -u; id -g; pwd; echo $A"
                          ).stdout.split() == ["12", "34", "/tmp", "b"]
    assert cluster.docker("exec", "ee", "sh", "-c", "exit 7", check=False).returncode == 7
    assert cluster.docker("exec", "ee", "/nope", check=False).returncode in (126, 127)
    assert cluster.docker("exec", "-i", "ee", "cat", input="through").stdout == "through"
    cluster.docker("exec", "-d", "ee", "sh", "-c", "touch /detached; sleep 5")
    wait_until(lambda: cluster.docker("exec", "ee", "ls", "/detached", check=False).returncode == 0, "a detached exec runs")
    status, created = api(cluster, "POST", "/containers/ee/exec", {"Cmd": ["sleep", "1"], "Tty": True, "DetachKeys": "ctrl-x"})
    assert status == 201
    assert api(cluster, "POST", f"/exec/{created['Id']}/start", {"Detach": True, "Tty": True})[0] == 200
    status, seen = api(cluster, "GET", f"/exec/{created['Id']}/json")
    assert seen["Running"] and seen["ProcessConfig"]["tty"] and seen["Pid"] > 0
    assert api(cluster, "POST", f"/exec/{created['Id']}/start", {"Detach": True})[0] == 409
    wait_until(lambda: not api(cluster, "GET", f"/exec/{created['Id']}/json")[1]["Running"], "it ends")
    assert api(cluster, "GET", f"/exec/{created['Id']}/json")[1]["ExitCode"] == 0
    assert api(cluster, "POST", "/containers/ee/exec", {"Cmd": ["true"], "DetachKeys": "bogus-key"})[0] == 400


def test_the_start_of_an_exec_chooses_the_framing(both):
    """The exec has a terminal or not since its creation; frames or raw bytes are chosen when it is started."""
    def output(one, terminal, start):
        body = {"Cmd": ["echo", "hello"], "Tty": terminal, "AttachStdout": True, "AttachStderr": True}
        status, created = api(one, "POST", "/containers/ef/exec", body)
        assert status == 201
        status, _, answer = raw.request(one.socket, "POST", f"/exec/{created['Id']}/start", json.dumps(start).encode(),
                                        {"Content-Type": "application/json"})
        assert status == 200
        return answer

    def framed(text):
        return bytes([1, 0, 0, 0, 0, 0, 0, len(text)]) + text

    for one in both:
        run(one, "ef", "sleep", "600")
        assert output(one, True, {"Detach": False, "Tty": False}) == framed(b"hello\r\n")
        assert output(one, True, {}) == framed(b"hello\r\n")
        assert output(one, True, {"Tty": True}) == b"hello\r\n"
        assert output(one, False, {"Tty": True}) == b"hello\n"
        assert output(one, False, {"Tty": False}) == framed(b"hello\n")


def test_resize_without_a_terminal_and_of_nothing(both):
    for one in both:
        run(one, "er", "sleep", "600")
        assert api(one, "POST", "/containers/er/resize?h=10&w=20")[0] == 200
        _, created = api(one, "POST", "/containers/er/exec", {"Cmd": ["sleep", "600"]})
        assert api(one, "POST", f"/exec/{created['Id']}/start", {"Detach": True})[0] == 200
        assert api(one, "POST", f"/exec/{created['Id']}/resize?h=10&w=20")[0] == 200
        status, answer = api(one, "POST", "/exec/nosuch/resize?h=1&w=1")
        assert status == 404 and answer["message"] == "No such exec instance: nosuch"
        failed = one.docker("exec", "-u", "nosuch", "er", "id", check=False)
        assert failed.returncode == 126


def type_into(command, env, text, until, seconds=15):
    """Runs a client on a terminal; types `text` when `until` was seen, and returns all its output."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execvpe(command[0], command, env)
    seen, typed, deadline = b"", False, time.monotonic() + seconds
    try:
        while time.monotonic() < deadline:
            if not select.select([terminal], [], [], 0.1)[0]:
                continue
            try:
                piece = os.read(terminal, 4096)
            except OSError:
                break
            if not piece:
                break
            seen += piece
            if until in seen and not typed:
                typed = True
                os.write(terminal, text)
        else:
            os.kill(pid, 9)
    finally:
        os.close(terminal)
        os.waitpid(pid, 0)
    return seen


def test_detach_keys_leave_it_running(cluster):
    run(cluster, "dd", "sh", "-c", "while true; do echo tick; sleep 0.2; done", options=("-it",))
    seen = type_into(["docker", "attach", "dd"], cluster.env, b"\x10\x11", b"tick")
    assert b"read escape sequence" in seen
    assert inspect(cluster, "dd")["State"]["Running"]
    # A client that does not look for the keys itself: the server does.
    import socket
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(10)
    client.connect(str(cluster.socket))
    client.sendall(b"POST /containers/dd/attach?stream=1&stdin=1&stdout=1&detachKeys=ctrl-a,b HTTP/1.1\r\nHost: x\r\n"
                   b"Connection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: 0\r\n\r\n")
    received = b""
    while b"tick" not in received:
        received += client.recv(4096)
    client.sendall(b"\x01b")
    deadline = time.monotonic() + 10
    while client.recv(4096):
        assert time.monotonic() < deadline
    client.close()
    assert inspect(cluster, "dd")["State"]["Running"]
    assert api(cluster, "POST", "/containers/dd/attach?stream=1&detachKeys=shift-q")[0] == 400


def test_wait_conditions(cluster):
    run(cluster, "ww", "sh", "-c", "sleep 4; exit 5")
    assert api(cluster, "POST", "/containers/ww/wait?condition=next-exit")[1]["StatusCode"] == 5
    assert api(cluster, "POST", "/containers/ww/wait?condition=not-running")[1]["StatusCode"] == 5
    assert api(cluster, "POST", "/containers/ww/wait?condition=bogus")[0] == 400
    with socket.socket(socket.AF_UNIX) as waiting:
        waiting.settimeout(30)
        waiting.connect(str(cluster.socket))
        waiting.sendall(b"POST /containers/ww/wait?condition=removed HTTP/1.0\r\n\r\n")
        answer = waiting.makefile("rb")
        while answer.readline().strip():  # the head comes when it waits
            continue
        cluster.docker("rm", "ww")
        assert json.loads(answer.read())["StatusCode"] == 5


def test_native_client(cluster, tmp_path):
    run(cluster, "nn", "sh", "-c", "echo x >/new; sleep 600", options=("-m", "64m"))
    cluster.slipway("pause", "nn")
    assert inspect(cluster, "nn")["State"]["Paused"]
    cluster.slipway("unpause", "nn")
    cluster.slipway("update", "nn", "--pids-limit", "33")
    assert inspect(cluster, "nn")["HostConfig"]["PidsLimit"] == 33
    assert "sleep 600" in cluster.slipway("top", "nn").stdout
    assert "A /new" in cluster.slipway("diff", "nn").stdout
    assert inspect(cluster, "nn")["Id"][:12] in cluster.slipway("stats", "--no-stream", "nn").stdout
    archive = cluster.slipway("cp", "nn:/new", "-", text=False).stdout
    (tmp_path / "tar").write_bytes(archive)
    cluster.slipway("cp", "-", "nn:/root", input=archive, text=False)
    assert cluster.docker("exec", "nn", "cat", "/root/new").stdout == "x\n"
    assert cluster.slipway("cp", "nn:/nope", "-", check=False).returncode == 1
    assert cluster.slipway("pause", "nobody", check=False).returncode == 1
