"""The stock client's image verbs, and answers field by field beside a real dockerd's."""

import crypt
import io
import json
import subprocess
import tarfile
import urllib.parse

import images
import pytest
import raw_http as raw
from peers import Registry


def own_tar(name="twin"):
    """A busybox root that shares its layer with no other image."""
    content = io.BytesIO(images.busybox_tar())
    with tarfile.open(fileobj=content, mode="a") as tar:
        tar.addfile(tarfile.TarInfo(name))
    return content.getvalue()


@pytest.fixture
def both(cluster, dockerd):
    """The same image, `twin:1`, on both sides; what a test makes is removed after it."""
    tar = own_tar()
    peers = (cluster, dockerd)
    before = {}
    for peer in peers:
        before[peer] = set(peer.docker("images", "-aq", "--no-trunc").stdout.split())
        peer.docker("import", "--change", 'CMD ["sh"]', "--change", "LABEL a=b", "--message", "made here", "-", "twin:1",
                    input=tar, text=False)
    yield peers
    for peer in peers:
        left = set(peer.docker("images", "-aq", "--no-trunc").stdout.split()) - before[peer]
        for _ in range(3):
            for image in left:
                peer.docker("rmi", "-f", image, check=False)


def errors(peers, *arguments):
    """What each says when a command fails, without what differs by nature."""
    said = []
    for peer in peers:
        run = peer.docker(*arguments, check=False)
        assert run.returncode != 0, (peer, run.stdout)
        said.append(run.stderr.strip())
    return said


def api(peer, path, method="GET", body=None):
    command = ["curl", "-s", "--unix-socket", peer.socket, "-X", method, "-w", "\n%{http_code}",
               f"http://d/v1.41{path}"]
    if body is not None:
        command += ["-H", "Content-Type: application/json", "-d", json.dumps(body)]
    text, _, code = subprocess.run(command, capture_output=True, text=True, check=True).stdout.rpartition("\n")
    return int(code), json.loads(text) if text.strip() else None


def test_inspect_has_dockers_fields(both):
    ours, theirs = (json.loads(peer.docker("inspect", "twin:1").stdout)[0] for peer in both)
    assert set(theirs) - set(ours) == set()
    for field in ("RepoTags", "RepoDigests", "Parent", "Comment", "Author", "Architecture", "Os", "RootFS"):
        assert ours[field] == theirs[field], field
    for field in set(theirs["Config"]):
        assert ours["Config"][field] == theirs["Config"][field], field
    ours, theirs = (json.loads(peer.docker("image", "ls", "--format", "{{json .}}", "twin").stdout) for peer in both)
    assert {key: ours[key] for key in ("Repository", "Tag", "Digest")} == \
        {key: theirs[key] for key in ("Repository", "Tag", "Digest")}


def test_history(both):
    ours, theirs = (api(peer, "/images/twin:1/history")[1] for peer in both)
    assert len(ours) == len(theirs) == 1
    for field in ("Comment", "CreatedBy", "Tags"):
        assert ours[0][field] == theirs[0][field], field


@pytest.mark.parametrize("arguments", [
    ["rmi", "nosuch:1"], ["rmi", "sha256:" + "0" * 64], ["inspect", "--type=image", "nosuch"], ["tag", "nosuch", "a"],
    ["tag", "twin:1", "UPPER"], ["save", "nosuch:1"], ["history", "nosuch"], ["push", "nosuch:1"],
    ["push", "127.0.0.1:1/nosuch:1"], ["images", "--filter", "nosuch=1"], ["image", "prune", "-f", "--filter", "no=1"],
    ["images", "--filter", "before=nosuch"], ["images", "--filter", "dangling=maybe"]], ids=" ".join)
def test_failures_in_dockers_words(both, arguments):
    ours, theirs = errors(both, *arguments)
    assert ours == theirs.replace("Invalid filter", "invalid filter")  # as newer dockerds write it


def test_an_image_of_another_platform(both):
    """A create does not take it, and says so in the way by which clients pull the other one."""
    seen = []
    for one in both:
        answers = []
        for platform in ("linux/arm64", "linux/amd64", "linux/386", "windows/amd64"):
            status, _, answer = raw.request(one.socket, "POST", f"/containers/create?platform={platform}",
                                            json.dumps({"Image": "twin:1", "Cmd": ["true"]}), {"Content-Type": "application/json"})
            answer = json.loads(answer)
            if status == 201:
                one.docker("rm", answer["Id"])
            answers.append((status, answer.get("message")))
        seen.append(answers)
    assert seen[0] == seen[1]
    arm, amd = ('{"os":"linux","architecture":"arm64"}', '{"os":"linux","architecture":"amd64"}')
    for path in ("/images/twin:1/json", "/images/twin:1/history", "/images/twin:1/get"):
        assert raw.request(both[0].socket, "GET", f"{path}?platform={urllib.parse.quote(arm)}")[0] == 404, path
        assert raw.request(both[0].socket, "GET", f"{path}?platform={urllib.parse.quote(amd)}")[0] == 200, path


def test_filters(both):
    for peer in both:
        peer.docker("tag", "twin:1", "twin:2")
        peer.docker("tag", "twin:1", "other/twin:1")
        peer.docker("import", "--change", "LABEL late=1", "-", "late:1", input=images.busybox_tar(), text=False)
        peer.docker("import", "--change", "LABEL nameless=1", "-", input=images.busybox_tar(), text=False)
    for wanted in (["label=a"], ["label=a=b"], ["label=a=c"], ["reference=twin"], ["reference=*/twin"],
                   ["reference=t*:2"], ["before=late:1", "label=a"], ["since=twin:1", "label=late"],
                   ["dangling=true", "label=nameless"], ["dangling=false", "label=nameless"], ["label=a", "label=late"]):
        arguments = [part for one in wanted for part in ("--filter", one)]
        ours, theirs = (sorted(peer.docker("images", "--format", "{{.Repository}}:{{.Tag}}", *arguments)
                               .stdout.split()) for peer in both)
        assert ours == theirs, wanted


def test_removal_in_dockers_words(both):
    seen = []
    for peer in both:
        peer.docker("tag", "twin:1", "twin:2")
        peer.docker("tag", "twin:1", "else:1")
        identity = peer.docker("inspect", "-f", "{{.Id}}", "twin:1").stdout.strip()
        said = [peer.docker("rmi", identity[7:19], check=False).stderr.replace(identity[7:19], "ID"),
                peer.docker("rmi", "twin:2").stdout, peer.docker("rmi", "else:1").stdout]
        last = peer.docker("rmi", "twin:1").stdout.replace(identity, "ID").splitlines()
        seen.append([*said, [line.split(":")[0] for line in last], "ID" in last[1]])
    assert seen[0] == seen[1]


def test_push_and_back(cluster, dockerd, registry, both):
    name = f"{registry.address}/pushed/twin:1"
    cluster.docker("tag", "twin:1", name)
    said = cluster.docker("push", name).stdout
    assert said.startswith(f"The push refers to repository [{registry.address}/pushed/twin]")
    assert ": Pushed" in said and "1: digest: sha256:" in said and " size: " in said
    assert "Layer already exists" in cluster.docker("push", name).stdout
    identity = cluster.docker("inspect", "-f", "{{.Id}}", name).stdout
    dockerd.docker("pull", name)
    assert dockerd.docker("inspect", "-f", "{{.Id}}", name).stdout == identity
    # By digest, which both sides agree on.
    digests = [json.loads(peer.docker("inspect", "-f", "{{json .RepoDigests}}", name).stdout)
               for peer in (cluster, dockerd)]
    assert digests[0] == digests[1]
    cluster.docker("pull", digests[0][0])
    for tag in ("2", "3"):
        cluster.docker("tag", name, f"{registry.address}/pushed/twin:{tag}")
    cluster.docker("push", "--all-tags", f"{registry.address}/pushed/twin")
    for tag in ("1", "2", "3"):
        cluster.docker("rmi", f"{registry.address}/pushed/twin:{tag}")
    pulled = cluster.docker("pull", "--all-tags", f"{registry.address}/pushed/twin").stdout
    assert pulled.count("Digest: ") == 3
    ours, theirs = (api(peer, f"/distribution/{name}/json") for peer in (cluster, dockerd))
    assert (ours[0], ours[1]["Descriptor"]) == (theirs[0], theirs[1]["Descriptor"])
    assert ours[1]["Platforms"] == [{"architecture": "amd64", "os": "linux"}]


def test_layers_that_are_in_an_image_twice(cluster, dockerd, registry, tmp_path):
    """As in images of old, whose steps without files all have the same empty layer."""
    def tar(*entries):
        return images.tar_of(*[(name, tarfile.DIRTYPE if text is None else tarfile.REGTYPE, (text or "").encode())
                               for name, text in entries])

    empty = tar()
    first = tar(("d/", None), ("d/a", "of the first"), ("d/b", "of the first"), ("e", "of the first"))
    between = tar(("d/.wh..wh..opq", ""), ("d/", None), ("d/c", "between"), (".wh.e", ""), ("f/", None), ("f/g", "between"))
    layout = images.OciLayout(tmp_path / "oci")
    for layer in (images.busybox_tar(), empty, first, empty, between, first, empty, empty):
        layout.add_layer(layer)
    name = registry.push(layout.finish(Cmd=["sh"]), "repeated:1")
    look = "for f in $(find /d /e /f | sort); do echo $f; [ -d $f ] || cat $f; done"
    seen = []
    for peer in (cluster, dockerd):
        peer.docker("pull", name)
        seen.append(peer.docker("run", "--rm", "--network", "none", name, "sh", "-c", look).stdout)
    assert seen[0] == seen[1] and "/d/c" in seen[0] and "/e" in seen[0]
    # Out and back, and more of it on top.
    saved = cluster.docker("save", name, text=False).stdout
    cluster.docker("rmi", name)
    cluster.docker("load", input=saved, text=False)
    dockerfile = f"FROM {name}\n" + "RUN touch -d @0 /h / && true\n" * 3 + "RUN rm -r /d\n" + "RUN touch -d @0 /h / && true\n"
    cluster.docker("build", "-t", "repeated:2", "--network", "none", "--no-cache", "-", input=dockerfile)
    assert cluster.docker("run", "--rm", "--network", "none", "repeated:2", "ls", "/h", "/f").stdout == "/h\n\n/f:\ng\n"
    cluster.docker("rmi", "repeated:2", name)
    dockerd.docker("rmi", name)


def test_native_push_and_save(cluster, registry, tmp_path):
    name = f"{registry.address}/native:1"
    cluster.docker("tag", "busybox", name)
    slipway = lambda *arguments: subprocess.run([cluster.dir / "bin" / "slipway", *arguments], env=cluster.env,  # noqa
                                                capture_output=True, text=True)
    pushed = slipway("push", name)
    assert pushed.returncode == 0 and "1: digest: sha256:" in pushed.stdout
    assert slipway("save", "-o", tmp_path / "a.tar", name).returncode == 0
    assert "Loaded image: " + name in cluster.docker("load", "-i", tmp_path / "a.tar").stdout
    failed = slipway("save", "-o", tmp_path / "b.tar", "nosuch")
    assert failed.returncode == 1 and "No such image" in failed.stderr and not (tmp_path / "b.tar").exists()
    cluster.docker("rmi", name)


def test_save_and_load_beside_dockerd(cluster, dockerd, both, tmp_path):
    ids = [peer.docker("inspect", "-f", "{{.Id}}", "twin:1").stdout for peer in both]
    for i, (source, target) in enumerate(((cluster, dockerd), (dockerd, cluster))):
        archive = tmp_path / f"{i}.tar"
        source.docker("tag", "twin:1", "moved:1")
        source.docker("save", "-o", archive, "moved:1")
        assert target.docker("load", "-i", archive).stdout.strip().endswith("Loaded image: moved:1")
        assert target.docker("inspect", "-f", "{{.Id}}", "moved:1").stdout == ids[i]
        assert target.docker("run", "--rm", "--network", "none", "moved:1", "echo", "ok").stdout == "ok\n"
        for peer in (source, target):
            peer.docker("rmi", "moved:1")


def test_prune_and_usage(cluster, both):
    for peer in both:
        peer.docker("import", "--change", "LABEL nameless=1", "-", input=own_tar("nameless"), text=False)
    ours, theirs = (api(peer, "/system/df")[1] for peer in both)
    assert set(theirs) - {"BuilderSize"} <= set(ours)
    twins = [next(image for image in usage["Images"] if image["RepoTags"] == ["twin:1"]) for usage in (ours, theirs)]
    for field in ("Containers", "Size", "SharedSize", "RepoTags", "Labels"):
        assert twins[0][field] == twins[1][field], field
    assert "Images" in cluster.docker("system", "df").stdout
    path = "/images/prune?filters=" + urllib.parse.quote('{"label":["nameless"]}')
    ours, theirs = (api(peer, path, "POST")[1] for peer in both)
    assert [sorted(item) for item in ours["ImagesDeleted"]] == [sorted(item) for item in theirs["ImagesDeleted"]]
    assert ours["SpaceReclaimed"] == theirs["SpaceReclaimed"]
    ours, theirs = (api(peer, path, "POST") for peer in both)
    assert ours == theirs


@pytest.fixture
def guarded(tmp_path):
    (tmp_path / "htpasswd").write_text("me:" + crypt.crypt("secret", crypt.METHOD_BLOWFISH) + "\n")
    registry = Registry(auth={"htpasswd": {"realm": "test", "path": str(tmp_path / "htpasswd")}})
    yield registry
    registry.close()


def test_login(cluster, dockerd, both, guarded):
    name = f"{guarded.address}/private:1"
    for peer in both:
        peer.docker("tag", "twin:1", name)
    ours, theirs = errors(both, "login", "-u", "me", "-p", "wrong", guarded.address)
    assert ours == theirs
    refused = cluster.docker("push", name, check=False)
    assert refused.returncode != 0 and "unauthorized" in refused.stdout + refused.stderr
    for peer in both:
        assert "Login Succeeded" in peer.docker("login", "-u", "me", "-p", "secret", guarded.address).stdout
    cluster.docker("push", name)
    dockerd.docker("rmi", name)
    dockerd.docker("pull", name)
    found = cluster.docker("search", f"{guarded.address}/priv").stdout
    assert f"{guarded.address}/private" in found
    for peer in both:
        peer.docker("logout", guarded.address)
