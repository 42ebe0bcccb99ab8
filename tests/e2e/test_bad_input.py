"""What goes wrong is told with Docker's status code and exit code, by name, and leaves nothing behind."""

import http.client
import json
import socket

import pytest
from cluster import wait_until


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=20)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(20)
        self.sock.connect(str(self.path))


def call(cluster, method, path, body=None, headers=None):
    connection = UnixConnection(cluster.socket)
    connection.request(method, path, body, headers or {"Content-Type": "application/json"})
    response = connection.getresponse()
    data = response.read()
    return response.status, data


def message(data):
    return json.loads(data)["message"]


@pytest.fixture(autouse=True)
def nothing_is_left(cluster):
    yield
    ids = cluster.docker("ps", "-aq").stdout.split()
    if ids:
        cluster.docker("rm", "-f", *ids)
    wait_until(cluster.is_clean, "everything of the container is gone")


def test_unknown_image(cluster):
    run = cluster.docker("run", "--rm", "--pull", "never", "nosuch:1", check=False)
    assert run.returncode == 125 and "No such image: nosuch:1" in run.stderr


def test_unknown_command(cluster):
    run = cluster.docker("run", "--name", "unknown", "busybox", "nosuch", check=False)
    assert run.returncode == 127
    assert 'exec: "nosuch": executable file not found in $PATH' in run.stderr
    assert "Error waiting" not in run.stderr  # the client's word for a wait that tells of the failure once more
    assert cluster.docker("inspect", "-f", "{{.State.ExitCode}} {{.State.Status}}", "unknown").stdout == "127 created\n"
    run = cluster.docker("run", "--rm", "busybox", "nosuch", check=False)
    assert run.returncode == 127 and "not found in $PATH" in run.stderr and "Error waiting" not in run.stderr


def test_command_that_is_not_executable(cluster):
    run = cluster.docker("run", "--rm", "busybox", "/etc/passwd", check=False)
    assert run.returncode == 126 and "permission denied" in run.stderr


def test_command_that_is_a_directory(cluster):
    run = cluster.docker("run", "--rm", "busybox", "/etc", check=False)
    assert run.returncode == 126


def test_unknown_user(cluster):
    run = cluster.docker("run", "--rm", "-u", "nosuch", "busybox", "true", check=False)
    assert run.returncode in (125, 126) and "nosuch" in run.stderr


def test_missing_bind_source(cluster):
    run = cluster.docker("run", "--rm", "--mount", "type=bind,src=/no/such,dst=/x", "busybox", "true", check=False)
    assert run.returncode == 125 and "/no/such" in run.stderr


@pytest.mark.parametrize("body", [b"{", b"[]", b'"x"', b'{"Image": 7}', b"[" * 100000, b"\xff\xfe", b""])
def test_bad_json(cluster, body):
    status, data = call(cluster, "POST", "/v1.41/containers/create", body)
    assert status == 400 and message(data)


@pytest.mark.parametrize("name", ["UPPER", "a//b", "-x", "a:b:c", "a@sha256:12", "%20", "x" * 300])
def test_image_name_that_cannot_be_parsed(cluster, name):
    status, data = call(cluster, "POST", f"/v1.41/images/create?fromImage={name}&tag=latest")
    assert status == 400 and "invalid reference format" in message(data).lower()


def test_container_name_in_use(cluster):
    cluster.docker("create", "--name", "taken", "busybox")
    run = cluster.docker("create", "--name", "taken", "busybox", check=False)
    assert run.returncode == 1 and 'The container name "/taken" is already in use' in run.stderr


@pytest.mark.parametrize("name", ["-x", "a b", "ä", "a/b"])
def test_bad_container_name(cluster, name):
    run = cluster.docker("create", "--name", name, "busybox", check=False)
    assert run.returncode != 0 and "Invalid container name" in run.stderr


@pytest.mark.parametrize("method,path,status", [
    ("GET", "/v1.41/containers/nosuch/json", 404),
    ("POST", "/v1.41/containers/nosuch/start", 404),
    ("DELETE", "/v1.41/containers/nosuch", 404),
    ("POST", "/v1.41/containers/nosuch/exec", 404),
    ("GET", "/v1.41/images/nosuch/json", 404),
    ("GET", "/v1.41/nosuch", 404),
    ("GET", "/v1.99/version", 400),
    ("GET", "/v1.12/version", 400),
])
def test_status_codes(cluster, method, path, status):
    body = b'{"Cmd":["true"]}' if path.endswith("exec") else None
    assert call(cluster, method, path, body)[0] == status


def test_removing_a_running_container_is_refused(cluster):
    cluster.docker("run", "-d", "--name", "runs", "busybox", "sleep", "1000")
    run = cluster.docker("rm", "runs", check=False)
    assert run.returncode == 1 and "cannot remove" in run.stderr.lower()


def test_exec_in_a_stopped_container(cluster):
    cluster.docker("create", "--name", "still", "busybox")
    run = cluster.docker("exec", "still", "true", check=False)
    assert run.returncode == 1 and "is not running" in run.stderr


def test_too_little_memory(cluster):
    run = cluster.docker("run", "--rm", "-m", "1m", "busybox", "true", check=False)
    assert run.returncode == 125 and "memory" in run.stderr.lower()


def test_port_in_use(cluster):
    with socket.socket() as busy:
        busy.bind(("0.0.0.0", 0))
        busy.listen()
        port = busy.getsockname()[1]
        run = cluster.docker("run", "--name", "port", "-p", f"{port}:80", "busybox", "true", check=False)
        assert run.returncode == 125 and str(port) in run.stderr


def test_hostile_http(cluster):
    for request in (b"GET /_ping HTTP/1.1\r\n" + b"X: " + b"a" * 200000 + b"\r\n\r\n", b"\x00\x01\x02\r\n\r\n",
                    b"POST /containers/create HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n"):
        with socket.socket(socket.AF_UNIX) as raw:
            raw.settimeout(10)
            raw.connect(str(cluster.socket))
            raw.sendall(request)
            answer = raw.recv(65536)
            assert answer == b"" or b" 4" in answer.split(b"\r\n")[0]
    assert cluster.docker("version", check=False).returncode == 0
