"""
Logs the answers of OpenAI's Python client, and of all that speak its API, from the calls themselves.

    from openai import OpenAI
    from thumbline.openai import answer_of, wrap

    client = wrap(OpenAI(), tl, policy="acme-7b@step-1200")
    reply = client.chat.completions.create(
        model="acme-7b", messages=messages, thumbline={"conversation_id": chat_id, "author": user_id}
    )
    tl.thumb(reply.id, "up", rater=user_id)
    receipt = tl.receipt(answer_of(reply), rater=user_id)

`wrap` leaves the client that it is given as it was and returns a copy of the same type, which shares its
connections. Recorded are `chat.completions.create` (also with `stream=True`), `.parse` and `.stream`, and
`responses.create`, `.parse` and `.stream`, sync and async. The rest of the client is what it was.

Nothing of this fails, delays or changes a call: an answer that cannot be recorded is counted as any dropped
event is, and raises with `debug=True` only. Errors of the API are the caller's, and record nothing.

The package `openai` is not imported here; whoever has a client has it. What is recorded of an answer, of a
stream that is not read to its end, and what is not recorded, is in docs/recipes.md.
"""

from __future__ import annotations

from ._fields import Fields
from ._wrap import answer_of, with_fields, wrap

__all__ = ["Fields", "answer_of", "with_fields", "wrap"]
