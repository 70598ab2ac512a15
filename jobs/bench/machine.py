"""The machine that was measured: what the numbers depend on."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from pathlib import Path
from typing import Any

import psutil


def facts() -> dict[str, Any]:
    """Processor, memory, versions, and the arithmetic of the network."""
    from glasseg.model.segmenter import compute_policy

    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return {
        "cpu": names[0] if names else platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 2**30, 1),
        "python": platform.python_version(),
        "ray": version("ray"),
        "tensorflow": version("tensorflow", "tensorflow-cpu"),
        "keras": version("keras"),
        "opencv": version("opencv-python-headless", "opencv-python"),
        "compute_dtype": compute_policy(on_gpu=False),
    }


def version(*names: str) -> str:
    """The version of the first of these distributions that is installed."""
    installed = [found.version for name in names for found in metadata.distributions(name=name)]
    return installed[0] if installed else "unknown"


def lines(machine: dict[str, Any]) -> str:
    """The `facts` for people, in two lines."""
    return (
        f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_gb']} GB, {machine['compute_dtype']}, "
        f"load {machine['load_before']}\n"
        f"python {machine['python']}, ray {machine['ray']}, tensorflow {machine['tensorflow']}, "
        f"keras {machine['keras']}, opencv {machine['opencv']}"
    )
