"""The power is cut while image-service pulls, commits and removes: its store opens every time, no half layer is ever
visible, and what was acknowledged is there.

The store is on an ext4 on a disk whose writes are recorded. A cut keeps everything up to the last flush before it, and of
the writes after that flush a random part, in 4 KiB pieces: what a disk with a write cache may lose. 200 cuts with
`tests/run --faults`, a dozen otherwise.
"""

import contextlib
import hashlib
import io
import os
import pathlib
import random
import subprocess
import sys
import tarfile
import tempfile
import time

import grpc
import pytest
import write_recorder

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration" / "image"))

from hostile_registry import HostileRegistry, make_layer, sha256  # noqa: E402
from image_client import BINARY, ImageService, pb  # noqa: E402

DISK_BYTES = 48 << 20
PIECE = 4096
CUTS = 200 if "faults" in os.environ.get("SLIPWAY_LONG", "") else 12
SEED = int(os.environ.get("SLIPWAY_SEED", time.time()))


@contextlib.contextmanager
def mounted(image, where):
    loop = subprocess.run(["losetup", "--find", "--show", image], check=True, capture_output=True,
                          text=True).stdout.strip()
    try:
        subprocess.run(["mount", "-t", "ext4", loop, where], check=True)
        try:
            yield
        finally:
            subprocess.run(["umount", where], check=True)
    finally:
        subprocess.run(["losetup", "-d", loop], check=True)


class ServiceOn(ImageService):
    """An image-service whose state is on the disk, and which believes to run in boot `boot`."""

    def __init__(self, root, boot):
        self.boot = pathlib.Path(tempfile.mkdtemp(prefix="boot-", dir="/var/tmp")) / "boot_id"
        self.boot.write_text(boot + "\n")
        self.fixed_root = root
        super().__init__()

    def start(self, *more):
        self.root = self.fixed_root
        wrapper = self.dir / "service"
        wrapper.write_text("#!/bin/sh\nmount --make-rprivate / && mount --bind "
                           f"{self.boot} /proc/sys/kernel/random/boot_id && exec {BINARY} \"$@\"\n")
        wrapper.chmod(0o755)
        super().start(*more)

    def command(self):
        return ["unshare", "-m", self.dir / "service"]

    def close(self):
        super().close()
        self.boot.unlink()
        self.boot.parent.rmdir()


class Workload:
    """Pulls, commits, tags and removes; notes after which record each was acknowledged."""

    def __init__(self, service, registry, record):
        self.service, self.registry, self.record = service, registry, record
        self.acknowledged = []  # (bytes of the record, {name: id or None})
        self.names = set()

    def note(self, **changes):
        self.acknowledged.append((self.record.stat().st_size, changes))
        self.names |= set(changes)

    def run(self):
        service, registry = self.service, self.registry
        shared = make_layer(0, 900000)
        for i in range(4):
            own = make_layer(i + 1, 300000 * (i + 1))
            name, _ = registry.add_image(f"v{i}", [shared[0], own[0]], [shared[1], own[1]])
            identity = service.pull(name)[-1].done.image_id
            self.note(**{name: identity})
            out = io.BytesIO()
            with tarfile.open(fileobj=out, mode="w") as tar:
                info = tarfile.TarInfo("change")
                info.size = 200000
                tar.addfile(info, io.BytesIO(random.Random(i).randbytes(200000)))
            committed = service.commit(out.getvalue(), parent=name, reference=f"commit:{i}")
            self.note(**{f"commit:{i}": committed})
            if i % 2:
                service.call("RemoveImage", pb.RemoveImageRequest(reference=f"commit:{i}"))
                self.note(**{f"commit:{i}": None})
                service.call("RemoveImage", pb.RemoveImageRequest(reference=name))
                self.note(**{name: None})
            else:
                service.call("TagImage", pb.TagImageRequest(source=name, target=f"kept:{i}"))
                self.note(**{f"kept:{i}": identity})


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    """(the disk's content at first, what was written, what was acknowledged when)."""
    directory = tmp_path_factory.mktemp("disk")
    (directory / "fuse").mkdir()
    (directory / "root").mkdir()
    record = directory / "record"
    recorder = subprocess.Popen([sys.executable, write_recorder.__file__, directory / "fuse", record, str(DISK_BYTES)])
    registry = HostileRegistry()
    try:
        deadline = time.monotonic() + 10
        while not (directory / "fuse" / "disk").exists():
            assert recorder.poll() is None and time.monotonic() < deadline
            time.sleep(0.01)
        subprocess.run(["mkfs.ext4", "-q", "-O", "^resize_inode", "-E", "lazy_itable_init=0,lazy_journal_init=0", "-J",
                        "size=4", directory / "fuse" / "disk"], check=True)
        with mounted(directory / "fuse" / "disk", directory / "root"):
            service = ServiceOn(directory / "root" / "image", "first-boot")
            try:
                made = record.stat().st_size
                workload = Workload(service, registry, record)
                workload.run()
            finally:
                service.kill()
                service.close()
        yield write_recorder.read_record(record), made, workload
    finally:
        registry.close()
        subprocess.run(["umount", directory / "fuse"])
        recorder.wait(10)


def disk_after_cut(events, cut, chance):
    """The disk's content when only the events before `cut` happened: those after the last flush in part."""
    last_flush = max((i for i in range(cut) if events[i][0] == write_recorder.FLUSH), default=0)
    disk = bytearray(DISK_BYTES)
    for i, (offset, data) in enumerate(events[:cut]):
        if i < last_flush:
            if data:
                disk[offset:offset + len(data)] = data
            continue
        for at in range(0, len(data), PIECE):
            if chance.random() < 0.5:
                piece = data[at:at + PIECE]
                disk[offset + at:offset + at + len(piece)] = piece
    return disk


def is_split(layer):
    """Of what was made here there is only the layer file (docs/tar-split.md)."""
    return layer.media_type.endswith(".tar")


def check_store(service, workload, written):
    """Everything that is shown is whole; everything acknowledged before the cut is as it was acknowledged."""
    images = [service.image(image.id) for image in service.images(all=True)]
    for image in images:
        for layer in image.layers:
            blob = service.root / "blobs" / "sha256" / layer.blob_digest[7:]
            if not is_split(layer):
                assert "sha256:" + hashlib.sha256(blob.read_bytes()).hexdigest() == layer.blob_digest
            file = service.call("GetLayer", pb.GetLayerRequest(diff_id=layer.diff_id))
            subprocess.run(["fsck.erofs", file.local_path], check=True, capture_output=True)
            size = pathlib.Path(file.local_path).stat().st_size
            assert size > file.size_bytes if is_split(layer) else size == file.size_bytes
        # Every layer as it was: a tar that is put together again is verified on its way out.
        assert service.save(image.id)
    # A change that was under way may have happened or not: only names that nothing changed later are certain.
    certain, open_names = {}, set()
    for at, changes in workload.acknowledged:
        if at <= written:
            certain.update(changes)
        else:
            open_names |= set(changes)
            break
    for name, identity in certain.items():
        if name in open_names:
            continue
        try:
            seen = service.image(name).id
        except grpc.RpcError as error:
            assert error.code() == grpc.StatusCode.NOT_FOUND
            seen = None
        assert seen == identity, name
    files = service.files()
    assert not files["tmp"]
    shown = {layer.blob_digest[7:] for image in images for layer in image.layers if not is_split(layer)}
    assert shown <= set(files["blobs/sha256"])


@pytest.mark.parametrize("number", range(CUTS))
def test_cut(recording, number, tmp_path):
    events, made, workload = recording
    chance = random.Random(f"{SEED}-{number}")
    position, first, ends = 0, None, []
    for i, (_, data) in enumerate(events):
        position += write_recorder.HEADER.size + len(data)
        ends.append(position)
        if first is None and position > made:
            first = i
    cut = chance.randrange(first, len(events) + 1)
    image = tmp_path / "disk"
    image.write_bytes(disk_after_cut(events, cut, chance))
    (tmp_path / "root").mkdir()
    print(f"SLIPWAY_SEED={SEED}: cut {number} after {cut} of {len(events)} writes")
    with mounted(image, tmp_path / "root"):
        service = ServiceOn(tmp_path / "root" / "image", f"boot-{number}")
        try:
            check_store(service, workload, ends[cut - 1])
            # And it goes on: what is pulled now is whole, too.
            layer = make_layer(99)
            registry = HostileRegistry()
            try:
                name, _ = registry.add_image("after", [layer[0]], [layer[1]])
                service.pull(name)
            finally:
                registry.close()
        finally:
            service.close()
