"""The maps: what a record of each source says, as events."""

from __future__ import annotations

from .base import MapOptions, Source
from .chat_ui import ChatUi
from .fastchat import FastChat
from .generic import Edits, Pairs, Rankings, Ratings, Thumbs
from .langfuse import Langfuse
from .mapfile import open_map
from .open_webui import OpenWebUi

__all__ = ["SOURCES", "MapOptions", "Source", "open_map"]

SOURCES = {
    source.name: source for source in (Pairs, Ratings, Thumbs, Rankings, Edits, OpenWebUi, FastChat, Langfuse, ChatUi)
}
