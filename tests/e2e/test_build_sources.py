"""Contexts and files that builds fetch themselves: git repositories over HTTP and git's own protocol, beside what the git
client makes of them; archives and Dockerfiles of URLs."""

import contextlib
import http.server
import io
import json
import os
import socket
import subprocess
import tarfile
import threading
import urllib.parse

import pytest
import raw_http
from cluster import free_port_range, wait_until
from test_build import build, inspect, peers, write_context  # noqa: F401 (a fixture)

IDENTITY = {"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b", "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@b",
            "GIT_CONFIG_NOSYSTEM": "1", "HOME": "/nonexistent", "PATH": os.environ["PATH"],
            "GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "protocol.file.allow", "GIT_CONFIG_VALUE_0": "always"}


def git(directory, *arguments):
    return subprocess.run(["git", "-C", str(directory), *arguments], env=IDENTITY, check=True, capture_output=True,
                          text=True).stdout.strip()


class GitHandler(http.server.BaseHTTPRequestHandler):
    """git-http-backend(1) for repositories, files for everything else."""

    def log_message(self, *arguments):
        pass

    def do_GET(self):
        path, _, query = self.path.partition("?")
        self.server.seen.append(self.path)
        if path.startswith("/silent"):
            self.server.stop.wait(60)
            return
        if ".git/" not in path or path.startswith("/dumb"):
            file = self.server.root / path.lstrip("/")
            if not file.is_file():
                self.send_error(404)
                return
            data = file.read_bytes()
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)
            return
        length = int(self.headers.get("Content-Length") or 0)
        run = subprocess.run(
            ["git", "http-backend"], input=self.rfile.read(length), capture_output=True,
            env={**IDENTITY, "GIT_PROJECT_ROOT": str(self.server.root), "GIT_HTTP_EXPORT_ALL": "1", "PATH_INFO": path,
                 "QUERY_STRING": query, "REQUEST_METHOD": self.command, "REMOTE_ADDR": "127.0.0.1",
                 "CONTENT_TYPE": self.headers.get("Content-Type", ""), "CONTENT_LENGTH": str(length)})
        head, _, body = run.stdout.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().splitlines())
        self.send_response(int(headers.pop("Status", "200 OK").split()[0]))
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A repository with branches, tags, links, a submodule, and other things to fetch."""
    root = tmp_path_factory.mktemp("git")
    work = root / "work"
    sub = root / "sub-work"
    for directory in (work, sub):
        subprocess.run(["git", "init", "-q", "-b", "main", str(directory)], check=True, env=IDENTITY)
    (sub / "inner").write_text("of the submodule\n")
    git(sub, "add", "-A")
    git(sub, "commit", "-qm", "sub")
    write_context(work, "FROM base:1\nCOPY . /all/\nRUN cat /all/file > /seen\n",
                  {"file": "on main\n", "dir/tool": ("#!/bin/sh\n", 0o755), "dir/link": ("->", "../file"),
                   "dir/Dockerfile": "FROM base:1\nCOPY tool /tool\n", ".dockerignore": "dropped\n", "dropped": "x"})
    git(work, "submodule", "add", "-q", str(sub), "module")
    git(work, "config", "-f", ".gitmodules", "submodule.module.url", "../sub.git")
    git(work, "add", "-A")
    git(work, "commit", "-qm", "one")
    git(work, "tag", "-a", "v1", "-m", "annotated")
    git(work, "checkout", "-qb", "feature/x")
    (work / "file").write_text("on the branch\n")
    git(work, "commit", "-qam", "two")
    git(work, "checkout", "-q", "main")
    for source, name in ((work, "repo.git"), (sub, "sub.git")):
        subprocess.run(["git", "clone", "-q", "--bare", "--no-local", str(source), str(root / name)], check=True,
                       env=IDENTITY, capture_output=True)
    dumb = root / "dumb" / "repo.git"
    subprocess.run(["git", "clone", "-q", "--bare", str(work), str(dumb)], check=True, env=IDENTITY, capture_output=True)
    git(dumb, "update-server-info")
    (root / "Dockerfile.only").write_text("FROM base:1\nRUN echo alone > /alone\n")
    with tarfile.open(root / "context.tar.gz", "w:gz") as tar:
        for name, text in {"Dockerfile": "FROM base:1\nCOPY x /x\n", "x": "of the archive\n"}.items():
            info = tarfile.TarInfo(name)
            info.size = len(text)
            tar.addfile(info, io.BytesIO(text.encode()))
    httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), GitHandler)
    httpd.root, httpd.seen, httpd.stop = root, [], threading.Event()
    thread = threading.Thread(target=httpd.serve_forever, daemon=True)
    thread.start()
    httpd.url = f"http://127.0.0.1:{httpd.server_port}"
    yield httpd
    httpd.stop.set()
    httpd.shutdown()
    thread.join()
    httpd.server_close()


def remote(peer, url, **query):
    """A build whose context the daemon fetches (the docker client would fetch it itself): the image, the messages and the
    error."""
    query = urllib.parse.urlencode({"remote": url, "networkmode": "none", "rm": 1, **query})
    status, _, answer = raw_http.request(peer.socket, "POST", f"/v1.41/build?{query}")
    lines = [json.loads(line) for line in answer.decode().splitlines() if line]
    image = next((line["aux"]["ID"] for line in lines if "aux" in line), None)
    error = next((line.get("error") or line.get("message") for line in lines if "error" in line or "message" in line), None)
    assert (status == 200) or error, answer
    return image, "".join(line.get("stream", "") for line in lines), error


def made(peer, url, **query):
    image, _, error = remote(peer, url, **query)
    assert image and not error, error
    return image


def run(cluster, image, *command):
    return cluster.docker("run", "--rm", "--network", "none", image, *command).stdout


def image_of(output):
    return output.strip().splitlines()[-1]


def test_a_repository_as_context(peers, server):
    cluster, _ = peers
    image = made(cluster, f"{server.url}/repo.git")
    assert run(cluster, image, "cat", "/seen") == "on main\n"
    found = run(cluster, image, "find", "/all").split()
    # .dockerignore is for who sends a context; what is fetched comes whole, as with dockerd.
    assert "/all/module/inner" in found and "/all/dropped" in found and "/all/.git" not in found
    assert run(cluster, image, "sh", "-c", "stat -c '%a %u %F' /all/dir/tool /all/file; readlink /all/dir/link") == \
        "755 0 regular file\n644 0 regular file\n../file\n"
    # The same commit is the same files: every step is found again.
    assert remote(cluster, f"{server.url}/repo.git")[1].count("Using cache") == 2


@pytest.mark.parametrize("reference", ["feature/x", "v1", "main", "full", "short", "refs/heads/feature/x"])
def test_branches_tags_and_commits(peers, server, reference):
    cluster, _ = peers
    repository = server.root / "repo.git"
    wanted = {"full": git(repository, "rev-parse", "feature/x"),
              "short": git(repository, "rev-parse", "feature/x")[:10]}.get(reference, reference)
    image = made(cluster, f"{server.url}/repo.git#{wanted}")
    expected = git(repository, "show", f"{wanted}:file")
    assert run(cluster, image, "cat", "/seen").strip() == expected


def test_a_directory_of_a_repository(peers, server):
    cluster, _ = peers
    image = made(cluster, f"{server.url}/repo.git#main:dir")
    assert run(cluster, image, "ls", "/tool") == "/tool\n"
    image = made(cluster, f"{server.url}/repo.git#:dir")
    assert run(cluster, image, "ls", "/tool") == "/tool\n"


@contextlib.contextmanager
def git_daemon(root):
    port = free_port_range(1)
    daemon = subprocess.Popen(["git", "daemon", "--export-all", "--listen=127.0.0.1", f"--port={port}",
                               f"--base-path={root}", str(root)], env=IDENTITY, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL, start_new_session=True)
    address = f"git://127.0.0.1:{port}"
    try:
        wait_until(lambda: subprocess.run(["git", "ls-remote", f"{address}/repo.git"], env=IDENTITY,
                                          capture_output=True).returncode == 0, "the git daemon answers")
        yield address
    finally:
        os.killpg(daemon.pid, 15)
        daemon.wait()


def test_gits_own_protocol(peers, server):
    cluster, _ = peers
    with git_daemon(server.root) as address:
        image = made(cluster, f"{address}/repo.git#feature/x")
        assert run(cluster, image, "cat", "/seen", "/all/module/inner") == "on the branch\nof the submodule\n"


def test_add_of_a_repository(peers, server, tmp_path):
    cluster, _ = peers
    commit = git(server.root / "repo.git", "rev-parse", "v1^{commit}")
    write_context(tmp_path, f"""
FROM base:1
ADD {server.url}/repo.git#feature/x /branch
ADD --chown=7:8 {server.url}/repo.git#main:dir /dir/
ADD --keep-git-dir=true --checksum={commit} {server.url}/repo.git#v1 /kept
""", {})
    image = image_of(build(cluster, tmp_path, "-q").stdout)
    assert run(cluster, image, "cat", "/branch/file", "/kept/file") == "on the branch\non main\n"
    assert run(cluster, image, "sh", "-c", "ls -A /dir; stat -c %u:%g /dir/tool; test ! -e /branch/.git").split() == \
        ["Dockerfile", "link", "tool", "7:8"]
    # A real git takes what was kept for a clone.
    archive = cluster.docker("create", image, "x").stdout.strip()
    tar = subprocess.run(["/usr/bin/docker", "cp", f"{archive}:/kept", "-"], env=cluster.env, check=True,
                         capture_output=True).stdout
    cluster.docker("rm", archive)
    with tarfile.open(fileobj=io.BytesIO(tar)) as members:
        members.extractall(tmp_path)
    assert git(tmp_path / "kept", "rev-parse", "HEAD") == commit
    assert git(tmp_path / "kept", "status", "--porcelain", "--ignore-submodules") == ""
    assert "nothing" not in git(tmp_path / "kept", "fsck")


BAD = {
    "no repository": ("/none.git", "status 404"),
    "no reference": ("/repo.git#nothere", "it has no reference nothere"),
    "no commit": ("/repo.git#0123456789abcdef", "not found"),
    "no directory": ("/repo.git#main:nothere", "has no directory nothere"),
    "a file for a directory": ("/repo.git#main:file", "has no directory file"),
    "a way out": ("/repo.git#main:../x", "leads out of the git repository"),
    "an option": ("/repo.git#--upload-pack=x", "invalid reference"),
    "files only": ("/dumb/repo.git", "smart protocol"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_fetched(peers, server, name):
    cluster, _ = peers
    path, message = BAD[name]
    _, _, error = remote(cluster, server.url.replace("://", "://me:geheim@") + path)
    assert message in error and "geheim" not in error


def test_ssh_is_refused_by_name(peers, tmp_path):
    cluster, _ = peers
    write_context(tmp_path, "FROM base:1\nADD git@127.0.0.1:repo.git /x\n", {})
    assert "over SSH, which is not supported" in build(cluster, tmp_path, check=False).stderr


def test_hanging_up_ends_a_fetch(peers, server):
    cluster, _ = peers
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(cluster.socket))
        client.sendall(f"POST /build?remote={server.url}/silent.git HTTP/1.1\r\nHost: x\r\n"
                       "Content-Length: 0\r\n\r\n".encode())
        wait_until(lambda: any(path.startswith("/silent.git") for path in server.seen), "the server is asked")
    running = f"127.0.0.1:{cluster.port_base + 4}"
    wait_until(lambda: b"slipway_build_running 0" in subprocess.run(
        ["curl", "-s", f"http://{running}/metrics"], capture_output=True).stdout, "the build has ended")
    assert list((cluster.dir / "root" / "build" / "git").iterdir()) == []


def test_archives_and_dockerfiles_of_urls(peers, server):
    cluster, _ = peers
    image = made(cluster, f"{server.url}/context.tar.gz")
    assert run(cluster, image, "cat", "/x") == "of the archive\n"
    image = made(cluster, f"{server.url}/Dockerfile.only")
    assert run(cluster, image, "cat", "/alone") == "alone\n"
    assert "404" in remote(cluster, f"{server.url}/nothere.tar")[2]


def test_what_dockerd_makes_of_the_same_repository(peers, server):
    """Its files and their modes; whoever checks out decides of write bits for the group."""
    seen = []
    for peer in peers:
        image = made(peer, f"{server.url}/repo.git#feature/x")
        shown = peer.docker("run", "--rm", "--network", "none", image, "sh", "-c",
                            "cd /all; find . -path ./.git -prune -o -type f -exec md5sum {} + -o -type l -exec readlink {} +"
                            ).stdout
        seen.append(sorted(line for line in shown.splitlines() if "/.git" not in line))
    assert seen[0] == seen[1]


def test_the_native_client(peers, server):
    cluster, _ = peers
    image = cluster.slipway("build", f"{server.url}/repo.git#feature/x").stdout.strip()
    assert run(cluster, image, "cat", "/seen") == "on the branch\n"
    assert inspect(cluster, image)["Id"] == image
