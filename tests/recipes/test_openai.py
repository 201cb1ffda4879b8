"""Answers of the real `openai` package are recorded from its calls, and the calls are what they were."""

from __future__ import annotations

import asyncio
import functools
import gc
import importlib.util
import json
import pickle
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import thumbline
from tests.recipes.conftest import Site
from tests.recipes.openai_server import (
    MODEL,
    REPLY_ID,
    Answer,
    OpenAIServer,
    choice,
    chunk,
    said,
    streamed,
    whole,
    words,
)
from thumbline.openai import answer_of, with_fields, wrap
from thumbline.testing import RecordingClient, RecordingTransport

if importlib.util.find_spec("openai") is None:
    pytest.skip("openai is not installed: make test-recipes", allow_module_level=True)

import openai
from openai import AsyncOpenAI, OpenAI
from pydantic import BaseModel

pytestmark = pytest.mark.recipes

MESSAGES: list[Any] = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Capital of France?"}]
WEATHER: dict[str, Any] = {
    "type": "function",
    "function": {"name": "weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}},
}
CALL = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Paris"}'}}


@pytest.fixture
def plain(api: OpenAIServer) -> Iterator[OpenAI]:
    with OpenAI(base_url=api.url, api_key="sk-test", max_retries=0) as client:
        yield client


@pytest.fixture
def client(plain: OpenAI, tl: RecordingClient) -> OpenAI:
    return wrap(plain, tl, policy="acme-7b@step-1200")


Ask = Callable[..., Any]


@pytest.fixture(params=["sync", "async"])
def ask(request: pytest.FixtureRequest, client: OpenAI, api: OpenAIServer, tl: RecordingClient) -> Ask:
    """`chat.completions.create`, or another method, of both clients; a stream is read to its end, as a list."""

    def sync(method: str = "create", **arguments: Any) -> Any:
        found = getattr(client.chat.completions, method)(model="acme-7b", messages=MESSAGES, **arguments)
        return [*found] if arguments.get("stream") else found

    def run_async(method: str = "create", **arguments: Any) -> Any:
        async def run() -> Any:
            async with wrap(
                AsyncOpenAI(base_url=api.url, api_key="k", max_retries=0), tl, policy="acme-7b@step-1200"
            ) as c:
                found = await getattr(c.chat.completions, method)(model="acme-7b", messages=MESSAGES, **arguments)
                return [chunk async for chunk in found] if arguments.get("stream") else found

        return asyncio.run(run())

    return sync if request.param == "sync" else run_async


def only(tl: RecordingClient) -> dict[str, Any]:
    [event] = tl.events
    assert event["kind"] == "completion"
    return event


class TestWhole:
    def test_an_answer_is_recorded_with_all_that_the_call_says(
        self, ask: Ask, api: OpenAIServer, tl: RecordingClient
    ) -> None:
        """Prompt, answer, the model that the API names, sampling, time, and what the host says beside it."""
        api.script = [said("Paris.")]
        fields = {"conversation_id": "chat-1", "author": "mia", "turn": 0, "properties": {"tenant": "t1"}}
        reply = ask(temperature=0.7, seed=1, user="mia", extra_body={"top_k": 5}, thumbline=fields)

        event = only(tl)
        author, latency_ms = event.pop("author"), event.pop("latency_ms")
        known = {"kind", "event_id", "occurred_at", "sequence", "sdk"}
        assert reply.choices[0].message.content == "Paris."
        assert {name: value for name, value in event.items() if name not in known} == {
            "completion_id": REPLY_ID,
            "conversation_id": "chat-1",
            "messages": MESSAGES,
            "response": {"role": "assistant", "content": "Paris."},
            "model": MODEL,
            "policy": "acme-7b@step-1200",
            "sampling": {"temperature": 0.7, "seed": 1, "top_k": 5},
            "turn": 0,
            "finish_reason": "stop",
            "properties": {
                "system_fingerprint": "fp_1", "prompt_tokens": 9, "completion_tokens": 2,
                "tenant": "t1",
            },
        }  # fmt: skip
        assert author.startswith("h1:")
        assert 0 < latency_ms < 10_000

    def test_nothing_of_ours_is_sent_to_the_api(self, ask: Ask, api: OpenAIServer) -> None:
        """The request is the one that the unwrapped client would make."""
        api.script = [said("Paris.")]
        ask(temperature=0.7, thumbline={"conversation_id": "chat-1"})

        assert api.requests == [{"model": "acme-7b", "messages": MESSAGES, "temperature": 0.7}]

    def test_votes_join_by_the_replys_own_id(self, client: OpenAI, api: OpenAIServer, tl: RecordingClient) -> None:
        """No handle has to be carried from the answer to the vote."""
        api.script = [said("Paris.")]
        reply = client.chat.completions.create(model="acme-7b", messages=MESSAGES)
        tl.thumb(reply.id, "up", rater="mia")

        answer, vote = tl.events
        assert vote["target_id"] == answer["completion_id"] == REPLY_ID
        assert tl.receipt(reply.id, rater="mia").startswith("tlr1.")

    def test_each_choice_is_an_answer(self, ask: Ask, api: OpenAIServer, tl: RecordingClient) -> None:
        """With n=2 they have ids of their own, and can be compared."""
        api.script = [whole(choice({"content": "Paris."}), choice({"content": "Lyon."}, 1, "length"))]
        reply = ask(n=2, thumbline={"conversation_id": "chat-1", "event_id": "key-1"})
        tl.comparison([answer_of(reply), answer_of(reply, 1)])

        first, second, comparison = tl.events
        assert [first["completion_id"], second["completion_id"]] == [REPLY_ID, f"{REPLY_ID}:1"]
        assert [e["response"]["content"] for e in (first, second)] == ["Paris.", "Lyon."]
        assert second["finish_reason"] == "length"
        assert first["sampling"] == {"n": 2}
        assert sorted(comparison["completion_ids"]) == [REPLY_ID, f"{REPLY_ID}:1"]
        assert comparison["conversation_id"] == "chat-1"

    def test_tools_and_their_calls(self, ask: Ask, api: OpenAIServer, tl: RecordingClient) -> None:
        """The answer that calls a tool, and the next one that has its result in its prompt."""
        api.script = [
            whole(choice({"content": None, "tool_calls": [CALL]}, finish_reason="tool_calls")),
            said("21 degrees."),
        ]
        reply = ask(tools=[WEATHER], tool_choice="auto")
        more = [reply.choices[0].message, {"role": "tool", "tool_call_id": "c1", "content": "21"}]
        MESSAGES.extend(more)
        try:
            ask(tools=[WEATHER])
        finally:
            del MESSAGES[2:]

        first, second = tl.events
        assert first["response"] == {"role": "assistant", "content": None, "tool_calls": [CALL]}
        assert first["tools"] == [WEATHER]
        assert first["sampling"] == {"tool_choice": "auto"}
        assert second["messages"] == [*MESSAGES, first["response"], more[1]]

    def test_the_functions_of_2023(self, ask: Ask, api: OpenAIServer, tl: RecordingClient) -> None:
        """They are tools, and their call stays what it is."""
        call = {"name": "weather", "arguments": "{}"}
        api.script = [whole(choice({"content": None, "function_call": call}, finish_reason="function_call"))]
        ask(functions=[WEATHER["function"]])

        assert only(tl)["tools"] == [WEATHER]
        assert only(tl)["response"] == {"role": "assistant", "content": None, "function_call": call}

    def test_a_refusal_is_what_the_person_read(self, ask: Ask, api: OpenAIServer, tl: RecordingClient) -> None:
        """It becomes the content, so that exports have it, and is marked."""
        api.script = [whole(choice({"content": None, "refusal": "I can't help with that."}))]
        ask()

        assert only(tl)["response"] == {"role": "assistant", "content": "I can't help with that."}
        assert only(tl)["properties"]["refused"] is True

    def test_speech_and_fields_of_other_servers(self, ask: Ask, api: OpenAIServer, tl: RecordingClient) -> None:
        """The transcript without the bytes; what vLLM adds is kept."""
        audio = {"id": "a1", "data": "AAAA" * 100, "transcript": "Paris.", "expires_at": 1}
        api.script = [whole(choice({"content": None, "audio": audio, "reasoning_content": "hm"}))]
        ask()

        assert only(tl)["response"] == {
            "role": "assistant", "content": None, "reasoning_content": "hm",
            "audio": {"id": "a1", "transcript": "Paris.", "expires_at": 1},
        }  # fmt: skip

    # The package's own, where a message that it has parsed is sent back to it.
    @pytest.mark.filterwarnings("ignore:Pydantic serializer warnings:UserWarning")
    def test_parse(self, ask: Ask, api: OpenAIServer, tl: RecordingClient) -> None:
        """Parsed as ever; recorded as the text that it was."""

        class City(BaseModel):
            name: str

        api.script = [said('{"name": "Paris"}'), said("{}")]
        reply = ask("parse", response_format=City, thumbline={"conversation_id": "chat-1"})
        MESSAGES.append(reply.choices[0].message)
        try:
            ask()
        finally:
            del MESSAGES[2:]

        first, second = tl.events
        assert reply.choices[0].message.parsed == City(name="Paris")
        assert first["response"] == {"role": "assistant", "content": '{"name": "Paris"}'}
        assert first["sampling"] == {"response_format": "City"}
        assert second["messages"][2] == first["response"]

    def test_messages_that_can_be_read_once(self, client: OpenAI, api: OpenAIServer, tl: RecordingClient) -> None:
        """A generator reaches the API and us."""
        api.script = [said("Paris.")]
        client.chat.completions.create(model="acme-7b", messages=(m for m in MESSAGES))

        assert api.requests[0]["messages"] == only(tl)["messages"] == MESSAGES

    def test_the_prompt_is_that_of_the_call(self, client: OpenAI, api: OpenAIServer, tl: RecordingClient) -> None:
        """A list that goes on while an answer streams does not change what was asked."""
        api.script = [streamed(*words("Paris"))]
        messages: list[Any] = [dict(message) for message in MESSAGES]
        for _ in client.chat.completions.create(model="acme-7b", messages=messages, stream=True):
            messages += [{"role": "user", "content": "later"}]
            messages[0]["content"] = "later"

        assert only(tl)["messages"] == MESSAGES


def test_the_time_is_that_of_the_call(api: OpenAIServer, tl: RecordingClient) -> None:
    """A coroutine that waits before it is awaited has not asked yet."""
    api.script = [said("Paris.")]

    async def run() -> None:
        async with wrap(AsyncOpenAI(base_url=api.url, api_key="k"), tl) as client:
            asked = client.chat.completions.create(model="acme-7b", messages=MESSAGES)
            await asyncio.sleep(1)
            await asked

    asyncio.run(run())
    assert only(tl)["latency_ms"] < 900


class TestStreams:
    def test_pieces_become_an_answer(self, ask: Ask, api: OpenAIServer, tl: RecordingClient) -> None:
        """With usage, the time until the first piece and until the last."""
        usage = {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11}
        api.script = [
            Answer(
                events=[
                    chunk({"role": "assistant", "content": ""}, id=""),
                    chunk({"content": "Par"}),
                    chunk({"content": "is."}),
                    chunk({}, finish_reason="stop"),
                    chunk(None, usage=usage),
                    "[DONE]",
                ]
            )
        ]
        chunks = ask(stream=True, stream_options={"include_usage": True}, thumbline={"conversation_id": "chat-1"})

        event = only(tl)
        first_ms = event["properties"].pop("time_to_first_token_ms")
        assert len(chunks) == 5
        assert event["completion_id"] == REPLY_ID
        assert event["response"] == {"role": "assistant", "content": "Paris."}
        assert event["properties"] == {"prompt_tokens": 9, "completion_tokens": 2}
        assert event["finish_reason"] == "stop"
        assert 0 < first_ms <= event["latency_ms"] < 10_000
        assert event["conversation_id"] == "chat-1"
        assert "sampling" not in event

    def test_tool_calls_are_put_together_by_index(self, ask: Ask, api: OpenAIServer, tl: RecordingClient) -> None:
        """Two calls, their arguments in pieces that alternate."""

        def piece(index: int, arguments: str, **more: Any) -> dict[str, Any]:
            function = {"arguments": arguments} | ({"name": more.pop("name")} if "name" in more else {})
            return {"tool_calls": [{"index": index, "function": function} | more]}

        api.script = [
            streamed(
                {"role": "assistant", "content": None},
                piece(0, "", id="c1", type="function", name="weather"),
                piece(0, '{"city": '),
                piece(1, '{"city": ', id="c2", type="function", name="weather"),
                piece(0, '"Paris"}'),
                piece(1, '"Lyon"}'),
                finish_reason="tool_calls",
            )
        ]
        ask(stream=True, tools=[WEATHER])

        other = {"id": "c2", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Lyon"}'}}
        assert only(tl)["response"] == {"role": "assistant", "content": None, "tool_calls": [CALL, other]}
        assert "time_to_first_token_ms" in only(tl)["properties"]

    def test_tool_calls_of_servers_that_do_not_count(self, ask: Ask, api: OpenAIServer, tl: RecordingClient) -> None:
        """Every call has the index 0, and its name comes with each piece."""
        function = {"name": "weather", "arguments": "{}"}
        calls = [{"index": 0, "id": own, "type": "function", "function": function} for own in ("c1", "c1", "c2")]
        calls[1]["function"] = {"name": "weather", "arguments": ""}
        api.script = [streamed(*({"tool_calls": [call]} for call in calls), finish_reason="tool_calls")]
        ask(stream=True)

        assert only(tl)["response"]["tool_calls"] == [
            {"id": own, "type": "function", "function": function} for own in ("c1", "c2")
        ]

    def test_functions_refusals_and_reasoning_in_pieces(self, ask: Ask, api: OpenAIServer, tl: RecordingClient) -> None:
        """As when they come whole."""
        api.script = [
            streamed({"function_call": {"name": "weather"}}, {"function_call": {"arguments": "{}"}}),
            streamed({"role": "assistant"}, {"refusal": "I "}, {"refusal": "can't."}),
            streamed({"reasoning_content": "h"}, {"reasoning_content": "m"}, {"content": "Paris."}),
        ]
        for _ in range(3):
            ask(stream=True)

        assert [event["response"] for event in tl.events] == [
            {"role": "assistant", "content": None, "function_call": {"name": "weather", "arguments": "{}"}},
            {"role": "assistant", "content": "I can't."},
            {"role": "assistant", "content": "Paris.", "reasoning_content": "hm"},
        ]
        assert tl.events[1]["properties"]["refused"] is True

    def test_choices_come_mixed(self, ask: Ask, api: OpenAIServer, tl: RecordingClient) -> None:
        """Each piece goes to its own answer."""
        events = [chunk({"content": text}, index) for index, text in [(1, "Ly"), (0, "Pa"), (1, "on."), (0, "ris.")]]
        api.script = [Answer(events=[*events, chunk({}, 0, "stop"), chunk({}, 1, "stop"), "[DONE]"])]
        ask(stream=True, n=2)

        assert [(e["completion_id"], e["response"]["content"]) for e in tl.events] == [
            (REPLY_ID, "Paris."),
            (f"{REPLY_ID}:1", "Lyon."),
        ]

    def test_the_stream_is_the_packages_own_to_all_who_look(self, client: OpenAI, api: OpenAIServer) -> None:
        """Its type, its response, its context manager."""
        api.script = [streamed(*words("Paris."))]
        with client.chat.completions.create(model="acme-7b", messages=MESSAGES, stream=True) as stream:
            assert isinstance(stream, openai.Stream)
            assert stream.response.status_code == 200
            assert next(stream).id == REPLY_ID
            assert len([*stream]) == 2

    @pytest.mark.parametrize("how", ["close", "with", "break", "del"])
    def test_a_stream_that_its_reader_leaves(
        self, client: OpenAI, api: OpenAIServer, tl: RecordingClient, how: str
    ) -> None:
        """What came is recorded, since a person has seen it, and marked as cut."""
        api.script = [streamed(*words("Par", "is."), held_from=2)]
        gate = api.script[0].gate
        stream = client.chat.completions.create(model="acme-7b", messages=MESSAGES, stream=True)
        if how == "with":
            with stream:
                next(stream), next(stream)
        elif how == "break":
            for piece in stream:
                if piece.choices[0].delta.content:
                    break
        else:
            next(stream), next(stream)
        if how == "close":
            stream.close()
            stream.close()
        assert tl.events_of("completion") or how in ("break", "del")
        del stream
        gc.collect()
        gate.set()

        event = only(tl)
        assert event["response"] == {"role": "assistant", "content": "Par"}
        assert event["properties"].pop("time_to_first_token_ms") > 0
        assert event["properties"] == {"cut": "closed"}
        assert event["finish_reason"] == "closed"

    def test_an_async_stream_that_its_reader_leaves(self, api: OpenAIServer, tl: RecordingClient) -> None:
        """By closing it, by leaving its block, by being cancelled."""
        answers = [streamed(*words("Par", "is."), held_from=2) for _ in range(3)]
        api.script = [*answers]

        async def run() -> None:
            async with wrap(AsyncOpenAI(base_url=api.url, api_key="k"), tl) as client:
                create = client.chat.completions.create

                async def read() -> None:
                    async for _ in await create(model="acme-7b", messages=MESSAGES, stream=True):
                        pass

                stream = await create(model="acme-7b", messages=MESSAGES, stream=True)
                assert isinstance(stream, openai.AsyncStream)
                await anext(stream), await anext(stream)
                await stream.close()
                async with await create(model="acme-7b", messages=MESSAGES, stream=True) as stream:
                    await anext(stream), await anext(stream)
                task = asyncio.create_task(read())
                while len(api.requests) < 3:
                    await asyncio.sleep(0.01)
                await asyncio.sleep(0.1)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                for answer in answers:
                    answer.gate.set()

        asyncio.run(run())
        assert [(e["response"]["content"], e["properties"]["cut"]) for e in tl.events] == [("Par", "closed")] * 3

    def test_a_stream_left_after_its_last_word_is_whole(
        self, client: OpenAI, api: OpenAIServer, tl: RecordingClient
    ) -> None:
        """Who stops at the finish reason has cut nothing."""
        api.script = [streamed(*words("Paris."))]
        with client.chat.completions.create(model="acme-7b", messages=MESSAGES, stream=True) as stream:
            for piece in stream:
                if piece.choices[0].finish_reason:
                    break

        assert only(tl)["finish_reason"] == "stop"
        assert "cut" not in only(tl)["properties"]

    def test_nothing_seen_is_nothing_recorded(self, client: OpenAI, api: OpenAIServer, tl: RecordingClient) -> None:
        """A stream that is left before its first word."""
        api.script = [streamed(*words("Paris."))]
        with client.chat.completions.create(model="acme-7b", messages=MESSAGES, stream=True) as stream:
            next(stream)

        assert tl.events == []

    def test_a_connection_that_breaks(self, ask: Ask, api: OpenAIServer, tl: RecordingClient) -> None:
        """The package's own error comes through; what came before it is recorded."""
        api.script = [Answer(events=[chunk(delta) for delta in words("Par")], is_broken=True)]
        with pytest.raises(openai.APIConnectionError):
            ask(stream=True)

        assert only(tl)["response"]["content"] == "Par"
        assert only(tl)["properties"]["cut"] == "error"

    def test_an_error_in_mid_stream(self, ask: Ask, api: OpenAIServer, tl: RecordingClient) -> None:
        """As the API sends it."""
        api.script = [Answer(events=[*map(chunk, words("Par")), {"error": {"message": "overloaded"}}])]
        with pytest.raises(openai.APIError, match="overloaded"):
            ask(stream=True)

        assert only(tl)["properties"]["cut"] == "error"

    def test_an_end_without_a_reason(self, ask: Ask, api: OpenAIServer, tl: RecordingClient) -> None:
        """Whether the model was done, nobody said."""
        api.script = [streamed(*words("Par"), finish_reason=None)]
        ask(stream=True)

        assert only(tl)["properties"]["cut"] == only(tl)["finish_reason"] == "unfinished"


class TestHelper:
    """`.stream()`."""

    def test_events_and_the_final_completion(self, client: OpenAI, api: OpenAIServer, tl: RecordingClient) -> None:
        """The helper does what it did, over a stream that is recorded."""
        api.script = [streamed(*words("Par", "is."))]
        fields = {"conversation_id": "chat-1"}
        with client.chat.completions.stream(model="acme-7b", messages=MESSAGES, thumbline=fields) as stream:  # type: ignore[call-arg]
            deltas = [event.delta for event in stream if event.type == "content.delta" and event.delta]
            final = stream.get_final_completion()

        assert deltas == ["Par", "is."]
        assert final.choices[0].message.content == "Paris."
        assert only(tl)["response"]["content"] == "Paris."
        assert answer_of(stream) == thumbline.Answer(REPLY_ID, "chat-1")
        assert "thumbline" not in api.requests[0]

    def test_left_early(self, client: OpenAI, api: OpenAIServer, tl: RecordingClient) -> None:
        """Recorded as cut when the block ends."""
        api.script = [streamed(*words("Par", "is."), held_from=2)]
        gate = api.script[0].gate
        with client.chat.completions.stream(model="acme-7b", messages=MESSAGES) as stream:
            for event in stream:
                if event.type == "content.delta" and event.delta:
                    break
        gate.set()

        assert only(tl)["response"]["content"] == "Par"
        assert only(tl)["properties"]["cut"] == "closed"

    def test_async(self, api: OpenAIServer, tl: RecordingClient) -> None:
        """The same."""
        api.script = [streamed(*words("Par", "is."))]

        async def run() -> None:
            async with wrap(AsyncOpenAI(base_url=api.url, api_key="k"), tl) as client:
                async with client.chat.completions.stream(model="acme-7b", messages=MESSAGES) as stream:
                    final = await stream.get_final_completion()
                assert final.choices[0].message.content == "Paris."

        asyncio.run(run())
        assert only(tl)["response"]["content"] == "Paris."


class TestRaw:
    def test_with_raw_response(self, client: OpenAI, api: OpenAIServer, tl: RecordingClient) -> None:
        """Headers for the host, the answer for us."""
        api.script = [said("Paris.")]
        raw = client.chat.completions.with_raw_response.create(
            model="acme-7b", messages=MESSAGES, extra_headers={"x-own": "1"}
        )
        reply = raw.parse()

        assert raw.headers["content-type"] == "application/json"
        assert reply.choices[0].message.content == "Paris."
        assert only(tl)["response"]["content"] == "Paris."
        assert answer_of(reply).text == "Paris."

    def test_with_raw_response_async(self, api: OpenAIServer, tl: RecordingClient) -> None:
        """Through the whole client, too."""
        api.script = [said("Paris.")]

        async def run() -> None:
            async with wrap(AsyncOpenAI(base_url=api.url, api_key="k"), tl) as client:
                raw = await client.with_raw_response.chat.completions.create(model="acme-7b", messages=MESSAGES)
                assert raw.parse().choices[0].message.content == "Paris."

        asyncio.run(run())
        assert only(tl)["response"]["content"] == "Paris."

    def test_what_only_the_host_reads_passes_through(
        self, client: OpenAI, api: OpenAIServer, tl: RecordingClient, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Not recorded, not read, and said so in the log."""
        api.script = [said("Paris."), streamed(*words("Paris."))]
        fields: Any = {"thumbline": {"turn": 1}}
        with client.chat.completions.with_streaming_response.create(
            model="acme-7b", messages=MESSAGES, **fields
        ) as response:
            assert json.loads(response.read())["id"] == REPLY_ID
        raw = client.chat.completions.with_raw_response.create(model="acme-7b", messages=MESSAGES, stream=True)

        assert len([*raw.parse()]) == 3
        assert tl.events == []
        assert "not recorded" in caplog.text
        assert "thumbline" not in api.requests[0]


class TestHost:
    def test_the_clients_own_type_and_the_original_untouched(
        self, plain: OpenAI, api: OpenAIServer, tl: RecordingClient
    ) -> None:
        """A copy: only what goes through it is recorded."""
        before = dict(vars(plain))
        client = wrap(plain, tl)
        api.script = [said("Paris."), said("Paris.")]
        plain.chat.completions.create(model="acme-7b", messages=MESSAGES)

        assert tl.events == []
        assert type(client) is OpenAI
        assert {name for name in vars(plain) if name not in before} <= {"chat", "responses"}
        assert "create" not in vars(plain.chat.completions)
        client.chat.completions.create(model="acme-7b", messages=MESSAGES)
        assert len(tl.events) == 1

    def test_options_and_fields_make_clients_that_record(
        self, client: OpenAI, api: OpenAIServer, tl: RecordingClient
    ) -> None:
        """`with_options`, `with_fields` and a second `wrap`: each answer is recorded once, with what was said last."""
        api.script = [said("Paris.") for _ in range(4)]
        asking = with_fields(client, conversation_id="chat-1", author="mia", properties={"a": 1})
        again = with_fields(asking, conversation_id="chat-2", properties={"b": 2})
        for own in (asking, again.with_options(timeout=5), wrap(again, tl, app="x"), client):
            own.chat.completions.create(model="acme-7b", messages=MESSAGES)

        assert [event.get("conversation_id") for event in tl.events] == ["chat-1", "chat-2", None, None]
        assert [event.get("policy") for event in tl.events] == ["acme-7b@step-1200"] * 2 + [None, "acme-7b@step-1200"]
        assert {"a": 1, "b": 2}.items() <= tl.events[1]["properties"].items()
        assert tl.events[2]["app"] == "x"

    def test_the_key_of_the_copy_is_its_own(self, client: OpenAI, plain: OpenAI) -> None:
        """A key set later holds for the calls of the client that it was set on."""
        client.api_key = "sk-new"

        assert client.chat.completions._client.auth_headers == {"Authorization": "Bearer sk-new"}
        assert client.chat.completions._post.__self__ is client  # type: ignore[attr-defined]
        assert plain.auth_headers == {"Authorization": "Bearer sk-test"}

    def test_what_others_put_in_front_stays(self, plain: OpenAI, api: OpenAIServer, tl: RecordingClient) -> None:
        """A method that a tracing tool has replaced is the one that is called."""
        seen: list[str] = []
        create: Any = plain.chat.completions.create

        def traced(**arguments: Any) -> Any:
            seen.append(arguments["model"])
            return create(**arguments)

        plain.chat.completions.create = traced  # type: ignore[method-assign]
        api.script = [said("Paris.")]
        with_fields(wrap(plain, tl), turn=1).chat.completions.create(model="acme-7b", messages=MESSAGES)

        assert seen == ["acme-7b"]
        assert only(tl)["turn"] == 1

    @pytest.mark.parametrize(("status", "error"), [(429, openai.RateLimitError), (500, openai.InternalServerError)])
    @pytest.mark.parametrize("stream", [False, True])
    def test_errors_of_the_api_are_the_callers(
        self, ask: Ask, api: OpenAIServer, tl: RecordingClient, status: int, error: type[Exception], stream: bool
    ) -> None:
        """They come through as they are, and nothing is recorded."""
        api.script = [Answer({"error": {"message": "no"}}, status)]
        with pytest.raises(error) as raised:
            ask(stream=stream)

        assert raised.value.__cause__ is None
        assert tl.events == []
        assert tl.stats().created == 0

    def test_wrong_arguments_are_the_packages_business(self, client: OpenAI, tl: RecordingClient) -> None:
        """Its own error, with debug too."""
        with pytest.raises(TypeError, match="messages"):
            client.chat.completions.create(model="acme-7b")  # type: ignore[call-overload]
        assert tl.stats().created == 0

    @pytest.mark.parametrize("fields", [{"conversation": "x"}, 7, {"completion_id": object()}])
    @pytest.mark.parametrize("stream", [False, True])
    def test_what_cannot_be_recorded_costs_the_host_nothing(
        self, plain: OpenAI, api: OpenAIServer, fields: Any, stream: bool
    ) -> None:
        """The reply comes through, and the loss is counted."""
        api.script = [streamed(*words("Paris.")) if stream else said("Paris.")]
        tl = thumbline.Client("http://x", key="k", transport=RecordingTransport(), spool=None)
        reply: Any = wrap(plain, tl).chat.completions.create(
            model="acme-7b", messages=MESSAGES, stream=stream, thumbline=fields
        )

        assert len([*reply]) == 3 if stream else reply.choices[0].message.content == "Paris."
        tl.flush()
        assert tl.stats().dropped == {"invalid": 1}
        tl.close()

    def test_an_optional_field_costs_no_answer(self, client: OpenAI, api: OpenAIServer, tl: RecordingClient) -> None:
        """It is left out, and counted."""
        api.script = [said("Paris.")]
        create: Any = client.chat.completions.create
        create(model="acme-7b", messages=MESSAGES, thumbline={"turn": "first"})
        assert "turn" not in only(tl)
        assert tl.stats().changed == {"turn": 1}

    def test_with_debug_what_is_wrong_raises(self, client: OpenAI, api: OpenAIServer, tl: RecordingClient) -> None:
        """A wrong name before anything is sent, a wrong value when the answer is there; counted once."""
        create: Any = client.chat.completions.create
        with pytest.raises(TypeError, match="unknown field"):
            create(model="acme-7b", messages=MESSAGES, thumbline={"conversation": "x"})
        assert api.requests == []
        api.script = [said("Paris.")]
        with pytest.raises(thumbline.InvalidEvent, match="completion_id"):
            create(model="acme-7b", messages=MESSAGES, thumbline={"completion_id": object()})
        assert tl.stats().dropped == {"invalid": 2}

    @pytest.mark.parametrize("stream", [False, True])
    @pytest.mark.parametrize("choices", [[{"oops": 1}], "oops"])
    def test_a_reply_that_is_no_reply(
        self, plain: OpenAI, api: OpenAIServer, choices: Any, stream: bool, caplog: pytest.LogCaptureFixture
    ) -> None:
        """A server that says something else: the host gets what the package makes of it, and no answer is made up."""
        odd = {"id": "x", "choices": choices}
        api.script = [Answer(events=[odd, odd, "[DONE]"]) if stream else Answer(odd)]
        tl = thumbline.Client("http://x", key="k", transport=RecordingTransport(), spool=None)
        reply: Any = wrap(plain, tl).chat.completions.create(model="acme-7b", messages=MESSAGES, stream=stream)

        assert len([*reply]) == 2 if stream else reply.id == "x"
        assert tl.flush()
        is_nothing = stream and choices != "oops"  # a chunk that says nothing is none
        assert tl.stats().dropped == ({} if is_nothing else {"invalid": 1})
        assert tl.stats().accepted == 0
        assert "oops" not in caplog.text
        tl.close()

    def test_what_wrap_refuses(self, plain: OpenAI, tl: RecordingClient) -> None:
        """At the start, with and without debug."""
        with pytest.raises(TypeError, match=r"chat\.completions"):
            wrap(object(), tl)
        with pytest.raises(TypeError, match=r"thumbline\.Client"):
            wrap(plain, "tl")  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="unknown field"):
            wrap(plain, tl, conversation="x")  # type: ignore[call-arg]
        with pytest.raises(TypeError, match="completion_id: belongs to one call"):
            wrap(plain, tl, completion_id="x")
        with pytest.raises(TypeError, match="wrap"):
            with_fields(plain, turn=1)

    def test_no_room_for_our_properties(self, client: OpenAI, api: OpenAIServer, tl: RecordingClient) -> None:
        """The host's 64 come first."""
        own = {f"p{n}": n for n in range(64)}
        api.script = [said("Paris.")]
        with_fields(client, properties=own).chat.completions.create(model="acme-7b", messages=MESSAGES)

        assert only(tl)["properties"] == own


def test_to_a_row_that_trains(plain: OpenAI, api: OpenAIServer, site: Site) -> None:
    """Over a real collector and loader: an answer that calls a tool, one that has the result, votes on both."""
    api.script = [
        streamed({"role": "assistant"}, {"tool_calls": [{"index": 0, **CALL}]}, finish_reason="tool_calls"),
        whole(choice({"content": "21 degrees."}), id="chatcmpl-2"),
    ]
    with thumbline.Client(site.url, key=site.key, spool=None, debug=True, training_consent="granted") as tl:
        client = with_fields(wrap(plain, tl, policy="acme-7b@step-1200"), conversation_id="chat-1", author="mia")
        create: Any = functools.partial(client.chat.completions.create, model="acme-7b", tools=[WEATHER])
        stream = create(messages=MESSAGES, stream=True)
        list(stream)
        called = {"role": "assistant", "content": None, "tool_calls": [CALL]}
        result = {"role": "tool", "tool_call_id": "c1", "content": "21"}
        reply = create(messages=[*MESSAGES, called, result])
        tl.thumb(answer_of(stream), "down", rater="mia")
        tl.thumb(reply.id, "down", rater="mia")
    receipt = tl.receipt(answer_of(reply), rater="mia")
    assert site.vote(receipt, kind="thumb", value="up") == ["accepted"]
    site.wait_until_landed(5)

    first, second = sorted(site.export(), key=lambda row: len(row["prompt"]))
    assert first["prompt"] == MESSAGES
    assert second["prompt"][:2] == MESSAGES
    for message in (first["completion"][0], second["prompt"][2]):
        [function] = [call["function"] for call in message["tool_calls"]]
        assert (message["role"], function["name"]) == ("assistant", "weather")
        assert function["arguments"] in ({"city": "Paris"}, CALL["function"]["arguments"])
    assert second["prompt"][3]["content"] == "21"
    assert second["completion"] == [{"role": "assistant", "content": "21 degrees."}]
    assert [row["label"] for row in (first, second)] == [False, True]
    for row in (first, second):
        tools = json.loads(row["tools"]) if isinstance(row["tools"], str) else row["tools"]
        assert tools == [WEATHER]
        assert (row["model"], row["policy"]) == (MODEL, "acme-7b@step-1200")
    # A vote by the bare id has no conversation; the handle and the receipt know it.
    conversations = site.ask("SELECT conversation_id, count(*) FROM thumbs GROUP BY ALL ORDER BY 2")
    assert conversations == [(None, 1), ("chat-1", 2)]


class TestHandles:
    def test_an_answer_knows_its_conversation(self, ask: Ask, api: OpenAIServer) -> None:
        """And its text, which `mark` needs."""
        api.script = [said("Paris.")]
        reply = ask(thumbline={"conversation_id": 7})

        assert answer_of(reply) == thumbline.Answer(REPLY_ID, "7")
        assert answer_of(reply).text == "Paris."
        assert answer_of(reply, 1) == thumbline.Answer(f"{REPLY_ID}:1", "7")

    def test_an_id_of_the_hosts_own(self, client: OpenAI, api: OpenAIServer, tl: RecordingClient) -> None:
        """Chosen before the call, so that a receipt can be in the page before the text."""
        api.script = [streamed(*words("Paris."))]
        stream = with_fields(client, completion_id="mine-1").chat.completions.create(
            model="acme-7b", messages=MESSAGES, stream=True
        )

        assert answer_of(stream).completion_id == "mine-1"
        list(stream)
        assert only(tl)["completion_id"] == "mine-1"

    def test_a_stream_before_and_after_its_first_chunk(
        self, client: OpenAI, api: OpenAIServer, tl: RecordingClient
    ) -> None:
        """No id, then the API's; while there is none, nothing can be said of the answer."""
        api.script = [streamed(*words("Paris."))]
        stream = client.chat.completions.create(model="acme-7b", messages=MESSAGES, stream=True)
        early = answer_of(stream)
        next(stream)

        assert early == thumbline.Answer("")
        with pytest.raises(thumbline.InvalidEvent, match="target_id"):
            tl.receipt(early, rater="mia")
        assert answer_of(stream).completion_id == REPLY_ID
        list(stream)
        assert answer_of(stream).text == "Paris."

    def test_things_that_were_never_recorded(self, plain: OpenAI, api: OpenAIServer) -> None:
        """Their id is all there is."""
        api.script = [said("Paris.")]
        reply = plain.chat.completions.create(model="acme-7b", messages=MESSAGES)

        assert answer_of(reply) == thumbline.Answer(REPLY_ID)
        assert answer_of(reply, 2) == thumbline.Answer(f"{REPLY_ID}:2")
        assert answer_of(None) == thumbline.Answer("")

    def test_replies_are_not_kept(self, client: OpenAI, api: OpenAIServer) -> None:
        """A reply that its host lets go of is gone, and so is what was known of it."""
        from thumbline.openai import _record

        gc.collect()
        before = len(_record._known)
        api.script = [said("Paris."), streamed(*words("Paris."))]
        reply = client.chat.completions.create(model="acme-7b", messages=MESSAGES)
        stream = client.chat.completions.create(model="acme-7b", messages=MESSAGES, stream=True)
        list(stream)
        assert len(_record._known) == before + 1
        assert pickle.loads(pickle.dumps(reply)) == reply
        del reply, stream
        gc.collect()

        assert len(_record._known) == before
