"""Requests over a unix socket, with nothing between the test and the bytes."""

import http.client
import json
import socket
import struct


class UnixClient:
    """One kept-alive connection to a Docker API socket, read by hand: http.client takes about as long to take a reply
    apart as a fast server takes to make it."""

    def __init__(self, path):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", 120, 0))
        self.sock.connect(str(path))

    def call(self, method, path, body=None, expect=(200, 201, 204)):
        """`body`: bytes, a tar, or what becomes JSON."""
        kind = "x-tar" if isinstance(body, bytes) else "json"
        data = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        self.sock.sendall(f"{method} /v1.41{path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/{kind}\r\n"
                          f"Content-Length: {len(data)}\r\n\r\n".encode() + data)
        status, answer = self._reply()
        if status not in expect:
            raise RuntimeError(f"{method} {path}: {status} {answer[:300]!r}")
        return answer

    def close(self):
        self.sock.close()

    def _more(self):
        received = self.sock.recv(1 << 20)
        if not received:
            raise RuntimeError("the server hung up")
        return received

    def _reply(self):
        rest = b""
        while (end := rest.find(b"\r\n\r\n")) < 0:
            rest += self._more()
        head, rest = rest[:end].lower(), rest[end + 4:]
        status = int(head[9:12])
        if status == 204:
            return status, b""
        if b"transfer-encoding: chunked" in head:
            return status, self._chunks(rest)
        length = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
        while len(rest) < length:
            rest += self._more()
        return status, rest

    def _chunks(self, rest):
        chunks = []
        while True:
            while (line := rest.find(b"\r\n")) < 0:
                rest += self._more()
            size = int(rest[:line], 16)
            while len(rest) < line + size + 4:
                rest += self._more()
            if size == 0:
                return b"".join(chunks)
            chunks.append(rest[line + 2:line + 2 + size])
            rest = rest[line + size + 4:]


class _Connection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=60)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(60)
        self.sock.connect(self.path)


def request(path, method, target, body=None, headers=None):
    """Status, headers (names in lower case) and body."""
    connection = _Connection(path)
    try:
        connection.request(method, target, body=body, headers=headers or {})
        response = connection.getresponse()
        return response.status, {k.lower(): v for k, v in response.getheaders()}, response.read()
    finally:
        connection.close()
