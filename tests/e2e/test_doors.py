"""The other doors: the native client, metrics, health and reflection."""

import json
import subprocess
import urllib.request

import grpc

EXPECTED = {1: "slipway_image", 2: "slipway_container", 3: "slipway_log", 5: "slipway_agent"}


def scrape(port):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as response:
        return response.read().decode()


def test_metrics_of_every_service(cluster):
    cluster.docker("run", "--rm", "busybox", "true")
    for offset in (0, 1, 2, 3, 5):
        text = scrape(cluster.port_base + offset)
        assert "process_resident_memory_bytes" in text, offset
        checked = subprocess.run(["promtool", "check", "metrics"], input=text, text=True, capture_output=True)
        assert checked.returncode == 0 or "error" not in checked.stderr.lower(), checked.stderr
    for offset, name in EXPECTED.items():
        text = scrape(cluster.port_base + offset)
        assert "grpc_server_handled_total{" in text
        assert f"\n{name}_" in text, name


def test_native_run_and_friends(cluster):
    run = cluster.slipway("run", "--rm", "busybox", "sh", "-c", "echo native; echo err >&2; exit 6", check=False)
    assert (run.stdout, run.stderr, run.returncode) == ("native\n", "err\n", 6)
    cluster.slipway("run", "-d", "--name", "nat", "busybox", "sh", "-c", "echo line; sleep 1000")
    assert "nat" in cluster.slipway("ps").stdout
    assert cluster.slipway("exec", "nat", "echo", "in").stdout == "in\n"
    assert cluster.slipway("logs", "nat").stdout == "line\n"
    assert json.loads(cluster.slipway("inspect", "nat").stdout)
    cluster.slipway("stop", "-t", "1", "nat")
    cluster.slipway("rm", "nat")
    assert "busybox" in cluster.slipway("images").stdout
    assert "container" in cluster.slipway("version").stdout


def test_native_errors(cluster):
    run = cluster.slipway("run", "--rm", "nosuch/image:1", "true", check=False)
    assert run.returncode == 125 and "nosuch/image" in run.stderr
    run = cluster.slipway("run", "--rm", "busybox", "nosuch", check=False)
    assert run.returncode == 127 and "executable file not found" in run.stderr
    run = cluster.slipway("logs", "nosuch", check=False)
    assert run.returncode == 1 and "nosuch" in run.stderr


def raw(channel, method, request=b""):
    call = channel.unary_unary(method, request_serializer=lambda b: b, response_deserializer=lambda b: b)
    return call(request, timeout=10)


def test_health_of_every_service(cluster):
    for name in ("image", "container", "log", "agent", "slipway"):
        with grpc.insecure_channel(f"unix:{cluster.run_dir}/{name}.sock") as channel:
            assert raw(channel, "/grpc.health.v1.Health/Check") == b"\x08\x01", name


def test_reflection_names_the_public_services(cluster):
    # grpc.reflection.v1alpha: list_services is field 7 of the request.
    with grpc.insecure_channel(f"unix:{cluster.run_dir}/slipway.sock") as channel:
        stream = channel.stream_stream("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
                                       request_serializer=lambda b: b, response_deserializer=lambda b: b)
        answer = next(iter(stream(iter([b"\x3a\x01*"]), timeout=10)))
    for service in (b"slipway.image.v1.ImageService", b"slipway.container.v1.ContainerService",
                    b"slipway.log.v1.LogService", b"slipway.agent.v1.StreamService"):
        assert service in answer
    assert b"slipway.agent.v1.AgentService" not in answer


def test_the_agents_own_service_is_not_public(cluster):
    with grpc.insecure_channel(f"unix:{cluster.run_dir}/slipway.sock") as channel:
        try:
            raw(channel, "/slipway.agent.v1.AgentService/ListContainers")
            assert False, "forwarded"
        except grpc.RpcError as error:
            assert error.code() == grpc.StatusCode.UNIMPLEMENTED
