"""Profiles: whole rows for every trainer, every defect named, and no problem in what a profile writes itself."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from pathlib import Path
from typing import Any, get_args

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from thumbline_warehouse.export.profiles import (
    PROFILES,
    Facts,
    Kind,
    ProfileError,
    Settings,
    features_of,
    features_of_types,
    profile,
)

IM = "<|im_start|>"
END = "<|im_end|>"


def S(text: str) -> dict[str, Any]:
    return {"role": "system", "content": text}


def U(text: Any) -> dict[str, Any]:
    return {"role": "user", "content": text}


def A(text: str) -> dict[str, Any]:
    return {"role": "assistant", "content": text}


LONG = [S("Be brief."), U("Hi"), A("Hello."), U("Capital?")]
METADATA = {"example_id": "e1", "model": "acme-7b", "n_votes": 3}
EXAMPLES: dict[str, dict[str, Any]] = {
    "kto": {"prompt": LONG, "completion": [A("Paris.")], "label": True, **METADATA},
    "pairs": {"prompt": LONG, "chosen": [A("Paris.")], "rejected": [A("Lyon.")], **METADATA},
    "reward": {"prompt": LONG, "chosen": [A("Paris.")], "rejected": [A("Lyon.")], "margin": 2, **METADATA},
    "prompts": {"prompt": LONG, **METADATA},
    "sft": {"prompt": LONG, "completion": [A("Paris.")], **METADATA},
}
SHORT = {"reward": [S("Be brief."), U("Capital?")]}
LONG_ID = hashlib.sha256(
    b'[["system", "Be brief."], ["user", "Hi"], ["assistant", "Hello."], ["user", "Capital?"]]'
).hexdigest()
CHATML = f"{IM}system\nBe brief.{END}\n{IM}user\nHi{END}\n{IM}assistant\nHello.{END}\n{IM}user\nCapital?{END}\n{IM}assistant\n"
PAIR = {"prompt": LONG, "chosen": [A("Paris.")], "rejected": [A("Lyon.")]}

GOLDEN: dict[tuple[str, str], dict[str, Any]] = {
    ("trl", "kto"): {"prompt": LONG, "completion": [A("Paris.")], "label": True},
    ("trl", "pairs"): PAIR,
    ("trl", "reward"): {**PAIR, "margin": 2.0},
    ("trl", "prompts"): {"prompt": LONG},
    ("trl", "sft"): {"prompt": LONG, "completion": [A("Paris.")]},
    ("llamafactory", "kto"): {"messages": [*LONG, A("Paris.")], "label": True},
    ("llamafactory", "pairs"): {"messages": LONG, "chosen": A("Paris."), "rejected": A("Lyon.")},
    ("llamafactory", "reward"): {"messages": LONG, "chosen": A("Paris."), "rejected": A("Lyon.")},
    ("llamafactory", "sft"): {"messages": [*LONG, A("Paris.")]},
    ("axolotl", "kto"): {
        "system": "Be brief.",
        "prompt": f"Hi{END}\n{IM}assistant\nHello.{END}\n{IM}user\nCapital?",
        "completion": "Paris.",
        "label": True,
    },
    ("axolotl", "pairs"): {"prompt": LONG, "chosen": A("Paris."), "rejected": A("Lyon.")},
    ("axolotl", "reward"): {"system": "Be brief.", "input": "Capital?", "chosen": "Paris.", "rejected": "Lyon."},
    ("openrlhf", "pairs"): PAIR,
    ("openrlhf", "reward"): {**PAIR, "margin": 2.0},
    ("halos", "kto"): {
        "type": "binary_feedback",
        "prompt_id": LONG_ID,
        "prompt": LONG,
        "output": [A("Paris.")],
        "label": 1,
        "reward": 1.0,
        "split": "train",
    },
    ("halos", "pairs"): {
        "type": "pairwise_feedback",
        "prompt_id": LONG_ID,
        "prompt": LONG,
        "output_A": [A("Paris.")],
        "output_B": [A("Lyon.")],
        "label": 1,
        "reward_A": 1.0,
        "reward_B": 0.0,
        "split": "train",
    },
    ("nemo-rl", "pairs"): {
        "context": LONG,
        "completions": [{"rank": 0, "completion": [A("Paris.")]}, {"rank": 1, "completion": [A("Lyon.")]}],
    },
    ("nemo-rl", "reward"): {
        "context": LONG,
        "completions": [{"rank": 0, "completion": [A("Paris.")]}, {"rank": 1, "completion": [A("Lyon.")]}],
    },
    ("verl", "prompts"): {
        "prompt": LONG,
        "data_source": "thumbline",
        "reward_model": {"style": "rule", "ground_truth": ""},
        "extra_info": {"example_id": "e1"},
    },
    ("verl", "pairs"): {"prompt": CHATML, "chosen": f"Paris.{END}\n", "rejected": f"Lyon.{END}\n"},
    ("verl", "reward"): {"prompt": CHATML, "chosen": f"Paris.{END}\n", "rejected": f"Lyon.{END}\n"},
    ("implicit", "pairs"): {"chosen": [*LONG, A("Paris.")], "rejected": [*LONG, A("Lyon.")]},
    ("implicit", "reward"): {"chosen": [*LONG, A("Paris.")], "rejected": [*LONG, A("Lyon.")], "margin": 2.0},
    ("openai", "pairs"): {
        "input": {"messages": LONG},
        "preferred_output": [A("Paris.")],
        "non_preferred_output": [A("Lyon.")],
    },
    ("ms-swift", "kto"): {"messages": [*LONG, A("Paris.")], "label": True},
    ("ms-swift", "pairs"): {"messages": [*LONG, A("Paris.")], "rejected_response": "Lyon."},
    ("ms-swift", "reward"): {"messages": [*LONG, A("Paris.")], "rejected_response": "Lyon.", "margin": 2.0},
    ("ms-swift", "prompts"): {"messages": LONG},
    ("ms-swift", "sft"): {"messages": [*LONG, A("Paris.")]},
}


def settings_of(name: str, kind: Any, **more: Any) -> Settings:
    return Settings(kind, **({"format": profile(name).formats[0]} | more))


def example_of(name: str, kind: str) -> dict[str, Any]:
    """The example of a kind, with a single question where the reader takes no more."""
    example = EXAMPLES[kind]
    return example | {"prompt": SHORT[kind]} if (name, kind) == ("axolotl", "reward") else example


@pytest.fixture(params=sorted(GOLDEN), ids="-".join)
def golden(request: pytest.FixtureRequest) -> tuple[str, Any, dict[str, Any]]:
    return *request.param, GOLDEN[request.param]


def test_the_row_of_every_trainer_and_kind(golden) -> None:
    name, kind, row = golden
    kept = METADATA if profile(name).keeps_metadata else {}

    made = profile(name).convert(example_of(name, kind), settings_of(name, kind))

    assert made == row | kept
    assert list(made) == [*row, *kept]


def test_a_row_as_it_is_made_has_no_problems_and_exactly_the_types_fields(golden) -> None:
    name, kind, row = golden
    settings = settings_of(name, kind)
    assert profile(name).refusals(settings) == []
    assert profile(name).problems(profile(name).convert(example_of(name, kind), settings), settings) == []
    assert list(profile(name).types(settings)) == list(row)


def test_the_types_are_duckdbs_and_read_a_row_back(golden, tmp_path: Path) -> None:
    name, kind, row = golden
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps(row) + "\n")
    types = ", ".join(f"'{field}': '{type_}'" for field, type_ in profile(name).types(settings_of(name, kind)).items())
    found = duckdb.sql(f"SELECT * FROM read_json('{path}', columns = {{{types}}})").fetchone()
    assert found is not None
    assert [json.loads(value) if "JSON" in types else value for value in found] == list(row.values())


def test_kinds_and_formats_that_a_reader_does_not_take_are_refused() -> None:
    refused = {
        (name, kind) for name in PROFILES for kind in get_args(Kind) if profile(name).refusals(settings_of(name, kind))
    }
    assert refused == {(name, kind) for name in PROFILES for kind in get_args(Kind)} - set(GOLDEN)
    assert ("openrlhf", "kto") in refused
    assert profile("halos").refusals(Settings("kto")) == ["profile halos does not read jsonl: it takes json"]
    assert profile("verl").refusals(Settings("prompts"))
    assert profile("halos").refusals(Settings("kto", "json", images=True)) == ["profile halos cannot carry images"]
    with pytest.raises(ProfileError, match="choose one of trl, llamafactory"):
        profile("nobody")


def test_only_trl_without_tools_takes_the_canonical_rows_as_they_are() -> None:
    assert profile("trl").is_plain(Settings("kto"))
    assert not profile("trl").is_plain(Settings("kto", rich=True))
    assert not profile("trl").is_plain(Settings("kto", merge_consecutive_user=True))
    assert not profile("llamafactory").is_plain(Settings("kto"))


# ---- defects


def problems(name: str, kind: Any, row: dict[str, Any], **settings: Any) -> str:
    return "\n".join(profile(name).problems(row, settings_of(name, kind, **settings)))


def broken(name: str, kind: str, **fields: Any) -> dict[str, Any]:
    """A good row with other fields; a field of `...` is left out."""
    row = GOLDEN[name, kind] | fields
    return {field: value for field, value in row.items() if value is not ...}


NAN, INF = float("nan"), float("inf")
DEFECTS: list[tuple[str, str, dict[str, Any], str]] = [
    # Labels.
    *[("trl", "kto", {"label": label}, "label must be true or false") for label in (1, 0, -1, 1.0, "true", None)],
    ("trl", "kto", {"label": ...}, "label is missing"),
    ("llamafactory", "kto", {"label": 1}, "label must be true or false"),
    ("axolotl", "kto", {"label": 1}, "label must be true or false"),
    ("ms-swift", "kto", {"label": 0}, "label must be true or false"),
    # Prompts.
    ("trl", "kto", {"prompt": []}, "prompt is empty"),
    ("trl", "kto", {"prompt": "Hi"}, "prompt must be a list of messages, not str"),
    ("trl", "kto", {"prompt": ...}, "prompt is missing"),
    ("trl", "kto", {"prompt": ["Hi"]}, r"prompt\[0\] must be a message"),
    ("trl", "kto", {"prompt": [U("Hi"), A("Yo")]}, "prompt ends with the assistant"),
    ("trl", "kto", {"prompt": [S("x")]}, "prompt ends with the system"),
    ("trl", "pairs", {"prompt": [U("Hi"), A("Yo")]}, "prompt ends with the assistant"),
    ("trl", "kto", {"prompt": [{"role": "bot", "content": "x"}, U("Hi")]}, r"prompt\[0\].role is 'bot'"),
    ("trl", "kto", {"prompt": [U(None)]}, r"prompt\[0\].content must be a string, not NoneType"),
    ("trl", "kto", {"prompt": [U([{"type": "text", "text": "x"}])]}, r"prompt\[0\].content must be a string, not list"),
    ("trl", "kto", {"prompt": [U("x") | {"name": "Ann"}]}, r"prompt\[0\] has the key name"),
    # Answers.
    ("trl", "kto", {"completion": "Paris."}, "completion must be a list of messages, not str"),
    ("trl", "kto", {"completion": [A("")]}, "completion.* is empty"),
    ("trl", "kto", {"completion": [A(" \n")]}, "completion.* is empty"),
    ("trl", "kto", {"completion": [A(None)]}, "completion.* is empty"),
    ("trl", "kto", {"completion": None}, "completion must be a list"),
    ("trl", "kto", {"completion": []}, "completion must hold one message, not 0"),
    ("trl", "kto", {"completion": [U("Paris.")]}, "completion.*role must be assistant"),
    ("trl", "kto", {"completion": [*LONG, A("Paris.")]}, "completion begins with the prompt again"),
    ("trl", "pairs", {"chosen": [*LONG, A("Paris.")]}, "chosen begins with the prompt again"),
    ("trl", "pairs", {"chosen": [A("Lyon.")]}, "chosen and rejected are the same"),
    ("trl", "pairs", {"rejected": [A("")]}, "rejected.* is empty"),
    # Margins.
    *[("trl", "reward", {"margin": margin}, "margin must be a number") for margin in (None, "1", True)],
    *[("trl", "reward", {"margin": margin}, "margin must be finite") for margin in (NAN, INF)],
    ("trl", "reward", {"margin": -1.0}, "margin is negative"),
    ("trl", "reward", {"margin": ...}, "margin is missing"),
    ("ms-swift", "reward", {"margin": -1.0}, "margin is negative"),
    ("implicit", "reward", {"margin": None}, "margin must be a number"),
    # Metadata.
    *[
        ("trl", "kto", {field: "x"}, f"{field} has a meaning of its own")
        for field in ("messages", "image", "images", "tools", "chat_template_kwargs", "chosen", "rejected", "margin")
    ],
    *[("trl", "kto", {field: [1]}, f"{field} has") for field in ("prompt_ids", "KL_completion_ids", "ref_logps")],
    ("trl", "pairs", {"completion": "x"}, "completion has a meaning of its own"),
    ("trl", "kto", {"model": None}, "model is null"),
    ("trl", "kto", {"tags": ["x"]}, "tags is nested"),
    ("trl", "kto", {"agreement": NAN}, "agreement is nan, not a number"),
    ("trl", "kto", {"model": "cut \ud83d"}, "model holds a lone surrogate"),
    ("trl", "kto", {"prompt": [U("cut \ud83d")]}, r"prompt\[0\].content holds a lone surrogate"),
    ("ms-swift", "kto", {"channel": "x"}, "channel has a meaning of its own"),
    ("openai", "pairs", {"model": "x"}, "model is not a field of this format"),
    # LLaMA-Factory: alternation, and answers that it misreads.
    ("llamafactory", "kto", {"messages": [U("a"), U("b"), A("c")]}, "roles in the order uu"),
    ("llamafactory", "kto", {"messages": [U("a"), A("b"), A("c")]}, "before the answer"),
    ("llamafactory", "kto", {"messages": [A("c")]}, "nothing before the answer"),
    ("llamafactory", "kto", {"messages": [S("a"), A("c")]}, "has the system"),
    ("llamafactory", "kto", {"messages": [U("a")]}, "does not end with the assistant's answer"),
    ("llamafactory", "kto", {"messages": []}, "messages is empty"),
    ("llamafactory", "kto", {"messages": [U("a"), A("")]}, "counts as undesirable"),
    ("llamafactory", "kto", {"messages": [U("a"), S("b"), U("c"), A("d")]}, "roles in the order usu"),
    ("llamafactory", "pairs", {"messages": [U("a"), A("b")]}, "has the assistant"),
    ("llamafactory", "pairs", {"chosen": [A("Paris.")]}, "chosen must be a message with role and content, not list"),
    ("llamafactory", "pairs", {"rejected": A("Paris.")}, "are the same"),
    ("llamafactory", "pairs", {"rejected": A("")}, "rejected.content is empty"),
    ("llamafactory", "pairs", {"rejected": U("x")}, "rejected.role must be the assistant's"),
    # Axolotl: text where it knows no messages, answers that it cannot find again.
    ("axolotl", "kto", {"prompt": LONG}, "prompt must be a string, not list"),
    ("axolotl", "kto", {"completion": [A("x")]}, "completion must be a string, not list"),
    ("axolotl", "kto", {"completion": ""}, "completion is empty"),
    ("axolotl", "kto", {"system": None}, "system must be a string, empty where there is none"),
    ("axolotl", "reward", {"system": ...}, "system is missing"),
    ("axolotl", "pairs", {"chosen": A("Paris. ")}, "chosen.content has space around it"),
    ("axolotl", "pairs", {"chosen": A("me")}, "chosen.content occurs in what the strategy renders before it"),
    ("axolotl", "pairs", {"chosen": [A("Paris.")]}, "chosen must be a message"),
    # HALOs.
    ("halos", "kto", {"reward": ...}, "reward is missing"),
    ("halos", "kto", {"reward": None}, "reward must be a number"),
    ("halos", "kto", {"label": True}, "label must be 1 or 0, not True"),
    ("halos", "kto", {"label": -1}, "label must be 1 or 0"),
    ("halos", "kto", {"type": ...}, "type is missing"),
    ("halos", "kto", {"type": "pairwise_feedback"}, "type must be binary_feedback"),
    ("halos", "kto", {"prompt_id": "1"}, "prompt_id is not the hash of the whole prompt"),
    ("halos", "kto", {"split": "dev"}, "split must be train or test"),
    ("halos", "pairs", {"label": 0}, "a tie too"),
    ("halos", "pairs", {"output_A": [A("Lyon.")]}, "output_A and output_B are the same"),
    ("halos", "kto", {"prompt": [U("a"), U("b")]}, "roles in the order uu"),
    # NeMo RL: two completions with the ranks 0 and 1.
    ("nemo-rl", "pairs", {"completions": GOLDEN["nemo-rl", "pairs"]["completions"][:1]}, "exactly two"),
    *[
        (
            "nemo-rl",
            "pairs",
            {"completions": [{"rank": one, "completion": [A("x")]}, {"rank": two, "completion": [A("y")]}]},
            sentence,
        )
        for one, two, sentence in (
            (0, 0, "ties are refused"),
            (1, 0, "ranks 0 and 1"),
            (1, 2, "ranks 0 and 1"),
            (0, True, "ranks 0 and 1"),
        )
    ],
    (
        "nemo-rl",
        "pairs",
        {"completions": [{"rank": rank, "completion": [A("x")]} for rank in (0, 1)]},
        "are the same",
    ),
    ("nemo-rl", "pairs", {"context": [U("a"), A("b")]}, "context ends with the assistant"),
    # verl.
    ("verl", "pairs", {"prompt": LONG}, "prompt must be a string, not list"),
    ("verl", "pairs", {"rejected": f"Paris.{END}\n"}, "are the same"),
    ("verl", "prompts", {"prompt": "Hi"}, "prompt must be a list"),
    ("verl", "prompts", {"reward_model": {}}, "reward_model must have ground_truth"),
    ("verl", "prompts", {"extra_info": {}}, "extra_info must be an object that is not empty"),
    ("verl", "prompts", {"data_source": ""}, "data_source must name"),
    # Implicit prompts.
    ("implicit", "pairs", {"chosen": [A("Paris.")]}, "chosen before its last message is empty"),
    ("implicit", "pairs", {"chosen": [U("a"), A("b")]}, "differ before their last message"),
    ("implicit", "pairs", {"chosen": [*LONG, A("Lyon.")]}, "are the same"),
    ("implicit", "pairs", {"chosen": [*LONG]}, "role must be assistant"),
    ("implicit", "pairs", {"prompt": LONG}, "prompt has a meaning of its own"),
    ("implicit", "pairs", {"chosen": [U("a"), U("b"), A("c")]}, "roles in the order uu"),
    # Hosted.
    ("openai", "pairs", {"input": {"messages": [U("a"), A("b")]}}, "input.messages ends with the assistant"),
    ("openai", "pairs", {"input": {"messages": LONG, "tool_choice": "none"}}, "input has the key tool_choice"),
    ("openai", "pairs", {"input": LONG}, "input must be an object"),
    ("openai", "pairs", {"input": {"messages": LONG, "tools": []}}, "input.tools must be a list of tools, or absent"),
    ("openai", "pairs", {"preferred_output": [A("x"), A("y")]}, "preferred_output must hold one message"),
    ("openai", "pairs", {"preferred_output": [A("Lyon.")]}, "are the same"),
    ("openai", "pairs", {"non_preferred_output": [U("x")]}, "must be assistant"),
    # ms-swift.
    ("ms-swift", "pairs", {"rejected_response": None}, "rejected_response must be a string, not NoneType"),
    ("ms-swift", "pairs", {"rejected_response": "Paris."}, "is the last message again"),
    ("ms-swift", "pairs", {"rejected_response": ""}, "rejected_response is empty"),
    ("ms-swift", "kto", {"messages": [U("a"), A("")]}, "ends with an empty answer"),
    ("ms-swift", "kto", {"messages": [U("a"), U("b"), A("c")]}, "roles in the order uu"),
    ("ms-swift", "prompts", {"messages": [U("a"), A("b")]}, "has the assistant"),
]


@pytest.mark.parametrize(("name", "kind", "fields", "sentence"), DEFECTS)
def test_every_defect_is_named(name: str, kind: str, fields: dict[str, Any], sentence: str) -> None:
    found = problems(name, kind, broken(name, kind, **fields))
    assert re.search(sentence, found), found


def test_a_row_of_another_shape_never_stops_the_checks() -> None:
    strange: list[Any] = [None, 1, "x", [], {}, [1], [None], [[]], [{}], {"role": 1}, [{"role": ["x"], "content": {}}]]
    for (name, kind), row in GOLDEN.items():
        for rich in (False, True):
            settings = settings_of(name, kind, rich=rich)
            for field in row:
                for value in strange:
                    profile(name).problems(row | {field: value}, settings)
            assert profile(name).problems({}, settings)


# ---- tools and images

TOOL = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}
CALL = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Paris"}'}}
CALLING = {"role": "assistant", "content": None, "tool_calls": [CALL]}
RESULT = {"role": "tool", "tool_call_id": "call_1", "content": "12 degrees"}
WITH_TOOLS = {
    "prompt": [U("Weather?"), CALLING, RESULT],
    "completion": [A("12 degrees.")],
    "label": True,
    "tools": [TOOL],
}
PAIR_WITH_TOOLS = {"prompt": [U("Weather?")], "chosen": [CALLING], "rejected": [A("No idea.")], "tools": [TOOL]}
PIXEL = base64.b64encode(b"\x89PNG\x00").decode()
IMAGE = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}}
REMOTE = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
WITH_IMAGE = {"prompt": [U([{"type": "text", "text": "What is "}, IMAGE, {"type": "text", "text": "?"}])]}


def converted(name: str, example: dict[str, Any], **settings: Any) -> dict[str, Any]:
    kind = "kto" if "label" in example else "pairs" if "chosen" in example else "prompts"
    given = settings_of(name, kind, rich=True, **settings)
    row = profile(name).convert(example, given)
    assert profile(name).problems(row, given) == []
    assert list(row) == list(profile(name).types(given))
    return row


def test_trl_keeps_tools_as_text_and_says_null_where_there_are_none() -> None:
    assert converted("trl", WITH_TOOLS) == {
        "prompt": [U("Weather?"), {"role": "assistant", "content": "", "tool_calls": [CALL]}, RESULT],
        "completion": [A("12 degrees.")],
        "label": True,
        "tools": json.dumps([TOOL]),
    }
    assert converted("trl", PAIR_WITH_TOOLS)["chosen"] == [{"role": "assistant", "content": "", "tool_calls": [CALL]}]
    assert converted("trl", PAIR | {"tools": None}) == PAIR | {"tools": "null"}


def test_tool_arguments_are_text_or_objects_as_asked() -> None:
    as_object = CALL | {"function": {"name": "weather", "arguments": {"city": "Paris"}}}
    logged_as_object = WITH_TOOLS | {"prompt": [U("Weather?"), CALLING | {"tool_calls": [as_object]}, RESULT]}

    for example in (WITH_TOOLS, logged_as_object):
        assert converted("trl", example)["prompt"][1]["tool_calls"] == [CALL]
        assert converted("trl", example, tool_arguments="object")["prompt"][1]["tool_calls"] == [as_object]

    settings = Settings("kto", "parquet", tool_arguments="object", rich=True)
    assert "Parquet gives every call the arguments of all others" in profile("trl").refusals(settings)[0]
    row = converted("trl", WITH_TOOLS, tool_arguments="object")
    assert "is an object" in problems("trl", "kto", row, format="parquet", rich=True)
    assert "is an object where others are JSON text" in problems("trl", "kto", row, rich=True)
    no_object = CALL | {"function": {"name": "weather", "arguments": "Paris"}}
    with pytest.raises(ProfileError, match="not a JSON object"):
        converted(
            "trl",
            {**WITH_TOOLS, "prompt": [U("x"), CALLING | {"tool_calls": [no_object]}, RESULT]},
            tool_arguments="object",
        )


def test_llamafactory_writes_a_call_and_its_result_as_messages_of_their_own() -> None:
    calls = '[{"name": "weather", "arguments": {"city": "Paris"}}]'
    assert converted("llamafactory", WITH_TOOLS) == {
        "messages": [
            U("Weather?"),
            {"role": "function_call", "content": calls},
            {"role": "observation", "content": "12 degrees"},
            A("12 degrees."),
        ],
        "label": True,
        "tools": json.dumps([TOOL]),
    }
    assert converted("llamafactory", PAIR_WITH_TOOLS)["chosen"] == {"role": "function_call", "content": calls}
    assert converted("llamafactory", WITH_TOOLS | {"tools": None})["tools"] == ""
    with pytest.raises(ProfileError, match="text beside a tool call"):
        converted("llamafactory", PAIR_WITH_TOOLS | {"chosen": [CALLING | {"content": "Let me look."}]})
    assert not re.fullmatch(profile("llamafactory").prompt_roles(Settings("kto")), "uatt")


def test_ms_swift_writes_a_message_for_every_call_and_the_rejected_conversation_whole() -> None:
    call = {"role": "tool_call", "content": '{"name": "weather", "arguments": {"city": "Paris"}}'}
    assert converted("ms-swift", WITH_TOOLS) == {
        "messages": [U("Weather?"), call, {"role": "tool_response", "content": "12 degrees"}, A("12 degrees.")],
        "label": True,
        "tools": json.dumps([TOOL]),
    }
    assert converted("ms-swift", PAIR_WITH_TOOLS | {"chosen": [CALLING | {"content": "Let me look."}]}) == {
        "messages": [U("Weather?"), A("Let me look."), call],
        "rejected_messages": [U("Weather?"), A("No idea.")],
        "tools": json.dumps([TOOL]),
    }


def test_hosted_rows_keep_tools_as_they_are() -> None:
    pair = PAIR_WITH_TOOLS | {"prompt": [U("Weather?"), CALLING, RESULT, U("And now?")]}
    assert converted("openai", pair) == {
        "input": {"messages": [U("Weather?"), CALLING, RESULT, U("And now?")], "tools": [TOOL]},
        "preferred_output": [CALLING],
        "non_preferred_output": [A("No idea.")],
    }
    lost = pair | {"prompt": [U("Weather?"), RESULT]}
    row = profile("openai").convert(lost, Settings("pairs", rich=True))
    assert "tool_call_id names no call before it" in problems("openai", "pairs", row, rich=True)


def test_functions_from_before_tool_calls_become_tool_calls() -> None:
    before = {"role": "assistant", "content": None, "function_call": {"name": "weather", "arguments": "{}"}}
    result = {"role": "function", "name": "weather", "content": "12"}
    row = converted("trl", WITH_TOOLS | {"prompt": [U("Weather?"), before, result]})
    assert row["prompt"][1:] == [
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [{"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}],
        },
        {"role": "tool", "content": "12", "tool_call_id": "call_1", "name": "weather"},
    ]


@pytest.mark.parametrize("name", [name for name in PROFILES if not profile(name).carries_tools])
def test_tools_are_never_lost_silently(name: str) -> None:
    for kind in profile(name).kinds:
        example = EXAMPLES[kind] | {"prompt": [U("Weather?"), CALLING, RESULT]}
        with pytest.raises(ProfileError, match="cannot be carried"):
            profile(name).convert(example, settings_of(name, kind))


@pytest.mark.parametrize("name", list(PROFILES))
def test_images_are_never_lost_silently(name: str) -> None:
    for kind in profile(name).kinds:
        example = EXAMPLES[kind] | WITH_IMAGE
        if profile(name).carries_images:
            format_ = profile(name).formats[-1]
            row = profile(name).convert(example, settings_of(name, kind, format=format_, images=True, rich=True))
            assert len(row["images"]) == 1
            example = EXAMPLES[kind] | {"completion": [U([IMAGE]) | {"role": "assistant"}]}
            if "completion" in EXAMPLES[kind]:
                with pytest.raises(ProfileError, match="image in an answer"):
                    profile(name).convert(example, settings_of(name, kind, format=format_, images=True, rich=True))
        else:
            with pytest.raises(ProfileError, match="cannot be carried"):
                profile(name).convert(example, settings_of(name, kind))


def test_trl_and_llamafactory_put_an_images_bytes_beside_its_place() -> None:
    example = WITH_TOOLS | WITH_IMAGE | {"tools": None}
    images = [{"bytes": PIXEL, "path": None}]

    row = converted("trl", example, images=True, format="parquet")
    parts = [{"type": "text", "text": "What is "}, {"type": "image"}, {"type": "text", "text": "?"}]
    assert row["prompt"] == [U(parts)]
    assert row["completion"] == [{"role": "assistant", "content": [{"type": "text", "text": "12 degrees."}]}]
    assert row["images"] == images

    row = converted("llamafactory", example, images=True, format="parquet")
    assert row["messages"][0] == U("What is <image>?")
    assert row["images"] == images

    row = converted("ms-swift", example, images=True)
    assert row["messages"][0] == U("What is <image>?")
    assert row["images"] == [IMAGE["image_url"]["url"]]

    for name in ("trl", "llamafactory"):
        assert "need Parquet" in profile(name).refusals(Settings("kto", images=True))[0]
    typed = "The tag <image>?"
    row = converted("llamafactory", example, images=True, format="parquet") | {
        "messages": [U(typed), A("x")],
        "images": [],
    }
    assert "0 images for 1 places" in problems("llamafactory", "kto", row, images=True, rich=True, format="parquet")


def test_an_image_that_would_have_to_be_fetched_is_a_problem() -> None:
    example = WITH_TOOLS | {"prompt": [U([REMOTE])], "tools": None}
    for name in ("trl", "llamafactory", "ms-swift"):
        settings = settings_of(name, "kto", rich=True, images=True, format=profile(name).formats[-1])
        row = profile(name).convert(example, settings)
        assert "images[0] has no bytes" in "\n".join(profile(name).problems(row, settings))


def test_images_become_bytes_in_parquet(tmp_path: Path) -> None:
    settings = Settings("kto", "parquet", images=True, rich=True)
    row = converted("trl", WITH_TOOLS | WITH_IMAGE, images=True, format="parquet")
    (tmp_path / "rows.jsonl").write_text(json.dumps(row) + "\n")
    types = ", ".join(f"'{name}': '{type_}'" for name, type_ in profile("trl").types(settings).items())
    columns = profile("trl").columns(settings)
    selected = ", ".join(f"{columns.get(name, name)} AS {name}" for name in row)
    found = duckdb.sql(f"SELECT {selected} FROM read_json('{tmp_path}/rows.jsonl', columns = {{{types}}})").fetchone()
    read = dict(zip(row, found or (), strict=True))
    assert read["images"] == [{"bytes": b"\x89PNG\x00", "path": None}]
    assert profile("trl").problems(read, settings) == []


@pytest.mark.parametrize(
    ("message", "features"),
    [
        (U("Hi"), set()),
        (U([{"type": "text", "text": "Hi"}]), set()),
        (A(None), set()),
        (A("x") | {"tool_calls": None}, set()),
        (CALLING, {"tools"}),
        (RESULT, {"tools"}),
        ({"role": "assistant", "function_call": {"name": "f", "arguments": "{}"}}, {"tools"}),
        (U([IMAGE, {"type": "text", "text": "Hi"}]), {"images"}),
        (U([REMOTE]), {"images"}),
        (U([{"type": "input_audio", "input_audio": {}}]), {"other"}),
        (U([{"type": "file", "file": {}}, IMAGE]), {"other", "images"}),
        (U([{"type": "text"}]), {"other"}),
        (U(["Hi"]), {"other"}),
        (U(3), {"other"}),
        ({"role": "narrator", "content": "x"}, {"other"}),
    ],
)
def test_what_a_message_needs(message: dict[str, Any], features: set[str]) -> None:
    assert features_of(message) == features


# ---- conversion


def test_text_parts_are_joined_and_the_developer_is_the_system() -> None:
    prompt = [
        {"role": "developer", "content": "Be brief."},
        U([{"type": "text", "text": "H"}, {"type": "text", "text": "i"}]),
    ]
    row = profile("halos").convert(EXAMPLES["kto"] | {"prompt": prompt}, Settings("kto", "json", split="validation"))
    assert row["prompt"] == [S("Be brief."), U("Hi")]
    assert row["split"] == "test"


def test_user_messages_in_a_row_are_joined_when_asked() -> None:
    example = EXAMPLES["kto"] | {"prompt": [U("Hi"), U("there"), A("x"), U("!")]}
    settings = Settings("kto", merge_consecutive_user=True)
    for name in ("trl", "llamafactory"):
        row = profile(name).convert(example, settings)
        assert (row.get("prompt") or row["messages"])[:3] == [U("Hi\n\nthere"), A("x"), U("!")]
        assert profile(name).problems(row, settings) == []


def by_llama3(messages: list[dict[str, Any]]) -> str:
    def header(role: str) -> str:
        return f"<|start_header_id|>{role}<|end_header_id|>\n\n"

    return "".join(f"{header(m['role'])}{m['content']}<|eot_id|>" for m in messages) + header("assistant")


def test_axolotls_frame_around_the_row_is_the_rendered_conversation() -> None:
    """What `chatml.ultra` and `llama3.ultra` make of the row, written down from their format."""
    frames = {
        "chatml": (f"{IM}system\n{{system}}{END}\n", f"{IM}user\n{{prompt}}{END}\n{IM}assistant\n", CHATML),
        "llama3": (
            "<|start_header_id|>system<|end_header_id|>\n\n{system}<|eot_id|>",
            by_llama3([U("{prompt}")]),
            by_llama3(LONG),
        ),
    }
    for template, (system, rest, expected) in frames.items():
        row = profile("axolotl").convert(EXAMPLES["kto"], Settings("kto", chat_template=template))
        assert (system + rest).format(**row) == expected
    assert profile("axolotl").refusals(Settings("kto", chat_template="mine.jinja"))
    assert profile("axolotl").refusals(Settings("pairs", chat_template="mine.jinja")) == []


def test_answers_lose_the_space_around_them_for_axolotl() -> None:
    row = profile("axolotl").convert(EXAMPLES["pairs"] | {"chosen": [A(" Paris.\n")]}, Settings("pairs"))
    assert row["chosen"] == A("Paris.")


def verl_row(template: str) -> dict[str, Any]:
    return profile("verl").convert(EXAMPLES["pairs"], Settings("pairs", "parquet", chat_template=template))


def test_a_template_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.jinja"
    path.write_text(
        "{%- for m in messages %}\n[{{ m.role }}] {{ m.content | trim }}|\n{% endfor %}\n"
        "{%- if add_generation_prompt %}[assistant] {% endif %}"
    )
    assert verl_row(str(path))["prompt"].endswith("[user] Capital?|\n[assistant] ")
    assert verl_row(str(path))["chosen"] == "Paris.|\n"


@pytest.mark.parametrize(
    ("template", "error"),
    [
        (None, "there is no chat template"),
        ("{% for %}", "is not a chat template"),
        ("{{ raise_exception('roles must alternate') }}", "roles must alternate"),
        ("{{ messages.__class__.__mro__ }}", "refuses these messages"),
        ("{{ messages | length }}{{ messages[-1].content }}", "differently when the answer follows"),
        ("{% for m in messages %}{{ m.content }}{% endfor %}", "does not end the answer's turn"),
        ("{{ strftime_now('%Y') }}", "refuses these messages"),
    ],
)
def test_a_template_that_does_not_fit_says_why(tmp_path: Path, template: str | None, error: str) -> None:
    path = tmp_path / f"{abs(hash(template))}.jinja"
    if template is not None:
        path.write_text(template)
    with pytest.raises(ProfileError, match=error):
        verl_row(str(path))


# ---- papers


def test_features_of_types_are_those_of_datasets() -> None:
    types = profile("trl").types(Settings("kto", "parquet", rich=True, images=True)) | {
        "n_votes": "BIGINT",
        "x": "DOUBLE",
    }
    message = [
        {"name": "role", "dtype": "string"},
        {"name": "content", "list": [{"name": "type", "dtype": "string"}, {"name": "text", "dtype": "string"}]},
        {
            "name": "tool_calls",
            "list": [
                {"name": "id", "dtype": "string"},
                {"name": "type", "dtype": "string"},
                {
                    "name": "function",
                    "struct": [{"name": "name", "dtype": "string"}, {"name": "arguments", "dtype": "string"}],
                },
            ],
        },
        {"name": "tool_call_id", "dtype": "string"},
        {"name": "name", "dtype": "string"},
    ]
    assert features_of_types(types) == [
        {"name": "prompt", "list": message},
        {"name": "completion", "list": message},
        {"name": "label", "dtype": "bool"},
        {"name": "tools", "dtype": "string"},
        {"name": "images", "list": "image"},
        {"name": "n_votes", "dtype": "int64"},
        {"name": "x", "dtype": "float64"},
    ]
    assert features_of_types({"images": "VARCHAR[]"}) == [{"name": "images", "list": "string"}]
    assert features_of_types(profile("trl").types(Settings("kto", rich=True, tool_arguments="object"))) is None
    for name, kind in GOLDEN:
        if name != "openai":
            assert features_of_types(profile(name).types(settings_of(name, kind)))


def facts_of(name: str, kind: Any, **settings: Any) -> Facts:
    made = settings_of(name, kind, **settings)
    suffix = {"jsonl": "jsonl", "parquet": "parquet", "json": "json"}[made.format]
    files = (("train", f"data/train.{suffix}"), ("test", f"data/test.{suffix}"))
    labels = {"desirable": 30, "undesirable": 10} if kind == "kto" else None
    return Facts(kind, made.format, files, {"train": 36, "test": 4}, made, labels, 1.0, 3.0)


@pytest.mark.parametrize(("name", "kind"), sorted(GOLDEN))
def test_every_export_has_a_recipe_that_is_well_formed_and_names_its_files(name: str, kind: str) -> None:
    papers = profile(name).papers(facts_of(name, kind))

    assert any(path.startswith("recipes/") for path in papers)
    for path, text in papers.items():
        assert text.endswith("\n")
        assert "{" not in text.replace("${", "") or path.endswith((".py", ".json"))
        if path.endswith(".py"):
            compile(text, path, "exec")
        if path.endswith(".json"):
            json.loads(text)
    together = "\n".join(papers.values())
    assert (
        "data/train." in together or "load_dataset(str(folder))" in together or '--data.dataset "$folder"' in together
    )


def test_weights_come_from_the_labels() -> None:
    assert "desirable_weight=1.0,\n    undesirable_weight=3.0," in papers_text("trl")
    assert "kto_chosen_weight: 1.0\nkto_rejected_weight: 3.0" in papers_text("llamafactory")
    assert "kto_undesirable_weight: 3.0" in papers_text("axolotl")
    assert "--undesirable_weight 3.0" in papers_text("ms-swift")
    assert "n_examples=36" in papers_text("halos")


def papers_text(name: str) -> str:
    return "\n".join(profile(name).papers(facts_of(name, "kto")).values())


def test_training_evaluates_on_validation_rows_before_test_rows() -> None:
    settings = settings_of("ms-swift", "sft")
    files = (("test", "data/test.jsonl"), ("validation", "data/validation.jsonl"), ("train", "data/train.jsonl"))
    facts = Facts("sft", "jsonl", files, {"train": 1, "test": 1, "validation": 1}, settings)
    assert facts.held_out_path == "data/validation.jsonl"
    assert Facts("sft", "jsonl", files[:1], {}, settings).held_out == "test"
    assert Facts("sft", "jsonl", files[2:], {}, settings).held_out_path is None


def test_llamafactorys_dataset_info_names_exact_files() -> None:
    tags = {
        "role_tag": "role",
        "content_tag": "content",
        "user_tag": "user",
        "assistant_tag": "assistant",
        "system_tag": "system",
        "observation_tag": "observation",
        "function_tag": "function_call",
    }
    assert json.loads(profile("llamafactory").papers(facts_of("llamafactory", "pairs"))["dataset_info.json"]) == {
        f"thumbline_pairs{suffix}": {
            "file_name": f"data/{split}.jsonl",
            "formatting": "sharegpt",
            "ranking": True,
            "columns": {"messages": "messages", "chosen": "chosen", "rejected": "rejected"},
            "tags": tags,
        }
        for split, suffix in (("train", ""), ("test", "_test"))
    }
    rich = json.loads(profile("llamafactory").papers(facts_of("llamafactory", "kto", rich=True))["dataset_info.json"])
    assert rich["thumbline_kto"]["columns"] == {"messages": "messages", "kto_tag": "label", "tools": "tools"}


# ---- properties

TEXTS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=30).filter(
    lambda text: text.strip() not in ("", "me")
)
# Answers that no template contains: see Axolotl's rule.
ANSWERS = TEXTS.map(lambda text: f"The answer is {text}.")
LETTERS = {"s": "system", "u": "user", "a": "assistant", "t": "tool"}


@st.composite
def examples(draw: st.DrawFn, name: str, kind: Any) -> dict[str, Any]:
    """A canonical example whose prompt the profile says it takes."""
    roles = profile(name).prompt_roles(settings_of(name, kind))
    # A result follows a call or another result.
    letters = draw(
        st.from_regex(re.compile(roles), fullmatch=True).filter(
            lambda found: 0 < len(found) < 9 and not re.search("(^|[su])t", found)
        )
    )
    prompt: list[dict[str, Any]] = []
    for number, letter in enumerate(letters):
        message = {"role": LETTERS[letter], "content": draw(TEXTS)}
        if letters[number + 1 : number + 2] == "t" and letter == "a":
            message = {"role": "assistant", "content": "", "tool_calls": [CALL]}
        if letter == "t":
            message["tool_call_id"] = "call_1"
        prompt.append(message)
    chosen, rejected = draw(st.lists(ANSWERS, min_size=2, max_size=2, unique_by=str.strip))
    row: dict[str, Any] = {"prompt": prompt}
    if kind in ("kto", "sft"):
        row["completion"] = [A(chosen)]
    if kind in ("pairs", "reward"):
        row |= {"chosen": [A(chosen)], "rejected": [A(rejected)]}
    row |= {"label": draw(st.booleans())} if kind == "kto" else {}
    row |= {"margin": draw(st.floats(0, 10))} if kind == "reward" else {}
    return row | {"tools": [TOOL]} | METADATA


@pytest.mark.parametrize(("name", "kind"), sorted(GOLDEN))
@given(data=st.data())
def test_what_a_profile_converts_has_no_problems(name: str, kind: str, data: st.DataObject) -> None:
    example = data.draw(examples(name, kind))
    settings = settings_of(name, kind, rich=profile(name).carries_tools)
    row = profile(name).convert(example, settings)
    assert profile(name).problems(row, settings) == []
    assert json.loads(json.dumps(row, ensure_ascii=False)) == row
