"""Builds beside what else goes on: removals while they run, one layer of many, SSH agents of the client, caches that are
pruned."""

import json
import socket
import subprocess
import threading

import raw_http
from test_build import build, history, inspect, peers, write_context  # noqa: F401 (a fixture)


class Removals:
    """Removes what it can, again and again, while builds run."""

    def __init__(self, cluster):
        self.cluster = cluster
        self.stop = threading.Event()
        self.count = 0
        self.thread = threading.Thread(target=self.loop)

    def loop(self):
        while not self.stop.is_set():
            raw_http.request(self.cluster.socket, "POST", "/images/prune")
            raw_http.request(self.cluster.socket, "POST", "/build/prune?all=1")
            _, _, answer = raw_http.request(self.cluster.socket, "GET", "/images/json?all=1")
            for image in json.loads(answer)[:20]:
                if not image["RepoTags"] or image["RepoTags"] == ["<none>:<none>"]:
                    raw_http.request(self.cluster.socket, "DELETE", f"/images/{image['Id']}?force=1")
            self.count += 1

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *error):
        self.stop.set()
        self.thread.join()


def test_removals_break_no_build(peers, tmp_path):
    cluster, _ = peers
    write_context(tmp_path, "FROM base:1 AS one\nENV a=1\nCOPY f /f\nRUN echo one > /one\nENV b=2\nRUN sleep 0.1\n"
                            "FROM base:1 AS two\nCOPY f /g\nRUN echo two > /two\nLABEL x=y\n"
                            "FROM scratch AS none\nCOPY f /h\nENV c=3\nCOPY f /i\n"
                            "FROM one\nCOPY --from=two /two /two\nCOPY --from=none /i /i\nRUN cat /one /two /i\n",
                  {"f": "f"})
    with Removals(cluster) as removals:
        for i in range(12):
            (tmp_path / "f").write_text(f"{i}\n")
            run = build(cluster, tmp_path, "-t", "held:1", *(["--no-cache"] if i % 2 else []))
            # What was nameless when it was listed may be removed by its id once the build is over: the build looks itself.
            assert f"one\ntwo\n{i}\n" in run.stdout
        assert removals.count > 5
    # What was held is not held any more.
    cluster.docker("rmi", "held:1", check=False)
    cluster.docker("image", "prune", "-f")
    cluster.docker("builder", "prune", "-af")
    assert cluster.docker("images", "-aq", "--filter", "dangling=true").stdout == ""


def test_a_name_that_is_removed_while_its_image_is_built_on(peers, tmp_path):
    cluster, _ = peers
    cluster.docker("tag", "base:1", "passing:1")
    write_context(tmp_path, "FROM base:1\nRUN echo x > /own\n", {})
    build(cluster, tmp_path, "-t", "passing:2")
    write_context(tmp_path, "FROM passing:2\nRUN sleep 1\nCOPY f /f\nRUN cat /own /f\n", {"f": "f"})
    client = subprocess.Popen(["/usr/bin/docker", "build", "-t", "passing:3", str(tmp_path)],
                              env={**cluster.env, "DOCKER_BUILDKIT": "0"}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True)
    line = ""
    while "Running in" not in line:
        line = client.stdout.readline()
        assert line
    cluster.docker("rmi", "-f", "passing:2")
    rest = client.communicate(timeout=60)[0]
    assert client.returncode == 0, rest
    cluster.docker("rmi", "passing:3", "passing:1")


def squash(peer, directory, name):
    """The stock client offers --squash only of a daemon with experimental features: by the API."""
    tar = subprocess.run(["tar", "-C", str(directory), "-c", "."], check=True, capture_output=True).stdout
    _, _, answer = raw_http.request(peer.socket, "POST", f"/build?squash=1&t={name}&networkmode=none", body=tar,
                                    headers={"Content-Type": "application/x-tar"})
    assert b"Successfully built" in answer, answer


def test_squash(peers, tmp_path):
    cluster, _ = peers
    write_context(tmp_path, "FROM base:1\nCOPY big /big\nRUN rm /big && rm -r /bin/vi && mkdir -p /d/e && echo x > /d/e/x\n"
                            "RUN rm -r /d && mkdir /d && echo y > /d/y && ln /d/y /d/z\nENV a=b\nCMD [\"cat\", \"/d/z\"]\n",
                  {"big": "b" * 3_000_000})
    squash(cluster, tmp_path, "one:layer")
    build(cluster, tmp_path, "-t", "many:layers", "--network", "none")
    one, many, base = (inspect(cluster, name) for name in ("one:layer", "many:layers", "base:1"))
    assert one["RootFS"]["Layers"][:-1] == base["RootFS"]["Layers"]
    assert len(many["RootFS"]["Layers"]) == len(base["RootFS"]["Layers"]) + 3
    assert one["Config"] == many["Config"] and one["Size"] < many["Size"] - 2_900_000
    trees = [cluster.docker("run", "--rm", name, "sh", "-c",
                            "find / -xdev | grep -vE '^/(proc|sys|dev|etc/(hosts|hostname|resolv.conf))' | xargs stat -c "
                            "'%n %f %u %g %s %h' | grep -v '/ '").stdout for name in ("one:layer", "many:layers")]
    assert trees[0] == trees[1] and "/d/y" in trees[0] and "/big" not in trees[0]
    assert cluster.docker("run", "--rm", "one:layer").stdout == "y\n"
    entries = json.loads(raw_http.request(cluster.socket, "GET", "/images/one:layer/history")[2])
    assert entries[0]["Comment"] == f"merge {many['Id']} to {base['Id']}"
    assert [entry["Size"] for entry in entries[1:6]] == [0] * 5
    assert history(cluster, "one:layer")[1:] == history(cluster, "many:layers")
    identity = cluster.slipway("build", "--squash", "--network", "none", str(tmp_path)).stdout.strip()
    assert inspect(cluster, identity)["RootFS"] == one["RootFS"]
    cluster.docker("rmi", "-f", "one:layer", "many:layers", identity)


class EchoAgent:
    """A stand-in for an SSH agent: what it is asked comes back in capitals."""

    def __init__(self, path):
        self.path = str(path)
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen()
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with connection:
                while data := connection.recv(1000):
                    connection.sendall(self.answer(data))

    def answer(self, data):
        return data.upper()

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join()


# busybox speaks to no unix socket: connects to one, sends a word and prints what comes back.
ASK = r"""
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
int main(int argc, char** argv) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  char answer[100];
  strncpy(address.sun_path, argv[argc - 1], sizeof(address.sun_path) - 1);
  int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  if (connect(fd, (struct sockaddr*)&address, sizeof(address)) != 0 || write(fd, "ask\n", 4) != 4) {
    perror(argv[argc - 1]);
    return 1;
  }
  return write(1, answer, read(fd, answer, sizeof(answer))) == 4 ? 0 : 1;
}
"""


def test_ssh_agents_of_the_native_client(peers, tmp_path):
    cluster, _ = peers
    agents = [EchoAgent(tmp_path / "agent"), EchoAgent(tmp_path / "other")]
    context = tmp_path / "context"
    context.mkdir()
    subprocess.run(["gcc", "-static", "-x", "c", "-o", str(context / "ask"), "-"], input=ASK, text=True, check=True)
    write_context(context, "FROM base:1\nCOPY ask /bin/\nRUN --mount=type=ssh ask $SSH_AUTH_SOCK > /a\n"
                           "RUN --mount=type=ssh,id=other,target=/there ask /there > /b && ask /there >> /b\n"
                           "RUN --mount=type=ssh,id=none,required=false echo ${SSH_AUTH_SOCK:-none} > /c; ls /run/buildkit; true\n",
                  {})
    try:
        run = cluster.slipway("build", "--ssh", f"default={agents[0].path}", "--ssh", f"other={agents[1].path}", str(context))
    finally:
        for agent in agents:
            agent.close()
    image = run.stdout.strip()
    assert cluster.docker("run", "--rm", image, "cat", "/a", "/b", "/c").stdout == "ASK\nASK\nASK\nnone\n"
    # Nothing answers any more, and nothing is left of it.
    assert not list((cluster.dir / "root" / "build" / "mounts").iterdir())
    failed = cluster.slipway("build", "--ssh", "default=/nowhere", str(context), check=False)
    assert failed.returncode != 0 and "/nowhere: No such file" in failed.stderr


def test_ssh_by_the_classic_api_is_refused_with_the_line(peers, tmp_path):
    cluster, _ = peers
    write_context(tmp_path, "FROM base:1\n\nRUN --mount=type=ssh true\n", {})
    failed = build(cluster, tmp_path, check=False)
    assert failed.returncode != 0
    assert "dockerfile line 3: RUN --mount=type=ssh: the client gives no SSH agent" in failed.stderr
    write_context(tmp_path, "FROM base:1\nRUN --mount=type=ssh,required=false true\n", {})
    build(cluster, tmp_path)


def test_cache_volumes_are_told_and_pruned(peers, tmp_path):
    cluster, _ = peers
    write_context(tmp_path, "FROM base:1\nRUN --mount=type=cache,target=/cache head -c 3000000 /dev/zero > /cache/x\n", {})
    build(cluster, tmp_path, "--no-cache")

    def told():
        usage = json.loads(raw_http.request(cluster.socket, "GET", "/system/df")[2])
        return [entry for entry in usage["BuildCache"] if entry["Type"] == "exec.cachemount"]

    volume, = [entry for entry in told() if entry["Size"] >= 3_000_000]
    prune = f"/build/prune?filters={json.dumps({'type': ['regular']})}"
    raw_http.request(cluster.socket, "POST", prune.replace('"', "%22").replace(" ", ""))
    assert volume["ID"] in [entry["ID"] for entry in told()]
    answer = json.loads(raw_http.request(cluster.socket, "POST", "/build/prune?all=1")[2])
    assert volume["ID"] in answer["CachesDeleted"] and answer["SpaceReclaimed"] >= 3_000_000
    assert told() == []
