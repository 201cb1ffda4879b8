"""
Profiles: one named trainer's rows, its rules, and what it needs beside the data.

    >>> profile("llamafactory").convert(example, Settings(kind="kto"))
    {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}], "label": True}
"""

from __future__ import annotations

from typing import Final

from .axolotl import Axolotl
from .base import ANY_CHAT, ANY_TEXT_CHAT, Facts, Format, Kind, Profile, ProfileError, Row, Settings
from .chat import features_of, roles_of
from .features import features_of_types
from .halos import Halos
from .implicit import Implicit
from .llamafactory import LlamaFactory
from .ms_swift import MsSwift
from .nemo_rl import NemoRl
from .openai import OpenAi
from .openrlhf import OpenRlhf
from .trl import Trl
from .verl import Verl

PROFILES: Final[dict[str, Profile]] = {
    made.name: made
    for made in (
        Trl(),
        LlamaFactory(),
        Axolotl(),
        OpenRlhf(),
        Halos(),
        NemoRl(),
        Verl(),
        Implicit(),
        OpenAi(),
        MsSwift(),
    )
}

__all__ = [
    "ANY_CHAT",
    "ANY_TEXT_CHAT",
    "PROFILES",
    "Facts",
    "Format",
    "Kind",
    "Profile",
    "ProfileError",
    "Row",
    "Settings",
    "features_of",
    "features_of_types",
    "profile",
    "roles_of",
]


def profile(name: str) -> Profile:
    """
    The profile of a name.

    Raises:
        ProfileError: there is none.
    """
    try:
        return PROFILES[name]
    except KeyError:
        raise ProfileError(f"there is no profile {name}: choose one of {', '.join(PROFILES)}") from None
