"""Runs of the whole language that break off anywhere, are replayed, forked, retried and changed: nothing is lost."""

import asyncio
import json
import shutil
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from playing import fellowship
from telling import Asked, Speaker, cut_short, kinds, length, played, results, story
from whole_language import PLAYED, files, items, made, say

from fellowship.protocols.errors import CallRefused, DeclarationError
from fellowship.protocols.models import ModelCall
from fellowship.runtime.log import LogReader
from fellowship.scenarios import Plan, Settings, load, plan, play
from fellowship.scenarios.again import fork, replay, retry
from fellowship.scenarios.sweep import sweep

SHIPPED = (
    *("criteria", "debate-summarised", "cascade", "tree", "society-sparse", "debate-pairs"),
    *("council", "constitution", "peer-review"),
)
EVERYTHING = (*PLAYED, *SHIPPED)
BREAKS = 3
"""Calls of a run at which it is broken off; at every one of them it holds, too, and takes minutes."""


def of(name: str, folder: Path) -> Plan:
    """Return the plan of one of our own scenarios, or of one of the library in which every alias has its own model."""
    if name in PLAYED:
        return made(folder, name)
    scenario, source = load(name)
    return plan(scenario, source=source, models={alias: f"{alias}/{alias}" for alias in scenario.models})


def recorded(out: Path) -> Counter[Asked]:
    """Return the calls that a log has an answer to."""
    return Counter(
        (called.model, called.answer, tuple(digest for _, digest in called.messages))
        for called in kinds(out, "model_called")
        if called.text is not None
    )


class Undisturbed:
    """Runs that nothing has happened to, one a scenario, played when first asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = files(folder)
        self._played: dict[tuple[str, int], tuple[Path, Speaker]] = {}

    async def of(self, name: str, count: int = 1) -> tuple[Path, Speaker]:
        if (name, count) not in self._played:
            out, speaker = self.folder / f"run-{name}-{count}", Speaker(say)
            status = await played(of(name, self.folder), items(count), out, speaker)
            assert status is not None
            assert (status.done, status.failed, status.dead_letters) == (count, 0, 0), status.failures
            self._played[name, count] = out, speaker
        return self._played[name, count]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    return Undisturbed(tmp_path_factory.mktemp("undisturbed"))


# broken off


@pytest.mark.parametrize("name", EVERYTHING)
async def test_broken_off_at_any_call_a_run_asks_everything_once_and_tells_the_same(
    tmp_path: Path, undisturbed: Undisturbed, name: str
) -> None:
    run, whole = await undisturbed.of(name)
    told, written, calls = story(run), results(run), whole.asked.total()
    for last in range(1, calls + 1, max(1, calls // BREAKS)):
        out, before, after = tmp_path / str(last), Speaker(say, last=last), Speaker(say)
        await played(of(name, undisturbed.folder), items(1), out, before)
        await played(of(name, undisturbed.folder), items(1), out, after)
        assert before.asked + after.asked == whole.asked, f"at call {last}"
        assert results(out) == written, f"at call {last}"
        assert not story(run) - story(out), f"at call {last}"
        told = story(out) - story(run)
        assert all("EndpointDown" in line or "letter_undelivered" in line for line in told), f"at call {last}"


@pytest.mark.parametrize("name", PLAYED)
async def test_killed_after_an_event_a_run_goes_on_as_if_nothing_had_happened(
    tmp_path: Path, undisturbed: Undisturbed, name: str
) -> None:
    run, whole = await undisturbed.of(name)
    for last in range(3, length(run), length(run) // 3):
        out, speaker = cut_short(run, tmp_path / str(last), last), Speaker(say)
        had = recorded(out)
        await played(of(name, undisturbed.folder), items(1), out, speaker)
        assert had + speaker.asked == whole.asked, f"after event {last}"
        assert story(out) == story(run), f"after event {last}"
        assert results(out) == results(run), f"after event {last}"


@pytest.mark.parametrize("name", EVERYTHING)
async def test_in_whatever_order_answers_arrive_the_same_is_asked_and_said(
    tmp_path: Path, undisturbed: Undisturbed, name: str
) -> None:
    run, whole = await undisturbed.of(name)
    speaker = Speaker(say, pause=True)
    await played(of(name, undisturbed.folder), items(1), tmp_path / "run", speaker)
    assert speaker.asked == whole.asked
    assert results(tmp_path / "run") == results(run)
    assert story(tmp_path / "run") == story(run)


# told again


@pytest.mark.parametrize("name", EVERYTHING)
async def test_replayed_a_run_of_the_whole_language_comes_to_the_same_without_its_files(
    tmp_path: Path, undisturbed: Undisturbed, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, whole = await undisturbed.of(name)
    out = tmp_path / "moved"
    shutil.copytree(run, out)
    monkeypatch.chdir(tmp_path)
    again = await replay(out, tmp_path / "replay")
    assert (again.differing, again.status.calls) == ((), whole.asked.total())
    assert results(tmp_path / "replay") == results(run)
    assert story(tmp_path / "replay", without=("model_called",)) == story(run, without=("model_called",))


async def test_a_run_is_replayed_when_what_it_used_has_changed_or_is_gone(tmp_path: Path) -> None:
    folder, out = files(tmp_path), tmp_path / "run"
    for name, file in (("solving", "inner.yaml"), ("branching", "people.yaml")):
        await played(made(folder, name), items(2), out / name, Speaker(say))
        (folder / file).write_text("lawyer: {title: somebody else}\n")
        assert not (await replay(out / name, tmp_path / f"changed-{name}")).differing
        (folder / file).unlink()
        assert not (await replay(out / name, tmp_path / f"gone-{name}")).differing


NEW_KINDS = (
    *("hearing_changed", "branches_opened", "branch_taken", "agents_excused", "asking_ended", "condition_met"),
    *("criteria_proposed", "approval_given", "summary_written", "question_asked", "answer_given", "decision_made"),
    *("draft_picked", "pairs_made"),
)
ANOTHER = {"branching": "judge", "talking": "two", "solving": "apart", "writing": "judge"}
"""An alias of each that a fork has another model for."""


@pytest.mark.parametrize("name", PLAYED)
async def test_forked_at_an_event_of_every_kind_what_was_said_before_stands(
    tmp_path: Path, undisturbed: Undisturbed, name: str
) -> None:
    run, whole = await undisturbed.of(name)
    alias = ANOTHER[name]
    with LogReader(run / "run.db") as log:
        last = {event.kind: event.sequence for event in log.events(kinds=NEW_KINDS)}
    for kind, at in last.items():
        speaker = Speaker(say)
        status = await fork(run, at, tmp_path / kind, Settings(client=speaker), models={alias: "other/model"})
        assert (status.done, status.failed) == (1, 0), kind
        assert f"acme/{alias}" not in {call.settings.model for call in speaker.calls}, kind
        sources = Counter(called.source for called in kinds(tmp_path / kind, "model_called"))
        assert sources["endpoint"] == speaker.asked.total(), kind
        assert sources["recording"] <= whole.asked.total(), kind
        assert sources.total() == status.calls, kind
    assert not (await replay(tmp_path / kind, tmp_path / "replayed")).differing


# what fails in a branch


def refusing(*models: str, turns: int = 1) -> Any:
    """Return a script in which some models refuse what they are asked, but for the first calls."""
    count = Counter[str]()

    def script(call: ModelCall) -> str | CallRefused:
        count[call.settings.model] += 1
        refused = call.settings.model in models and count[call.settings.model] > turns
        return CallRefused("no") if refused else say(call)

    return script


@pytest.mark.parametrize(("name", "model"), [("branching", "acme/critic"), ("solving", "acme/apart")])
async def test_what_failed_in_a_branch_is_retried_and_the_others_are_not_asked_again(
    tmp_path: Path, undisturbed: Undisturbed, name: str, model: str
) -> None:
    run, whole = await undisturbed.of(name)
    out, before, after = tmp_path / "run", Speaker(refusing(model)), Speaker(say)
    failed = await played(of(name, undisturbed.folder), items(1), out, before)
    assert failed is not None
    assert (failed.failed, failed.failures) == (1, {"CallRefused": 1})
    had = recorded(out)
    status = await retry(out, Settings(client=after))
    assert (status.done, status.failed) == (1, 0)
    assert had + after.asked == whole.asked
    assert results(out) == results(run).replace(
        f'"calls":{whole.asked.total()}'.encode(), f'"calls":{status.calls}'.encode()
    )
    assert not (await replay(out, tmp_path / "replay")).differing


async def test_who_is_recused_in_one_branch_is_missing_there_alone(tmp_path: Path) -> None:
    folder, run = files(tmp_path), tmp_path / "run"
    recusing = made(folder, "branching", "agents.critic.failing={then: recuse}")
    status = await played(recusing, items(1), run, Speaker(refusing("acme/critic")))
    assert status is not None
    assert (status.done, status.failed) == (1, 0)
    spoke = set(sent_by(run, "argument_made"))
    gone = {recused.agent for recused in kinds(run, "agent_recused")}
    assert (len(spoke), len(gone), spoke & gone) == (1, 3, set())
    assert len(sent_by(run, "vote_cast")) > 4
    for last in range(5, length(run), length(run) // 6):
        out = cut_short(run, tmp_path / str(last), last)
        had = sum(count for (model, *_), count in recorded(out).items() if model == "acme/critic")
        await played(recusing, items(1), out, Speaker(refusing("acme/critic", turns=1 - had)))
        assert results(out) == results(run), last
    assert not (await replay(run, tmp_path / "replay")).differing


def sent_by(out: Path, kind: str) -> list[str]:
    """Return who said what is of a kind."""
    with LogReader(out / "run.db") as log:
        return [event.sender for event in log.events(kinds=(kind,))]


# what has changed since


@pytest.mark.parametrize(
    ("name", "file", "old", "new", "told"),
    [
        ("solving", "inner.yaml", "You check strictly.", "You check kindly.", "used.inner.yaml"),
        ("solving", "inner.yaml", "graph: ring", "graph: complete", "graph"),
        ("branching", "people.yaml", "what tastes", "what sells", "personas.cook.text"),
        ("branching", "branching.yaml", "in one word", "in two words", "agents.critic.prompt.argument"),
        ("talking", "talking.yaml", "rewired: 0.5", "rewired: 0.6", "rewired"),
        ("writing", "writing.yaml", "sample: 2", "sample: 1", "sample"),
    ],
)
async def test_what_has_changed_between_two_starts_is_told_wherever_it_stands(
    tmp_path: Path, name: str, file: str, old: str, new: str, told: str
) -> None:
    folder, out = files(tmp_path), tmp_path / "run"
    await played(made(folder, name), items(1), out, Speaker(say, last=3))
    text = (folder / file).read_text()
    assert old in text
    (folder / file).write_text(text.replace(old, new))
    with pytest.raises(DeclarationError, match="holds a run of something else") as refused:
        await play(made(folder, name), items(1), out, Settings(client=Speaker(say)))
    assert told in str(refused.value)
    status = await play(made(folder, name), items(1), out, Settings(client=Speaker(say), accept_changes=True))
    fresh = await play(made(folder, name), items(1), tmp_path / "fresh", Settings(client=Speaker(say)))
    assert (status.done, status.failed) == (fresh.done, fresh.failed) == (1, 0)
    mine, other = ({**json.loads(results(each)), "calls": 0, "tokens": 0} for each in (out, tmp_path / "fresh"))
    assert mine == other


# sweeps


SWEEP = """\
scenario: compared
takes: comparison
models: {small: acme/small, large: acme/large}
sweep:
  - {play: judges-in-turn, over: {models.judge: every}}
  - {play: branching.yaml, over: {models.judge: every}}
gives: verdict
"""


async def test_in_a_sweep_turns_are_taken_by_the_item_and_each_variant_plays_as_if_alone(tmp_path: Path) -> None:
    folder, out = files(tmp_path), tmp_path / "run"
    (folder / "compared.yaml").write_text(SWEEP)
    declared, source = load(str(folder / "compared.yaml"))
    compared = sweep(declared, source=source)  # type: ignore[arg-type]
    before, after = Speaker(say, last=40), Speaker(say)
    await played(compared, items(4), out, before)
    status = await played(compared, items(4), out, after)
    assert status is not None
    assert (status.done, status.failed) == (16, 0)
    turns: dict[str, list[str]] = {}
    with LogReader(out / "run.db") as log:
        for event in log.events(kinds=("vote_cast",)):
            if event.conversation.startswith("judges-in-turn"):
                variant, _, item = event.conversation.rpartition("/")
                turns.setdefault(variant, []).append(f"{item} {event.sender}")
    wanted = ["i0~1 first", "i1~1 second", "i2~1 third", "i3~1 first"]
    assert list(turns.values()) == [wanted, wanted]
    assert not (await replay(out, tmp_path / "replay")).differing
    whole = Speaker(say)
    await played(compared, items(4), tmp_path / "whole", whole)
    assert before.asked + after.asked == whole.asked
    assert results(tmp_path / "whole") == results(out)


# chance


@pytest.mark.parametrize("name", PLAYED)
async def test_the_same_seed_gives_the_same_bytes_and_another_draws_otherwise(tmp_path: Path, name: str) -> None:
    folder = files(tmp_path)
    for out, seed in (("one", 1), ("again", 1), ("other", 2)):
        await played(made(folder, name), items(3), tmp_path / out, Speaker(say, pause=out == "again"), seed=seed)
    assert results(tmp_path / "one") == results(tmp_path / "again")
    assert story(tmp_path / "one") == story(tmp_path / "again")
    if name != "branching":  # nothing in it is left to chance
        assert drawn(tmp_path / "one") != drawn(tmp_path / "other")
        assert story(tmp_path / "one") != story(tmp_path / "other")


def drawn(out: Path) -> list[object]:
    """Return who was to hear whom, and what was gone through."""
    graphs = [(each.agent, each.hears) for each in kinds(out, "hearing_changed")]
    return [*graphs, *(each.values for each in kinds(out, "branches_opened"))]


# logs of before

NEW = ("step", "instructions", "samples", "confidence", "replaces", "known_as", "branch", "number")


def aged(run: Path, out: Path, last: int) -> Path:
    """Copy a run up to an event as the package wrote it before the language had all its words."""
    cut_short(run, out, last)
    with closing(sqlite3.connect(out / "run.db")) as connection, connection:
        for sequence, body in connection.execute("SELECT sequence, body FROM events").fetchall():
            old = json.dumps(without(json.loads(body)))
            connection.execute("UPDATE events SET body = ? WHERE sequence = ?", (old, sequence))
        [[played_by]] = connection.execute("SELECT value FROM meta WHERE key = 'played'").fetchall()
        kept = {key: value for key, value in json.loads(played_by).items() if key != "cast"}
        kept["prompts"] = dict.fromkeys(kept["prompts"], "of before")
        connection.execute("UPDATE meta SET value = ? WHERE key = 'played'", (json.dumps(kept),))
    shutil.copy(run / "results.jsonl", out)
    return out


def without(body: dict[str, Any]) -> dict[str, Any]:
    if body["kind"] in ("item_opened", "item_finished", "item_failed", "model_called"):
        return body
    judging = body.get("judging")
    kept = {key: value for key, value in body.items() if key not in NEW}
    if judging is not None:
        kept["judging"] = {key: value for key, value in judging.items() if key not in NEW}
    return kept


@pytest.mark.parametrize("name", ["jury", "feedback-panel", "jury-escalating"])
async def test_a_log_that_was_written_before_all_this_is_read_and_gone_on_with(tmp_path: Path, name: str) -> None:
    def apart() -> Plan:
        scenario, source = load(name)
        return plan(scenario, source=source, models={alias: f"acme/{alias}" for alias in scenario.models})

    run, whole = tmp_path / "run", Speaker(say)
    await played(apart(), items(2), run, whole)
    old = aged(run, tmp_path / "old", length(run))
    assert not (await replay(old, tmp_path / "replay")).differing
    assert results(tmp_path / "replay") == results(run)
    for last in range(4, length(run), length(run) // 5):
        out, speaker = aged(run, tmp_path / str(last), last), Speaker(say)
        (out / "results.jsonl").unlink()
        had = recorded(out)
        with pytest.raises(DeclarationError, match="prompts"):
            await play(apart(), items(2), out)
        status = await played(apart(), items(2), out, speaker, accept_changes=True)
        assert status is not None
        assert (status.done, status.failed) == (2, 0)
        assert had + speaker.asked == whole.asked, f"after event {last}"
        assert verdicts(out) == verdicts(run), f"after event {last}"


def verdicts(out: Path) -> list[dict[str, Any]]:
    """Return all that came out, but for what it took."""
    return [{**json.loads(line), "calls": 0, "tokens": 0} for line in results(out).splitlines()]


def test_on_the_command_line_an_old_log_shows_what_a_new_one_does(tmp_path: Path) -> None:
    run = asyncio.run(jury_run(tmp_path))
    old = aged(run, tmp_path / "old", length(run))
    for command in (("status",), ("trace", "i0"), ("report",), ("cassette", "--to", tmp_path / "tape.jsonl")):
        verb, *more = command
        new, then = (fellowship(verb, each, *more) for each in (run, old))
        assert (then.exit_code, then.stderr) == (0, new.stderr), command
        assert then.stdout.replace(str(old), str(run)) == new.stdout, command
    for number, each in enumerate((run, old)):
        found = fellowship("export", each, "--format", "dpo", "--to", tmp_path / f"export{number}")
        assert found.exit_code == 0, found.stderr


async def jury_run(folder: Path) -> Path:
    scenario, source = load("jury")
    await played(plan(scenario, source=source, models={"*": "acme/m"}), items(2), folder / "run", Speaker(say))
    return folder / "run"
