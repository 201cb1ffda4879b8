"""
SFT: one row an answer that people liked, or wrote.

    an edit of an answer to "Capital of France?" into "Paris."
    ->  {"prompt": [{"role": "user", "content": "Capital of France?"}],
         "completion": [{"role": "assistant", "content": "Paris."}], "source": "edit", ...}
"""

from __future__ import annotations

from collections.abc import Sequence

import duckdb

from .funnel import Step
from .kto import Kto
from .options import ExportOptions
from .profiles import Profile
from .recipe import JsonColumn, answer_sql, prompt_sql, shuffle_of, tools_sql
from .tallies import answer_columns, tally_judgements, votes_reason

# What an answer, or an edit, is known by.
_KEY = "c.project || chr(0) || coalesce(c.completion_id, c.target_id || chr(0) || c.rater_id)"


class Sft:
    """
    The recipe of `sft`.

    Args:
        options: the export's.
    """

    metadata = Kto.metadata

    answers = "[p.row_key, p.asked]"
    example_id = f"sha256('sft' || chr(0) || {_KEY})"

    def __init__(self, options: ExportOptions) -> None:
        self._options = options

    def make_rows(self, db: duckdb.DuckDBPyConnection, profile: Profile) -> Sequence[Step]:
        steps = tally_judgements(db, self._options, profile)
        self._make_rows(db)
        return steps

    def text_sources(self, table: str = "plan") -> str:
        return (
            f"{table} p JOIN events c ON c.event_key = p.row_key AND c.kind IN ('completion', 'edit') "
            "JOIN events d ON d.event_key = p.asked AND d.kind = 'completion'"
        )

    def text_columns(self, rich: bool) -> dict[str, JsonColumn]:
        columns = {"prompt": prompt_sql("d", rich), "completion": answer_sql("c", rich, self._options)}
        return columns | ({"tools": tools_sql("d")} if rich else {})

    def _make_rows(self, db: duckdb.DuckDBPyConnection) -> None:
        db.execute(
            f"""CREATE OR REPLACE TEMP TABLE rows AS
            SELECT t.*, d.event_key AS asked, d.prompt_hash, c.response_hash AS completion_hash,
                   {answer_columns("d", self._options)}, round(t.agreeing / t.n_votes, 4) AS agreement,
                   {shuffle_of(self._options.seed, _KEY)} AS shuffle,
                   coalesce({votes_reason(self._options)}, CASE WHEN NOT t.label THEN 'not_liked' END) AS reason
            FROM tallies t JOIN events c ON c.event_key = t.row_key AND c.kind IN ('completion', 'edit')
            JOIN completions d ON d.project = c.project AND d.completion_id = coalesce(c.completion_id, c.target_id)"""
        )
        db.execute("UPDATE rows SET is_rich = true WHERE row_key IN (SELECT event_key FROM edits WHERE form = 'rich')")
