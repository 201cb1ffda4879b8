"""
A chat in Gradio with the thumbs of `gr.Chatbot`, where pressing one again takes the vote back.

    pip install 'thumbline[server]' gradio
    thumbline up                                                        # the collector, in a terminal of its own
    export THUMBLINE_URL=http://localhost:8400 THUMBLINE_KEY=$(thumbline keys create --project my-chat)
    python examples/recipes/gradio_chat.py

Open the address that it prints, ask something, press a thumb; then: thumbline query "FROM thumbs"
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import gradio as gr

import thumbline

# "granted" only because the people who use this agreed to it. Unless you say so, exports leave everything out.
tl = thumbline.Client(app="gradio-chat", training_consent="granted")


@dataclass
class Chat:
    """One conversation. Kept here and not read from the page: what a page sends is no evidence of what was said."""

    messages: list[dict[str, Any]] = field(default_factory=list)
    answers: dict[int, thumbline.Answer] = field(default_factory=dict)  # place among the messages -> answer


def model(messages: list[dict[str, Any]]) -> Iterator[str]:
    """Yield an answer, word by word. A toy: put your model here."""
    for word in f"You said “{messages[-1]['content']}”, and {len(messages)} messages are before this one.".split(" "):
        time.sleep(0.02)
        yield word + " "


def person(request: gr.Request) -> str:
    """Who it is: a page that was loaded, or with `launch(auth=...)` who is logged in."""
    return str(request.username or request.session_hash)


def reply(text: str, chat: Chat, request: gr.Request) -> Iterator[tuple[str, list[dict[str, Any]], Chat]]:
    """Stream an answer and record it."""
    chat.messages.append({"role": "user", "content": text})
    said, started_s = "", time.perf_counter()
    for piece in model(chat.messages):
        said += piece
        yield "", [*chat.messages, {"role": "assistant", "content": said}], chat
    answer = tl.completion(
        messages=chat.messages,
        response=said,
        model="toy",
        policy="toy@1",
        conversation_id=request.session_hash,
        author=person(request),
        latency_ms=(time.perf_counter() - started_s) * 1000,
    )
    tl.exposure(answer, rater=person(request))  # the thumbs are shown with the answer: the denominator
    chat.answers[len(chat.messages)] = answer
    chat.messages.append({"role": "assistant", "content": said})
    yield "", chat.messages, chat


def vote(chat: Chat, event: gr.LikeData, request: gr.Request) -> None:
    """Record a thumb. `liked` is True, False, or "" where the thumb was pressed again."""
    values: dict[bool | str, Literal["up", "down", "retracted"]] = {True: "up", False: "down", "": "retracted"}
    if event.index in chat.answers:
        tl.thumb(chat.answers[event.index], values[event.liked], rater=person(request))


with gr.Blocks(title="chat") as demo:
    chat = gr.State(Chat())
    page = gr.Chatbot()
    box = gr.Textbox(placeholder="Ask something", show_label=False)
    box.submit(reply, [box, chat], [box, page, chat])
    page.like(vote, chat)
    page.clear(Chat, None, chat)

if __name__ == "__main__":
    demo.launch()
