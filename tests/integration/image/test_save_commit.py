"""Archives that other tools read and that come back as they were; images made of a parent and a layer."""

import io
import json
import pathlib
import subprocess
import tarfile

import grpc
import pytest
from hostile_registry import make_layer
from image_client import ImageService, pb

import images
from peers import Dockerd

Code = grpc.StatusCode


def tar_of(**files):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return out.getvalue()


@pytest.fixture
def two(service, tmp_path):
    """An image of two layers from an OCI archive, tagged me/two:1 and me/two:2, and one imported."""
    layout = (images.OciLayout(tmp_path / "layout").add_layer(images.busybox_tar())
              .add_layer(tar_of(**{"etc/.wh.group": b"", "srv/f": b"x" * 5000}))
              .finish(Cmd=["sh"], Labels={"a": "b"}))
    subprocess.run(["skopeo", "copy", "-q", "--insecure-policy", layout, f"oci-archive:{tmp_path}/in.tar:me/two:1"],
                   check=True, capture_output=True)
    service.load(tmp_path / "in.tar")
    service.call("TagImage", pb.TagImageRequest(source="me/two:1", target="me/two:2"))
    service.import_tar(tar_of(only=b"this"), reference="single:1")
    return service.image("me/two:1")


def same(before, after):
    assert (before.id, before.manifest_digest) == (after.id, after.manifest_digest)
    assert [layer.blob_digest for layer in before.layers] == [layer.blob_digest for layer in after.layers]


def test_the_same_digests_come_back(service, two):
    archive = service.save("me/two", "single:1")
    other = ImageService()
    try:
        assert {one.reference for one in other.load(archive)} == {"me/two:1", "me/two:2", "single:1"}
        same(two, other.image("me/two:2"))
        same(service.image("single:1"), other.image("single:1"))
        assert other.save("me/two", "single:1") == archive
    finally:
        other.close()


def test_other_tools_take_it(service, two, tmp_path):
    (tmp_path / "out.tar").write_bytes(service.save("me/two:1"))
    for transport in ("docker-archive", "oci-archive"):
        raw = subprocess.run(["skopeo", "inspect", "--config", "--raw", f"{transport}:{tmp_path}/out.tar"], check=True,
                             capture_output=True).stdout
        assert json.loads(raw)["config"]["Labels"] == {"a": "b"}, transport
    (tmp_path / "layout").joinpath("x").mkdir()
    subprocess.run(["tar", "-C", tmp_path / "layout" / "x", "-xf", tmp_path / "out.tar"], check=True)
    tag = json.loads((tmp_path / "layout" / "x" / "index.json").read_text())["manifests"][0]["annotations"]
    assert tag == {"io.containerd.image.name": "docker.io/me/two:1", "org.opencontainers.image.ref.name": "1"}
    subprocess.run(["umoci", "unpack", "--image", f"{tmp_path}/layout/x:1", tmp_path / "bundle"], check=True,
                   capture_output=True)
    root = tmp_path / "bundle" / "rootfs"
    assert (root / "srv/f").read_bytes() == b"x" * 5000 and not (root / "etc/group").exists()


def test_dockerd_loads_it(service, two, tmp_path):
    (tmp_path / "out.tar").write_bytes(service.save("me/two", "single:1"))
    dockerd = Dockerd()
    try:
        loaded = dockerd.docker("load", "-i", tmp_path / "out.tar").stdout
        assert sorted(loaded.split()) == sorted("Loaded image: me/two:1 Loaded image: me/two:2 Loaded image: "
                                                "single:1".split())
        assert dockerd.docker("inspect", "-f", "{{.Id}}", "me/two:1").stdout.strip() == two.id
        assert dockerd.docker("run", "--rm", "--network", "none", "me/two:1", "wc", "-c",
                              "/srv/f").stdout.split()[0] == "5000"
    finally:
        dockerd.close()


def test_what_cannot_be_saved(service, two):
    for references, code in ((["nosuch"], Code.NOT_FOUND), (["me/two:1", "me/two:3"], Code.NOT_FOUND),
                             ([], Code.INVALID_ARGUMENT), (["UPPER"], Code.INVALID_ARGUMENT)):
        with pytest.raises(grpc.RpcError) as failure:
            service.save(*references)
        assert failure.value.code() == code, references
    by_id = service.save(two.id)
    with tarfile.open(fileobj=io.BytesIO(by_id)) as tar:
        manifest = json.load(tar.extractfile("manifest.json"))
    assert manifest[0]["RepoTags"] is None


def test_a_client_that_leaves_ends_its_save(service):
    service.import_tar(tar_of(big=b"0" * (32 << 20)), reference="big:1")
    call = service.stream("SaveImages", pb.SaveImagesRequest(references=["big:1"]))
    next(call)
    call.cancel()
    service.call("RemoveImage", pb.RemoveImageRequest(reference="big:1"))
    assert service.files()["blobs/sha256"] == []


def test_commit_adds_a_layer(service, two):
    config = pb.ImageConfig(command=["true"], env=["X=y"])
    identity = service.commit(tar_of(**{"new": b"file", "etc/.wh.passwd": b""}), parent="me/two:1",
                              reference="committed", config=config, author="me", message="why", created_by="sh",
                              container_id="c" * 64)
    image = service.image("committed:latest")
    assert image.id == identity and image.parent_id == two.id and image.author == "me" and image.comment == "why"
    assert [layer.diff_id for layer in image.layers[:2]] == [layer.diff_id for layer in two.layers]
    assert image.layers[2].media_type.endswith(".tar") and image.committed_container == "c" * 64
    last = image.history[-1]
    assert (last.created_by, last.author, last.comment, last.empty_layer) == ("sh", "me", "why", False)
    assert len(image.history) == len(two.history) + 1
    layer = service.call("GetLayer", pb.GetLayerRequest(diff_id=image.layers[2].diff_id))
    subprocess.run(["fsck.erofs", layer.local_path], check=True, capture_output=True)
    # Its tar is kept nowhere else, and yet comes out as it came in.
    assert image.layers[2].blob_digest == image.layers[2].diff_id
    assert image.layers[2].blob_digest[7:] not in service.files()["blobs/sha256"]
    archive = service.save("committed")
    other = ImageService()
    try:
        other.load(archive)
        same(image, other.image("committed"))
    finally:
        other.close()


def test_commit_of_nothing_adds_no_layer(service, two):
    for data in (b"", tar_of()):
        identity = service.commit(data, parent=two.id, config=two.config, message="only words")
        image = service.image(identity)
        assert len(image.layers) == 2 and image.history[-1].empty_layer
    assert len(service.files()["layers"]) == 3


def test_commit_of_bad_input_leaves_nothing(service, two):
    before = service.files()
    for options, data, code in (({"parent": "nosuch"}, tar_of(a=b""), Code.NOT_FOUND),
                                ({"reference": "UPPER"}, tar_of(a=b""), Code.INVALID_ARGUMENT),
                                ({"parent": two.id}, b"this is no tar" * 100, Code.INVALID_ARGUMENT),
                                ({"parent": two.id}, tar_of(a=b"x" * 9000)[:5000], Code.DATA_LOSS)):
        with pytest.raises(grpc.RpcError) as failure:
            service.commit(data, **options)
        assert failure.value.code() in (code, Code.DATA_LOSS), (options, failure.value)
    assert service.files() == before


def test_children_and_parents(service, two):
    child = service.commit(tar_of(one=b"1"), parent="single:1", config=two.config)
    grandchild = service.commit(tar_of(two=b"2"), parent=child, reference="top:1", config=two.config)
    single = service.image("single:1").id
    code, text = service.error("RemoveImage", pb.RemoveImageRequest(reference=single, force=True))
    assert code == Code.FAILED_PRECONDITION
    assert text == (f"conflict: unable to delete {single[7:19]} (cannot be forced) - "
                    "image has dependent child images")
    # The name goes, the image stays for its children; it is no longer shown.
    gone = service.call("RemoveImage", pb.RemoveImageRequest(reference="single:1"))
    assert list(gone.untagged) == ["single:1"] and not gone.deleted
    assert {image.id for image in service.images()} == {two.id, grandchild}
    assert {image.id for image in service.images(all=True)} == {two.id, grandchild, child, single}
    # With the last child the nameless ones below it go.
    gone = service.call("RemoveImage", pb.RemoveImageRequest(reference="top:1"))
    assert [name for name in gone.deleted if name in (grandchild, child, single)] == [grandchild, child, single]
    assert {image.id for image in service.images(all=True)} == {two.id}


def test_prune_and_usage(service, two):
    service.commit(tar_of(a=b"1"), parent="me/two:1", config=pb.ImageConfig(labels={"keep": "1"}))
    doomed = service.commit(tar_of(b=b"2" * 3000), parent="me/two:1", config=pb.ImageConfig())
    service.call("AcquireImage", pb.AcquireImageRequest(reference="single:1", owner="container"))
    usage = service.call("GetDiskUsage", pb.GetDiskUsageRequest())
    by_id = {image.id: image for image in usage.images}
    assert by_id[two.id].shared_size_bytes == two.size_bytes
    assert by_id[doomed].size_bytes - by_id[doomed].shared_size_bytes == by_id[doomed].layers[2].tar_size_bytes
    assert by_id[service.image("single:1").id].container_count == 1
    on_disk = sum(path.stat().st_size for kind in ("blobs/sha256", "layers") for path in (service.root / kind).iterdir())
    assert usage.blob_bytes + usage.layer_file_bytes == on_disk
    pruned = service.call("PruneImages", pb.PruneImagesRequest(not_labels=["keep"]))
    assert doomed in pruned.deleted and pruned.reclaimed_bytes == by_id[doomed].layers[2].tar_size_bytes
    pruned = service.call("PruneImages", pb.PruneImagesRequest(all=True, until_unix_ns=1))
    assert not pruned.deleted
    pruned = service.call("PruneImages", pb.PruneImagesRequest(all=True))
    assert [image.repo_tags[0] for image in service.images(all=True)] == ["single:1"]
    service.call("ReleaseImage", pb.ReleaseImageRequest(owner="container"))
    service.call("PruneImages", pb.PruneImagesRequest(all=True))
    assert service.files() == {"blobs/sha256": [], "layers": [], "partial": [], "tmp": []}
