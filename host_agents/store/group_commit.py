"""Group commit: a thread takes everything that waits the moment the previous commit has ended, not waiting for company.

N waiting requests cost one fsync; a lone one waits for nobody.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import threading
from collections.abc import Sequence
from typing import Protocol

from host_agents.runtime.errors import StoreFailed
from host_agents.store.protocol import Done, Row

CAPACITY = 65536  # submissions that may wait for a disk that hangs; beyond it they are refused at once
PATIENCE = 5.0  # s, for a disk that hangs when it is to be let go of

_REFUSED = (sqlite3.IntegrityError, sqlite3.ProgrammingError, KeyError, TypeError, ValueError, OverflowError)

_Submission = tuple[Sequence[Row], Done]
_Outcome = tuple[Done, StoreFailed | None]


class Writer(Protocol):
    """What a row is to the database. Called in the writer thread, within a transaction."""

    def put(self, row: Row) -> None:
        """Raises sqlite3.Error; KeyError, TypeError, ValueError or OverflowError where the row is at fault."""
        ...

    def finish(self) -> None:
        """All rows of the transaction are put. Raises as put() does."""
        ...

    def ended(self, committed: bool) -> None:
        """The transaction is on the disk, or never was."""
        ...

    def close(self) -> None:
        """There will be no other one. Raises sqlite3.Error, after which all that was committed is there as well."""
        ...


class GroupCommit:
    """Writes submissions to `connection`, one transaction for all that wait; closes it in the end.

    path: of the file, for error lines. commits: so far. waiting: submissions that nobody has been told of yet.

    A submission whose rows the database refuses (an address given twice) fails alone; a transaction that fails (disk
    full) fails all that were in it.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        writer: Writer,
        loop: asyncio.AbstractEventLoop,
        path: str,
    ) -> None:
        self.commits = 0
        self.waiting = 0
        self._connection = connection
        self._writer = writer
        self._loop = loop
        self._path = path
        self._waiting: list[_Submission] = []
        self._closed = False
        self._waking = False  # the writer is to be told, when this turn of the event loop is over
        self._changed = threading.Condition()
        self._durable = threading.Event()  # all that there will ever be
        self._thread: threading.Thread | None = None

    def submit(self, rows: Sequence[Row], done: Done) -> None:
        """As Store.submit, on the event loop. Never blocks: what cannot be queued is refused through `done` too."""
        reason = "is closed" if self._closed else "the disk does not keep up" if self._is_full() else None
        if reason is not None:
            self._loop.call_soon(done, StoreFailed(f"{self._path}: {reason}"))
            return
        self.waiting += 1
        self._waiting.append((rows, done))  # without the lock: the writer takes what it sees, and is woken for the rest
        if not self._waking:  # once for all that came together: each time costs two changes of thread
            self._waking = True
            self._loop.call_soon(self._wake)

    def close(self) -> None:
        """Commit what waits and close the connection. Of what waited, only failures are told from now on.

        Raises StoreFailed when the disk does not have it after PATIENCE: the thread, which does all of this, is left.
        So it is where it only tidies up, which a slow disk may take long for: the next start does that as well.
        """
        with self._changed:
            self._closed = True
        self._woken().join(PATIENCE)
        if not self._durable.is_set():
            raise StoreFailed(f"{self._path}: the disk hangs; what waits for it was not acknowledged")

    def _wake(self) -> None:
        self._waking = False
        if self._waiting or self._thread is not None:
            self._woken()

    def _woken(self) -> threading.Thread:
        if self._thread is None:  # not before there is work: a daemon gives up its privileges while it has one thread
            self._thread = threading.Thread(target=self._run, name=f"commit {self._path}", daemon=True)
            self._thread.start()
        with self._changed:
            self._changed.notify()
        return self._thread

    def _is_full(self) -> bool:
        return len(self._waiting) >= CAPACITY

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._waiting and not self._closed:
                    self._changed.wait()
                taken = self._waiting[:]
                del self._waiting[: len(taken)]
            if not taken:
                self._durable.set()
                with contextlib.suppress(sqlite3.Error):
                    self._writer.close()
                self._connection.close()
                return
            outcomes = self._commit(taken)
            try:
                self._loop.call_soon_threadsafe(self._report, outcomes)
            except RuntimeError:  # the loop is closed: nobody is left to be told, the rows are durable all the same
                continue

    def _commit(self, taken: list[_Submission]) -> list[_Outcome]:
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            for rows, _ in taken:
                for row in rows:
                    self._writer.put(row)
            self._writer.finish()
            self._connection.execute("COMMIT")
        except _REFUSED as error:  # a row is at fault: halve, until it stands alone
            self._roll_back()
            if len(taken) > 1:
                half = len(taken) // 2
                return self._commit(taken[:half]) + self._commit(taken[half:])
            return [(taken[0][1], StoreFailed(f"{self._path}: {error}"))]
        except sqlite3.Error as error:  # the file is
            self._roll_back()
            failed = StoreFailed(f"{self._path}: {error}")
            return [(done, failed) for _, done in taken]
        self._writer.ended(committed=True)
        self.commits += 1
        return [(done, None) for _, done in taken]

    def _roll_back(self) -> None:
        self._writer.ended(committed=False)
        if self._connection.in_transaction:
            try:
                self._connection.execute("ROLLBACK")
            except sqlite3.Error:  # the next BEGIN says what is wrong, to those who ask then
                return

    def _report(self, outcomes: list[_Outcome]) -> None:
        for done, failed in outcomes:
            if failed is None and self._closed:  # whoever submitted it has ended
                continue
            try:
                done(failed)
            except Exception as error:  # one submitter's mistake must not silence the others
                self._loop.call_exception_handler({"message": f"after a commit to {self._path}", "exception": error})
        self.waiting -= len(outcomes)
