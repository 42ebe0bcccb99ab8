"""Docker's buildx, which Debian 12 does not have: the program out of Debian 13's package, which needs the C library alone."""

import glob
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

from images import CACHE

PLACE = CACHE / "docker-buildx"
SUITE = "trixie"


def sources():
    """Where this machine has Debian itself from, for the other suite."""
    files = ["/etc/apt/sources.list", *glob.glob("/etc/apt/sources.list.d/*")]
    found = []
    for name in filter(os.path.isfile, files):
        for stanza in pathlib.Path(name).read_text().split("\n\n"):
            found += re.findall(r"^deb\s+(?:\[[^\]]*\]\s+)?(\S+)\s+bookworm\s", stanza, re.M)
            if re.search(r"^Suites:.*\bbookworm(\s|$)", stanza, re.M):
                found += re.findall(r"^URIs:\s*(\S+)", stanza, re.M)
    assert found, "no source of Debian 12 in /etc/apt"
    keys = "/usr/share/keyrings/debian-archive-keyring.gpg"
    return f"deb [signed-by={keys}] {found[0]} {SUITE} main\n"


def buildx():
    """The path of the program; fetched once."""
    if PLACE.exists():
        return PLACE
    with tempfile.TemporaryDirectory() as name:
        directory = pathlib.Path(name)
        directory.chmod(0o755)  # apt's own user writes there
        (directory / "sources.list").write_text(sources())
        for sub in ("lists/partial", "cache/archives/partial"):
            (directory / sub).mkdir(parents=True)
        options = [f"-oDir::Etc::SourceList={directory}/sources.list", "-oDir::Etc::SourceParts=/dev/null",
                   f"-oDir::State::Lists={directory}/lists", f"-oDir::Cache={directory}/cache", "-oAPT::Sandbox::User=root"]
        for command in (["update"], ["download", "docker-buildx"]):
            subprocess.run(["apt-get", "-qq", *options, *command], check=True, cwd=directory, timeout=300)
        package, = directory.glob("docker-buildx_*.deb")
        subprocess.run(["dpkg-deb", "-x", package, directory / "out"], check=True)
        program = directory / "out/usr/libexec/docker/cli-plugins/docker-buildx"
        PLACE.parent.mkdir(parents=True, exist_ok=True)
        made = PLACE.with_suffix(f".{os.getpid()}")
        shutil.copy(program, made)
        made.rename(PLACE)
    return PLACE
