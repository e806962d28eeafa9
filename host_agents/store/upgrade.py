"""From an earlier version of a state file to ours.

Version 1 was written while the format grew: a column more now, a table more then, none of it numbered. So its tables
are not altered but made anew, and what the old ones have is copied.
"""

from __future__ import annotations

import re
import sqlite3

# What a column that version 1 did not have yet means where it is missing; any other is NULL.
_MISSING = {"udp_remote": "0", "udp_port": "0", "supplied": "0", "hands_in": "0", "others": "''"}


def upgrade(connection: sqlite3.Connection, schema: str) -> None:
    """Bring every table of `schema` to what it says, within a transaction. Raises sqlite3.Error."""
    for statement in schema.split(";"):
        found = re.search(r"CREATE TABLE (\w+)", statement)
        if found is None:
            continue
        table = found[1]
        had = _columns(connection, table)
        if had:
            connection.execute(f"ALTER TABLE {table} RENAME TO former")
        connection.execute(statement)
        if had:
            wanted = _columns(connection, table)
            values = [one if one in had else _MISSING.get(one, "NULL") for one in wanted]
            # REPLACE: version 1 did not always say that a visitor's home address is its own.
            connection.execute(f"REPLACE INTO {table} ({', '.join(wanted)}) SELECT {', '.join(values)} FROM former")
            connection.execute("DROP TABLE former")


def _columns(connection: sqlite3.Connection, table: str) -> list[str]:
    """None of a table that is not there."""
    return [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
