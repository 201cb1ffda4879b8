"""
`thumbline export kto` of 1M thumbs on 1M answers, against DuckDB's bare COPY of the same join and `datasets`.

Ours chooses the current votes, counts what is left out, hashes and describes, with 512 MB for DuckDB; by default
it also orders. COPY and `Dataset.to_json` do none of it, with default settings. Each is a process of its own.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from contextlib import closing
from pathlib import Path

from benchmarks.measure import CACHE, Run, interleave, peer_python, ratio, run, table, verdict
from tests.processes import environ_of
from thumbline_warehouse.connect import attach_statements, connect
from thumbline_warehouse.schema import event_key
from thumbline_warehouse.store import DuckLakeStore, StoreSettings
from thumbline_warehouse.urls import WarehouseUrl

_PER_LOAD = 100_000
_COPY = """
import sys, duckdb
db = duckdb.connect()
for statement in {attach!r}:
    db.execute(statement)
db.execute('''COPY (
    SELECT c.messages AS prompt, ('[' || c.response || ']')::JSON AS completion, t.value = 'up' AS label,
           sha256('kto' || chr(0) || t.project || chr(0) || t.target_id) AS example_id, c.conversation_id,
           'thumb' AS source, 'thumb/1' AS rule, c.model, c.policy, 1 AS n_votes, 1.0::DOUBLE AS agreement,
           epoch_ms(t.occurred_at) AS feedback_ts_ms
    FROM events t JOIN events c ON c.project = t.project AND c.completion_id = t.target_id
    WHERE t.kind = 'thumb' AND c.kind = 'completion'
) TO '{out}' (FORMAT json)''')
"""


def fill(home: Path, count: int) -> None:
    """A home whose warehouse holds `count` answers of about 1.2 kB and a thumb on each, landed load by load."""
    url = WarehouseUrl.parse(f"ducklake:{home}/warehouse/catalog.sqlite")
    home.mkdir(parents=True)
    store = DuckLakeStore(url, StoreSettings(keep_files_s=0))
    with closing(connect(url)) as db:
        # Sentences of random letters: text must not shrink to nothing in Parquet.
        db.execute(
            "CREATE TEMP TABLE sentences AS SELECT list(left(md5(i::VARCHAR), 5 + i % 9) || ' ' || md5('a' || i) || ' and ' "
            "|| md5('b' || i) || '. ' ORDER BY i) AS all_of FROM range(4000) s(i)"
        )
        for load, first in enumerate(range(0, count, _PER_LOAD), 1):
            last = min(first + _PER_LOAD, count)
            db.execute("BEGIN")
            db.execute(_completions(first, last, load))
            db.execute(_thumbs(first, last, load))
            db.execute(
                f"INSERT INTO loads SELECT {load}, 'bench', 0, {2 * first}, {2 * last}, {2 * (last - first)}, "
                f"{2 * (last - first)}, 0, 0, 0, 0, 'bench', make_timestamp(epoch_us(now()))"
            )
            db.execute(f"UPDATE head SET load_id = {load}")
            db.execute("COMMIT")
    store.compact()
    store.close()


def _sentences(salt: str, count: int) -> str:
    return " || ".join(f"all_of[1 + (hash(i, '{salt}{n}') % 4000)::INT]" for n in range(count))


def _id(salt: str) -> str:
    # UUIDv7: a tenth of a second apart.
    ms = "printf('%012x', 1795000000000 + i * 100)"
    tail = f"md5('{salt}' || i)"
    return f"({ms} || '7' || left({tail}, 3) || '8' || right({tail}, 15))::UUID"


def _completions(first: int, last: int, load: int) -> str:
    return f"""INSERT INTO events (event_key, event_id, kind, project, occurred_at, received_at, load_id, conversation_id, app, sdk,
            training_consent, completion_id, messages, response, model, policy, author,
            prompt_hash, prompt_end, prompt_chars, response_hash, response_chars, form)
        SELECT {event_key("'demo'", "event_id")}, *, md5_number_lower(messages), 'user', length(messages), md5_number_lower(response), length(response) - 33, 'canonical'
        FROM (SELECT {_id("c")} AS event_id, 'completion', 'demo', make_timestamp((1795000000000 + i * 100) * 1000),
                     make_timestamp((1795000000100 + i * 100) * 1000), {load}, 'conversation-' || i // 3, 'support-chat',
                     'thumbline-python/0.1.0', 'granted', 'answer-' || i,
                     '[{{"role":"system","content":"You are a helpful assistant."}},{{"role":"user","content":"'
                         || {_sentences("p", 6)} || '"}}]' AS messages,
                     '{{"role":"assistant","content":"' || {_sentences("r", 8)} || '"}}' AS response,
                     'acme-7b', 'acme-7b@step-1200', 'author-' || i % 5000
              FROM range({first}, {last}) t(i), sentences)"""


def _thumbs(first: int, last: int, load: int) -> str:
    return f"""INSERT INTO events (event_key, event_id, kind, project, occurred_at, received_at, load_id, rater_id, rater_kind,
            rater_wrote_prompt, conversation_id, app, sdk, training_consent, target_type, target_id, value)
        SELECT {event_key("'demo'", _id("t"))}, {_id("t")}, 'thumb', 'demo', make_timestamp((1795000001000 + i * 100) * 1000),
               make_timestamp((1795000001100 + i * 100) * 1000), {load}, 'rater-' || i % 5000, 'human', true,
               'conversation-' || i // 3, 'support-chat', 'thumbline-python/0.1.0', 'granted', 'completion', 'answer-' || i,
               CASE WHEN hash(i) % 3 = 0 THEN 'down' ELSE 'up' END
        FROM range({first}, {last}) t(i)"""


_DATASETS = """
import os
os.environ.update(HF_HOME={cache!r}, HF_HUB_OFFLINE="1", HF_DATASETS_DISABLE_PROGRESS_BARS="1")
import datasets, duckdb
db = duckdb.connect()
for statement in {attach!r}:
    db.execute(statement)
table = db.execute('''
    SELECT from_json(c.messages, '[{{"role":"VARCHAR","content":"VARCHAR"}}]') AS prompt,
           [from_json(c.response, '{{"role":"VARCHAR","content":"VARCHAR"}}')] AS completion, t.value = 'up' AS label,
           sha256('kto' || chr(0) || t.project || chr(0) || t.target_id) AS example_id, c.conversation_id,
           'thumb' AS source, 'thumb/1' AS rule, c.model, c.policy, 1 AS n_votes, 1.0::DOUBLE AS agreement,
           epoch_ms(t.occurred_at) AS feedback_ts_ms
    FROM events t JOIN events c ON c.project = t.project AND c.completion_id = t.target_id
    WHERE t.kind = 'thumb' AND c.kind = 'completion'
''').to_arrow_table()
datasets.Dataset(table).to_json({out!r}, force_ascii=False)
"""


class Candidates:
    """
    The ways to export the same rows, each a process of its own.

    Args:
        home: a filled home.
        rows: how many rows it has.
        folder: where to write.
    """

    def __init__(self, home: Path, rows: int, folder: Path) -> None:
        self.home = home
        self.rows = rows
        self.folder = folder
        self.peaks: dict[str, float] = {}
        self._attach = attach_statements(WarehouseUrl.parse(f"ducklake:{home}/warehouse/catalog.sqlite"))

    def ours(self, name: str, *flags: str) -> float:
        out = self.folder / "ours"
        command = [sys.executable, "-m", "thumbline_ingest", "export", "kto", "--out", str(out), *flags]
        done = run(command, environ_of(self.home), timeout_s=3_600)
        shutil.rmtree(out)
        return self._noted(name, done)

    def copy(self, name: str) -> float:
        out = self.folder / "copy.jsonl"
        done = run([sys.executable, "-c", _COPY.format(attach=self._attach, out=out)])
        out.unlink()
        return self._noted(name, done)

    def datasets(self, name: str) -> float:
        out = self.folder / "datasets.jsonl"
        python = peer_python("datasets==5.2.0", "duckdb==1.5.5")
        script = _DATASETS.format(attach=self._attach, out=str(out), cache=str(self.folder / "hf"))
        done = run([python, "-c", script])
        out.unlink()
        return self._noted(name, done)

    def _noted(self, name: str, done: Run) -> float:
        self.peaks[name] = max(self.peaks.get(name, 0.0), done.peak_mb)
        return self.rows / done.seconds


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--format", choices=["jsonl", "parquet"], default="jsonl")
    parser.add_argument("--alone", action="store_true", help="only the default export, e.g. of 10,000,000 rows")
    args = parser.parse_args()
    home = CACHE / "bench" / f"export-{args.rows}"
    if not (home / "ready").exists():
        print(f"filling {home} (once)", file=sys.stderr)
        shutil.rmtree(home, ignore_errors=True)
        fill(home, args.rows)
        (home / "ready").touch()
    with tempfile.TemporaryDirectory(dir=CACHE / "bench") as folder:
        them = Candidates(home, args.rows, Path(folder))
        ordered, unordered, copy, datasets = (
            "thumbline, ordered",
            "thumbline, unordered",
            "DuckDB COPY",
            "datasets to_json",
        )
        measures = {ordered: lambda: them.ours(ordered, "--format", args.format)}
        if not args.alone:
            measures |= {
                unordered: lambda: them.ours(unordered, "--format", args.format, "--order", "none"),
                copy: lambda: them.copy(copy),
                datasets: lambda: them.datasets(datasets),
            }
        found = interleave(measures, args.rounds)
    table(
        f"export of {args.rows:,} rows, {args.format}",
        "rows/s",
        found,
        {name: f"peak {mb:,.0f} MB" for name, mb in them.peaks.items()},
    )
    if not args.alone:
        verdict("unordered / COPY", ratio(found[unordered], found[copy]), 0.85, at_most=False)
        verdict("unordered / datasets to_json", ratio(found[unordered], found[datasets]), 5, at_most=False)
        verdict("time of ordered / unordered", ratio(found[unordered], found[ordered]), 2.2, at_most=True)
    print(f"  peak memory: {them.peaks[ordered]:,.0f} MB   target <= 1024 MB")


if __name__ == "__main__":
    main()
