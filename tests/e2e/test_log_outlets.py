"""Container output at real collectors: Debian's rsyslog over UDP, TCP and TLS, and the Fluent project's own server of the
forward protocol."""

import contextlib
import json
import os
import re
import socket
import subprocess

import images
import pytest
from cluster import free_port_range, wait_until
from npm import node_env
from peers import Peer

SCRIPT = "i=0; while [ $i -lt {lines} ]; do i=$((i+1)); echo line $i of a container; done; usleep 50000; echo bad >&2"


class Rsyslog(Peer):
    """Listens on loopback ports with each transport and writes down what each message was taken for."""

    def __init__(self):
        super().__init__("rsyslog")
        self.dir.chmod(0o755)
        self.ports = dict(zip(("udp", "tcp", "tcp+tls"), range(free_port_range(3), 30003)))
        self.authority = self.certify()
        config = self.dir / "rsyslog.conf"
        config.write_text(f"""
global(workDirectory="{self.dir}" maxMessageSize="64k"
  defaultNetstreamDriver="ossl" defaultNetstreamDriverCAFile="{self.authority}"
  defaultNetstreamDriverCertFile="{self.dir}/server.pem" defaultNetstreamDriverKeyFile="{self.dir}/server.key")
module(load="imudp")
module(load="imptcp")
module(load="imtcp" streamDriver.name="ossl" streamDriver.mode="1" streamDriver.authMode="anon")
template(name="parts" type="string"
  string="%pri%|%protocol-version%|%timereported:::date-rfc3339%|%hostname%|%app-name%|%procid%|%msgid%|%msg%\\n")
ruleset(name="keep") {{ action(type="omfile" file="{self.dir}/received" template="parts" flushOnTXEnd="on") }}
input(type="imudp" address="127.0.0.1" port="{self.ports['udp']}" ruleset="keep")
input(type="imptcp" address="127.0.0.1" port="{self.ports['tcp']}" ruleset="keep")
input(type="imtcp" address="127.0.0.1" port="{self.ports['tcp+tls']}" ruleset="keep")
""")
        self.start("rsyslogd", "-n", "-f", config, "-i", self.dir / "pid")
        wait_until(self.listens, lambda: f"rsyslogd listens: {self.log()}", 30)

    def listens(self):
        """A datagram that comes before the socket is lost, and nobody is told."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect(("127.0.0.1", self.ports["udp"]))
            with contextlib.suppress(OSError):
                probe.send(b"<13>1 - - probe - - - x")
        for transport in ("tcp", "tcp+tls"):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.ports[transport]), 5):
                continue
            return False
        return bool(self.received("probe"))

    def certify(self):
        def openssl(*arguments):
            subprocess.run(["openssl", *map(str, arguments)], cwd=self.dir, check=True, capture_output=True)

        key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
        openssl("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=test CA", "-days", "2")
        openssl("req", *key, "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=collector")
        (self.dir / "names").write_text("subjectAltName=IP:127.0.0.1")
        openssl("x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2",
                "-extfile", "names", "-out", "server.pem")
        return self.dir / "ca.pem"

    def received(self, app):
        """[(priority, version, time, host, app, pid, message id, message)] of one container."""
        with contextlib.suppress(FileNotFoundError):
            text = (self.dir / "received").read_text()
            parts = [line.split("|", 7) for line in text.splitlines()]
            return [part for part in parts if len(part) == 8 and part[4] == app]
        return []


@pytest.fixture(scope="module")
def rsyslog():
    with contextlib.closing(Rsyslog()) as collector:
        yield collector


@pytest.mark.parametrize("transport, lines", [("udp", 100), ("tcp", 5000), ("tcp+tls", 5000)])
def test_rsyslog_understands_every_line(cluster, rsyslog, transport, lines):
    name = "talker-" + transport.replace("+", "-")
    trust = ["--log-opt", f"syslog-tls-ca-cert={rsyslog.authority}"] if transport == "tcp+tls" else []
    cluster.docker("run", "--name", name, "--network", "none", "--log-driver", "syslog", "--log-opt",
                   f"syslog-address={transport}://127.0.0.1:{rsyslog.ports[transport]}", "--log-opt", "tag={{.Name}}",
                   "--log-opt", "syslog-facility=local3", *trust, "busybox", "sh", "-c", SCRIPT.format(lines=lines))
    wait_until(lambda: len(rsyslog.received(name)) > lines, lambda: f"all is there: {rsyslog.log()}", 30)
    got = rsyslog.received(name)
    assert [part[7].strip() for part in got] == [f"line {i} of a container" for i in range(1, lines + 1)] + ["bad"]
    priorities, versions, times, hosts, _, pids, _, _ = map(set, zip(*got))
    # Facility local3 is 19; stdout is informational, stderr an error.
    assert priorities == {str(19 * 8 + 6), str(19 * 8 + 3)} and got[-1][0] == str(19 * 8 + 3)
    assert versions == {"1"} and hosts == {os.uname().nodename} and len(pids) == 1
    assert all(re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", time) for time in times)


def test_a_collector_that_is_not_trusted_gets_nothing_and_the_log_is_kept(cluster, rsyslog):
    cluster.docker("run", "--name", "wary", "--network", "none", "--log-driver", "syslog", "--log-opt",
                   f"syslog-address=tcp+tls://127.0.0.1:{rsyslog.ports['tcp+tls']}", "--log-opt", "tag={{.Name}}",
                   "busybox", "echo", "secret")
    wait_until(lambda: "certificate verify failed" in (cluster.dir / "logs" / "log.log").read_text(),
               "the log service says why", 20)
    assert rsyslog.received("wary") == []
    assert cluster.docker("logs", "wary").stdout == "secret\n"


class FluentServer(Peer):
    """Prints each entry as JSON: its tag, its time and the record."""

    SCRIPT = """
const { FluentServer } = require("@fluent-org/logger");
const server = new FluentServer({ listenOptions: { host: "127.0.0.1", port: Number(process.argv[2]) } });
const decode = (value) => (value instanceof Uint8Array ? Buffer.from(value).toString() : value);
server.on("entry", (tag, time, record) => {
  const all = Object.fromEntries(Object.entries(record).map(([key, value]) => [key, decode(value)]));
  console.log(JSON.stringify([decode(tag), typeof time === "number" ? time : [time.epoch, time.nano], all]));
});
server.listen().then(() => console.log("[]"));
"""

    def __init__(self):
        super().__init__("fluent")
        (self.dir / "server.js").write_text(self.SCRIPT)
        self.port = free_port_range(1)
        self.start("node", self.dir / "server.js", self.port, env=node_env("@fluent-org/logger@1.0.10"))
        wait_until(lambda: "[]" in self.log(), lambda: f"the server listens: {self.log()}", 30)

    def received(self, tag):
        # The last line may be under way.
        lines = (self.dir / "log").read_text().rpartition("\n")[0].splitlines()
        return [(time, record) for tag_, time, record in filter(None, map(json.loads, lines)) if tag_ == tag]


@pytest.fixture(scope="module")
def fluent():
    with contextlib.closing(FluentServer()) as server:
        yield server


@pytest.mark.parametrize("options", [(), ("fluentd-request-ack=true",), ("fluentd-sub-second-precision=true",)],
                         ids=["plain", "acknowledged", "sub-second"])
def test_fluentd_gets_every_line_as_from_dockerd(cluster, dockerd, fluent, options):
    dockerd.docker("import", "--change", 'CMD ["sh"]', "-", "busybox:latest", input=images.busybox_tar(), text=False)
    script = "for i in $(seq 300); do echo line $i; done; sleep 0.1; echo err >&2; head -c 20000 /dev/zero | tr '\\0' x; echo"
    shown = []
    for engine in (cluster, dockerd):
        tag = f"{'ours' if engine is cluster else 'theirs'}-{'-'.join(options)}"
        # dockerd 20.10 reads acknowledgements in two threads at once and dies of it now and then; the records are the same.
        if engine is dockerd and options == ("fluentd-request-ack=true",):
            options = ()
        engine.docker("run", "--name", "fluent", "--network", "none", "--log-driver", "fluentd", "--log-opt",
                      f"fluentd-address=127.0.0.1:{fluent.port}", "--log-opt", f"tag={tag}", "--log-opt", "labels=team", "--label",
                      "team=a", *[word for option in options for word in ("--log-opt", option)], "busybox", "sh", "-c", script)
        identity = engine.docker("inspect", "-f", "{{.Id}}", "fluent").stdout.strip()
        wait_until(lambda: sum(record["log"].count("x") for _, record in fluent.received(tag)) == 20000,
                   lambda: f"all is there: {len(fluent.received(tag))}", 30)
        engine.docker("rm", "fluent")
        got = fluent.received(tag)
        assert all(isinstance(time, list) == ("fluentd-sub-second-precision=true" in options) for time, _ in got)
        assert {record["container_id"] for _, record in got} == {identity}
        shown.append([{key: value for key, value in record.items() if key != "container_id"} for _, record in got
                      if "partial_message" not in record and len(record["log"]) < 1000])
    # dockerd keeps the order of each stream.
    for stream, lines in (("stdout", 300), ("stderr", 1)):
        ours, theirs = ([record for record in records if record["source"] == stream] for records in shown)
        assert ours == theirs and len(ours) == lines
