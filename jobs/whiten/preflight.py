"""Whether every node of a cluster can do the work: known before the first photo, instead of from a million rows."""

from __future__ import annotations

import pickle
from importlib.metadata import version
from typing import Final

from glasseg.catalog import lock
from glasseg.errors import GlassegError, PhotoError
from jobs.whiten.order import Order, Orders

SECONDS: Final = 25.0
"""A node that has not answered by then is taken for broken."""


def check(orders: Orders, key: str) -> None:
    """Raise GlassegError when a node of the connected cluster lacks glasseg, or does not see what the driver sees.

    The destinations are known by the locks that the run holds there, the source by the photo `key`, unless the driver
    can't read that one either. Nodes that join later are not asked.
    """
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    def look(asked: bytes) -> str | None:
        """Travels by value, since it must run where glasseg is not installed; so must what it asks for."""
        import pickle

        try:
            from jobs.whiten.preflight import trouble

            return trouble(*pickle.loads(asked))
        except (ImportError, AttributeError, TypeError) as error:  # the last two: another one
            return f"has no glasseg that can do the work ({error}): install the same there as here"

    seen = key if _trouble_with_source(orders[0], key) is None else None
    question = pickle.dumps((version("glasseg"), orders, seen))
    task = ray.remote(num_cpus=0, max_retries=0)(look)
    asked = {
        task.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)).remote(
            question
        ): node["NodeManagerAddress"]
        for node in ray.nodes()
        if node["Alive"] and node["Resources"].get("CPU", 0) >= 1
    }
    answered, silent = ray.wait(list(asked), num_returns=len(asked), timeout=SECONDS) if asked else ([], [])
    for one in answered:
        try:
            answer = ray.get(one)
        except ray.exceptions.RayError as error:
            here = {node["NodeManagerAddress"] for node in ray.nodes() if node["Alive"]}
            answer = f"can't be asked: {str(error).splitlines()[0]}" if asked[one] in here else None
        if answer:
            raise GlassegError(f"the node {asked[one]} {answer}")
    if silent:
        raise GlassegError(f"the node {asked[silent[0]]} does not answer: is it in good health?")


def trouble(driver: str, orders: Orders, key: str | None) -> str | None:
    """What this node can't do, in words that follow its name; None when it can do everything."""
    here = version("glasseg")
    if here != driver:
        return f"has glasseg {here}, and {driver} runs here: install the same there"
    if key and (reason := _trouble_with_source(orders[0], key)):
        return f"can't read the source: {reason}"
    try:
        for order in orders:
            order.destination.read(lock.LOCK)
    except (GlassegError, PhotoError) as error:
        return f"does not see the destination: {error}; is it a folder of this machine only?"
    return None


def _trouble_with_source(order: Order, key: str) -> str | None:
    try:
        order.source.read(key)
        return None
    except (GlassegError, PhotoError) as error:
        return str(error)
