"""Work that overlaps: items prepared ahead of need, calls done behind; in threads of their own."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any, Self, TypeVar

Item = TypeVar("Item")
Made = TypeVar("Made")


def ahead(make: Callable[[Item], Made], items: Iterable[Item], depth: int = 1, threads: int = 1) -> Iterator[Made]:
    """Yield `make` of each item, up to `depth` of them made before they are asked for, by some threads.

    `items` is asked in the thread of the caller, as late as it can be.

    Raises
    ------
    Exception
        That of `make`, when its item is asked for.
    """
    with ThreadPoolExecutor(threads, "ahead") as pool:
        begun: deque[Future[Made]] = deque()
        for item in items:
            begun.append(pool.submit(make, item))
            if len(begun) > depth:
                yield begun.popleft().result()
        while begun:
            yield begun.popleft().result()


class Behind:
    """Does calls one after another, at most `depth` behind the caller.

    An error of a call is raised by a later `do` or by `settle`; calls after it are still done.
    """

    def __init__(self, depth: int = 2) -> None:
        self._depth = depth
        self._pool = ThreadPoolExecutor(1, "behind")
        self._begun: deque[Future[Any]] = deque()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._pool.shutdown()

    def do(self, work: Callable[..., object], *given: object) -> None:
        """Call `work` with what is given, soon."""
        while len(self._begun) >= self._depth:
            self._begun.popleft().result()
        self._begun.append(self._pool.submit(work, *given))

    def settle(self) -> None:
        """Wait until all is done."""
        while self._begun:
            self._begun.popleft().result()
