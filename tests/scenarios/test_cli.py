"""The command line as people and scripts meet it."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest
from playing import fellowship

from fellowship.runtime.log import LogReader

PROMPT = "Why is the [bold]sky[/bold] blue?\x1b[31m"
SCENARIO = """\
scenario: mine
takes: comparison
models: {judge: acme/m}
agents: {judge: {role: judge, model: judge}}
flow:
  - {ask: judge, for: ballot}
  - {decide: unique-mode}
gives: verdict
"""


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "data.jsonl"
    rows = [{"id": f"i{n}", "prompt": PROMPT, "a": f"one {n}", "b": f"two {n}"} for n in range(4)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


SERVER = """
import asyncio, sys
from fellowship.runtime.testing import LoopbackEndpoint

async def main():
    async with LoopbackEndpoint(latency_s=float(sys.argv[1])) as server:
        print(server.base_url, flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


def serve(latency_s: float) -> Iterator[str]:
    with subprocess.Popen([sys.executable, "-c", SERVER, str(latency_s)], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        yield server.stdout.readline().strip()
        server.kill()


@pytest.fixture(scope="module")
def quick() -> Iterator[str]:
    yield from serve(0.0)


@pytest.fixture(scope="module")
def slow() -> Iterator[str]:
    yield from serve(0.5)


@pytest.fixture
def finished(tmp_path: Path, data: Path, quick: str) -> Path:
    out = tmp_path / "run"
    result = fellowship("run", "judge", "--data", data, "--model", "acme/m", "--base-url", quick, "--out", out)
    assert result.exit_code == 0, result.output
    return out


def test_a_run_prints_its_outcomes_and_where_they_lie(finished: Path, data: Path, quick: str) -> None:
    result = fellowship("run", "judge", "--data", data, "--model", "acme/m", "--base-url", quick, "--out", finished)
    assert "4: 4 done, 0 failed" in result.stdout
    assert "tie 4" in result.stdout
    assert str(finished / "results.jsonl") in result.stdout.replace("\n", "")
    assert "cannot judge" not in result.stdout
    lines = (finished / "results.jsonl").read_text().splitlines()
    assert json.loads(lines[0]) == {
        "item": "i0",
        "status": "done",
        "verdict": "tie",
        "scores": {"a": 5.0, "b": 5.0},
        "calls": 1,
        "tokens": json.loads(lines[0])["tokens"],
    }


def test_json_is_one_document_on_stdout_and_nothing_else(data: Path, quick: str, tmp_path: Path) -> None:
    out = tmp_path / "run"
    result = fellowship(
        "run", "judge", "--data", data, "--model", "acme/m", "--base-url", quick, "--out", out, "--json", "--log-json"
    )
    document = json.loads(result.stdout)
    assert (document["state"], document["done"], document["results"]) == ("done", 4, str(out / "results.jsonl"))
    logged = [json.loads(line) for line in result.stderr.splitlines()]
    assert [line["event"] for line in logged][:1] == ["run_started"]
    assert {line["item"] for line in logged if line["event"] == "item_finished"} == {"i0", "i1", "i2", "i3"}
    assert json.loads(fellowship("status", out, "--json").stdout)["verdicts"] == {"tie": 4}
    assert {scenario["scenario"] for scenario in json.loads(fellowship("list", "--json").stdout)} >= {"judge", "jury"}


@pytest.mark.parametrize("transport", ["lean", "sdk"])
def test_a_streamed_run_tells_in_its_log_when_the_first_words_came(
    transport: str, tmp_path: Path, data: Path, quick: str, finished: Path
) -> None:
    out = tmp_path / "streamed"
    mine = ("judge", "--data", data, "--model", "acme/m", "--base-url", quick, "--transport", transport)
    assert fellowship("run", *mine, "--out", out, "--stream").exit_code == 0
    for run, streamed in ((out, True), (finished, False)):
        with LogReader(run / "run.db") as log:
            calls = [json.loads(event.body) for event in log.events(kinds=("model_called",))]
        attempts = [attempt for call in calls for attempt in call["attempts"]]
        assert len(attempts) == 4
        assert all(("first_token_s" in attempt) == streamed for attempt in attempts)
        assert all(attempt.get("first_token_s", 0.001) > 0 for attempt in attempts)
    assert (out / "results.jsonl").read_bytes() == (finished / "results.jsonl").read_bytes()


def test_trace_shows_a_conversation_as_text_whatever_is_in_it(finished: Path) -> None:
    listed = fellowship("trace", finished).stdout
    assert re.search(r"i3\s+done\s+tie \(5 : 5\)", listed)
    shown = fellowship("trace", finished, "i2").stdout
    assert "[bold]sky[/bold]" in shown
    assert "\x1b" not in shown
    assert "two 2" in shown
    assert "judge votes tie, a 5 : b 5 (combined of 10, shown ab)" in shown
    assert "Decision by unique-mode: tie" in shown
    unknown = fellowship("trace", finished, "i22")
    assert unknown.exit_code == 2
    assert "no item 'i22'; did you mean 'i" in unknown.stderr


def test_trace_shows_rounds_and_who_heard_whom(tmp_path: Path, data: Path, quick: str) -> None:
    out = tmp_path / "run"
    fellowship(
        "run", "feedback-loop", "--data", data, "--limit", 1, "--model", "acme/m", "--base-url", quick, "--out", out
    )
    shown = fellowship("trace", out, "i0").stdout
    assert "writer writes draft 1 → reviewer" in shown
    assert shown.index("Round 1") < shown.index("reviewer gives feedback, 5 of 10 → writer") < shown.index("Round 2")
    assert "Picked: last, draft 3 of writer" in shown


def test_status_tells_failures_by_reason_and_the_exit_code_says_so(tmp_path: Path, data: Path, quick: str) -> None:
    out = tmp_path / "run"
    result = fellowship(
        "run", "judge", "--data", data, "--model", "acme/m", "--base-url", f"{quick}/nowhere", "--out", out
    )
    assert result.exit_code == 1
    assert "4 by ModelNotFound" in result.stdout
    assert result.stderr.count("item_failed") == 4
    assert "4 by ModelNotFound" in fellowship("status", out).stdout


def test_the_verdicts_of_the_small_model_come_with_a_warning_and_the_way_on(tmp_path: Path, shared_data: Path) -> None:
    out = tmp_path / "run"
    result = fellowship("run", "judge", "--data", shared_data / "pandalm/testset-v1.json", "--limit", 1, "--out", out)
    assert result.exit_code == 0, result.output
    words = " ".join(result.stdout.split())
    assert "cannot judge" in words
    assert "--model ollama/" in words
    assert "cannot judge" in fellowship("trace", out, "0").stdout


def test_nothing_that_is_shown_is_markup_or_obeyed(tmp_path: Path, quick: str) -> None:
    data = tmp_path / "odd.jsonl"
    ids = ["[/]", "a[/b]", "\x1b[31mred", "../x", "a@b", "x~2"]
    data.write_text("".join(json.dumps({"id": name, "prompt": "p", "a": "x", "b": "y"}) + "\n" for name in ids))
    out = tmp_path / "out[bold]y"
    options = ("--model", "acme/m", "--out", out)
    result = fellowship("run", "judge", "--data", data, *options, "--base-url", f"{quick}/nowhere")
    assert result.exit_code == 1
    assert "\x1b" not in result.output
    assert "out[bold]y/run.db" in result.stdout
    assert "[/]" in fellowship("trace", out).stdout
    for name in ids:
        shown = fellowship("trace", out, name)
        assert shown.exit_code == 0
        assert "\x1b" not in shown.stdout


def test_a_dot_env_that_is_not_text_is_told(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"A=\xff")
    done = subprocess.run(
        [sys.executable, "-m", "fellowship", "list"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr.strip().endswith(".env is not UTF-8")


def test_list_check_models_and_schema(tmp_path: Path) -> None:
    assert "feedback-loop" in fellowship("list").stdout
    assert "judge is right: judge; models local/smollm2-135m" in fellowship("check", "judge").stdout
    assert "--set" not in fellowship("check", "judge").stdout
    models = fellowship("models").stdout
    assert "local/smollm2-135m" in models
    assert "OPENAI_API_KEY" in models
    schema = json.loads(fellowship("schema").stdout)
    assert schema["$defs"]["Scenario"]["properties"]["takes"]["description"]
    assert (schema["else"], schema["then"]) == ({"$ref": "#/$defs/Scenario"}, {"$ref": "#/$defs/Sweep"})
    committed = Path(__file__).parents[2] / "docs" / "scenario.schema.json"
    assert json.loads(committed.read_text()) == schema, "make docs writes it anew"
    mine = tmp_path / "mine.yaml"
    mine.write_text(SCENARIO)
    assert fellowship("check", mine).exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("check jugde", "unknown scenario 'jugde'; did you mean 'judge'?"),
        ("check no/such.yaml", "there is no file no/such.yaml"),
        ("run judge --data no.jsonl", "there is no file no.jsonl"),
        ("run judge --data {data} --model jdge=x/y", "unknown model alias 'jdge' in --model; did you mean 'judge'?"),
        ("run judge --data {data} --model gpt", "--model 'gpt' is no provider/model"),
        ("run judge --data {data} --model x/y --model x/z", "--model without an alias stands twice"),
        ("run judge --data {data} --model foo/m", "unknown provider 'foo'"),
        ("run judge --data {data} --model openai/m", "set OPENAI_API_KEY"),
        ("run judge --data {data} --model local/nope.gguf", "there is no file nope.gguf"),
        ("run judge --data {data} --map prompt=q", "no column 'q' for prompt"),
        ("run judge --data {data} --set judging.scal=3", "unknown key 'scal'; did you mean 'scale'?"),
        ("run judge --data {data} --set models.jugde=x/y", "no agent has the model 'jugde'; did you mean 'judge'?"),
        ("run judge --data {data} --out {folder}", "is there already and is not a run"),
        ("run judge --data {data} --batch --stream", "--batch and --stream exclude each other"),
        ("run judge --data {folder}", "is a directory"),
        ("status {folder}", "is not a run: it has no run.db"),
        ("status {folder}/none", "there is no directory"),
        ("trace {folder}", "is not a run"),
        ("models get smollm2", "unknown embedded model 'smollm2'; did you mean 'smollm2-135m'?"),
    ],
)
def test_wrong_use_gives_one_clear_message_and_exit_code_2(
    arguments: str, message: str, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = fellowship(*arguments.format(data=data, folder=tmp_path).split())
    assert result.exit_code == 2
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert result.stdout == ""
    assert isinstance(result.exception, SystemExit)


def test_who_names_the_folder_of_runs_is_told_which_runs_are_in_it(finished: Path) -> None:
    for command in ("agreement", "report", "status"):
        result = fellowship(command, finished.parent)
        assert result.exit_code == 2
        assert f"{finished.parent} is not a run: it has no run.db; in it is run\n" in result.stderr


def test_usage_errors_exit_with_2(data: Path) -> None:
    for arguments in (["statu"], ["run", "judge"], ["run", "judge", "--data", data, "--limit", "x"], ["run", "--nope"]):
        assert fellowship(*arguments).exit_code == 2


def test_any_option_is_taken_from_the_environment(
    data: Path, tmp_path: Path, quick: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FELLOWSHIP_RUN_LIMIT", "2")
    monkeypatch.setenv("ACME_BASE_URL", quick)
    out = tmp_path / "run"
    assert "2: 2 done" in fellowship("run", "judge", "--data", data, "--model", "acme/m", "--out", out).stdout


def started(tmp_path: Path, *arguments: object) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "fellowship", *(str(argument) for argument in arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )


def when_at_work(out: Path) -> None:
    """Wait until the run has begun an item."""
    for _ in range(200):
        if (out / "run.db").exists() and fellowship("status", out, "--json").exit_code == 0:
            found = fellowship("trace", out, "i0")
            if found.exit_code == 0:
                return
        time.sleep(0.05)
    raise AssertionError("the run did not begin")


def test_the_first_signal_drains_the_second_stops_and_the_same_command_goes_on(
    tmp_path: Path, data: Path, slow: str, quick: str
) -> None:
    (tmp_path / ".env").write_text(f"ACME_BASE_URL={slow}\nACME_API_KEY=sk-from-dot-env\n")
    out = tmp_path / "run"
    command = ("run", "judge", "--data", data, "--model", "acme/m", "--out", out, "--concurrency", 1)
    run = started(tmp_path, *command)
    when_at_work(out)
    run.send_signal(signal.SIGINT)
    stdout, stderr = run.communicate(timeout=20)
    assert run.returncode == 3, stderr
    assert "The same command, with --out" in stderr
    done = json.loads(fellowship("status", out, "--json").stdout)["done"]
    assert 1 <= done < 4
    assert len((out / "results.jsonl").read_text().splitlines()) == done
    assert "stopped" in stdout

    run = started(tmp_path, *command)
    for _ in range(100):
        if json.loads(fellowship("status", out, "--json").stdout)["state"] != "stopped":
            break
        time.sleep(0.05)
    run.send_signal(signal.SIGINT)
    run.send_signal(signal.SIGTERM)
    run.communicate(timeout=20)
    assert run.returncode == 3

    (tmp_path / ".env").write_text(f"ACME_BASE_URL={quick}\n")
    run = started(tmp_path, *command)
    stdout, stderr = run.communicate(timeout=20)
    assert run.returncode == 0, stderr
    assert "4: 4 done" in stdout
    items = [json.loads(line)["item"] for line in (out / "results.jsonl").read_text().splitlines()]
    assert items == ["i0", "i1", "i2", "i3"]


def test_a_variable_that_names_a_version_is_no_option(monkeypatch: pytest.MonkeyPatch) -> None:
    for value in ("0.1.0", "1"):
        monkeypatch.setenv("FELLOWSHIP_VERSION", value)
        assert "debate" in fellowship("list").stdout


def test_the_version_is_printed_and_nothing_else() -> None:
    result = fellowship("--version")
    assert (result.exit_code, result.stdout) == (0, f"{version('llm-fellowship')}\n")


def test_check_tells_what_a_scenario_lets_choose() -> None:
    shown = [" ".join(line.split()) for line in fellowship("check", "preference-pairs").stdout.splitlines()]
    assert "review other same, other, both who reviews" in shown
    assert "rounds 2 1 to 20 rounds of feedback" in shown
    assert "margin 1.0 0 or more the least difference of scores" in shown
    assert any(line.startswith("own_family false whether") for line in shown)
