"""Figures from the warehouse, each a query of its own; times are when the collector took an event."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any, Final

import duckdb

from thumbline_warehouse.current import IS_OPINION

from .quarantined import plain_reason, quarantined
from .shapes import Count, Figures, Lag, Last, Orphan, Quarantined, Source, Totals, utc

MINUTES: Final = 60
"""Minutes of a source's curve."""

_MAX_SOURCES: Final = 30
_MAX_LAST: Final = 100
_MAX_SAMPLES: Final = 20


def read_figures(db: duckdb.DuckDBPyConnection, now: datetime) -> Figures:
    """
    All figures.

    Args:
        db: a connection to the warehouse.
        now: the present, UTC.
    """
    hour, day = _sql(now - timedelta(hours=1)), _sql(now - timedelta(days=1))
    sources, more = _sources(db, now)
    duplicate, conflict, lost = _loads(db, hour, day)
    landed, votes = _landed(db, hour, day)
    _waiting(db)
    return Figures(
        exists=True,
        totals=_totals(db),
        positions=read_positions(db),
        landed=landed,
        votes=votes,
        people=_people(db, hour, day),
        duplicate=duplicate,
        conflict=conflict,
        lost=lost,
        quarantined=_quarantined(db, hour, day),
        orphaned=_orphaned(db, hour, day),
        lag=_lag(db, hour, 1) or _lag(db, day, 24),
        sources=sources,
        more_sources=more,
        last=_last(db),
        quarantine=_quarantine(db),
        orphans=_orphans(db),
        orphan_ages=_orphan_ages(db),
    )


def read_positions(db: duckdb.DuckDBPyConnection) -> dict[tuple[str, int], int]:
    """Log id and partition -> where the next load begins."""
    rows = db.execute("SELECT log_id, partition, max(next_position) FROM loads GROUP BY ALL").fetchall()
    return {(log_id, partition): position for log_id, partition, position in rows}


def _totals(db: duckdb.DuckDBPyConnection) -> Totals:
    sums = ", ".join(
        f"coalesce(sum({name}), 0)::BIGINT" for name in ("landed", "duplicates", "conflicts", "quarantined", "lost")
    )
    landed, duplicate, conflict, quarantined, lost, last = _one(db, f"SELECT {sums}, max(loaded_at) FROM loads")
    return Totals(landed, duplicate, conflict, quarantined, lost, utc(last) if last else None)


def _landed(db: duckdb.DuckDBPyConnection, hour: str, day: str) -> tuple[Count, Count]:
    counts = _one(
        db,
        f"""SELECT count(*) FILTER (received_at > {hour}), count(*),
                   count(*) FILTER ({IS_OPINION} AND received_at > {hour}), count(*) FILTER ({IS_OPINION})
            FROM events WHERE received_at > {day}""",
    )
    return Count(*counts[:2]), Count(*counts[2:])


def _people(db: duckdb.DuckDBPyConnection, hour: str, day: str) -> dict[str, Count]:
    """Pairs of a thing and a person; who has seen the control was shown it."""
    found: dict[str, list[int]] = {}
    for since in (hour, day):
        row = _one(
            db,
            f"""WITH pairs AS (
                SELECT bool_or(coalesce(state IN ('shown', 'seen'), false)) AS shown,
                       bool_or(coalesce(state = 'seen', false)) AS seen,
                       bool_or(coalesce(state = 'dismissed', false)) AS dismissed, bool_or({IS_OPINION}) AS voted
                FROM events WHERE received_at > {since} AND (kind = 'exposure' OR {IS_OPINION})
                GROUP BY project, target_type, target_id, rater_id)
            SELECT count(*) FILTER (shown), count(*) FILTER (seen), count(*) FILTER (dismissed AND NOT voted),
                   count(*) FILTER (voted), count(*) FILTER (voted AND shown) FROM pairs""",
        )
        for name, count in zip(("shown", "seen", "dismissed", "voted", "answered"), row, strict=True):
            found.setdefault(name, []).append(count)
    return {name: Count(*counts) for name, counts in found.items()}


def _loads(db: duckdb.DuckDBPyConnection, hour: str, day: str) -> tuple[Count, Count, Count]:
    """Duplicates, conflicts and what was lost."""
    sums = ", ".join(
        f"coalesce(sum({name}) FILTER (loaded_at > {hour}), 0)::BIGINT, coalesce(sum({name}), 0)::BIGINT"
        for name in ("duplicates", "conflicts", "lost")
    )
    counts = _one(db, f"SELECT {sums} FROM loads WHERE loaded_at > {day}")
    return Count(*counts[:2]), Count(*counts[2:4]), Count(*counts[4:])


def _quarantined(db: duckdb.DuckDBPyConnection, hour: str, day: str) -> dict[str, Count]:
    rows = db.execute(
        f"SELECT reason, count(*) FILTER (quarantined_at > {hour}), count(*) FROM quarantine "
        f"WHERE quarantined_at > {day} GROUP BY reason ORDER BY 3 DESC"
    ).fetchall()
    found: dict[str, Count] = {}
    for reason, in_hour, in_day in rows:
        before = found.get(plain_reason(reason), Count())
        found[plain_reason(reason)] = Count(before.hour + in_hour, before.day + in_day)
    return found


def _lag(db: duckdb.DuckDBPyConnection, since: str, hours: int) -> Lag | None:
    p50, p95, count = _one(
        db,
        f"""WITH landed AS (
                SELECT load_id, max(loaded_at) AS landed_at FROM loads WHERE loaded_at > {since} GROUP BY 1),
            took AS (
                SELECT epoch_ms(landed_at) - epoch_ms(received_at) AS ms FROM events JOIN landed USING (load_id)
                WHERE received_at > {since})
        SELECT quantile_cont(ms, 0.5) / 1000, quantile_cont(ms, 0.95) / 1000, count(*) FROM took""",
    )
    return Lag(max(0.0, p50), max(0.0, p95), count, hours) if count else None


def _sources(db: duckdb.DuckDBPyConnection, now: datetime) -> tuple[list[Source], int]:
    ago = f"epoch_ms({_sql(now)} - received_at) // 60000"
    rows = db.execute(
        f"""SELECT project, coalesce(app, ''), coalesce(surface, ''), coalesce(sdk, ''),
                   least({MINUTES - 1}, greatest(0, {ago})) AS minute, count(*), max(received_at)
            FROM events WHERE received_at > {_sql(now - timedelta(minutes=MINUTES))} GROUP BY ALL"""
    ).fetchall()
    curves: dict[tuple[str, str, str, str], list[int]] = {}
    lasts: dict[tuple[str, str, str, str], datetime] = {}
    for project, app, surface, sdk, minute, count, last in rows:
        key = (project, app, surface, sdk)
        curves.setdefault(key, [0] * MINUTES)[MINUTES - 1 - minute] += count
        lasts[key] = max(lasts.get(key, last), last)
    found = [Source(*key, sum(curve[-10:]) / 10, sum(curve), utc(lasts[key]), curve) for key, curve in curves.items()]
    found.sort(key=lambda source: (-source.hour, source.project, source.app, source.surface, source.sdk))
    return found[:_MAX_SOURCES], max(0, len(found) - _MAX_SOURCES)


def _last(db: duckdb.DuckDBPyConnection) -> list[Last]:
    rows = db.execute(
        f"""SELECT project, kind, max(received_at), count(*) FROM events GROUP BY ALL
            ORDER BY 1, 3 DESC, 2 LIMIT {_MAX_LAST}"""
    ).fetchall()
    return [Last(project, kind, utc(at), count) for project, kind, at, count in rows]


def _quarantine(db: duckdb.DuckDBPyConnection) -> list[Quarantined]:
    rows = db.execute(
        f"SELECT quarantined_at, partition, position, reason, record FROM quarantine "
        f"ORDER BY quarantined_at DESC, position DESC LIMIT {_MAX_SAMPLES}"
    ).fetchall()
    return [quarantined(row) for row in rows]


def _waiting(db: duckdb.DuckDBPyConnection) -> None:
    """Make the table of orphans: three figures are taken from it."""
    db.execute(
        """CREATE OR REPLACE TEMP TABLE waiting AS
        SELECT any_value(event_id) AS event_id, min(project) AS project, min(kind) AS kind,
               min(target_type) AS target_type,
               min(target_id) AS target_id, min(missing) AS missing, min(received_at) AS received_at,
               max(age_s) AS age_s
        FROM orphans GROUP BY event_key"""
    )


def _orphaned(db: duckdb.DuckDBPyConnection, hour: str, day: str) -> Count:
    counts = _one(
        db, f"SELECT count(*) FILTER (received_at > {hour}), count(*) FILTER (received_at > {day}) FROM waiting"
    )
    return Count(*counts)


def _orphans(db: duckdb.DuckDBPyConnection) -> list[Orphan]:
    rows = db.execute(
        """SELECT event_id::VARCHAR, project, kind, target_type, target_id, missing, age_s FROM waiting
           ORDER BY age_s DESC, event_id LIMIT 10"""
    ).fetchall()
    return [Orphan(*row) for row in rows]


def _orphan_ages(db: duckdb.DuckDBPyConnection) -> dict[str, int]:
    ends = "CASE WHEN age_s < 60 THEN 0 WHEN age_s < 3600 THEN 1 WHEN age_s < 86400 THEN 2 ELSE 3 END"
    counts = dict(db.execute(f"SELECT {ends}, count(*) FROM waiting GROUP BY 1").fetchall())
    names = ("less than a minute", "a minute to an hour", "an hour to a day", "more than a day")
    return {name: counts.get(number, 0) for number, name in enumerate(names)}


def _one(db: duckdb.DuckDBPyConnection, sql: str) -> tuple[Any, ...]:
    return db.execute(sql).fetchone() or ()


def _sql(at: datetime) -> str:
    return f"TIMESTAMP '{at.astimezone(timezone.utc).replace(tzinfo=None).isoformat(sep=' ')}'"
