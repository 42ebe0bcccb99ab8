"""Volumes: Docker's answers beside a real dockerd's, what is in them, limits, and that nothing of them leaks or is lost."""

import io
import json
import os
import pathlib
import re
import subprocess
import tarfile
import time

import images
import pytest
import raw_http as raw
from cluster import wait_until


def api(one, method, path, body=None):
    data = None if body is None else json.dumps(body).encode()
    status, _, answer = raw.request(one.socket, method, path, data, {"Content-Type": "application/json"})
    return status, json.loads(answer) if answer.strip() else None


def volume(one, name):
    return json.loads(one.docker("volume", "inspect", name).stdout)[0]


def names(one, *options):
    return set(one.docker("volume", "ls", "-q", *options).stdout.split())


def image_with_data():
    """A busybox with files at /data that have owners, modes and a link."""
    out = io.BytesIO()
    with tarfile.open(fileobj=io.BytesIO(images.busybox_tar())) as old, tarfile.open(fileobj=out, mode="w") as new:
        for member in old.getmembers():
            new.addfile(member, old.extractfile(member) if member.isreg() else None)
        for name, kind, mode, uid in (("data", tarfile.DIRTYPE, 0o750, 7), ("data/file", tarfile.REGTYPE, 0o640, 8),
                                      ("data/link", tarfile.SYMTYPE, 0o777, 9)):
            info = tarfile.TarInfo(name)
            info.type, info.mode, info.uid, info.gid, info.linkname = kind, mode, uid, uid, "file"
            info.size = 4 if kind == tarfile.REGTYPE else 0
            new.addfile(info, io.BytesIO(b"text") if info.size else None)
    return out.getvalue()


@pytest.fixture(scope="module")
def peer(dockerd):
    dockerd.docker("import", "-", "busybox", input=images.busybox_tar(), text=False)
    dockerd.docker("import", "-", "withdata", input=image_with_data(), text=False)
    yield dockerd


@pytest.fixture
def ours(cluster):
    if not cluster.docker("images", "-q", "withdata").stdout:
        cluster.docker("import", "-", "withdata", input=image_with_data(), text=False)
    yield cluster
    clean(cluster)


@pytest.fixture
def both(ours, peer):
    # What other tests left counts in lists and prunes.
    clean(ours)
    clean(peer)
    yield ours, peer
    clean(peer)


def clean(one):
    ids = one.docker("ps", "-aq").stdout.split()
    if ids:
        one.docker("rm", "-f", *ids)
    left = one.docker("volume", "ls", "-q").stdout.split()
    if left:
        one.docker("volume", "rm", *left)


def plain(text):
    """Without what two engines cannot have in common."""
    text = re.sub(r"[0-9a-f]{64}", "ID", text)
    text = re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+(Z|[+-]\d\d:\d\d)", "TIME", text)
    return re.sub(r'"[^"]*/volumes/', '"VOLUMES/', text)


def test_answers_as_dockerd(both):
    steps = [
        ("POST", "/volumes/create", {"Name": "data", "Labels": {"a": "1"}}),
        ("POST", "/volumes/create", {"Name": "data"}),
        ("POST", "/volumes/create", {"Name": "other", "Driver": "local",
                                     "DriverOpts": {"type": "tmpfs", "device": "tmpfs", "o": "size=1m"}}),
        ("GET", "/volumes/data", None),
        ("GET", "/volumes/other", None),
        ("GET", "/volumes/missing", None),
        ("DELETE", "/volumes/missing", None),
        ("DELETE", "/volumes/missing?force=1", None),
        ("POST", "/volumes/create", {"Name": "x"}),
        ("POST", "/volumes/create", {"Name": "a/b"}),
        ("POST", "/volumes/create", {"Name": "../up"}),
        ("POST", "/volumes/create", {"Name": "bad", "DriverOpts": {"foo": "1"}}),
        ("POST", "/volumes/create", {"Name": "bad", "DriverOpts": {"type": "tmpfs"}}),
        ("GET", "/volumes/bad", None),
        ("GET", '/volumes?filters={"name":["dat"]}', None),
        ("GET", '/volumes?filters={"label":["a=1"]}', None),
        ("GET", '/volumes?filters={"label":["a=2"]}', None),
        ("GET", '/volumes?filters={"dangling":["true"],"name":["data"]}', None),
        ("GET", '/volumes?filters={"dangling":["maybe"]}', None),
        ("GET", '/volumes?filters={"driver":["nosuch"]}', None),
        ("GET", '/volumes?filters={"nosuch":["1"]}', None),
        ("POST", "/containers/create?name=holder", {"Image": "busybox", "Cmd": ["true"],
                                                    "HostConfig": {"Binds": ["data:/d", "made:/m:ro"]}}),
        ("DELETE", "/volumes/data", None),
        ("GET", '/volumes?filters={"dangling":["false"],"name":["data"]}', None),
        ("DELETE", "/containers/holder?v=1", None),
        ("GET", "/volumes/made", None),
        ("DELETE", "/volumes/made", None),
        ("POST", '/v1.41/volumes/prune?filters={"label":["a"]}', None),
        ("POST", '/v1.41/volumes/prune', None),
        ("POST", '/v1.41/volumes/prune?filters={"nosuch":["a"]}', None),
    ]
    differences = []
    for method, path, body in steps:
        answers = [api(one, method, "/v1.41" + path if not path.startswith("/v1") else path, body) for one in both]
        mine, theirs = [(status, json.loads(plain(json.dumps(answer)))) for status, answer in answers]
        if path == "/volumes" or path.startswith("/volumes?"):
            for answer in (mine, theirs):
                (answer[1] or {}).pop("Warnings", None)
        if normal(mine) != normal(theirs):
            differences.append((method, path, body, mine, theirs))
    assert not differences, "\n".join(map(str, differences))


def normal(answer):
    status, body = answer
    if isinstance(body, dict):
        for member in ("Labels", "Options"):
            if not body.get(member, True):
                body[member] = None
        for one in body.get("Volumes") or []:
            normal((200, one))
        if "Volumes" in body:
            body["Volumes"] = body["Volumes"] or []
        if "message" in body:
            body["message"] = body["message"].lower()
        if "VolumesDeleted" in body:
            body["VolumesDeleted"] = sorted(body["VolumesDeleted"] or [])
    return status, body


def test_a_driver_that_is_not_there(ours):
    """dockerd says the same after it has looked for a plugin for 15 seconds."""
    unknown = 'error looking up volume plugin nosuch: plugin "nosuch" not found'
    status, answer = api(ours, "POST", "/volumes/create", {"Name": "bad", "Driver": "nosuch"})
    assert (status, answer["message"]) == (404, f"create bad: {unknown}")
    mounts = [{"Type": "volume", "Source": "bad", "Target": "/t", "VolumeOptions": {"DriverConfig": {"Name": "nosuch"}}}]
    status, answer = api(ours, "POST", "/containers/create",
                         {"Image": "busybox", "Cmd": ["true"], "HostConfig": {"Mounts": mounts}})
    assert status == 400 and unknown in answer["message"]
    assert api(ours, "GET", "/volumes/bad")[0] == 404


def seen(one, name, script, *options, image="busybox"):
    return one.docker("run", "--rm", "--network", "none", "--name", name, *options, image, "sh", "-c", script).stdout


def test_content_of_the_image_is_copied_once(both):
    show = "ls -ln /data | sed 's/  */ /g' | cut -d' ' -f1-5,9-; stat -c '%a %u' /data"
    answers = []
    for one in both:
        answers.append([
            seen(one, "one", show, "-v", "fresh:/data", image="withdata"),
            seen(one, "two", f"rm /data/file; {show}", "-v", "fresh:/data", image="withdata"),
            seen(one, "three", show, "-v", "fresh:/data", image="withdata"),
            seen(one, "four", "ls -A /data | wc -l", "-v", "empty:/data:nocopy", image="withdata"),
            seen(one, "five", "ls -A /elsewhere | wc -l", "-v", "fresh2:/elsewhere", image="withdata"),
            seen(one, "six", show, "--mount", "type=volume,target=/data", image="withdata"),
        ])
    assert answers[0] == answers[1]


def test_anonymous_volumes_go_with_their_container_and_named_ones_never(both):
    answers = []
    for one in both:
        before = names(one)
        one.docker("run", "--rm", "-v", "/a", "-v", "named:/n", "busybox", "true")
        counts = [len(names(one) - before)]
        one.docker("create", "--name", "kept", "-v", "/a", "busybox", "true")
        one.docker("create", "--name", "heir", "--volumes-from", "kept", "busybox", "true")
        counts.append(len(names(one) - before))
        one.docker("rm", "-v", "kept")
        counts.append(len(names(one) - before))
        one.docker("rm", "-v", "heir")
        counts.append(len(names(one) - before))
        one.docker("create", "--name", "plain", "-v", "/a", "busybox", "true")
        one.docker("rm", "plain")
        counts.append(len(names(one, "-f", "dangling=true") - before))
        answers.append(counts)
    assert answers[0] == answers[1] == [1, 2, 2, 1, 2]


def test_events_as_dockerd(both):
    answers = []
    for one in both:
        since = time.time()
        one.docker("volume", "create", "told")
        one.docker("run", "--rm", "--network", "none", "--name", "teller", "-v", "told:/t:ro", "busybox", "true")
        one.docker("volume", "rm", "told")
        wait_until(lambda: "destroy" in one.docker("events", "--since", since, "--until", time.time(), "--filter", "volume=told",
                                                   "--format", "{{.Action}}").stdout, "the volume's last event")
        events = one.docker("events", "--since", since, "--until", time.time() + 0.01, "--format", "{{json .}}").stdout
        events = [json.loads(plain(line)) for line in events.splitlines()]
        told = [(e["Type"], e["Action"], e["Actor"]["ID"], sorted(e["Actor"]["Attributes"].items()))
                for e in events if e["Type"] == "volume"]
        # dockerd tells of the creation again when a container names the volume.
        answers.append([one for at, one in enumerate(told) if one not in told[:at]])
    assert answers[0] == answers[1]


def test_a_subpath_stays_in_its_volume(ours):
    ours.docker("run", "--rm", "-v", "tree:/t", "busybox", "sh", "-c", "mkdir -p /t/a/b; echo in >/t/a/b/f; ln -s /etc /t/out")
    body = {"Image": "busybox", "Cmd": ["cat", "/s/f"], "HostConfig": {"Mounts": [
        {"Type": "volume", "Source": "tree", "Target": "/s", "VolumeOptions": {"Subpath": "a/b"}}]}}
    status, made = api(ours, "POST", "/containers/create?name=sub", body)
    assert status == 201
    assert ours.docker("start", "-a", "sub").stdout == "in\n"
    for bad in ("../up", "/a"):
        body["HostConfig"]["Mounts"][0]["VolumeOptions"]["Subpath"] = bad
        assert api(ours, "POST", "/containers/create", body)[0] == 400
    body["HostConfig"]["Mounts"][0]["VolumeOptions"]["Subpath"] = "out"
    status, made = api(ours, "POST", "/containers/create?name=out", body)
    status, answer = api(ours, "POST", "/containers/out/start")
    assert status >= 400


def test_mount_options_of_the_local_driver(ours, tmp_path):
    ours.docker("volume", "create", "-o", "type=tmpfs", "-o", "device=tmpfs", "-o", "o=size=1m,mode=1711", "memory")
    ours.docker("run", "-d", "--name", "first", "-v", "memory:/m", "busybox", "sh", "-c", "echo shared >/m/f; exec sleep 300")
    wait_until(lambda: seen(ours, "second", "cat /m/f; stat -c %a /m", "-v", "memory:/m") == "shared\n1711\n", "the other's file")
    assert ours.docker("run", "--rm", "-v", "memory:/m", "busybox", "dd", "if=/dev/zero", "of=/m/x", "bs=2M", "count=1",
                       check=False).returncode != 0
    where = volume(ours, "memory")["Mountpoint"]
    assert os.path.ismount(where)
    ours.docker("rm", "-f", "first")
    wait_until(lambda: not os.path.ismount(where), "the last user unmounts it")
    (tmp_path / "f").write_text("of the host\n")
    ours.docker("volume", "create", "-o", "type=none", "-o", f"device={tmp_path}", "-o", "o=bind,ro", "bound")
    assert seen(ours, "third", "cat /b/f; echo x >/b/f || echo refused", "-v", "bound:/b") == "of the host\nrefused\n"
    ours.docker("volume", "rm", "bound")
    assert (tmp_path / "f").exists()
    ours.docker("volume", "create", "-o", "type=none", "-o", "device=/no/such", "-o", "o=bind", "broken")
    failed = ours.docker("run", "--rm", "-v", "broken:/b", "busybox", "true", check=False)
    assert failed.returncode == 125 and "failed to mount local volume: mount /no/such:" in failed.stderr
    ours.docker("volume", "rm", "broken")


def test_mount_options_given_with_the_container(ours):
    one = seen(ours, "inline", "df -m /m | tail -1 | awk '{print $2}'", "--mount",
               "type=volume,source=inline,target=/m,volume-opt=type=tmpfs,volume-opt=device=tmpfs,volume-opt=o=size=2m,"
               "volume-label=made=inline")
    assert one == "2\n"
    made = volume(ours, "inline")
    assert made["Labels"] == {"made": "inline"} and made["Options"]["type"] == "tmpfs"


def test_a_size_is_a_limit_and_the_files_stay(ours):
    ours.docker("volume", "create", "-o", "size=16m", "small")
    fill = "dd if=/dev/zero of=/s/f bs=1M count=%d 2>/dev/null && echo fits || echo full"
    assert seen(ours, "fits", fill % 8, "-v", "small:/s") == "fits\n"
    assert seen(ours, "full", fill % 20 + "; ls -A /s", "-v", "small:/s") == "full\nf\n"
    assert seen(ours, "kept", "echo kept >/s/f; cat /s/f", "-v", "small:/s") == "kept\n"
    ours.docker("create", "--name", "copier", "-v", "small:/s", "busybox")
    assert ours.docker("cp", "copier:/s/f", "-", text=False).stdout.count(b"kept") == 1
    for bad in ("1k", "lots"):
        refused = ours.docker("volume", "create", "-o", f"size={bad}", "refused", check=False)
        assert refused.returncode == 1 and "invalid size" in refused.stderr
    where = volume(ours, "small")["Mountpoint"]
    wait_until(lambda: not os.path.ismount(where), "nobody has it mounted")
    ours.docker("rm", "copier")
    ours.docker("volume", "rm", "small")
    backing = subprocess.run(["losetup", "-l", "-O", "BACK-FILE"], capture_output=True, text=True).stdout
    assert str(ours.dir) not in "".join(line for line in backing.splitlines() if "/volumes/" in line)


def test_disk_usage(ours):
    ours.docker("run", "--name", "writer", "-v", "used:/u", "busybox", "sh", "-c", "dd if=/dev/zero of=/u/f bs=1000 count=5")
    ours.docker("volume", "create", "unused")
    rows = {row["Name"]: row["UsageData"] for row in api(ours, "GET", "/system/df")[1]["Volumes"]}
    assert rows["used"] == {"RefCount": 1, "Size": 5000}
    assert rows["unused"] == {"RefCount": 0, "Size": 0}
    assert "Local Volumes" in ours.docker("system", "df").stdout


def test_prune_by_version(ours):
    ours.docker("volume", "create", "named")
    anonymous = ours.docker("volume", "create").stdout.strip()
    assert api(ours, "POST", "/v1.42/volumes/prune")[1]["VolumesDeleted"] == [anonymous]
    assert api(ours, "POST", '/v1.42/volumes/prune?filters={"all":["true"]}')[1]["VolumesDeleted"] == ["named"]


def test_native_client(ours):
    assert ours.slipway("volume", "create", "--label", "a=b", "-o", "size=8m", "mine").stdout == "mine\n"
    ours.slipway("run", "--rm", "-v", "mine:/m", "busybox", "sh", "-c", "echo x >/m/f")
    assert "mine" in ours.slipway("volume", "ls", "-s").stdout
    shown = ours.slipway("volume", "inspect", "mine").stdout
    assert "label: a=b" in shown and "option: size=8m" in shown
    ours.docker("create", "--name", "user", "-v", "mine:/m", "busybox")
    refused = ours.slipway("volume", "rm", "mine", check=False)
    assert refused.returncode == 1 and "volume is in use" in refused.stderr
    ours.docker("rm", "user")
    assert ours.slipway("volume", "rm", "mine").stdout == "mine\n"
    ours.slipway("volume", "create", "--label", "b", "plain")
    assert ours.slipway("volume", "prune", "-a", "--label", "b").stdout == "plain\n"
    assert "no such volume" in ours.slipway("volume", "inspect", "mine", check=False).stderr


def test_killed_services_lose_and_leak_nothing(own_cluster):
    """Container service and agent are killed again and again while volumes come and go."""
    one = own_cluster
    one.docker("volume", "create", "--label", "k=v", "kept")
    one.docker("run", "--rm", "-v", "kept:/k", "busybox", "sh", "-c", "echo kept >/k/f")
    made, removed = {"kept"}, set()
    for round in range(6):
        victims = [("container",), ("agent",), ("container", "agent")][round % 3]
        worker = subprocess.Popen(
            ["sh", "-c", f"for i in 1 2 3 4 5 6 7 8; do docker volume create v{round}-$i && echo made v{round}-$i;"
             f"docker run --rm -v /anonymous -v v{round}-$i:/v busybox true;"
             f"docker volume rm v{round}-$i && echo removed v{round}-$i; done"],
            env=one.env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        time.sleep(0.15 + 0.1 * round)
        one.kill(*victims)
        one.up()
        for line in worker.communicate(timeout=60)[0].split("\n"):
            word, _, name = line.partition(" ")
            if word == "made":
                made.add(name)
            elif word == "removed":
                removed.add(name)
    ids = one.docker("ps", "-aq").stdout.split()
    if ids:
        one.docker("rm", "-fv", *ids)
    left = names(one)
    assert made - removed <= left
    assert not removed & left
    anonymous = [name for name in left if re.fullmatch("[0-9a-f]{64}", name)]
    assert anonymous == []
    on_disk = {path.name for path in pathlib.Path(one.dir, "root/agent/volumes").iterdir() if path.name != ".removed"}
    assert on_disk == left
    assert volume(one, "kept")["Labels"] == {"k": "v"}
    assert one.docker("run", "--rm", "-v", "kept:/k", "busybox", "cat", "/k/f").stdout == "kept\n"
    if left:
        one.docker("volume", "rm", *left)
    wait_until(lambda: not list(pathlib.Path(one.dir, "root/agent/volumes/.removed").iterdir()), "the files are gone")
