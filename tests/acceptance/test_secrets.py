"""Keys that are planted wherever a run meets one, and then looked for in everything that it writes and prints."""

import json
import re
from base64 import b64encode
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from urllib.parse import quote

import openai
import pytest
from playing import MODEL, at, beside, fellowship, items, library, results, written
from typer.testing import Result

from fellowship.protocols.errors import CallRefused
from fellowship.protocols.models import ModelCall, Tier
from fellowship.runtime.models import Endpoint
from fellowship.runtime.models.wire import Hear, Reply
from fellowship.runtime.session import Access
from fellowship.runtime.testing import Fault, LineFault, LoopbackBatches, LoopbackEndpoint, ManualClock, ScriptedModel
from fellowship.runtime.testing.scripted import as_reply
from fellowship.scenarios import Settings, play
from fellowship.scenarios.cli import main
from fellowship.scenarios.settings import Progress

KEY = 'sk-Pl4nted/key+with="odd"\\letters%42'
OTHER = "wJalr-XUtnFEMI-0123456789"
"""Of something else that this machine has in its environment."""
PATH = "/usr/local/share"
SHOWN = f"ending in {KEY[-4:]}"
ECHO = "\n".join(
    (
        f"Incorrect API key {SHOWN}",
        f"Authorization: Bearer {KEY}",
        f"Basic {b64encode(f'me:{KEY}'.encode()).decode()}",
        f"https://me:{quote(KEY, safe='')}@gateway/?api-key={quote(KEY)}",
        json.dumps({"api-key": KEY, "other": OTHER}),
        f"AWS_SECRET_ACCESS_KEY={OTHER}",
    )
)


def forms(secret: str) -> Iterator[bytes]:
    """Return a secret as it may be met in a file, without the help of what is tested."""
    escaped = json.dumps(secret)[1:-1]
    for form in (secret, escaped, json.dumps(escaped)[1:-1], quote(secret, safe=""), quote(secret)):
        yield form.encode()
    for before in (b"", b"me:", b":"):
        yield b64encode(before + secret.encode())[4:-4]
    yield re.findall(r"\w+", secret)[1].encode()  # the longest part that nothing quotes


def found_in(text: bytes) -> list[bytes]:
    return [form for secret in (KEY, OTHER) for form in forms(secret) if form in text]


def found_under(*folders: Path) -> list[tuple[str, bytes]]:
    """Return the secrets in the files of some folders."""
    files = [path for folder in folders if folder.exists() for path in folder.rglob("*") if path.is_file()]
    return [(path.name, form) for path in files for form in found_in(path.read_bytes())]


def printed(result: Result) -> str:
    return " ".join((result.stdout + result.stderr).split())


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """Plant the keys, and return where runs and the cache lie."""
    monkeypatch.setenv("ACME_API_KEY", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", OTHER)
    monkeypatch.setenv("SSH_KEY", PATH)
    monkeypatch.setenv("FELLOWSHIP_CACHE", str(tmp_path / "cache"))
    return tmp_path / "run", tmp_path / "cache"


def test_forms_are_found_where_they_are(tmp_path: Path) -> None:
    assert len(set(found_in(ECHO.encode()))) >= 6
    (tmp_path / "run.db").write_text(f"so {OTHER}")
    assert found_under(tmp_path)


@pytest.mark.parametrize("log_json", [("--log-json", "-vv"), ("-vv",)], ids=" ".join)
@pytest.mark.parametrize("way", [("lean",), ("lean", "--stream"), ("sdk",), ("sdk", "--stream")], ids=" ".join)
def test_a_run_at_an_endpoint_that_repeats_all_it_is_sent_writes_and_prints_no_secret(
    way: tuple[str, ...], log_json: tuple[str, ...], tmp_path: Path, folders: tuple[Path, Path]
) -> None:
    out, cache = folders
    meanwhile: list[tuple[str, bytes]] = []

    def echoing(call: ModelCall) -> str:
        meanwhile.extend(found_under(*folders))
        return as_reply(call, f"{ECHO}\nand {PATH}, true, 12345678")

    faults: Iterator[Fault | None] = chain(
        [Fault(status=500, error={"message": ECHO}, headers={"retry-after": "0"})],
        [None] * 5,
        [Fault(status=400, error={"message": ECHO})],
        [None] * 9,
        [Fault(status=401, error={"message": ECHO})],
    )
    data = written(tmp_path / "data.jsonl", 9)
    options = ("--model", MODEL, "--concurrency", 1, "--cache", "--transport", *way, "--out", out, *log_json)
    with beside(LoopbackEndpoint(echoing, faults=faults)) as server:
        mine = ("run", "feedback-loop", "--data", data, "--base-url", server.base_url, *options)
        first = fellowship(*mine)
        assert first.exit_code == 3, first.output
        assert found_under(*folders) == []
        second = fellowship(*mine)
        assert all(served.headers["Authorization"] == f"Bearer {KEY}" for served in server.ledger)
    assert second.exit_code == 1, second.output
    shown = [fellowship(*what) for what in (("status", out), ("status", out, "--json"), ("trace", out, "i0"))]
    for result in (first, second, *shown):
        assert found_in(f"{result.stdout}{result.stderr}{printed(result)}".encode()) == []
    assert meanwhile == []
    assert found_under(*folders) == []
    for path in (out / "run.db", out / "results.jsonl", cache / "answers.db"):
        assert b"[secret ACME_API_KEY]" in path.read_bytes()
        assert b"[secret AWS_SECRET_ACCESS_KEY]" in path.read_bytes()
        assert f"and {PATH}, true, 12345678".encode() in path.read_bytes()
    for told in (printed(first), shown[2].stdout):
        assert "[secret ACME_API_KEY]" in told
        assert SHOWN in told


@pytest.mark.parametrize("way", ["lean", "sdk"])
async def test_votes_of_a_form_and_errors_of_all_sorts_leave_no_secret(way: str, tmp_path: Path) -> None:
    words = {"message": ECHO, "type": KEY}
    faults = [Fault(status=status, error=words) for status in (400, 400, 400, 403, 404, 413, 422)]
    environ = {"ACME_API_KEY": KEY, "AWS_SECRET_ACCESS_KEY": OTHER}
    async with LoopbackEndpoint(lambda call: as_reply(call, ECHO), faults=faults) as server:
        how = Settings(environ=at(server.base_url, **environ), access=Access(way="sdk" if way == "sdk" else "lean"))
        status = await play(library("judge"), items(9), tmp_path / "run", how)
    assert status.done
    assert status.failed
    assert found_under(tmp_path) == []
    assert found_in(status.model_dump_json().encode()) == []
    assert b"[secret ACME_API_KEY]" in (tmp_path / "run" / "run.db").read_bytes()


async def test_batches_leave_no_secret(tmp_path: Path) -> None:
    environ = {"ACME_API_KEY": KEY, "AWS_SECRET_ACCESS_KEY": OTHER}
    lines = {
        1: LineFault("status", status=400, error={"message": ECHO}),
        2: LineFault("error", error={"message": ECHO}),
    }
    async with LoopbackBatches(lambda call: as_reply(call, ECHO), lines=lines) as server:
        how = Settings(
            environ=at(server.base_url, **environ),
            access=Access(batch=True, cache=tmp_path / "answers.db", cache_here=True),
            clock=ManualClock(),
        )
        status = await play(library("feedback-loop"), items(3), tmp_path / "run", how)
    assert status.done
    assert all(batch.authorization == f"Bearer {KEY}" for batch in server.batches)
    assert found_under(tmp_path) == []
    for path in (tmp_path / "run" / "run.db", tmp_path / "answers.db"):
        assert b"[secret ACME_API_KEY]" in path.read_bytes()


async def test_the_key_of_a_client_of_the_users_own_is_learned_with_the_first_answer(tmp_path: Path) -> None:
    from fellowship.runtime.models.sdk import SdkTransport

    async with (
        LoopbackEndpoint(lambda call: as_reply(call, ECHO)) as server,
        openai.AsyncOpenAI(api_key=KEY, base_url=server.base_url) as client,
        SdkTransport(client) as transport,
    ):
        how = Settings(environ=at(server.base_url), access=Access(transport=transport))
        status = await play(library("feedback-loop"), items(2), tmp_path / "run", how)
    assert status.done == 2
    assert [form for _, form in found_under(tmp_path) if form in forms(KEY)] == []
    assert b"Bearer [secret]" in (tmp_path / "run" / "results.jsonl").read_bytes()


class Halves:
    """A Transport that is looked at while half a key has come, and then fails in words that are cut off in one."""

    def __init__(self) -> None:
        self.watched: list[Progress] = []
        self.seen: list[str] = []

    async def send(self, endpoint: Endpoint, call: ModelCall, tier: Tier, hear: Hear | None = None) -> Reply:
        assert hear is not None
        for words in (f"so {KEY[:12]}", KEY[12:], "." * 190):
            hear(words)
            self.seen.append(self.watched[0].stalls()[0].words)
        raise CallRefused("." * 175 + KEY)


async def test_no_half_of_a_secret_is_left_where_words_are_cut_off(tmp_path: Path) -> None:
    halves = Halves()
    environ = at("http://127.0.0.1:9/v1", ACME_API_KEY=KEY)
    access = Access(transport=halves, stream=True)
    how = Settings(environ=environ, access=access, watch=halves.watched.append)
    status = await play(library("feedback-loop"), items(1), tmp_path / "run", how)
    assert status.failures == {"CallRefused": 1}
    assert halves.seen == ["so [secret ACME_API_KEY]"] * 2 + ["[secret ACME_API_KEY]" + "." * 190]
    assert KEY[:6].encode() not in (tmp_path / "run" / "run.db").read_bytes()


async def test_the_key_that_is_sent_is_a_secret_also_where_it_is_a_word(tmp_path: Path) -> None:
    async with LoopbackEndpoint(lambda call: as_reply(call, "Say topsecret.")) as server:
        how = Settings(environ=at(server.base_url, ACME_API_KEY="topsecret"))
        await play(library("feedback-loop"), items(1), tmp_path / "run", how)
    assert b"topsecret" not in b"".join(path.read_bytes() for path in (tmp_path / "run").iterdir())
    assert results(tmp_path / "run")[0]["text"] == "Say [secret]."


async def test_the_log_of_a_run_that_knew_no_secret_is_shown_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    how = Settings(environ={}, client=ScriptedModel(lambda call: as_reply(call, ECHO)))
    await play(library("feedback-loop", f"about={OTHER}"), items(1), tmp_path / "run", how)
    assert found_under(tmp_path)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", OTHER)
    monkeypatch.setenv("ACME_API_KEY", KEY)
    shown = [("status", tmp_path / "run"), ("trace", tmp_path / "run", "i0"), ("trace", tmp_path / "run")]
    for arguments in shown:
        result = fellowship(*arguments)
        assert result.exit_code == 0
        assert found_in(result.output.encode()) == []


async def test_json_on_stdout_has_no_secret(tmp_path: Path, folders: tuple[Path, Path]) -> None:
    await play(library("judge"), items(1), tmp_path / OTHER, Settings(client=ScriptedModel()))
    result = fellowship("status", tmp_path / OTHER, "--json")
    assert json.loads(result.stdout)["run"].endswith("[secret AWS_SECRET_ACCESS_KEY]")
    assert found_in(result.output.encode()) == []


def test_the_traceback_of_a_bug_has_no_secret(
    folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("fellowship.scenarios.cli.app", lambda: int(KEY))
    with pytest.raises(SystemExit) as left:
        main()
    shown = capsys.readouterr().err
    assert left.value.code == 1
    assert "ValueError: invalid literal for int() with base 10: '[secret ACME_API_KEY]'" in shown
    assert found_in(shown.encode()) == []


async def test_a_run_goes_on_whose_data_and_scenario_hold_a_secret(tmp_path: Path) -> None:
    environ, out = {"AWS_SECRET_ACCESS_KEY": OTHER}, tmp_path / "run"
    made = library("judge", f"agents.judge.instructions=Never say {OTHER}.")
    rows = [
        item.model_copy(update={"prompt": f"{item.prompt} {OTHER}", "metadata": {"column": OTHER, OTHER: 1}})
        for item in items(3)
    ]
    about = {"base_url": f"https://me:{quote(KEY, safe='')}@gateway/v1"}
    model = ScriptedModel()
    for count in (2, 3):
        how = Settings(environ=environ, client=model, about=about)
        status = await play(made, rows[:count], out, how)
        assert (status.state, status.done, len(model.calls)) == ("done", count, count)
    assert OTHER in str(model.calls[0].messages)
    assert found_under(out) == []
    assert "@gateway/v1" in (out / "run.yaml").read_text()


SCENARIO = """\
scenario: mine
takes: comparison
models: {judge: {model: acme/m, %s}}
agents: {judge: {role: judge, model: judge}}
flow:
  - {ask: judge, for: ballot}
  - {decide: unique-mode}
gives: verdict
"""


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("key_env: sk-Pasted0123456789", "must be the name of an environment variable"),
        ("key_env: sk-Pasted0123456789_TOKEN", "must be the name of an environment variable"),
        ("base_url: 'https://me:sk-Pasted0123456789@gateway/v1'", "must be a plain address"),
        ("base_url: 'https://gateway/v1?api-key=sk-Pasted0123456789'", "must be a plain address"),
        ("base_url: 'https://[sk-Pasted0123456789/v1'", "must be a plain address"),
    ],
)
@pytest.mark.parametrize("command", ["check", "run"])
def test_a_key_in_the_wrong_place_of_a_scenario_is_refused_at_its_place_and_not_repeated(
    command: str, fault: str, words: str, tmp_path: Path
) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(SCENARIO % fault)
    out = tmp_path / "run"
    more = () if command == "check" else ("--data", written(tmp_path / "data.jsonl", 1), "--out", out)
    result = fellowship(command, file, *more)
    assert result.exit_code == 2, result.output
    assert words in result.stderr
    assert "mine.yaml:3" in result.stderr
    assert "Pasted" not in result.output
    assert not out.exists()


@pytest.mark.parametrize("name", ["OTHER_API_KEY", "HF_TOKEN", "my_API_KEY"])
def test_the_name_of_a_variable_is_taken(name: str, tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(SCENARIO % f"key_env: {name}")
    assert fellowship("check", file).exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        (("check", f"no-such-{OTHER}"), "unknown scenario"),
        (("check", "judge", "--set", f"judging.scale={OTHER}"), "judging.scale"),
        (("check", "judge", "--set", f"judging.scale={'x' * 40}{OTHER}"), "judging.scale"),
        (("check", "judge", "--model", f"x={OTHER}"), "is no provider/model"),
        (("check", f"./{OTHER}.yaml"), "there is no file"),
        (("status", f"/nowhere/{OTHER}"), "there is no directory"),
    ],
)
def test_no_sentence_on_the_terminal_repeats_a_secret_of_the_environment(
    arguments: tuple[str, ...], shown: str, folders: tuple[Path, Path]
) -> None:
    result = fellowship(*arguments)
    assert result.exit_code == 2
    assert shown in result.stderr
    assert found_in(result.output.encode()) == []
    assert OTHER[:6] not in result.output
