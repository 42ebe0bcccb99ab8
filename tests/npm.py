"""Packages of the npm registry for tests: fetched once, and asked for again when the registry has a bad moment."""

import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import time

from images import CACHE


def npm_modules(package):
    """A directory for NODE_PATH that has `package` ("name@version")."""
    place = CACHE / ("npm-" + re.sub(r"[^\w.]+", "-", package))
    if place.exists():
        return place / "node_modules"
    CACHE.mkdir(parents=True, exist_ok=True)
    made = pathlib.Path(tempfile.mkdtemp(prefix="npm-", dir=CACHE))
    command = ["npm", "install", "--no-audit", "--no-fund", "--fetch-retries", "5", "--prefix", made, package]
    try:
        for attempt in range(3):
            run = subprocess.run(command, capture_output=True, text=True, timeout=300)
            if run.returncode == 0:
                break
            time.sleep(5 * (attempt + 1))
        assert run.returncode == 0, run.stderr
        try:
            made.rename(place)
        except OSError:  # another run was faster
            assert place.exists()
        return place / "node_modules"
    finally:
        shutil.rmtree(made, ignore_errors=True)


def node_env(package):
    return {**os.environ, "NODE_PATH": str(npm_modules(package))}
