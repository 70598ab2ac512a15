"""How many workers a cluster has room for, and what each of them takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import distributions
from typing import Final

from glasseg.errors import GlassegError

CPUS_WITH_GPU: Final = 4
"""CPUs of a worker that has a GPU or a share of one: it reads, composes and encodes what the GPU segments."""
SHARES: Final = 4
"""Largest number of workers that share a GPU; each holds its own network and CUDA context."""

Resources = Mapping[str, float]
"""What a node has, by Ray's names: CPU, GPU, memory (in bytes)."""


@dataclass(frozen=True)
class Pool:
    """Workers that are all alike."""

    cpus: int
    gpus: float
    now: int
    """How many of them the nodes have room for."""
    growing: bool
    """Whether an autoscaler may start nodes with room for more."""
    memory: int = 0
    """Bytes that Ray keeps free for each."""

    def bounds(self, asked: int | None, batches: int) -> tuple[int, int]:
        """The fewest and the most workers for so many batches of photos; `asked` fixes both.

        The fewest start at once, more when nodes join. No worker goes without a batch.
        """
        least = min(asked or max(1, self.now), batches)
        return least, least if asked else batches


def pool(
    nodes: Sequence[Resources], later: Sequence[Resources], cpus: int | None, gpus: float | None, memory: int = 0
) -> Pool:
    """The workers for a cluster of `nodes`, to which an autoscaler may add nodes like those of `later`.

    `cpus` and `gpus` are what the user wants each worker to take. None takes what suits the nodes that are there (or
    those to come, when there are none yet): one CPU each without GPUs; otherwise GPUs are used, each shared by as many
    workers as have `CPUS_WITH_GPU`. `memory`: bytes for each worker; where no node has as many, one worker takes what
    the largest has. Raises GlassegError when a worker fits on no node and never will: Ray itself
    would wait forever.
    """
    suited = [*nodes, *later] if gpus else [node for node in nodes if node.get("CPU", 0)] or later
    cpus, gpus = _shares(suited, cpus, gpus)
    memory = min(memory, int(max((node.get("memory", memory) for node in suited), default=memory)))
    wants = {"CPU": cpus, "GPU": gpus, "memory": memory}
    now = sum(_fitting(node, wants) for node in nodes)
    growing = any(_fitting(node, wants) for node in later)
    if not now and not growing:
        most = {kind: max((node.get(kind, 0) for node in [*nodes, *later]), default=0) for kind in ("CPU", "GPU")}
        raise GlassegError(
            f"no node has more than {most['CPU']:g} CPUs and {most['GPU']:g} GPUs, one worker wants {cpus} and "
            f"{gpus:g}: lower --cpus-per-worker or --gpus-per-worker"
        )
    return Pool(cpus, gpus, now, growing, memory)


def _shares(nodes: Sequence[Resources], cpus: int | None, gpus: float | None) -> tuple[int, float]:
    """What a worker takes: what was given, or what suits the smallest node that has a GPU."""
    with_gpu = [node for node in nodes if node.get("GPU", 0) >= 1]
    if gpus == 0 or not with_gpu:
        return cpus or 1, gpus or 0.0
    for_each = min(node.get("CPU", 0) / node["GPU"] for node in with_gpu)  # CPUs for each GPU
    if gpus is None:
        gpus = 1 / max(1, min(SHARES, int(for_each // (cpus or CPUS_WITH_GPU))))
    return cpus or max(1, min(CPUS_WITH_GPU, int(for_each * gpus))), gpus


def _fitting(node: Resources, wants: Resources) -> int:
    """How many workers fit on a node; where its memory is not known, that sets no limit."""
    if "memory" not in node:
        wants = {kind: amount for kind, amount in wants.items() if kind != "memory"}
    return min(int(node.get(kind, 0) / amount + 1e-6) for kind, amount in wants.items() if amount)


def connected(cpus: int | None, gpus: float | None, memory: int = 0) -> Pool:
    """The workers for the cluster that Ray is connected to; raises as `pool`."""
    import ray

    if gpus is None and not _cuda_is_installed():
        gpus = 0.0
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    return pool(nodes, _nodes_to_come(), cpus, gpus, memory)


def _cuda_is_installed() -> bool:
    """Whether TensorFlow has what it needs for a GPU (the extra `gpu`): Ray counts GPUs even where it does not."""
    return any((found.name or "").startswith("nvidia-cudnn") for found in distributions())


def _nodes_to_come() -> list[Resources]:
    """One node of each kind that the cluster's autoscaler may start; none where there is no autoscaler."""
    import ray

    try:
        config = ray._private.state.state.get_cluster_config()  # what Ray Data itself calls; there is no public API
    except ray.exceptions.RaySystemError:  # not available through ray://
        return []
    groups = config.node_group_configs if config else []
    return [dict(group.resources) for group in groups if group.max_count]
