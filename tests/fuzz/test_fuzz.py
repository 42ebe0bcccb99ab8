"""Every libFuzzer target of the tree, a minute each on its corpus. Runs only when asked for: tests/run --fuzz. (What
the corpora hold is replayed by the unit tests in every run.)"""

import pathlib
import re
import shutil
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
SECONDS = 60


def bazel(*arguments):
    return subprocess.run(["bazel", *arguments], cwd=ROOT, capture_output=True, text=True)


def targets():
    """Labels of the fuzz targets with the names of their corpora's files."""
    found = {}
    for build in ROOT.glob("*/**/BUILD.bazel"):
        if any(part.startswith("bazel-") for part in build.parts):
            continue
        for rule in re.findall(r"slipway_cc_fuzz_test\((.*?)\n\)", build.read_text(), re.DOTALL):
            name = re.search(r'name = "([^"]+)"', rule).group(1)
            seeds = re.search(r"seeds = (?:glob\()?\[(.*?)\]", rule, re.DOTALL)
            found[f"//{build.parent.relative_to(ROOT)}:{name}"] = [
                path for pattern in re.findall(r'"([^"]+)"', seeds.group(1)) for path in build.parent.glob(pattern)]
    return found


TARGETS = targets()


@pytest.fixture(scope="session")
def built():
    build = bazel("build", "--config=fuzz", "--noshow_progress", "--ui_event_filters=-info", *TARGETS)
    assert build.returncode == 0, build.stderr[-5000:]
    return pathlib.Path(bazel("info", "--config=fuzz", "bazel-bin").stdout.strip())


@pytest.mark.parametrize("target", TARGETS)
def test_a_minute_of_hostile_input(built, target, tmp_path):
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    assert TARGETS[target], "a target without a corpus"
    for seed in TARGETS[target]:
        shutil.copy(seed, corpus / seed.name)
    package, _, name = target[2:].partition(":")
    run = subprocess.run([built / package / name, corpus, f"-max_total_time={SECONDS}", "-rss_limit_mb=1024",
                          "-timeout=20", f"-artifact_prefix={tmp_path}/", "-print_final_stats=1"],
                         capture_output=True, text=True, timeout=SECONDS + 120, cwd=tmp_path)
    assert run.returncode == 0, run.stderr[-5000:]
    tried = int(re.search(r"number_of_executed_units: (\d+)", run.stderr).group(1))
    assert tried > len(TARGETS[target]), run.stderr[-2000:]
