"""Images from the real world: a registry, a dockerd's archive, a Debian root with redis."""

import os
import shutil
import subprocess
import time

import images
import pytest
from cluster import free_port_range, wait_until
from images import OciLayout
from test_first_container import Terminal


def redis(port, *command):
    return subprocess.run(["redis-cli", "-p", str(port), *command], capture_output=True, text=True,
                          timeout=20).stdout.strip()


@pytest.fixture(scope="module")
def redis_image(registry, tmp_path_factory):
    layout = OciLayout(tmp_path_factory.mktemp("redis") / "oci")
    layout.add_layer(images.redis_root().read_bytes())
    source = layout.finish(Env=["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
                           Cmd=["redis-server", "--bind", "0.0.0.0", "--protected-mode", "no"],
                           ExposedPorts={"6379/tcp": {}}, User="redis", WorkingDir="/var/lib/redis")
    name = registry.push(source, "redis:7")
    shutil.rmtree(layout.dir)
    return name


def test_redis_session(cluster, redis_image):
    pulled = cluster.docker("pull", redis_image).stdout
    assert "Pull complete" in pulled and "Digest: sha256:" in pulled
    assert f"Status: Downloaded newer image for {redis_image}" in pulled
    port = free_port_range(1)
    cluster.docker("run", "-d", "--name", "redis", "-p", f"{port}:6379", redis_image)
    wait_until(lambda: redis(port, "ping") == "PONG", "redis answers", 20)
    assert redis(port, "set", "key", "value") == "OK"
    assert redis(port, "get", "key") == "value"
    terminal = Terminal(["/usr/bin/docker", "exec", "-it", "redis", "sh"], cluster.env)
    terminal.expect("$ ")
    terminal.type("redis-cli get key\n")
    terminal.expect('"value"')
    terminal.type("exit\n")
    assert terminal.wait() == 0
    follower = subprocess.Popen(["/usr/bin/docker", "logs", "-f", "redis"], env=cluster.env, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, text=True)
    begin = time.monotonic()
    cluster.docker("stop", "redis")
    assert time.monotonic() - begin < 9
    followed, _ = follower.communicate(timeout=20)
    assert "Ready to accept connections" in followed and "bye bye" in followed
    assert cluster.docker("inspect", "-f", "{{.State.ExitCode}}", "redis").stdout == "0\n"
    cluster.docker("rm", "redis")
    again = cluster.docker("pull", redis_image).stdout
    assert f"Status: Image is up to date for {redis_image}" in again
    cluster.docker("rmi", redis_image)


def test_archive_of_a_real_dockerd(cluster, dockerd, tmp_path):
    dockerd.docker("import", "--change", "CMD echo from-the-archive", "-", "saved:1", input=images.busybox_tar(),
                   text=False)
    identity = dockerd.docker("inspect", "-f", "{{.Id}}", "saved:1").stdout
    dockerd.docker("save", "-o", tmp_path / "saved.tar", "saved:1")
    assert cluster.docker("load", "-i", tmp_path / "saved.tar").stdout.strip().endswith("Loaded image: saved:1")
    assert cluster.docker("inspect", "-f", "{{.Id}}", "saved:1").stdout == identity
    assert cluster.docker("run", "--rm", "saved:1").stdout == "from-the-archive\n"
    cluster.docker("rmi", "saved:1")


def test_pushed_by_a_real_dockerd(cluster, dockerd, registry):
    dockerd.docker("import", "-", f"{registry.address}/by/dockerd:1", input=images.busybox_tar(), text=False)
    dockerd.docker("push", f"{registry.address}/by/dockerd:1")
    assert cluster.docker("run", "--rm", f"{registry.address}/by/dockerd:1", "echo", "ok").stdout == "ok\n"
    cluster.docker("rmi", f"{registry.address}/by/dockerd:1")


def test_oci_archive(cluster, tmp_path):
    layout = OciLayout(tmp_path / "oci")
    layout.add_layer(images.busybox_tar())
    layout.finish(Cmd=["echo", "oci"])
    archive = tmp_path / "oci.tar"
    subprocess.run(["tar", "-C", layout.dir, "-cf", archive, "."], check=True)
    loaded = cluster.docker("load", "-i", archive).stdout
    assert "Loaded image" in loaded
    identity = loaded.split()[-1]
    assert cluster.docker("run", "--rm", identity).stdout == "oci\n"
    cluster.docker("rmi", "-f", identity)


def test_layers_whiteouts_and_sharing(cluster, registry, tmp_path):
    """A second layer that deletes, replaces and hides."""
    for name, content in (("first/a", "1"), ("first/b", "1"), ("first/dir/old", "1")):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    for name, content in (("second/.wh.a", ""), ("second/b", "2"), ("second/dir/.wh..wh..opq", ""),
                          ("second/dir/new", "2")):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)

    def tar(folder):
        return subprocess.run(["tar", "-C", tmp_path / folder, "-cf", "-", "."], check=True, capture_output=True).stdout

    layout = OciLayout(tmp_path / "oci").add_layer(images.busybox_tar()).add_layer(tar("first")).add_layer(tar("second"))
    name = registry.push(layout.finish(), "layered:1")
    out = cluster.docker("run", "--rm", name, "sh", "-c", "ls /a; cat /b; ls -A /dir", check=False)
    assert out.stdout == "2new\n"
    cluster.docker("rmi", name)


def test_missing_manifest_and_dead_registry(cluster, registry):
    run = cluster.docker("pull", f"{registry.address}/no/such:1", check=False)
    assert run.returncode == 1 and "not found" in run.stderr
    port = free_port_range(1)
    run = cluster.docker("pull", f"127.0.0.1:{port}/x:1", check=False)
    assert run.returncode == 1 and str(port) in run.stderr


def test_damaged_layer_leaves_nothing(cluster, registry, tmp_path):
    layout = OciLayout(tmp_path / "oci")
    layout.add_layer(images.busybox_tar(), lie_about_diff_id=True)
    name = registry.push(layout.finish(), "lying:1")
    run = cluster.docker("pull", name, check=False)
    assert run.returncode == 1 and "diffID is sha256:" in run.stderr
    assert cluster.docker("images", "-q", name).stdout == ""


@pytest.mark.parametrize("entry", ["../../escape", "/../escape", "dir/../../escape"])
def test_tar_that_climbs_out(cluster, entry):
    import io
    import tarfile
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        info = tarfile.TarInfo(entry)
        info.size = 3
        tar.addfile(info, io.BytesIO(b"bad"))
    run = cluster.docker("import", "-", "climber", input=buffer.getvalue(), text=False, check=False)
    assert run.returncode != 0 and b"escape" in run.stderr
    assert cluster.docker("images", "-q", "climber").stdout == ""
    assert not os.path.exists("/escape")
