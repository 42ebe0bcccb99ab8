"""Logs as real software writes them: nginx under load, PostgreSQL that logs each statement of pgbench, dpkg."""

# Needles are 1 in so many requests, transactions and copies of dpkg's log.
RARE = 1000

WEB_LOAD = r"""
import random, socket, sys
total, chooser = int(sys.argv[1]), random.Random(1)
agents = ["Mozilla/5.0 (X11; Linux x86_64; rv:109.0) Gecko/20100101 Firefox/115.0", "curl/7.88.1",
          "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/119.0 Safari/537.36"]
web = socket.create_connection(("127.0.0.1", 8080))
for first in range(0, total, 200):
    count = min(200, total - first)
    for i in range(first, first + count):
        path = "/needle/%d" % i if i % RARE == 0 else chooser.choice(("/", "/cart", "/item/%d" % chooser.randrange(5000)))
        web.sendall(("GET %s HTTP/1.1\r\nHost: shop\r\nReferer: http://shop/item/%d\r\nUser-Agent: %s\r\n\r\n" %
                     (path, chooser.randrange(5000), chooser.choice(agents))).encode())
    got = b""
    while got.count(b"\r\n\r\nfine") < count:
        part = web.recv(1 << 16)
        assert part, got[-200:]
        got += part
"""

WEB = f"""
set -e
cat >/etc/nginx/nginx.conf <<END
worker_processes 1; error_log /dev/stderr; pid /run/nginx.pid;
events {{ }}
http {{
  log_format combined_time '\\$remote_addr - \\$remote_user [\\$time_local] "\\$request" \\$status \\$body_bytes_sent '
                           '"\\$http_referer" "\\$http_user_agent" \\$request_time';
  access_log /dev/stdout combined_time; keepalive_requests 1000000000;
  server {{ listen 127.0.0.1:8080; location / {{ return 200 "fine"; }} }}
}}
END
nginx
cat >/load.py <<'END'
RARE = {RARE}
{WEB_LOAD}END
python3 /load.py $0
nginx -s quit
"""

DATABASE = f"""
set -e
PATH=$(echo /usr/lib/postgresql/*/bin):$PATH
mkdir /data; chown postgres /data
as() {{ setpriv --reuid=postgres --regid=postgres --clear-groups "$@"; }}
as initdb -D /data -A trust >/dev/null
as postgres -D /data -c fsync=off -c listen_addresses= -c unix_socket_directories=/tmp -c log_min_duration_statement=0 &
until psql -qh /tmp -U postgres -c 'select 1' >/dev/null 2>&1; do sleep 0.1; done
pgbench -qih /tmp -U postgres postgres >/dev/null 2>&1
transactions=$0
while [ $transactions -gt 0 ]; do
  pgbench -nh /tmp -U postgres -c 2 -t {RARE // 2} postgres >/dev/null 2>&1
  psql -qh /tmp -U postgres -c "select 'needle $transactions'" >/dev/null
  transactions=$((transactions - {RARE}))
done
as pg_ctl -D /data stop -m fast >/dev/null
wait
"""

PACKAGES = """
i=0
while [ $i -lt $0 ]; do
  cat /var/log/dpkg.log; i=$((i+1))
  [ $((i % 10)) -ne 0 ] || echo "2026-01-01 00:00:00 install needle:amd64 <none> $i"
done
"""


def run(docker, image, requests, transactions, copies):
    """Runs all three at once to their ends. {name: how many needles its log has}."""
    jobs = {"web": (WEB, requests), "database": (DATABASE, transactions), "packages": (PACKAGES, copies)}
    for name, (script, count) in jobs.items():
        docker("run", "-d", "--name", name, "--network", "none", image, "sh", "-c", script, str(count))
    for name in jobs:
        code = docker("wait", name, timeout=1200).stdout.strip()
        assert code == "0", (name, code, docker("logs", "--tail", "20", name).stderr)
    return {"web": -(-requests // RARE), "database": -(-transactions // RARE), "packages": copies // 10}


def is_sealed(directory):
    """Whether a log is packed, but for the segment that would be appended to: that has nothing."""
    plain = list(directory.glob("*.seg"))
    try:
        return any(directory.glob("*.zst")) and len(plain) == 1 and plain[0].stat().st_size < 1000
    except FileNotFoundError:  # packed at this moment
        return False
