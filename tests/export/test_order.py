"""The order of the rows: a permutation, deterministic, no equal neighbours whenever that is possible."""

from __future__ import annotations

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from thumbline_warehouse.export.order import arrange

rows = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 4)), min_size=1, max_size=40)


def ordered(pairs: list[tuple[int, int]], seed: int = 0):
    draw = np.random.default_rng(seed)
    prompts = np.array([p for p, _ in pairs], dtype=np.uint64)
    completions = np.array([c for _, c in pairs], dtype=np.uint64)
    return arrange(draw.integers(0, 2**63, len(pairs)).astype(np.uint64), prompts, completions), completions, prompts


@given(rows, st.integers(0, 1_000))
def test_completions_never_meet_whenever_an_order_without_that_exists(pairs, seed) -> None:
    order, completions, _ = ordered(pairs, seed)
    assert sorted(order.rows.tolist()) == list(range(len(pairs)))
    meets = sum(a == b for a, b in zip(completions[order.rows], completions[order.rows][1:], strict=False))
    assert order.equal_completions == meets
    most = max(Counter(completions.tolist()).values())
    assert (order.equal_completions == 0) == (most <= (len(pairs) + 1) // 2)


@given(st.lists(st.integers(0, 4), min_size=1, max_size=40), st.integers(0, 1_000))
def test_prompts_do_not_meet_either_where_only_they_repeat(prompts, seed) -> None:
    order, _, keys = ordered([(p, i) for i, p in enumerate(prompts)], seed)
    most = max(Counter(keys.tolist()).values())
    assert (order.equal_prompts == 0) == (most <= (len(prompts) + 1) // 2)


@given(rows, st.integers(0, 1_000))
def test_the_same_keys_give_the_same_order(pairs, seed) -> None:
    assert ordered(pairs, seed)[0].rows.tolist() == ordered(pairs, seed)[0].rows.tolist()


def test_a_few_clashes_among_many_rows_are_repaired_without_changing_the_rest() -> None:
    order, _, _ = ordered([(i // 2 if i < 20 else i, i) for i in range(5_000)], 3)
    assert (order.equal_completions, order.equal_prompts) == (0, 0)
