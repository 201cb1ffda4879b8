"""The collector: takes events over HTTP, checks them, and answers once they are on disk."""

from __future__ import annotations

from .settings import CollectorSettings

__all__ = ["CollectorSettings"]
