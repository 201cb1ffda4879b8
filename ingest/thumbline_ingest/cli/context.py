"""What the commands share."""

from __future__ import annotations

from typing import Any

import click

from .settings import Settings, resolve


def settings_of(context: click.Context, **flags: Any) -> Settings:
    """The settings in force for a command, its own flags included; makes the home folder."""
    settings = resolve({**context.find_root().obj, **flags})
    settings.home.mkdir(parents=True, exist_ok=True)
    return settings
