"""Registries as they are set up in the world: client certificates, mirrors, proxies, logins, search, many platforms."""

import crypt
import http.server
import json
import os
import ssl
import subprocess
import threading

import grpc
import pytest
from hostile_registry import HostileRegistry, basic, make_layer, sha256, status, truncated
from image_client import ImageService, common, pb

import images
from peers import Registry

Code = grpc.StatusCode


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    """A real registry that asks for me:secret."""
    directory = tmp_path_factory.mktemp("auth")
    (directory / "htpasswd").write_text("me:" + crypt.crypt("secret", crypt.METHOD_BLOWFISH) + "\n")
    registry = Registry(auth={"htpasswd": {"realm": "test", "path": str(directory / "htpasswd")}})
    yield registry
    registry.close()


def test_login_and_what_it_is_for(service, guarded):
    me = pb.RegistryAuth(username="me", password="secret", server_address=guarded.address)
    service.call("CheckRegistryAuth", pb.CheckRegistryAuthRequest(auth=me))
    wrong = pb.RegistryAuth(username="me", password="wrong", server_address=guarded.address)
    code, text = service.error("CheckRegistryAuth", pb.CheckRegistryAuthRequest(auth=wrong))
    assert code == Code.UNAUTHENTICATED
    assert text == f"login attempt to http://{guarded.address}/v2/ failed with status: 401 Unauthorized"
    closed = pb.RegistryAuth(username="me", password="x", server_address="127.0.0.1:1")
    assert service.error("CheckRegistryAuth", pb.CheckRegistryAuthRequest(auth=closed))[0] == Code.UNAVAILABLE
    target = f"{guarded.address}/mine:1"
    service.import_tar(images.busybox_tar(), reference=target)
    assert service.push_error(target) == (Code.UNAUTHENTICATED, "unauthorized: authentication required")
    assert service.push_error(target, auth=wrong)[0] == Code.UNAUTHENTICATED
    service.push(target, auth=me)
    service.call("RemoveImage", pb.RemoveImageRequest(reference=target))
    assert service.pull_error(target)[0] == Code.UNAUTHENTICATED
    service.pull(target, auth=me)
    found = service.call("SearchImages", pb.SearchImagesRequest(term=f"{guarded.address}/min", auth=me)).results
    assert [one.name for one in found] == [f"{guarded.address}/mine"]
    assert service.error("SearchImages", pb.SearchImagesRequest(term=f"{guarded.address}/min"))[0] != Code.OK
    assert service.error("SearchImages", pb.SearchImagesRequest(term="x", limit=101))[0] == Code.INVALID_ARGUMENT


def test_distribution_inspect(service, hostile, layers):
    name, _ = hostile.add_image("1", [layers[0][0]], [layers[0][1]])
    body, media_type = hostile.manifests["1"]
    seen = service.call("InspectDistribution", pb.InspectDistributionRequest(reference=name))
    assert (seen.media_type, seen.digest, seen.size_bytes) == (media_type, sha256(body), len(body))
    assert [(p.os, p.architecture) for p in seen.platforms] == [("linux", "amd64")]
    index_type = "application/vnd.oci.image.index.v1+json"
    entries = [{"mediaType": media_type, "digest": sha256(body), "size": len(body),
                "platform": {"os": "linux", "architecture": arch, **extra}}
               for arch, extra in (("amd64", {}), ("arm", {"variant": "v7"}), ("arm64", {"variant": "v8"}))]
    hostile.add_manifest("multi", json.dumps({"schemaVersion": 2, "mediaType": index_type,
                                              "manifests": entries}).encode(), index_type)
    seen = service.call("InspectDistribution",
                        pb.InspectDistributionRequest(reference=f"{hostile.address}/app:multi"))
    assert [(p.architecture, p.variant) for p in seen.platforms] == [("amd64", ""), ("arm", "v7"), ("arm64", "v8")]
    assert not [path for path, _ in hostile.requests if layers and "blobs/" + sha256(layers[0][0]) in path]
    assert service.error("InspectDistribution", pb.InspectDistributionRequest(
        reference=f"{hostile.address}/app:no"))[0] == Code.NOT_FOUND


def test_a_platform_is_chosen(service, hostile):
    built = {}
    for seed, arch in enumerate(("amd64", "arm64")):
        blob, diff_id = make_layer(seed)
        config = json.dumps({"architecture": arch, "os": "linux", "config": {},
                             "rootfs": {"type": "layers", "diff_ids": [diff_id]}}).encode()
        hostile.add_image(arch, [blob], [diff_id], config=config)
        built[arch] = hostile.manifests[arch]
    index_type = "application/vnd.oci.image.index.v1+json"
    entries = [{"mediaType": built[arch][1], "digest": sha256(built[arch][0]), "size": len(built[arch][0]),
                "platform": {"os": "linux", "architecture": arch}} for arch in built]
    hostile.add_manifest("multi", json.dumps({"schemaVersion": 2, "mediaType": index_type,
                                              "manifests": entries}).encode(), index_type)
    name = f"{hostile.address}/app:multi"
    service.pull(name, platform=common.Platform(os="linux", architecture="arm64"))
    assert service.image(name).platform.architecture == "arm64"
    service.pull(name)
    assert service.image(name).platform.architecture == "amd64"
    code, text = service.pull_error(name, platform=common.Platform(os="linux", architecture="s390x"))
    assert code == Code.NOT_FOUND and "linux/s390x" in text


def test_a_client_certificate(certificate, tmp_path, layers):
    authority, server, key = certificate
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(server, key)
    context.load_verify_locations(authority)
    context.verify_mode = ssl.CERT_REQUIRED
    registry = HostileRegistry(context=context)
    host = tmp_path / registry.address
    host.mkdir()
    (host / "any.crt").write_bytes(authority.read_bytes())
    service = ImageService(f"--certs_dir={tmp_path}", "--registry_attempts=1")
    try:
        name, _ = registry.add_image("1", [layers[0][0]], [layers[0][1]])
        assert service.pull_error(name)[0] in (Code.UNAVAILABLE, Code.FAILED_PRECONDITION)
        (host / "client.cert").write_bytes(server.read_bytes())
        (host / "client.key").write_bytes(key.read_bytes())
        service.pull(name)
    finally:
        service.close()
        registry.close()


def test_mirrors_come_first_and_the_registry_last(hostile, layers):
    empty, broken = HostileRegistry(), HostileRegistry()
    service = ImageService(f"--registry_mirrors={hostile.address}={empty.url},{hostile.address}={broken.url}",
                           "--registry_attempts=1")
    try:
        name, digests = hostile.add_image("1", [layers[0][0]], [layers[0][1]])
        # The second mirror has the manifest, and half of the layer.
        broken.manifests, broken.blobs = dict(hostile.manifests), dict(hostile.blobs)
        broken.rules[digests[0]] = truncated(layers[0][0], 100000)
        service.pull(name, auth=pb.RegistryAuth(username="me", password="pw"))
        assert empty.requests and not hostile.counted("manifests/1")
        ranges = [headers.get("Range") for path, headers in hostile.requests if path.endswith(digests[0])]
        assert len(ranges) == 1 and ranges[0] is not None
        assert all("Authorization" not in headers for _, headers in empty.requests + broken.requests)
        # What only the registry says is its own words.
        assert service.pull_error(f"{hostile.address}/app:no")[0] == Code.NOT_FOUND
        assert hostile.counted("manifests/no") == 1
    finally:
        service.close()
        empty.close()
        broken.close()


def test_a_proxy_from_the_environment(hostile, layers):
    """The proxy resolves a name that only it knows."""
    asked = []

    class Proxy(http.server.BaseHTTPRequestHandler):
        def log_message(self, *arguments):
            pass

        def do_GET(self):
            asked.append(self.path)
            out = subprocess.run(["curl", "-s", "-D", "-", hostile.url + "/" + self.path.split("/", 3)[3]],
                                 capture_output=True).stdout
            self.wfile.write(out)

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    for variable in ("http_proxy", "HTTP_PROXY"):
        service = ImageService("--insecure_registries=registry.test", "--registry_attempts=1",
                               env={**os.environ, variable: address})
        try:
            hostile.add_image("1", [layers[0][0]], [layers[0][1]])
            service.pull("registry.test/app:1")
            assert asked.pop().startswith("http://registry.test/v2/app/")
        finally:
            service.close()
    server.shutdown()
    server.server_close()


def test_two_pulls_share_a_download(service, hostile):
    blob, diff_id = make_layer(77, 3 << 20)
    names = [hostile.add_image(f"t{i}", [blob], [diff_id], config=json.dumps(
        {"architecture": "amd64", "os": "linux", "config": {"Env": [f"I={i}"]},
         "rootfs": {"type": "layers", "diff_ids": [diff_id]}}).encode())[0] for i in range(4)]
    calls = [service.stream("PullImage", pb.PullImageRequest(reference=name)) for name in names]
    assert all(list(call)[-1].HasField("done") for call in calls)
    assert hostile.counted(sha256(blob)) == 1
