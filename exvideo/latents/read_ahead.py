"""Results computed ahead in threads and taken as they come."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def read_ahead(
    function: Callable[[Item], Result], items: Iterable[Item], threads: int, ahead: int
) -> Iterator[tuple[int, Result]]:
    """`(number, function(item))` of every item, so that a slow one holds no other back.

    At most `ahead` results are under way or waiting to be taken, whatever the number of items.
    """
    pool = ThreadPoolExecutor(threads)
    under_way: dict[Future[Result], int] = {}
    left = iter(enumerate(items))
    try:
        while True:
            while len(under_way) < ahead and (following := next(left, None)):
                number, item = following
                under_way[pool.submit(function, item)] = number
            if not under_way:
                return
            ready, _ = wait(under_way, return_when=FIRST_COMPLETED)
            future = min(ready, key=lambda it: under_way[it])
            yield under_way.pop(future), future.result()
            del future, ready  # a result may be large
    finally:
        pool.shutdown(cancel_futures=True)
