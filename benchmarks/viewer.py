"""Looking through a log of 100,000 messages: what it takes to index it, to list, sort, filter and search, and to show.

The log is of 5,000 debates of four who argue in four rounds and vote, 20 messages each of about a kilobyte, with their
calls and prompts; and of one debate of 400 messages. Each reading is made in a process of its own, which ends with the
peak of its memory.

    python benchmarks/viewer.py [DEBATES] [REPETITIONS]
"""

import asyncio
import gc
import json
import random
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from common import MEBIBYTE, apart, arguments, middle, report, told_apart

from fellowship.protocols.debate import ArgumentMade, MakeArgument
from fellowship.protocols.identity import CONDUCTOR, ConversationId, ItemId
from fellowship.protocols.items import Candidate, Item
from fellowship.protocols.judging import Ballot, Judging, Verdict, verdict_of
from fellowship.protocols.jury import CastVote, VoteCast
from fellowship.protocols.lifecycle import DecisionMade, ItemFinished, ItemOpened, ModelCalled, RunEnded, RunStarted
from fellowship.protocols.models import Attempt, ChatMessage, Usage
from fellowship.runtime.log import SqliteLog, open_log
from fellowship.scenarios.traces.index import Index
from fellowship.scenarios.traces.listing import SORTS, Wanted
from fellowship.scenarios.traces.talk import fold

WHO = ("public", "psychologist", "critic", "scientist")
ROUNDS, LONG_ROUNDS = 4, 99
BYTES = 1024
COMMON, RARE, PHRASE = "because", "heliotrope", "short waves"


# what is said


class Speakers:
    """Say debates, the same ones with the same seed."""

    def __init__(self, log: SqliteLog, seed: int = 0) -> None:
        self.log = log
        self.rng = random.Random(seed)  # noqa: S311 - not a secret
        letters = "abcdefghiklmnoprstuvw"
        words = ("".join(self.rng.choices(letters, k=self.rng.randint(2, 9))) for _ in range(20_000))
        self.words = [COMMON, *words]
        self.weights = [1 / (place + 1) for place in range(len(self.words))]

    def text(self) -> str:
        words = self.rng.choices(self.words, cum_weights=self.cumulative, k=170)
        if self.rng.random() < 0.02:
            words[80] = PHRASE
        if self.rng.random() < 0.0005:
            words[40] = RARE
        return " ".join(words)[:BYTES]

    @property
    def cumulative(self) -> list[float]:
        if not hasattr(self, "_cumulative"):
            total, self._cumulative = 0.0, list[float]()
            for weight in self.weights:
                total += weight
                self._cumulative.append(total)
        return self._cumulative

    def say(self, conversation: ConversationId, name: str, dialogue: list[ChatMessage], round_: int) -> None:
        text, log = self.text(), self.log
        to = tuple(other for other in WHO if other != name)
        command = log.append(
            MakeArgument(round=round_, step="0.0"), sender=CONDUCTOR, conversation=conversation, recipients=(name,)
        )
        self.call(conversation, name, dialogue, text, command)
        said = ArgumentMade(round=round_, text=text)
        log.append(said, sender=name, conversation=conversation, cause=command, recipients=to)

    def call(
        self, conversation: ConversationId, name: str, dialogue: list[ChatMessage], text: str, command: int
    ) -> None:
        for message in dialogue:
            self.log.keep(message.digest, message.content)
        called = ModelCalled(
            round=1,
            model=f"bench/{name}",
            messages=tuple([(message.role, message.digest) for message in dialogue]),
            settings={"temperature": 0.0},
            text=text,
            finish_reason="stop",
            served_by="m",
            usage=Usage(input_tokens=250 * len(dialogue), output_tokens=250),
            cost_usd=0.001 * len(dialogue),
            attempts=(Attempt(latency_s=0.7, waited_s=0.01),),
        )
        self.log.append(called, sender=name, conversation=conversation, cause=command)
        dialogue.append(ChatMessage("assistant", text))

    def vote(self, conversation: ConversationId, name: str, dialogue: list[ChatMessage]) -> Verdict:
        command = self.log.append(
            CastVote(judging=Judging(), orders=("ab",), step="1"),
            sender=CONDUCTOR,
            conversation=conversation,
            recipients=(name,),
        )
        self.call(conversation, name, dialogue, self.text(), command)
        a, b = self.rng.randint(0, 10), self.rng.randint(0, 10)
        ballot = Ballot(order="ab", verdict=verdict_of(a, b), score_a=a, score_b=b, reason=self.text())
        vote = VoteCast(
            round=1, judging=Judging(), ballots=(ballot,), verdict=ballot.verdict, score_a=float(a), score_b=float(b)
        )
        self.log.append(vote, sender=name, conversation=conversation, cause=command)
        return ballot.verdict

    def debate(self, number: int, rounds: int) -> None:
        conversation = ConversationId(f"{number}~1")
        answers = (Candidate(slot="a", text=self.text()), Candidate(slot="b", text=self.text()))
        item = Item(id=ItemId(str(number)), prompt=f"Why {number}? {self.text()}", candidates=answers)
        self.log.append(ItemOpened(number=number, item=item), sender=CONDUCTOR, conversation=conversation)
        dialogues = {name: [ChatMessage("user", item.prompt)] for name in WHO}
        for round_ in range(1, rounds + 1):
            for name in WHO:
                self.say(conversation, name, dialogues[name][-4:], round_)
        verdicts = [self.vote(conversation, name, dialogues[name]) for name in WHO]
        verdict = max(sorted(set(verdicts)), key=verdicts.count)
        decision = DecisionMade(
            rule="majority", version=1, verdict=verdict, score_a=5.0, score_b=3.0, votes=4, unread=0
        )
        self.log.append(decision, sender=CONDUCTOR, conversation=conversation)
        end = ItemFinished(number=number, verdict=verdict, score_a=5.0, score_b=float(number % 7))
        self.log.append(end, sender=CONDUCTOR, conversation=conversation)


async def build(path: Path, debates: int) -> None:
    async with open_log(path) as log:
        started = RunStarted(items=debates + 1, finished=0, concurrency=64, seed=0)
        log.append(started, sender=CONDUCTOR)
        speakers = Speakers(log)
        for number in range(debates):
            speakers.debate(number, ROUNDS)
            await log.drain()
        speakers.debate(debates, LONG_ROUNDS)
        log.append(RunEnded(reason="done"), sender=CONDUCTOR)
        log.note(name="viewer")


async def more(path: Path, number: int) -> None:
    """Go on with a log, by a hundred events."""
    async with open_log(path) as log:
        speakers = Speakers(log, number)
        conversation = ConversationId("0~1")
        for _ in range(33):
            speakers.say(conversation, WHO[0], [], 1)


# what is read


def seconds(work: Callable[[], object], repetitions: int) -> list[float]:
    """Return the seconds of each of some repetitions, after one that warms up."""
    work()
    found: list[float] = []
    for _ in range(repetitions):
        begun_s = time.perf_counter()
        work()
        found.append(time.perf_counter() - begun_s)
    return found


def first(run: Path, cache: Path) -> None:
    """Index a whole log, in a process of its own."""
    begun_s, begun_cpu_s = time.perf_counter(), time.process_time()
    with Index(run, cache) as index:
        taken = index.refresh()
        spent_s = time.perf_counter() - begun_s
        size = index._tables.path.stat().st_size  # noqa: SLF001 - what it costs on disk
    report(wall_s=spent_s, cpu_s=time.process_time() - begun_cpu_s, events=taken, bytes=size)


def looked_at(index: Index, repetitions: int) -> dict[str, list[float]]:
    wanted = {
        **{f"page by {sort}": Wanted(sort=sort, descending=True) for sort in SORTS},
        "page, disagreement at least a half": Wanted(disagreement=0.5),
        "page, of a model, that agent, cost": Wanted(model="bench/critic", agent="critic", cost=0.01, sort="cost"),
        "page, with a rare word": Wanted(text=RARE),
        "page, with a common word": Wanted(text=COMMON),
    }
    total = index.page(Wanted()).total
    works: dict[str, Callable[[], object]] = {
        "nothing new": index.refresh,
        "overview": index.overview,
        **{name: lambda each=each: index.page(each) for name, each in wanted.items()},  # type: ignore[misc]
        "page, the last": lambda: index.page(Wanted(sort="cost"), offset=total - 50),
        "search, a common word": lambda: index.search(COMMON),
        "search, a rare word": lambda: index.search(RARE),
        "search, a phrase": lambda: index.search(f'"{PHRASE}"'),
        "search, a beginning": lambda: index.search("he*"),
        "search, two common words": lambda: index.search(f"{COMMON} -{RARE}"),
        "judges": index.judges,
        "one conversation of 400 messages": lambda: fold(index.log, ConversationId(f"{total - 1}~1")),
    }
    return {name: seconds(work, repetitions) for name, work in works.items()}


def look(run: Path, cache: Path, repetitions: int) -> None:
    """Look at an indexed run, in a process of its own."""
    with Index(run, cache) as index:
        found = looked_at(index, repetitions)
        fresh: list[float] = []
        for number in range(repetitions):
            asyncio.run(more(run / "run.db", number))
            begun_s = time.perf_counter()
            assert index.refresh() >= 99
            fresh.append(time.perf_counter() - begun_s)
        found["a hundred new events"] = fresh
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / MEBIBYTE
    print(json.dumps({"found": found, "peak_mib": peak_mib}))


def main(debates: int, repetitions: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        run = Path(name) / "run"
        run.mkdir()
        apart("build", str(run), str(debates))
        size = (run / "run.db").stat().st_size / 2**20
        firsts = [apart("first", str(run), str(Path(name) / f"cache-{each}")) for each in range(min(3, repetitions))]
        events = firsts[0]["events"]
        print(f"{debates:,} debates of 20 messages and one of 400, {events:,} events, {size:,.0f} MiB:")
        print(f"  first indexing {middle([each['wall_s'] for each in firsts], '5.1f', 's')}, ", end="")
        cpu_s = [each["cpu_s"] for each in firsts]
        print(f"CPU {middle(cpu_s, '5.1f', 's')}, {events / min(cpu_s):,.0f} events a second of it at best, ", end="")
        print(f"{firsts[0]['bytes'] / 2**20:,.0f} MiB, peak {max(each['peak_mib'] for each in firsts):,.0f} MiB")
        looked = apart("look", str(run), str(Path(name) / "cache-0"), str(repetitions))
        for what, values in looked["found"].items():
            print(f"  {what:36} {middle([1000 * value for value in values], '7.1f', 'ms')}")
        print(f"  peak of the process {looked['peak_mib']:,.0f} MiB   goal: 200")


if __name__ == "__main__":
    told = told_apart()
    if told is None:
        main(*arguments(5_000, 7))
    elif told[0] == "build":
        gc.freeze()
        asyncio.run(build(Path(told[1]) / "run.db", int(told[2])))
        report()
    elif told[0] == "first":
        first(Path(told[1]), Path(told[2]))
    else:
        look(Path(told[1]), Path(told[2]), int(told[3]))
