"""The command plan, and the question before a run that may be dear."""

import json
import os
import pty
import sys
from collections.abc import Iterator
from io import BufferedReader, StringIO, TextIOWrapper
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from playing import beside, fellowship, written

from fellowship.protocols.errors import DeclarationError
from fellowship.runtime.testing import LoopbackEndpoint
from fellowship.scenarios.cli import main
from fellowship.scenarios.commands.asking import Threshold

FIGURES = {"least", "expected", "expected_ci", "greatest"}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return written(tmp_path / "d.jsonl", 6)


@pytest.fixture
def prices(tmp_path: Path) -> Path:
    path = tmp_path / "prices.json"
    path.write_text(json.dumps({"acme/m": {"input_cost_per_token": 0.01, "output_cost_per_token": 0.01}}))
    return path


def planned(*arguments: object) -> dict[str, Any]:
    result = fellowship("plan", *arguments, "--json")
    assert result.exit_code == 0, result.stderr
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def test_a_plan_is_one_document(data: Path) -> None:
    found = planned("debate", "--data", data, "--model", "openai/gpt-4o")
    assert (found["scenario"], found["items"]) == ("debate", 6)
    assert {key: found["calls"][key] for key in ("least", "expected", "greatest")} == {
        "least": 54,
        "expected": 54,
        "greatest": 54,
    }
    assert found["calls"]["with_further_requests"] == 108
    assert found["per_item"]["greatest"] == 9
    assert set(found["tokens"]) == {"input", "output"}
    assert found["tokens"]["input"].keys() == found["cost_usd"].keys() == found["time_s"].keys() == FIGURES
    assert found["unpriced"] == []
    assert found["agents"].keys() == {"public", "psychologist", "critic"}
    assert found["agents"]["critic"]["model"] == "openai/gpt-4o"
    assert found["agents"]["critic"]["rounds"]["1"]["greatest"] == 12
    assert any("4 characters a token" in line for line in found["assumptions"])


def test_a_terminal_is_shown_agents_and_rounds_then_totals_then_what_they_rest_on(data: Path) -> None:
    shown = fellowship("plan", "jury-escalating", "--data", data, "--limit", "2", "--model", "acme/m")
    assert shown.exit_code == 0
    rows = [line.split() for line in shown.stdout.splitlines()]
    assert ["first", "acme/m", "1", "2"] in [row[:4] for row in rows]
    assert next(row for row in rows if row[:1] == ["calls"])[1::-1] == ["6", "calls"]
    assert "36 requests at the very most" in shown.stdout
    assert "no price is known for acme/m" in shown.stdout


def test_options_change_what_is_planned(data: Path, prices: Path) -> None:
    both = planned("judge", "--data", data, "--model", "acme/m", "--set", "judging.orders=both", "--prices", prices)
    assert both["calls"]["expected"] == 12
    tokens = both["tokens"]["input"]["expected"] + both["tokens"]["output"]["expected"]
    assert both["cost_usd"]["expected"] == pytest.approx(tokens / 100)
    slow = planned("judge", "--data", data, "--model", "acme/m", "--concurrency", "1", "--latency", "3")
    assert slow["time_s"]["expected"] == 18
    paced = planned("judge", "--data", data, "--model", "acme/m", "--rate", "acme/m=2rpm")
    assert paced["time_s"]["expected"] == 180
    short = planned("judge", "--data", data, "--model", "acme/m", "--words", "5")
    assert short["tokens"]["output"]["expected"] < slow["tokens"]["output"]["expected"]


def test_what_the_run_then_takes_lies_within_its_plan(data: Path, tmp_path: Path) -> None:
    options = ("--data", data, "--model", "acme/m")
    found = planned("jury-sequential", *options)
    with beside(LoopbackEndpoint()) as endpoint:
        run = fellowship(
            "run", "jury-sequential", *options, "--out", tmp_path / "r", "--base-url", endpoint.base_url, "--json"
        )
    assert found["calls"]["least"] <= json.loads(run.stdout)["calls"] <= found["calls"]["greatest"]


def test_a_sweep_is_planned_in_all_and_variant_by_variant(data: Path) -> None:
    found = planned("evaluation", "--data", data, "--limit", "1", "--model", "openai/gpt-4o")
    assert found["calls"]["greatest"] == sum(each["calls"]["greatest"] for each in found["variants"].values()) == 15
    assert found["variants"]["judge/gpt-4o/independent"]["agents"]["judge"]["calls"]["least"] == 2
    shown = fellowship("plan", "evaluation", "--data", data, "--limit", "1", "--model", "openai/gpt-4o")
    assert "debate/gpt-4o" in shown.stdout


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("juge",), "did you mean 'judge'"),
        (("judge", "--words", "many"), "write 200, or draft=500,ballot=30"),
        (("judge", "--rate", "600"), "is no rate"),
        (("judge", "--prices", "nowhere.json"), "nowhere.json cannot be read"),
        (("judge", "--model", "x"), "no provider/model"),
    ],
)
def test_what_is_wrong_is_told_in_a_sentence(arguments: tuple[str, ...], told: str, data: Path) -> None:
    result = fellowship("plan", *arguments, "--data", data)
    assert result.exit_code == 2
    assert told in result.stderr
    assert "Traceback" not in result.stderr


def test_what_a_run_would_refuse_is_told_beside_its_plan(tmp_path: Path) -> None:
    data = tmp_path / "d.jsonl"
    data.write_text('{"id": "1", "prompt": "Why?"}\n')
    result = fellowship("plan", "preference-pairs", "--data", data, "--model", "acme/llama", "--json")
    assert json.loads(result.stdout)["items"] == 1
    assert "not played unless asked for" in result.stderr


# before a run

ASKED = ("--ask-above", "1usd")
COMMAND = ("run", "judge", "--model", "acme/m")


def at_a_terminal(answer: str, data: Path, out: Path, base_url: str, *more: object) -> tuple[int, str]:
    """Run a command whose stdin and stderr are a terminal; returns its exit code and what the terminal shows."""
    ours, theirs = pty.openpty()
    arguments = (*COMMAND, "--data", data, "--out", out, "--base-url", base_url, *more)
    os.write(ours, answer.encode())
    shown: list[bytes] = []
    reader = Thread(target=lambda: shown.extend(_read(ours)))
    with pytest.MonkeyPatch.context() as patch, os.fdopen(theirs, "r+b", buffering=0) as terminal:
        reader.start()
        patch.setattr(sys, "argv", ["fellowship", *map(str, arguments), "--json"])
        patch.setattr(sys, "stdin", TextIOWrapper(BufferedReader(terminal)))
        patch.setattr(sys, "stderr", TextIOWrapper(terminal, write_through=True))
        patch.setattr(sys, "stdout", StringIO())
        with pytest.raises(SystemExit) as ended:
            main()
    reader.join()
    os.close(ours)
    return int(ended.value.code or 0), b"".join(shown).decode()


def _read(terminal: int) -> Iterator[bytes]:
    while True:
        try:
            part = os.read(terminal, 4096)
        except OSError:  # the other end is closed
            return
        if not part:
            return
        yield part


def test_a_dear_run_is_asked_about_on_a_terminal_and_no_is_no(data: Path, prices: Path, tmp_path: Path) -> None:
    with beside(LoopbackEndpoint()) as endpoint:
        code, shown = at_a_terminal("n\n", data, tmp_path / "no", endpoint.base_url, "--prices", prices)
        assert code == 3
        assert "usd expected" in shown
        assert not (tmp_path / "no").exists()
        code, shown = at_a_terminal("y\n", data, tmp_path / "yes", endpoint.base_url, "--prices", prices, *ASKED)
        assert (code, "Begin?" in shown) == (0, True)
        assert len((tmp_path / "yes" / "results.jsonl").read_text().splitlines()) == 6


def test_a_run_that_has_begun_or_has_a_budget_or_goes_without_saying_is_not_asked_about(
    data: Path, prices: Path, tmp_path: Path
) -> None:
    with beside(LoopbackEndpoint()) as endpoint:
        for more in (("--yes",), ("--budget", "500usd")):
            out = tmp_path / more[-1]
            code, shown = at_a_terminal("", data, out, endpoint.base_url, "--prices", prices, *more)
            assert (code, "Begin?" in shown) == (0, False)
        again = at_a_terminal("", data, tmp_path / "--yes", endpoint.base_url, "--prices", prices)
        assert (again[0], "Begin?" in again[1]) == (0, False)
        piped = fellowship(
            *COMMAND, "--data", data, "--out", tmp_path / "p", "--base-url", endpoint.base_url, "--prices", prices
        )
        assert piped.exit_code == 0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, Threshold(5, 10_000)),
        ("20usd", Threshold(20, 10_000)),
        ("$3", None),
        ("300calls", Threshold(5, 300)),
        ("0usd, 1call", Threshold(0, 1)),
        ("1usd,2usd", None),
        ("much", None),
    ],
)
def test_a_threshold_is_money_calls_or_both(text: str | None, expected: Threshold | None) -> None:
    if expected is None:
        with pytest.raises(DeclarationError, match="write 5usd, 10000calls"):
            Threshold.from_str(text)
    else:
        assert Threshold.from_str(text) == expected
