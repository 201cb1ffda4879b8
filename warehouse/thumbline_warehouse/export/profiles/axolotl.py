r"""
Axolotl: messages for DPO, single turns for reward models, and text in its own frame for KTO.

    pairs   {"prompt": [{"role": "user", "content": "Hi"}], "chosen": {"role": "assistant", "content": "Hello."},
             "rejected": {"role": "assistant", "content": "What?"}}             type: chat_template.default
    reward  {"system": "", "input": "Hi", "chosen": "Hello.", "rejected": "What?"}
                                                                    type: bradley_terry.chat_template
    kto     {"system": "", "prompt": "Hi", "completion": "Hello.", "label": true}    type: chatml.ultra

Its KTO knows no messages: given them, it trains on their Python text. `chatml.ultra` and `llama3.ultra`
put system, prompt and completion into a frame of control tokens. A longer conversation goes into `prompt`
with the tokens between its turns, so that frame and prompt together are the whole conversation:

    user "Hi", assistant "Yo", user "Well?"
    ->  "prompt": "Hi<|im_end|>\n<|im_start|>assistant\nYo<|im_end|>\n<|im_start|>user\nWell?"

(`user_defined.default`, which takes rendered text as it is, names a field that it then does not fill.)
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any, ClassVar, Final

from .base import ANY_TEXT_CHAT, PAIRED, TEXT_MESSAGES, Facts, Format, Kind, Profile, ProfileError, Row, Settings
from .chat import answer_of, text_message, turns_of
from .checks import (
    TEXT,
    TRL_COLUMNS,
    different_problems,
    field_problems,
    is_blank,
    label_problems,
    one_answer_problems,
    one_message_problems,
    prompt_problems,
    text_problems,
    value_problems,
)
from .render import BUILT_IN, rendered

_TEXT_MESSAGE: Final = "STRUCT(role VARCHAR, content VARCHAR)"
_SIDES: Final = ("chosen", "rejected")
_TYPES: Final[dict[Kind, dict[str, str]]] = {
    "pairs": {"prompt": TEXT_MESSAGES} | dict.fromkeys(_SIDES, _TEXT_MESSAGE),
    "reward": dict.fromkeys(("system", "input", *_SIDES), "VARCHAR"),
    "kto": dict.fromkeys(("system", "prompt", "completion"), "VARCHAR") | {"label": "BOOLEAN"},
}


class Axolotl(Profile):
    """Rows for Axolotl's prompt strategies."""

    name: ClassVar[str] = "axolotl"
    kinds: ClassVar[frozenset[Kind]] = frozenset({"kto", "pairs", "reward"})
    formats: ClassVar[tuple[Format, ...]] = ("jsonl", "parquet")

    def refusals(self, settings: Settings) -> list[str]:
        found = super().refusals(settings)
        if settings.kind == "kto" and settings.chat_template not in BUILT_IN:
            names = " or ".join(BUILT_IN)
            found.append(f"Axolotl's KTO has a frame of its own: the chat template must be {names}")
        return found

    def prompt_roles(self, settings: Settings) -> str:
        return {"kto": "s?u([ua]*u)?", "reward": "s?u"}.get(settings.kind, ANY_TEXT_CHAT)

    def fields(self, example: Row, settings: Settings) -> Row:
        prompt = [text_message(turn) for turn in turns_of(example["prompt"], settings)]
        if settings.kind == "kto":
            completion = text_message(answer_of(example, "completion", settings))["content"]
            return {**_framed(prompt, settings.chat_template), "completion": completion, "label": example["label"]}
        # The strategy looks for the answer in rendered text, where some templates have trimmed it.
        answers = {name: text_message(answer_of(example, name, settings)) for name in _SIDES}
        answers = {name: message | {"content": message["content"].strip()} for name, message in answers.items()}
        if settings.kind == "pairs":
            return {"prompt": prompt, **answers}
        system, rest = _without_system(prompt)
        if len(rest) != 1:
            raise ProfileError("Axolotl's reward models take a single question")
        texts = {name: message["content"] for name, message in answers.items()}
        return {"system": system, "input": rest[0]["content"], **texts}

    def problems(self, row: Row, settings: Settings) -> list[str]:
        found = [*value_problems(row), *field_problems(row, [*self.types(settings)], TRL_COLUMNS)]
        if settings.kind == "pairs":
            found += prompt_problems("prompt", row.get("prompt"), self.prompt_roles(settings), TEXT)
            for name in _SIDES:
                found += _side_problems(name, row.get(name))
        else:
            found += text_problems(row, *(name for name in _TYPES[settings.kind] if name not in ("system", "label")))
            if "system" in row and not isinstance(row["system"], str):
                found.append(f"system must be a string, empty where there is none, not {type(row['system']).__name__}")
        if settings.kind == "kto":
            found += label_problems(row)
        if settings.kind in PAIRED:
            found += different_problems(row.get("chosen"), row.get("rejected"))
        return found

    def types(self, settings: Settings) -> dict[str, str]:
        return _TYPES[settings.kind]

    def papers(self, facts: Facts) -> dict[str, str]:
        return {"recipes/axolotl.yml": _yaml(facts)}


def _framed(prompt: list[Row], chat_template: str) -> Row:
    """System and prompt that the strategy's frame turns into the rendered conversation."""
    system, rest = _without_system(prompt)
    if not rest:
        raise ProfileError("the prompt has no question")
    before, after = rendered([{"role": "user", "content": "\0"}], chat_template, generation=True).split("\0")
    text = rendered(rest, chat_template, generation=True)
    if not (text.startswith(before) and text.endswith(after)):
        raise ProfileError("the prompt must begin and end with the user")
    return {"system": system, "prompt": text[len(before) : -len(after)]}


def _without_system(prompt: list[Row]) -> tuple[str, list[Row]]:
    if prompt and prompt[0]["role"] == "system":
        return prompt[0]["content"], prompt[1:]
    return "", prompt


def _side_problems(name: str, message: Any) -> Iterator[str]:
    yield from one_message_problems(name, message, TEXT)
    if not isinstance(message, dict):
        return
    yield from one_answer_problems(name, message)
    content = message.get("content")
    if not isinstance(content, str) or is_blank(content):
        return
    if content != content.strip():
        yield f"{name}.content has space around it: templates trim it, and then the strategy keeps its last letter only"
    elif any(content in before for before in _before_answers()):
        yield f"{name}.content occurs in what the strategy renders before it: the answer would begin too early"


@cache
def _before_answers() -> tuple[str, ...]:
    # The strategy renders the answer after this message, and then looks for the answer's text from the start.
    dummy = [{"role": "user", "content": "[[dummy_message]]"}]
    return tuple(rendered(dummy, name, generation=True) for name in BUILT_IN)


def _yaml(facts: Facts) -> str:
    head = "# axolotl train recipes/axolotl.yml, from this export's folder.\nbase_model: MODEL  # fill in\n"
    source = "json" if facts.format == "jsonl" else facts.format
    settings = {"kto": _kto_yaml, "pairs": _pairs_yaml, "reward": _reward_yaml}[facts.kind](facts)
    type_ = {"kto": f"{facts.settings.chat_template}.ultra", "reward": "bradley_terry.chat_template"}
    entries = [
        f"{name}:\n  - path: {source}\n    data_files: {path}\n    split: train\n"
        f"    type: {type_.get(facts.kind, 'chat_template.default')}\n"
        + ("    field_messages: prompt\n" if facts.kind == "pairs" else "")
        for name, path in (("datasets", facts.path_of("train")), ("test_datasets", facts.held_out_path))
        if path
    ]
    return head + settings + "".join(entries) + "sequence_len: 2048\nmicro_batch_size: 4\noutput_dir: trained\n"


def _kto_yaml(facts: Facts) -> str:
    return (
        f"rl: kto\nkto_desirable_weight: {facts.desirable_weight}\nkto_undesirable_weight: {facts.undesirable_weight}\n"
        f"remove_unused_columns: false\nchat_template: {facts.settings.chat_template}\n"
    )


def _pairs_yaml(facts: Facts) -> str:
    return "rl: dpo\nchat_template: tokenizer_default\n"


def _reward_yaml(facts: Facts) -> str:
    return (
        "reward_model: true\nmodel_type: AutoModelForSequenceClassification\nnum_labels: 1\n"
        "chat_template: tokenizer_default\n"
    )
