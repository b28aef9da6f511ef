"""What only a run knows of its data set: who spoke, when, at what price, and how steadily it was judged."""

from array import array
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import numpy as np
import orjson
from pydantic import JsonValue

from ...protocols.errors import DeclarationError
from ...protocols.identity import ConversationId
from ...runtime.log import LogReader
from ...runtime.log.faults import damaged
from ...runtime.recording.standing import sift
from ...runtime.secrecy import hidden
from ..declared import declaration
from ..directory import ABOUT, MARK
from ..measures.estimate import Estimate, share
from ..measures.families import kin_of
from ..spend import Spend, unpriced_call
from .command import Command, data_name, published, run_command

VOTES = ("vote_cast", "drafts_compared", "draft_scored")
KINDS = (
    "item_opened",
    "item_resumed",
    "model_called",
    *VOTES,
    "draft_written",
    "item_finished",
    "item_failed",
)


@dataclass(frozen=True, slots=True)
class Speaker:
    """An agent as it took part; in a sweep once for each model, prompt and setting that it had."""

    agent: str
    role: str
    model: str
    """provider/model, as asked for."""
    settings: Mapping[str, JsonValue]
    """What was sampled with, beyond what the endpoint does by itself."""
    prompt_digest: str
    served_by: tuple[str, ...]
    """The models that the endpoint says it used."""


@dataclass(frozen=True, slots=True)
class Judge:
    """Who voted, in the conversations that have an outcome."""

    agent: str
    model: str
    votes: int
    """On the item's own answers, or on two drafts; and scores of a draft alone."""
    unread: int
    """Votes of those that could not be read."""
    flip_rate: Estimate | None
    """Share of what was judged in both orders, both read, of which the two verdicts differ; items are clusters. None
    where nothing was judged in both orders."""
    half_unread: int
    """Judged in both orders, and one of them could not be read: not in the flip rate."""
    kin: tuple[str, ...]
    """Models of its own family among those whose texts it judged."""
    scores_alone: int = 0
    """Votes of those that are the score of one draft, which was shown alone: no order could sway them."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What a run says of itself."""

    scenario: str
    about: str
    """What the scenario does, in its own words."""
    text: str
    """The scenario as YAML, without the addresses of endpoints."""
    speakers: tuple[Speaker, ...]
    judges: tuple[Judge, ...]
    first_day: str | None
    """UTC day of the first call, as in 2026-11-21; None where no model was called."""
    last_day: str | None
    calls: int
    """Model calls; tries within a call count once."""
    not_asked: int
    """Calls of them that a cache or a recording answered, perhaps of earlier days."""
    input_tokens: int
    output_tokens: int
    cost_usd: float | None
    """None where the price of a call is not known."""
    unpriced: int
    """Calls that used tokens and whose cost nobody knows."""
    seed: int | None
    data: str | None
    """Name of the data set, without the folder it lay in."""
    data_digest: str | None
    """blake2b of the file's content, 16 bytes, after its ending."""
    version: str
    """Of llm-fellowship, as it writes this."""
    command: Command
    """That plays the run again."""

    @property
    def models_of_judges(self) -> dict[str, str]:
        """Return the model of each judge, by agent; where an agent had several, by agent and model."""
        agents = [judge.agent for judge in self.judges]
        return {
            judge.agent if agents.count(judge.agent) == 1 else f"{judge.agent} ({judge.model})": judge.model
            for judge in self.judges
        }


@dataclass(frozen=True, slots=True)
class _Vote:
    """What is counted of a vote."""

    agent: str
    unread: bool
    verdicts: Mapping[str, str]
    """By order."""
    writers: frozenset[str]
    """Agents whose drafts it is about; empty where it is about the item's own answers, or all that was written."""
    alone: bool

    @classmethod
    def of(cls, agent: str, body: Mapping[str, Any]) -> "_Vote":
        if body["kind"] == "draft_scored":
            return cls(agent, body.get("score") is None, {}, frozenset({_writer(body["draft"])}), alone=True)
        verdicts = {ballot["order"]: ballot["verdict"] for ballot in body["ballots"]}
        about = [_writer(body[name]) for name in ("first", "second") if name in body]
        return cls(agent, body["verdict"] == "unread", verdicts, frozenset(about), alone=False)


def _writer(draft: str) -> str:
    """Return whose draft it is, by its name."""
    return draft.rpartition("/")[0]


@dataclass(slots=True)
class _Votes:
    """What a judge has said so far."""

    votes: int = 0
    unread: int = 0
    half_unread: int = 0
    scores_alone: int = 0
    flipped: "array[int]" = field(default_factory=lambda: array("b"))
    """One for each comparison in both orders: whether the verdicts differ."""
    item: "array[int]" = field(default_factory=lambda: array("q"))

    def take(self, number: int, vote: "_Vote") -> None:
        self.votes += 1
        self.unread += vote.unread
        self.scores_alone += vote.alone
        verdicts = vote.verdicts
        if len(verdicts) < 2:
            return
        if "unread" in verdicts.values():
            self.half_unread += 1
            return
        self.flipped.append(verdicts["ab"] != verdicts["ba"])
        self.item.append(number)

    def flip_rate(self) -> Estimate | None:
        if not self.item:
            return None
        return share(np.frombuffer(self.flipped, dtype=np.bool_), np.frombuffer(self.item, dtype=np.int64))


@dataclass(slots=True)
class _Talk:
    """A conversation that has not ended."""

    variant: str
    votes: list[_Vote] = field(default_factory=list[_Vote])
    writers: set[str] = field(default_factory=set[str])
    candidates: set[str] = field(default_factory=set[str])
    set_aside: bool = False


def facts_of(log: LogReader) -> Facts:
    """Return what a run says of itself, in one pass over its log; of conversations only those in the making are held.

    Raises:
        DeclarationError: it does not say what was played.
        LogError: it is damaged.
    """
    text = log.meta("played")
    if text is None:
        raise DeclarationError(f"{log.path.parent} does not say what was played")
    fold = _Fold(log, hidden(orjson.loads(text)))
    fold.read()
    return fold.facts()


class _Fold:
    def __init__(self, log: LogReader, played: dict[str, Any]) -> None:
        self._log, self._played = log, played
        self._records: dict[str, dict[str, Any]] = played.get("variants", {"": played})
        self._talks: dict[str, _Talk] = {}
        self._spend = Spend()
        self._called: list[int] = []
        """Sequence of the first call, and of the last."""
        self._served: dict[tuple[str, str], dict[str, None]] = {}
        self._judges: dict[tuple[str, str], _Votes] = {}
        self._kin: dict[tuple[str, str], set[str]] = {}
        """By judge and its model: models of its family among those whose texts it judged."""

    def read(self) -> None:
        last = self._log.last()
        set_aside = self._log.set_aside(last)
        for sequence, conversation, sender, kind, body, apart in self._log.bodies(KINDS, until=last):
            try:
                content: dict[str, Any] = orjson.loads(body)
                if kind == "model_called":
                    self._call(sequence, sender, content, answered="text" in content or apart is not None)
                elif kind == "item_opened":
                    self._open(conversation, content["item"])
                elif conversation in self._talks:  # else a damaged log has lost its beginning
                    self._take(sequence, conversation, sender, content, counts=sequence not in set_aside)
            except (ValueError, KeyError, TypeError) as error:
                raise damaged(self._log.path, f"event {sequence} is not what it was") from error

    def _call(self, sequence: int, sender: str, called: dict[str, Any], *, answered: bool) -> None:
        if called["source"] == "earlier":
            return  # it was counted where it was made
        self._called = [*self._called[:1], sequence]
        self._spend.add(called, answered=answered and "error" not in called, unpriced=unpriced_call(called))
        if called.get("served_by"):
            self._served.setdefault((sender, called["model"]), {})[called["served_by"]] = None

    def _open(self, conversation: str, item: dict[str, Any]) -> None:
        talk = self._talks[conversation] = _Talk(item.get("variant") or "")
        talk.candidates |= {candidate["model"] for candidate in item["candidates"] if candidate.get("model")}

    def _take(self, sequence: int, conversation: str, sender: str, content: dict[str, Any], *, counts: bool) -> None:
        talk, kind = self._talks[conversation], content["kind"]
        if kind in VOTES:
            talk.votes.append(_Vote.of(sender, content))
        elif kind == "draft_written":
            talk.writers.add(sender)
        elif kind == "item_resumed":
            talk.set_aside = talk.set_aside or bool(content.get("set_aside"))
        elif counts:  # one whose outcome is set aside may go on
            del self._talks[conversation]
            if kind == "item_finished":
                self._end(talk, ConversationId(conversation), content["number"], sequence)

    def _end(self, talk: _Talk, conversation: ConversationId, number: int, sequence: int) -> None:
        record = self._records[talk.variant]
        models = {agent: str(settings["model"]) for agent, settings in record["models"].items()}
        families = {agent: kin_of(model, declaration(record, agent).get("family")) for agent, model in models.items()}
        votes = self._standing(conversation, sequence) if talk.set_aside else iter(talk.votes)
        for vote in votes:
            wrote = {(models[agent], families[agent]) for agent in vote.writers or talk.writers if agent in models}
            if not vote.writers:
                wrote |= {(model, kin_of(model)) for model in talk.candidates}
            judge = vote.agent, models[vote.agent]
            self._judges.setdefault(judge, _Votes()).take(number, vote)
            kin = {model for model, family in wrote if family == families[vote.agent]}
            self._kin.setdefault(judge, set()).update(kin)

    def _standing(self, conversation: ConversationId, until: int) -> Iterator[_Vote]:
        """Return the votes that count where a part of a conversation was tried again."""
        for event in sift(self._log.events(conversation)).standing():
            if event.kind in VOTES and event.sequence < until:
                yield _Vote.of(event.sender, orjson.loads(event.body))

    def facts(self) -> Facts:
        spend, played = self._spend, self._played
        about: dict[str, str] = hidden(orjson.loads(self._log.meta(ABOUT) or "{}"))
        mark = _mark(self._log.meta(MARK))
        days = [datetime.fromtimestamp(event.time_s, UTC).date().isoformat() for event in self._log.at(self._called)]
        return Facts(
            scenario=str(played["scenario"]["scenario"]),
            about=str(played["scenario"].get("about", "")),
            text=published(played["scenario"]),
            speakers=tuple(self._speakers()),
            judges=tuple(self._judge(*judge) for judge in sorted(self._judges, key=self._place)),
            first_day=days[0] if days else None,
            last_day=days[-1] if days else None,
            calls=spend.calls,
            not_asked=spend.cached + spend.recorded,
            input_tokens=spend.input_tokens,
            output_tokens=spend.output_tokens,
            cost_usd=None if spend.unpriced else spend.cost_usd,
            unpriced=spend.unpriced,
            seed=played.get("seed"),
            data=data_name(about["data"]) if "data" in about else None,
            data_digest=mark.get("content"),
            version=version("llm-fellowship"),
            command=run_command(played, about.get("data"), mark),
        )

    def _speakers(self) -> Iterator[Speaker]:
        told: set[str] = set()
        for record in self._records.values():
            for agent, settings in record["models"].items():
                kept = {name: value for name, value in settings.items() if name not in ("model", "base_url", "key_env")}
                speaker = Speaker(
                    agent=agent,
                    role=str(declaration(record, agent)["role"]),
                    model=str(settings["model"]),
                    settings={"temperature": 0.0, **kept},  # what is as by default is not noted
                    prompt_digest=str(record["prompts"].get(agent, "")),
                    served_by=tuple(sorted(self._served.get((agent, settings["model"]), ()))),
                )
                if repr(speaker) not in told:
                    told.add(repr(speaker))
                    yield speaker

    def _place(self, judge: tuple[str, str]) -> tuple[int, str]:
        """Return where a judge stands in the scenario: votes came as they happened to."""
        agents = list(dict.fromkeys(agent for record in self._records.values() for agent in record["models"]))
        return agents.index(judge[0]), judge[1]

    def _judge(self, agent: str, model: str) -> Judge:
        votes = self._judges[agent, model]
        return Judge(
            agent=agent,
            model=model,
            votes=votes.votes,
            unread=votes.unread,
            flip_rate=votes.flip_rate(),
            half_unread=votes.half_unread,
            scores_alone=votes.scores_alone,
            kin=tuple(sorted(self._kin[agent, model])),
        )


def _mark(noted: str | None) -> dict[str, Any]:
    """Return what is noted of the data set; of runs that played no file nothing is."""
    found: object = orjson.loads(noted) if noted else {}
    return dict(found) if isinstance(found, dict) else {}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]  # of JSON
