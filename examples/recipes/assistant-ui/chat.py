"""
A chat whose page is React with assistant-ui: answers stream, and assistant-ui's own thumbs vote.

    npm --prefix examples/recipes/assistant-ui ci                # Node.js 20 or newer
    npm --prefix examples/recipes/assistant-ui run build         # chat.jsx -> dist/chat.js
    pip install 'thumbline[server]' flask
    THUMBLINE_ALLOWED_ORIGINS=http://localhost:8000 thumbline up        # the collector, in a terminal of its own
    export THUMBLINE_URL=http://localhost:8400 THUMBLINE_KEY=$(thumbline keys create --project my-chat)
    python examples/recipes/assistant-ui/chat.py

Open http://localhost:8000, ask something, press a thumb; then: thumbline query "FROM thumbs"
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

from flask import Flask, Response, request, session

import thumbline

# "granted" only because the people who use this agreed to it. Unless you say so, exports leave everything out.
tl = thumbline.Client(app="assistant-ui-chat", training_consent="granted")
app = Flask(__name__, static_folder="dist")
app.secret_key = os.environ.get("SECRET_KEY", uuid4().hex)
chats: dict[str, list[dict[str, Any]]] = {}  # conversation -> messages; a database in a product


def model(messages: list[dict[str, Any]]) -> Iterator[str]:
    """Yield an answer, word by word. A toy: put your model here."""
    for word in f"You said “{messages[-1]['content']}”, and {len(messages)} messages are before this one.".split(" "):
        time.sleep(0.02)
        yield word + " "


def reply(answer: thumbline.Answer, messages: list[dict[str, Any]], user: str) -> Iterator[str]:
    """Stream an answer and record it, also where the reader leaves before its end: they have seen that much."""
    prompt, pieces = list(messages), list[str]()
    cut = {"cut": "closed"}
    try:
        for piece in model(prompt):
            pieces.append(piece)
            yield piece
        cut = {}
    finally:
        messages.append({"role": "assistant", "content": "".join(pieces)})
        tl.completion(
            completion_id=answer.completion_id,
            conversation_id=answer.conversation_id,
            messages=prompt,
            response="".join(pieces),
            model="toy",
            policy="toy@1",
            author=user,
            properties=cut,
        )


@app.post("/chat")
def chat() -> Response:
    """One turn: the text of the answer, and the receipt for its thumbs in a header, before the text is there."""
    user, chat_id = (session.setdefault(name, uuid4().hex) for name in ("user", "chat"))
    messages = chats.setdefault(chat_id, [{"role": "system", "content": "Be brief."}])
    messages.append({"role": "user", "content": request.get_data(as_text=True)})
    answer = thumbline.Answer(uuid4().hex, chat_id)
    receipt = tl.receipt(answer, rater=thumbline.Rater(user, wrote_prompt=True))
    headers = {"Thumbline-Receipt": receipt}
    return Response(reply(answer, messages, user), content_type="text/plain; charset=utf-8", headers=headers)


@app.get("/")
def page() -> str:
    """Return the page; a conversation begins with it, since the page keeps none."""
    session["chat"] = uuid4().hex
    return PAGE.replace("COLLECTOR", os.environ["THUMBLINE_URL"])


PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>chat</title>
<style>[aria-pressed=true] { outline: 2px solid } textarea { width: 30rem }</style>
<main></main>
<script src="COLLECTOR/thumbline.js"></script>
<script src="/dist/chat.js"></script>
"""

if __name__ == "__main__":
    app.run(port=int(os.environ.get("PORT", "8000")))
