"""
A chat in the terminal over OpenAI's client, or any server that speaks its API (vLLM, Ollama ...).

    pip install 'thumbline[server]' openai
    thumbline up                                                        # the collector, in a terminal of its own
    export THUMBLINE_URL=http://localhost:8400 THUMBLINE_KEY=$(thumbline keys create --project my-chat)
    export OPENAI_API_KEY=sk-...                                        # OPENAI_BASE_URL for a server of your own
    python examples/recipes/openai_chat.py gpt-5-mini

Ask something; then + or - votes on the last answer and 0 takes the vote back. An empty line ends it.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Literal
from uuid import uuid4

from openai import OpenAI

import thumbline
from thumbline.openai import answer_of, with_fields, wrap

if TYPE_CHECKING:
    from openai.types.chat import ChatCompletionMessageParam

VOTES: dict[str, Literal["up", "down", "retracted"]] = {"+": "up", "-": "down", "0": "retracted"}

# "granted" only because the people who use this agreed to it. Unless you say so, exports leave everything out.
tl = thumbline.Client(app="openai-chat", training_consent="granted")
client = wrap(OpenAI(), tl)  # with a model of your own, its checkpoint too: wrap(..., policy="acme-7b@step-1200")


def main(model: str) -> None:
    """Talk until an empty line."""
    user = os.environ.get("USER", "me")  # who votes; of your product, the id of the user who has signed in
    # What is the same for all answers of this conversation; for one call alone, `create(..., thumbline={...})`.
    chat = with_fields(client, conversation_id=uuid4().hex, author=user)
    messages: list[ChatCompletionMessageParam] = [{"role": "system", "content": "Be brief."}]
    answer: thumbline.Answer | None = None
    while text := input("\n> "):
        if text in VOTES:
            if answer is not None:
                tl.thumb(answer, VOTES[text], rater=user)
            continue
        messages.append({"role": "user", "content": text})
        said = ""
        with chat.chat.completions.create(model=model, messages=messages, stream=True) as stream:
            for chunk in stream:
                piece = (chunk.choices[0].delta.content or "") if chunk.choices else ""
                said += piece
                print(piece, end="", flush=True)
        answer = answer_of(stream)  # recorded already: prompt, text, model, sampling, times
        messages.append({"role": "assistant", "content": said})


if __name__ == "__main__":
    main(sys.argv[1])
