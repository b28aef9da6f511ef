"""A log of a million events: what it takes to open, to fold, and to read a part of it, and how many bytes it is.

The log is of a jury of three, and one of debates of three debaters in two rounds; each as the layout of version 2 keeps
it, every text in its event, and as the present one does, every long text once. Each reading is in a process of its own,
and beside it one that reads all rows raw.

    python benchmarks/growth.py [EVENTS] [REPETITIONS]
"""

import asyncio
import gc
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from common import ANSWER, apart, arguments, item, middle, report, told_apart

from fellowship.protocols.debate import ArgumentMade, MakeArgument
from fellowship.protocols.identity import CONDUCTOR, ConversationId
from fellowship.protocols.judging import Ballot, Judging
from fellowship.protocols.jury import CastVote, VoteCast
from fellowship.protocols.lifecycle import DecisionMade, ItemFinished, ItemOpened, ModelCalled, RunEnded, RunStarted
from fellowship.protocols.messages import Message
from fellowship.protocols.models import Attempt, ChatMessage, Usage
from fellowship.runtime.log import LogReader, SqliteLog, open_log, schema, sqlite
from fellowship.scenarios.outcomes import Fold, status, write_results

JURORS = ("first", "second", "third")
ROUNDS = 2
SYSTEM = "You judge two answers to a question. Say why, then score both. " * 8
SPEECH = "Answer A names the scattering and says why the sky is not violet, which answer B leaves out. " * 10
DEBATES = 2_000
READINGS = ("open", "fold", "results", "conversation", "spent")


# what is said


def said(log: SqliteLog, talk: ConversationId, sender: str, *messages: Message, to: tuple[str, ...] = ()) -> int:
    """Say these messages; returns the sequence of the last."""
    sequence = 0
    for message in messages:
        sequence = log.append(message, sender=sender, conversation=talk, recipients=to)
    return sequence


def called(log: SqliteLog, dialogue: list[ChatMessage], text: str, *, answer: str | None) -> ModelCalled:
    for message in dialogue:
        log.keep(message.digest, message.content)
    return ModelCalled(
        round=1,
        model="bench/m",
        messages=tuple([(message.role, message.digest) for message in dialogue]),
        settings={"temperature": 0.0, "max_tokens": 1024},
        answer=answer,
        text=text,
        finish_reason="stop",
        served_by="m",
        tier="json-schema" if answer else None,
        usage=Usage(input_tokens=300, output_tokens=60),
        cost_usd=0.001,
        attempts=(Attempt(latency_s=0.734, waited_s=0.012),),
    )


def jury(log: SqliteLog, number: int) -> int:
    """Say what a jury of three says about an item: 12 events."""
    conversation, about = ConversationId(f"{number}~1"), item(number)
    said(log, conversation, CONDUCTOR, ItemOpened(number=number, item=about))
    question = f"{about.prompt}\n\nA: {about.candidates[0].text}\n\nB: {about.candidates[1].text}"
    dialogue = [ChatMessage("system", SYSTEM), ChatMessage("user", question)]
    for juror in JURORS:
        said(log, conversation, CONDUCTOR, CastVote(judging=Judging(), orders=("ab",)), to=(juror,))
        said(log, conversation, juror, called(log, dialogue, f"{juror} on {number}: {ANSWER}", answer="ballot"))
        ballot = Ballot(
            order="ab", verdict="a", score_a=7, score_b=4, reason=f"{juror}: {number} answers the question. " * 6
        )
        said(log, conversation, juror, VoteCast(round=1, judging=Judging(), ballots=(ballot,), verdict="a"))
    decision = DecisionMade(rule="unique-mode", version=1, verdict="a", votes=3, unread=0)
    return said(log, conversation, CONDUCTOR, decision, ItemFinished(number=number, verdict="a"))


def debate(log: SqliteLog, number: int) -> int:
    """Say what three debaters say in two rounds, all hearing everyone: 18 messages between them, 21 events."""
    conversation, about = ConversationId(f"{number}~1"), item(number)
    said(log, conversation, CONDUCTOR, ItemOpened(number=number, item=about))
    dialogues = {name: [ChatMessage("system", SYSTEM), ChatMessage("user", about.prompt)] for name in JURORS}
    for round_ in range(1, ROUNDS + 1):
        speeches: dict[str, str] = {}
        for name in JURORS:
            speeches[name] = f"{name} in round {round_} of {number}: {SPEECH}"
            said(log, conversation, CONDUCTOR, MakeArgument(round=round_), to=(name,))
            said(log, conversation, name, called(log, dialogues[name], speeches[name], answer=None))
            others = tuple(other for other in JURORS if other != name)
            said(log, conversation, name, ArgumentMade(round=round_, text=speeches[name]), to=others)
        for name, dialogue in dialogues.items():
            heard = "\n\n".join(f"{other} said:\n{text}" for other, text in speeches.items() if other != name)
            dialogue += [ChatMessage("assistant", speeches[name]), ChatMessage("user", heard)]
    decision = DecisionMade(rule="mean-score", version=1, verdict="a", votes=3, unread=0)
    return said(log, conversation, CONDUCTOR, decision, ItemFinished(number=number, verdict="a"))


async def build(path: Path, say: Any, *, items: int = 0, events: int = 0) -> float:  # noqa: ANN401 - jury or debate
    """Write a log; returns the CPU an event, in microseconds."""
    begun_s = time.process_time()
    async with open_log(path) as log:
        said(log, ConversationId(""), CONDUCTOR, RunStarted(items=items, finished=0, concurrency=64, seed=0))
        number = last = 0
        while number < items or last < events:
            last = say(log, number)
            number += 1
            await log.drain()
        last = said(log, ConversationId(""), CONDUCTOR, RunEnded(reason="done"))
        log.note(name="growth")
    return 1e6 * (time.process_time() - begun_s) / last


async def write(path: str, what: str, layout: str, events: str) -> None:
    """Be the writer of a log, in a process of its own."""
    gc.freeze()
    if layout == "inline":
        sqlite.long_text = lambda message: None  # noqa: ARG005 - as version 2 had it
    cpu_us = (
        await build(Path(path), jury, events=int(events))
        if what == "jury"
        else await build(Path(path), debate, items=DEBATES)
    )
    report(cpu_us=cpu_us)


# what is read


def raw(path: Path) -> int:
    """Read all rows, and no more."""
    with sqlite3.connect(path) as connection:
        count = sum(1 for _ in connection.execute("SELECT * FROM events"))
    connection.close()
    return count


def read(what: str, path: Path) -> object:
    if what == "nothing":
        return None
    if what == "raw":
        return raw(path)
    with LogReader(path) as log:
        if what == "fold":
            return Fold(log).whole().total()
        if what == "results":
            return status(log, "growth", write_results(log, path.with_name("results.jsonl")))
        if what == "conversation":
            found = list(log.events(ConversationId(f"{log.last() // 24}~1")))  # one in the middle
            assert len(found) == 12, len(found)
            return found
        return log.spent()


async def opened(path: Path) -> None:
    async with open_log(path):
        pass


async def reading(what: str, path: str) -> None:
    """Be one reader, in a process of its own."""
    begun_s, begun_cpu_s = time.perf_counter(), time.process_time()
    await opened(Path(path)) if what == "open" else read(what, Path(path))
    report(wall_s=time.perf_counter() - begun_s, cpu_s=time.process_time() - begun_cpu_s)


# figures


def measured(path: Path, repetitions: int) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {what: [] for what in ("nothing", "raw", *READINGS)}
    raw(path)  # into the page cache of the system, for all alike
    for _ in range(repetitions):
        for what, figures in found.items():
            figures.append(apart("read", what, str(path)))
    return found


def tell(found: dict[str, list[dict[str, Any]]]) -> None:
    base = statistics.median(figure["peak_mib"] for figure in found["nothing"])
    slowness = statistics.median(figure["wall_s"] for figure in found["raw"])
    for what, figures in found.items():
        seconds = middle([figure["wall_s"] for figure in figures], "7.3f", "s")
        ratio = statistics.median(figure["wall_s"] for figure in figures) / slowness
        more = statistics.median(figure["peak_mib"] for figure in figures) - base
        print(f"  {what:13} {seconds:32} {ratio:6.2f} of raw   {more:+7.1f} MiB over a process that reads nothing")


def messages_of(path: Path) -> int:
    with sqlite3.connect(path) as connection:
        count = connection.execute("SELECT count(*) FROM events WHERE kind = 'argument_made'").fetchone()[0]
    connection.close()
    return int(count)


def sizes(folder: Path, what: str, events: int) -> Iterable[str]:
    """Write a log in both layouts, and tell of their sizes."""
    found: dict[str, int] = {}
    for layout in ("inline", "once"):
        path = folder / f"{what}-{layout}.db"
        figure = apart("write", str(path), what, layout, str(events))
        found[layout] = size = path.stat().st_size
        with LogReader(path) as log:
            each = f"{size / log.last():7,.0f} bytes an event"
        if what == "debate":
            each += f", {size / messages_of(path):7,.0f} a message of a debate"
        cpu = f"{figure['cpu_us']:5.1f} us of CPU an event to write"
        yield f"  {what:7} {layout:7} {size / 2**20:7,.0f} MiB, {each}, {cpu}"
    yield f"  {what:7} once over inline: {found['once'] / found['inline']:.2f}"


def main(events: int, repetitions: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        print(f"size (log version {schema.VERSION}):")
        for line in (*sizes(folder, "debate", 0), *sizes(folder, "jury", events)):
            print(line, flush=True)
        (folder / "jury-inline.db").unlink()
        print(f"reading a jury's log of {events:,} events, {repetitions} repetitions:")
        tell(measured(folder / "jury-once.db", repetitions))


if __name__ == "__main__":
    if (told := told_apart()) is not None:
        mode, *words = told
        asyncio.run(write(*words) if mode == "write" else reading(*words))
    else:
        main(*arguments(1_000_000, 3))
