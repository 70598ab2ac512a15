"""Pictures kept in memory: never more bytes than allowed, the last used ones, and the same picture either way."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import numpy as np

from glasseg.training.cache import PictureCache


def of_size(n: int, made: list[int] | None = None) -> Callable[[], np.ndarray]:
    def make() -> np.ndarray:
        if made is not None:
            made.append(n)
        return np.zeros(n, np.uint8)

    return make


def test_pictures_together_never_have_more_bytes_than_the_limit() -> None:
    cache = PictureCache(1000)
    for key in range(50):
        cache.get(key, of_size(30 * (key % 20) + 1))
        assert 0 < cache.nbytes <= 1000


def test_a_kept_picture_is_not_made_again() -> None:
    cache, made = PictureCache(1000), list[int]()
    first = cache.get("a", of_size(10, made))
    assert cache.get("a", of_size(10, made)) is first and made == [10]


def test_the_picture_that_was_not_used_for_longest_goes_first() -> None:
    cache, made = PictureCache(100), list[int]()
    for key, size in (("a", 40), ("b", 41), ("a", 40), ("c", 42), ("a", 40), ("b", 41)):
        cache.get(key, of_size(size, made))
    assert made == [40, 41, 42, 41]


def test_a_picture_larger_than_the_limit_is_given_and_not_kept() -> None:
    cache = PictureCache(100)
    assert cache.get("a", of_size(101)).nbytes == 101
    assert cache.nbytes == 0


def test_threads_that_miss_a_picture_together_do_not_count_it_twice() -> None:
    cache, both = PictureCache(10_000), Barrier(2)

    def make() -> np.ndarray:
        both.wait(timeout=60)
        return np.zeros(100, np.uint8)

    with ThreadPoolExecutor(2) as pool:
        made = list(pool.map(lambda _: cache.get("a", make), range(2)))
    assert [picture.nbytes for picture in made] == [100, 100] and cache.nbytes == 100
