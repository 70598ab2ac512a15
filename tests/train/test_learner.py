"""The training step: one and two workers given the same global batches end with the same weights."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from s3server import free_ports

from glasseg.config import PRESETS, TrainConfig
from jobs.train import learner

STEPS = """
import json, os, sys
from dataclasses import replace
import numpy as np
from glasseg.config import INPUT_SIDE, PRESETS
from glasseg.model import unet
from jobs.train.learner import Learner

preset, worker, workers, out = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
unet.COMPACT_DOWN = unet.COMPACT_UP = (0, 0, 0, 0)  # the same kinds of layers, fewer of them to compile
unet.COMPACT_MIDDLE = 1
config = replace(PRESETS[preset], batch=4, precision="float32", warmup_steps=2, learning_rate=1e-3)
learner = Learner(config, workers=workers, steps=20, threads=1, gpu=False)
side, share, rng = INPUT_SIDE[preset], 4 // workers, np.random.default_rng(0)
mine, seen = slice(worker * share, (worker + 1) * share), []
for step in range(3):
    image = rng.integers(0, 255, (4, side, side, 3), dtype=np.uint8)
    coverage = (image[..., 0] > 128).astype(np.uint8) * 255
    real = np.array([True, True, True, step < 2])
    image, coverage, weight, real = [part[mine] for part in (image, coverage, np.full_like(coverage, 255), real)]
    seen.append(learner.train(image, coverage, 255 - coverage, weight, real).tolist())
judged = learner.total(learner.predict(image, coverage, weight, real)[1]).tolist()
np.savez(out, **learner.state())
print(json.dumps({"training": seen, "validation": judged}))
"""


def run(preset: str, workers: int, folder: Path) -> list[tuple[dict[str, np.ndarray], dict[str, list[float]]]]:
    """Three steps on the same pictures by some workers: the state and the totals of each."""
    addresses = [f"127.0.0.1:{port}" for port in free_ports(workers)]
    processes = []
    for worker in range(workers):
        task = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": worker}}
        command = [
            sys.executable,
            "-c",
            STEPS,
            preset,
            str(worker),
            str(workers),
            str(folder / f"{workers}-{worker}.npz"),
        ]
        environment = {"TF_CONFIG": json.dumps(task), "TF_CPP_MIN_LOG_LEVEL": "3", "TF_USE_LEGACY_KERAS": "1"}
        processes.append(
            subprocess.Popen(command, env={**os.environ, **environment}, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        )
    ends = [process.communicate(timeout=500) for process in processes]
    assert [process.returncode for process in processes] == [0] * workers, ends[0][1].decode()[-3000:]
    states = [dict(np.load(folder / f"{workers}-{worker}.npz")) for worker in range(workers)]
    return [(state, json.loads(end[0])) for state, end in zip(states, ends, strict=True)]


def difference(a: dict[str, np.ndarray], b: dict[str, np.ndarray], share: float = 1.0) -> float:
    """How far `share` of all numbers are apart at most."""
    assert a.keys() == b.keys()
    apart = [np.abs(a[name].astype(float) - b[name].astype(float)).ravel() for name in a]
    return float(np.quantile(np.concatenate(apart), share))


# Sums in another order differ in their last bits, and Adam's first steps divide by them: a weight moves by up to the
# learning rate, 1e-3, a step. The compact network's batch statistics feed back on top: a few weights in a thousand,
# whose gradient is near 0, move either way. Of the other's 31 million weights a few may: 99.99 % are compared.
@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(("preset", "share", "tolerance"), [("baseline", 0.9999, 2e-4), ("compact", 0.999, 2e-3)])
def test_one_and_two_workers_end_with_the_same_weights(
    preset: str, share: float, tolerance: float, tmp_path: Path
) -> None:
    [(alone, totals)] = run(preset, 1, tmp_path)
    (first, shared), (second, also) = run(preset, 2, tmp_path)
    assert difference(first, second) == 0 and shared == also
    assert difference(alone, first, share) < tolerance
    if preset == "compact":  # the optimizer's counters and the moving statistics of the normalisation are in there
        assert any(name.startswith("optimizer") for name in alone)
    assert np.array(shared["training"]) == pytest.approx(np.array(totals["training"]), rel=2e-3)
    assert [row[1] for row in totals["training"]] == [4, 4, 3]  # what only fills up the batch counts nowhere


@pytest.mark.usefixtures("tensorflow")
def test_the_learning_rate_rises_stays_and_falls_to_zero() -> None:
    config = replace(PRESETS["compact"], epochs=50, cooldown=10, warmup_steps=200, learning_rate=2e-3)
    rate = learner._optimizer(config, 100)._learning_rate
    rates = [float(rate(step)) for step in (0, 100, 200, 3999, 4100, 4900, 4999)]
    assert rates[0] < rates[1] < rates[2] == rates[3] == pytest.approx(2e-3)
    assert rates[3] > rates[4] > rates[5] > rates[6] > 0 and rates[6] < 2e-6
    assert float(learner._optimizer(PRESETS["baseline"], 1000).learning_rate) == pytest.approx(1e-3)


@pytest.mark.usefixtures("tensorflow")
def test_a_run_without_end_can_be_cooled_down_from_anywhere() -> None:
    endless = learner._optimizer(TrainConfig(epochs=1000, cooldown=0), 10)._learning_rate
    cooled = learner._optimizer(TrainConfig(epochs=60, cooldown=10), 10)._learning_rate
    assert float(endless(500)) == float(cooled(500)) > float(cooled(501))


@pytest.mark.usefixtures("tensorflow")
def test_workers_with_gpus_talk_by_nccl_and_others_by_rings() -> None:
    assert [learner._communication(on_gpu).implementation.name for on_gpu in (True, False)] == ["NCCL", "RING"]
