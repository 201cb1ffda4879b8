"""`thumbline.openai` where the package openai is not: it goes by what a client can do, not by what it is."""

from types import SimpleNamespace

import pytest

from thumbline.openai import answer_of, with_fields, wrap
from thumbline.testing import record

MESSAGES = [{"role": "user", "content": "Hi"}]


class Completions:
    def __init__(self, client):
        self._client = client
        self._post = client.post

    def create(self, *, stream=False, **arguments):
        """As a double in a host's own tests may have it."""
        return iter(self._client.chunks) if stream else self._post(arguments)


class Client:
    def __init__(self):
        self.sent = []
        self.chunks = [
            SimpleNamespace(id="a1", model="m", choices=[SimpleNamespace(index=0, delta=delta, finish_reason=reason)])
            for delta, reason in [(SimpleNamespace(content="Hel"), None), (SimpleNamespace(content="lo"), "stop")]
        ]
        self.chat = SimpleNamespace(completions=Completions(self))

    def post(self, arguments):
        self.sent.append(arguments)
        message = SimpleNamespace(model_dump=lambda **_: {"role": "assistant", "content": "Hello"})
        choice = SimpleNamespace(index=0, message=message, finish_reason="stop")
        return SimpleNamespace(id="a1", model="m", choices=[choice])


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_by_its_shape(stream):
    """Whole and in chunks, with the fields of the call, the request and the client."""
    with record() as tl:
        client = wrap(Client(), tl, policy="p")
        client = with_fields(client, conversation_id="c", properties={"a": 1})
        reply = client.chat.completions.create(
            model="x", messages=MESSAGES, temperature=0.5, stream=stream, thumbline={"properties": {"b": 2}}
        )
        chunks = list(reply) if stream else []
        tl.thumb(answer_of(reply), "up", rater="mia")

    answer, vote = tl.events
    assert chunks == (client.chunks if stream else [])
    assert answer["response"] == {"role": "assistant", "content": "Hello"}
    assert (answer["model"], answer["policy"], answer["conversation_id"]) == ("m", "p", "c")
    assert {"a": 1, "b": 2}.items() <= answer["properties"].items()
    assert answer["finish_reason"] == "stop"
    # A reply that takes no weak reference is known by its id alone.
    assert (vote["target_id"], vote.get("conversation_id")) == ("a1", "c" if stream else None)
    assert stream or client.sent == [{"model": "x", "messages": MESSAGES, "temperature": 0.5}]


def test_the_client_itself_is_left_alone():
    """Not even its `chat` is another one."""
    with record() as tl:
        client = Client()
        chat, completions = client.chat, client.chat.completions
        wrap(client, tl).chat.completions.create(model="x", messages=MESSAGES)
        client.chat.completions.create(model="x", messages=MESSAGES)

    assert (client.chat, client.chat.completions) == (chat, completions)
    assert "create" not in vars(completions)
    assert len(tl.events) == 1


def test_views_that_a_client_makes_at_once_are_made_anew():
    """As older packages do: a view of the copy, over methods that record, and not one of the original."""

    class View:
        def __init__(self, client):
            self.client = client

    with record() as tl:
        client = Client()
        client.with_raw_response = View(client)
        twin = wrap(client, tl)

    assert (twin.with_raw_response.client, client.with_raw_response.client) == (twin, client)


@pytest.mark.parametrize("client", [None, "sk-...", Client().chat, SimpleNamespace(chat=None)])
def test_what_is_no_client(client):
    """Said at once."""
    with record() as tl, pytest.raises(TypeError, match=r"client must have chat\.completions"):
        wrap(client, tl)


def test_it_is_loaded_by_those_who_ask_for_it(run_python):
    """And brings nothing with it; nor does it need the package, or take its name."""
    run_python(
        """
        import sys
        sys.modules["openai"] = None  # an import of it fails
        import thumbline
        assert "thumbline.openai" not in sys.modules
        before = set(sys.modules)
        import thumbline.openai
        loaded = {name for name in set(sys.modules) - before if not name.startswith("thumbline")}
        assert not {"openai", "pydantic", "httpx", "asyncio"} & {n.partition(".")[0] for n in loaded}, loaded
        """
    )
