"""One thread that writes one SQLite file, so that no disk ever holds up the control loop.

Law 1: a future resolves with its row id only after the commit: what is acknowledged survives `kill -9`.
Law 2: `submit` never blocks. What a full, locked or slow disk refuses is told by the future's exception, kept in memory
and written later; when memory is full too, the oldest goes and is counted.
Law 3: with a spill, what has waited for seconds leaves memory for a file, and is written from there before all else.
That a record is kept there acknowledges nothing: its future has told an exception, or does so.
Law 4: what a disk that fails now and then does take is written: what fails together is tried in ever smaller parts.
"""

from __future__ import annotations

import logging
import queue
import sqlite3
import sys
import threading
from collections import deque
from concurrent.futures import Future
from contextlib import suppress

from ems.store.damage import is_damage
from ems.store.database import StoreError
from ems.store.spill import Spill
from ems.store.tasks import Backlog, Relief, Statement, Task, Turn, Upkeep

log = logging.getLogger(__name__)

RETRY_S = 1.0
"""How often unwritten rows are tried again while nothing new comes [s]: the thread's own wait, no control deadline."""

HANGS_S = 2.0
"""A commit that takes longer than this hangs [s]: likewise the thread's own wait."""

BATCH = 1000
_ALL = sys.maxsize


class Writer:
    """The writing thread of one store file.

    Args:
        connection: opened with `open_writable`; belongs to this object from here on.
        name: what the file is, for messages.
        capacity: how many tasks wait at most, and how many refused ones memory keeps.
        gather_s: how long a batch waits for more before its commit, where nobody waits for one [s].
        turn: gives the writing its turns; None for a thread of its own.
        relief: what is done about a full disk.
        upkeep: what is done about the file itself.
        spill: keeps what has waited for long; None leaves it in memory.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        name: str,
        *,
        capacity: int = 10_000,
        gather_s: float = 0.0,
        turn: Turn | None = None,
        relief: Relief | None = None,
        upkeep: Upkeep | None = None,
        spill: Spill | None = None,
    ) -> None:
        self._connection = connection
        self._name = name
        self._capacity = capacity
        self._queue: queue.Queue[Task | None] = queue.Queue(capacity)
        self._unwritten: deque[Task] = deque()
        self._unwritten_lock = threading.Lock()
        self._lost = 0
        self._failing = ""
        self._closing = False
        self._gather_s = gather_s
        self._hurry = threading.Event()
        self._turn, self._relief, self._upkeep = turn, relief or Relief(), upkeep or Upkeep()
        self._spill = spill
        self._trying: list[Task] | None = None
        self._tries = 0
        self._retried = self._late = 0
        # How many rows a transaction takes at most, how many the newest one had, and how many it left for another.
        self._at_most, self._rows, self._left = _ALL, 0, 0
        # Held while tasks move between memory and files, for as long as the disk takes: never by a caller of `submit`.
        self._moving = threading.Lock()
        self._ended = threading.Event()
        self._take_up()
        self._thread = threading.Thread(target=self._run, name=f"{name} writer", daemon=True)
        if turn is None:
            self._thread.start()
            if spill is not None:
                threading.Thread(target=self._watch, name=f"{name} spill", daemon=True).start()

    def submit(self, *statements: Statement) -> Future[int]:
        """Queue statements to be committed together; resolves with the row id of the last one."""
        task = Task(statements, Future())
        # A caller that gives up waiting must not cancel the record: running futures cannot be cancelled.
        task.future.set_running_or_notify_cancel()
        if self._closing:
            task.future.set_exception(StoreError(f"the {self._name} is closed"))
            return task.future
        try:
            self._queue.put_nowait(task)
        except queue.Full:
            self._refuse(
                [task], StoreError(f"the {self._name} has {self._capacity} tasks waiting: the disk is too slow")
            )
        if self._turn is not None:
            self._turn(self._take_turn)
        return task.future

    def backlog(self) -> Backlog:
        """Tell what has not reached the disk."""
        spilt = 0 if self._spill is None else self._spill.count
        unwritten = len(self._unwritten) + self._retried + spilt
        return Backlog(self._queue.qsize(), unwritten, self._lost, self._failing, spilt)

    def close(self) -> None:
        """Write what is queued, then close the file. Idempotent."""
        if not self._closing:
            self._closing = True
            self._hurry.set()
            self._queue.put(None)
            if self._turn is not None:
                self._run()
        if self._turn is None:
            self._thread.join(timeout=30.0)

    def _run(self) -> None:
        while True:
            batch, more = self._next_batch()
            if batch or self._waits():
                self._write(batch)
            if not more:
                break
        self._ended.set()
        self._connection.close()

    def _take_up(self) -> None:
        """Write what an earlier process has left in the file, before anybody reads."""
        if self._spill is None:
            return
        self._spill.start(self._connection)
        if self._spill.is_there:
            self._write([])

    def _watch(self) -> None:
        """See that nothing waits in memory alone while one and the same commit hangs."""
        before = 0
        while not self._ended.wait(HANGS_S):
            with self._moving:
                if self._trying is not None and self._tries == before:
                    self._set_down(at_once=True)
                before = self._tries

    def _waits(self) -> bool:
        """Tell whether something has been refused that is to be tried again."""
        return bool(self._unwritten) or (self._spill is not None and self._spill.count > 0)

    def _take_turn(self) -> None:
        """Write what waits; later turns of the same batch find nothing left to do."""
        if self._closing:
            return
        batch: list[Task] = []
        while not self._queue.empty() and (task := self._queue.get_nowait()) is not None:
            batch.append(task)
        if batch:
            self._write(batch)

    def _next_batch(self) -> tuple[list[Task], bool]:
        """Collect what waits; the second is False at the end. Waits for work, shorter while rows are unwritten."""
        batch: list[Task] = []
        try:
            task = self._queue.get(timeout=RETRY_S if self._waits() else None)
            self._hurry.wait(self._gather_s)
            while task is not None:
                batch.append(task)
                if len(batch) >= BATCH:
                    return batch, True
                task = self._queue.get_nowait()
        except queue.Empty:
            return batch, True
        return batch, False

    def _write(self, batch: list[Task]) -> None:
        if why := self._relief.hold():
            self._refuse(batch, StoreError(f"the {self._name} takes no rows: {why}"))
            return
        tasks = self._begin(batch)
        try:
            self._write_through(tasks)
        except sqlite3.Error as error:
            refusal = StoreError(f"the {self._name} takes no rows: {error}")
            self._note(refusal)
            _tell(tasks, refusal)
            with self._moving:
                left, self._trying = self._trying or [], None
                self._refuse(left, refusal, are_older=True)
                self._retried = 0
                self._set_down(at_once=self._closing)

    def _write_through(self, tasks: list[Task]) -> None:
        """Commit and acknowledge all at once, or what fails so in parts; raises when a row alone fails twice."""
        self._at_most, goes_on, is_last_try = _ALL, True, False
        while goes_on:
            try:
                ids = self._committed(tasks)
            except sqlite3.Error as error:
                if is_last_try or not _may_pass(error):
                    raise
                is_last_try = self._rows <= 1
                self._at_most = max(1, self._rows // 2)
                continue
            is_last_try = False
            with self._moving:
                goes_on = self._passed(tasks, len(ids))
            for task, row in zip(tasks, ids, strict=False):
                if not task.future.done():
                    task.future.set_result(row)
            tasks = tasks[len(ids) :]
        _tell(tasks, StoreError(self._failing))

    def _passed(self, tasks: list[Task], count: int) -> bool:
        """Note what of the tasks, or of the file, is written now; tells whether more is to be; `_moving` is held."""
        is_set_down = bool(tasks) and not self._trying
        if is_set_down or not self._left:
            self._recovered()
            return False
        self._trying = (self._trying or [])[count:]
        self._late += min(count, self._retried)
        self._retried -= min(count, self._retried)
        if self._spill is not None and self._left == len(self._trying):
            self._late += self._spill.pass_on()
        return True

    def _begin(self, batch: list[Task]) -> list[Task]:
        """Give what is tried now, oldest first: what memory has of what was refused before, then the batch."""
        with self._moving:
            self._tries += 1
            if self._spill is not None:
                self._spill.begin()
            with self._unwritten_lock:
                self._retried = len(self._unwritten)
                self._trying = tasks = [*self._unwritten, *batch]
                self._unwritten.clear()
        return tasks

    def _set_down(self, *, at_once: bool = False) -> None:
        """Move what has waited in memory for long into the file; `_moving` is held.

        That goes for what is being tried, too: it is in the journal or not, which the journal itself tells later.
        """
        if self._spill is None or not (at_once or self._spill.is_due()):
            return
        with self._queue.mutex:
            queued = [task for task in self._queue.queue if task is not None]
        with self._unwritten_lock:
            refused = list(self._unwritten)
        tasks = [*(self._trying or ()), *refused, *queued]
        rows = [statement.parameters for task in tasks for statement in task.statements]
        if not tasks or not self._spill.keep(rows):
            return
        if self._trying is not None:
            self._trying = []
        self._retried = 0
        error = StoreError(self._failing or f"the {self._name} takes no rows: a commit hangs")
        for _ in queued:
            self._queue.get_nowait()
        self._refuse([], error)
        _tell(queued, error)
        kept = set(map(id, refused))
        with self._unwritten_lock:
            self._unwritten = deque(task for task in self._unwritten if id(task) not in kept)

    def _committed(self, tasks: list[Task]) -> list[int]:
        try:
            return self._commit(tasks)
        except sqlite3.Error as error:
            if not self._relief.refused(error) and not self._mended(error):
                raise
        return self._commit(tasks)

    def _mended(self, error: sqlite3.Error) -> bool:
        """Begin a new file in the place of a damaged one, or of one that was closed when that failed before."""
        if self._upkeep.mend is None or not (is_damage(error) or isinstance(error, sqlite3.ProgrammingError)):
            return False
        self._connection = self._upkeep.mend(self._connection)
        return True

    def _commit(self, tasks: list[Task]) -> list[int]:
        """Commit what the file has and then tasks, or the first of them; gives the row ids of those tasks."""
        self._rows = 0
        self._connection = self._upkeep.turn(self._connection)
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            spilt, tasks = self._part(self._spilt_tasks(), tasks)
            for task in spilt:
                self._execute(task)
            ids = [self._execute(task) for task in tasks]
            if self._spill is not None:
                self._spill.look(self._connection)
            self._connection.execute("COMMIT")
        except sqlite3.Error:
            with suppress(sqlite3.Error):
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
            raise
        return ids

    def _part(self, spilt: list[Task], tasks: list[Task]) -> tuple[list[Task], list[Task]]:
        """Give what goes into one transaction: all, or the first of the file alone, or else the first tasks."""
        there = len(spilt) + len(tasks)
        if there > self._at_most:
            spilt, tasks = spilt[: self._at_most], [] if spilt else tasks[: self._at_most]
        self._rows = len(spilt) + len(tasks)
        self._left = there - self._rows
        return spilt, tasks

    def _spilt_tasks(self) -> list[Task]:
        if self._spill is None:
            return []
        with self._moving:
            rows = self._spill.waiting(self._connection)
        return [Task((Statement(self._spill.insert, row),), Future()) for row in rows]

    def _execute(self, task: Task) -> int:
        row = 0
        for statement in task.statements:
            row = self._connection.execute(statement.sql, statement.parameters).lastrowid or 0
        return row

    def _refuse(self, tasks: list[Task], error: StoreError, *, are_older: bool = False) -> None:
        """Keep tasks for later, those that are older before the others, and tell who waits for them."""
        with self._unwritten_lock:
            if are_older:
                self._unwritten.extendleft(reversed(tasks))
            else:
                self._unwritten.extend(tasks)
            while len(self._unwritten) > self._capacity:
                self._unwritten.popleft()
                self._lost += 1
        self._note(error)
        _tell(tasks, error)

    def _note(self, error: StoreError) -> None:
        """Note why the disk refuses, before anybody is told that it does."""
        with self._unwritten_lock:
            if not self._failing:
                log.error("%s; rows are kept and tried again", error)
            self._failing = str(error)

    def _recovered(self) -> None:
        """Note that all is written that was tried, with what the file held; `_moving` is held."""
        late = self._late + self._retried
        self._trying, self._retried, self._late = None, 0, 0
        if self._spill is not None:
            late += self._spill.settle()
        with self._unwritten_lock:
            if not self._failing or self._waits():
                return
            self._failing = ""
        log.warning("the %s takes rows again: %d written late, %d lost so far", self._name, late, self._lost)


def _may_pass(error: sqlite3.Error) -> bool:
    """Tell whether a disk fails at once, but perhaps not every time: a lock or a hanging disk has taken its time."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_IOERR


def _tell(tasks: list[Task], error: StoreError) -> None:
    for task in tasks:
        if not task.future.done():
            task.future.set_exception(error)
