"""Requests over a unix socket, with nothing between the test and the bytes."""

import http.client
import json
import socket


class UnixClient(http.client.HTTPConnection):
    """One kept-alive connection to a Docker API socket."""

    def __init__(self, path, timeout=120):
        super().__init__("localhost", timeout=timeout)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)

    def call(self, method, path, body=None, expect=(200, 201, 204)):
        data = None if body is None else json.dumps(body)
        self.request(method, "/v1.41" + path, data, {"Content-Type": "application/json"})
        response = self.getresponse()
        answer = response.read()
        if response.status not in expect:
            raise RuntimeError(f"{method} {path}: {response.status} {answer[:300]!r}")
        return answer


def request(path, method, target, body=None, headers=None):
    """Status, headers (names in lower case) and body."""
    connection = UnixClient(path, timeout=60)
    try:
        connection.request(method, target, body=body, headers=headers or {})
        response = connection.getresponse()
        return response.status, {k.lower(): v for k, v in response.getheaders()}, response.read()
    finally:
        connection.close()
