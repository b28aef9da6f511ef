"""The names of conventions: OpenTelemetry's for generative AI, of 1.41 or newer ones, and OpenInference's.

Nothing else in this package knows them. Names of 1.41 are at
https://github.com/open-telemetry/semantic-conventions/tree/v1.41.0/docs/gen-ai, newer ones in the repository
open-telemetry/semantic-conventions-genai, which has no numbered release, and OpenInference's at
https://github.com/Arize-ai/openinference/blob/main/spec/semantic_conventions.md. What no convention has a name for is
called `fellowship.…`.
"""

from collections.abc import Hashable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import orjson

from ...protocols.models import EMBEDDED
from .evaluations import UNREAD_ERROR, Evaluation
from .records import Attributes, Common, Held, Sender, Value

SCHEMA_URL = "https://opentelemetry.io/schemas/1.41.0"
OPT_IN, LATEST = "OTEL_SEMCONV_STABILITY_OPT_IN", "gen_ai_latest_experimental"
EVALUATION = "gen_ai.evaluation.result"
PROVIDERS = {
    "anthropic": "anthropic",
    "azure": "azure.ai.openai",
    "bedrock": "aws.bedrock",
    "cohere": "cohere",
    "deepseek": "deepseek",
    "gemini": "gcp.gemini",
    "groq": "groq",
    "mistral": "mistral_ai",
    "openai": "openai",
    "perplexity": "perplexity",
    "vertex": "gcp.vertex_ai",
    "vertex_ai": "gcp.vertex_ai",
    "watsonx": "ibm.watsonx.ai",
    "xai": "x_ai",
}
"""Ours, by which the conventions have a well-known value; any other is told by its own name."""
ALSO_CALLED = {"together_ai": "together", "hosted_vllm": "vllm", "fireworks_ai": "fireworks"}
"""As runtime.models.endpoints has them, which takes half a second to load; whoever follows a run should not wait."""
NEWER_PROVIDERS = {"moonshot": "moonshot_ai"}
REQUEST = {
    "max_tokens": "gen_ai.request.max_tokens",
    "seed": "gen_ai.request.seed",
    "stop": "gen_ai.request.stop_sequences",
    "temperature": "gen_ai.request.temperature",
    "top_p": "gen_ai.request.top_p",
}
"""Settings of a call that have a name; the others are `fellowship.request.…`."""
NEWER_REQUEST = {"reasoning_effort": "gen_ai.request.reasoning.level"}
DOUBLES = frozenset({"temperature", "top_p"})
LISTS = frozenset({"stop"})
PAID_HERE = frozenset({"endpoint", "batch", "cache"})
"""Sources whose usage is this run's own, and counted nowhere else."""
JUDGING = frozenset({"cast_vote", "compare_drafts", "score_draft", "give_feedback", "give_approval"})

Called = Mapping[str, Any]
"""The body of a `model_called`."""
Message = tuple[str, str]
"""Role and text."""


Told = tuple[Common, Attributes]
"""What many have in common, and what is one's own."""
MOST_COMMON = 10_000
"""Sets of common attributes that are remembered at once."""


class Asked(NamedTuple):
    """A command, as its span tells it; many are alike."""

    command: str
    agent: str
    step: str
    round: int


class GenAI:
    """OpenTelemetry's conventions for generative AI."""

    events = True
    """Whether evaluations are events; else they are spans."""
    conversation = "gen_ai.conversation.id"

    def __init__(self, *, content: bool = False, latest: bool = False) -> None:
        """Choose names.

        Args:
            content: Whether prompts, answers and reasons are told.
            latest: Names that are newer than 1.41, where there are any.
        """
        self.content = content
        self.schema_url = "" if latest else SCHEMA_URL  # newer ones have no release, so no schema
        self._request = {**REQUEST, **(NEWER_REQUEST if latest else {})}
        self._providers = {**PROVIDERS, **(NEWER_PROVIDERS if latest else {})}
        self._commons: dict[Hashable, Common] = {}

    def held(self, sender: Sender, name: str, item: str) -> Held:
        """Return a conversation."""
        return Held((self.conversation, f"{sender.run}/{name}"), ("fellowship.item.id", item))

    # names of spans

    def workflow_name(self, sender: Sender) -> str:
        """Return the name of a conversation's span."""
        return f"invoke_workflow {sender.workflow}"

    def agent_name(self, agent: str) -> str:
        """Return the name of the span of an agent that is asked for something."""
        return f"invoke_agent {agent}"

    def chat_name(self, called: Called) -> str:
        """Return the name of a model call's span."""
        return _chatting(called["model"])

    # their attributes

    def workflow(self, sender: Sender) -> Common:
        """Return what a conversation's span says from the beginning."""
        return self._commons.get(sender.run) or self._kept(sender.run, self._workflow(sender))

    def _workflow(self, sender: Sender) -> Attributes:
        return {
            "gen_ai.operation.name": "invoke_workflow",
            "gen_ai.workflow.name": sender.workflow,
            "fellowship.run.id": sender.run,
        }

    def workflow_said(self, asked: str | None, answered: str | None) -> Attributes:
        """Return what a conversation was about and came to; content."""
        found: Attributes = {}
        if asked is not None:
            found["gen_ai.input.messages"] = _json([_message("user", asked)])
        if answered is not None:
            found["gen_ai.output.messages"] = _json([{**_message("assistant", answered), "finish_reason": "stop"}])
        return found

    def agent(self, sender: Sender, conversation: str, asked: Asked, sequence: int) -> Told:
        """Return what the span of an agent that is asked for something says from the beginning."""
        common = self._commons.get(asked) or self._kept(asked, self._agent(sender, asked))
        return common, {"gen_ai.agent.id": f"{asked.agent}@{conversation}", "fellowship.event": sequence}

    def _agent(self, sender: Sender, asked: Asked) -> Attributes:
        return {
            "gen_ai.operation.name": "invoke_agent",
            "gen_ai.agent.name": asked.agent,
            **_asked(sender, asked),
        }

    def chat(self, sender: Sender, agent: str, called: Called) -> Told:
        """Return what a model call's span says, but for its content."""
        own: Attributes = {}
        usage = called["usage"]
        if usage["reported"] and called["source"] in PAID_HERE:
            own["gen_ai.usage.input_tokens"] = usage["input_tokens"]
            own["gen_ai.usage.output_tokens"] = usage["output_tokens"]
            if usage["cached_tokens"]:
                own["gen_ai.usage.cache_read.input_tokens"] = usage["cached_tokens"]
            if usage["reasoning_tokens"]:
                own["gen_ai.usage.reasoning.output_tokens"] = usage["reasoning_tokens"]
        first = _first_word(called)
        if first is not None:
            own["gen_ai.request.stream"] = True
            own["gen_ai.response.time_to_first_chunk"] = first
        _add_paid(own, called, content=self.content)
        sort = _sort(agent, called)
        return self._commons.get(sort) or self._kept(sort, self._chat(sender, agent, called)), own

    def _chat(self, sender: Sender, agent: str, called: Called) -> Attributes:
        provider, model = _split(called["model"])
        found: Attributes = {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": self._providers.get(provider, provider),
            "gen_ai.request.model": model,
            "gen_ai.agent.name": agent,
            "gen_ai.output.type": "json" if "answer" in called else "text",
        }
        for name, value in called["settings"].items():
            told: Value = float(value) if name in DOUBLES else value
            if name in LISTS:
                told = tuple(value)
            found[self._request.get(name) or f"fellowship.request.{name}"] = told
        if "served_by" in called:
            found["gen_ai.response.model"] = called["served_by"]
        if "finish_reason" in called:
            found["gen_ai.response.finish_reasons"] = (called["finish_reason"],)
        return {**found, **_served(sender, called), **_call(called)}

    def chat_said(self, messages: Sequence[Message], called: Called) -> Attributes:
        """Return what was said to a model, and by it; content."""
        instructions = [_text(text) for role, text in messages if role == "system"]
        dialogue = [_message(role, text) for role, text in messages if role != "system"]
        found: Attributes = {"gen_ai.input.messages": _json(dialogue)}
        if instructions:
            found["gen_ai.system_instructions"] = _json(instructions)
        if "text" in called:
            thought = [{"type": "reasoning", "content": called["reasoning"]}] if "reasoning" in called else []
            parts = [*thought, _text(called["text"])]
            said = {"role": "assistant", "parts": parts, "finish_reason": called.get("finish_reason", "stop")}
            found["gen_ai.output.messages"] = _json([said])
        return found

    def evaluation(self, one: Evaluation, by: str, sequence: int) -> Told:
        """Return what an event, or a span, says of an evaluation."""
        own = _evaluated(one, sequence)
        if one.value is not None:
            own["gen_ai.evaluation.score.value"] = one.value
        if one.reason and self.content:
            own["gen_ai.evaluation.explanation"] = one.reason
        sort = (one.name, one.label, by, one.how)
        return self._commons.get(sort) or self._kept(sort, self._evaluation(one, by)), own

    def _evaluation(self, one: Evaluation, by: str) -> Attributes:
        found: Attributes = {"gen_ai.evaluation.name": one.name}
        if one.label is not None:
            found["gen_ai.evaluation.score.label"] = one.label
        return {**found, **_rated(one, by)}

    def _kept(self, sort: Hashable, attributes: Attributes) -> Common:
        """Keep what all of a sort have in common."""
        if len(self._commons) >= MOST_COMMON:
            self._commons.clear()
        found = self._commons[sort] = Common(attributes)
        return found


class OpenInference(GenAI):
    """OpenInference's names, as Phoenix reads them; it has spans alone, so evaluations are spans, too."""

    events = False
    conversation = "session.id"

    def __init__(self, *, content: bool = False, latest: bool = False) -> None:
        """Choose names; `latest` has no meaning here."""
        super().__init__(content=content, latest=latest)
        self.schema_url = ""

    def _workflow(self, sender: Sender) -> Attributes:
        return {"openinference.span.kind": "CHAIN", "fellowship.run.id": sender.run}

    def workflow_said(self, asked: str | None, answered: str | None) -> Attributes:
        """Return what a conversation was about and came to; content."""
        return {**_valued("input", asked), **_valued("output", answered)}

    def agent(self, sender: Sender, conversation: str, asked: Asked, sequence: int) -> Told:
        """Return what the span of an agent that is asked for something says from the beginning."""
        del conversation
        common = self._commons.get(asked) or self._kept(asked, self._agent(sender, asked))
        return common, {"fellowship.event": sequence}

    def _agent(self, sender: Sender, asked: Asked) -> Attributes:
        kind = "EVALUATOR" if asked.command in JUDGING else "AGENT"
        return {"openinference.span.kind": kind, "agent.name": asked.agent, **_asked(sender, asked)}

    def chat(self, sender: Sender, agent: str, called: Called) -> Told:
        """Return what a model call's span says, but for its content."""
        own: Attributes = {}
        usage = called["usage"]
        if usage["reported"] and called["source"] in PAID_HERE:
            own["llm.token_count.prompt"] = usage["input_tokens"]
            own["llm.token_count.completion"] = usage["output_tokens"]
            own["llm.token_count.total"] = usage["input_tokens"] + usage["output_tokens"]
            if usage["cached_tokens"]:
                own["llm.token_count.prompt_details.cache_read"] = usage["cached_tokens"]
            if usage["reasoning_tokens"]:
                own["llm.token_count.completion_details.reasoning"] = usage["reasoning_tokens"]
            if "cost_usd" in called:
                own["llm.cost.total"] = float(called["cost_usd"])
        _add_paid(own, called, content=self.content)
        sort = _sort(agent, called)
        return self._commons.get(sort) or self._kept(sort, self._chat(sender, agent, called)), own

    def _chat(self, sender: Sender, agent: str, called: Called) -> Attributes:
        provider, model = _split(called["model"])
        found: Attributes = {
            "openinference.span.kind": "LLM",
            "llm.provider": provider,
            "llm.model_name": called.get("served_by", model),
            "llm.invocation_parameters": _json({"model": model, **called["settings"]}),
            "fellowship.agent": agent,
        }
        if "finish_reason" in called:
            found["llm.finish_reason"] = called["finish_reason"]
        return {**found, **_served(sender, called), **_call(called)}

    def chat_said(self, messages: Sequence[Message], called: Called) -> Attributes:
        """Return what was said to a model, and by it; content."""
        found: Attributes = dict(_flat("llm.input_messages", messages))
        found |= _valued("input", messages[-1][1] if messages else None)
        if "text" in called:
            found |= dict(_flat("llm.output_messages", [("assistant", called["text"])]))
            found |= _valued("output", called["text"])
        return found

    def evaluation(self, one: Evaluation, by: str, sequence: int) -> Told:
        """Return what a span says of an evaluation."""
        told = {name: value for name, value in (("label", one.label), ("score", one.value)) if value is not None}
        own = _evaluated(one, sequence)
        own |= {f"evaluation.{name}": value for name, value in told.items()}
        own |= {"output.value": _json(told), "output.mime_type": "application/json"}
        if one.reason and self.content:
            own["evaluation.explanation"] = one.reason
        sort = (one.name, by, one.unread, one.how)
        return self._commons.get(sort) or self._kept(sort, self._evaluation(one, by)), own

    def _evaluation(self, one: Evaluation, by: str) -> Attributes:
        return {"openinference.span.kind": "EVALUATOR", "evaluation.name": one.name, **_rated(one, by)}


# what both say


def failed(error: str) -> Attributes:
    """Return what says that something failed, by the class of its error."""
    return {"error.type": error}


def resource(sender: Sender, version: str) -> Attributes:
    """Return who sends all this."""
    return {"service.name": "llm-fellowship", "service.version": version, "fellowship.run.id": sender.run}


def _sort(agent: str, called: Called) -> Hashable:
    """Return what is alike in model calls that have attributes in common."""
    get = called.get
    return (
        agent,
        called["model"],
        "answer" in called,
        orjson.dumps(called["settings"]),  # in less time than `repr` takes
        get("served_by"),
        get("finish_reason"),
        called["source"],
        get("round"),
        get("tier"),
        len(called["attempts"]),
    )


@lru_cache(maxsize=256)
def _chatting(model: str) -> str:
    return f"chat {model.partition('/')[2] or model}"


def _asked(sender: Sender, asked: Asked) -> Attributes:
    role = sender.roles.get(asked.agent)
    return {
        "fellowship.command": asked.command,
        "fellowship.step": asked.step,
        "fellowship.round": asked.round,
        **({"fellowship.role": role} if role is not None else {}),
    }


def _call(called: Called) -> Attributes:
    found: Attributes = {"fellowship.source": called["source"], "fellowship.attempts": len(called["attempts"])}
    if "round" in called:
        found["fellowship.round"] = called["round"]
    if "tier" in called:
        found["fellowship.tier"] = called["tier"]
    return found


def _add_paid(found: Attributes, called: Called, *, content: bool) -> None:
    """Add how often a call was tried in vain, and what it cost."""
    errors: list[str] = []
    for attempt in called["attempts"]:
        if "error" in attempt:
            errors.append(attempt["error"])  # noqa: PERF401 - mostly there is none, and one attempt
    if errors:
        found["fellowship.attempts.failed"] = len(errors)
        if content:  # an endpoint may repeat what it was asked
            found["fellowship.attempts.errors"] = tuple(errors)
    if called["source"] in PAID_HERE:
        if "cost_usd" in called:
            found["fellowship.cost_usd"] = float(called["cost_usd"])
    else:  # paid for elsewhere, or counted where it stands first
        found["fellowship.recorded.input_tokens"] = called["usage"]["input_tokens"]
        found["fellowship.recorded.output_tokens"] = called["usage"]["output_tokens"]
        if "cost_usd" in called:
            found["fellowship.recorded.cost_usd"] = float(called["cost_usd"])


def _served(sender: Sender, called: Called) -> Attributes:
    """Return where an endpoint is, as far as the log knows."""
    model: str = called["model"]
    server = sender.servers.get(model) or sender.servers.get("*")
    if server is None or model.startswith(f"{EMBEDDED}/"):
        return {}
    return {"server.address": server[0], "server.port": server[1]}


def _evaluated(one: Evaluation, sequence: int) -> Attributes:
    own: Attributes = {"fellowship.event": sequence}
    if one.score_a is not None and one.score_b is not None:
        own["fellowship.score_a"], own["fellowship.score_b"] = one.score_a, one.score_b
    if one.confidence is not None:
        own["fellowship.confidence"] = one.confidence
    return own


def _rated(one: Evaluation, by: str) -> Attributes:
    return {
        "fellowship.rater": by,
        **{f"fellowship.{name}": value for name, value in one.how.attributes.items()},
        **(failed(UNREAD_ERROR) if one.unread else {}),
    }


def _split(model: str) -> tuple[str, str]:
    provider, slash, name = model.partition("/")
    return (ALSO_CALLED.get(provider, provider), name) if slash else ("unknown", model)


def _first_word(called: Called) -> float | None:
    attempts: Sequence[Mapping[str, Any]] = called["attempts"]
    found: float | None = attempts[-1].get("first_token_s") if attempts else None
    return found


def _text(text: str) -> dict[str, str]:
    return {"type": "text", "content": text}


def _message(role: str, text: str) -> dict[str, Any]:
    return {"role": role, "parts": [_text(text)]}


def _flat(name: str, messages: Sequence[Message]) -> Iterator[tuple[str, str]]:
    for number, (role, text) in enumerate(messages):
        yield f"{name}.{number}.message.role", role
        yield f"{name}.{number}.message.content", text


def _valued(name: str, text: str | None) -> Attributes:
    return {} if text is None else {f"{name}.value": text, f"{name}.mime_type": "text/plain"}


def _json(document: object) -> str:
    return orjson.dumps(document).decode()
