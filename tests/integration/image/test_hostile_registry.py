"""A registry that fails or lies: each kind has a code, a message that names what, and nothing left behind."""

import gzip
import io
import json
import subprocess
import tarfile
import threading
import time

import grpc
import pytest
from hostile_registry import HostileRegistry, after, basic, make_layer, sha256, status, truncated
from image_client import ImageService, pb

Code = grpc.StatusCode
NOTHING = {"blobs/sha256": [], "layers": [], "partial": [], "tmp": []}


@pytest.fixture
def image(hostile, layers):
    reference, digests = hostile.add_image("1", [blob for blob, _ in layers], [diff for _, diff in layers])
    hostile.digests = digests
    return reference


def refused(service, reference, code, *words, left=NOTHING, **fields):
    actual, details = service.pull_error(reference, **fields)
    assert (actual, True) == (code, all(word in details for word in words)), details
    assert service.images() == []
    if left is not None:
        assert service.files() == left
    return details


def test_pull_works_at_all(service, image):
    done = service.pull(image)[-1].done
    assert done.reference == image and not done.was_up_to_date
    assert len(service.image(image).layers) == 3


def test_nobody_listens(service):
    refused(service, "127.0.0.1:1/app:1", Code.UNAVAILABLE, 'failed to resolve reference "127.0.0.1:1/app:1"')


def test_unknown_manifest(service, hostile):
    name = f"{hostile.address}/app:nosuch"
    details = refused(service, name, Code.NOT_FOUND)
    assert details == f"manifest for {name} not found: manifest unknown: manifest unknown"


@pytest.mark.parametrize("answer,code,words", [
    (status(500), Code.UNAVAILABLE, "500"),
    (status(503, b"<html>"), Code.UNAVAILABLE, "503"),
    (status(429, b'{"errors":[{"code":"TOOMANYREQUESTS","message":"slow down"}]}'), Code.UNAVAILABLE,
     "toomanyrequests: slow down"),
    (status(403, b'{"errors":[{"code":"DENIED","message":"no"}]}'), Code.PERMISSION_DENIED, "denied: no"),
    (status(401), Code.UNAUTHENTICATED, "pull access denied"),
    (status(400), Code.FAILED_PRECONDITION, "400"),
    (status(200, b"<html>"), Code.INVALID_ARGUMENT, "not valid JSON"),
    (status(200, b"[" * 100000), Code.INVALID_ARGUMENT, "JSON"),
    (status(200, b"[" + b"0," * 1500000 + b"0]"), Code.RESOURCE_EXHAUSTED, "too large"),
    (status(200, b" " * (5 << 20)), Code.RESOURCE_EXHAUSTED, "longer than"),
    (status(200, b'{"schemaVersion":1,"fsLayers":[]}'), Code.INVALID_ARGUMENT, "schema version 1"),
    (status(302, Location="file:///etc/passwd"), Code.UNAVAILABLE, "redirects badly"),
])
def test_manifest_answers(service, hostile, answer, code, words):
    hostile.rules["/manifests/1"] = answer
    refused(service, f"{hostile.address}/app:1", code, words)


def test_endless_redirects(service, hostile):
    hostile.rules["/manifests/1"] = status(307, Location="/v2/app/manifests/1")
    refused(service, f"{hostile.address}/app:1", Code.UNAVAILABLE, "redirects")


def test_manifest_that_stalls(service, hostile):
    hostile.rules["/manifests/1"] = lambda handler: hostile.released.wait(60)
    begin = time.monotonic()
    refused(service, f"{hostile.address}/app:1", Code.UNAVAILABLE, "failed to resolve reference")
    assert time.monotonic() - begin < 20


def test_manifest_digest_lies(service, hostile, image):
    body, media_type = hostile.manifests["1"]
    hostile.manifests["1"] = (body, media_type)
    digest = sha256(b"something else")
    hostile.manifests[digest] = (body, media_type)
    hostile.rules["/" + digest] = status(200, body, Content_Type=media_type)
    refused(service, f"{hostile.address}/app@{digest}", Code.DATA_LOSS, "manifest verification failed", digest)


def test_header_digest_lies(service, hostile, image):
    body, media_type = hostile.manifests["1"]
    hostile.rules["/manifests/1"] = status(200, body, Content_Type=media_type, Docker_Content_Digest=sha256(b"x"))
    refused(service, image, Code.DATA_LOSS, "manifest verification failed")


def test_config_digest_lies(service, hostile, image):
    config = json.loads(hostile.manifests["1"][0])["config"]["digest"]
    hostile.rules["/blobs/" + config] = status(200, b'{"rootfs":{"diff_ids":[]}}')
    refused(service, image, Code.DATA_LOSS, config)


def test_layer_digest_lies(service, hostile, image):
    wrong = bytearray(hostile.blobs[hostile.digests[1]])
    wrong[5] ^= 1  # the time in the gzip header: it decompresses to the same tar
    hostile.blobs[hostile.digests[1]] = bytes(wrong)
    refused(service, image, Code.DATA_LOSS, hostile.digests[1], "verification failed")


def test_layer_is_damaged(service, hostile, image):
    wrong = bytearray(hostile.blobs[hostile.digests[1]])
    wrong[len(wrong) // 2] ^= 0xFF
    hostile.blobs[hostile.digests[1]] = bytes(wrong)
    refused(service, image, Code.DATA_LOSS, hostile.digests[1])


def test_diff_id_lies(service, hostile, layers):
    (blob, _), (_, other) = layers[:2]
    reference, _ = hostile.add_image("lie", [blob], [other])
    refused(service, reference, Code.DATA_LOSS, other)


def test_layer_count_lies(service, hostile, layers):
    reference, _ = hostile.add_image("lie", [layers[0][0]], [layers[0][1]] * 2)
    refused(service, reference, Code.INVALID_ARGUMENT, "2 layers, the manifest 1")


def test_too_many_layers(service, hostile, layers):
    blob, diff_id = layers[0]
    reference, _ = hostile.add_image("many", [blob] * 128, [diff_id] * 128)
    refused(service, reference, Code.INVALID_ARGUMENT, "128 layers")


def test_layer_longer_than_the_manifest_says(service, hostile, image):
    digest = hostile.digests[0]
    hostile.blobs[digest] += b"x" * 1000
    refused(service, image, Code.DATA_LOSS, digest, "more than")


def test_layer_shorter_than_the_manifest_says(service, hostile, image):
    digest = hostile.digests[0]
    hostile.blobs[digest] = hostile.blobs[digest][:1000]
    code, details = service.pull_error(image)
    assert code in (Code.DATA_LOSS, Code.UNAVAILABLE) and digest in details
    assert service.images() == []


def test_truncated_gzip(service, hostile, layers):
    blob = layers[0][0][:-2000]
    reference, digests = hostile.add_image("short", [blob], [layers[0][1]])
    refused(service, reference, Code.DATA_LOSS, digests[0])


def test_bombed_gzip(service, hostile):
    """Zeros where a tar should go on: 256 MB of them in 256 KB."""
    bomb = gzip.compress(b"\xff" * (256 << 20), 9, mtime=0)
    reference, digests = hostile.add_image("bomb", [bomb], [sha256(b"x")])
    actual, details = service.pull_error(reference)
    assert actual in (Code.INVALID_ARGUMENT, Code.DATA_LOSS) and digests[0] in details
    assert service.files() == NOTHING and service.peak_rss_mb() < 60


def small_tar(size):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        info = tarfile.TarInfo("zeros")
        info.size = size
        tar.addfile(info, io.BytesIO(bytes(size)))
    return out.getvalue()


@pytest.mark.parametrize("flag", ["--max_layer_bytes=20000000", "--disk_quota_bytes=20000000"])
def test_layer_that_inflates_past_the_quota(hostile, flag):
    """Refused with the number and the option that says so; what fits still comes."""
    service = ImageService(flag)
    try:
        tar = small_tar(100 << 20)
        reference, digests = hostile.add_image("inflates", [gzip.compress(tar, 9, mtime=0)], [sha256(tar)])
        code, details = service.pull_error(reference)
        assert code == Code.INVALID_ARGUMENT and digests[0] in details
        assert "passes the limit of " in details and flag.split("=")[0] in details
        assert service.files() == NOTHING
        fits = small_tar(1 << 20)
        reference, _ = hostile.add_image("fits", [gzip.compress(fits, 9, mtime=0)], [sha256(fits)])
        service.pull(reference)
    finally:
        service.close()


def test_used_up_quota(hostile):
    service = ImageService("--disk_quota_bytes=1000")
    try:
        filler = service.root / "tmp" / "filler"
        filler.write_bytes(b"x" * 8192)
        tar = small_tar(1000)
        reference, _ = hostile.add_image("late", [gzip.compress(tar, 9, mtime=0)], [sha256(tar)])
        code, details = service.pull_error(reference)
        assert code == Code.RESOURCE_EXHAUSTED and "--disk_quota_bytes" in details
    finally:
        service.close()


@pytest.mark.parametrize("name", ["../escape", "a/../../escape"])
def test_tar_that_escapes(service, hostile, name):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        tar.addfile(tarfile.TarInfo(name))
    tar = out.getvalue()
    reference, digests = hostile.add_image("escape", [gzip.compress(tar, mtime=0)], [sha256(tar)])
    refused(service, reference, Code.INVALID_ARGUMENT, digests[0], "escape")


def test_foreign_layer(service, hostile, layers):
    reference, digests = hostile.add_image("foreign", [layers[0][0]], [layers[0][1]],
                                           media_type="application/vnd.docker.image.rootfs.foreign.diff.tar.gzip")
    refused(service, reference, Code.UNIMPLEMENTED, "foreign layer", digests[0])


def test_no_manifest_for_this_platform(service, hostile, image):
    body, media_type = hostile.manifests["1"]
    hostile.add_manifest("list", json.dumps({"schemaVersion": 2, "manifests": [
        {"mediaType": media_type, "digest": sha256(body), "size": len(body),
         "platform": {"os": "linux", "architecture": "s390x"}}]}).encode(), "application/vnd.oci.image.index.v1+json")
    refused(service, f"{hostile.address}/app:list", Code.NOT_FOUND, "no matching manifest for linux/amd64")


def test_retries_then_works(service, hostile, image):
    hostile.rules["/manifests/1"] = after(1, status(503))
    hostile.rules["/blobs/" + hostile.digests[0]] = after(1, status(429, Retry_After="0"))
    hostile.rules["/blobs/" + hostile.digests[1]] = after(
        1, truncated(hostile.blobs[hostile.digests[1]], 100000))
    phases = {answer.layer.phase for answer in service.pull(image) if answer.HasField("layer")}
    assert pb.PullLayerProgress.PHASE_RETRYING in phases
    ranges = [headers.get("Range") for path, headers in hostile.requests if path.endswith(hostile.digests[1])]
    assert ranges == [None, "bytes=100000-"]


def test_stalled_layer_goes_on_where_it_stopped(service, hostile, image):
    digest = hostile.digests[2]
    hostile.rules["/blobs/" + digest] = after(1, truncated(hostile.blobs[digest], 50000, hostile.released))
    service.pull(image)
    assert hostile.requests[-1][1].get("Range") == "bytes=50000-"


def test_registry_without_ranges(service, hostile, image):
    digest = hostile.digests[0]
    data = hostile.blobs[digest]
    hostile.rules["/blobs/" + digest] = after(1, truncated(data, 70000))
    served = hostile.send_blob
    hostile.send_blob = lambda handler, blob: handler.reply(200, blob)
    try:
        service.pull(image)
    finally:
        hostile.send_blob = served
    assert service.image(image).layers[0].blob_digest == digest


def has_layer(service, diff_id):
    try:
        return bool(service.call("GetLayer", pb.GetLayerRequest(diff_id=diff_id)).size_bytes)
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.NOT_FOUND
        return False


def test_killed_pull_resumes(service, hostile, image, layers):
    """kill -9 in the middle: nothing is visible, and the next pull asks only for the rest."""
    digest = hostile.digests[1]
    data = hostile.blobs[digest]
    hostile.rules["/blobs/" + digest] = after(1, truncated(data, 150000, hostile.released))
    stream = service.stream("PullImage", pb.PullImageRequest(reference=image))
    deadline = time.monotonic() + 10
    partial = service.root / "partial" / digest[7:]
    while not (partial.exists() and partial.stat().st_size == 150000):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    while not (has_layer(service, layers[0][1]) and has_layer(service, layers[2][1])):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    service.kill()
    with pytest.raises(grpc.RpcError):
        list(stream)
    service.start()
    assert service.images() == []
    hostile.requests.clear()
    answers = service.pull(image)
    assert answers[-1].done.image_id
    asked = [(path.split("/")[-1], headers.get("Range")) for path, headers in hostile.requests if "/blobs/" in path]
    assert (digest, "bytes=150000-") in asked
    assert not any(other in dict(asked) for other in (hostile.digests[0], hostile.digests[2]))
    assert service.files()["partial"] == []


def test_damaged_partial_is_fetched_again(service, hostile, image):
    digest = hostile.digests[0]
    (service.root / "partial" / digest[7:]).write_bytes(b"\0" * 5000)
    service.pull(image)
    assert service.image(image).layers[0].blob_digest == digest


def test_cancelled_pull_ends(service, hostile, image):
    digest = hostile.digests[1]
    hostile.rules["/blobs/" + digest] = truncated(hostile.blobs[digest], 10, hostile.released)
    stream = service.stream("PullImage", pb.PullImageRequest(reference=image))
    next(stream)
    stream.cancel()
    with pytest.raises(grpc.RpcError):
        list(stream)
    assert service.images() == []
    hostile.rules.clear()
    service.pull(image)


def test_two_clients_share_one_download(service, hostile, image):
    gate = threading.Event()

    def wait(handler):
        gate.wait(10)
        return False
    hostile.rules["/blobs/" + hostile.digests[0]] = wait
    results = []
    threads = [threading.Thread(target=lambda: results.append(service.pull(image)[-1].done.image_id))
               for _ in range(4)]
    for thread in threads:
        thread.start()
    time.sleep(0.3)
    gate.set()
    for thread in threads:
        thread.join()
    assert len(set(results)) == 1 and len(results) == 4
    for digest in hostile.digests:
        assert hostile.counted(digest) == 1


def test_a_follower_takes_over_from_a_cancelled_leader(service, hostile, image):
    digest = hostile.digests[0]
    hostile.rules["/blobs/" + digest] = after(1, truncated(hostile.blobs[digest], 60000, hostile.released))
    leader = service.stream("PullImage", pb.PullImageRequest(reference=image))
    while not hostile.counted(digest):
        time.sleep(0.01)
    follower = service.stream("PullImage", pb.PullImageRequest(reference=image))
    next(follower)
    time.sleep(0.2)
    leader.cancel()
    assert list(follower)[-1].done.image_id


# Authentication.

CHALLENGE = 'Bearer realm="{0}/token",service="r",scope="repository:app:pull"'


def token_service(hostile, token="t0k3n", check=lambda handler: True, **more):
    hostile.challenge = CHALLENGE.format(hostile.url)
    hostile.accepts = {f"Bearer {token}"}

    def answer(handler):
        if check(handler):
            handler.reply(200, json.dumps({"token": token, **more}).encode())
        else:
            handler.reply(401)
    hostile.rules["/token"] = answer


def test_anonymous_token_is_fetched_once(service, hostile, image):
    token_service(hostile)
    service.pull(image)
    service.pull(image)
    assert hostile.counted("/token") == 1
    assert "scope=repository:app:pull" in next(p for p, _ in hostile.requests if p.startswith("/token"))


def test_token_with_a_password(service, hostile, image):
    token_service(hostile, check=lambda h: h.headers.get("Authorization") == basic("me", "secret"))
    refused(service, image, Code.UNAUTHENTICATED, "pull access denied for", "docker login",
            "unauthorized: authentication required")
    refused(service, image, Code.UNAUTHENTICATED, "incorrect username or password",
            auth=pb.RegistryAuth(username="me", password="wrong"))
    service.pull(image, auth=pb.RegistryAuth(username="me", password="secret"))


def test_identity_token(service, hostile, image):
    token_service(hostile, check=lambda h: "refresh_token=refresh" in getattr(h, "form", ""))
    service.pull(image, auth=pb.RegistryAuth(identity_token="refresh"))


def test_registry_token(service, hostile, image):
    token_service(hostile, check=lambda h: False)
    service.pull(image, auth=pb.RegistryAuth(registry_token="t0k3n"))
    assert hostile.counted("/token") == 0


def test_basic(service, hostile, image):
    hostile.challenge = 'Basic realm="x"'
    hostile.accepts = {basic("me", "secret")}
    refused(service, image, Code.UNAUTHENTICATED, "authentication required")
    service.pull(image, auth=pb.RegistryAuth(username="me", password="secret"))


@pytest.mark.parametrize("token", [b"", b"[]", b'{"token":7}', b'{"token":"a\\r\\nX: y"}', b"x" * (1 << 20)],
                         ids=["empty", "list", "number", "newline", "long"])
def test_bad_token_answers(service, hostile, image, token):
    token_service(hostile)
    hostile.rules["/token"] = status(200, token)
    code, _ = service.pull_error(image)
    assert code in (Code.UNAUTHENTICATED, Code.INVALID_ARGUMENT, Code.RESOURCE_EXHAUSTED)


def test_redirects_do_not_get_the_password(service, hostile, image):
    elsewhere = HostileRegistry()
    try:
        hostile.challenge = 'Basic realm="x"'
        hostile.accepts = {basic("me", "secret")}
        for digest in hostile.digests:
            elsewhere.blobs[digest] = hostile.blobs[digest]
            hostile.rules["/blobs/" + digest] = (
                lambda handler, digest=digest: False if handler.headers.get("Authorization") is None else
                handler.reply(307, Location=f"{elsewhere.url}/v2/app/blobs/{digest}"))
        service.pull(image, auth=pb.RegistryAuth(username="me", password="secret"))
        assert len(elsewhere.requests) == 3
        assert not any("Authorization" in headers for _, headers in elsewhere.requests)
    finally:
        elsewhere.close()


# Full disk.

def test_full_disk(hostile, layers, tmp_path):
    """The store on a file system of 4 MB: the error names the directory and the space comes back."""
    mount = tmp_path / "small"
    mount.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", mount], check=True)
    try:
        service = ImageService(f"--root={mount}/root")
        try:
            service.root = mount / "root"
            big = [make_layer(seed, 6 << 20) for seed in range(2)]
            reference, _ = hostile.add_image("big", [b for b, _ in big], [d for _, d in big])
            code, details = service.pull_error(reference)
            assert code == Code.RESOURCE_EXHAUSTED and str(mount) in details and "ENOSPC" in details
            assert service.images() == [] and service.files() == NOTHING
            small, _ = hostile.add_image("small", [layers[0][0]], [layers[0][1]])
            service.pull(small)
        finally:
            service.close()
    finally:
        subprocess.run(["umount", mount], check=True)


# TLS.

def test_https_with_a_certificate_authority(certificate, layers):
    ca, crt, key = certificate
    registry = HostileRegistry(tls=(crt, key))
    reference, _ = registry.add_image("1", [layers[0][0]], [layers[0][1]])
    certs = ca.parent / "certs" / registry.address
    certs.mkdir(parents=True)
    (certs / "ca.crt").write_bytes(ca.read_bytes())
    try:
        for flag in (f"--registry_ca_file={ca}", f"--certs_dir={certs.parent}"):
            service = ImageService(flag)
            try:
                assert service.pull(reference)[-1].done.image_id
            finally:
                service.close()
    finally:
        registry.close()


def test_https_with_an_unknown_authority(certificate, layers, tmp_path):
    _, crt, key = certificate
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=other",
                    "-keyout", tmp_path / "key", "-out", tmp_path / "other.crt"], check=True, capture_output=True)
    registry = HostileRegistry(tls=(crt, key))
    reference, _ = registry.add_image("1", [layers[0][0]], [layers[0][1]])
    service = ImageService(f"--registry_ca_file={tmp_path}/other.crt")
    try:
        code, details = service.pull_error(reference)
        assert code == Code.FAILED_PRECONDITION and "certificate" in details
    finally:
        service.close()
        registry.close()
