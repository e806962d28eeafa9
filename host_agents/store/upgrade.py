"""From an earlier version of a state file to ours.

Version 1 was written while the format grew: a column more now, a table more then, none of it numbered. So its tables
are not altered but made anew, and what the old ones have is copied. Its last had a journal of renewals alone.
"""

from __future__ import annotations

import re
import sqlite3
import struct

# What a column that version 1 did not have yet means where it is missing; any other is NULL.
_MISSING = {"udp_remote": "0", "udp_port": "0", "supplied": "0", "hands_in": "0", "others": "''"}
_RENEWAL = struct.Struct(">IHqQq")  # home address, lifetime, expires, Identification, revocation
_NONE = -1  # as expires or revocation
_SETTLED = -2  # as expires: what stands before this is in the table


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
    if _columns(connection, "renewals"):
        _fold_renewals(connection)
        connection.execute("DROP TABLE renewals")


def _fold_renewals(connection: sqlite3.Connection) -> None:
    """Each session's last one goes to its rows: it was acknowledged."""
    last: dict[int, tuple[int, ...]] = {}
    for (records,) in connection.execute("SELECT records FROM renewals ORDER BY number"):
        last |= {record[0]: record for record in _RENEWAL.iter_unpack(records)}
    for home_address, lifetime, expires, identification, revocation in last.values():
        if expires == _SETTLED:
            continue
        until, stamp = (None if one == _NONE else one for one in (expires, revocation))
        (session,) = connection.execute(
            "UPDATE binding SET lifetime = ?, expires = ?, identification = ?, revocation = ? WHERE home_address = ?"
            " RETURNING nai, sub_nai",
            (lifetime, until, identification.to_bytes(8, "big"), stamp, home_address),
        ).fetchall() or [None]
        if session is not None:
            connection.execute(
                "UPDATE identification SET identification = ? WHERE nai = ? AND sub_nai = ?",
                (identification.to_bytes(8, "big"), *session),
            )


def _columns(connection: sqlite3.Connection, table: str) -> list[str]:
    """None of a table that is not there."""
    return [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
