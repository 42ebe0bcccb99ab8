"""docker attach: what a client sends arrives, what it gets has neither holes nor doubles."""

import random
import socket
import subprocess
import threading

import pytest
from cluster import wait_until


@pytest.fixture
def cat(cluster):
    """A container that gives back what it gets, and that nobody is attached to."""
    cluster.docker("run", "-d", "-i", "--name", "cat", "--network", "none", "busybox", "cat")
    return cluster


def attach(one, text):
    """What comes back. The client itself goes on waiting for the end of the container, as it does with dockerd."""
    client = subprocess.Popen(["/usr/bin/docker", "attach", "cat"], env=one.env, stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, text=True)
    watchdog = threading.Timer(20, client.kill)
    watchdog.start()
    feeder = threading.Thread(target=lambda: (client.stdin.write(text), client.stdin.close()))
    feeder.start()
    answer = client.stdout.read(len(text))
    feeder.join()
    client.kill()
    client.wait()
    watchdog.cancel()
    return answer


def test_piped_input_arrives_and_is_answered(cat):
    """The client says all it has to say and leaves: nothing of it gets lost on the way, nor what comes of it."""
    sent = [f"line {number}\n" for number in range(25)]
    assert [attach(cat, line) for line in sent] == sent
    assert cat.docker("logs", "cat").stdout == "".join(sent)
    assert cat.docker("inspect", "-f", "{{.State.Running}}", "cat").stdout == "true\n"


def test_much_piped_input_arrives(cat):
    text = "".join(f"{number:07}\n" for number in range(200000))
    assert attach(cat, text) == text


def test_input_of_a_client_that_is_gone_at_once_arrives(cat):
    """It sends and closes its connection without a look at the answer."""
    for number in range(25):
        client = socket.socket(socket.AF_UNIX)
        client.connect(str(cat.socket))
        client.sendall(b"POST /v1.41/containers/cat/attach?stream=1&stdin=1 HTTP/1.1\r\nHost: x\r\n"
                       b"Connection: Upgrade\r\nUpgrade: tcp\r\n\r\n")
        head = b""
        while b"\r\n\r\n" not in head:
            head += client.recv(4096)
        client.sendall(b"gone %d\n" % number)
        client.close()
    wait_until(lambda: cat.docker("logs", "cat").stdout == "".join(f"gone {n}\n" for n in range(25)), "all lines", 10)


def test_the_log_and_what_comes_have_no_seam(cluster):
    """logs=1 and stream=1 while the container writes: each line once, in order."""
    cluster.docker("run", "-d", "--name", "seam", "--network", "none", "busybox", "sh", "-c",
                   "i=0; while [ $i -lt 60000 ]; do echo $i; i=$((i+1)); done; sleep 0.3; echo end")
    outputs = []

    def follow():
        got = b""
        client = socket.socket(socket.AF_UNIX)
        client.connect(str(cluster.socket))
        client.sendall(b"POST /v1.41/containers/seam/attach?stream=1&logs=1&stdout=1 HTTP/1.1\r\nHost: x\r\n"
                       b"Connection: Upgrade\r\nUpgrade: tcp\r\n\r\n")
        while piece := client.recv(1 << 16):
            got += piece
        outputs.append(got.split(b"\r\n\r\n", 1)[1])

    clients = []
    for _ in range(12):
        clients.append(threading.Thread(target=follow))
        clients[-1].start()
        clients[-1].join(random.random() * 0.04)
    for client in clients:
        client.join(30)
    wanted = "".join(f"{number}\n" for number in range(60000)) + "end\n"
    assert len(outputs) == 12
    for output in outputs:
        text = b""
        while output:
            size = int.from_bytes(output[4:8], "big")
            text += output[8:8 + size]
            output = output[8 + size:]
        assert text.decode() == wanted
