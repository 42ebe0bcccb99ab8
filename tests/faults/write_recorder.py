"""A disk in one file whose writes are recorded: a FUSE file system with the file `disk`, to be put under a loop device.

    write_recorder.py MOUNTPOINT RECORD SIZE_BYTES [DELAY_S]

Each write and each flush takes DELAY_S longer, as on a slow disk; RECORD may be /dev/null then.
RECORD gets, for each write, a header (offset, length; little-endian 64 bits) and the bytes, and for each flush a header
with length 0 and offset -1. The file's content is kept in memory: nothing but the record outlives the process.
"""

import errno
import stat
import struct
import sys
import threading
import time

import fusepy as fuse

HEADER = struct.Struct("<qq")
FLUSH = -1


class Recorder(fuse.Operations):
    def __init__(self, record, size, delay_s=0.0):
        self.delay_s = delay_s
        self.content = bytearray(size)
        self.record = open(record, "wb", buffering=0)
        self.mutex = threading.Lock()

    def getattr(self, path, handle=None):
        if path == "/":
            return {"st_mode": stat.S_IFDIR | 0o755, "st_nlink": 2}
        if path == "/disk":
            return {"st_mode": stat.S_IFREG | 0o600, "st_nlink": 1, "st_size": len(self.content)}
        raise fuse.FuseOSError(errno.ENOENT)

    def readdir(self, path, handle):
        return [".", "..", "disk"]

    def read(self, path, size, offset, handle):
        return bytes(self.content[offset:offset + size])

    def write(self, path, data, offset, handle):
        time.sleep(self.delay_s)
        with self.mutex:
            self.record.write(HEADER.pack(offset, len(data)) + data)
            self.content[offset:offset + len(data)] = data
        return len(data)

    def fsync(self, path, datasync, handle):
        time.sleep(self.delay_s)
        with self.mutex:
            self.record.write(HEADER.pack(FLUSH, 0))
        return 0

    def truncate(self, path, length, handle=None):
        raise fuse.FuseOSError(errno.EPERM)


def read_record(path):
    """[(offset, bytes)], with (FLUSH, b"") for a flush."""
    data = memoryview(path.read_bytes())
    events, at = [], 0
    while at < len(data):
        offset, length = HEADER.unpack_from(data, at)
        at += HEADER.size
        events.append((offset, bytes(data[at:at + length])))
        at += length
    return events


if __name__ == "__main__":
    fuse.FUSE(Recorder(sys.argv[2], int(sys.argv[3]), *map(float, sys.argv[4:])), sys.argv[1], foreground=True, nothreads=False, big_writes=True,
              max_write=131072, max_read=131072, allow_other=True)
