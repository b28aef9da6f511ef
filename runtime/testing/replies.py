"""What an endpoint says: completions, spoiled ones and errors, each with what it bills."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from .completions import IMPOSSIBLE, REFUSAL, completion, spoil
from .faults import WITHOUT_ANSWER, WITHOUT_BILL, WITHOUT_STATUS, WRONG, Fault, Misbehaviour
from .ledger import Served, Tokens
from .questions import Question
from .streams import events
from .timeline import Enforceable

JSON = "application/json"
EVENTS = "text/event-stream"
NO_HEADERS: Mapping[str, str] = {}
GATEWAY = b"<html><body>The gateway is busy.</body></html>"
STORMY = {"message": "there are too many requests: slow down", "code": "rate_limit_exceeded"}


@dataclass(frozen=True, slots=True)
class Reply:
    """What is sent, if nothing hinders it."""

    pieces: tuple[bytes, ...]
    """The body; several pieces are sent one by one."""
    status: int = 200
    content_type: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    bill: Tokens | None = None
    """What its usage says, where it has one that can be and nothing keeps it from arriving."""
    unmetered: bool = False
    answered: bool = False
    fault: Fault | None = None
    refused: Enforceable | None = None

    @property
    def sort(self) -> Misbehaviour | None:
        """What goes wrong with it."""
        return self.fault.sort if self.fault else None

    @property
    def streams(self) -> bool:
        """Whether it comes in events."""
        return len(self.pieces) > 1

    @property
    def said(self) -> int:
        """The status that the client is sent, 0 for none."""
        return 0 if self.sort in WITHOUT_STATUS else self.status


@dataclass(frozen=True, slots=True)
class Metering:
    """What usage says beside the words of prompt and answer."""

    cached_share: float = 0.0
    """Of the input."""
    reasoning_tokens: int = 0
    """Added to every answer's."""

    def tokens(self, question: Question, text: str) -> Tokens:
        """Return what an answer costs: a token a word, and what it was thought over with."""
        words = len(text.split()) + self.reasoning_tokens
        return Tokens(question.words, words, int(question.words * self.cached_share), self.reasoning_tokens)


def error(
    status: int,
    words: Mapping[str, str],
    headers: Mapping[str, str] = NO_HEADERS,
    *,
    fault: Fault | None = None,
    refused: Enforceable | None = None,
) -> Reply:
    """Return an error in OpenAI's form."""
    return Reply((orjson.dumps({"error": words}),), status, headers=headers, fault=fault, refused=refused)


def stormy(fault: Fault) -> Reply:
    """Return what a storm says to everybody."""
    return error(429, STORMY if fault.error is WRONG else fault.error, fault.headers, fault=fault)


def served(reply: Reply, body: Mapping[str, Any], headers: Mapping[str, str], *, abandoned: bool) -> Served:
    """Return what is written down of a reply to a request; nothing is billed to a client that left."""
    if abandoned:
        return Served(body, headers, 0, abandoned=True, fault=reply.sort, refused=reply.refused)
    bill = reply.bill or Tokens()
    return Served(
        request=body,
        headers=headers,
        status=reply.said,
        input_tokens=bill.input,
        output_tokens=bill.output,
        cached_tokens=bill.cached,
        billed=reply.bill is not None,
        unmetered=reply.unmetered,
        answered=reply.answered,
        fault=reply.sort,
        refused=reply.refused,
    )


def reply(
    question: Question,
    text: str,
    metering: Metering,
    headers: Mapping[str, str],
    fault: Fault | None = None,
    impossible: Mapping[str, Any] = IMPOSSIBLE[0],
) -> Reply:
    """Return the reply to a question.

    Args:
        question: Which.
        text: The answer, if nothing goes wrong.
        metering: How it is counted.
        headers: Sent with it.
        fault: What goes wrong; none for a good reply.
        impossible: The usage told where the fault is a wrong one.
    """
    sort = fault.sort if fault else None
    if sort == "not-json":
        return Reply((GATEWAY,), content_type="text/html", headers=headers, fault=fault)
    if sort == "cut-off":
        text = text[: len(text) // 2]
    tokens = metering.tokens(question, REFUSAL if sort == "refused" else text)
    content = completion(question, text, tokens)
    metered = spoil(content, sort, impossible)
    pieces = events(content, counted=question.counts) if question.streams else (orjson.dumps(content),)
    if question.streams:
        metered = metered and (question.counts or sort in ("malformed", "no-choices"))
    billable = sort not in WITHOUT_BILL
    return Reply(
        pieces,
        content_type="text/plain" if sort == "wrong-type" else EVENTS if question.streams else JSON,
        headers=headers,
        bill=tokens if metered and billable else None,
        unmetered=billable and not metered,
        answered=sort not in WITHOUT_ANSWER,
        fault=fault,
    )
