"""Lines of a run as the command line shows them: at which level what, with the ids by which all of it is joined."""

import json
from itertools import chain, repeat
from pathlib import Path
from typing import Any

import pytest
from logs_bound import joined
from playing import MODEL, beside, fellowship, status, written

from fellowship.protocols.models import ModelCall
from fellowship.runtime.testing import Fault, LoopbackEndpoint, as_reply

KEY = "sk-Pl4nted-in-3very-answer"
LIMITED = {"message": f"{KEY} may send 60 requests per min", "code": "rate_limit_exceeded"}


def faulty(call: ModelCall) -> str:
    return as_reply(call, f"so {KEY}")


def played(folder: Path, monkeypatch: pytest.MonkeyPatch, *options: str) -> tuple[Path, str]:
    """Play three items before a judge whose endpoint refuses a call once, and another for good; returns what is said."""
    monkeypatch.setenv("ACME_API_KEY", KEY)
    faults = chain(
        [Fault(status=429, headers={"retry-after": "0.05"}, error=LIMITED), None],
        [Fault(status=400, error={"message": f"not \x1b[31m{KEY}"})],
        repeat(None),
    )
    out = folder / "run"
    with beside(LoopbackEndpoint(faulty, faults=faults)) as server:
        where = ("--data", written(folder / "data.jsonl", 3), "--out", out, "--base-url", server.base_url)
        run = fellowship("run", "judge", *where, "--model", MODEL, "--concurrency", 1, *options)
    assert run.exit_code == 1, run.output
    assert KEY not in run.output
    assert "\x1b" not in run.output
    return out, run.stderr


def test_every_line_has_the_ids_of_its_scope_and_each_call_is_one_call_of_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, said = played(tmp_path, monkeypatch, "--log-json", "-vv")
    lines: list[dict[str, Any]] = [json.loads(line) for line in said.splitlines()]
    joined(lines, out)
    shown = [line["event"] for line in lines if line.get("item") == "i0"]
    begun = ["item_opened", "cast_vote", "call_sent", "endpoint_held", "attempt_failed", "call_put_off", "call_sent"]
    assert shown == [*begun, "endpoint_released", "call_answered", "vote_cast", "decision_made", "item_finished"]
    refused = next(line for line in lines if line["event"] == "attempt_failed")
    assert (refused["status"], refused["retry_after_s"], refused["limit"]) == (429, 0.05, "requests")
    assert "[secret ACME_API_KEY] may send" in refused["reason"]
    answered = next(line for line in lines if line["event"] == "call_answered")
    assert (answered["source"], answered["model"], answered["attempts"]) == ("endpoint", MODEL, 2)
    assert answered["input_tokens"] > 0
    assert answered["seconds"] > 0
    failed = next(line for line in lines if line["event"] == "agent_failed")
    assert (failed["item"], failed["error"], failed["then"]) == ("i1", "CallRefused", "fail")
    assert status(out)["run_id"] == lines[0]["run"]


@pytest.mark.parametrize(
    ("options", "events"),
    [
        ((), {"item_failed"}),
        (("-v",), {"run_started", "item_opened", "item_finished", "endpoint_held", "item_failed", "run_ended"}),
        (("--log-level", "info"), {"run_started", "item_opened", "item_finished", "item_failed", "run_ended"}),
        (("-vv", "--log-level", "warning"), {"item_failed"}),
    ],
)
def test_only_what_failed_is_told_unless_more_is_asked_for(
    options: tuple[str, ...], events: set[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, said = played(tmp_path, monkeypatch, *options)
    told = {line.split("]")[1].split()[0] for line in said.splitlines() if line[:2] == "20"}
    assert events <= told <= events | {"endpoint_held", "endpoint_released"}
    assert (len(events) > 1) == ("endpoint_held" in told)
    failed = next(line for line in said.splitlines() if "item_failed" in line)
    assert all(f"{name}=" in failed for name in ("run", "path", "item", "conversation", "error", "reason"))
    assert status(out)["failed"] == 1
