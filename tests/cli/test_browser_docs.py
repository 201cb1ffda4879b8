"""`docs/browser.md` names what the browser client and the elements have: all of it, and nothing else."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.processes import Process, wait_until_ready
from tests.tutorial import blocks
from thumbline_ingest.collector.assets import NAMES, asset
from thumbline_ingest.ports import free_port

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs" / "browser.md").read_text(encoding="utf-8")
SOURCE = ROOT / "sdk" / "web" / "src"
ELEMENTS = ["thumbs", "pick", "rating"]


def source(name: str) -> str:
    return (SOURCE / f"{name}.ts").read_text(encoding="utf-8")


def part(title: str) -> str:
    """A part of the page, to the next title of its level or above."""
    (level,) = re.findall(rf"^(#+) {re.escape(title)}$", PAGE, re.MULTILINE)
    return re.split(rf"^#{{2,{len(level)}}} ", PAGE.split(f"{level} {title}\n")[1], flags=re.MULTILINE)[0]


def rows(text: str) -> dict[str, str]:
    """Of each row of a table: its first cell, and the others."""
    return dict(re.findall(r"^\| (?!---)(.+?) \| (.*?) *\|$", text, re.MULTILINE))


def names(text: str) -> set[str]:
    """What is in code in the first cells, `a`, `b` taken apart."""
    return {name for cell in rows(text) for name in re.findall(r"`([^`]+)`", cell)}


def attributes(text: str) -> set[str]:
    """Of an element: what its source asks for."""
    found = re.findall(r'(?:getAttribute|hasAttribute|#number)\("([\w-]+)"', text)
    return {*found, *(name for both in re.findall(r'\["low", "high"\]', text) for name in re.findall(r"\w+", both))}


@pytest.mark.parametrize("name", ELEMENTS)
def test_attributes(name: str) -> None:
    own = attributes(source(f"elements/{name}"))
    if "protected take(" in source(f"elements/{name}"):
        # The base asks for it, each element makes something of it.
        own |= {"value"}
    if name == "pick":
        # Looked at by the sheet alone.
        own |= set(re.findall(r":host\(\[(stacked)\]\)", source("elements/style")))
    assert own == names(part(f"`<thumbline-{name}>`"))


def test_attributes_of_all_and_which_are_read_again() -> None:
    base, texts = source("elements/base"), source("elements/texts")
    (observed,) = re.findall(r"observedAttributes = \[(.*?)\]", base)
    own = attributes(base) - {"value"} | attributes(texts) | {"lang"}
    assert 'closest("[lang]")' in texts
    common = part("Elements").partition("### ")[0]
    assert own == names(common)
    (sentence,) = re.findall(r"^(.*) are read again", common, re.MULTILINE)
    assert re.findall(r'"(\w+)"', observed) == re.findall(r"`(\w+)`", sentence)
    assert 'getAttribute("data-collector")' in source("here")
    assert "`data-collector`" in PAGE


def parts_of(name: str) -> set[str]:
    """Of an element: its parts, as its source makes them."""
    text = source(f"elements/{name}")
    found = set(re.findall(r'part: "(\w+)"', text))
    found |= set(re.findall(r'(?:#panel\(|part\.toggle\()"(\w+)"', text))
    found |= {one for both in re.findall(r'part: isSent \? "(\w+)" : "(\w+)"', text) for one in both}
    found |= set(re.findall(r'#choice\(filled.*"(\w+)"\)', text))
    for listed in re.findall(r"\[(\"[\w\", ]+\")\](?: as const)?\)?\.map\(\((?:outcome|end)\)", text):
        found |= set(re.findall(r"\w+", listed))
    return found


def test_parts() -> None:
    said = {element: set(re.findall(r"`(\w+)`", cell)) for element, cell in rows(part("Looks")).items()}
    assert said["all"] == parts_of("base")
    for name in ELEMENTS:
        assert said[f"`<thumbline-{name}>`"] == parts_of(name), name


def test_custom_properties_events_and_methods() -> None:
    looks = part("Looks")
    own = set(re.findall(r"var\((--thumbline-\w+)", source("elements/style")))
    assert own == {name for name in names(looks) if name.startswith("--")}
    assert set(re.findall(r'#emit\("([\w-]+)"', source("elements/base"))) == names(part("Events"))
    assert "`dismiss()`" in part("Events")
    assert re.findall(r"^  (?!protected|static)(\w+)\(.*\): void \{", source("elements/base"), re.MULTILINE) == [
        "connectedCallback",
        "disconnectedCallback",
        "attributeChangedCallback",
        "dismiss",
    ]


def test_texts_and_languages() -> None:
    text, said = source("elements/texts"), part("Texts and languages")
    (english,) = re.findall(r"const en = \{(.*?)\};", text, re.DOTALL)
    table = {name.strip("`"): value for name, value in rows(said).items() if name != "text"}
    assert dict(re.findall(r'(\w+): "(.*?)"', english)) == table
    (shipped,) = re.findall(r"shipped: .* = \{(.*)\}", text)
    assert re.findall(r"\w+", shipped) == re.findall(r"\(`(\w+)`\)", said)
    (tags,) = re.findall(r'const TAGS = "(.*?)"', source("elements/thumbs"))
    assert f"`{tags}`" in part("`<thumbline-thumbs>`")


def interface(name: str, file: str = "client") -> str:
    (found,) = re.findall(rf"export interface {name} \{{(.*?)^\}}", source(file), re.MULTILINE | re.DOTALL)
    return str(found)


def test_calls_options_states_and_losses() -> None:
    said = part("Client")
    calls = {name.partition("(")[0] for name in names(said) if "(" in name}
    methods = re.findall(r"^  (\w+)\(", interface("Client"), re.MULTILINE)
    exported = re.findall(r"^export (?:function|\{) ?(\w+)", source("index"), re.MULTILINE)
    assert calls == {f"client.{name}" for name in methods} | {f"thumbline.{name}" for name in exported}
    options = said.partition("| option of")[2].partition("### ")[0]
    assert set(re.findall(r"^  (\w+)\?:", interface("Options"), re.MULTILINE)) == names(options)
    assert set(re.findall(r"^  (\w+):", interface("Claims", "receipt"), re.MULTILINE)) <= _named(said)
    assert set(re.findall(r"^  (\w+):", interface("Stats"), re.MULTILINE)) <= _named(said)
    (states,) = re.findall(r"readonly status: (.*);", interface("State", "outbox"))
    assert set(re.findall(r"\w+", states)) == names(part("States")) - {"status"}
    lost = set(re.findall(r'"refused", "(\w+)"', source("outbox")))
    assert lost == {"full", "rejected"}
    assert lost <= _named(said)


def test_limits_and_measures() -> None:
    """The figures are the constants'."""
    numbers = {
        name: float(value.replace("_", ""))
        for file in ("outbox", "client", "exposures", "elements/base")
        for name, value in re.findall(r"^const (\w+) = ([\d_.]+);", source(file), re.MULTILINE)
    }
    assert rows(part("What happens to a vote").partition("| limit |")[2]) == {
        "events that wait in a page": f"{numbers['MAX_PENDING']:.0f}",
        "events in a request": f"{numbers['BATCH_EVENTS']:.0f}",
        "bytes under way with `keepalive`": f"{numbers['KEEPALIVE_BYTES']:,.0f}; "
        "a request has at most half of it, a longer event goes alone",
        "time for an answer": f"{numbers['TIMEOUT_MS'] / 1000:.0f} s",
        "longest pause between tries": f"{numbers['LONGEST_WAIT_MS'] / 1000:.0f} s",
    }
    assert "size + bytes > KEEPALIVE_BYTES / 2" in source("outbox")
    assert (numbers["SEEN_SHARE"], numbers["SEEN_MS"]) == (0.5, 1000)
    assert "half of it was in view for a second" in PAGE
    assert numbers["LAZY_MS"] == 2000
    assert "within two seconds" in PAGE
    assert numbers["PATIENCE_MS"] == 1000
    assert "after a second only" in PAGE
    measured = {name for name in re.findall(r"(\w+_ms)\b", source("exposures")) if name.islower()}
    exposures = part("Exposures")
    assert measured == {name for name in names(exposures) if name.endswith("_ms")}
    assert {"`exposure`, `shown`", "`exposure`, `seen`", "`exposure`, `dismissed`", "`signal`, `dwell`"} <= set(
        rows(exposures)
    )


def test_sizes_and_files() -> None:
    limits = (ROOT / "tests" / "collector" / "test_assets.py").read_text(encoding="utf-8")
    found = [int(limit) for limit in re.findall(r"(\d+) \* KIB", limits)]
    assert f"at most {found[0]} KiB and {found[-1]} KiB, gzipped" in PAGE.replace("\n", " ")
    assert set(NAMES) == names(part("One tag"))


def test_elements_in_the_examples_are_written_as_they_are() -> None:
    """What stands in a tag is an attribute of that element or one of its events."""
    code = "".join(re.findall(r"^```(?:html|jsx)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL))
    tags = re.findall(
        r"<thumbline-(\w+)\s((?:[\w:@-]+(?:=(?:\"[^\"]*\"|'[^']*'|\{(?:[^{}]|\{[^}]*\})*\}))?\s*)*)", code
    )
    assert {name for name, _ in tags} == {"thumbs", "pick"}
    known = names(part("Elements").partition("### ")[0])
    for name, inside in tags:
        for attribute in re.findall(r"([\w:@-]+)(?:=(?:\"[^\"]*\"|'[^']*'|\{(?:[^{}]|\{[^}]*\})*\}))?", inside):
            own = attribute.removeprefix(":").removeprefix("@").removeprefix("on")
            assert own in known | names(part(f"`<thumbline-{name}>`")) | names(part("Events")), attribute


def test_the_files_from_a_collector_and_from_the_wheel(home: Path, tmp_path: Path) -> None:
    """Both ways as they are written, into empty folders."""
    from_collector, from_wheel = (block.text for block in blocks("browser.md") if block.language == "sh")
    port = free_port()
    with Process(home, "collect", port=port):
        wait_until_ready(f"http://127.0.0.1:{port}")
        assert _fetched(from_collector.replace("8400", str(port)), tmp_path / "collector") == set(NAMES)
    assert _fetched(from_wheel, tmp_path / "wheel") == set(NAMES)


def _fetched(command: str, folder: Path) -> set[str]:
    """Files that a command brings; asserts that they are what the collector serves."""
    folder.mkdir()
    path = f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin"
    subprocess.run(["bash", "-ec", command], cwd=folder, env={"PATH": path}, check=True, timeout=60)
    files = list(folder.iterdir())
    assert all(file.read_bytes() == asset(file.name).body for file in files)
    return {file.name for file in files}


def _named(text: str) -> set[str]:
    return set(re.findall(r"`(\w+)`", text))
