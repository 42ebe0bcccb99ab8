"""Pushing: against a real registry, with real clients on the other side, and against one that breaks off and lies."""

import json
import pathlib
import random
import subprocess
import time

import grpc
import pytest
from hostile_registry import after, basic, make_layer, sha256, status
from image_client import ImageService, pb

import images
from peers import Dockerd, Registry

Code = grpc.StatusCode
Phase = pb.PullLayerProgress


@pytest.fixture(scope="module")
def registry():
    registry = Registry()
    yield registry
    registry.close()


def layout_of(directory, *tars):
    layout = images.OciLayout(directory / "oci")
    for tar in tars:
        layout.add_layer(tar)
    return layout.finish(Cmd=["sh"], Env=["A=b"])


def phases(answers):
    return [answer.layer.phase for answer in answers if answer.HasField("layer")]


def inspect(name, *options):
    return json.loads(subprocess.run(["skopeo", "inspect", "--tls-verify=false", *options, f"docker://{name}"],
                                     capture_output=True, check=True).stdout)


@pytest.mark.parametrize("style", ["v2s2", "oci"])
def test_an_image_keeps_its_digest(service, registry, tmp_path, style):
    source = layout_of(tmp_path, images.busybox_tar())
    subprocess.run(["skopeo", "copy", "-q", "--insecure-policy", "--format", style, "--dest-tls-verify=false", source,
                    f"docker://{registry.address}/from-{style}:1"], check=True, capture_output=True)
    pulled = service.pull(f"{registry.address}/from-{style}:1")[-1].done
    target = f"{registry.address}/to-{style}/deep:2"
    service.call("TagImage", pb.TagImageRequest(source=pulled.image_id, target=target))
    answers = service.push(target)
    assert answers[0].status.text == f"The push refers to repository [{registry.address}/to-{style}/deep]"
    assert answers[-1].done.manifest_digest == pulled.manifest_digest and answers[-1].done.tag == "2"
    assert inspect(target)["Digest"] == pulled.manifest_digest
    # The registry has the layer in another repository: it was taken over from there and not sent.
    assert Phase.PHASE_MOUNTED in phases(answers) and Phase.PHASE_PUSHING not in phases(answers)
    assert f"{registry.address}/to-{style}/deep@{pulled.manifest_digest}" in service.image(target).repo_digests
    again = service.push(target)
    assert phases(again) == [Phase.PHASE_PREPARING, Phase.PHASE_LAYER_ALREADY_EXISTS]


def test_dockerd_pulls_what_was_pushed(service, registry, tmp_path):
    target = f"{registry.address}/imported:1"
    identity = service.import_tar(images.busybox_tar(), reference=target,
                                  config=pb.ImageConfig(command=["echo", "pushed"]))
    answers = service.push(target)
    assert {Phase.PHASE_PUSHING, Phase.PHASE_PUSHED} <= set(phases(answers))
    # A tar goes out compressed, once.
    assert inspect(target, "--raw")["layers"][0]["mediaType"].endswith("tar+gzip")
    dockerd = Dockerd()
    try:
        dockerd.docker("pull", target)
        assert dockerd.docker("inspect", "-f", "{{.Id}}", target).stdout.strip() == identity
        assert dockerd.docker("run", "--rm", "--network", "none", target).stdout == "pushed\n"
    finally:
        dockerd.close()


def test_a_layer_that_was_made_here_is_compressed_on_the_way(service, registry):
    target = f"{registry.address}/made/here:1"
    identity = service.import_tar(images.busybox_tar(), reference=target, config=pb.ImageConfig(command=["sh"]))
    own = service.image(target)
    pushed = service.push(target)[-1].done.manifest_digest
    sent = inspect(target, "--raw")["layers"][0]
    assert sent["digest"] != own.layers[0].blob_digest and f"{registry.address}/made/here@{pushed}" in service.image(
        target).repo_digests
    # The second time nothing is compressed: what it became is known, here and after a restart.
    assert phases(service.push(target)) == [Phase.PHASE_PREPARING, Phase.PHASE_LAYER_ALREADY_EXISTS]
    service.kill()
    service.start()
    other = f"{registry.address}/other/made:1"
    service.call("TagImage", pb.TagImageRequest(source=target, target=other))
    answers = service.push(other)
    assert Phase.PHASE_MOUNTED in phases(answers) and Phase.PHASE_PUSHING not in phases(answers)
    assert answers[-1].done.manifest_digest == pushed
    # Who pulls what was made here has it.
    answers = service.pull(target)
    assert answers[-1].done.was_up_to_date and phases(answers) == [Phase.PHASE_ALREADY_EXISTS]
    assert service.image(target).layers == own.layers and service.files()["blobs/sha256"] == []
    # Another host gets the same image, and gives the same bytes on.
    there = ImageService()
    try:
        assert there.pull(target)[-1].done.image_id == identity
        assert there.image(target).layers[0].blob_digest == sent["digest"]
        assert there.image(target).layers[0].diff_id == own.layers[0].diff_id
        # One layer file can serve both kinds.
        there.import_tar(images.busybox_tar(), reference="mine:1")
        assert len(there.files()["layers"]) == 1 and len(there.files()["blobs/sha256"]) == 1
        scrubbed = there.call("ScrubImages", pb.ScrubImagesRequest(), timeout=60)
        assert scrubbed.checked_layers == 2 and not scrubbed.repaired and not scrubbed.damaged
        assert there.save("mine:1") and there.save(target)
        there.call("RemoveImage", pb.RemoveImageRequest(reference=target))
        assert there.save("mine:1") and there.files()["blobs/sha256"] == []
    finally:
        there.close()


def test_all_tags(service, registry):
    for tag in ("a", "b", "c"):
        service.import_tar(make_tar(tag), reference=f"{registry.address}/many:{tag}")
    answers = service.push(f"{registry.address}/many", all_tags=True)
    assert sorted(answer.done.tag for answer in answers if answer.HasField("done")) == ["a", "b", "c"]
    for tag in ("a", "b", "c"):
        service.call("RemoveImage", pb.RemoveImageRequest(reference=f"{registry.address}/many:{tag}"))
    pulled = service.pull(f"{registry.address}/many", all_tags=True)
    assert sum(answer.HasField("done") for answer in pulled) == 3
    assert len(service.images(references=[f"{registry.address}/many"])) == 3


def make_tar(seed, size=100000):
    import gzip
    return gzip.decompress(make_layer(seed, size)[0])


def sent_layer(hostile, tag):
    """The descriptor of the only layer, as it was pushed."""
    layer, = json.loads(hostile.manifests[tag][0])["layers"]
    return layer


def test_what_cannot_be_pushed(service, registry):
    code, text = service.push_error(f"{registry.address}/nosuch:1")
    assert code == Code.NOT_FOUND
    assert text == f"An image does not exist locally with the tag: {registry.address}/nosuch"
    service.import_tar(make_tar(1), reference=f"{registry.address}/some:1")
    assert service.push_error(f"{registry.address}/some:2") == (
        Code.NOT_FOUND, f"tag does not exist: {registry.address}/some:2")
    assert service.push_error(f"{registry.address}/some@sha256:{'0' * 64}") == (
        Code.INVALID_ARGUMENT, "cannot push a digest reference")
    assert service.push_error("case/UPPER")[0] == Code.INVALID_ARGUMENT
    service.import_tar(make_tar(1), reference="127.0.0.1:1/closed:1")
    assert service.push_error("127.0.0.1:1/closed:1")[0] == Code.UNAVAILABLE


def test_an_upload_goes_on_where_it_broke(service, hostile):
    target = f"{hostile.address}/app:1"
    service.import_tar(make_tar(5, 3 << 20), reference=target)

    def break_off(handler):
        if handler.command != "PATCH":
            return False
        name = handler.path.split("?")[0].rsplit("/", 1)[1]
        hostile.uploads[name] += handler.body(2 << 20)
        handler.close_connection = True
        handler.connection.shutdown(2)
        return None

    hostile.rules["u0"] = after(1, break_off)
    answers = service.push(target)
    assert Phase.PHASE_RETRYING in phases(answers)
    blob = sent_layer(hostile, "1")
    assert sha256(hostile.blobs[blob["digest"]]) == blob["digest"]
    sent = [int(headers["Content-Length"]) for path, headers in hostile.requests
            if "uploads/u0" in path and "Content-Range" in headers]
    assert len(sent) == 1 and sent[0] <= blob["size"] - (2 << 20)
    assert hostile.manifests["1"][1] == "application/vnd.oci.image.manifest.v1+json"


def test_uploads_in_chunks(hostile):
    service = ImageService("--upload_chunk_bytes=100000")
    try:
        target = f"{hostile.address}/app:1"
        service.import_tar(make_tar(6, 450000), reference=target)
        service.push(target)
        digest = sent_layer(hostile, "1")["digest"]
        assert sha256(hostile.blobs[digest]) == digest
        ranges = [headers["Content-Range"] for path, headers in hostile.requests if "Content-Range" in headers]
        assert ranges[:2] == ["0-99999", "100000-199999"] and len(ranges) == 5
    finally:
        service.close()


def test_an_old_registry_gets_dockers_types(service, hostile):
    target = f"{hostile.address}/app:1"
    service.import_tar(make_tar(7), reference=target)

    def only_docker(handler):
        if handler.command == "PUT" and "oci" in handler.headers["Content-Type"]:
            handler.body()
            handler.reply(400, b'{"errors":[{"code":"MANIFEST_INVALID","message":"manifest invalid"}]}')
            return None
        return False

    hostile.rules["manifests/1"] = only_docker
    done = service.push(target)[-1].done
    body, media_type = hostile.manifests["1"]
    assert media_type == "application/vnd.docker.distribution.manifest.v2+json"
    assert sha256(body) == done.manifest_digest
    assert json.loads(body)["layers"][0]["mediaType"] == "application/vnd.docker.image.rootfs.diff.tar.gzip"


def test_a_registry_that_refuses(service, hostile):
    target = f"{hostile.address}/app:1"
    service.import_tar(make_tar(8), reference=target)
    hostile.rules["uploads/"] = status(403, b'{"errors":[{"code":"DENIED","message":"requested access is denied"}]}')
    code, text = service.push_error(target)
    assert code == Code.PERMISSION_DENIED and text.endswith("denied: requested access is denied")
    hostile.rules["uploads/"] = lambda handler: handler.reply(202)
    assert service.push_error(target)[0] == Code.UNAVAILABLE
    hostile.rules.clear()
    hostile.rules["u0"] = lambda handler: (handler.reply(400, b'{"errors":[{"code":"DIGEST_INVALID",'
                                                              b'"message":"digest did not match"}]}')
                                           if handler.command == "PUT" else False)
    assert service.push_error(target)[0] == Code.DATA_LOSS
    # Whatever went wrong, the image can still be used and pushed.
    hostile.rules.clear()
    service.push(target)


def test_a_token_for_all_that_a_push_does(service, hostile):
    hostile.challenge = f'Bearer realm="{hostile.url}/token",service="reg"'
    hostile.accepts = {"Bearer good"}
    hostile.rules["/token"] = lambda handler: handler.reply(
        200 if handler.headers.get("Authorization") == basic("me", "pw") else 401, b'{"token":"good"}')
    target = f"{hostile.address}/app:1"
    service.import_tar(make_tar(9), reference=target)
    assert service.push_error(target)[0] == Code.UNAUTHENTICATED
    service.push(target, auth=pb.RegistryAuth(username="me", password="pw"))
    asked = [path for path, _ in hostile.requests if path.startswith("/token")]
    assert all("scope=repository:app:pull%2Cpush" in path or "scope=repository:app:pull,push" in path
               for path in asked), asked


def test_a_mount_that_is_refused_is_an_upload(service, hostile, layers):
    name, digests = hostile.add_image("1", [layers[0][0]], [layers[0][1]])
    service.pull(name)
    service.call("TagImage", pb.TagImageRequest(source=name, target=f"{hostile.address}/other/name:1"))
    answered = []
    hostile.rules[digests[0]] = lambda handler: (handler.reply(404) if handler.command == "HEAD"
                                                 and not answered.append(1) else False)
    answers = service.push(f"{hostile.address}/other/name:1")
    assert Phase.PHASE_PUSHED in phases(answers)
    hostile.mounts.add(digests[0])
    service.call("TagImage", pb.TagImageRequest(source=name, target=f"{hostile.address}/third:1"))
    mounted = [answer.layer for answer in service.push(f"{hostile.address}/third:1")
               if answer.HasField("layer") and answer.layer.phase == Phase.PHASE_MOUNTED]
    assert [layer.source for layer in mounted] == ["other/name"]


def test_a_client_that_leaves_ends_its_push(service, hostile):
    target = f"{hostile.address}/app:1"
    service.import_tar(make_tar(10, 4 << 20), reference=target)
    hostile.rules["u0"] = lambda handler: hostile.released.wait(60)
    call = service.stream("PushImage", pb.PushImageRequest(reference=target))
    next(call)
    time.sleep(0.2)
    call.cancel()
    hostile.rules.clear()
    service.push(target)


def test_layers_are_sent_at_once_and_memory_stays_flat(service, registry, tmp_path):
    source = layout_of(tmp_path, *(make_tar(20 + i, 6 << 20) for i in range(6)))
    name = registry.push(source, "six:1")
    service.pull(name)
    service.call("TagImage", pb.TagImageRequest(source=name, target=f"{registry.address}/copy/six:1"))
    answers = service.push(f"{registry.address}/copy/six:1")
    assert phases(answers).count(Phase.PHASE_MOUNTED) == 6
    assert service.peak_rss_mb() < 60
