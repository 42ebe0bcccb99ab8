"""What is damaged on disk is found, and repaired with as little as possible; an orderly stop is told from a crash; a full
disk stops work and nothing else."""

import contextlib
import io
import os
import pathlib
import random
import signal
import subprocess
import tarfile

import grpc
import pytest
from hostile_registry import make_layer, sha256
from image_client import ImageService, pb

Code = grpc.StatusCode


@pytest.fixture
def pulled(service, hostile, layers):
    """An image of three layers; the registry's memory of requests is empty."""
    name, digests = hostile.add_image("1", [layer[0] for layer in layers], [layer[1] for layer in layers])
    service.pull(name)
    hostile.requests.clear()
    return name, digests, [service.root / "blobs" / "sha256" / digest[7:] for digest in digests], [
        service.root / "layers" / f"{layer[1][7:]}.erofs" for layer in layers]


def flip(path, at=5000):
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def scrub(service):
    return service.call("ScrubImages", pb.ScrubImagesRequest(), timeout=60)


def blobs_asked(hostile):
    return [path.rsplit("/", 1)[1] for path, _ in hostile.requests if "/blobs/" in path]


def test_nothing_is_wrong(service, hostile, pulled):
    outcome = scrub(service)
    assert outcome.checked_layers == 3 and outcome.checked_bytes > 600000
    assert not outcome.repaired and not outcome.damaged and not hostile.requests


@pytest.mark.parametrize("break_it", [flip, pathlib.Path.unlink, lambda path: os.truncate(path, 4096)],
                         ids=["flipped", "gone", "short"])
def test_a_layer_file_is_made_again_from_its_blob(service, hostile, pulled, break_it):
    _, digests, _, files = pulled
    good = files[1].read_bytes()
    break_it(files[1])
    outcome = scrub(service)
    assert list(outcome.repaired) == [digests[1]] and not outcome.damaged
    assert files[1].read_bytes() == good and not hostile.requests
    assert not scrub(service).repaired


@pytest.mark.parametrize("break_it", [flip, pathlib.Path.unlink, lambda path: os.truncate(path, 100)],
                         ids=["flipped", "gone", "short"])
def test_only_the_damaged_blob_is_fetched_again(service, hostile, pulled, break_it):
    name, digests, blobs, _ = pulled
    break_it(blobs[2])
    outcome = scrub(service)
    assert list(outcome.repaired) == [digests[2]] and not outcome.damaged
    assert blobs_asked(hostile) == [digests[2]]
    assert sha256(blobs[2].read_bytes()) == digests[2]
    service.push(name)


def test_what_cannot_be_repaired_is_said_and_a_pull_repairs_it(service, hostile, pulled):
    name, digests, blobs, files = pulled
    flip(blobs[0])
    hostile.rules[digests[0]] = lambda handler: handler.reply(404)
    outcome = scrub(service)
    assert list(outcome.damaged) == [digests[0]] and not outcome.repaired
    # Containers go on with the layer file; the blob is not sent to anyone.
    assert service.call("GetLayer", pb.GetLayerRequest(diff_id="sha256:" + files[0].stem)).size_bytes
    with pytest.raises(grpc.RpcError) as failure:
        service.save(name)
    assert failure.value.code() == Code.FAILED_PRECONDITION and "damaged" in failure.value.details()
    hostile.rules.clear()
    hostile.requests.clear()
    service.pull(name)
    assert digests[1] not in blobs_asked(hostile) and digests[0] in blobs_asked(hostile)
    assert service.save(name) and not scrub(service).damaged


@pytest.fixture
def made(service, hostile):
    """An image whose only layer was made here: (its name, blob digest, layer file)."""
    name = f"{hostile.address}/made:1"
    content = random.Random(7).randbytes(200_000)
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        info = tarfile.TarInfo("file")
        info.size = len(content)
        tar.addfile(info, io.BytesIO(content))
    service.import_tar(out.getvalue(), reference=name)
    digest = service.image(name).layers[0].blob_digest
    file = service.root / "layers" / f"{digest[7:]}.erofs"
    return name, digest, file, file.read_bytes().index(content)


def test_a_layer_without_a_blob_is_its_own(service, hostile, made):
    name, digest, file, content_at = made
    assert not scrub(service).repaired
    whole = file.read_bytes()
    # An inode can be made again of the tar.
    flip(file, 1200)
    assert list(scrub(service).repaired) == [digest] and file.read_bytes() == whole and not hostile.requests
    # Content cannot, nor what the tar has beside it; it is said, and goes nowhere.
    for at in (content_at + 1000, len(whole) - 10):
        flip(file, at)
        outcome = scrub(service)
        assert list(outcome.damaged) == [digest] and not outcome.repaired
        with pytest.raises(grpc.RpcError) as failure:
            service.save(name)
        assert failure.value.code() == Code.FAILED_PRECONDITION and "damaged" in failure.value.details()
        assert "damaged" in service.push_error(name)[1]
        flip(file, at)
        assert list(scrub(service).repaired) == [digest]
    # Unless a registry has it.
    service.push(name)
    for at in (content_at + 1000, len(whole) - 10):
        flip(file, at)
        outcome = scrub(service)
        assert list(outcome.repaired) == [digest] and not outcome.damaged
        assert file.read_bytes() == whole and service.files()["blobs/sha256"] == []
    file.unlink()
    service.kill()
    service.start()
    # In the background, as below.
    for _ in range(50):
        with contextlib.suppress(grpc.RpcError):
            assert service.save(name)
            break
        subprocess.run(["sleep", "0.1"], check=True)
    assert file.read_bytes() == whole


def test_after_a_crash_the_start_finds_what_is_missing(service, hostile, pulled):
    _, digests, blobs, files = pulled
    service.kill()
    blobs[1].unlink()
    files[2].unlink()
    service.start()
    # Repaired in the background, by asking for the one layer.
    deadline = 50
    while not (blobs[1].exists() and files[2].exists()) and deadline:
        deadline -= 1
        subprocess.run(["sleep", "0.1"], check=True)
    assert sha256(blobs[1].read_bytes()) == digests[1] and files[2].exists()
    assert blobs_asked(hostile) == [digests[1]]
    assert not scrub(service).repaired


def test_an_orderly_stop_needs_no_look_at_the_disk(service, hostile, pulled):
    name, _, _, _ = pulled
    stray = service.root / "blobs" / "sha256" / ("0" * 64)
    service.channel.close()
    service.process.send_signal(signal.SIGTERM)
    service.process.wait(20)
    stray.write_bytes(b"left by nobody")
    service.start()
    assert stray.exists() and service.image(name)
    service.kill()
    service.start()
    assert not stray.exists() and service.image(name)


def test_one_scrub_at_a_time(service, hostile):
    blob, diff_id = make_layer(5, 24 << 20)
    name, _ = hostile.add_image("1", [blob], [diff_id])
    service.pull(name)
    start = service.channel.unary_unary("/slipway.image.v1.ImageService/ScrubImages",
                                        pb.ScrubImagesRequest.SerializeToString, pb.ScrubImagesResponse.FromString)
    codes = [call.code() for call in [start.future(pb.ScrubImagesRequest()) for _ in range(8)]]
    assert Code.OK in codes and Code.FAILED_PRECONDITION in codes
    assert set(codes) == {Code.OK, Code.FAILED_PRECONDITION}


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 24 MB."""
    image, where = tmp_path / "disk", tmp_path / "mnt"
    where.mkdir()
    with image.open("wb") as file:
        file.truncate(24 << 20)
    subprocess.run(["mkfs.ext4", "-q", "-m", "0", image], check=True)
    subprocess.run(["mount", "-o", "loop", image, where], check=True)
    yield where
    subprocess.run(["umount", where], check=True)


def tar_of(size):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        info = tarfile.TarInfo("f")
        info.size = size
        tar.addfile(info, io.BytesIO(random.Random(size).randbytes(size)))
    return out.getvalue()


def test_disk_full_at_every_step(hostile, layers, small_disk):
    """The room left shrinks step by step: whatever an operation was doing when it ran out, it says so, leaves nothing, and
    what was there before works."""

    class OnSmallDisk(ImageService):
        def start(self, *more):
            self.root = small_disk / "image"
            super().start(*more)

    service = OnSmallDisk("--registry_attempts=1")
    ballast = small_disk / "ballast"
    try:
        kept, _ = hostile.add_image("kept", [layers[0][0]], [layers[0][1]])
        service.pull(kept)
        blob, diff_id = make_layer(50, 1500000)
        name, _ = hostile.add_image("1", [layers[0][0], blob], [layers[0][1], diff_id])
        empty = service.files()
        free = os.statvfs(small_disk)
        refused = 0
        for room in range(0, 4 << 20, 256 << 10):
            ballast.write_bytes(b"")
            size = free.f_bavail * free.f_frsize - room
            with contextlib.suppress(OSError), ballast.open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, max(size, 1))
            for attempt in (lambda: service.pull(name), lambda: service.import_tar(tar_of(1500000), reference="i:1"),
                            lambda: service.commit(tar_of(1400000), parent=kept, reference="c:1")):
                try:
                    attempt()
                except grpc.RpcError as error:
                    assert error.code() == Code.RESOURCE_EXHAUSTED, error
                    refused += 1
                    files = service.files()
                    assert set(files["blobs/sha256"]) <= set(empty["blobs/sha256"]) and not files["partial"], files
                for made in (name, "i:1", "c:1"):
                    with contextlib.suppress(grpc.RpcError):
                        service.call("RemoveImage", pb.RemoveImageRequest(reference=made))
            assert service.image(kept).id
        assert refused >= 6
        ballast.unlink()
        service.pull(name)
        assert not scrub(service).repaired
        service.kill()
        service.start()
        assert service.image(name) and service.image(kept)
    finally:
        service.close()
