"""
Settings of the command: a flag wins over the environment, that over the file, that over the default.

The file is `thumbline.toml` in the home folder, with the names below:

    port = 8400
    log = "kafka://broker-1:9092/thumbline"
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final

import click

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FILE_NAME: Final = "thumbline.toml"


@dataclass(frozen=True)
class Settings:
    """
    Everything that can be set; each field is `THUMBLINE_<NAME>` in the environment and a key of the file.

    Attributes:
        home: the folder that holds log, warehouse, keys and the settings file.
        log: URL of the log: `sqlite:PATH` or `kafka://host:port/topic`; in the home folder when empty.
        warehouse: URL of the warehouse: `ducklake:PATH`; in the home folder when empty.
        host: address that the collector listens on.
        port: its TCP port.
        workers: its processes.
        threads: requests under way a process; the next one gets a 503.
        connections: open connections a process, idle ones included; above what the clients keep open.
        allowed_origins: origins whose pages may send votes, separated by commas, e.g. `https://chat.example.com`; when
            empty, votes are taken from everywhere, but only pages of the collector's own origin can read the answer.
        trusted_proxies: addresses or networks of the proxies in front, separated by commas, e.g. `10.0.0.0/8`; only
            theirs is the `X-Forwarded-For` that is believed.
        votes_per_receipt: accepted events of one rater on one thing in an hour, per process; 0 for no limit.
        votes_per_address: events that pages send from one address in a minute, per process; 0 for no limit.
        status_host: address that the status page listens on; one that is not loopback needs `status_token`.
        status_port: its TCP port; with 0 `thumbline up` starts no status page.
        status_token: what opens the status page, at least 16 characters; when empty, it opens to this machine alone.
        status_texts: whether the status page shows prompts and answers; without it only their lengths.
        loader: name of this loader, which must stay the same over restarts; found by itself when empty.
        max_batch_records: records in a load at most.
        max_batch_age_s: seconds that a record waits for others to land with.
        compact_interval_s: seconds between two compactions.
        keep_files_s: seconds for which merged files stay for readers that still use them.
        memory_limit: what DuckDB may use, in the loader and in exports.
    """

    home: Path
    log: str = ""
    warehouse: str = ""
    host: str = "127.0.0.1"
    port: int = 8400
    workers: int = 1
    threads: int = 64
    connections: int = 8_192
    allowed_origins: str = ""
    trusted_proxies: str = ""
    votes_per_receipt: int = 60
    votes_per_address: int = 600
    status_host: str = "127.0.0.1"
    status_port: int = 8401
    status_token: str = field(default="", repr=False)
    status_texts: bool = False
    loader: str = ""
    max_batch_records: int = 100_000
    max_batch_age_s: float = 1.0
    compact_interval_s: float = 60.0
    keep_files_s: int = 600
    memory_limit: str = "512MB"

    @property
    def log_url(self) -> str:
        """The log's URL, with the default filled in."""
        return self.log or f"sqlite:{self.home / 'log.sqlite'}"

    @property
    def warehouse_url(self) -> str:
        """The warehouse's URL, with the default filled in."""
        return self.warehouse or f"ducklake:{self.home / 'warehouse' / 'catalog.sqlite'}"

    @property
    def keys_path(self) -> Path:
        """The file of the write keys."""
        return self.home / "keys.json"


def resolve(flags: Mapping[str, Any], environ: Mapping[str, str] = os.environ) -> Settings:
    """
    The settings in force: flag over environment over file over default.

    Args:
        flags: what was given on the command line; None means not given.
        environ: the environment.

    Raises:
        click.UsageError: a value is of the wrong type, or the file names an unknown setting.
    """
    home = Path(flags.get("home") or environ.get("THUMBLINE_HOME") or "thumbline-home").absolute()
    from_file = _read_file(home / FILE_NAME)
    values: dict[str, Any] = {"home": home}
    for setting in fields(Settings):
        name = setting.name
        if name == "home":
            continue
        variable = f"THUMBLINE_{name.upper()}"
        for source, value in (
            (f"--{name.replace('_', '-')}", flags.get(name)),
            (variable, environ.get(variable)),
            (f"{FILE_NAME}: {name}", from_file.get(name)),
        ):
            if value is not None and value != "":
                values[name] = _typed(source, str(setting.type), value)
                break
    return Settings(**values)


def _read_file(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise click.UsageError(f"{path}: {error}") from error
    known = [setting.name for setting in fields(Settings) if setting.name != "home"]
    unknown = sorted(values.keys() - set(known))
    if unknown:
        raise click.UsageError(f"{path}: '{unknown[0]}' is no setting; there are {', '.join(known)}")
    return dict(values)


def listed(text: str) -> tuple[str, ...]:
    """
    The entries of a setting that is a list.

        "https://a.example, https://b.example"  ->  ("https://a.example", "https://b.example")
    """
    return tuple(entry for part in text.split(",") if (entry := part.strip()))


def _typed(source: str, type_: str, value: Any) -> Any:
    if isinstance(value, list):  # in the file a list may be written as one
        value = ",".join(str(entry) for entry in value)
    if type_ == "bool":
        return _yes_or_no(source, value)
    try:
        return {"int": int, "float": float}.get(type_, str)(value)
    except ValueError as error:
        raise click.UsageError(f"{source}: '{value}' is no {'whole number' if type_ == 'int' else 'number'}") from error


def _yes_or_no(source: str, value: Any) -> bool:
    words = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
    try:
        return words[str(value).strip().lower()]
    except KeyError:
        raise click.UsageError(f"{source}: '{value}' is neither yes nor no") from None
