"""Builds of real software on Debian's base: by apt with its caches in mounts, by a compiler in a stage of its own, by npm; and
then it runs."""

import json
import subprocess
import urllib.request

import images
import pytest
from cluster import free_port_range, wait_until
from test_build import build, inspect, write_context

APT = ("RUN --mount=type=cache,target=/var/cache/apt,sharing=locked --mount=type=cache,target=/var/lib/apt/lists,sharing=locked "
       "apt-get update -qq -o Acquire::Retries=5 && "
       "DEBIAN_FRONTEND=noninteractive apt-get install -o Acquire::Retries=5 -y -qq --no-install-recommends")


@pytest.fixture(scope="module")
def debian(shared_cluster):
    """The instance with `debian:base`, from debootstrap."""
    with images.debian_root("minbase-root", "ca-certificates").open("rb") as tar:
        subprocess.run(["/usr/bin/docker", "import", "-", "debian:base"], stdin=tar, env=shared_cluster.env, check=True,
                       capture_output=True, timeout=120)
    yield shared_cluster
    shared_cluster.docker("builder", "prune", "-af", check=False)
    shared_cluster.docker("rmi", "-f", "debian:base", check=False)


def make(cluster, directory, name, dockerfile, files=None, *options):
    write_context(directory, dockerfile, files or {})
    build(cluster, directory, "--network", "host", "-t", name, *options, timeout=580)


@pytest.fixture
def start(debian):
    """Starts a container on the host's network, and removes it and its image in the end."""
    started = []

    def run(image, *arguments):
        container = debian.docker("run", "-d", "--network", "host", image, *arguments).stdout.strip()
        started.append((container, image))
        return container

    yield run
    for container, image in started:
        debian.docker("rm", "-fv", container)
        debian.docker("rmi", image)


def inside(cluster, container, *command):
    return cluster.docker("exec", container, *command, check=False).stdout.strip()


def test_redis(debian, start, tmp_path):
    make(debian, tmp_path, "redis:built", f"""
FROM debian:base
{APT} redis-server
COPY redis.conf /etc/redis/
USER redis
WORKDIR /var/lib/redis
CMD ["redis-server", "/etc/redis/redis.conf"]
""", {"redis.conf": "bind 127.0.0.1\nsave \"\"\n"})
    port = free_port_range(1)
    container = start("redis:built", "redis-server", "/etc/redis/redis.conf", "--port", str(port))
    wait_until(lambda: inside(debian, container, "redis-cli", "-p", str(port), "ping") == "PONG", "redis answers", 20)
    assert inside(debian, container, "redis-cli", "-p", str(port), "set", "key", "value") == "OK"


def test_nginx(debian, start, tmp_path):
    port = free_port_range(1)
    make(debian, tmp_path, "nginx:built", f"""
FROM debian:base
{APT} nginx-light
RUN ln -sf /dev/stdout /var/log/nginx/access.log && ln -sf /dev/stderr /var/log/nginx/error.log && \\
    sed -i '/listen \\[::\\]/d; s/listen 80 default_server;/listen 127.0.0.1:{port};/' /etc/nginx/sites-enabled/default
COPY html /var/www/html
STOPSIGNAL SIGQUIT
CMD ["nginx", "-g", "daemon off;"]
""", {"html/page.html": "<h1>built here</h1>\n"})
    container = start("nginx:built")

    def page():
        try:
            return urllib.request.urlopen(f"http://127.0.0.1:{port}/page.html", timeout=5).read()
        except OSError:
            return b""

    wait_until(lambda: page() == b"<h1>built here</h1>\n", "nginx answers", 20)
    assert "GET /page.html" in debian.docker("logs", container).stdout
    # A changed page costs the COPY alone.
    (tmp_path / "html" / "page.html").write_text("new\n")
    assert build(debian, tmp_path, "--network", "host").stdout.count("Using cache") == 2


def test_postgresql(debian, start, tmp_path):
    make(debian, tmp_path, "postgres:built", f"""
FROM debian:base
{APT} postgresql
ENV PATH=$PATH:/usr/lib/postgresql/15/bin PGDATA=/var/lib/postgresql/data
USER postgres
RUN initdb -A trust && echo "CREATE TABLE t (n int); INSERT INTO t SELECT generate_series(1, 100);" | \\
    postgres --single postgres
CMD ["postgres", "-c", "listen_addresses="]
""")
    # What apt fetched is in the cache volume and in no layer.
    sizes = debian.docker("run", "--rm", "--network", "none", "postgres:built", "sh", "-c",
                          "ls /var/cache/apt/archives /var/lib/apt/lists | wc -l").stdout
    assert int(sizes) <= 4
    container = start("postgres:built")
    query = ("psql", "-h", "/var/run/postgresql", "-U", "postgres", "-Atc", "SELECT sum(n) FROM t")
    wait_until(lambda: inside(debian, container, *query) == "5050", "postgres answers", 30)


def test_a_program_in_cpp_by_a_stage_of_its_own(debian, tmp_path):
    make(debian, tmp_path, "program:built", f"""
FROM debian:base AS compiler
{APT} g++ libc6-dev
WORKDIR /src
COPY *.cc .
RUN g++ -O2 -static -o /program *.cc

FROM scratch
COPY --from=compiler /program /program
ENTRYPOINT ["/program"]
""", {"main.cc": '#include <cstdio>\n#include <string>\nstd::string Greeting();\n'
                 'int main(int, char** v) { std::printf("%s %s\\n", Greeting().c_str(), v[1]); }\n',
      "greeting.cc": '#include <string>\nstd::string Greeting() { return "hello"; }\n'})
    assert debian.docker("run", "--rm", "program:built", "there").stdout == "hello there\n"
    image = inspect(debian, "program:built")
    assert len(image["RootFS"]["Layers"]) == 1 and image["Size"] < 10 << 20
    debian.docker("rmi", "program:built")


def test_an_application_of_the_npm_registry(debian, start, tmp_path):
    """npm itself comes from there, too: Debian's brings half a thousand packages along."""
    registry = subprocess.run(["npm", "config", "get", "registry"], check=True, capture_output=True, text=True).stdout.strip()
    port = free_port_range(1)
    make(debian, tmp_path, "app:built", f"""
FROM debian:base
{APT} nodejs
ARG REGISTRY
ADD --unpack=true ${{REGISTRY}}npm/-/npm-9.9.4.tgz /opt/npm/
COPY ca.crt /etc/ssl/certs/build-ca.crt
WORKDIR /app
COPY package.json .
RUN --mount=type=cache,target=/root/.npm NODE_EXTRA_CA_CERTS=/etc/ssl/certs/build-ca.crt \\
    node /opt/npm/package/bin/npm-cli.js install --omit=dev --no-audit --no-fund --fetch-retries=5 --cafile=/etc/ssl/certs/build-ca.crt \\
    --registry=$REGISTRY
COPY server.js .
USER 1000
CMD ["node", "server.js"]
""", {"package.json": json.dumps({"name": "app", "version": "1.0.0", "dependencies": {"express": "4.19.2"}}),
      "server.js": "const app = require('express')();\napp.get('/', (q, r) => r.json({id: process.getuid()}));\n"
                   "app.listen(process.env.PORT, '127.0.0.1');\n",
      "ca.crt": open("/etc/ssl/certs/ca-certificates.crt").read()},
         "--build-arg", f"REGISTRY={registry}")
    start("app:built", "sh", "-c", f"PORT={port} exec node server.js")

    def answer():
        try:
            return json.load(urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5))
        except OSError:
            return None

    wait_until(lambda: answer() == {"id": 1000}, "the application answers", 20)
