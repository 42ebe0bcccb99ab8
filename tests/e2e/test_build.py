"""Builds by the stock client, docker-py and our own: caching, options, mounts, secrets, failures, and bad input beside a
real dockerd's classic builder."""

import gzip
import io
import json
import os
import re
import socket
import subprocess
import tarfile
import time

import docker
import images
import pytest
import raw_http
from cluster import wait_until


def write_context(directory, dockerfile, files):
    (directory / "Dockerfile").write_text(dockerfile.lstrip("\n"))
    for name, content in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, dict):
            data = io.BytesIO()
            with tarfile.open(fileobj=data, mode="w") as tar:
                for member, text in content.items():
                    info = tarfile.TarInfo(member)
                    info.size, info.uid, info.gid = len(text), 12, 34
                    tar.addfile(info, io.BytesIO(text.encode()))
            path.write_bytes(gzip.compress(data.getvalue(), mtime=0))
        elif isinstance(content, tuple) and content[0] == "->":
            path.symlink_to(content[1])
        else:
            text, mode = content if isinstance(content, tuple) else (content, 0o644)
            path.write_text(text)
            path.chmod(mode)


def build(peer, directory, *options, check=True, input=None, timeout=120):
    env = {**peer.env, "DOCKER_BUILDKIT": "0"}
    run = subprocess.run(["/usr/bin/docker", "build", *options, str(directory)], env=env, input=input,
                         capture_output=True, text=True, timeout=timeout)
    if check:
        assert run.returncode == 0, f"{run.stdout}\n{run.stderr}"
    return run


def inspect(peer, image):
    return json.loads(peer.docker("inspect", image).stdout)[0]


def history(peer, image):
    lines = peer.docker("history", "--no-trunc", "--format", "{{.CreatedBy}}", image).stdout.splitlines()
    return [re.sub(r"(file|dir|multi):[0-9a-f]{64}", r"\1:HASH", line) for line in lines]


@pytest.fixture(scope="module")
def peers(shared_cluster, dockerd):
    """Both have the same base, imported from the same bytes."""
    for peer in (shared_cluster, dockerd):
        peer.docker("import", "--change", 'CMD ["sh"]', "-", "base:1", input=images.busybox_tar(), text=False)
    yield shared_cluster, dockerd
    shared_cluster.docker("builder", "prune", "-af", check=False)
    for peer in (shared_cluster, dockerd):
        peer.docker("rmi", "-f", "base:1", check=False)


BAD = {
    "unknown instruction": ("FROM base:1\nRUNN x\n", "unknown instruction: RUNN (did you mean RUN?)"),
    "no base": ("RUN x\n", "no build stage in current context"),
    "unknown flag": ("FROM base:1\nCOPY --form=x a /\n", "unknown flag: --form (did you mean from?)"),
    "one word": ("FROM base:1\nCOPY x\n", "COPY requires at least two arguments"),
    "missing file": ("FROM base:1\nCOPY nothere /\n",
                     "COPY failed: file not found in build context or excluded by .dockerignore: stat nothere"),
    "outside": ("FROM base:1\nCOPY ../x /\n", "forbidden path outside the build context: ../x ()"),
    "several to a file": ("FROM base:1\nCOPY a b /c\n", "the destination must be a directory and end with a /"),
    "failing command": ("FROM base:1\nRUN echo last words; exit 7\n",
                        "The command '/bin/sh -c echo last words; exit 7' returned a non-zero code: 7"),
    "no such command": ("FROM base:1\nRUN [\"/none\"]\n", "/none"),
    "bad stage": ("FROM base:1\nCOPY --from=9 a /\n", "invalid"),
    "bad substitution": ("FROM base:1\nENV a=${b\n", "syntax error"),
    "no image": ("FROM scratch\n", "No image was generated"),
    "bad port": ("FROM base:1\nEXPOSE many\n", "Invalid containerPort: many"),
    "empty": ("\n# nothing\n", ""),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_fails_as_with_dockerd(peers, tmp_path, name):
    dockerfile, message = BAD[name]
    write_context(tmp_path, dockerfile + "\n", {"a": "a\n", "b": "b\n"})
    (tmp_path / "Dockerfile").write_text(dockerfile)
    runs = [build(peer, tmp_path, "--network", "none", check=False) for peer in peers]
    assert message in runs[0].stderr
    assert runs[0].returncode == runs[1].returncode != 0, [run.stderr for run in runs]
    for run in runs:
        if "failing" in name:
            assert "last words" in run.stdout
    assert peers[0].docker("ps", "-aq").stdout == ""
    for container in peers[1].docker("ps", "-aq").stdout.split():
        peers[1].docker("rm", container)


def test_cached_steps_stay_and_changed_files_make_new_ones(peers, tmp_path):
    cluster, _ = peers
    write_context(tmp_path, "FROM base:1\nCOPY a /a\nRUN cat /a > /b\nCOPY other /\n", {"a": "1", "other": "o"})
    first = build(cluster, tmp_path, "-q").stdout
    again = build(cluster, tmp_path)
    assert again.stdout.count("Using cache") == 3
    os.utime(tmp_path / "a", (1, 1))
    assert build(cluster, tmp_path, "-q").stdout == first
    (tmp_path / "a").write_text("2")
    assert "Using cache" not in build(cluster, tmp_path).stdout
    (tmp_path / "a").write_text("1")
    assert build(cluster, tmp_path, "-q").stdout == first
    assert build(cluster, tmp_path, "-q", "--no-cache").stdout != first
    usage = json.loads(cluster.docker("system", "df", "-v", "--format", "{{json .}}").stdout)
    assert usage["BuildCache"]
    assert "Total reclaimed space" in cluster.docker("builder", "prune", "-f").stdout
    assert "Using cache" not in build(cluster, tmp_path, "-q").stdout


def test_options_of_the_stock_client(peers, tmp_path):
    cluster, _ = peers
    write_context(tmp_path, "FROM base:1 AS one\nARG a=x\nRUN echo $a > /a; ulimit -n > /n; grep there /etc/hosts > /h\n"
                            "FROM one AS two\nRUN false\n", {})
    (tmp_path / "Dockerfile").rename(tmp_path / "other")
    build(cluster, tmp_path, "-f", str(tmp_path / "other"), "--target", "one", "--build-arg", "a=y", "--label", "l=m",
          "--ulimit", "nofile=123:456", "--add-host", "there:1.2.3.4", "-t", "o:1", "-t", "o:2", "--memory", "64m",
          "--network", "host")
    assert cluster.docker("run", "--rm", "o:2", "cat", "/a", "/n", "/h").stdout.split() == ["y", "123", "1.2.3.4", "there"]
    assert inspect(cluster, "o:1")["Config"]["Labels"] == {"l": "m"}
    cluster.docker("rmi", "o:1", "o:2")


def test_a_dockerfile_from_stdin_and_a_tar(peers, tmp_path):
    cluster, _ = peers
    assert "Successfully built" in build(cluster, "-", input="FROM base:1\nRUN echo\n").stdout
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as tar:
        for name, text in {"Dockerfile": "FROM base:1\nCOPY d /d\n", "d/x": "y"}.items():
            info = tarfile.TarInfo(name)
            info.size = len(text)
            tar.addfile(info, io.BytesIO(text.encode()))
    run = subprocess.run(["/usr/bin/docker", "build", "-q", "-"], env={**cluster.env, "DOCKER_BUILDKIT": "0"},
                         input=data.getvalue(), capture_output=True, check=True)
    assert cluster.docker("run", "--rm", run.stdout.decode().strip(), "cat", "/d/x").stdout == "y"


@pytest.mark.parametrize("options", [(), ("--compress",)])
def test_a_dockerfile_from_elsewhere_with_a_context(peers, tmp_path, options):
    """The client puts it into the context then, and does not end that as a tar ends."""
    cluster, _ = peers
    context = tmp_path / "context"
    context.mkdir()
    (context / "x").write_text("y" * 700)
    (tmp_path / "elsewhere").write_text("FROM base:1\nCOPY x /x\nRUN test $(wc -c </x) = 700\n")
    assert "Successfully built" in build(cluster, context, "-f", str(tmp_path / "elsewhere"), *options).stdout
    text = (tmp_path / "elsewhere").read_text()
    assert "Successfully built" in build(cluster, context, "-f", "-", *options, input=text).stdout


def test_a_broken_off_context_makes_nothing(peers):
    cluster, _ = peers
    before = cluster.docker("images", "-aq").stdout
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(cluster.socket))
        client.sendall(b"POST /build HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-tar\r\n"
                       b"Transfer-Encoding: chunked\r\n\r\n400\r\n" + bytes(100))
    status, _, answer = raw_http.request(cluster.socket, "POST", "/build", body=b"no tar" * 1000)
    assert status >= 400 and b"archive" in answer
    assert cluster.docker("images", "-aq").stdout == before


def test_hanging_up_ends_a_build(peers, tmp_path):
    cluster, _ = peers
    write_context(tmp_path, "FROM base:1\nRUN sleep 1000\n", {})
    client = subprocess.Popen(["/usr/bin/docker", "build", str(tmp_path)], env={**cluster.env, "DOCKER_BUILDKIT": "0"},
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_until(lambda: cluster.docker("ps", "-q").stdout, "the step runs")
    client.terminate()
    client.wait()
    wait_until(lambda: not cluster.docker("ps", "-aq").stdout, "its container is gone")


def test_what_a_failed_step_left_is_kept(peers, tmp_path):
    cluster, _ = peers
    write_context(tmp_path, "FROM base:1\nRUN echo half > /half; exit 3\n", {})
    run = build(cluster, tmp_path, check=False)
    assert run.returncode == 3
    kept = re.search(r"docker run --rm -it (\w+) sh", run.stdout)[1]
    assert cluster.docker("run", "--rm", kept, "cat", "/half").stdout == "half\n"
    run = build(cluster, tmp_path, "--force-rm", check=False)
    assert "docker run" not in run.stdout


def test_the_native_client(peers, tmp_path):
    cluster, _ = peers
    write_context(tmp_path, """
FROM base:1 AS one
RUN --mount=type=cache,target=/cache echo $(cat /cache/n 2>/dev/null)x > /cache/n && cp /cache/n /n
FROM base:1
COPY <<-"END" <<other /here/
	$literal
	END
v=$HOME
other
RUN <<END
cat /here/END > /joined
echo second >> /joined
END
RUN --mount=type=secret,id=token cat /run/secrets/token | wc -c > /size
RUN --mount=type=bind,source=dir,target=/src --mount=type=bind,source=file,target=/file cat /src/a /file > /bound && ! touch /src/new
RUN --mount=type=bind,from=one,source=/,target=/one --mount=type=tmpfs,target=/t cp /one/n /from-one && touch /t/x
COPY --parents --chmod=640 dir/a /p/
COPY --exclude=b dir /e/
""", {"dir/a": "A\n", "dir/b": "B\n", "file": "F\n", "token": "s3cr3t-value"})
    run = cluster.slipway("build", "-t", "native:1", "--secret", f"id=token,src={tmp_path}/token", str(tmp_path))
    identity = run.stdout.strip()
    assert inspect(cluster, "native:1")["Id"] == identity
    shown = cluster.docker("run", "--rm", "native:1", "sh", "-c",
                           "cat /joined /size /bound /from-one; stat -c %a /p/dir/a; ls /e; ls -A /t").stdout
    assert shown.split() == ["$literal", "second", "12", "A", "F", "x", "640", "a"]
    # Nothing of the secret is left anywhere.
    assert "s3cr3t-value" not in run.stderr + "".join(history(cluster, "native:1"))
    assert subprocess.run(["grep", "-rlF", "s3cr3t-value", cluster.dir / "root", cluster.dir / "logs"],
                          capture_output=True, text=True).stdout == ""
    again = cluster.slipway("build", "--progress", "plain", "--secret", f"id=token,src={tmp_path}/token", str(tmp_path))
    assert again.stdout.strip() == identity
    assert again.stderr.count(" CACHED ") == 8
    graph = cluster.slipway("build", "--graph", str(tmp_path)).stdout
    assert graph.startswith("digraph") and "s2 -> s8" in graph
    (tmp_path / "Dockerfile").write_text("FROM base:1\n\nRUN echo why; exit 9\n")
    failed = cluster.slipway("build", str(tmp_path), check=False)
    assert failed.returncode != 0
    for part in ("#2 why", "Dockerfile:3", ">>> RUN echo why; exit 9", "non-zero code: 9"):
        assert part in failed.stderr
    cluster.docker("rmi", "native:1")


def test_the_same_inputs_give_the_same_digests(peers, tmp_path):
    cluster, _ = peers
    write_context(tmp_path, "FROM base:1\nRUN date > /dev/null; echo x > /x; mkdir -p /a/b\nWORKDIR /w/v\nCOPY f /d/\n",
                  {"f": "f"})
    ids = set()
    for _ in range(2):
        ids.add(build(cluster, tmp_path, "-q", "--no-cache", "--build-arg", "SOURCE_DATE_EPOCH=1600000000").stdout)
        time.sleep(1.1)  # a time that got into a digest would differ
        os.utime(tmp_path / "f")
    assert len(ids) == 1
    assert inspect(cluster, ids.pop().strip())["Created"].startswith("2020-09-13T12:26:40")


def test_stages_are_built_at_the_same_time(peers, tmp_path):
    cluster, _ = peers
    work = "RUN cut -d ' ' -f 1 /proc/uptime > /{0}; sleep 3; cut -d ' ' -f 1 /proc/uptime >> /{0}\n"
    write_context(tmp_path, f"FROM base:1 AS a\n{work.format('a')}FROM base:1 AS b\n{work.format('b')}"
                            "FROM base:1\nCOPY --from=a /a /\nCOPY --from=b /b /\n", {})
    image = build(cluster, tmp_path, "--no-cache", "-q").stdout.strip()
    times = cluster.docker("run", "--rm", "--network", "none", image, "cat", "/a", "/b").stdout.split()
    begin_a, end_a, begin_b, end_b = map(float, times)
    assert max(begin_a, begin_b) < min(end_a, end_b)


def test_the_python_client(peers, tmp_path):
    cluster, _ = peers
    write_context(tmp_path, "FROM base:1\nARG a\nRUN echo $a > /a\n", {})
    client = cluster.client()
    image, log = client.images.build(path=str(tmp_path), tag="py:1", buildargs={"a": "b"}, rm=True)
    assert "py:1" in image.tags and any("Successfully built" in line.get("stream", "") for line in log)
    with pytest.raises(docker.errors.BuildError, match="non-zero code: 4"):
        client.images.build(fileobj=io.BytesIO(b"FROM base:1\nRUN exit 4\n"), rm=True)
    with pytest.raises(docker.errors.APIError) as refused:
        client.images.build(fileobj=io.BytesIO(b"FORM base:1\n"))
    assert refused.value.status_code == 400
    client.images.remove("py:1")


def test_a_killed_service_leaves_nothing(peers, tmp_path):
    cluster, _ = peers
    write_context(tmp_path, "FROM base:1\nRUN echo done\nRUN sleep 1000\n", {})
    client = subprocess.Popen(["/usr/bin/docker", "build", str(tmp_path)], env={**cluster.env, "DOCKER_BUILDKIT": "0"},
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: "sleep" in cluster.docker("ps").stdout, "the second step runs")
        cluster.kill("build")
        assert client.wait(30) != 0
    finally:
        client.kill()
        cluster.up()
    wait_until(lambda: not cluster.docker("ps", "-aq").stdout, "its container is gone")
    (tmp_path / "Dockerfile").write_text("FROM base:1\nRUN echo done\n")
    assert "Using cache" in build(cluster, tmp_path).stdout
