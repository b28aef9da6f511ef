"""What judges said of the drafts of a run, as ratings: a ballot on two drafts is a vote on one as a, the other as b.

Who wrote a and b is told by the drafts' names, `writer/1` and `writer/3`, not by their models: so a win rate is that of
later versions over earlier ones, and two drafts of one model are two. The a of two drafts is always the one whose
writer stands first in the scenario, or the earlier one of the same writer, whichever a judge was asked about first: so
that two judges of the same drafts vote on the same item.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from ...protocols.identity import ConversationId
from ...protocols.judging import MIRRORED
from ...runtime.log import LogReader
from ...runtime.log.faults import damaged
from ...runtime.recording.standing import sift
from .rating import Rating
from .votes import add_cost, ballots_of, prompt_digest

SAID = ("draft_written", "drafts_compared", "draft_scored")
KINDS = ("item_opened", "item_resumed", "model_called", *SAID, "item_finished", "item_failed")
Said = tuple[str, str, dict[str, Any], str | None]
"""Who, which kind, what, and the digest of a text that is kept apart."""


@dataclass(slots=True)
class _Talk:
    """What a conversation has come to so far."""

    opened: dict[str, Any]
    said: list[Said] = field(default_factory=list[Said])
    costs: dict[str, float | None] = field(default_factory=dict[str, float | None])
    """Of each agent; None where nobody knows."""
    set_aside: bool = False


@dataclass(frozen=True, slots=True)
class _Cast:
    """Who plays in a scenario, or in one variant of a sweep."""

    name: str
    """What judges' names begin with; empty where one judges alone and it is no sweep."""
    models: Mapping[str, str]
    """Of each agent, in the scenario's order."""
    alone: bool

    @classmethod
    def of(cls, variant: str, record: dict[str, Any]) -> "_Cast":
        scenario: dict[str, Any] = record["scenario"]
        models = {agent: str(settings["model"]) for agent, settings in record["models"].items()}
        alone = len(set(_judges(scenario["flow"]))) < 2
        return cls(variant if alone else variant or str(scenario["scenario"]), models, alone)

    def rater(self, agent: str) -> str:
        return f"{self.name}:{agent}" if not self.alone else self.name or agent

    def place(self, draft: str) -> tuple[int, str, int]:
        """Return where a draft stands among those of its conversation."""
        writer, _, version = draft.rpartition("/")
        agents = list(self.models)
        return agents.index(writer) if writer in agents else len(agents), writer, int(version)


class DraftVotes:
    """The ballots on drafts in the conversations that have an outcome; of one that failed, those cast until then."""

    def __init__(self, log: LogReader, played: dict[str, Any]) -> None:
        """Read a log in which `played` is noted."""
        self._log = log
        self._casts = {name: _Cast.of(name, record) for name, record in played.get("variants", {"": played}).items()}

    def ended(self) -> Iterator[tuple[int, list[Rating]]]:
        """Return the number of each item that has an outcome, and its ratings.

        Raises:
            LogError: the log is damaged.
        """
        last = self._log.last()
        set_aside = self._log.set_aside(last)
        talks: dict[str, _Talk] = {}
        for sequence, conversation, sender, kind, body, digest in self._log.bodies(KINDS, until=last):
            try:
                content: dict[str, Any] = orjson.loads(body)
                if kind == "item_opened":
                    talks[conversation] = _Talk(content)
                elif conversation not in talks:
                    continue  # a damaged log has lost its beginning
                elif kind not in ("item_finished", "item_failed"):
                    _take(talks[conversation], (sender, kind, content, digest))
                elif sequence not in set_aside:
                    talk = talks.pop(conversation)
                    said = self._standing(conversation, sequence) if talk.set_aside else talk.said
                    yield content["number"], list(self._ratings(talk, said))
            except (ValueError, KeyError, TypeError) as error:
                raise damaged(self._log.path, f"event {sequence} is not what it was") from error

    def _standing(self, conversation: str, until: int) -> Iterator[Said]:
        """Return what counts where a part of a conversation was tried again."""
        for event in sift(self._log.events(ConversationId(conversation))).standing():
            if event.kind in SAID and event.sequence < until:
                yield event.sender, event.kind, orjson.loads(event.body), None

    def _ratings(self, talk: _Talk, said: Iterable[Said]) -> Iterator[Rating]:
        item = talk.opened["item"]
        variant: str = item.get("variant") or ""
        cast = self._casts[variant]
        drafts: dict[str, tuple[dict[str, Any], str | None]] = {}
        votes: dict[tuple[str, str, str], dict[str, Any]] = {}
        parts: dict[str, int] = {}
        """Of each judge: ballots and scores that its cost is shared by."""
        for who, kind, content, digest in said:
            if kind == "draft_written":
                drafts[f"{who}/{content['version']}"] = content, digest
            elif kind == "draft_scored":
                parts[who] = parts.get(who, 0) + 1
            else:
                first, second = sorted((content["first"], content["second"]), key=cast.place)
                votes[who, first, second] = content
        for (who, _, _), vote in votes.items():
            parts[who] = parts.get(who, 0) + len(vote["ballots"])
        lengths = {name: self._length(*drafts[name]) for _, *both in votes for name in both}
        agents = list(cast.models)
        for (who, first, second), vote in sorted(
            votes.items(), key=lambda pair: (cast.place(pair[0][1]), cast.place(pair[0][2]), agents.index(pair[0][0]))
        ):
            facts = {
                "item": f"{item['id']}/{_dashed(first)}:{_dashed(second)}",
                "prompt": prompt_digest(item),
                "model_a": f"{variant}/{first}" if variant else first,
                "model_b": f"{variant}/{second}" if variant else second,
                "length_a": lengths[first],
                "length_b": lengths[second],
            }
            cost, share = talk.costs.get(who, 0.0), len(vote["ballots"]) / (parts[who] or 1)
            told = vote if vote["first"] == first else {"ballots": [_mirrored(ballot) for ballot in vote["ballots"]]}
            paid = None if cost is None else cost * share
            yield from ballots_of(cast.rater(who), cast.models.get(who), told, paid, facts)

    def _length(self, draft: dict[str, Any], digest: str | None) -> int:
        text = draft.get("text")
        return len(text if text is not None else self._log.text(digest or ""))


def _take(talk: _Talk, said: Said) -> None:
    sender, kind, content, _ = said
    if kind in SAID:
        talk.said.append(said)
    elif kind == "item_resumed":
        talk.set_aside = talk.set_aside or bool(content.get("set_aside"))
    elif content["source"] != "earlier":  # else it was counted where it was made
        add_cost(talk.costs, sender, content)


def _mirrored(ballot: dict[str, Any]) -> dict[str, Any]:
    """Return a ballot in which a and b have changed their names."""
    scores = {"score_a": ballot.get("score_b"), "score_b": ballot.get("score_a")}
    order = "ba" if ballot["order"] == "ab" else "ab"
    return {**ballot, "order": order, "verdict": MIRRORED[ballot["verdict"]], **scores}


def _dashed(draft: str) -> str:
    """Return a draft's name for use within an item's: `writer-2`."""
    return "-".join(draft.rsplit("/", 1))


def _judges(flow: list[dict[str, Any]]) -> Iterator[str]:
    """Return who is asked to compare drafts, anywhere in a flow."""
    for step in flow:
        by: str | list[str] = step.get("by") or []
        yield from [by] if isinstance(by, str) else by
        for inner in ("do", "else"):
            yield from _judges(step.get(inner, []))
