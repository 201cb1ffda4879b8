"""Answers of `client.responses` are recorded as chat: items in, items out, events in between."""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import Iterator
from typing import Any

import pytest

from tests.recipes.openai_server import MODEL, Answer, OpenAIServer
from thumbline.openai import answer_of, with_fields, wrap
from thumbline.testing import RecordingClient

if importlib.util.find_spec("openai") is None:
    pytest.skip("openai is not installed: make test-recipes", allow_module_level=True)

import openai
from openai import AsyncOpenAI, OpenAI
from pydantic import BaseModel

pytestmark = pytest.mark.recipes

REPLY_ID = "resp_1"
FUNCTION: dict[str, Any] = {"name": "weather", "parameters": {"type": "object"}, "strict": True}
CALL = {
    "type": "function_call",
    "id": "fc_1",
    "call_id": "c1",
    "name": "weather",
    "arguments": "{}",
    "status": "completed",
}
CHAT_CALL = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
SEARCH = {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search", "query": "x"}}
REASONING = {"type": "reasoning", "id": "rs_1", "summary": []}


def text(*parts: dict[str, Any] | str, own_id: str = "msg_1") -> dict[str, Any]:
    """A message among the output."""
    content = [{"type": "output_text", "text": p, "annotations": []} if isinstance(p, str) else p for p in parts]
    return {"type": "message", "id": own_id, "role": "assistant", "status": "completed", "content": content}


def body(*output: dict[str, Any], status: str = "completed", **more: Any) -> dict[str, Any]:
    return {
        "id": REPLY_ID, "object": "response", "created_at": 1, "model": MODEL, "status": status,
        "output": list(output), "parallel_tool_calls": True, "tool_choice": "auto", "tools": [],
        "usage": {"input_tokens": 9, "output_tokens": 2, "total_tokens": 11,
                  "input_tokens_details": {"cached_tokens": 0}, "output_tokens_details": {"reasoning_tokens": 0}},
    } | more  # fmt: skip


def events(*pieces: str, ends: dict[str, Any] | None) -> list[Any]:
    """A stream of one message in pieces, and its end."""
    item = text(own_id="msg_1") | {"status": "in_progress"}
    place = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    part = {"type": "output_text", "text": "", "annotations": []}
    found: list[dict[str, Any]] = [
        {"type": "response.created", "response": body(status="in_progress")},
        {"type": "response.output_item.added", "output_index": 0, "item": item},
        {"type": "response.content_part.added", **place, "part": part},
        *({"type": "response.output_text.delta", **place, "delta": piece, "logprobs": []} for piece in pieces),
    ]
    if ends is not None:
        found.append({"type": f"response.{ends['status']}", "response": ends})
    return [event | {"sequence_number": n} for n, event in enumerate(found)]


@pytest.fixture
def client(api: OpenAIServer, tl: RecordingClient) -> Iterator[OpenAI]:
    with wrap(OpenAI(base_url=api.url, api_key="k", max_retries=0), tl, policy="p") as client:
        yield client


def ask(client: OpenAI, given: Any = "Capital of France?", **arguments: Any) -> Any:
    return client.responses.create(model="acme-7b", input=given, **arguments)


def only(tl: RecordingClient) -> dict[str, Any]:
    [event] = tl.events
    return event


def test_text_in_text_out(client: OpenAI, api: OpenAIServer, tl: RecordingClient) -> None:
    """Instructions are the system's message, the input is the user's."""
    api.script = [Answer(body(REASONING, text("Paris.")))]
    reply = ask(
        client,
        instructions="Be brief.",
        temperature=0.5,
        max_output_tokens=9,
        user="mia",
        thumbline={"conversation_id": "c"},
    )
    event = only(tl)

    assert reply.output_text == "Paris."
    assert event["completion_id"] == REPLY_ID
    assert event["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Capital of France?"},
    ]
    assert event["response"] == {"role": "assistant", "content": "Paris."}
    assert event["sampling"] == {"temperature": 0.5, "max_output_tokens": 9}
    assert event["properties"] == {"prompt_tokens": 9, "completion_tokens": 2}
    assert event["finish_reason"] == "stop"
    assert (event["model"], event["policy"], event["conversation_id"]) == (MODEL, "p", "c")
    assert "thumbline" not in api.requests[0]
    assert answer_of(reply).text == "Paris."


def test_items_and_tools(client: OpenAI, api: OpenAIServer, tl: RecordingClient) -> None:
    """A conversation that its host keeps, output of the package among it: calls, their results, images."""
    api.script = [Answer(body(CALL)), Answer(body(text("21 ", "degrees.")))]
    image = {"type": "input_image", "image_url": "https://x/y.png", "detail": "low"}
    first: list[Any] = [
        {"role": "user", "content": [{"type": "input_text", "text": "Here?"}, image]},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "In Paris?"}]},
        {"role": "user", "content": [{"type": "input_text", "text": "Yes."}]},
    ]
    tools: Any = [{"type": "function", **FUNCTION}, {"type": "web_search"}]
    reply = ask(client, first, tools=tools)
    ask(client, [*first, *reply.output, {"type": "function_call_output", "call_id": "c1", "output": "21"}])

    one, two = tl.events
    assert one["response"] == {"role": "assistant", "content": None, "tool_calls": [CHAT_CALL]}
    assert one["finish_reason"] == "tool_calls"
    assert one["tools"] == [{"type": "function", "function": FUNCTION}, {"type": "web_search"}]
    assert two["messages"] == [
        {"role": "user", "content": [{"type": "text", "text": "Here?"},
                                     {"type": "image_url", "image_url": {"url": "https://x/y.png", "detail": "low"}}]},
        {"role": "assistant", "content": "In Paris?"},
        {"role": "user", "content": "Yes."},
        {"role": "assistant", "content": None, "tool_calls": [CHAT_CALL]},
        {"role": "tool", "tool_call_id": "c1", "content": "21"},
    ]  # fmt: skip
    assert two["response"]["content"] == "21 degrees."


def test_tools_that_openai_runs_are_named(client: OpenAI, api: OpenAIServer, tl: RecordingClient) -> None:
    """What they found is nowhere in the call, and the event says so, in this turn and the next."""
    api.script = [Answer(body(SEARCH, text("Paris."))), Answer(body(text("Yes.")))]
    reply = ask(client)
    ask(client, [{"role": "user", "content": "Capital?"}, *reply.output, {"role": "user", "content": "Sure?"}])

    assert [event["properties"]["items_left_out"] for event in tl.events] == [["web_search_call"]] * 2
    assert [message["content"] for message in tl.events[1]["messages"]] == ["Capital?", "Paris.", "Sure?"]


@pytest.mark.parametrize(
    ("answer", "response", "finish_reason", "properties"),
    [
        (body(text({"type": "refusal", "refusal": "No."})), "No.", "stop", {"refused": True}),
        (
            body(text("Par"), status="incomplete", incomplete_details={"reason": "max_output_tokens"}),
            "Par",
            "length",
            {},
        ),
        (
            body(text("Par"), status="failed", error={"code": "server_error", "message": "x"}),
            "Par",
            "error",
            {"cut": "error"},
        ),
    ],
    ids=["refused", "incomplete", "failed"],
)
def test_other_ends(
    client: OpenAI,
    api: OpenAIServer,
    tl: RecordingClient,
    answer: Any,
    response: str,
    finish_reason: str,
    properties: dict[str, Any],
) -> None:
    """In chat's words."""
    api.script = [Answer(answer)]
    ask(client)

    found = only(tl)["properties"]
    assert only(tl)["response"]["content"] == response
    assert only(tl)["finish_reason"] == finish_reason
    assert {name: found[name] for name in found if "tokens" not in name} == properties


@pytest.mark.parametrize(
    ("given", "arguments"),
    [
        ("x", {"previous_response_id": "resp_0"}),
        ("x", {"conversation": "conv_1"}),
        ("x", {"prompt": {"id": "pmpt_1"}}),
        ([{"type": "item_reference", "id": "msg_0"}], {}),
    ],
)
def test_a_prompt_that_lies_at_openai_is_not_recorded(
    client: OpenAI,
    api: OpenAIServer,
    tl: RecordingClient,
    given: Any,
    arguments: dict[str, Any],
) -> None:
    """Half a prompt would be a wrong one; the log says so, and the call is what it was."""
    api.script = [Answer(body(text("Paris.")))]
    reply = ask(client, given, **arguments)

    assert reply.output_text == "Paris."
    assert tl.events == []


@pytest.mark.parametrize("status", ["queued", "failed"])
def test_no_answer_is_not_recorded(client: OpenAI, api: OpenAIServer, tl: RecordingClient, status: str) -> None:
    """Made later in the background, or not at all."""
    api.script = [Answer(body(status=status))]
    ask(client, background=True)

    assert tl.events == []


class TestStreams:
    def test_events_become_an_answer(self, client: OpenAI, api: OpenAIServer, tl: RecordingClient) -> None:
        """With the time until the first piece."""
        api.script = [Answer(events=events("Par", "is.", ends=body(text("Paris."))))]
        stream = ask(client, stream=True)
        kinds = [event.type for event in stream]

        assert isinstance(stream, openai.Stream)
        assert kinds[-1] == "response.completed"
        assert only(tl)["response"]["content"] == "Paris."
        assert only(tl)["properties"].pop("time_to_first_token_ms") > 0
        assert only(tl)["finish_reason"] == "stop"
        assert answer_of(stream).completion_id == REPLY_ID

    def test_left_early(self, client: OpenAI, api: OpenAIServer, tl: RecordingClient) -> None:
        """What a person has seen, and that it was cut."""
        api.script = [Answer(events=events("Par", "is.", ends=None), held_from=4)]
        gate = api.script[0].gate
        with ask(client, stream=True) as stream:
            for event in stream:
                if event.type == "response.output_text.delta":
                    break
        gate.set()

        assert only(tl)["response"]["content"] == "Par"
        assert only(tl)["properties"]["cut"] == "closed"

    @pytest.mark.parametrize("how", ["error", "failed", "nothing"])
    def test_broken_off(self, client: OpenAI, api: OpenAIServer, tl: RecordingClient, how: str) -> None:
        """By an event of either kind, or without a word."""
        error = {"type": "error", "code": "x", "message": "x", "param": None, "sequence_number": 9}
        ends = body(status="failed", error={"code": "server_error", "message": "x"}) if how == "failed" else None
        api.script = [Answer(events=events("Par", ends=ends) + ([error] if how == "error" else []))]
        list(ask(client, stream=True))

        assert only(tl)["response"]["content"] == "Par"
        assert only(tl)["properties"]["cut"] == ("unfinished" if how == "nothing" else "error")

    def test_calls_that_are_done_when_it_ends(self, client: OpenAI, api: OpenAIServer, tl: RecordingClient) -> None:
        """Are kept; half a call is none."""
        half = {"type": "response.function_call_arguments.delta", "item_id": "x", "output_index": 2, "delta": "{"}
        done = {"type": "response.output_item.done", "output_index": 1, "item": CALL}
        numbered = [{**event, "sequence_number": 9} for event in (done, half)]
        api.script = [Answer(events=[*events("Hm.", ends=None), *numbered])]
        list(ask(client, stream=True))

        assert only(tl)["response"] == {"role": "assistant", "content": "Hm.", "tool_calls": [CHAT_CALL]}

    def test_nothing_seen(self, client: OpenAI, api: OpenAIServer, tl: RecordingClient) -> None:
        """Nothing recorded."""
        api.script = [Answer(events=events(ends=None))]
        list(ask(client, stream=True))

        assert tl.events == []

    def test_the_helper(self, client: OpenAI, api: OpenAIServer, tl: RecordingClient) -> None:
        """`.stream()`, through the recorded stream."""
        api.script = [Answer(events=events("Paris.", ends=body(text("Paris."))))]
        with with_fields(client, conversation_id="c").responses.stream(model="acme-7b", input="x") as stream:
            assert [event.delta for event in stream if event.type == "response.output_text.delta"] == ["Paris."]

        assert only(tl)["conversation_id"] == "c"
        assert answer_of(stream).conversation_id == "c"


def test_parse_and_async(api: OpenAIServer, tl: RecordingClient) -> None:
    """The other methods, and the other client."""

    class City(BaseModel):
        name: str

    api.script = [
        Answer(body(text('{"name": "Paris"}'))),
        Answer(body(text("Paris."))),
        Answer(events=events("Paris.", ends=body(text("Paris.")))),
    ]

    async def run() -> None:
        async with wrap(AsyncOpenAI(base_url=api.url, api_key="k"), tl) as client:
            reply = await client.responses.parse(model="acme-7b", input="x", text_format=City)
            assert reply.output_parsed == City(name="Paris")
            raw = await client.responses.with_raw_response.create(model="acme-7b", input="x")
            assert raw.parse().output_text == "Paris."
            async for _ in await client.responses.create(model="acme-7b", input="x", stream=True):
                pass

    asyncio.run(run())
    assert [event["response"]["content"] for event in tl.events] == ['{"name": "Paris"}', "Paris.", "Paris."]
    assert tl.events[0]["sampling"] == {"text_format": "City"}
