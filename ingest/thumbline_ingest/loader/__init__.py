"""The loader: lands what the log holds in the warehouse, exactly once."""

from __future__ import annotations

from .loader import Loader
from .settings import LoaderSettings

__all__ = ["Loader", "LoaderSettings"]
