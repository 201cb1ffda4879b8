"""
A chat in FastAPI whose answers stream and whose page takes the votes.

    pip install 'thumbline[server]' fastapi uvicorn
    THUMBLINE_ALLOWED_ORIGINS=http://localhost:8000 thumbline up        # the collector, in a terminal of its own
    export THUMBLINE_URL=http://localhost:8400 THUMBLINE_KEY=$(thumbline keys create --project my-chat)
    python examples/recipes/fastapi_chat.py

Open http://localhost:8000, ask something, press a thumb; then: thumbline query "FROM thumbs"
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, StreamingResponse
from starlette.middleware.sessions import SessionMiddleware

import thumbline

# "granted" only because the people who use this agreed to it. Unless you say so, exports leave everything out.
tl = thumbline.Client(app="fastapi-chat", training_consent="granted")
app = FastAPI()
app.add_middleware(SessionMiddleware, secret_key=os.environ.get("SECRET_KEY", uuid4().hex))
chats: dict[str, list[dict[str, Any]]] = {}  # conversation -> messages; a database in a product


async def model(messages: list[dict[str, Any]]) -> AsyncIterator[str]:
    """Yield an answer, word by word. A toy: put your model here."""
    for word in f"You said “{messages[-1]['content']}”, and {len(messages)} messages are before this one.".split(" "):
        await asyncio.sleep(0.02)
        yield word + " "


async def reply(answer: thumbline.Answer, messages: list[dict[str, Any]], user: str) -> AsyncIterator[str]:
    """Stream an answer and record it, also where the reader leaves before its end: they have seen that much."""
    prompt, pieces, started_s = list(messages), list[str](), time.perf_counter()
    cut = {"cut": "closed"}
    try:
        async for piece in model(prompt):
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
            latency_ms=(time.perf_counter() - started_s) * 1000,
            properties=cut,
        )


@app.post("/chat")
async def chat(request: Request) -> StreamingResponse:
    """One turn: the text of the answer, and the receipt for its thumbs in a header, before the text is there."""
    user, chat_id = (request.session.setdefault(name, uuid4().hex) for name in ("user", "chat"))
    messages = chats.setdefault(chat_id, [{"role": "system", "content": "Be brief."}])
    messages.append({"role": "user", "content": (await request.body()).decode()})
    answer = thumbline.Answer(uuid4().hex, chat_id)
    receipt = tl.receipt(answer, rater=thumbline.Rater(user, wrote_prompt=True))
    return StreamingResponse(
        reply(answer, messages, user), media_type="text/plain; charset=utf-8", headers={"Thumbline-Receipt": receipt}
    )


@app.get("/")
async def page() -> HTMLResponse:
    """Return the page."""
    return HTMLResponse(PAGE.replace("COLLECTOR", os.environ["THUMBLINE_URL"]))


PAGE = """<!doctype html>
<meta charset="utf-8"><title>chat</title>
<script src="COLLECTOR/thumbline-elements.js" defer></script>
<main></main>
<form><input name="text" autocomplete="off" autofocus required> <button>Send</button></form>
<script>
const form = document.querySelector("form"), main = document.querySelector("main");
form.onsubmit = async (event) => {
  event.preventDefault();
  const text = form.elements.text.value;
  form.reset();
  const reply = await fetch("/chat", {method: "POST", body: text});
  const answer = document.createElement("p"), thumbs = document.createElement("thumbline-thumbs");
  main.append(Object.assign(document.createElement("b"), {textContent: text}), answer, thumbs);
  const reader = reply.body.pipeThrough(new TextDecoderStream()).getReader();
  for (let piece; !(piece = await reader.read()).done; ) answer.append(piece.value);
  thumbs.setAttribute("receipt", reply.headers.get("Thumbline-Receipt"));
};
</script>
"""

if __name__ == "__main__":
    uvicorn.run(app, port=int(os.environ.get("PORT", "8000")))
