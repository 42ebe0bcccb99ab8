"""Real archives and a real registry: what skopeo, dockerd and tar make is taken, and nothing else."""

import gzip
import hashlib
import io
import json
import pathlib
import subprocess
import tarfile
import threading

import grpc
import pytest
from image_client import ImageService, pb

import images
from peers import Dockerd, Registry

Code = grpc.StatusCode


@pytest.fixture(scope="module")
def registry():
    registry = Registry()
    yield registry
    registry.close()


@pytest.fixture(scope="module")
def layout(tmp_path_factory):
    """An OCI layout of two layers, as skopeo names it."""
    second = io.BytesIO()
    with tarfile.open(fileobj=second, mode="w") as tar:
        for name in ("etc/.wh.group", "srv/file"):
            tar.addfile(tarfile.TarInfo(name))
    return (images.OciLayout(tmp_path_factory.mktemp("layout") / "oci").add_layer(images.busybox_tar())
            .add_layer(second.getvalue()).finish(Cmd=["sh"], Env=["A=b"], Labels={"l": "v"}))


def skopeo(*arguments):
    subprocess.run(["skopeo", "copy", "-q", "--insecure-policy", "--src-tls-verify=false", "--dest-tls-verify=false",
                    *map(str, arguments)], check=True, capture_output=True, timeout=120)


def check_layers(service, image, mountable=True):
    """Each layer file is a file system that the reference checker accepts."""
    for layer in image.layers:
        answer = service.call("GetLayer", pb.GetLayerRequest(diff_id=layer.diff_id))
        assert answer.size_bytes == layer.erofs_size_bytes
        size = pathlib.Path(answer.local_path).stat().st_size
        # A split follows where there is no blob.
        has_blob = (service.root / "blobs" / "sha256" / layer.blob_digest[7:]).exists()
        assert size == answer.size_bytes if has_blob else size > answer.size_bytes
        subprocess.run(["fsck.erofs", answer.local_path], check=True, capture_output=True)


def test_pull_from_a_real_registry(service, registry, layout):
    name = registry.push(layout, "lib/two:1")
    done = service.pull(name)[-1].done
    image = service.image(name)
    assert image.id == done.image_id and image.repo_tags == [name]
    assert image.repo_digests == [f"{registry.address}/lib/two@{done.manifest_digest}"]
    assert list(image.config.command) == ["sh"] and dict(image.config.labels) == {"l": "v"}
    inspected = json.loads(subprocess.run(
        ["skopeo", "inspect", "--tls-verify=false", f"docker://{name}"], capture_output=True, check=True).stdout)
    assert inspected["Digest"] == done.manifest_digest
    assert inspected["Layers"] == [layer.blob_digest for layer in image.layers]
    check_layers(service, image)
    again = service.pull(name)
    assert again[-1].done.was_up_to_date
    assert [a.layer.phase for a in again if a.HasField("layer")] == [pb.PullLayerProgress.PHASE_ALREADY_EXISTS] * 2
    by_digest = service.pull(f"{registry.address}/lib/two@{done.manifest_digest}")[-1].done
    assert by_digest.image_id == done.image_id
    assert service.peak_rss_mb() < 60


@pytest.mark.parametrize("options", [["--format", "v2s2"], ["--dest-compress-format", "zstd"],
                                     ["--dest-decompress"]], ids=["docker", "zstd", "plain"])
def test_pull_of_every_layer_format(service, registry, layout, tmp_path, options):
    name = f"{registry.address}/formats:1"
    if "--dest-decompress" in options:
        skopeo("--dest-decompress", layout, f"dir:{tmp_path}/dir")
        skopeo(f"dir:{tmp_path}/dir", f"docker://{name}")
    else:
        skopeo(*options, layout, f"docker://{name}")
    service.pull(name)
    check_layers(service, service.image(name))


def test_docker_archive_of_skopeo(service, layout, tmp_path):
    skopeo(layout, f"docker-archive:{tmp_path}/a.tar:me/two:1")
    loaded = service.load(tmp_path / "a.tar")
    assert [one.reference for one in loaded] == ["me/two:1"]
    image = service.image("me/two:1")
    assert image.id == loaded[0].image_id and len(image.layers) == 2
    check_layers(service, image)
    # In pieces of any size, and compressed.
    service.load(tmp_path / "a.tar", piece=4099)
    service.load(gzip.compress((tmp_path / "a.tar").read_bytes(), 1))
    zstd = subprocess.run(["zstd", "-q", "-c", tmp_path / "a.tar"], capture_output=True)
    if zstd.returncode == 0:
        service.load(zstd.stdout)
    assert len(service.images()) == 1


def test_oci_archive(service, layout, tmp_path):
    skopeo(layout, f"oci-archive:{tmp_path}/a.tar:docker.io/me/two:2")
    loaded = service.load(tmp_path / "a.tar")
    image = service.image(loaded[0].image_id)
    assert len(image.layers) == 2 and loaded[0].reference == "me/two:2"
    index = json.loads(pathlib.Path(layout.split(":")[1], "index.json").read_text())
    assert image.manifest_digest == index["manifests"][0]["digest"]
    check_layers(service, image)


def test_docker_save_of_a_real_dockerd(service, tmp_path):
    dockerd = Dockerd()
    try:
        (tmp_path / "root.tar").write_bytes(images.busybox_tar())
        dockerd.docker("import", "--change", 'CMD ["sh"]', tmp_path / "root.tar", "first:1")
        (tmp_path / "context").mkdir()
        (tmp_path / "context" / "Dockerfile").write_text("FROM first:1\nCOPY f /a/f\nCOPY f /b/f\nENV X=y\n")
        (tmp_path / "context" / "f").write_text("content")
        dockerd.docker("build", "-q", "-t", "second:1", "-t", "me/second:2", tmp_path / "context")
        dockerd.docker("save", "-o", tmp_path / "saved.tar", "first:1", "second:1", "me/second:2")
        theirs = json.loads(dockerd.docker("inspect", "second:1").stdout)[0]
        history = dockerd.docker("history", "-q", "second:1").stdout
    finally:
        dockerd.close()
    loaded = service.load(tmp_path / "saved.tar")
    assert {one.reference for one in loaded} == {"first:1", "second:1", "me/second:2"}
    image = service.image("second:1")
    assert image.id == theirs["Id"]
    assert [layer.diff_id for layer in image.layers] == theirs["RootFS"]["Layers"]
    assert list(image.config.env) == theirs["Config"]["Env"] and list(image.config.command) == ["sh"]
    assert len(image.history) == len(history.splitlines())
    assert image.docker_version == theirs["DockerVersion"]
    check_layers(service, image)


def archive(members):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, content in members:
            info = tarfile.TarInfo(name)
            if isinstance(content, str):
                info.type, info.linkname = tarfile.SYMTYPE, content
                tar.addfile(info)
            else:
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    return out.getvalue()


def docker_archive(layers, diff_ids, **entry):
    config = json.dumps({"os": "linux", "rootfs": {"type": "layers", "diff_ids": diff_ids}}).encode()
    manifest = {"Config": "c.json", "RepoTags": ["made:1"], "Layers": [name for name, _ in layers], **entry}
    return [*layers, ("c.json", config), ("manifest.json", json.dumps([manifest]).encode())]


TAR = archive([("file", b"x")])


def load_error(service, data):
    with pytest.raises(grpc.RpcError) as raised:
        service.load(data)
    assert service.images() == []
    files = service.files()
    assert not any(files.values()), files
    return raised.value.code(), raised.value.details()


def test_links_between_layers(service):
    members = docker_archive([("a/layer.tar", TAR), ("b/layer.tar", "../a/layer.tar")], [images.sha256(TAR)] * 2)
    assert service.load(archive(members))[0].reference == "made:1"
    assert len(service.image("made:1").layers) == 2
    service.call("RemoveImage", pb.RemoveImageRequest(reference="made:1"))
    assert not any(service.files().values())


def test_a_manifest_with_digits_where_an_old_tar_has_its_checksum(service):
    """Of the names that dockerd gives, one in 64 has."""
    name = "01234567" * 70 + "/layer.tar"
    assert service.load(archive(docker_archive([(name, TAR)], [images.sha256(TAR)])))[0].reference == "made:1"
    old = io.BytesIO()
    with tarfile.open(fileobj=old, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        tar.addfile(tarfile.TarInfo("f"))
    # Before POSIX there was no magic.
    header = bytearray(old.getvalue())
    header[257:265] = bytes(8)
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header[:512])
    assert service.load(archive(docker_archive([("l.tar", bytes(header))], [images.sha256(bytes(header))], RepoTags=["old:1"])))
    assert len(service.image("old:1").layers) == 1


@pytest.mark.parametrize("data,code,words", [
    (b"", Code.INVALID_ARGUMENT, ""),
    (b"not an archive" * 1000, Code.INVALID_ARGUMENT, "archive"),
    (archive([("x", b"y")]), Code.INVALID_ARGUMENT, "manifest.json"),
    (archive([("manifest.json", b"{")]), Code.INVALID_ARGUMENT, "manifest.json"),
    (archive([("manifest.json", b"[]")]), Code.INVALID_ARGUMENT, "no images"),
    (archive(docker_archive([("l.tar", TAR)], ["sha256:" + "0" * 64])), Code.DATA_LOSS, "invalid diffID for layer 0"),
    (archive(docker_archive([("l.tar", TAR)], [])), Code.INVALID_ARGUMENT, "length mismatch"),
    (archive(docker_archive([("l.tar", TAR)], [images.sha256(TAR)], Layers=["gone.tar"])), Code.INVALID_ARGUMENT,
     "gone.tar is not in it"),
    (archive(docker_archive([("l.tar", TAR)], [images.sha256(TAR)], Config="../../etc/passwd")),
     Code.INVALID_ARGUMENT, "etc/passwd is not in it"),
    (archive(docker_archive([("l.tar", TAR)], [images.sha256(TAR)], RepoTags=["UPPER:1"])), Code.INVALID_ARGUMENT,
     "lowercase"),
    (archive([("a", "b"), ("b", "a"), *docker_archive([], [], Config="a")[1:]]), Code.INVALID_ARGUMENT,
     "is not in it"),
    (archive([("blobs/sha256/" + "0" * 64, TAR), ("index.json", b"{}")]), Code.DATA_LOSS, "verification failed"),
    (archive([("blobs/sha256/" + "0" * 64, b"{}"), ("index.json", b"{}")]), Code.DATA_LOSS, "digest is"),
    (archive(docker_archive([("l.tar", TAR)], [images.sha256(TAR)]))[:5000], Code.DATA_LOSS, ""),
    (archive([("l.tar", archive([("../escape", b"x")]))]), Code.INVALID_ARGUMENT, "escape"),
], ids=range(15))
def test_bad_archives(service, data, code, words):
    actual, details = load_error(service, data)
    assert actual in ((code, Code.INVALID_ARGUMENT) if not words else (code,)) and words in details, details


def test_a_client_that_goes_away_while_loading(service):
    stop = threading.Event()

    def requests():
        yield pb.LoadImageRequest(data=archive([("l.tar", TAR)])[:2000])
        stop.wait(10)
    stream = service.channel.stream_stream(
        "/slipway.image.v1.ImageService/LoadImage", pb.LoadImageRequest.SerializeToString,
        pb.LoadImageResponse.FromString)(requests())
    stream.cancel()
    stop.set()
    assert service.images() == []


def test_import(service):
    tar = images.busybox_tar()
    ids = [service.import_tar(data, reference="bb:1", message="hello", source="-",
                              config=pb.ImageConfig(command=["sh"], env=["A=b"]))
           for data in (tar, gzip.compress(tar, 1))]
    image = service.image("bb:1")
    assert image.id == ids[1] and len(service.images()) == 2
    # However it came compressed: the layer is the tar.
    assert image.layers[0].blob_digest == image.layers[0].diff_id == "sha256:" + hashlib.sha256(tar).hexdigest()
    assert image.comment == "hello" and image.history[0].comment == "hello"
    assert list(image.config.command) == ["sh"] and image.platform.os == "linux"
    check_layers(service, image)
    for code, data, options in ((Code.INVALID_ARGUMENT, b"", {}), (Code.INVALID_ARGUMENT, tar, {"reference": "UPPER"})):
        with pytest.raises(grpc.RpcError) as raised:
            service.import_tar(data, **options)
        assert raised.value.code() == code


def test_references_owners_and_removal(service):
    image_id = service.import_tar(images.busybox_tar(), reference="bb:1")
    assert service.image(image_id[7:19]).id == image_id
    assert service.error("GetImage", pb.GetImageRequest(reference="nosuch"))[1] == "No such image: nosuch:latest"
    service.call("TagImage", pb.TagImageRequest(source="bb:1", target="me/bb"))
    owner = "c" * 64
    service.call("AcquireImage", pb.AcquireImageRequest(reference="bb:1", owner=owner))
    service.call("RemoveImage", pb.RemoveImageRequest(reference="me/bb"))
    code, details = service.error("RemoveImage", pb.RemoveImageRequest(reference="bb:1"))
    assert code == Code.FAILED_PRECONDITION and details == (
        f'conflict: unable to remove repository reference "bb:1" (must force) - container {owner[:12]} is using its '
        f"referenced image {image_id[7:19]}")
    service.kill()
    service.start()
    assert list(service.call("ListImageOwners", pb.ListImageOwnersRequest()).owners) == [owner]
    assert service.image("bb:1").container_count == 1
    service.call("ReleaseImage", pb.ReleaseImageRequest(owner=owner))
    removed = service.call("RemoveImage", pb.RemoveImageRequest(reference="bb:1"))
    assert list(removed.untagged) == ["bb:1"] and removed.deleted[0] == image_id
    assert not any(service.files().values())


def test_read_layer(service):
    service.import_tar(images.busybox_tar(), reference="bb:1")
    diff_id = service.image("bb:1").layers[0].diff_id
    layer = service.call("GetLayer", pb.GetLayerRequest(diff_id=diff_id))
    expected = pathlib.Path(layer.local_path).read_bytes()[:layer.size_bytes]
    for offset in (0, 5, len(expected) - 1, len(expected)):
        answers = service.stream("ReadLayer", pb.ReadLayerRequest(diff_id=diff_id, offset_bytes=offset))
        assert b"".join(answer.data for answer in answers) == expected[offset:]
    for request, code in ((pb.ReadLayerRequest(diff_id="x"), Code.INVALID_ARGUMENT),
                          (pb.ReadLayerRequest(diff_id="sha256:" + "0" * 64), Code.NOT_FOUND),
                          (pb.ReadLayerRequest(diff_id=diff_id, offset_bytes=-1), Code.OUT_OF_RANGE)):
        with pytest.raises(grpc.RpcError) as raised:
            list(service.stream("ReadLayer", request))
        assert raised.value.code() == code


def test_events_resume(service):
    live = service.stream("WatchImageEvents", pb.WatchImageEventsRequest(only_new=True))
    live.initial_metadata()
    image_id = service.import_tar(images.busybox_tar(), reference="bb:1")
    service.call("TagImage", pb.TagImageRequest(source="bb:1", target="cc"))
    service.call("RemoveImage", pb.RemoveImageRequest(reference=image_id, force=True))
    seen = [next(live).event for _ in range(5)]
    assert [event.action for event in seen] == ["import", "tag", "untag", "untag", "delete"]
    assert [event.sequence for event in seen] == [1, 2, 3, 4, 5]
    assert all(event.actor_id == image_id and event.type == "image" for event in seen)
    live.cancel()
    service.kill()
    service.start()
    later = service.stream("WatchImageEvents", pb.WatchImageEventsRequest(after_sequence=3))
    assert [next(later).event.sequence for _ in range(2)] == [4, 5]
    later.cancel()
    kept = service.stream("WatchImageEvents", pb.WatchImageEventsRequest(after_sequence=2, stop_at_end=True))
    assert [response.event.sequence for response in kept] == [3, 4, 5]


def test_metrics(layout, registry):
    import urllib.request
    from cluster import free_port_range
    port = free_port_range(1)
    service = ImageService(f"--metrics_address=127.0.0.1:{port}")
    try:
        service.pull(registry.push(layout, "metrics:1"))
        text = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5).read().decode()
    finally:
        service.close()
    for line in ('slipway_image_operations_total{code="OK",operation="pull"} 1', "slipway_image_layers_total 2",
                 'slipway_image_stored{kind="image"} 1', "process_cpu_seconds_total", "grpc_server_handled_total"):
        assert line in text, text


def test_a_file_of_nine_gigabytes(service, tmp_path):
    """Beyond what 33 bits and ustar's size field hold; its holes take no disk."""
    with (tmp_path / "large").open("wb") as file:
        file.write(b"begin")
        file.seek((9 << 30) + 123)
        file.write(b"end")
    tar = subprocess.run(["tar", "-C", tmp_path, "--format=pax", "--sparse", "-cf", "-", "large"], check=True,
                         capture_output=True).stdout
    assert len(tar) < 1 << 20
    service.import_tar(tar, reference="large:1")
    image = service.image("large:1")
    assert image.size_bytes == (9 << 30) + 126
    layer = pathlib.Path(service.call("GetLayer", pb.GetLayerRequest(diff_id=image.layers[0].diff_id)).local_path)
    assert layer.stat().st_blocks * 512 < 1 << 20
    (tmp_path / "mnt").mkdir()
    subprocess.run(["mount", "-t", "erofs", "-o", "ro,loop", layer, tmp_path / "mnt"], check=True)
    try:
        mounted = tmp_path / "mnt" / "large"
        assert mounted.stat().st_size == (9 << 30) + 126
        with mounted.open("rb") as file:
            assert file.read(5) == b"begin"
            file.seek((9 << 30) + 120)
            assert file.read() == b"\0\0\0end"
    finally:
        subprocess.run(["umount", tmp_path / "mnt"], check=True)
