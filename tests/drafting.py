"""What tests of drafts, picks and pairs share: scenarios in a few lines, and models that note who was asked what."""

import json
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

from playing import items

from fellowship.protocols.lifecycle import DraftPicked
from fellowship.protocols.models import ChatMessage, ModelCall
from fellowship.protocols.pairing import PairsMade
from fellowship.runtime.log import LogReader
from fellowship.runtime.session import Limits
from fellowship.runtime.testing import ScriptedModel
from fellowship.scenarios import Plan, Settings, Status, plan, play
from fellowship.scenarios.loading import validate
from fellowship.scenarios.source import read

SHOWN = re.compile(r"<answer[^>]*>\n(.*?)\n</answer", re.DOTALL)
HEARD = re.compile(r'<review by="([a-z]+)">')
HEAD = """\
scenario: s
takes: instruction
models: {writer: acme/writer, single: acme/single, reviewer: acme/reviewer, other: acme/other, judge: acme/judge, second: acme/second, third: acme/third}
agents:
"""
AGENTS = {
    "writer": "generator",
    "single": "generator",
    "reviewer": "reviewer",
    "other": "reviewer",
    "judge": "judge",
    "second": "judge",
    "third": "judge",
}
ONCE = "- {ask: writer, for: draft}"
REVISED = """\
- {ask: reviewer, for: feedback, hears: writer}
- {ask: writer, for: draft, hears: reviewer}"""
APART = """\
- {ask: [reviewer, other], for: feedback, hears: writer}
- {ask: writer, for: draft, hears: [reviewer, other], apart: true}"""


def written(*steps: str, gives: str = "draft", more: str = "") -> str:
    """Return a scenario of these steps, in which everyone is there who is named in them."""
    flow = "\n".join(steps)
    named = [name for name in AGENTS if re.search(rf"\b{name}\b", flow)]
    agents = "\n".join(f"  {name}: {{role: {AGENTS[name]}, model: {name}}}" for name in named)
    return f"{HEAD}{agents}\n{more}flow:\n{flow}\ngives: {gives}\n"


def planned(text: str, models: Mapping[str, str] | None = None) -> Plan:
    source = read(text, "s.yaml")
    return plan(validate(source), source=source, models=models)


Duel = tuple[float, float] | str


class Cast:
    """A ModelClient for everybody: says drafts and scores as a test wants, and notes who was asked what.

    The drafts of writer are `writer 1`, `writer 2` and so on, where no other words are given. Judges score a draft by
    its words, or two by what is said of them; what is not known is worth 5.
    """

    def __init__(
        self,
        worth: Mapping[str, float] | None = None,
        *,
        duels: Mapping[tuple[str, str], Duel] | None = None,
        by: Mapping[str, Mapping[str, float]] | None = None,
        texts: Mapping[str, Sequence[str]] | None = None,
        reviews: Mapping[str, Sequence[float]] | None = None,
        silent: Collection[str] = (),
        models: Mapping[str, str] | None = None,
    ) -> None:
        """Make one.

        Args:
            worth: Score of each draft.
            duels: Both scores of two drafts, in the order shown; or words that cannot be read.
            by: Scores by judge, in place of `worth`.
            texts: Drafts by writer.
            reviews: Scores by reviewer, in the order given.
            silent: Judges who cannot be read.
            models: Of agents whose model is not called as they are.
        """
        self.model = ScriptedModel(self._say)
        self.asked: list[str] = []
        self.calls = self.model.calls
        self._worth, self._duels, self._by = worth or {}, duels or {}, by or {}
        self._texts, self._reviews = texts or {}, reviews or {}
        self._silent = silent
        self._agents = {model: agent for agent, model in (models or {}).items()}
        self._count: dict[str, int] = {}

    def of(self, *names: str) -> list[str]:
        """Return what some were asked, in order."""
        return [line for line in self.asked if line.split()[0].rstrip(":") in names]

    def _say(self, call: ModelCall) -> str:
        who = self._agents.get(call.settings.model, call.settings.model.partition("/")[2])
        last = call.messages[-1].content
        if call.answer is None:
            return self._draft(who, call.messages)
        if "feedback" in call.answer.schema["properties"]:
            return self._review(who, SHOWN.findall(last))
        return self._vote(who, SHOWN.findall(call.messages[1].content))

    def _nth(self, who: str) -> int:
        self._count[who] = self._count.get(who, 0) + 1
        return self._count[who]

    def _draft(self, who: str, messages: Sequence[ChatMessage]) -> str:
        number = self._nth(who)
        texts = self._texts.get(who, ())
        before = [message.content for message in messages if message.role == "assistant"]
        heard = HEARD.findall(messages[-1].content)
        self.asked.append(f"{who} after {before[-1]} by {' and '.join(heard)}" if before else who)
        return texts[number - 1] if number <= len(texts) else f"{who} {number}"

    def _review(self, who: str, shown: Sequence[str]) -> str:
        number = self._nth(who)
        scores = self._reviews.get(who, ())
        self.asked.append(f"{who} on {', '.join(shown)}")
        score = scores[number - 1] if number <= len(scores) else 5
        return json.dumps({"evaluation": "so", "feedback": f"{who} says {number}", "score": score})

    def _vote(self, who: str, shown: Sequence[str]) -> str:
        self.asked.append(f"{who}: {' | '.join(shown)}")
        if who in self._silent:
            return "?"
        worth = {**self._worth, **self._by.get(who, {})}
        if len(shown) == 1:
            return json.dumps({"reason": "so", "score": worth.get(shown[0], 5)})
        found = self._duels.get((shown[0], shown[1]))
        if isinstance(found, str):
            return found
        scores = found or tuple(worth.get(text, 5) for text in shown)
        return json.dumps({"reason": "so", "score_a": scores[0], "score_b": scores[1]})


def both(first: str, second: str, judge: str = "judge") -> list[str]:
    """Return how a cast notes that two drafts were compared in both orders."""
    return [f"{judge}: {first} | {second}", f"{judge}: {second} | {first}"]


async def staged(made: Plan | str, cast: Cast, out: Path, **more: object) -> Status:
    """Play one item with a cast; its directory is new."""
    made = planned(made) if isinstance(made, str) else made
    settings = Settings(client=cast.model, limits=Limits(concurrency=1), **more)  # type: ignore[arg-type]
    return await play(made, items(1), out, settings)


def facts(out: Path, *kinds: str) -> list[object]:
    with LogReader(out / "run.db") as log:
        return [event.message() for event in log.events(kinds=kinds)]


def picked(out: Path) -> list[str]:
    """Return the names of what was picked, in order."""
    return [f"{one.writer}/{one.version}" for one in facts(out, "draft_picked") if isinstance(one, DraftPicked)]


def pairs(out: Path, wanted: Callable[[str], bool] = bool) -> list[tuple[str, str | None, str | None, str | None]]:
    """Return every candidate, of the sorts that are wanted: first, second, the verdict on them, why it is no pair."""
    return [
        (each.first, each.second, each.preference.verdict if each.preference else None, each.dropped)
        for made in facts(out, "pairs_made")
        if isinstance(made, PairsMade)
        for each in made.candidates
        if wanted(each.of)
    ]
