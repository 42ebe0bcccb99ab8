import pathlib
import subprocess
import sys

import pytest

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parent), str(pathlib.Path(__file__).resolve().parents[2])]

from hostile_registry import HostileRegistry, make_layer  # noqa: E402
from image_client import ImageService  # noqa: E402

FAST = ["--registry_stall_timeout=2s", "--registry_connect_timeout=2s", "--registry_attempts=3"]


@pytest.fixture
def service():
    service = ImageService(*FAST)
    try:
        yield service
    finally:
        service.close()


@pytest.fixture
def hostile():
    registry = HostileRegistry()
    yield registry
    registry.close()


@pytest.fixture
def layers():
    return [make_layer(seed) for seed in range(3)]


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    """(certificate authority, server certificate, key) for 127.0.0.1."""
    directory = tmp_path_factory.mktemp("tls")
    run = lambda *arguments: subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)  # noqa
    run("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=test-ca", "-keyout",
        directory / "ca.key", "-out", directory / "ca.crt")
    run("req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=127.0.0.1", "-keyout", directory / "key", "-out",
        directory / "csr")
    (directory / "ext").write_text("subjectAltName=IP:127.0.0.1\n")
    run("x509", "-req", "-in", directory / "csr", "-CA", directory / "ca.crt", "-CAkey", directory / "ca.key",
        "-CAcreateserial", "-days", "2", "-extfile", directory / "ext", "-out", directory / "crt")
    return directory / "ca.crt", directory / "crt", directory / "key"
