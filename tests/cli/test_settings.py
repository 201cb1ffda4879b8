"""One rule for every setting: flag over environment over file over default."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from thumbline_ingest.cli.settings import listed, resolve


def test_a_flag_wins_over_the_environment_that_over_the_file_that_over_the_default(tmp_path: Path) -> None:
    environ = {"THUMBLINE_HOME": str(tmp_path)}
    assert resolve({}, environ).port == 8400
    (tmp_path / "thumbline.toml").write_text("port = 1\nmax_batch_age_s = 0.5\n")
    assert resolve({}, environ).port == 1
    assert resolve({}, environ | {"THUMBLINE_PORT": "2"}).port == 2
    assert resolve({"port": 3}, environ | {"THUMBLINE_PORT": "2"}).port == 3
    assert resolve({"port": None}, environ | {"THUMBLINE_PORT": ""}).port == 1
    assert resolve({}, environ).max_batch_age_s == 0.5


def test_everything_lies_in_the_home_folder_unless_told_otherwise(tmp_path: Path) -> None:
    settings = resolve({"home": tmp_path}, {})
    assert settings.log_url == f"sqlite:{tmp_path}/log.sqlite"
    assert settings.warehouse_url == f"ducklake:{tmp_path}/warehouse/catalog.sqlite"
    assert settings.keys_path == tmp_path / "keys.json"
    assert resolve({"home": tmp_path, "log": "kafka://h:1/t"}, {}).log_url == "kafka://h:1/t"


def test_a_list_is_written_with_commas_or_in_the_file_as_a_list(tmp_path: Path) -> None:
    environ = {"THUMBLINE_HOME": str(tmp_path)}
    (tmp_path / "thumbline.toml").write_text('allowed_origins = ["https://a.example", "https://b.example"]\n')
    assert listed(resolve({}, environ).allowed_origins) == ("https://a.example", "https://b.example")
    said = resolve({}, environ | {"THUMBLINE_ALLOWED_ORIGINS": " https://c.example , ,https://d.example"})
    assert listed(said.allowed_origins) == ("https://c.example", "https://d.example")
    assert listed("") == ()


def test_yes_and_no_are_written_in_the_usual_ways(tmp_path: Path) -> None:
    environ = {"THUMBLINE_HOME": str(tmp_path)}
    assert resolve({}, environ).status_texts is False
    (tmp_path / "thumbline.toml").write_text("status_texts = true\n")
    assert resolve({}, environ).status_texts is True
    for text, expected in {"0": False, "no": False, "Off": False, "1": True, "yes": True, "TRUE": True}.items():
        assert resolve({}, environ | {"THUMBLINE_STATUS_TEXTS": text}).status_texts is expected


@pytest.mark.parametrize(
    ("environ", "file", "message"),
    [
        ({"THUMBLINE_PORT": "http"}, "", "THUMBLINE_PORT: 'http' is no whole number"),
        ({"THUMBLINE_MAX_BATCH_AGE_S": "soon"}, "", "THUMBLINE_MAX_BATCH_AGE_S: 'soon' is no number"),
        ({"THUMBLINE_STATUS_TEXTS": "maybe"}, "", "THUMBLINE_STATUS_TEXTS: 'maybe' is neither yes nor no"),
        ({}, "colour = 1", "'colour' is no setting; there are log, warehouse"),
        ({}, "port = = 1", "thumbline.toml"),
    ],
)
def test_a_bad_value_names_where_it_stands(tmp_path: Path, environ, file: str, message: str) -> None:
    if file:
        (tmp_path / "thumbline.toml").write_text(file)
    with pytest.raises(click.UsageError, match=message):
        resolve({}, environ | {"THUMBLINE_HOME": str(tmp_path)})
