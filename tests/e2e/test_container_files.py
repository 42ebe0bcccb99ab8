"""docker cp, diff and export, beside a real dockerd: names, attributes, links that stay inside, answers to bad input."""

import base64
import http.client
import io
import json
import os
import tarfile

import images
import pytest
import raw_http as raw
from cluster import wait_until

SETUP = ("mkdir -p /data/sub /etc/conf.d && echo hello >/data/file && echo deep >/data/sub/deep && chmod 4751 /data/file"
         " && ln -s file /data/link && ln -s /data/sub /dirlink && ln -s ../../../../etc/passwd /data/up"
         " && ln -s /nowhere/at/all /data/dangling && ln /data/file /data/hard && mkfifo /data/pipe && chown 12:34 /data/sub")


@pytest.fixture(scope="module")
def pair(shared_cluster, dockerd):
    """The same container under both, stopped: what was changed is in its own layer."""
    dockerd.docker("import", "-", "busybox", input=images.busybox_tar(), text=False)
    for one in (shared_cluster, dockerd):
        one.docker("run", "--network", "none", "--name", "files", "busybox", "sh", "-c", SETUP)
    yield shared_cluster, dockerd
    for one in (shared_cluster, dockerd):
        one.docker("rm", "-f", "files", check=False)


def head(one, path):
    status, headers, _ = raw.request(one.socket, "HEAD", f"/containers/files/archive?path={path}")
    stat = headers.get("x-docker-container-path-stat")
    return status, json.loads(base64.b64decode(stat)) if stat else None


@pytest.mark.parametrize("path", ["/data", "/data/", "/data/.", "/data/file", "/data/link", "/data/up", "/data/dangling",
                                  "/dirlink", "/dirlink/", "/dirlink/.", "/dirlink/deep", "/", "data/sub/../file",
                                  "/data/pipe", "/missing", "/data/file/x", "/../../etc/passwd"])
def test_stat_as_dockerd(pair, path):
    ours, theirs = pair
    got, expected = head(ours, path), head(theirs, path)
    # dockerd 20.10 has 500 for a path below a file.
    assert got[0] == (404 if expected[0] == 500 else expected[0])
    if expected[1] is None:
        assert got[1] is None
        return
    for stat in (got[1], expected[1]):
        stat.pop("mtime")
        if stat["mode"] & (1 << 31):
            stat.pop("size")  # of a directory: the file system's own business
    assert got[1] == expected[1]


def members(one, path):
    status, _, body = raw.request(one.socket, "GET", f"/containers/files/archive?path={path}")
    if status != 200:
        return status, json.loads(body)["message"]
    with tarfile.open(fileobj=io.BytesIO(body)) as tar:
        return status, {m.name: (m.type, m.mode & 0o7777, m.uid, m.gid, m.linkname, m.size) for m in tar}


@pytest.mark.parametrize("path", ["/data", "/data/", "/data/.", "/data/file", "/data/link", "/dirlink", "/dirlink/",
                                  "/dirlink/.", "/data/sub", "/missing"])
def test_archive_as_dockerd(pair, path):
    ours, theirs = pair
    assert members(ours, path) == members(theirs, path)


def test_errors_as_dockerd(pair):
    ours, theirs = pair
    for method, path, body in [("GET", "/containers/files/archive", None), ("PUT", "/containers/files/archive", b""),
                               ("HEAD", "/containers/files/archive", None),
                               ("GET", "/containers/nope/archive?path=/", None),
                               ("PUT", "/containers/files/archive?path=/missing", b""),
                               ("PUT", "/containers/files/archive?path=/data/file", b"")]:
        got, expected = (raw.request(one.socket, method, path, body) for one in (ours, theirs))
        # dockerd 20.10 has 500 where later ones have 400.
        assert got[0] == (400 if expected[0] == 500 else expected[0]), (method, path, got, expected)
        if method != "HEAD" and expected[0] != 400:
            assert json.loads(got[2])["message"] == json.loads(expected[2])["message"], (method, path)


def put(one, path, body, more=""):
    return raw.request(one.socket, "PUT", f"/containers/files/archive?path={path}{more}", body)[0]


def test_put_as_dockerd(pair):
    ours, theirs = pair
    archive = images.tar_of(("new", tarfile.DIRTYPE, b""), ("new/file", tarfile.REGTYPE, b"put"), ("new/a/b/c", tarfile.REGTYPE, b"x"),
                            ("new/link", tarfile.SYMTYPE, "file"))
    for one in pair:
        assert put(one, "/data", archive) == 200
    assert members(ours, "/data/new") == members(theirs, "/data/new")
    # Through a link, and with kinds that are kept.
    for more, body in [("", images.tar_of(("x", tarfile.REGTYPE, b"1"))),
                       ("&noOverwriteDirNonDir=1", images.tar_of(("sub", tarfile.REGTYPE, b"1"))),
                       ("&noOverwriteDirNonDir=1", images.tar_of(("file", tarfile.DIRTYPE, b""))),
                       ("&copyUIDGID=1", images.tar_of(("owned", tarfile.REGTYPE, b"1")))]:
        got, expected = put(ours, "/data", body, more), put(theirs, "/data", body, more)
        assert (got == 200) == (expected == 200), (more, got, expected)
    assert put(ours, "/dirlink", images.tar_of(("through", tarfile.REGTYPE, b"1"))) == 200
    assert "sub/through" in members(ours, "/data/sub")[1]


def test_put_takes_compressed_archives(pair):
    import bz2
    import gzip
    import lzma
    ours, _ = pair
    archive = images.tar_of(("c", tarfile.REGTYPE, b"compressed"))
    for compress in (gzip.compress, bz2.compress, lzma.compress):
        assert put(ours, "/data", compress(archive)) == 200


def last_content_end(archive):
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        last = tar.getmembers()[-1]
        return last.offset_data + last.size


def test_archives_that_stop_behind_their_content(pair):
    """As writers of Go's leave them that are not closed. One byte less is an archive that is cut off."""
    ours, _ = pair
    archive = images.tar_of(("unclosed/file", tarfile.REGTYPE, b"x" * 700))
    saved = ours.docker("save", "busybox", text=False).stdout
    for missing in (0, 1):
        part = archive[:last_content_end(archive) - missing]
        image = saved[:last_content_end(saved) - missing]
        answers = [(put(one, "/data", part) == 200, one.docker("import", "-", input=part, text=False, check=False).returncode == 0,
                    one.docker("load", input=image, text=False, check=False).returncode == 0) for one in pair]
        assert answers[0] == answers[1] == (missing == 0,) * 3
    assert "unclosed/file" in members(ours, "/data/unclosed")[1]


def test_hostile_archives_stay_inside(pair, tmp_path):
    """Nothing of an archive, whatever its names and links, is written outside the container."""
    ours, _ = pair
    outside = ours.dir / "outside"
    outside.mkdir(exist_ok=True)
    up = "../" * 40
    for entries in [[(f"{up}{outside}/evil".replace("//", "/"), tarfile.REGTYPE, b"x")],
                    [("l", tarfile.SYMTYPE, f"{up}{outside}"), ("l/evil", tarfile.REGTYPE, b"x")],
                    [("l2", tarfile.SYMTYPE, str(outside)), ("l2/evil", tarfile.REGTYPE, b"x")],
                    [("hard", tarfile.LNKTYPE, f"{up}etc/hostname"), ]]:
        put(ours, "/data", images.tar_of(*entries))
    assert list(outside.iterdir()) == []
    assert put(ours, "/data", b"this is no archive" * 100) == 400
    assert put(ours, "/data", images.tar_of(("cut", tarfile.REGTYPE, b"x" * 5000))[:2000]) == 400
    # Reading follows links inside as well.
    ours.docker("start", "files", check=False)
    status, found = members(ours, "/data/up")
    assert status == 200 and found["up"][0] == tarfile.SYMTYPE


def test_diff_as_dockerd(pair):
    script = ("echo x >/new; mkdir /dir; echo y >/dir/in; rm -rf /bin/[; echo z >>/etc/passwd; rm -rf /var; mkdir /var; chmod 700 /tmp;"
              " ln -s a /link")
    found = []
    for one in pair:
        one.docker("run", "--network", "none", "--name", "differs", "busybox", "sh", "-c", script)
        found.append(sorted(one.docker("diff", "differs").stdout.splitlines()))
        one.docker("rm", "differs")
    assert found[0] == found[1]
    pair[0].docker("create", "--name", "same", "busybox")
    assert pair[0].docker("diff", "same").stdout == ""
    pair[0].docker("rm", "same")


def test_export_as_dockerd(pair):
    ours, theirs = pair
    listed = []
    for one in pair:
        body = one.docker("export", "files", text=False).stdout
        with tarfile.open(fileobj=io.BytesIO(body)) as tar:
            listed.append({m.name.rstrip("/"): (m.type, m.mode & 0o7777, m.uid, m.gid, m.linkname) for m in tar
                           if not m.name.startswith(("dev/", "data/"))})
    ours_only = {name for name in listed[0] if name not in listed[1]}
    theirs_only = {name for name in listed[1] if name not in listed[0]}
    # Docker's init layer has these; here they are mounted and not of the container's file system.
    assert theirs_only <= {".dockerenv", "etc/mtab"}, theirs_only
    assert not ours_only
    mount_points = ("proc", "sys", "dev", "etc", "etc/hosts", "etc/hostname", "etc/resolv.conf")
    assert all(listed[0][name] == listed[1][name] for name in listed[0] if name not in mount_points)


def test_cp_both_ways_with_the_stock_client(cluster, tmp_path):
    cluster.docker("run", "-d", "--name", "runs", "-v", f"{tmp_path}/volume:/vol", "--tmpfs", "/ram", "busybox", "sleep", "600")
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "one").write_text("1")
    for target in ("/vol", "/ram", "/root"):
        cluster.docker("cp", tmp_path / "tree", f"runs:{target}")
        assert cluster.docker("exec", "runs", "cat", f"{target}/tree/one").stdout == "1"
    assert (tmp_path / "volume" / "tree" / "one").read_text() == "1"
    cluster.docker("exec", "runs", "sh", "-c", "echo back >/ram/back")
    cluster.docker("cp", "runs:/ram/back", tmp_path / "back")
    assert (tmp_path / "back").read_text() == "back\n"
    cluster.docker("pause", "runs")
    cluster.docker("cp", "runs:/root/tree/.", tmp_path / "paused")
    cluster.docker("unpause", "runs")
    assert (tmp_path / "paused" / "one").read_text() == "1"
    missing = cluster.docker("cp", "runs:/nope", tmp_path, check=False)
    assert missing.returncode != 0 and "runs:/nope" in missing.stderr
    cluster.docker("stop", "-t", "0", "runs")
    cluster.docker("cp", tmp_path / "back", "runs:/vol/after")
    assert (tmp_path / "volume" / "after").read_text() == "back\n"
    cluster.docker("start", "runs")
    assert cluster.docker("exec", "runs", "cat", "/root/tree/one").stdout == "1"


def test_read_only_places_are_refused(cluster, tmp_path):
    (tmp_path / "f").write_text("x")
    cluster.docker("run", "-d", "--name", "ro", "--read-only", "-v", f"{tmp_path}:/host:ro", "busybox", "sleep", "600")
    for state in ("running", "stopped"):
        root = cluster.docker("cp", tmp_path / "f", "ro:/root/f", check=False)
        assert root.returncode != 0 and "container rootfs is marked read-only" in root.stderr, root.stderr
        volume = cluster.docker("cp", tmp_path / "f", "ro:/host/g", check=False)
        assert volume.returncode != 0 and "mounted volume is marked read-only" in volume.stderr, volume.stderr
        cluster.docker("stop", "-t", "0", "ro")
    assert not (tmp_path / "g").exists()


def test_copy_while_it_starts_and_nothing_stays_behind(cluster):
    """A copy into a stopped container and its start do not disturb each other."""
    cluster.docker("create", "--name", "race", "busybox", "sh", "-c", "cat /root/f; sleep 600")
    assert raw.request(cluster.socket, "PUT", "/containers/race/archive?path=/root",
                       images.tar_of(("f", tarfile.REGTYPE, b"first")))[0] == 200
    cluster.docker("start", "race")
    wait_until(lambda: cluster.docker("logs", "race").stdout == "first", "the copied file is read")
    cluster.docker("rm", "-f", "race")
    wait_until(cluster.is_clean, "nothing left")
    helpers = [p for p in os.listdir("/proc") if p.isdigit() and _command(p).startswith("slipway-archive")]
    assert helpers == []


def test_files_of_what_is_just_ending(cluster):
    """Between the end of its process and the record of that, the container still has its files."""
    cluster.docker("create", "--network", "none", "--name", "short", "busybox", "true")
    for _ in range(40):
        raw.request(cluster.socket, "POST", "/containers/short/start")
        for _ in range(2):
            assert raw.request(cluster.socket, "GET", "/containers/short/archive?path=/etc/passwd")[0] == 200


def _command(pid):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return file.read().decode(errors="replace")
    except OSError:
        return ""


def test_the_process_that_reads_archives_is_confined(cluster):
    """While an archive is being written: few capabilities, a filter, no descriptors but its own, the container's root."""
    import socket
    cluster.docker("run", "-d", "--network", "none", "--name", "conf", "busybox", "sleep", "600")
    client = socket.socket(socket.AF_UNIX)
    client.connect(str(cluster.socket))
    client.sendall(b"PUT /containers/conf/archive?path=/root HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n")
    try:
        pid = wait_until(lambda: [p for p in os.listdir("/proc") if p.isdigit() and
                                  _command(p).startswith("slipway-archive\0write")], "it runs")[0]
        status = dict(line.split(":\t", 1) for line in open(f"/proc/{pid}/status").read().splitlines() if ":\t" in line)
        assert status["Seccomp"] == "2" and status["NoNewPrivs"] == "1"
        # CHOWN, DAC_OVERRIDE, FOWNER, FSETID, MKNOD, SETFCAP
        assert int(status["CapEff"], 16) == int(status["CapBnd"], 16) == 1 | 2 | 8 | 16 | 1 << 27 | 1 << 31
        assert sorted(os.listdir(f"/proc/{pid}/fd")) == ["0", "1", "2"]
        assert all(os.readlink(f"/proc/{pid}/fd/{fd}").startswith("pipe:") for fd in (0, 1, 2))
        assert os.stat(f"/proc/{pid}/root").st_dev != os.stat("/").st_dev
        mounts = open(f"/proc/{pid}/mountinfo").read().splitlines()
        assert all("nosuid" in line and "nodev" in line for line in mounts)
        with pytest.raises(OSError):
            os.close(os.open(f"/proc/{pid}/exe", os.O_WRONLY))
    finally:
        client.close()
    wait_until(lambda: not os.path.exists(f"/proc/{pid}"), "it ends with its client")


def test_links_that_change_meanwhile_lead_nowhere(cluster):
    """A container that swaps a directory for a link to the host's files never sees them copied, in or out."""
    outside = cluster.dir / "secret"
    outside.mkdir()
    (outside / "file").write_text("of the host")
    cluster.docker("run", "-d", "--network", "none", "--name", "swaps", "busybox", "sh", "-c",
                   f"cd /root; while true; do mkdir d; echo inside >d/file; rm -rf d; ln -s {outside} d; rm d; done")
    archive = images.tar_of(("file", tarfile.REGTYPE, b"written"))
    for _ in range(60):
        for path in ("/root/d", "/root/d/", "/root/d/file"):
            try:
                _, _, body = raw.request(cluster.socket, "GET", f"/containers/swaps/archive?path={path}")
            except http.client.IncompleteRead as cut:
                body = cut.partial  # it vanished between its header and its content
            assert b"of the host" not in body
        raw.request(cluster.socket, "PUT", "/containers/swaps/archive?path=/root/d", archive)
    assert [(p.name, p.read_text()) for p in outside.iterdir()] == [("file", "of the host")]
