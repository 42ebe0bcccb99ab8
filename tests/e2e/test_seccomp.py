"""The default seccomp profile is Docker's in effect: what each system call is answered, with a real dockerd's beside it."""

import pathlib
import subprocess

import pytest
from images import busybox_tar

PROBE = pathlib.Path(__file__).resolve().parents[1] / "probes" / "syscalls.cc"

# Those that change what the profile allows, and one that does not. Capabilities that dockerd 20.10 or this machine
# does not have cannot be compared.
CAPABILITIES = ["DAC_READ_SEARCH", "SYSLOG", "SYS_ADMIN", "SYS_BOOT", "SYS_MODULE", "SYS_NICE", "SYS_PACCT", "SYS_PTRACE",
                "SYS_RAWIO", "SYS_TIME", "SYS_TTY_CONFIG", "NET_ADMIN"]


@pytest.fixture(scope="module")
def probe(tmp_path_factory):
    binary = tmp_path_factory.mktemp("probe") / "syscalls"
    subprocess.run(["g++", "-std=c++20", "-O1", "-static", "-o", binary, PROBE], check=True)
    return binary


@pytest.fixture(scope="module")
def engines(shared_cluster, dockerd):
    dockerd.docker("import", "-", "busybox", input=busybox_tar(), text=False)
    return shared_cluster, dockerd


def parse(output):
    return dict(line.rsplit(" ", 1) for line in output.splitlines())


def answers(engine, probe, *options):
    run = engine.docker("run", "--rm", "--network", "none", "-v", f"{probe}:/probe:ro", *options, "busybox", "/probe",
                        timeout=60)
    return parse(run.stdout)


def killed_by_the_machine(probe):
    """Calls that its kernel answers with a signal, in no container: all of 32 bits where it has none of these."""
    user = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "--inh-caps=-all", "--bounding-set=-all"]
    run = subprocess.run([*user, "/dev/stdin"], stdin=probe.open("rb"), capture_output=True, text=True, timeout=60)
    return {call for call, answer in parse(run.stdout).items() if answer == "killed"}


def compare(engines, probe, *options):
    ours, theirs = (answers(engine, probe, *options) for engine in engines)
    assert len(ours) > 1500
    assert {call: (ours[call], theirs[call]) for call in ours if ours[call] != theirs[call]} == {}
    return ours


def test_default_profile_call_by_call(engines, probe):
    ours = compare(engines, probe)
    refused = [call for call, answer in ours.items() if answer == "1"]
    unknown = [call for call, answer in ours.items() if answer == "38"]
    assert len(refused) > 300 and len(unknown) > 30
    assert ours["64 165 0,0"] == "1" and ours["64 9999 0,0"] == "38"  # mount; a call that nobody knows
    assert ours["64 248 0,0"] == ours["64 250 0,0"] == ours["64 304 0,0"] == "1"  # add_key, keyctl, open_by_handle_at


@pytest.mark.parametrize("capability", CAPABILITIES)
def test_profile_with_a_capability(engines, probe, capability):
    compare(engines, probe, "--cap-add", capability)


def test_profile_without_chroot(engines, probe):
    ours = compare(engines, probe, "--cap-drop", "SYS_CHROOT")
    assert ours["64 161 0,0"] == "1"


def test_unconfined_refuses_nothing(engines, probe):
    ours = compare(engines, probe, "--security-opt", "seccomp=unconfined")
    refused = {call for call, answer in ours.items() if answer != "allow" and not call.startswith(("64 335 ", "64 336 "))}
    assert refused - killed_by_the_machine(probe) == set()
    assert not any(call.startswith("64 ") for call in refused)


def test_profile_of_a_file(engines, probe, tmp_path):
    profile = tmp_path / "profile.json"
    profile.write_text("""{"defaultAction": "SCMP_ACT_ALLOW", "archMap": [{"architecture": "SCMP_ARCH_X86_64",
        "subArchitectures": ["SCMP_ARCH_X86"]}], "syscalls": [
        {"names": ["mkdir", "chroot"], "action": "SCMP_ACT_ERRNO"},
        {"names": ["rmdir"], "action": "SCMP_ACT_ERRNO", "errnoRet": 33},
        {"names": ["socket"], "action": "SCMP_ACT_ERRNO", "args": [{"index": 0, "value": 16, "op": "SCMP_CMP_EQ"}]}]}""")
    ours = compare(engines, probe, "--security-opt", f"seccomp={profile}")
    assert ours["64 83 0,0"] == "1" and ours["64 84 0,0"] == "33" and ours["64 41 10,0"] == "1"
