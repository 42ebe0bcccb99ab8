"""Images for tests, made here: OCI layouts from tars and directories, and a Debian root with redis in it."""

import gzip
import hashlib
import io
import json
import pathlib
import subprocess
import tarfile

CACHE = pathlib.Path.home() / ".cache" / "slipway-tests"
SOURCE = pathlib.Path(__file__).resolve().parents[1]


def sha256(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def busybox_tar():
    return subprocess.run([SOURCE / "deploy" / "busybox-root"], check=True, capture_output=True).stdout


def tar_of(*entries):
    """A tar of (name, tarfile's type, content or link target)."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, kind, content in entries:
            info = tarfile.TarInfo(name)
            info.type = kind
            info.uid, info.gid, info.mode, info.mtime = 7, 8, 0o640, 1000
            if kind in (tarfile.SYMTYPE, tarfile.LNKTYPE):
                info.linkname = content
                tar.addfile(info)
            elif kind == tarfile.DIRTYPE:
                info.mode = 0o750
                tar.addfile(info)
            else:
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    return out.getvalue()


class OciLayout:
    """An OCI image layout directory with one image, tagged `latest` (image-spec, image-layout.md)."""

    def __init__(self, directory):
        self.dir = pathlib.Path(directory)
        (self.dir / "blobs" / "sha256").mkdir(parents=True)
        (self.dir / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
        self.layers = []
        self.diff_ids = []

    def blob(self, data, media_type):
        digest = sha256(data)
        (self.dir / "blobs" / "sha256" / digest[7:]).write_bytes(data)
        return {"mediaType": media_type, "digest": digest, "size": len(data)}

    def add_layer(self, tar, compress=True, lie_about_diff_id=False):
        self.diff_ids.append(sha256(tar + b"x" if lie_about_diff_id else tar))
        media_type = "application/vnd.oci.image.layer.v1.tar"
        if compress:
            tar = gzip.compress(tar, 1, mtime=0)
            media_type += "+gzip"
        self.layers.append(self.blob(tar, media_type))
        return self

    def add_raw_layer(self, data, diff_id, media_type="application/vnd.oci.image.layer.v1.tar+gzip"):
        self.diff_ids.append(diff_id)
        self.layers.append(self.blob(data, media_type))
        return self

    def finish(self, **config):
        config_blob = self.blob(json.dumps({
            "created": "2026-01-01T00:00:00Z", "architecture": "amd64", "os": "linux", "config": config,
            "rootfs": {"type": "layers", "diff_ids": self.diff_ids},
            "history": [{"created": "2026-01-01T00:00:00Z", "created_by": "test"} for _ in self.diff_ids],
        }).encode(), "application/vnd.oci.image.config.v1+json")
        manifest = self.blob(json.dumps({
            "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "config": config_blob,
            "layers": self.layers}).encode(), "application/vnd.oci.image.manifest.v1+json")
        manifest["annotations"] = {"org.opencontainers.image.ref.name": "latest"}
        (self.dir / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [manifest]}))
        return f"oci:{self.dir}:latest"


def redis_root():
    return debian_root("redis-root", "redis-server")


def stack_root():
    """PostgreSQL, redis, nginx and Python with clients of the two."""
    return debian_root("stack-root", "postgresql,redis-server,nginx-light,python3-psycopg2,python3-redis")


def minimal_root():
    return debian_root("minimal-root", "ca-certificates")


def debian_root(name, packages):
    """The tar of a Debian root with these packages in it; made once a machine."""
    tar = CACHE / f"{name}.tar"
    if tar.exists():
        return tar
    CACHE.mkdir(parents=True, exist_ok=True)
    root = CACHE / f"{name}.new"
    subprocess.run(["rm", "-rf", root], check=True)
    subprocess.run(["debootstrap", "--variant=minbase", f"--include={packages}", "bookworm", root], check=True,
                   capture_output=True, timeout=900)
    part = tar.with_suffix(".part")
    subprocess.run(["tar", "--numeric-owner", "--xattrs", "--exclude=./var/cache/apt/archives/*.deb",
                    "--exclude=./var/lib/apt/lists/*", "-C", root, "-cf", part, "."], check=True)
    subprocess.run(["rm", "-rf", root], check=True)
    part.rename(tar)
    return tar
