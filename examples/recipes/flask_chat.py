"""
A chat in Flask, in its simplest form: a form, a page, thumbs under each answer, and a pick of two.

    pip install 'thumbline[server]' flask
    THUMBLINE_ALLOWED_ORIGINS=http://localhost:8000 thumbline up        # the collector, in a terminal of its own
    export THUMBLINE_URL=http://localhost:8400 THUMBLINE_KEY=$(thumbline keys create --project my-chat)
    python examples/recipes/flask_chat.py

Open http://localhost:8000, ask something, press a thumb; then: thumbline query "FROM thumbs"
"""

from __future__ import annotations

import os
from typing import Any
from uuid import uuid4

from flask import Flask, redirect, render_template_string, request, session
from werkzeug.wrappers import Response

import thumbline

# "granted" only because the people who use this agreed to it. Unless you say so, exports leave everything out.
tl = thumbline.Client(app="flask-chat", training_consent="granted")
app = Flask(__name__)
app.secret_key = os.environ.get("SECRET_KEY", uuid4().hex)
chats: dict[str, list[dict[str, Any]]] = {}  # conversation -> messages; a database in a product
answers: dict[str, list[thumbline.Answer]] = {}  # conversation -> its answers


def model(messages: list[dict[str, Any]], temperature: float = 0.0) -> str:
    """Answer. A toy: put your model here."""
    mood = "!" if temperature else "."
    return f"You said “{messages[-1]['content']}”, and {len(messages)} messages are before this one{mood}"


@app.get("/")
def page() -> str:
    """Show the conversation; receipts are made with the page, so they are as fresh as it is."""
    user, chat_id = person()
    receipts = [tl.receipt(answer, rater=user) for answer in answers.get(chat_id, [])]
    return render_template_string(PAGE, messages=chats.get(chat_id, []), receipts=iter(receipts), pick=None)


@app.post("/")
def turn() -> Response:
    """Answer a message."""
    user, chat_id = person()
    messages = chats.setdefault(chat_id, [])
    messages.append({"role": "user", "content": request.form["text"]})
    text = model(messages)
    answer = tl.completion(
        messages=messages, response=text, model="toy", policy="toy@1", conversation_id=chat_id, author=user
    )
    messages.append({"role": "assistant", "content": text})
    answers.setdefault(chat_id, []).append(answer)
    return redirect("/")


@app.post("/compare")
def compare() -> str:
    """Answer twice, and let the person pick. The order is drawn and recorded; the receipt holds it."""
    user, chat_id = person()
    prompt = [{"role": "user", "content": request.form["text"]}]
    texts = {}
    for temperature in (0.0, 1.0):
        text, sampling = model(prompt, temperature), {"temperature": temperature}
        answer = tl.completion(
            messages=prompt, response=text, model="toy", policy="toy@1", sampling=sampling, author=user
        )
        texts[answer.completion_id] = text
    pair = tl.comparison(list(texts), conversation_id=chat_id)
    pick = {"receipt": tl.receipt(pair, rater=user), "answers": [(own, texts[own]) for own in pair.order]}
    return render_template_string(PAGE, messages=prompt, receipts=iter([]), pick=pick)


def person() -> tuple[thumbline.Rater, str]:
    """Who asks, and in which conversation, from the signed cookie; in a product who is logged in."""
    user, chat_id = (session.setdefault(name, uuid4().hex) for name in ("user", "chat"))
    return thumbline.Rater(user, wrote_prompt=True), chat_id


PAGE = """<!doctype html>
<meta charset="utf-8"><title>chat</title>
<script src="{{ config.COLLECTOR }}/thumbline-elements.js" defer></script>
{% for message in messages %}
<p>{{ message.content }}</p>
{% if message.role == "assistant" %}<thumbline-thumbs receipt="{{ next(receipts) }}"></thumbline-thumbs>{% endif %}
{% endfor %}
{% if pick %}<thumbline-pick receipt="{{ pick.receipt }}">
{% for id, text in pick.answers %}<div slot="{{ id }}">{{ text }}</div>{% endfor %}
</thumbline-pick>{% endif %}
<form method="post" action="/"><input name="text" autocomplete="off" autofocus required>
<button>Send</button> <button formaction="/compare">Compare two answers</button></form>
"""

app.config["COLLECTOR"] = os.environ["THUMBLINE_URL"]
app.jinja_env.globals["next"] = next

if __name__ == "__main__":
    app.run(port=int(os.environ.get("PORT", "8000")))
