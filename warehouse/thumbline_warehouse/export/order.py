"""
The order of the rows: drawn by a seed, the same on every machine, and without equal neighbours.

TRL's KTOTrainer reads rows in file order and takes the completion of the row before as the mismatch
of its KL term: two neighbours with one completion would make that term meaningless. Neighbours that
share a prompt are kept apart as well, where that is possible.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

Keys: TypeAlias = npt.NDArray[np.unsignedinteger[Any]]
# 32 bits: there are orders of ten million rows to hold.
Rows: TypeAlias = npt.NDArray[np.int32]
Flags: TypeAlias = npt.NDArray[np.bool_]
Differ: TypeAlias = Callable[[int, int], bool]

# Tries per conflict in the quick repair; what is left goes to the thorough one.
_SWAPS: Final = 16
# Waiting rows that are looked at for one place: keeps the thorough repair linear.
_LOOKS: Final = 8


@dataclass(frozen=True)
class Order:
    """
    An order of rows.

    Attributes:
        rows: row numbers in the order in which they are written; shape (n,).
        equal_completions: neighbours that share a completion; 0 whenever an order without them exists. None
            where rows come as they come.
        equal_prompts: neighbours that share a prompt.
    """

    rows: Rows
    equal_completions: int | None
    equal_prompts: int | None


def arrange(shuffle: Keys, prompts: Keys, completions: Keys, labels: Flags | None = None) -> Order:
    """
    Order rows by their shuffle keys, then keep equal ones apart.

    Args:
        shuffle: a pseudo-random number per row, distinct for distinct rows; shape (n,).
        prompts: hash of each row's prompt; shape (n,).
        completions: hash of each row's completion; shape (n,).
        labels: each row's label, where every stretch of rows is to have the mix of the whole; shape (n,).
    """
    rows: Rows = np.argsort(shuffle, kind="stable").astype(np.int32)
    if labels is not None:
        rows = interleave(rows, labels)
    rows = _swap_apart(rows, prompts, completions)
    if _clashes(rows, prompts, completions).size:
        rows = _rebuild(rows, prompts, completions)
    if _equal(rows, completions):
        # Both together were not possible: completions alone decide then.
        alone = _rebuild(rows, completions, completions)
        if _equal(alone, completions) < _equal(rows, completions):
            rows = alone
    return Order(rows, _equal(rows, completions), _equal(rows, prompts))


def interleave(rows: Rows, labels: Flags) -> Rows:
    """
    Spread each label evenly over the whole, keeping the order within a label.

    A plain shuffle leaves stretches, and with them whole batches, of one label.

        rows [0, 1, 2, 3], labels [True, True, False, False]  ->  [0, 2, 1, 3]

    Args:
        rows: row numbers in order; shape (n,).
        labels: label of each row number; shape (n,).
    """
    ordered = labels[rows]
    desirable, others = rows[ordered], rows[~ordered]
    if not len(desirable) or not len(others):
        return rows
    # The i-th of n stands at (i + 1/2) / n of the way: before it are those of the other label that stand earlier.
    nth = np.arange(len(desirable), dtype=np.int64)
    places = nth + ((2 * nth + 1) * len(others) + len(desirable) - 1) // (2 * len(desirable))
    is_free = np.ones(len(rows), dtype=np.bool_)
    is_free[places] = False
    spread: Rows = np.empty_like(rows)
    spread[places] = desirable
    spread[is_free] = others
    return spread


def _equal(rows: Rows, keys: Keys) -> int:
    ordered = keys[rows]
    return int(np.count_nonzero(ordered[1:] == ordered[:-1]))


def _clashes(rows: Rows, prompts: Keys, completions: Keys) -> Rows:
    # Positions whose row shares prompt or completion with the row before.
    p, c = prompts[rows], completions[rows]
    clashes: Rows = np.flatnonzero((p[1:] == p[:-1]) | (c[1:] == c[:-1])).astype(np.int32) + 1
    return clashes


def _swap_apart(rows: Rows, prompts: Keys, completions: Keys) -> Rows:
    """Swap each clashing row with one far away where both then fit; cheap where clashes are few."""
    clashes = _clashes(rows, prompts, completions)
    if clashes.size == 0 or clashes.size > len(rows) // 20:
        return rows
    swapped: Rows = rows.copy()
    n = len(rows)
    for at in clashes.tolist():
        for attempt in range(1, _SWAPS + 1):
            # Steps from a fixed rule, not from a random generator: the same everywhere.
            other = (at + attempt * 7919) % n
            if abs(other - at) > 1 and _fits(swapped, at, other, prompts, completions):
                swapped[at], swapped[other] = swapped[other], swapped[at]
                break
    return swapped


def _fits(rows: Rows, one: int, other: int, prompts: Keys, completions: Keys) -> bool:
    return all(
        not (0 <= neighbour < len(rows))
        or (
            prompts[rows[taken]] != prompts[rows[neighbour]]
            and completions[rows[taken]] != completions[rows[neighbour]]
        )
        for place, taken in ((one, other), (other, one))
        for neighbour in (place - 1, place + 1)
    )


def _rebuild(rows: Rows, prompts: Keys, completions: Keys) -> Rows:
    """
    Build the sequence anew: always the next row in order that differs from the last one.

    Rows that are left at the end go into earlier gaps.

    With one key (`prompts is completions`) this finds an order without equal neighbours whenever
    there is one. Rows that wait then all have the key of the last row, so that one look at the first
    of them is enough; and each needs one gap between two other keys, of which there are enough
    unless the key has more than half of the rows.
    """
    p, c = prompts.tolist(), completions.tolist()

    def differ_in_both(one: int, other: int) -> bool:
        return bool(p[one] != p[other] and c[one] != c[other])

    def differ_in_completion(one: int, other: int) -> bool:
        return bool(c[one] != c[other])

    sequence, left = _take_next_that_fits(rows.tolist(), differ_in_both)
    sequence, left = _fill_gaps(sequence, left, differ_in_both)
    sequence, left = _fill_gaps(sequence, left, differ_in_completion)
    rebuilt: Rows = np.asarray([*sequence, *left], dtype=np.int32)
    return rebuilt


def _take_next_that_fits(order: list[int], differ: Differ) -> tuple[list[int], deque[int]]:
    sequence: list[int] = []
    waiting: deque[int] = deque()
    for row in order:
        _append_waiting(sequence, waiting, differ)
        if sequence and not differ(sequence[-1], row):
            waiting.append(row)
        else:
            sequence.append(row)
    while _append_waiting(sequence, waiting, differ):
        pass
    return sequence, waiting


def _append_waiting(sequence: list[int], waiting: deque[int], differ: Differ) -> bool:
    for _ in range(min(len(waiting), _LOOKS)):
        row = waiting.popleft()
        if differ(sequence[-1], row):
            sequence.append(row)
            return True
        waiting.append(row)
    return False


def _fill_gaps(sequence: list[int], left: deque[int], differ: Differ) -> tuple[list[int], deque[int]]:
    if not left:
        return sequence, left
    built: list[int] = []
    for following in sequence:
        for _ in range(min(len(left), _LOOKS)):
            row = left.popleft()
            if (not built or differ(built[-1], row)) and differ(row, following):
                built.append(row)
                break
            left.append(row)
        built.append(following)
    while left and differ(built[-1], left[0]):
        built.append(left.popleft())
    return built, left
