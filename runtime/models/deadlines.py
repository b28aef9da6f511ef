"""One timer for all requests of an access: they have the same deadline, so the oldest is due first."""

import asyncio


class Deadline:
    """A request that must not take longer than the others."""

    __slots__ = ("cancelling", "due_s", "expired", "task")

    def __init__(self, task: "asyncio.Task[object]", due_s: float) -> None:
        self.task = task
        self.due_s = due_s
        self.cancelling = task.cancelling()
        self.expired = False

    def passed(self) -> bool:
        """Whether a cancellation is the deadline's own; it is taken back then."""
        return self.expired and self.task.uncancel() <= self.cancelling


class Deadlines:
    """Begins and ends deadlines. An `asyncio.timeout` a request, with a timer each, costs three times as much."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._open: dict[Deadline, None] = {}
        self._timer: asyncio.TimerHandle | None = None

    def begin(self) -> Deadline:
        """Return the deadline of the request that the current task is about to make; it must be ended."""
        loop = asyncio.get_running_loop()
        task = asyncio.current_task(loop)
        assert task is not None  # noqa: S101 - coroutines run in tasks
        deadline = Deadline(task, loop.time() + self._seconds)
        self._open[deadline] = None
        if self._timer is None:
            self._timer = loop.call_at(deadline.due_s, self._look)
        return deadline

    def end(self, deadline: Deadline) -> None:
        """End a deadline."""
        self._open.pop(deadline, None)
        if not self._open and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        """Break off what is due, and come back for the next."""
        loop = asyncio.get_running_loop()
        self._timer = None
        while self._open:
            deadline = next(iter(self._open))
            if deadline.due_s > loop.time():
                self._timer = loop.call_at(deadline.due_s, self._look)
                return
            del self._open[deadline]
            deadline.expired = True
            deadline.task.cancel()
