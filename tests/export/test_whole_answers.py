"""Rows hold whole answers: what was cut off, or thought beside the text, is left out and counted, or carried when asked."""

from __future__ import annotations

from typing import Any

import pytest

from tests.events import completion, event, thumb
from tests.export.conftest import answer_of
from thumbline_warehouse.export import NothingToExport

KINDS = ("kto", "pairs", "reward", "sft")


def _voted(name: str, response: Any, **fields: Any) -> list[dict[str, Any]]:
    """An answer with a thumb up, beside a short one with a thumb down to the same prompt, and a pick of it."""
    message = {"role": "assistant", "content": response} if isinstance(response, str) else response
    prompt = fields.pop("messages", [{"role": "user", "content": f"Question {name}?"}])
    return [
        completion(name, messages=prompt, response=message, **fields),
        completion(f"{name}-other", messages=prompt, text=f"Bad answer to {name}.", finish_reason="stop"),
        event("comparison", comparison_id=f"of-{name}", completion_ids=[name, f"{name}-other"]),
        thumb(name, "up"),
        thumb(f"{name}-other", "down", rater="r2"),
        event("pick", target_id=f"of-{name}", outcome="winner", winner_id=name, rater={"id": "r3"}),
    ]


def _answers(made: Any) -> set[str]:
    side = "completion" if made.manifest["kind"] in ("kto", "sft") else "chosen"
    return {answer_of(row, side) for row in made.rows() if row.get("label", True)}


@pytest.mark.parametrize("kind", KINDS)
def test_answers_that_were_cut_off_are_left_out_unless_asked_for(land, make, kind: str) -> None:
    land(
        [
            *_voted("whole", "All of it.", finish_reason="stop"),
            *_voted("cut", "It ends in the mid", finish_reason="length"),
            *_voted("anthropic", "So does th", finish_reason="max_tokens"),
            *_voted("google", "And th", finish_reason="MAX_TOKENS"),
            *_voted("closed", "The reader lef", finish_reason="closed"),
            *_voted("noted", "Noted by its ho", properties={"finish_reason": "length"}),
            *_voted("silent", "Nobody says why."),
        ]
    )
    made = make(kind, sources=("thumb",) if kind in ("kto", "sft") else ("pick",))
    assert _answers(made) == {"All of it.", "Nobody says why."}
    assert made.funnel.dropped["cut_off"] == 5
    quality = made.manifest["quality"]
    assert (quality["rows_cut_off"], quality["rows_without_finish_reason"]) == (0, 1)

    kept = make(kind, sources=("thumb",) if kind in ("kto", "sft") else ("pick",), cut_off="keep")
    assert len(_answers(kept)) == 7
    assert kept.manifest["quality"]["rows_cut_off"] == 5
    assert kept.funnel.dropped.get("cut_off", 0) == 0


def test_prompts_are_whole_whatever_became_of_the_answer(land, make) -> None:
    land(_voted("cut", "It ends in the mid", finish_reason="length"))
    assert make("prompts").funnel.rows == 1


REASONED = {
    "reasoning_content": {"role": "assistant", "content": "Paris.", "reasoning_content": "France."},
    "reasoning": {"role": "assistant", "content": "Paris.", "reasoning": "France."},
    "thinking": {"role": "assistant", "content": "Paris.", "thinking": "France."},
    "a thinking part": {
        "role": "assistant",
        "content": [{"type": "thinking", "thinking": "France.", "signature": "x"}, {"type": "text", "text": "Paris."}],
    },
    "a reasoning part": {
        "role": "assistant",
        "content": [{"type": "reasoning", "text": "France."}, {"type": "output_text", "text": "Paris."}],
    },
}


@pytest.mark.parametrize("how", REASONED)
def test_reasoning_beside_the_text_is_counted_or_carried(land, make, query, how: str) -> None:
    land([*_voted("a", REASONED[how]), *_voted("plain", "No thought.")])
    assert query("SELECT reasoning_chars FROM completions WHERE completion_id = 'a'") == [(7,)]
    left_out = make("kto", sources=("thumb",))
    assert _answers(left_out) == {"No thought."}
    assert left_out.funnel.dropped["reasoning"] == 1

    stripped = make("kto", sources=("thumb",), reasoning="strip")
    assert _answers(stripped) == {"Paris.", "No thought."}
    assert stripped.manifest["quality"]["rows_with_reasoning"] == 1
    assert all(set(row["completion"][0]) == {"role", "content"} for row in stripped.rows())

    thought = make("kto", sources=("thumb",), reasoning="think")
    assert _answers(thought) == {"<think>\nFrance.\n</think>\n\nParis.", "No thought."}
    for kind in ("pairs", "sft"):
        made = make(kind, sources=("thumb",), reasoning="think")
        assert _answers(made) == {"<think>\nFrance.\n</think>\n\nParis.", "No thought."}


def test_no_reasoning_is_none(land, query) -> None:
    for n, empty in enumerate((None, "", [], {})):
        land([completion(f"a{n}", response={"role": "assistant", "content": "Paris.", "reasoning_content": empty})])
    assert query("SELECT count(*), count(reasoning_chars) FROM completions") == [(4, 0)]


def test_reasoning_beside_tool_calls_is_always_counted(land, make) -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    response = {"role": "assistant", "content": None, "tool_calls": [call], "reasoning_content": "Look."}
    land([*_voted("a", response), *_voted("plain", "No thought.")])
    for reasoning in ("drop", "strip", "think"):
        assert make("kto", sources=("thumb",), reasoning=reasoning).funnel.dropped["reasoning"] == 1


def test_reasoning_of_earlier_answers_is_left_out_and_counted(land, make) -> None:
    """As templates of reasoning models do; the model saw none of it when it wrote the next answer."""
    prompt = [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Hello.", "reasoning_content": "A greeting."},
        {"role": "user", "content": "Bye"},
    ]
    land(_voted("a", "Goodbye.", messages=prompt))
    made = make("kto", sources=("thumb",))
    assert made.funnel.rows == 2
    assert made.manifest["quality"]["rows_with_reasoning_left_out_of_the_prompt"] == 2
    assert {tuple(message) for row in made.rows() for message in row["prompt"]} == {("role", "content")}


@pytest.mark.parametrize(
    "response",
    [
        {"role": "assistant", "content": None, "refusal": "I cannot say."},
        {"role": "assistant", "content": "", "refusal": "I cannot say."},
        {"role": "assistant", "content": [{"type": "refusal", "refusal": "I cannot say."}]},
        {"role": "assistant", "content": [{"type": "output_text", "text": "I cannot say."}]},
        {
            "role": "assistant",
            "content": [{"type": "output_text", "text": "I cannot "}, {"type": "text", "text": "say."}],
        },
    ],
)
def test_refusals_and_parts_of_other_names_are_text(land, make, query, response: dict[str, Any]) -> None:
    prompt = [{"role": "user", "content": [{"type": "input_text", "text": "Who will win?"}]}]
    land(_voted("a", response, messages=prompt))
    assert query("SELECT response_chars, form FROM completions WHERE completion_id = 'a'") == [(13, "text")]
    rows = list(make("kto", sources=("thumb",)).rows())
    assert {answer_of(row) for row in rows if row["label"]} == {"I cannot say."}
    assert rows[0]["prompt"] == [{"role": "user", "content": "Who will win?"}]


def test_a_part_of_an_unknown_type_is_still_no_text(land, make) -> None:
    land(_voted("a", {"role": "assistant", "content": [{"type": "video", "text": "x"}]}))
    with pytest.raises(NothingToExport, match="parts"):
        make("sft", sources=("thumb",))
