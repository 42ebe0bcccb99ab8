import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from cluster import Cluster  # noqa: E402
from peers import Dockerd, Registry  # noqa: E402


@pytest.fixture(scope="session")
def shared_cluster():
    """One instance for all tests that only add and remove things of their own."""
    cluster = Cluster()
    try:
        cluster.up()
        cluster.busybox()
        yield cluster
    finally:
        cluster.close()


@pytest.fixture
def cluster(shared_cluster, request):
    """The shared instance; what a test left running is removed after it."""
    yield shared_cluster
    ids = shared_cluster.docker("ps", "-aq").stdout.split()
    if ids:
        shared_cluster.docker("rm", "-f", *ids)
    if shared_cluster.docker("network", "ls", "-q", "--filter", "type=custom").stdout:
        shared_cluster.docker("network", "prune", "-f")


@pytest.fixture
def own_cluster():
    """An instance that the test may break."""
    cluster = Cluster()
    try:
        cluster.up()
        cluster.busybox()
        yield cluster
    finally:
        cluster.close()


@pytest.fixture(scope="session")
def registry():
    registry = Registry()
    yield registry
    registry.close()


@pytest.fixture(scope="session")
def dockerd():
    dockerd = Dockerd()
    yield dockerd
    dockerd.close()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """A failed test shows what the services logged."""
    outcome = yield
    report = outcome.get_result()
    if report.when == "call" and report.failed:
        for name in ("shared_cluster", "own_cluster"):
            if name in item.funcargs or (name == "shared_cluster" and "cluster" in item.funcargs):
                cluster = item.funcargs.get(name) or item.funcargs["cluster"]
                report.sections.append(("services", cluster.logs()))
