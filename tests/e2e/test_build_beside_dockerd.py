"""The results of `docker build` beside those of a real dockerd's classic builder: trees, configurations, histories and what
the client shows."""

import hashlib
import io
import json
import re
import subprocess
import tarfile

import pytest
from dockerfiles import DOCKERFILES
from test_build import build, history, inspect, peers, write_context  # noqa: F401 (a fixture)

# What a container's start leaves in every tree that is exported.
STUBS = re.compile(r"(\.dockerenv|dev|proc|sys|etc/(hosts|hostname|resolv\.conf|mtab))(/.*)?$")
CONFIG = ("Env", "Cmd", "Entrypoint", "WorkingDir", "User", "Labels", "ExposedPorts", "Volumes", "StopSignal", "Shell",
          "OnBuild", "Healthcheck")


def tree(peer, image):
    """Everything of an image's files but their times. Where a volume goes is made for a container here, when it starts by
    dockerd; each image has its volumes below one directory."""
    volumes = tuple(path.strip("/") for path in inspect(peer, image)["Config"]["Volumes"] or {})
    container = peer.docker("create", image, "x").stdout.strip()
    tar = subprocess.run(["/usr/bin/docker", "export", container], env=peer.env, check=True, capture_output=True).stdout
    peer.docker("rm", container)
    entries = {}
    with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
        for member in archive:
            name = member.name.rstrip("/")
            if name in ("", ".") or STUBS.match(name) or any(path == name or path.startswith(name + "/")
                                                             for path in volumes):
                continue
            content = hashlib.sha256(archive.extractfile(member).read()).hexdigest() if member.isreg() else ""
            entries[name] = (member.type.decode(), oct(member.mode & 0o7777), member.uid, member.gid, member.linkname, content)
    return entries


def messages(run):
    """What the client showed, without what differs from build to build, and without the containers that dockerd makes
    for every instruction and the steps that it makes of ARG before FROM."""
    # Where a piece of stderr begins and ends is a matter of chance.
    text = re.sub(r"\b[0-9a-f]{12}\b", "ID", re.sub(r"\x1b\[\d+m", "", run.stdout))
    text = re.sub(r"(?m)^Step \d+/\d+", "Step", text)
    return [line for line in text.splitlines()
            if not re.match(r"Sending build context| ---> |Removing intermediate|Step : ARG", line)]


@pytest.mark.parametrize("name", DOCKERFILES)
def test_is_as_dockerd_builds_it(peers, tmp_path, name):
    write_context(tmp_path, *DOCKERFILES[name])
    seen = []
    for peer in peers:
        run = build(peer, tmp_path, "--network", "none", "-t", f"{name}:it")
        seen.append((messages(run), inspect(peer, f"{name}:it"), history(peer, f"{name}:it"), tree(peer, f"{name}:it")))
        peer.docker("rmi", "-f", f"{name}:it")
    ours, theirs = ({"messages": said, "history": past, "layers": len(image["RootFS"]["Layers"]),
                     **{field: image["Config"].get(field) for field in CONFIG},
                     **{field: image[field] for field in ("Author", "Os", "Architecture")},
                     **{f"/{path}": entry for path, entry in files.items()}} for said, image, past, files in seen)
    different = {key: (ours.get(key), theirs.get(key)) for key in ours | theirs if ours.get(key) != theirs.get(key)}
    assert not different, json.dumps(different, indent=1)


def test_onbuild_triggers_run_in_the_child(peers, tmp_path):
    seen = []
    for peer in peers:
        write_context(tmp_path, "FROM base:1\nONBUILD COPY a /a\nONBUILD RUN cat /a > /b\n", {"a": "1"})
        build(peer, tmp_path, "-t", "parent:1")
        (tmp_path / "Dockerfile").write_text("FROM parent:1\nCMD x\n")
        run = build(peer, tmp_path, "--network", "none", "-t", "child:1")
        seen.append((messages(run), tree(peer, "child:1"), history(peer, "child:1"),
                     inspect(peer, "child:1")["Config"]["OnBuild"]))
        peer.docker("rmi", "-f", "child:1", "parent:1")
    assert seen[0] == seen[1]


def test_set_uid_and_its_like(peers, tmp_path):
    """Which of the bits stay when a file is copied, given to somebody else, or comes out of an archive or a stage."""
    modes = {"suid": 0o4755, "sgid": 0o2755, "both": 0o6711, "locking": 0o2644, "sticky": 0o1755, "suid-noexec": 0o4644}
    seen = []
    for peer in peers:
        write_context(tmp_path, """
FROM base:1 AS other
RUN mkdir /s && for m in 4755 2755 6711 2644 1755; do echo x > /s/$m; chmod $m /s/$m; done; chmod 3777 /s
FROM base:1
RUN echo u:x:5:6::/:/bin/sh >> /etc/passwd && echo u:x:6: >> /etc/group
COPY files /plain/
COPY --chown=0:0 files /root/
COPY --chown=u files /named/
COPY --chown=7:8 files/suid /one
ADD --chown=7:8 files /added/
ADD files.tar.gz /unpacked/
COPY --from=other /s /stage/
COPY --from=other --chown=7:8 /s /stage-owned/
""", {f"files/{name}": (name, mode) for name, mode in modes.items()} | {"files.tar.gz": {"member": "m"}})
        (tmp_path / "files" / "directory").mkdir(exist_ok=True)
        (tmp_path / "files" / "directory").chmod(0o3775)
        for name, mode in modes.items():
            (tmp_path / "files" / name).chmod(mode)
        build(peer, tmp_path, "--network", "none", "-t", "bits:1")
        seen.append({path: entry[1:4] for path, entry in tree(peer, "bits:1").items()
                     if path.split("/")[0] in ("plain", "root", "named", "one", "added", "unpacked", "stage", "stage-owned")})
        peer.docker("rmi", "-f", "bits:1")
    different = {key: (seen[0].get(key), seen[1].get(key)) for key in seen[0] | seen[1]
                 if seen[0].get(key) != seen[1].get(key)}
    assert len(seen[0]) > 40 and not different, json.dumps(different, indent=1)
