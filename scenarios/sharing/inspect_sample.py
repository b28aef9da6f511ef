"""One conversation as a sample of an Inspect log."""

import re
from collections.abc import Sequence
from hashlib import blake2b
from typing import Any

from ...protocols.events import Event
from ...protocols.items import Item
from ...protocols.lifecycle import ItemFailed, ItemFinished, ModelCalled
from ...runtime.log import LogReader
from ..traces.talk import Talk, folded
from ..traces.transcript import words
from .inspect_events import Pool, Transcript, spoken
from .inspect_scores import scores, target
from .inspect_terms import Json, add_usage, failure, iso, usage
from .members import Cast, member

SAFE = re.compile(r"(?!.*(?:^|/)\.{0,2}(?:/|$))[^\x00-\x1f\x7f\\:]{1,120}")
"""An id that can be part of a file's name in an archive, folders included."""
SUMMARISED = ("id", "epoch", "input", "choices", "target", "scores", "model_usage", "role_usage", "started_at",
              "completed_at", "total_time", "uuid")  # fmt: skip
LONGEST = 1024
"""Characters of a text in a summary."""


def sample_id(item: str) -> str:
    """Return what a sample is called: as its item, or by a digest of it where no file could be called so."""
    return item if SAFE.fullmatch(item) else f"item-{blake2b(item.encode(), digest_size=8).hexdigest()}"


def sample(log: LogReader, events: Sequence[Event], cast: Cast, run: str, model: str) -> tuple[Json, Talk]:
    """Return a conversation as a sample.

    Args:
        log: The log that it is from, for the texts of prompts.
        events: All of its events, in order.
        cast: Who takes part.
        run: The run's id.
        model: Of the run, as the log's header has it.

    Returns:
        The sample, and the conversation.
    """
    conversation = events[0].conversation
    talk = folded(conversation, events)
    item, outcome, pool = talk.item, talk.outcome, Pool(log)
    found = _about(item)
    found |= {
        "messages": [*found["input"], *_messages(talk, cast)],
        "output": _output(outcome, model, f"{run}.{conversation}"),
        "scores": scores(talk),
        "metadata": _metadata(item, talk),
        "store": {},
        "started_at": iso(talk.began_s),
        "uuid": f"{run}.{conversation}",
        "attachments": {},
    }
    transcript = Transcript(talk, cast, pool, run)
    whole = {name: score for name, score in found["scores"].items() if " " not in name}
    found["events"] = list(transcript.events(events, whole, found["target"]))
    found["events_data"] = {"messages": pool.messages, "calls": []}
    found |= _used(events, cast)
    if outcome is not None:
        found |= {"completed_at": iso(talk.last_s), "total_time": talk.seconds}
    if isinstance(outcome, ItemFailed):
        found["error"] = failure(f"{outcome.cause.error}: {outcome.cause.reason}")
    return found, talk


def summary(found: Json, *, completed: bool) -> Json:
    """Return what Inspect lists of a sample, long texts cut off."""
    kept = {name: found[name] for name in SUMMARISED if name in found}
    kept["input"] = [{**message, "content": _cut(message["content"])} for message in kept["input"]]
    kept["target"] = _cut(kept["target"])
    kept["metadata"] = {key: value for key, value in found["metadata"].items() if len(str(value)) <= LONGEST}
    kept["scores"] = {name: _short(score) for name, score in kept["scores"].items()}
    error = {"error": found["error"]["message"]} if "error" in found else {}
    return kept | error | {"completed": completed, "message_count": len(found["messages"])}


def _short(score: Json) -> Json:
    texts: Json = {name: _cut(score[name]) for name in ("answer", "explanation") if name in score}
    return {**{name: value for name, value in score.items() if name != "metadata"}, **texts}


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _about(item: Item) -> Json:
    asked = [(turn.role, turn.content) for turn in item.history] + [("user", item.prompt)]
    found: Json = {
        "id": sample_id(item.id),
        "epoch": 1,
        "input": [
            {"id": f"input-{number}", "role": role, "content": text, "source": "input"}
            for number, (role, text) in enumerate(asked)
        ],
        "target": target(item),
    }
    choices = item.choices or tuple(candidate.text for candidate in item.candidates)
    return {**found, "choices": list(choices)} if choices else found


def _metadata(item: Item, talk: Talk) -> dict[str, Any]:
    """Return the item's own columns, and under `fellowship`, or the next name that is free, what is ours."""
    ours: dict[str, Any] = {"item": item.id, "conversation": talk.conversation, "number": talk.number}
    if item.variant is not None:
        ours["variant"] = item.variant
    if item.human:
        ours["human"] = [vote.model_dump(mode="json") for vote in item.human]
    if any(candidate.model for candidate in item.candidates):
        ours["candidates"] = {candidate.slot: candidate.model for candidate in item.candidates}
    name = "fellowship"
    while name in item.metadata:
        name += "_"
    return {**item.metadata, name: ours}


def _messages(talk: Talk, cast: Cast) -> list[Json]:
    """Return what was said, by whom and to whom."""
    found: list[Json] = []
    for turn in talk.turns:
        if not turn.said:
            continue
        known = member(cast, turn.speaker)
        text = "\n\n".join(filter(None, (f"{spoken(turn)}:", words(turn.message))))
        facts: Json = {"agent": turn.speaker, "kind": turn.message.kind, "round": turn.round}
        facts |= {"heard_by": turn.heard_by, "event": turn.sequence}
        message: Json = {"id": f"event-{turn.sequence}", "role": "assistant", "content": text, "metadata": facts}
        found.append({**message, "model": known.model} if known.model else message)
    return found


def _output(outcome: ItemFinished | ItemFailed | None, model: str, identity: str) -> Json:
    if not isinstance(outcome, ItemFinished):
        return {"model": model, "choices": [], "completion": ""}
    text = next((each for each in (outcome.text, outcome.answer, outcome.verdict) if each is not None), "")
    message = {"id": identity, "role": "assistant", "content": text, "source": "generate"}
    return {"model": model, "choices": [{"message": message, "stop_reason": "stop"}], "completion": text}


def _used(events: Sequence[Event], cast: Cast) -> Json:
    """Return what the calls of a conversation took, by model and by role.

    Answers that come from an earlier conversation about the item count, too: that one is not in the log.
    """
    models: dict[str, Json] = {}
    roles: dict[str, Json] = {}
    for event in events:
        if event.kind != "model_called":
            continue
        called = event.message()
        if isinstance(called, ModelCalled):
            took = usage(called)
            add_usage(models, called.model, took)
            add_usage(roles, member(cast, event.sender).role, took)
    return {"model_usage": models, "role_usage": roles}
