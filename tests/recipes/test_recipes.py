"""Each recipe as its comment says to run it, with a real collector and loader, to rows that train."""

from __future__ import annotations

import http.cookiejar
import importlib.util
import json
import re
import subprocess
import sys
import urllib.parse
from html import unescape
from typing import Any
from urllib.request import HTTPCookieProcessor, OpenerDirector, Request, build_opener

import pytest

from tests.recipes.conftest import RECIPES, Site, running
from tests.recipes.openai_server import MODEL, OpenAIServer, streamed, words

pytestmark = pytest.mark.recipes


def needs(*packages: str) -> pytest.MarkDecorator:
    missing = [package for package in packages if importlib.util.find_spec(package) is None]
    return pytest.mark.skipif(bool(missing), reason=f"no {', '.join(missing)}: make test-recipes")


def browser() -> OpenerDirector:
    """What keeps cookies."""
    return build_opener(HTTPCookieProcessor(http.cookiejar.CookieJar()))


def toy(text: str, before: int) -> str:
    return f"You said “{text}”, and {before} messages are before this one"


@needs("fastapi", "uvicorn")
class TestFastAPI:
    def chat(self, person: OpenerDirector, site: Site, text: str) -> tuple[str, str]:
        with person.open(Request(f"{site.origin}/chat", text.encode()), timeout=10) as reply:
            return reply.read().decode(), reply.headers["Thumbline-Receipt"]

    def test_two_turns_and_their_thumbs(self, site: Site) -> None:
        """The second prompt holds the first turn; the page's votes land, and one that is taken back is no row."""
        with running(site, str(RECIPES / "fastapi_chat.py")):
            mia, leo = browser(), browser()
            with mia.open(site.origin) as page:
                assert f'<script src="{site.url}/thumbline-elements.js" defer>' in page.read().decode()
            first, first_receipt = self.chat(mia, site, "Hi")
            _, second_receipt = self.chat(mia, site, "And now?")
            _, other_receipt = self.chat(leo, site, "Hi")
            for receipt, value in [
                (first_receipt, "up"),
                (second_receipt, "down"),
                (other_receipt, "up"),
                (other_receipt, "retracted"),
            ]:
                assert site.vote(receipt, kind="thumb", value=value) == ["accepted"]
        site.wait_until_landed(7)

        assert first.strip().startswith(toy("Hi", 2))
        assert site.thumbs() == ["down", "up"]
        rows = sorted(site.export(), key=lambda row: len(row["prompt"]))
        assert [row["label"] for row in rows] == [True, False]
        assert rows[1]["prompt"] == [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": first},
            {"role": "user", "content": "And now?"},
        ]
        assert rows[0]["policy"] == "toy@1"
        assert site.ask("SELECT count(DISTINCT author), count(DISTINCT conversation_id) FROM completions") == [(2, 2)]
        own = "SELECT bool_and(rater_id = author) FROM thumbs JOIN completions ON target_id = completion_id"
        assert site.ask(own) == [(True,)]

    def test_who_leaves_has_seen_that_much(self, site: Site) -> None:
        """A reader who goes away in mid-answer: what was streamed is recorded, and marked."""
        with running(site, str(RECIPES / "fastapi_chat.py")):
            reply = browser().open(Request(f"{site.origin}/chat", b"Hi"), timeout=10)
            assert reply.read(4) == b"You "
            assert site.vote(reply.headers["Thumbline-Receipt"], kind="thumb", value="up") == ["accepted"]
            reply.close()
            site.wait_until_landed(2)
        [(response, cut)] = site.ask("SELECT response->>'$.content', properties->>'$.cut' FROM completions")

        assert cut == "closed"
        assert toy("Hi", 2).startswith(response.strip()[:10])
        assert len(response) < len(toy("Hi", 2))
        # As docs/recipes.md says; what is cut is a row like any other without it.
        only_whole = ("--where", "answer.properties->>'$.cut' IS NULL")
        assert f'--where "{only_whole[1]}"' in (RECIPES.parent.parent / "docs" / "recipes.md").read_text(
            encoding="utf-8"
        )
        assert [row["label"] for row in site.export("kto", "--allow-one-label")] == [True]
        with pytest.raises(AssertionError, match="-1  where"):
            site.export("kto", "--allow-one-label", *only_whole)


class TestFlask:
    @needs("flask")
    def test_turns_thumbs_and_a_pick(self, site: Site) -> None:
        """Receipts as they stand in the page; the pick's order is the page's."""
        with running(site, str(RECIPES / "flask_chat.py")):
            mia = browser()
            for text in ("Hi & <b>", "And now?"):
                with mia.open(site.origin, urllib.parse.urlencode({"text": text}).encode()) as reply:
                    page = reply.read().decode()
            assert f'<script src="{site.url}/thumbline-elements.js" defer>' in page
            assert "Hi &amp; &lt;b&gt;" in page
            receipts = re.findall(r'<thumbline-thumbs receipt="([^"]+)">', page)
            with mia.open(f"{site.origin}/compare", urllib.parse.urlencode({"text": "Hi"}).encode()) as reply:
                pick = reply.read().decode()
            [pick_receipt] = re.findall(r'<thumbline-pick receipt="([^"]+)">', pick)
            slots = dict(re.findall(r'<div slot="([^"]+)">([^<]+)</div>', pick))
            better = next(own for own, text in slots.items() if text.endswith("!"))
            assert site.vote(receipts[0], kind="thumb", value="up") == ["accepted"]
            assert site.vote(receipts[1], kind="thumb", value="down", tags=["wrong"]) == ["accepted"]
            assert site.vote(pick_receipt, kind="pick", outcome="winner", winner_id=better) == ["accepted"]
        site.wait_until_landed(8)

        assert site.thumbs() == ["down", "up"]
        rows = sorted(site.export(), key=lambda row: len(row["prompt"]))
        assert [(row["label"], len(row["prompt"])) for row in rows] == [(True, 1), (False, 3)]
        assert rows[0]["prompt"] == [{"role": "user", "content": "Hi & <b>"}]
        [pair] = site.export("pairs")
        assert pair["chosen"][0]["content"] == unescape(slots[better])
        assert site.ask("SELECT completion_ids FROM comparisons") == [(list(slots),)]


@needs("streamlit")
class TestStreamlit:
    def test_thumbs_and_the_way_back(self, site: Site) -> None:
        """`st.feedback` up, changed, and cleared, by Streamlit's own test of an app."""
        program = f"""
from streamlit.testing.v1 import AppTest
def app():
    return AppTest.from_file({str(RECIPES / "streamlit_chat.py")!r}, default_timeout=30).run()
mia, leo = app(), app()
for text in ("Hi", "And now?"):
    mia.chat_input[0].set_value(text).run()
    assert not mia.exception, mia.exception
leo.chat_input[0].set_value("Hi").run()
assert [len(at.feedback) for at in (mia, leo)] == [2, 1]
assert [len(at.chat_message) for at in (mia, leo)] == [4, 2]
mia.feedback[0].set_value(0).run()
mia.feedback[0].set_value(1).run()
mia.feedback[1].set_value(0).run()
leo.feedback[0].set_value(1).run()
leo.feedback[0].set_value(None).run()
assert not mia.exception and not leo.exception
assert [f.value for f in mia.feedback] == [1, 0]
"""
        done = subprocess.run(
            [sys.executable, "-c", program], env=site.environ, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, done.stderr
        site.wait_until_landed(11)

        assert site.thumbs() == ["down", "up"]
        rows = sorted(site.export(), key=lambda row: len(row["prompt"]))
        assert [(row["label"], len(row["prompt"])) for row in rows] == [(True, 1), (False, 3)]
        assert rows[1]["prompt"][1] == rows[0]["completion"][0]
        assert site.ask("SELECT count(DISTINCT author), count(DISTINCT conversation_id) FROM completions") == [(2, 2)]
        assert site.ask("SELECT count(*) FROM exposures") == [(3,)]


@needs("gradio")
class TestGradio:
    def test_thumbs_and_the_way_back(self, site: Site) -> None:
        """What Gradio's page sends: a text, Like, Dislike, and "" for one that is pressed again."""
        with running(site, str(RECIPES / "gradio_chat.py"), GRADIO_SERVER_PORT=str(site.port)):
            mia, leo = GradioPage(site.origin, "mia1"), GradioPage(site.origin, "leo1")
            shown = mia.send("submit", "Hi", None)[1]
            mia.send("submit", "And now?", None)
            leo.send("submit", "Hi", None)
            for page, index, liked in [(mia, 1, False), (mia, 1, True), (mia, 3, False), (leo, 1, True), (leo, 1, "")]:
                page.send("like", None, event_data={"index": index, "value": ["of the page"], "liked": liked})
            leo.send("like", None, event_data={"index": 7, "value": [""], "liked": True})
        site.wait_until_landed(11)

        assert shown[1]["content"][0]["text"].startswith(toy("Hi", 1))
        assert site.thumbs() == ["down", "up"]
        rows = sorted(site.export(), key=lambda row: len(row["prompt"]))
        assert [(row["label"], len(row["prompt"])) for row in rows] == [(True, 1), (False, 3)]
        assert rows[1]["prompt"][1] == rows[0]["completion"][0]
        assert site.ask("SELECT count(DISTINCT author), count(DISTINCT conversation_id) FROM completions") == [(2, 2)]
        assert site.ask("SELECT count(*) FROM exposures") == [(3,)]

    def test_a_cleared_chat_begins_anew(self, site: Site) -> None:
        """The next prompt has nothing of what was cleared."""
        with running(site, str(RECIPES / "gradio_chat.py"), GRADIO_SERVER_PORT=str(site.port)):
            page = GradioPage(site.origin, "mia1")
            page.send("submit", "Hi", None)
            page.send("clear")
            page.send("submit", "Again", None)
        site.wait_until_landed(4)

        assert site.ask("SELECT json_array_length(messages) FROM completions ORDER BY occurred_at") == [(1,), (1,)]


class GradioPage:
    """A page of a Gradio app, as its own script talks to it."""

    def __init__(self, origin: str, session: str) -> None:
        self._origin = origin
        self._session = session
        with build_opener().open(f"{origin}/config", timeout=10) as answer:
            self._config = json.load(answer)

    def send(self, event: str, *data: Any, event_data: Any = None) -> list[Any]:
        """Trigger an event; the data that the page gets back at the end."""
        place, found = next(
            (place, each)
            for place, each in enumerate(self._config["dependencies"])
            if any(name == event for _, name in each["targets"])
        )
        body = {
            "data": data, "fn_index": found.get("id", place), "session_hash": self._session,
            "event_data": event_data, "trigger_id": found["targets"][0][0],
        }  # fmt: skip
        given = [*data, *[None] * (len(found["inputs"]) - len(data))]
        request = Request(
            f"{self._origin}/gradio_api/queue/join",
            json.dumps(body | {"data": given}).encode(),
            {"Content-Type": "application/json"},
        )
        build_opener().open(request, timeout=10).close()
        with build_opener().open(
            f"{self._origin}/gradio_api/queue/data?session_hash={self._session}", timeout=30
        ) as lines:
            for line in lines:
                if line.startswith(b"data:"):
                    message = json.loads(line[5:])
                    if message["msg"] == "process_completed":
                        assert message["success"], message
                        return list(message["output"]["data"])
        raise AssertionError("no answer")


@needs("openai")
class TestOpenAI:
    def test_the_terminal(self, site: Site, api: OpenAIServer) -> None:
        """Two turns, votes on them, and one taken back."""
        api.script = [streamed(*words("Par", "is.")), streamed(*words("Lyon."))]
        for place, answer in enumerate(api.script):
            for event in answer.events or ():
                if isinstance(event, dict):
                    event["id"] = f"chatcmpl-{place}"
        environ = site.environ | {"OPENAI_BASE_URL": api.url, "OPENAI_API_KEY": "sk-test"}
        typed = "+\nCapital?\n-\n+\nAnd then?\n+\n0\n-\n\n"
        done = subprocess.run(
            [sys.executable, str(RECIPES / "openai_chat.py"), "acme-7b"],
            env=environ, input=typed, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        site.wait_until_landed(7)

        assert "Paris." in done.stdout
        assert [request["messages"][-1]["content"] for request in api.requests] == ["Capital?", "And then?"]
        rows = sorted(site.export(), key=lambda row: len(row["prompt"]))
        assert [(row["label"], row["completion"][0]["content"]) for row in rows] == [(True, "Paris."), (False, "Lyon.")]
        assert {row["model"] for row in rows} == {MODEL}
        assert rows[1]["prompt"][2] == {"role": "assistant", "content": "Paris."}
        assert site.thumbs() == ["down", "up"]
        own = "SELECT bool_and(rater_id = author) FROM thumbs JOIN completions ON target_id = completion_id"
        assert site.ask(own) == [(True,)]
