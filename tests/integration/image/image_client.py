"""A slipway-image process of its own and a client for it, with messages that protoc makes on the spot."""

import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

import grpc

ROOT = pathlib.Path(__file__).resolve().parents[3]
BINARY = ROOT / "bazel-bin" / "image-service" / "slipway-image"
SERVICE = "/slipway.image.v1.ImageService/"


def load_messages():
    generated = tempfile.mkdtemp(prefix="image-messages-")
    sources = ["slipway/common/v1/common.proto", "slipway/image/v1/image.proto"]
    subprocess.run(["protoc", f"-I{ROOT / 'proto'}", f"--python_out={generated}", *sources], check=True, cwd=ROOT)
    sys.path.insert(0, generated)
    try:
        from slipway.image.v1 import image_pb2
        from slipway.common.v1 import common_pb2
    finally:
        sys.path.remove(generated)
        shutil.rmtree(generated)
    return image_pb2, common_pb2


pb, common = load_messages()


class ImageService:
    """The process; `kill` and `start` again are part of what tests do."""

    def __init__(self, *flags, env=None):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="slimg-", dir="/var/tmp"))
        self.root = self.dir / "root"
        self.socket = self.dir / "image.sock"
        self.flags = flags
        self.env = env
        self.process = None
        self.start()

    def start(self, *more):
        self.socket.unlink(missing_ok=True)
        with (self.dir / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [*self.command(), f"--root={self.root}", f"--socket={self.socket}", f"--run_dir={self.dir}",
                 "--metrics_address=", *self.flags, *more],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.env)
        deadline = time.monotonic() + 20
        while not self.socket.exists():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"slipway-image does not serve: {self.log()}")
            time.sleep(0.005)
        self.channel = grpc.insecure_channel(f"unix:{self.socket}",
                                             options=[("grpc.use_local_subchannel_pool", 1)])
        self.channel.unary_unary(SERVICE + "GetVersion", common.GetVersionRequest.SerializeToString)(
            common.GetVersionRequest(), wait_for_ready=True, timeout=20)

    def command(self):
        return [BINARY]

    def log(self):
        return (self.dir / "log").read_text()[-3000:]

    def kill(self):
        self.channel.close()
        self.process.kill()
        self.process.wait()

    def close(self):
        self.channel.close()
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            if self.process.returncode != 0:
                raise RuntimeError(f"slipway-image ended with {self.process.returncode}: {self.log()}")
        shutil.rmtree(self.dir, ignore_errors=True)

    def peak_rss_mb(self):
        for line in pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1]) / 1024

    def call(self, method, request, timeout=30):
        response = getattr(pb, f"{method}Response")
        return self.channel.unary_unary(SERVICE + method, type(request).SerializeToString, response.FromString)(
            request, timeout=timeout)

    def stream(self, method, request, timeout=300):
        response = getattr(pb, f"{method}Response")
        return self.channel.unary_stream(SERVICE + method, type(request).SerializeToString, response.FromString)(
            request, timeout=timeout)

    def pull(self, reference, timeout=300, **fields):
        """The answers of a pull; the last one has `done`."""
        return list(self.stream("PullImage", pb.PullImageRequest(reference=reference, **fields), timeout))

    def pull_error(self, reference, timeout=120, **fields):
        try:
            answers = self.pull(reference, timeout, **fields)
        except grpc.RpcError as error:
            return error.code(), error.details()
        raise AssertionError(f"the pull succeeded: {answers[-1]}")

    def load(self, archive, timeout=300, piece=1 << 20):
        data = archive if isinstance(archive, bytes) else pathlib.Path(archive).read_bytes()
        requests = (pb.LoadImageRequest(data=data[at:at + piece]) for at in range(0, len(data), piece))
        answers = list(self.channel.stream_stream(
            SERVICE + "LoadImage", pb.LoadImageRequest.SerializeToString, pb.LoadImageResponse.FromString)(
                requests, timeout=timeout))
        return [answer.loaded for answer in answers if answer.HasField("loaded")]

    def import_tar(self, data, timeout=120, **options):
        def requests():
            yield pb.ImportImageRequest(options=pb.ImportImageOptions(**options))
            for at in range(0, len(data), 1 << 20):
                yield pb.ImportImageRequest(data=data[at:at + (1 << 20)])
        return self.channel.stream_unary(
            SERVICE + "ImportImage", pb.ImportImageRequest.SerializeToString, pb.ImportImageResponse.FromString)(
                requests(), timeout=timeout).image_id

    def push(self, reference, timeout=300, **fields):
        """The answers of a push; the last one has `done`."""
        return list(self.stream("PushImage", pb.PushImageRequest(reference=reference, **fields), timeout))

    def push_error(self, reference, timeout=120, **fields):
        try:
            answers = self.push(reference, timeout, **fields)
        except grpc.RpcError as error:
            return error.code(), error.details()
        raise AssertionError(f"the push succeeded: {answers[-1]}")

    def save(self, *references, timeout=300):
        return b"".join(answer.data for answer in self.stream(
            "SaveImages", pb.SaveImagesRequest(references=references), timeout))

    def commit(self, data, timeout=120, **options):
        def requests():
            yield pb.CommitImageRequest(options=pb.CommitImageOptions(**options))
            for at in range(0, len(data), 1 << 20):
                yield pb.CommitImageRequest(data=data[at:at + (1 << 20)])
        return self.channel.stream_unary(
            SERVICE + "CommitImage", pb.CommitImageRequest.SerializeToString, pb.CommitImageResponse.FromString)(
                requests(), timeout=timeout).image_id

    def image(self, reference):
        return self.call("GetImage", pb.GetImageRequest(reference=reference)).image

    def images(self, **fields):
        return list(self.call("ListImages", pb.ListImagesRequest(**fields)).images)

    def error(self, method, request):
        try:
            self.call(method, request)
        except grpc.RpcError as error:
            return error.code(), error.details()
        raise AssertionError(f"{method} succeeded")

    def files(self):
        """Names of all content files, by kind, when what was removed is gone from the disk too."""
        deadline = time.monotonic() + 10
        while any((self.root / "tmp").glob("trash-*")) and time.monotonic() < deadline:
            time.sleep(0.01)
        return {kind: sorted(p.name for p in (self.root / kind).iterdir())
                for kind in ("blobs/sha256", "layers", "partial", "tmp")}
