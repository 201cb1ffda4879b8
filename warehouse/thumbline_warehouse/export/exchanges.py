"""
Which rows continue what others rate: a prompt that begins with another row's prompt and its answer.

    row 0: prompt [user "Hi"], answer "Hello."
    row 1: prompt [user "Hi", assistant "Hello.", user "Bye"], answer "Goodbye."
    ->  exchanges (row 0, thing 7f…, is_own true), (row 1, thing 7f…, is_own false)

Held out with only row 1, a model would have seen row 0's answer in training, under another conversation's id.
"""

from __future__ import annotations

from typing import Final

import duckdb

from ..messages import parsed_list, parsed_one, text_of
from .recipe import Recipe

# White space around a text changes nothing of what was said: clients strip it, or do not, when they send a turn back.
_SPACE: Final = "' ' || chr(9) || chr(10) || chr(13)"


def make_exchanges(db: duckdb.DuckDBPyConnection, recipe: Recipe) -> None:
    """
    Make the table `exchanges` of the rows of `plan`: what a row rates, where another's prompt begins with it, and those.

    Columns: `row`, `thing` (64 bits of the exchange's hash), `is_own` (the row rates it; else its prompt begins with it).
    """
    db.execute(
        f"CREATE OR REPLACE TEMP TABLE row_answers AS SELECT row, unnest({recipe.answers}) AS event_key FROM plan p"
    )
    # Where no prompt holds an answer, none continues another: the texts need not be parsed.
    (continued,) = db.execute(
        """SELECT count(*) FROM (SELECT 1 FROM events WHERE kind = 'completion' AND contains(messages::VARCHAR, '"assistant"')
        AND event_key IN (SELECT event_key FROM row_answers) LIMIT 1)"""
    ).fetchone() or (0,)
    if not continued:
        db.execute("CREATE OR REPLACE TEMP TABLE exchanges (row BIGINT, thing UBIGINT, is_own BOOLEAN)")
        db.execute("DROP TABLE row_answers")
        return
    # A hash for each turn that holds all before it, too: as many as there are turns, and each text is read once.
    upto = f"list_reduce(list_transform(m, lambda x: [{_said('x')}]), lambda a, b: list_append(a, md5(a[-1] || b[1])))"
    db.execute(
        f"""CREATE OR REPLACE TEMP TABLE told AS
        SELECT event_key, m IS NOT NULL AS is_completion, {_said("a")} AS said,
               CASE WHEN len(m) > 0 THEN {upto} ELSE [] END AS upto, list_transform(m, lambda x: x.role = 'assistant') AS is_answer
        FROM (SELECT event_key, {parsed_list("messages")} AS m, {parsed_one("response")} AS a FROM events
              WHERE kind IN ('completion', 'edit') AND event_key IN (SELECT event_key FROM row_answers))"""
    )
    db.execute(
        """CREATE OR REPLACE TEMP TABLE exchanges AS
        WITH asked AS (SELECT row, any_value(upto) AS upto, any_value(is_answer) AS is_answer
                       FROM row_answers JOIN told USING (event_key) WHERE is_completion GROUP BY row),
             own AS (SELECT DISTINCT a.row, hash(CASE WHEN len(a.upto) > 0 THEN md5(a.upto[-1] || t.said) ELSE t.said END) AS thing
                     FROM asked a JOIN row_answers r USING (row) JOIN told t USING (event_key)),
             begun AS (SELECT row, hash(upto) AS thing
                       FROM (SELECT row, unnest(upto) AS upto, unnest(is_answer) AS is_answer FROM asked) WHERE is_answer)
        SELECT row, thing, true AS is_own FROM own SEMI JOIN begun USING (thing)
        UNION ALL SELECT row, thing, false FROM begun SEMI JOIN own USING (thing)"""
    )
    db.execute("DROP TABLE told")
    db.execute("DROP TABLE row_answers")


def shared_exchanges(db: duckdb.DuckDBPyConnection) -> int:
    """How many rated exchanges stand at the beginning of a prompt of another split."""
    (count,) = db.execute(
        """SELECT count(DISTINCT o.thing) FROM exchanges o JOIN plan p ON p.row = o.row
        JOIN exchanges b ON b.thing = o.thing AND NOT b.is_own JOIN plan q ON q.row = b.row
        WHERE o.is_own AND p.split <> q.split"""
    ).fetchone() or (0,)
    return int(count)


def _said(message: str) -> str:
    """SQL: a hash of who says what in a message, the same however it is written."""
    role = f"CASE WHEN {message}.role = 'developer' THEN 'system' ELSE {message}.role END"
    calls = f"coalesce({message}.tool_calls::VARCHAR, ''), coalesce({message}.function_call::VARCHAR, '')"
    text = f"trim(coalesce({text_of(message)}, ''), {_SPACE})"
    return f"md5(concat_ws(chr(0), {role}, {text}, {calls}))"
