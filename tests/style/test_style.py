"""The house style that a machine can check."""

import pathlib
import re
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
MAX_FILE_LINES = 600
MAX_FUNCTION_LINES = 70
ROOMS = ["base", "image-service", "runtime-agent", "services", "gateway", "cli"]


def tracked(*patterns):
    names = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", *patterns],
        cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return [ROOT / name for name in names.split("\0") if name and (ROOT / name).exists()]


CPP = tracked("*.cc", "*.h")


def test_there_is_something_to_check():
    assert len(CPP) > 50


def test_no_file_is_longer_than_600_lines():
    long = {str(p.relative_to(ROOT)): n for p in CPP
            if (n := len(p.read_text().splitlines())) > MAX_FILE_LINES}
    assert not long


def function_lengths(path):
    """(line, length) of each top-level or namespace-level body: clang-format puts its braces at column 0,
    or at column 2 inside a class."""
    lines = path.read_text().splitlines()
    for indent in ("", "  "):
        start = None
        for number, line in enumerate(lines, 1):
            opens = (line.startswith(indent) and line[len(indent):len(indent) + 1] not in (" ", "", "}")
                     and line.endswith("{"))
            # A signature that goes over several lines ends with "... {" further in; it begins here.
            if start is None and opens and not re.match(
                    r"\s*(namespace|class|struct|enum|union|extern|constexpr .*=|const .*=|static .*=|public|private)",
                    line) and "(" in line:
                start = number
            elif start is not None and re.fullmatch(re.escape(indent) + r"\}.*", line):
                yield start, number - start + 1
                start = None


def test_no_function_is_longer_than_70_lines():
    long = [f"{p.relative_to(ROOT)}:{at} has {n} lines" for p in CPP if not p.name.endswith("_test.cc")
            for at, n in function_lengths(p) if n > MAX_FUNCTION_LINES]
    assert not long


def test_sources_are_formatted():
    bad = []
    for start in range(0, len(CPP), 50):
        run = subprocess.run(["clang-format", "--dry-run", "--Werror", *map(str, CPP[start:start + 50])],
                             cwd=ROOT, capture_output=True, text=True)
        bad += [line for line in run.stderr.splitlines() if "error:" in line]
    assert not bad, "\n".join(bad[:20])


def test_no_drawers():
    names = {"utils", "util", "helpers", "helper", "common", "manager", "misc"}
    bad = [str(p.relative_to(ROOT)) for p in CPP if p.stem in names or p.parent.name in names]
    assert not bad


@pytest.mark.parametrize("header", [r"grpcpp/", r"\.pb\.h", r"rocksdb/", r"boost/json"])
def test_domain_knows_nothing_of_wire_and_disk(header):
    bad = [f"{p.relative_to(ROOT)}: {line}" for p in CPP
           if "/domain/" in str(p) or "/ports/" in str(p)
           for line in p.read_text().splitlines()
           if line.startswith("#include") and re.search(header, line)]
    assert not bad


def test_services_share_protos_but_never_headers():
    bad = []
    owners = {"image-service": "image-service/", "services/container": "services/container/",
              "services/log": "services/log/", "services/build": "services/build/", "gateway": "gateway/",
              "runtime-agent": "runtime-agent/",
              "cli": "cli/"}
    for path in CPP:
        name = str(path.relative_to(ROOT))
        mine = next((o for o, folder in owners.items() if name.startswith(folder)), None)
        if mine is None and not name.startswith("base/"):
            continue
        for line in path.read_text().splitlines():
            match = re.match(r'#include "([^"]+)"', line)
            if not match:
                continue
            for other, folder in owners.items():
                if match[1].startswith(folder) and other != mine:
                    bad.append(f"{name}: {line}")
    assert not bad


def test_kernel_wrappers_include_only_base():
    bad = []
    for path in tracked("runtime-agent/kernel/*.cc", "runtime-agent/kernel/*.h"):
        if path.name.endswith("_test.cc"):
            continue
        for line in path.read_text().splitlines():
            match = re.match(r'#include "((?!absl/)[^"]*/[^"]+)"', line)
            if match and not re.match(r"(base/(os|status)/|runtime-agent/kernel/)", match[1]):
                bad.append(f"{path.relative_to(ROOT)}: {line}")
    assert not bad


def test_every_target_in_its_room_goes_one_way():
    """domain depends on ports; neither on rpc, clients or store."""
    for domain in sorted({p.parent for p in CPP if p.parent.name == "domain"}):
        label = "//" + str(domain.relative_to(ROOT))
        out = subprocess.run(
            ["bazel", "query", "--noshow_progress", f"deps({label}/... except tests({label}/...), 20)"],
            cwd=ROOT, capture_output=True, text=True)
        assert out.returncode == 0, out.stderr
        bad = [line for line in out.stdout.splitlines()
               if re.match(r"//(image-service|services|runtime-agent|gateway|cli)/.*(rpc|clients|store)[:/]", line)]
        assert not bad, f"{label}: {bad}"


def test_nothing_names_this_machine():
    bad = []
    for path in tracked():
        if path.suffix in {".png", ".bin"} or path == pathlib.Path(__file__):
            continue
        try:
            text = path.read_text()
        except UnicodeDecodeError:
            continue
        for pattern in (r"/root/wt\b", r"/work/(main|shared)", r"deb\.debian\.org", r"registry\.npmjs"):
            if re.search(pattern, text):
                bad.append(f"{path.relative_to(ROOT)}: {pattern}")
    assert not bad


def test_no_shelling_out_from_services():
    bad = [f"{p.relative_to(ROOT)}: {m[0]}" for p in CPP
           if not p.stem.endswith(("_test", "_fixture")) and p.parent.name != "testing"
           and str(p.relative_to(ROOT)).split("/")[0] in ROOMS
           for m in [re.search(r"\b(system|popen)\(", p.read_text())] if m]
    assert not bad
