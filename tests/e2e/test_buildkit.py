"""Builds by BuildKit's protocol: the stock client with DOCKER_BUILDKIT=1, and docker buildx with its default driver."""

import hashlib
import io
import json
import os
import random
import re
import signal
import socket
import stat
import subprocess
import tarfile
import time

import images
import pytest
import raw_http
from buildx import buildx
from cluster import wait_until
from test_build import inspect, write_context
from test_build_sharing import EchoAgent


@pytest.fixture(scope="module")
def cluster(shared_cluster):
    shared_cluster.docker("import", "--change", 'CMD ["sh"]', "-", "base:1", input=images.busybox_tar(), text=False)
    yield shared_cluster
    # Others list what is there.
    names = shared_cluster.docker("images", "--format", "{{.Repository}}:{{.Tag}}").stdout.split()
    shared_cluster.docker("rmi", "-f", "base:1", *[name for name in names if name.startswith("bk-")], check=False)
    shared_cluster.docker("image", "prune", "-f")
    shared_cluster.docker("builder", "prune", "-af", check=False)


def client(kind):
    return ["/usr/bin/docker", "build"] if kind == "docker" else [str(buildx()), "build"]


def start(cluster, kind, *options, **more):
    env = {**cluster.env, "DOCKER_BUILDKIT": "1"}
    if "-q" not in options:
        env["BUILDKIT_PROGRESS"] = "plain"
    return subprocess.Popen([*client(kind), *map(str, options)], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **more)


def build(cluster, kind, *options, check=True, input=None, timeout=120):
    """Code, standard output as bytes, standard error as text."""
    with start(cluster, kind, *options, stdin=subprocess.PIPE) as process:
        out, err = process.communicate(input, timeout=timeout)
    err = err.decode()
    if check:
        assert process.returncode == 0, err
    return process.returncode, out, err


def run(cluster, image, *command):
    return cluster.docker("run", "--rm", "--network", "none", image, *command).stdout


KINDS = ("docker", "buildx")


@pytest.mark.parametrize("kind", KINDS)
def test_files_of_the_context_come_as_they_are(cluster, tmp_path, kind):
    blob = random.Random(1).randbytes(3_000_000)
    write_context(tmp_path, """
FROM base:1 AS one
ARG who=nobody
WORKDIR /w
COPY . .
RUN echo $who > /who
LABEL a=b
FROM one AS two
RUN false
""", {".dockerignore": "# none of these\n*.log\n!keep.log\nsecret/\n", "a.log": "no", "keep.log": "yes", "secret/x": "no",
      "sub/script": ("#!/bin/sh\necho ran\n", 0o755), "link": ("->", "sub/script"), "empty": "", "ä ö": "umlauts",
      **{f"many/{i}": f"{i}\n" for i in range(500)}})
    (tmp_path / "blob").write_bytes(blob)
    os.link(tmp_path / "sub/script", tmp_path / "sub/twin")
    os.utime(tmp_path / "empty", (1234567890, 1234567890))
    (tmp_path / "sub").chmod(0o750)
    iid = tmp_path.parent / f"iid-{kind}"
    _, _, told = build(cluster, kind, "-t", f"bk-{kind}:1", "-t", "bk-other", "--target", "one", "--build-arg", f"who={kind}",
                       "--label", "x=y", "--iidfile", iid, tmp_path)
    assert "[one 3/4] COPY . ." in told and "exporting to image" in told and "load build definition from Dockerfile" in told
    state = inspect(cluster, f"bk-{kind}:1")
    assert state["Id"] == iid.read_text() == inspect(cluster, "bk-other")["Id"]
    assert state["Config"]["Labels"] == {"a": "b", "x": "y"}
    seen = run(cluster, f"bk-{kind}:1", "sh", "-c", "cat /who; ls -A; stat -c '%n %a %Y %s' empty sub; ./link; ls many | wc -l; "
               "readlink link; stat -c %h sub/twin; sha256sum blob; cat 'ä ö'")
    assert seen.splitlines()[0] == kind
    assert "a.log" not in seen and "secret" not in seen and "keep.log" in seen
    assert "empty 644 1234567890 0\n" in seen and "sub 750" in seen and "ran\n" in seen and "\n500\nsub/script\n2\n" in seen
    assert hashlib.sha256(blob).hexdigest() in seen and seen.endswith("umlauts")
    # By the classic protocol it is the same build.
    env = {**cluster.env, "DOCKER_BUILDKIT": "0"}
    classic = subprocess.run(["/usr/bin/docker", "build", "--target", "one", "--build-arg", f"who={kind}", "--label", "x=y", tmp_path],
                             env=env, capture_output=True, text=True)
    assert classic.stdout.count("Using cache") == 6 and state["Id"][7:19] in classic.stdout
    _, out, told = build(cluster, kind, "--target", "one", "--build-arg", f"who={kind}", "--label", "x=y", tmp_path)
    assert told.count("CACHED") == 3
    assert build(cluster, kind, "-q", "--target", "one", "--build-arg", f"who={kind}", "--label", "x=y",
                 tmp_path)[1].decode().strip() == state["Id"]


class Keyless(EchoAgent):
    """An SSH agent without keys."""

    def answer(self, data):
        return b"\0\0\0\5\x0c\0\0\0\0"  # SSH_AGENT_IDENTITIES_ANSWER: none


# Asks an SSH agent for its keys, and prints the kind of the answer.
ASK = r"""
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
int main(int argc, char** argv) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  char answer[9];
  strncpy(address.sun_path, argv[argc - 1], sizeof(address.sun_path) - 1);
  int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  if (connect(fd, (struct sockaddr*)&address, sizeof(address)) != 0 || write(fd, "\0\0\0\1\13", 5) != 5) {
    perror(argv[argc - 1]);
    return 1;
  }
  for (int got = 0; got < 9;) {
    int more = read(fd, answer + got, 9 - got);
    if (more <= 0) return 1;
    got += more;
  }
  printf("%d\n", answer[4]);
  return 0;
}
"""


@pytest.mark.parametrize("kind", KINDS)
def test_secrets_and_agents_are_asked_for(cluster, tmp_path, kind):
    context = tmp_path / "c"
    context.mkdir()
    (tmp_path / "token").write_text("s3cret")
    subprocess.run(["gcc", "-static", "-x", "c", "-o", context / "ask", "-"], input=ASK, text=True, check=True)
    write_context(context, """
FROM base:1
COPY ask /bin/
RUN --mount=type=secret,id=t wc -c < /run/secrets/t > /length
RUN --mount=type=secret,id=none test ! -e /run/secrets/none
RUN --mount=type=ssh ask $SSH_AUTH_SOCK > /answer && ask $SSH_AUTH_SOCK >> /answer
RUN --mount=type=ssh,id=other,required=false test -z "$SSH_AUTH_SOCK"
""", {})
    agent = Keyless(tmp_path / "agent")
    try:
        _, _, told = build(cluster, kind, "--network", "none", "--secret", f"id=t,src={tmp_path}/token", "--ssh",
                           f"default={agent.path}", "-t", "bk-secret", context)
    finally:
        agent.close()
    assert run(cluster, "bk-secret", "cat", "/answer") == "12\n12\n"
    assert "s3cret" not in told
    assert run(cluster, "bk-secret", "cat", "/length") == "6\n"
    write_context(context, "FROM base:1\nRUN --mount=type=secret,id=gone,required=true true\n", {})
    code, _, told = build(cluster, kind, context, check=False)
    assert code == 1 and "secret gone not found" in told


BAD = {
    "unknown instruction": ("FROM base:1\nRUNN x\n", "unknown instruction: RUNN"),
    "missing file": ("FROM base:1\nCOPY nothere /\n", "nothere"),
    "failing command": ("FROM base:1\nRUN echo last words; exit 7\n", "exit 7' returned a non-zero code: 7"),
    "no such base": ("FROM localhost:1/nothing:here\n", "localhost:1/nothing"),
    "unknown stage": ("FROM base:1\nCOPY --from=9 a /\n", "invalid stage index"),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", BAD)
def test_what_fails_says_why(cluster, tmp_path, kind, name):
    dockerfile, message = BAD[name]
    write_context(tmp_path, dockerfile, {"a": "a"})
    code, _, told = build(cluster, kind, tmp_path, check=False)
    assert code == 1 and message in told, told
    assert "failed to solve" in told
    if name == "failing command":
        assert "last words" in told
    assert cluster.docker("ps", "-aq").stdout == ""


@pytest.mark.parametrize("kind", KINDS)
def test_a_dockerfile_of_elsewhere(cluster, tmp_path, kind):
    write_context(tmp_path, "FROM base:1\nRUN false\n", {"a": "1", "in/other": "FROM base:1\nCOPY a /\n",
                                                         "in/other.dockerignore": "b\n", "b": "2", ".dockerignore": "a\n"})
    build(cluster, kind, "-t", "bk-other", "-f", tmp_path / "in/other", tmp_path)
    assert run(cluster, "bk-other", "cat", "/a") == "1"
    # From standard input, with and without a context; what the Dockerfile's own file ignores is not there.
    code, _, told = build(cluster, kind, "-f", "-", tmp_path, input=b"FROM base:1\nCOPY a /\n", check=False)
    assert code == 1 and "a" in told
    build(cluster, kind, "-t", "bk-other", "-", input=b"FROM base:1\nRUN echo in > /in\n")
    assert run(cluster, "bk-other", "cat", "/in") == "in\n"
    (tmp_path / "Dockerfile").unlink()
    code, _, told = build(cluster, kind, tmp_path, check=False)
    assert code == 1 and "open Dockerfile: no such file or directory" in told


def archive(files):
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as tar:
        for name, text in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(text)
            tar.addfile(info, io.BytesIO(text))
    return data.getvalue()


@pytest.mark.parametrize("kind", KINDS)
def test_an_archive_from_standard_input(cluster, kind):
    context = archive({"Dockerfile": b"FROM base:1\nCOPY big /\n", "big": random.Random(2).randbytes(2_000_000)})
    build(cluster, kind, "-t", "bk-archive", "-", input=context)
    assert run(cluster, "bk-archive", "stat", "-c", "%s", "/big") == "2000000\n"


MADE = """FROM base:1
WORKDIR /made
RUN echo made > made && ln made zz-more && ln -s made link && mkfifo pipe && mkdir -p sub/deep && touch sub/deep/empty && \\
  head -c 3000000 /dev/zero | tr '\\0' x > big && chmod 4751 big && chmod 1777 sub && touch -d '2001-02-03 04:05:06' made
RUN rm link && ln -s made link && echo > removed
RUN rm removed
"""


def tree(root):
    found = {}
    for directory, names, files in os.walk(root):
        for name in names + files:
            path = os.path.join(directory, name)
            info = os.lstat(path)
            content = None
            if stat.S_ISREG(info.st_mode):
                with open(path, "rb") as file:
                    content = hashlib.sha256(file.read()).hexdigest()
            link = os.readlink(path) if stat.S_ISLNK(info.st_mode) else ""
            when = 0 if stat.S_ISDIR(info.st_mode) else int(info.st_mtime)
            found[os.path.relpath(path, root)] = (info.st_mode, info.st_nlink if content else 0, link, content, when)
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_the_result_can_go_to_the_client(cluster, tmp_path, kind):
    context, out, unpacked = (tmp_path / name for name in ("context", "out", "unpacked"))
    context.mkdir()
    unpacked.mkdir()
    write_context(context, MADE, {})
    _, data, _ = build(cluster, kind, "-o", "type=tar,dest=-", context)
    subprocess.run(["tar", "-xpf", "-", "-C", unpacked], input=data, check=True)
    _, _, told = build(cluster, kind, "-o", out, context)
    assert "exporting to client" in told
    files = tree(out)
    assert files == tree(unpacked)
    assert files["made/made"][1] == files["made/zz-more"][1] == 2 and files["made/made"][4] == files["made/zz-more"][4]
    assert files["made/link"][2] == "made" and stat.S_ISFIFO(files["made/pipe"][0])
    assert stat.S_IMODE(files["made/big"][0]) == 0o4751 and (out / "made/big").stat().st_size == 3_000_000
    assert stat.S_IMODE(files["made/sub"][0]) == 0o1777 and "made/sub/deep/empty" in files
    assert (out / "bin/busybox").exists() and not (out / "made/removed").exists()
    # Over what is there already.
    (out / "made/made").write_text("changed")
    (out / "kept").write_text("kept")
    build(cluster, kind, "-o", out, context)
    assert (out / "made/made").read_text() == "made\n" and (out / "kept").exists()
    # An image without files, and times that are given.
    write_context(context, "FROM scratch\nLABEL a=b\n", {})
    build(cluster, kind, "-o", tmp_path / "empty", context)
    assert tree(tmp_path / "empty") == {}
    write_context(context, "FROM base:1\n", {})
    build(cluster, kind, "-o", tmp_path / "dated", "--build-arg", "SOURCE_DATE_EPOCH=1600000000", context)
    assert {one[4] for one in tree(tmp_path / "dated").values() if one[3]} == {1600000000}
    assert cluster.docker("ps", "-aq").stdout == ""


@pytest.mark.parametrize("kind", KINDS)
def test_a_place_that_is_too_small_for_the_result(cluster, tmp_path, kind):
    out = tmp_path / "out"
    out.mkdir()
    (tmp_path / "context").mkdir()
    write_context(tmp_path / "context", MADE, {})
    run = subprocess.run(["unshare", "-m", "sh", "-c", f'mount -t tmpfs -o size=2m none {out} && exec "$@"', "sh", *client(kind), "-o",
                          str(out), str(tmp_path / "context")], env={**cluster.env, "DOCKER_BUILDKIT": "1", "BUILDKIT_PROGRESS": "plain"},
                         capture_output=True, text=True, timeout=60)
    assert run.returncode == 1 and "no space left on device" in run.stderr, run.stderr


def test_images_by_other_names(cluster, tmp_path):
    cluster.docker("tag", "base:1", "bk-tools:2")
    write_context(tmp_path, "FROM nowhere.example/gone AS tools\nRUN false\nFROM alpine\nCOPY --from=tools /bin/busybox /copied\n"
                            "RUN --mount=from=more,target=/m test -e /m/bin/busybox && echo ran > /ran\n", {})
    names = [f"--build-context={name}=docker-image://{image}" for name, image in
             {"tools": "bk-tools:2", "alpine": "base:1", "more": "bk-tools:2"}.items()]
    build(cluster, "buildx", *names, "-t", "bk-named", tmp_path)
    assert run(cluster, "bk-named", "cat", "/ran") == "ran\n" and run(cluster, "bk-named", "test", "-x", "/copied") == ""
    code, _, told = build(cluster, "buildx", f"--build-context=x={tmp_path}", tmp_path, check=False)
    assert code == 1 and "only docker-image:// is supported" in told


@pytest.mark.parametrize("kind", KINDS)
def test_an_interrupted_build_ends(cluster, tmp_path, kind):
    write_context(tmp_path, "FROM base:1\nRUN echo begun; sleep 1000\n", {})
    process = start(cluster, kind, tmp_path)
    wait_until(lambda: cluster.docker("ps", "-q").stdout, "the step runs", 20)
    begin = time.monotonic()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=15)
    assert process.returncode != 0 and time.monotonic() - begin < 10
    wait_until(lambda: not cluster.docker("ps", "-aq").stdout, "the step's container is gone", 15)


def test_outlives_a_client_that_is_killed(cluster, tmp_path):
    write_context(tmp_path, "FROM base:1\nRUN sleep 1000\n", {})
    process = start(cluster, "buildx", tmp_path)
    wait_until(lambda: cluster.docker("ps", "-q").stdout, "the step runs", 20)
    process.kill()
    process.communicate()
    wait_until(lambda: not cluster.docker("ps", "-aq").stdout, "the step's container is gone", 15)


def tool(cluster, *arguments, **more):
    run = subprocess.run([str(buildx()), *map(str, arguments)], env=cluster.env, capture_output=True, text=True, timeout=120, **more)
    assert run.returncode == 0, run.stderr
    return run.stdout


def test_buildx_knows_its_builder(cluster, tmp_path):
    assert re.search(r"^default\*\s+docker\s*\n.*default\s.*running\s.*linux/amd64$", tool(cluster, "ls"), re.M)
    assert "Status:" in tool(cluster, "inspect")
    write_context(tmp_path, "FROM base:1\nRUN echo x > /x\n", {})
    build(cluster, "buildx", "--no-cache", tmp_path)
    assert "Total:" in tool(cluster, "du")
    assert "Total:" in tool(cluster, "prune", "-f", "--all")
    _, _, told = build(cluster, "buildx", tmp_path)
    assert "CACHED" not in told


def test_bake_builds_several_targets(cluster, tmp_path):
    write_context(tmp_path, "FROM base:1 AS one\nRUN echo 1 > /n\nFROM base:1 AS two\nRUN echo 2 > /n\n", {})
    (tmp_path / "docker-bake.json").write_text(json.dumps({
        "group": {"default": {"targets": ["one", "two"]}},
        "target": {name: {"context": str(tmp_path), "target": name, "tags": [f"bk-{name}"]} for name in ("one", "two")}}))
    tool(cluster, "bake", "-f", tmp_path / "docker-bake.json", cwd=tmp_path)
    assert [run(cluster, f"bk-{name}", "cat", "/n") for name in ("one", "two")] == ["1\n", "2\n"]


def upgraded(cluster, path, *headers):
    """A connection that speaks HTTP/2 from here on."""
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(20)
    connection.connect(str(cluster.socket))
    lines = [f"POST {path} HTTP/1.1", "Host:", "Connection: Upgrade", "Upgrade: h2c", *headers, "", ""]
    connection.sendall("\r\n".join(lines).encode())
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += connection.recv(1)
    assert head.startswith(b"HTTP/1.1 101 "), head
    return connection


def test_doors_withstand_what_is_no_buildkit(cluster):
    pid = cluster.pid("gateway")
    for path in ("/session", "/grpc"):
        assert raw_http.request(cluster.socket, "POST", path)[0] == 400
        assert raw_http.request(cluster.socket, "POST", path, headers={"Connection": "Upgrade", "Upgrade": "h3"})[0] == 400
    assert raw_http.request(cluster.socket, "POST", "/session", headers={"Connection": "Upgrade", "Upgrade": "h2c"})[0] == 400
    # Looks in and leaves; and talks nonsense.
    upgraded(cluster, "/grpc").close()
    for path in ("/grpc", "/session"):
        with upgraded(cluster, path, "X-Docker-Expose-Session-Uuid: nonsense") as connection:
            connection.sendall(random.Random(3).randbytes(100_000))
            while connection.recv(65536):
                pass
    # A session that offers nothing, and whose id is taken.
    with upgraded(cluster, "/session", "X-Docker-Expose-Session-Uuid: mute"):
        _, _, answer = raw_http.request(cluster.socket, "POST", "/build?version=2&session=mute&remote=client-session")
        assert b"offers no files" in answer, answer
        status, _, answer = raw_http.request(cluster.socket, "POST", "/session", headers={
            "Connection": "Upgrade", "Upgrade": "h2c", "X-Docker-Expose-Session-Uuid": "mute"})
        assert status == 400 and b"already exists" in answer
        # What is no metadata of gRPC must not become it.
        _, _, answer = raw_http.request(cluster.socket, "POST",
                                        "/build?version=2&session=mute&remote=http://buildkit-session/%0A%C3%A9")
        assert b"no URL has" in answer, answer
    status, _, answer = raw_http.request(cluster.socket, "POST", "/build?version=2&session=gone&remote=client-session")
    assert status == 404 and b"no active session for gone" in answer
    assert raw_http.request(cluster.socket, "POST", "/build/cancel?id=none")[0] == 404
    assert cluster.pid("gateway") == pid and cluster.docker("ps").returncode == 0
