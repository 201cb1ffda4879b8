r"""
Chat templates, for readers that take text only.

    [{"role": "user", "content": "Hi"}] and {"role": "assistant", "content": "Yo"} by chatml
    ->  "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n" and "Yo<|im_end|>\n"

Readers of text add the begin-of-text token themselves: the built-in templates leave it out.
"""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, NoReturn

from jinja2 import Template, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from .base import ProfileError, Row

BUILT_IN: Final = {
    "chatml": (
        "{% for message in messages %}"
        "{{ '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}"
        "{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
    ),
    "llama3": (
        "{% for message in messages %}"
        "{{ '<|start_header_id|>' + message.role + '<|end_header_id|>\\n\\n' + message.content + '<|eot_id|>' }}"
        "{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{% endif %}"
    ),
}


def rendered(messages: list[Row], chat_template: str, *, generation: bool) -> str:
    """
    Messages as one text.

    Args:
        messages: of a role and a text each.
        chat_template: name of a built-in template, or path of a Jinja file.
        generation: whether the opening of the answer follows.

    Raises:
        ProfileError: there is no such template, or it refuses the messages.
    """
    try:
        return _template(chat_template).render(messages=messages, add_generation_prompt=generation)
    except (TemplateError, TypeError, ValueError) as error:
        raise ProfileError(f"the chat template {chat_template} refuses these messages: {error}") from error


def rendered_pair(prompt: list[Row], answer: Row, chat_template: str) -> tuple[str, str]:
    """
    Prompt, with the opening of the answer, and answer, with its end of turn, as texts.

    Raises:
        ProfileError: the template gives the prompt another text when the answer follows, or ends no turn.
    """
    before = rendered(prompt, chat_template, generation=True)
    whole = rendered([*prompt, answer], chat_template, generation=False)
    if not whole.startswith(before):
        raise ProfileError(
            f"the chat template {chat_template} writes this prompt differently when the answer follows: "
            "prompt and answer cannot be told apart in its text"
        )
    after = whole[len(before) :]
    if after.rstrip() == answer["content"].rstrip():
        raise ProfileError(f"the chat template {chat_template} does not end the answer's turn")
    return before, after


@lru_cache(maxsize=8)
def _template(chat_template: str) -> Template:
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
    )
    environment.filters["tojson"] = _to_json
    environment.globals["raise_exception"] = _refuse
    source = BUILT_IN.get(chat_template)
    try:
        return environment.from_string(Path(chat_template).read_text(encoding="utf-8") if source is None else source)
    except OSError as error:
        names = ", ".join(BUILT_IN)
        raise ProfileError(f"there is no chat template {chat_template}: give a Jinja file or one of {names}") from error
    except (TemplateError, UnicodeDecodeError) as error:
        raise ProfileError(f"{chat_template} is not a chat template: {error}") from error


def _to_json(value: Any, indent: int | None = None) -> str:
    # Jinja's own escapes HTML, which would change the text.
    return json.dumps(value, ensure_ascii=False, indent=indent)


def _refuse(message: str) -> NoReturn:
    raise TemplateError(message)
