"""A stack of real software driven by docker-compose: PostgreSQL, redis, an application and nginx in front of it."""

import urllib.request

import images
import pytest
from cluster import free_port_range, wait_until
from test_compose import Project

APPLICATION = r"""
import http.server, psycopg2, redis
cache = redis.Redis("cache")
class Handler(http.server.BaseHTTPRequestHandler):
    def answer(self, text):
        self.send_response(200); self.end_headers(); self.wfile.write(text.encode())
    def do_GET(self):
        with psycopg2.connect(host="db", user="postgres") as db, db.cursor() as rows:
            rows.execute("create table if not exists notes (id serial, note text)")
            rows.execute("select note from notes order by id")
            self.answer(" ".join(note for note, in rows) + " read %d times\n" % cache.incr("reads"))
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
bin=$$(echo /usr/lib/postgresql/*/bin)
chown postgres /data
postgres() { setpriv --reuid=postgres --regid=postgres --clear-groups "$$@"; }
[ -e /data/PG_VERSION ] || { postgres $$bin/initdb -D /data -A trust >/dev/null; echo "host all all all trust" >>/data/pg_hba.conf; }
exec setpriv --reuid=postgres --regid=postgres --clear-groups $$bin/postgres -D /data -c listen_addresses='*' -c unix_socket_directories=/tmp
"""

FRONT = """
cat >/etc/nginx/conf.d/front.conf <<END
server { listen 8080; location / { proxy_pass http://app:8000; } }
END
exec nginx -g 'daemon off;'
"""


def service(command, **options):
    return {"image": "stack", "stop_grace_period": "5s", "command": command, **options}


def stack(port):
    healthy = {"interval": "300ms", "timeout": "5s", "retries": 100}
    return {
        "version": "2.4",
        "services": {
            "db": service(["sh", "-c", DATABASE], volumes=["rows:/data"], stop_signal="SIGINT",
                          healthcheck={"test": ["CMD", "pg_isready", "-h", "127.0.0.1"], **healthy}),
            "cache": service(["redis-server", "--bind", "0.0.0.0", "--protected-mode", "no", "--dir", "/cache", "--appendonly", "yes"],
                             volumes=["cache:/cache"], healthcheck={"test": ["CMD", "redis-cli", "ping"], **healthy}),
            "app": service(["python3", "-c", APPLICATION.replace("$", "$$")],
                           depends_on={"db": {"condition": "service_healthy"}, "cache": {"condition": "service_healthy"}},
                           healthcheck={"test": ["CMD", "python3", "-c",
                                                 "import socket; socket.create_connection(('127.0.0.1', 8000))"], **healthy}),
            "front": service(["sh", "-c", FRONT], ports=[f"127.0.0.1:{port}:8080"],
                             depends_on={"app": {"condition": "service_healthy"}}),
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


@pytest.fixture
def project(cluster, tmp_path):
    cluster.docker("import", "--change", "ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                   images.stack_root(), "stack", timeout=120)
    port = free_port_range(1)
    project = Project(cluster, tmp_path, stack(port), "shop")
    project.port = port
    yield project
    project.compose("down", "-v", "-t", "1", check=False)
    cluster.docker("rmi", "stack", check=False)


def test_rows_outlive_the_stack(project):
    port = project.port
    project.compose("up", "-d")
    wait_until(lambda: reachable(port), "the front answers", 30)
    assert ask(port, "first") == "kept\n"
    assert ask(port, "second") == "kept\n"
    before = ask(port)
    assert before.startswith("first second read ")
    project.compose("down")
    assert project.states() == {}
    assert not reachable(port)
    project.compose("up", "-d")
    wait_until(lambda: reachable(port), "the front answers again", 30)
    after = ask(port)
    assert after.startswith("first second read ")
    assert int(after.split()[3]) > int(before.split()[3])
    assert "listening on IPv4 address" in project.compose("logs", "db").stdout
    project.compose("down", "-v")
    assert not {"shop_rows", "shop_cache"} & set(project.cluster.docker("volume", "ls", "-q").stdout.split())
