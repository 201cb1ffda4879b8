"""Views over a million picks, and as many thumbs, with the memory that the command gives DuckDB by default."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from thumbline_ingest.cli.settings import Settings
from thumbline_warehouse.connect import ConnectionSettings, connect
from thumbline_warehouse.store import DuckLakeStore, StoreSettings
from thumbline_warehouse.urls import WarehouseUrl
from thumbline_warehouse.views import VIEWS

VOTES = 1_000_000
RUNS = 20

_COMMON = (
    "'demo' AS project, make_timestamp(1795521600000000 + i * 1000) AS occurred_at, occurred_at AS received_at, "
    "1 AS load_id, 'granted' AS training_consent"
)
_RATER = "'h1:' || md5('r' || (i % 50000)) AS rater_id, 'human' AS rater_kind"
_EVENTS = (
    *(
        f"""SELECT md5('c{side}' || i)::UUID AS event_id, {_COMMON}, 'completion' AS kind, md5('a{side}' || i)::UUID::VARCHAR AS completion_id,
        '[{{"role":"user","content":"Question number ' || i || '?"}}]' AS messages,
        '{{"role":"assistant","content":"Answer {side} ' || i || '"}}' AS response,
        'model-' || ((i + {side} * (1 + i % 7)) % 20) AS model, 'p' || (i % 3) AS policy, hash('p' || i) AS prompt_hash,
        hash('r{side}' || i) AS response_hash, 'canonical' AS form, 'conversation-' || (i // 3) AS conversation_id"""
        for side in (0, 1)
    ),
    f"""SELECT md5('x' || i)::UUID AS event_id, {_COMMON}, 'comparison' AS kind, md5('p' || i)::UUID::VARCHAR AS comparison_id,
    [md5('a0' || i)::UUID::VARCHAR, md5('a1' || i)::UUID::VARCHAR] AS completion_ids, 0.5 AS probability""",
    f"""SELECT md5('v' || i)::UUID AS event_id, {_COMMON}, {_RATER}, 'pick' AS kind, 'comparison' AS target_type,
    md5('p' || i)::UUID::VARCHAR AS target_id, CASE i % 10 WHEN 0 THEN 'tie' WHEN 1 THEN 'both_bad' WHEN 2 THEN 'skip' ELSE 'winner' END AS outcome,
    CASE WHEN i % 10 > 2 THEN md5('a' || (hash(i) % 2) || i)::UUID::VARCHAR END AS winner_id""",
    f"""SELECT md5('t' || i)::UUID AS event_id, {_COMMON}, {_RATER}, 'thumb' AS kind, 'completion' AS target_type,
    md5('a' || (i % 2) || i)::UUID::VARCHAR AS target_id, CASE WHEN hash(i) % 3 = 0 THEN 'down' ELSE 'up' END AS value""",
    f"""SELECT md5('e' || i)::UUID AS event_id, {_COMMON}, {_RATER}, 'exposure' AS kind, 'completion' AS target_type,
    md5('a' || (i % 2) || i)::UUID::VARCHAR AS target_id, 'shown' AS state""",
)


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> WarehouseUrl:
    """Made by SQL: the views are what is tried."""
    made = WarehouseUrl.parse(f"ducklake:{tmp_path_factory.mktemp('many')}/catalog.sqlite")
    settings = StoreSettings(connection=ConnectionSettings(memory_limit="4GB"))
    with closing(DuckLakeStore(made, settings)) as store:
        for events in _EVENTS:
            store._db.execute(
                "INSERT INTO events BY NAME SELECT *, md5(project || chr(0) || event_id)::UUID AS event_key "
                f"FROM ({events} FROM range({VOTES}) t(i))"
            )
        store._db.execute("UPDATE head SET load_id = 1")
    return made


@pytest.mark.endurance
@pytest.mark.parametrize("view", [view.name for view in VIEWS])
def test_no_view_runs_out_of_memory(url: WarehouseUrl, view: str, tmp_path: Path) -> None:
    """Every column of every row is worked out, twenty times, each on a connection of its own."""
    settings = ConnectionSettings(memory_limit=Settings(tmp_path).memory_limit, temp_directory=str(tmp_path / "spill"))
    # What is left of an orphan's age is the time of the question.
    columns = "COLUMNS(* EXCLUDE (age_s))" if view == "orphans" else "COLUMNS(*)"
    found = set()
    for _ in range(RUNS):
        with closing(connect(url, read_only=True, settings=settings)) as db:
            found.add(str(db.execute(f"SELECT count(*), bit_xor(hash({columns})) FROM {view}").fetchall()))
    assert len(found) == 1
