"""The words of a message by which it is found, out of its body as the log has it."""

from typing import Any

from ...protocols.events import known_kinds

SPOKEN = frozenset(
    {
        "approval_given",
        "argument_made",
        "criteria_proposed",
        "draft_scored",
        "draft_written",
        "drafts_compared",
        "feedback_given",
        "question_asked",
        "summary_written",
        "vote_cast",
    }
)
"""Kinds of what agents say."""
ITEM = frozenset({"item_opened", "item_finished", "item_failed"})
FAILED = frozenset({"item_failed", "agent_failed"})
PARAGRAPH = "\n\n"


def is_searched(kind: str) -> bool:
    """Return whether messages of a kind are found by their words; those of plugins are, whatever they are."""
    return kind in SPOKEN or kind in ITEM or kind in FAILED or kind not in known_kinds()


def words_of(kind: str, content: dict[str, Any]) -> str:  # noqa: PLR0911 - one for each sort
    """Return all words of a message; empty where it has none."""
    if kind == "item_opened":
        return _of_item(content["item"])
    if kind in FAILED:
        return f"{content['cause']['error']}: {content['cause']['reason']}"
    if kind in ("vote_cast", "drafts_compared"):
        return PARAGRAPH.join(ballot["reason"] for ballot in content["ballots"] if ballot.get("reason"))
    if kind == "criteria_proposed":
        return "\n".join(f"- {criterion}" for criterion in content["criteria"])
    if kind == "item_finished":
        return _joined(content, "answer", "text")
    if kind in SPOKEN:
        return _joined(content, "evaluation", "feedback", "text", "reason")
    return PARAGRAPH.join(text for name, text in content.items() if name != "kind" and isinstance(text, str))


def _joined(content: dict[str, Any], *names: str) -> str:
    return PARAGRAPH.join(content[name] for name in names if content.get(name))


def _of_item(item: dict[str, Any]) -> str:
    parts = [item["id"], *(turn["content"] for turn in item.get("history") or ()), item["prompt"]]
    parts += [candidate["text"] for candidate in item.get("candidates") or ()]
    return PARAGRAPH.join(str(part) for part in (*parts, *(item.get("choices") or ()), item.get("reference") or ""))
