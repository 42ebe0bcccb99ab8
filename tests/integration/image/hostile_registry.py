"""A registry that does what it is told: serves images, and lies, stalls, truncates or refuses where a test says so."""

import base64
import gzip
import hashlib
import http.server
import io
import json
import random
import ssl
import tarfile
import threading
import time
import urllib.parse


def sha256(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def make_layer(seed, size=200000):
    """(gzip blob, diffID) of a tar with one file of bytes that do not compress."""
    content = random.Random(seed).randbytes(size)
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        info = tarfile.TarInfo(f"file-{seed}")
        info.size = size
        tar.addfile(info, io.BytesIO(content))
    tar = out.getvalue()
    return gzip.compress(tar, 1, mtime=0), sha256(tar)


class HostileRegistry:
    """`rules` maps a path's ending to a function(handler) that answers instead; it may return False to let the
    ordinary answer go out. Every request is in `requests` as (path, headers)."""

    def __init__(self, tls=None, context=None):
        self.blobs = {}
        self.manifests = {}
        self.rules = {}
        self.requests = []
        self.challenge = None
        self.accepts = set()
        self.uploads = {}
        self.mounts = set()  # blobs that may be mounted
        self.released = threading.Event()
        registry = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *arguments):
                pass

            def do_GET(self):
                registry.answer(self)

            def do_POST(self):
                self.form = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
                registry.answer(self)

            def do_HEAD(self):
                registry.answer(self)

            def do_PUT(self):
                registry.answer(self)

            def do_PATCH(self):
                registry.answer(self)

            def do_DELETE(self):
                registry.answer(self)

            def body(self, limit=None):
                """The request's body, or its first `limit` bytes."""
                size = int(self.headers.get("Content-Length", 0))
                return self.rfile.read(size if limit is None else min(size, limit))

            def reply(self, status, body=b"", **headers):
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name.replace("_", "-"), value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.handle_error = lambda *arguments: None
        scheme = "http"
        if tls is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
        if context is not None:
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
            scheme = "https"
        self.address = f"127.0.0.1:{self.server.server_port}"
        self.url = f"{scheme}://{self.address}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.released.set()
        self.server.shutdown()
        self.server.server_close()

    def answer(self, handler):
        self.requests.append((handler.path, dict(handler.headers)))
        for ending, rule in list(self.rules.items()):
            if handler.path.split("?")[0].endswith(ending) and rule(handler) is not False:
                return
        if self.challenge and handler.headers.get("Authorization") not in self.accepts:
            handler.reply(401, b'{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}',
                          WWW_Authenticate=self.challenge)
            return
        parts = handler.path.split("?")[0].split("/")
        if handler.command in ("POST", "PATCH", "PUT", "DELETE") or "uploads" in parts:
            self.take(handler, parts)
        elif handler.path == "/v2/":
            handler.reply(200, b"{}")
        elif "manifests" in parts:
            self.send_manifest(handler, parts[-1])
        elif "blobs" in parts and parts[-1] in self.blobs:
            self.send_blob(handler, self.blobs[parts[-1]])
        else:
            handler.reply(404, b'{"errors":[{"code":"BLOB_UNKNOWN","message":"blob unknown to registry"}]}')

    def take(self, handler, parts):
        """The pushing half of the protocol."""
        query = dict(urllib.parse.parse_qsl(handler.path.partition("?")[2]))
        if handler.command == "PUT" and "manifests" in parts:
            body = handler.body()
            self.add_manifest(parts[-1], body, handler.headers["Content-Type"])
            handler.reply(201, Docker_Content_Digest=sha256(body))
        elif handler.command == "POST":
            if query.get("mount") in self.mounts:
                handler.reply(201, Location=f"/v2/app/blobs/{query['mount']}")
                return
            name = f"u{len(self.uploads)}"
            self.uploads[name] = b""
            handler.reply(202, Location=f"/v2/app/blobs/uploads/{name}?state=x", Range="0-0")
        elif parts[-1] not in self.uploads:
            handler.reply(404, b'{"errors":[{"code":"BLOB_UPLOAD_UNKNOWN","message":"unknown upload"}]}')
        elif handler.command == "DELETE":
            del self.uploads[parts[-1]]
            handler.reply(204)
        elif handler.command == "GET":
            handler.reply(204, Location=f"/v2/app/blobs/uploads/{parts[-1]}?state=y",
                          Range=f"0-{max(len(self.uploads[parts[-1]]) - 1, 0)}")
        elif handler.command == "PATCH":
            self.uploads[parts[-1]] += handler.body()
            handler.reply(202, Location=f"/v2/app/blobs/uploads/{parts[-1]}?state=z",
                          Range=f"0-{len(self.uploads[parts[-1]]) - 1}")
        else:
            data = self.uploads.pop(parts[-1]) + handler.body()
            if sha256(data) != query["digest"]:
                handler.reply(400, b'{"errors":[{"code":"DIGEST_INVALID","message":"digest did not match"}]}')
                return
            self.blobs[query["digest"]] = data
            handler.reply(201, Location=f"/v2/app/blobs/{query['digest']}")

    def send_manifest(self, handler, name):
        if name not in self.manifests:
            handler.reply(404, b'{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}')
            return
        body, media_type = self.manifests[name]
        handler.reply(200, body, Content_Type=media_type, Docker_Content_Digest=sha256(body))

    @staticmethod
    def send_blob(handler, data):
        wanted = handler.headers.get("Range")
        if wanted:
            start = int(wanted.removeprefix("bytes=").split("-")[0])
            handler.reply(206, data[start:], Content_Range=f"bytes {start}-{len(data) - 1}/{len(data)}")
        else:
            handler.reply(200, data)

    def add_image(self, tag, layers, diff_ids, media_type="application/vnd.oci.image.layer.v1.tar+gzip", **changes):
        """Registers an image of these layer blobs; returns its reference and its layers' digests."""
        for layer in layers:
            self.blobs[sha256(layer)] = layer
        config = changes.get("config") or json.dumps({
            "architecture": "amd64", "os": "linux", "config": {"Cmd": ["sh"]},
            "rootfs": {"type": "layers", "diff_ids": diff_ids}}).encode()
        self.blobs[sha256(config)] = config
        manifest = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
                    "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": sha256(config),
                               "size": len(config)},
                    "layers": [{"mediaType": media_type, "digest": sha256(layer), "size": len(layer)}
                               for layer in layers]}
        manifest.update(changes.get("manifest", {}))
        self.add_manifest(tag, json.dumps(manifest).encode(), manifest["mediaType"])
        return f"{self.address}/app:{tag}", [sha256(layer) for layer in layers]

    def add_manifest(self, tag, body, media_type="application/vnd.oci.image.manifest.v1+json"):
        self.manifests[tag] = self.manifests[sha256(body)] = (body, media_type)

    def counted(self, ending):
        return sum(path.split("?")[0].endswith(ending) for path, _ in self.requests)


def basic(user, password):
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def after(count, rule):
    """Lets the first `count` requests pass `rule`, later ones go through."""
    left = [count]

    def wrapped(handler):
        if left[0] == 0:
            return False
        left[0] -= 1
        return rule(handler)
    return wrapped


def status(code, body=b"", **headers):
    return lambda handler: handler.reply(code, body, **headers)


def truncated(data, at, stall=None):
    """Promises all of `data` and ends, or stalls, after `at` bytes of it."""
    def rule(handler):
        start = int((handler.headers.get("Range") or "bytes=0-").removeprefix("bytes=").split("-")[0])
        handler.send_response(206 if start else 200)
        if start:
            handler.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        handler.send_header("Content-Length", str(len(data) - start))
        handler.end_headers()
        handler.wfile.write(data[start:max(start, at)])
        handler.wfile.flush()
        if stall is not None:
            stall.wait(60)
        handler.close_connection = True
        time.sleep(0.01)
    return rule
