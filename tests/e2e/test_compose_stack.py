"""A stack of real software driven by docker-compose: PostgreSQL, redis, an application and nginx in front of it, each
built by a Dockerfile of Debian packages."""

import os
import time
import urllib.request

import images
import pytest
from cluster import free_port_range, wait_until
from test_compose import Project

LONG = bool({"bench", "faults"} & set(os.environ.get("SLIPWAY_LONG", "").split()))

APPLICATION = r"""
import http.server, psycopg2, redis, socket
cache = redis.Redis("cache")
class Handler(http.server.BaseHTTPRequestHandler):
    def answer(self, text):
        self.send_response(200); self.end_headers(); self.wfile.write(text.encode())
    def do_GET(self):
        with psycopg2.connect(host="db", user="postgres") as db, db.cursor() as rows:
            rows.execute("create table if not exists notes (id serial, note text)")
            rows.execute("select note from notes order by id")
            self.answer(" ".join(note for note, in rows) + " read %d times by %s\n" % (cache.incr("reads"), socket.gethostname()))
    def do_POST(self):
        note = self.rfile.read(int(self.headers["Content-Length"])).decode()
        with psycopg2.connect(host="db", user="postgres") as db, db.cursor() as rows:
            rows.execute("create table if not exists notes (id serial, note text)")
            rows.execute("insert into notes (note) values (%s)", (note,))
        self.answer("kept\n")
http.server.ThreadingHTTPServer(("", 8000), Handler).serve_forever()
"""

DATABASE = """
set -e
bin=$(echo /usr/lib/postgresql/*/bin)
chown postgres /data
postgres() { setpriv --reuid=postgres --regid=postgres --clear-groups "$@"; }
[ -e /data/PG_VERSION ] || { postgres $bin/initdb -D /data -A trust >/dev/null; echo "host all all all trust" >>/data/pg_hba.conf; }
exec setpriv --reuid=postgres --regid=postgres --clear-groups $bin/postgres -D /data -c listen_addresses='*' -c unix_socket_directories=/tmp
"""

FRONT = "server { listen 8080; location / { proxy_pass http://app:8000; } }\n"


# What each service is built of. Its Debian packages come from a mirror where the base has them not.
SERVICES = {
    "db": ("postgresql", {"start.sh": DATABASE}, 'VOLUME /data\nSTOPSIGNAL SIGINT\nCMD ["sh", "/start.sh"]'),
    "cache": ("redis-server", {}, 'CMD ["redis-server", "--bind", "0.0.0.0", "--protected-mode", "no", "--dir", "/cache", "--appendonly", "yes"]'),
    "app": ("python3-psycopg2 python3-redis", {"app.py": APPLICATION}, 'EXPOSE 8000\nCMD ["python3", "-u", "/app.py"]'),
    "front": ("nginx-light", {"front.conf": FRONT}, 'RUN mv /front.conf /etc/nginx/conf.d/\nCMD ["nginx", "-g", "daemon off;"]'),
}

DOCKERFILE = """
ARG BASE
FROM $BASE
ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
ARG PACKAGES
RUN dpkg -s $PACKAGES >/dev/null 2>&1 || {{ apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $PACKAGES; }}
COPY . /
{rest}
"""


def write_contexts(directory):
    for name, (_, files, rest) in SERVICES.items():
        context = directory / name
        context.mkdir()
        (context / "Dockerfile").write_text(DOCKERFILE.format(rest=rest))
        (context / ".dockerignore").write_text("Dockerfile\n.dockerignore\n")
        for file, text in files.items():
            (context / file).write_text(text)


def service(name, base, **options):
    build = {"context": f"./{name}", "args": {"BASE": base, "PACKAGES": SERVICES[name][0]}}
    return {"build": build, "stop_grace_period": "5s", **options}


def stack(port, base):
    healthy = {"interval": "300ms", "timeout": "5s", "retries": 100}
    return {
        "version": "2.4",
        "services": {
            "db": service("db", base, volumes=["rows:/data"],
                          healthcheck={"test": ["CMD", "pg_isready", "-h", "127.0.0.1"], **healthy}),
            "cache": service("cache", base, volumes=["cache:/cache"], healthcheck={"test": ["CMD", "redis-cli", "ping"], **healthy}),
            "app": service("app", base,
                           depends_on={"db": {"condition": "service_healthy"}, "cache": {"condition": "service_healthy"}},
                           healthcheck={"test": ["CMD", "python3", "-c",
                                                 "import socket; socket.create_connection(('127.0.0.1', 8000))"], **healthy}),
            "front": service("front", base, ports=[f"127.0.0.1:{port}:8080"], depends_on={"app": {"condition": "service_healthy"}}),
        },
        "volumes": {"rows": {}, "cache": {}},
    }


def ask(port, note=None):
    request = urllib.request.Request(f"http://127.0.0.1:{port}/", data=note.encode() if note else None)
    return urllib.request.urlopen(request, timeout=20).read().decode()


def reachable(port):
    try:
        return ask(port) is not None
    except OSError:
        return False


def first_times(project, begin):
    """{(service, action): when it was first told of, in nanoseconds}"""
    out = project.cluster.docker("events", "--since", f"{begin:.6f}", "--until", f"{time.time():.6f}", "--filter", "type=container",
                                 "--format", "{{.TimeNano}}|{{index .Actor.Attributes \"com.docker.compose.service\"}}|{{.Action}}").stdout
    times = {}
    for line in out.splitlines():
        at, service_name, action = line.split("|")
        times.setdefault((service_name, action), int(at))
    return times


@pytest.fixture
def project(cluster, tmp_path):
    """In the long form the packages are installed by the build; otherwise the base has them."""
    base, root = ("minimal", images.minimal_root()) if LONG else ("stack", images.stack_root())
    cluster.docker("import", root, base, timeout=120)
    port = free_port_range(1)
    write_contexts(tmp_path)
    project = Project(cluster, tmp_path, stack(port, base), "shop")
    project.port = port
    yield project
    project.compose("down", "-v", "--rmi", "local", "-t", "1", check=False)
    cluster.docker("rmi", base, check=False)


def test_rows_outlive_the_stack(project):
    port = project.port
    built = project.compose("build", timeout=900).stdout
    assert built.count("Successfully tagged shop_") == 4
    begin = time.time()
    project.compose("up", "-d")
    assert project.compose("ps", "-q").stdout.count("\n") == 4
    wait_until(lambda: reachable(port), "the front answers", 30)
    assert ask(port, "first") == "kept\n"
    assert ask(port, "second") == "kept\n"
    before = ask(port)
    assert before.startswith("first second read ")
    # Each began when what it depends on was healthy.
    times = first_times(project, begin)
    assert max(times["db", "health_status: healthy"], times["cache", "health_status: healthy"]) < times["app", "start"]
    assert times["app", "health_status: healthy"] < times["front", "start"]
    assert "database system is ready to accept connections" in project.compose("logs", "db").stdout
    count = ["exec", "-T", "db", "psql", "-h", "127.0.0.1", "-U", "postgres", "-Atc", "select count(*) from notes"]
    assert project.compose(*count).stdout == "2\n"
    # nginx asks for the name once, when it starts, and takes all that it is told.
    project.compose("up", "-d", "--scale", "app=3")
    project.compose("restart", "front")
    wait_until(lambda: reachable(port), "the front answers after its restart", 30)
    assert len({ask(port).split()[-1] for _ in range(30)}) == 3
    project.compose("down")
    assert project.states() == {}
    assert not reachable(port)
    project.compose("up", "-d")
    wait_until(lambda: reachable(port), "the front answers again", 30)
    after = ask(port)
    assert after.startswith("first second read ")
    assert int(after.split()[3]) > int(before.split()[3])
    assert project.compose(*count).stdout == "2\n"
    assert "listening on IPv4 address" in project.compose("logs", "db").stdout
    project.compose("down", "-v")
    assert not {"shop_rows", "shop_cache"} & set(project.cluster.docker("volume", "ls", "-q").stdout.split())
