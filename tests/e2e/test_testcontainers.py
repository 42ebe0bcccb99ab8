"""Testcontainers for Node, as its users write it: a client that waits for ports, logs and health by ways of its own."""

import json
import subprocess

import pytest
from npm import node_env

SCRIPT = """
const { GenericContainer, Network, Wait } = require("testcontainers");
const seen = {};

async function main() {
  const network = await new Network().start();
  const web = await new GenericContainer("busybox")
    .withNetwork(network).withNetworkAliases("web").withExposedPorts(8080)
    .withCommand(["sh", "-c", "echo hello >/index.html; echo listening; exec httpd -f -p 8080 -h /"])
    .withCopyContentToContainer([{ content: "copied", target: "/copied.txt" }])
    .withEnvironment({ GREETING: "hi" }).withLabels({ of: "testcontainers" }).withTmpFs({ "/scratch": "rw" })
    .withResourcesQuota({ memory: 0.25, cpu: 0.5 })
    .withWaitStrategy(Wait.forAll([Wait.forListeningPorts(), Wait.forLogMessage("listening"), Wait.forHttp("/index.html", 8080)]))
    .start();
  const address = `http://${web.getHost()}:${web.getMappedPort(8080)}`;
  seen.copied = await (await fetch(`${address}/copied.txt`)).text();
  seen.localhost = await (await fetch(`http://localhost:${web.getMappedPort(8080)}/index.html`)).text();
  const { exitCode, stdout, stderr } = await web.exec(["sh", "-c", "echo $GREETING; echo no >&2; exit 3"]);
  seen.exec = [exitCode, stdout, stderr];

  const client = await new GenericContainer("busybox").withNetwork(network)
    .withCommand(["sh", "-c", "wget -qO- http://web:8080/index.html && sleep 600"]).withWaitStrategy(Wait.forLogMessage("hello")).start();
  await web.restart();
  seen.restarted = await (await fetch(`http://${web.getHost()}:${web.getMappedPort(8080)}/index.html`)).text();
  const archive = await web.copyArchiveFromContainer("/copied.txt");
  seen.archive = 0;
  for await (const piece of archive) seen.archive += piece.length;

  const image = await GenericContainer.fromDockerfile(process.argv[2]).withBuildArgs({ WHO: "you" }).build("of-testcontainers:1",
    { deleteOnExit: false });
  const built = await image.withWaitStrategy(Wait.forLogMessage("hi you")).start();
  const healthy = await new GenericContainer("busybox").withCommand(["sleep", "600"])
    .withHealthCheck({ test: ["CMD-SHELL", "test -f /ok || { touch /ok; false; }"], interval: 200, timeout: 1000, retries: 5 })
    .withWaitStrategy(Wait.forHealthCheck()).start();
  await healthy.commit({ repo: "healthy", tag: "1" });
  await Promise.all([web, client, built, healthy].map((container) => container.stop()));
  await network.stop();
}

main().then(() => console.log(JSON.stringify(seen)), (error) => { console.error(error); process.exit(1); });
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    directory = tmp_path_factory.mktemp("testcontainers")
    (directory / "main.js").write_text(SCRIPT)
    (directory / "context").mkdir()
    (directory / "context" / "Dockerfile").write_text("FROM busybox\nARG WHO\nRUN echo hi $WHO >/hi\nCMD cat /hi; sleep 600\n")
    return directory


# Which of its networks a container is published by depends on the networks' names, which are random.
@pytest.mark.parametrize("turn", range(3))
def test_testcontainers(cluster, program, turn):
    env = {**node_env("testcontainers@10.28.0"), **cluster.env, "TESTCONTAINERS_RYUK_DISABLED": "true"}
    run = subprocess.run(["node", program / "main.js", program / "context"], env=env, capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr
    seen = json.loads(run.stdout.splitlines()[-1])
    assert seen.pop("archive") >= 1024
    assert seen == {"copied": "copied", "localhost": "hello\n", "restarted": "hello\n", "exec": [3, "hi\n", "no\n"]}
    assert cluster.docker("ps", "-aq").stdout == ""
    assert cluster.docker("network", "ls", "-q", "--filter", "type=custom").stdout == ""
    assert cluster.docker("images", "-q", "healthy:1").stdout and cluster.docker("images", "-q", "of-testcontainers:1").stdout
