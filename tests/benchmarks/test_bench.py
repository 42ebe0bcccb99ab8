"""The promises are numbers: the short form of the benchmark, with bounds wide enough for a noisy machine."""

import json
import pathlib
import subprocess

import pytest

BENCH = pathlib.Path(__file__).resolve().parents[1] / "bench"

# row prefix -> at least this many times better than dockerd in the same run
PROMISES = {
    "API create+start+wait+rm, none": 12,
    "API create+start+wait+rm, bridge": 6,
    "docker run --rm, none": 3,
    "docker exec true": 1.1,
    "32 at once, none": 5,
    "pull of": 2,
    "container writes": 2,
    "docker logs of": 3,
    "search in": 2,
    "memory per idle container": 10,
}


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    report = tmp_path_factory.mktemp("bench") / "bench.json"
    run = subprocess.run([BENCH, "--short", "--json", report], capture_output=True, text=True, timeout=1500)
    print(run.stdout)
    assert run.returncode == 0, run.stderr[-3000:]
    return json.loads(report.read_text())


@pytest.mark.parametrize("row", PROMISES)
def test_ratio_to_dockerd(results, row):
    result = next(r for r in results if r["row"].startswith(row))
    assert result["ratios"]["dockerd"] >= PROMISES[row], result


def test_idle_memory_is_under_100_mb(results):
    result = next(r for r in results if r["row"].startswith("memory of the platform, idle"))
    assert result["values"]["slipway"] < 100, result
