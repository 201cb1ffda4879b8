"""The order of the rows: a permutation, deterministic, no equal neighbours whenever that is possible."""

from __future__ import annotations

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from thumbline_warehouse.export.order import arrange
from thumbline_warehouse.export.statistics import suggested_weights

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


@given(st.lists(st.booleans(), min_size=2, max_size=200), st.integers(0, 1_000))
def test_every_stretch_has_the_mix_of_labels_of_the_whole(labels, seed) -> None:
    flags = np.array(labels)
    draw = np.random.default_rng(seed)
    distinct = np.arange(len(labels), dtype=np.uint64)
    order = arrange(draw.permutation(distinct), distinct, distinct, flags)
    assert sorted(order.rows.tolist()) == list(range(len(labels)))
    ordered_labels = flags[order.rows]
    upto = np.cumsum(ordered_labels)
    expected = (np.arange(len(labels)) + 1) * flags.mean()
    assert np.abs(upto - expected).max() <= 1


@given(rows, st.integers(0, 1_000), st.data())
def test_labels_do_not_bring_equal_completions_together(pairs, seed, data) -> None:
    labels = np.array(data.draw(st.lists(st.booleans(), min_size=len(pairs), max_size=len(pairs))))
    draw = np.random.default_rng(seed)
    prompts, completions = (np.array(column, dtype=np.uint32) for column in zip(*pairs, strict=True))
    order = arrange(draw.permutation(len(pairs)).astype(np.uint64), prompts, completions, labels)
    most = max(Counter(completions.tolist()).values())
    assert (order.equal_completions == 0) == (most <= (len(pairs) + 1) // 2)


def test_suggested_weights_are_inside_both_published_ranges() -> None:
    """TRL warns outside of 1 to 4/3; the KTO paper wants 1 to 3/2."""
    for desirable in range(1, 201):
        for undesirable in range(1, 201):
            up, down = suggested_weights(desirable, undesirable)
            quotient = up * desirable / (down * undesirable)
            assert 1 <= round(quotient, 9) <= 4 / 3, (desirable, undesirable, up, down)
            assert min(up, down) == 1
    assert suggested_weights(900, 100) == (1.0, 9.0)
    assert suggested_weights(100, 900) == (9.0, 1.0)
    assert suggested_weights(0, 5) == suggested_weights(5, 0) == (1.0, 1.0)
