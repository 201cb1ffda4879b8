"""The side on which an answer is shown is drawn: fair, stored with the probability that it was drawn with, and signed."""

from __future__ import annotations

import uuid
from collections import Counter

import pytest
from examples.chat.answering import Answerer, Question
from examples.chat.conversations import Turns
from examples.chat.policies import BRIEF, CHATTY

import thumbline
from tests.collector.pages import parts
from tests.pipeline.conftest import Start, Up
from thumbline import testing

pytestmark = pytest.mark.slow

COMPARISONS = 10_000
# Quantiles of the chi-square distribution at 0.999, by degrees of freedom (NIST/SEMATECH e-Handbook, 1.3.6.7.4).
CRITICAL = {1: 10.828, 5: 20.515}


def _chi_square(counts: list[int]) -> float:
    expected = sum(counts) / len(counts)
    return sum((count - expected) ** 2 / expected for count in counts)


def _is_fair(counts: list[int]) -> bool:
    return _chi_square(counts) < CRITICAL[len(counts) - 1]


def _compare(up: Up, tl: thumbline.Client) -> list[int]:
    """How often each policy was shown first in as many comparisons of the chat, as the warehouse has it."""
    run = uuid.uuid4().hex
    answerer = Answerer(tl, Turns(), pause_s=0)
    signed: dict[str, tuple[list[str], float]] = {}
    for n in range(COMPARISONS):
        question = Question("person", f"{run}-{n}", ({"role": "user", "content": "What is the capital of Japan?"},))
        pair = next(event for event in list(answerer.answer(question, share=1.0)) if event["type"] == "pair")
        _, _, claims, _ = parts(pair["receipt"])
        signed[pair["id"]] = (claims["o"], claims["p"])
        if n % 500 == 499:
            assert tl.flush(60)
    rows = f"FROM comparisons WHERE starts_with(conversation_id, '{run}')"
    up.wait_until_landed(COMPARISONS * 3, 120)
    stored = up.ask(f"SELECT comparison_id, completion_ids, probability {rows}")
    # What is stored, what was signed and what was drawn is one thing.
    assert {own: (list(order), probability) for own, order, probability in stored} == signed
    assert {probability for _, _, probability in stored} == {0.5}
    first = Counter(
        policy
        for (policy,) in up.ask(
            f"SELECT c.policy FROM (SELECT completion_ids[1] AS first_id {rows}) JOIN completions c ON c.completion_id = first_id"
        )
    )
    assert first.total() == COMPARISONS
    return [first[BRIEF.checkpoint], first[CHATTY.checkpoint]]


def test_each_policy_is_as_often_on_the_left(start: Start) -> None:
    up = start()
    with up.client() as tl:
        counts = _compare(up, tl)
        # One fair draw in a thousand fails at 0.001; twice in a row, one in a million.
        assert _is_fair(counts) or _is_fair(_compare(up, tl)), counts


def test_every_order_of_three_is_drawn_as_often() -> None:
    with testing.record() as tl:
        orders = Counter(tl.comparison(["a", "b", "c"]).order for _ in range(COMPARISONS))
        more = Counter(tl.comparison(["a", "b", "c"]).order for _ in range(COMPARISONS))
    assert len(orders) == 6
    assert {event["probability"] for event in tl.events} == {1 / 6}
    assert _is_fair(list(orders.values())) or _is_fair(list(more.values()))


def test_the_share_of_compared_turns_is_the_one_that_is_stored() -> None:
    share = 1 / 3
    with testing.record() as tl:
        answerer = Answerer(tl, Turns(), pause_s=0)
        for n in range(3_000):
            question = Question("person", f"c{n}", ({"role": "user", "content": "1 + 1"},))
            for _ in answerer.answer(question, share):
                pass
    compared = [event for event in tl.events if event["kind"] == "comparison"]
    assert {event["properties"]["comparison_share"] for event in compared} == {share}
    # Five standard deviations of a binomial draw: fails by chance less often than once in a million runs.
    assert abs(len(compared) - 1_000) < 5 * (3_000 * share * (1 - share)) ** 0.5


def test_an_unfair_draw_is_noticed() -> None:
    assert _is_fair([5_050, 4_950])
    assert not _is_fair([5_200, 4_800])
