"""
A chat in Streamlit with `st.feedback`, where pressing a thumb again takes the vote back.

    pip install 'thumbline[server]' streamlit
    thumbline up                                                        # the collector, in a terminal of its own
    export THUMBLINE_URL=http://localhost:8400 THUMBLINE_KEY=$(thumbline keys create --project my-chat)
    streamlit run examples/recipes/streamlit_chat.py

Ask something, press a thumb; then: thumbline query "FROM thumbs"
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, Literal
from uuid import uuid4

import streamlit as st

import thumbline

VALUES: dict[int | None, Literal["up", "down", "retracted"]] = {1: "up", 0: "down", None: "retracted"}


@st.cache_resource
def client() -> thumbline.Client:
    """Return the one client of this process: the script runs anew with each click, in all sessions."""
    # "granted" only because the people who use this agreed to it. Unless you say so, exports leave everything out.
    return thumbline.Client(app="streamlit-chat", training_consent="granted")


def model(messages: list[dict[str, Any]]) -> Iterator[str]:
    """Yield an answer, word by word. A toy: put your model here."""
    for word in f"You said “{messages[-1]['content']}”, and {len(messages)} messages are before this one.".split(" "):
        time.sleep(0.02)
        yield word + " "


def vote(answer: thumbline.Answer, key: str) -> None:
    """Record what the widget says now; cleared, it says None."""
    client().thumb(answer, VALUES[st.session_state[key]], rater=user)


state = st.session_state
# A person is a browser tab here. With `st.login`, take `st.user.sub`.
user: str = state.setdefault("user", uuid4().hex)
chat_id: str = state.setdefault("chat", uuid4().hex)
messages: list[dict[str, Any]] = state.setdefault("messages", [])
answers: dict[int, thumbline.Answer] = state.setdefault("answers", {})  # place among the messages -> answer

for place, message in enumerate(messages):
    with st.chat_message(message["role"]):
        st.write(message["content"])
        if place in answers:
            key = f"vote-{place}"
            st.feedback("thumbs", key=key, on_change=vote, args=(answers[place], key))

if text := st.chat_input("Ask something"):
    messages.append({"role": "user", "content": text})
    st.chat_message("user").write(text)
    started_s = time.perf_counter()
    with st.chat_message("assistant"):
        said = str(st.write_stream(model(messages)))
    answer = client().completion(
        messages=messages,
        response=said,
        model="toy",
        policy="toy@1",
        conversation_id=chat_id,
        author=user,
        latency_ms=(time.perf_counter() - started_s) * 1000,
    )
    client().exposure(answer, rater=user)  # the thumbs are shown from here on: the denominator
    answers[len(messages)] = answer
    messages.append({"role": "assistant", "content": said})
    st.rerun()  # shows the thumbs under the new answer
