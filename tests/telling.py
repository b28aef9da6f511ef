"""What tests of runs that are told again share: models whose words follow from what they are asked, runs that break off
anywhere, and logs and results to compare."""

import asyncio
import json
import shutil
import sqlite3
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from hashlib import blake2b
from pathlib import Path
from typing import Any, Literal

from playing import items as many

from fellowship.agents import ROLES, Agent
from fellowship.protocols.errors import EndpointDown
from fellowship.protocols.identity import ConversationId
from fellowship.protocols.items import Item
from fellowship.protocols.models import Completion, ModelCall
from fellowship.protocols.registry import Registry
from fellowship.runtime.log import LogReader
from fellowship.runtime.session import Limits
from fellowship.runtime.testing import ScriptedModel
from fellowship.scenarios import Plan, Progress, Settings, Status, load, plan, play

LIBRARY = (
    *("judge", "jury", "jury-sequential", "jury-escalating", "debate"),
    *("feedback-loop", "feedback-panel", "feedback-gated", "preference-pairs"),
)
CHOSEN = {"preference-pairs": ("review=both", "follow=best", "own_family=true")}
"""Parameters by which a scenario has the most to say."""
How = Literal["down", "cancelled", "drained"]
"""What ends a run early: an endpoint that fails everybody, the end of its task, or the wish to begin nothing more."""
Asked = tuple[str, str | None, tuple[str, ...]]
"""A call by what it asks: model, form of the answer, and the digest of each message."""
OF_THE_PROCESS = ("run_started", "run_ended", "item_resumed")
"""Kinds that tell how often a run was begun, and nothing of what was said."""


def asked(call: ModelCall) -> Asked:
    form = call.answer.name if call.answer else None
    return call.settings.model, form, tuple(message.digest for message in call.messages)


def speak(call: ModelCall) -> str:
    """Return an answer that follows from all that is asked: where one word of a prompt is another, so is the answer."""
    word = blake2b(repr(asked(call)).encode(), digest_size=4).hexdigest()
    if call.answer is None:
        return f"I say {word}. " * 12
    return json.dumps({name: _value(name, part, word) for name, part in call.answer.schema["properties"].items()})


def _value(name: str, part: dict[str, Any], word: str) -> object:
    chosen = blake2b(f"{name} {word}".encode(), digest_size=2).digest()[0]
    if "enum" in part:
        return part["enum"][chosen % len(part["enum"])]
    because = f"because of {word}"
    number = min(1 + chosen % 5, part.get("maximum", 5))
    fits: dict[str, object] = {"number": number, "boolean": chosen % 2 == 0, "array": [because]}
    return fits.get(part["type"], because)


class Speaker:
    """A ModelClient that counts what it is asked, and can end the run at a call."""

    def __init__(
        self,
        script: Callable[[ModelCall], Any] = speak,
        *,
        last: int | None = None,
        how: How = "down",
        pause: bool = False,
    ) -> None:
        self._model = ScriptedModel(script)
        self._last = last
        self._how = how
        self._pause = pause
        self._down = False
        self._began = 0
        self.asked: Counter[Asked] = Counter()
        """Calls that were answered, or failed by the script."""
        self.broken_off = 0
        self.progress: Progress | None = None
        self.task: asyncio.Task[Status] | None = None

    @property
    def calls(self) -> list[ModelCall]:
        return self._model.calls

    async def complete(self, call: ModelCall) -> Completion:
        self._began += 1
        if self._began == self._last:
            self._end()
        if self._down:
            raise EndpointDown("nobody answers any more")
        if self._pause:
            try:
                for _ in range(blake2b(repr(asked(call)).encode()).digest()[0] % 7):
                    await asyncio.sleep(0)
            except asyncio.CancelledError:
                self.broken_off += 1
                raise
        self.asked[asked(call)] += 1
        return await self._model.complete(call)

    def _end(self) -> None:
        if self._how == "down":
            self._down = True
        elif self._how == "cancelled":
            assert self.task is not None
            self.task.cancel()
        else:
            assert self.progress is not None
            self.progress.draining = True


async def played(
    made: Plan,
    data: Sequence[Item] | int,
    out: Path,
    speaker: Speaker | None = None,
    *,
    concurrency: int = 1,
    **more: Any,
) -> Status | None:
    """Play with a speaker, as far as it lets the run come; None where it was cancelled."""
    speaker = speaker or Speaker()
    limits = more.pop("limits", Limits(concurrency=concurrency))

    def watch(progress: Progress) -> None:
        speaker.progress = progress

    settings = Settings(client=speaker, limits=limits, watch=watch, **more)
    async with asyncio.TaskGroup() as group:
        speaker.task = group.create_task(play(made, many(data) if isinstance(data, int) else data, out, settings))
        with suppress(asyncio.CancelledError):
            return await asyncio.shield(speaker.task)
    return None


def apart(name: str, *changes: str, roles: Registry[type[Agent]] = ROLES) -> Plan:
    """Return the plan of a scenario in which every alias has a model of its own, so that no two agents ask the same."""
    scenario, source = load(name, changes=(*CHOSEN.get(name, ()), *changes))
    return plan(scenario, source=source, models={alias: f"acme/{alias}" for alias in scenario.models}, roles=roles)


def story(out: Path, *, without: tuple[str, ...] = ()) -> Counter[str]:
    """Return what a log tells, in whatever order the conversations took turns: each event with all that led to it."""
    told: dict[int, str] = {}
    counted: Counter[str] = Counter()
    with LogReader(out / "run.db") as log:
        for event in log.events():
            body = json.loads(event.body)
            if event.kind == "hearing_changed":
                body["caught_up"] = [told[sequence] for sequence in body["caught_up"]]
            led = told[event.cause] if event.cause is not None else ""
            line = f"{event.conversation} {event.sender} > {','.join(event.recipients)}: {json.dumps(body)} <- {led}"
            told[event.sequence] = blake2b(line.encode(), digest_size=8).hexdigest()
            if event.kind not in (*OF_THE_PROCESS, *without):
                counted[line] += 1
    return counted


def kinds(out: Path, *wanted: str) -> list[Any]:
    """Return the messages of some kinds, in the order of the log."""
    with LogReader(out / "run.db") as log:
        return [event.message() for event in log.events(kinds=wanted)]


def said(out: Path, conversation: str) -> list[str]:
    """Return sender and kind of every event of a conversation, in order."""
    with LogReader(out / "run.db") as log:
        return [f"{event.sender} {event.kind}" for event in log.events(ConversationId(conversation))]


def results(out: Path) -> bytes:
    return (out / "results.jsonl").read_bytes()


def cut_short(run: Path, out: Path, last: int) -> Path:
    """Copy a run as a process leaves it that was killed when an event had been written."""
    out.mkdir()
    shutil.copy(run / "run.db", out / "run.db")
    with closing(sqlite3.connect(out / "run.db")) as connection, connection:
        connection.execute("DELETE FROM events WHERE sequence > ?", (last,))
    return out


def length(run: Path) -> int:
    with LogReader(run / "run.db") as log:
        return log.last()
