"""The index of a run: the same as the folds over its log, however it came about; pages, filters and search."""

import random
import re
import shutil
import sqlite3
import tempfile
import threading
import unicodedata
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from indexing import WORDS, Said, chatter, put
from logs import as_version
from playing import items, library

from fellowship.protocols.errors import DeclarationError, PromptTooLong
from fellowship.protocols.events import known_kinds
from fellowship.protocols.identity import CONDUCTOR, ConversationId
from fellowship.protocols.lifecycle import ItemFailed, ItemFinished, ItemOpened, ModelCalled, OutcomeSetAside
from fellowship.protocols.models import ModelCall
from fellowship.runtime.log import LogReader
from fellowship.runtime.session import Limits
from fellowship.runtime.testing import ScriptedModel
from fellowship.runtime.testing.opinions import Opinions
from fellowship.scenarios import Settings, play
from fellowship.scenarios.again import retry
from fellowship.scenarios.outcomes import Fold, status
from fellowship.scenarios.traces.index import Index
from fellowship.scenarios.traces.kept import tidy
from fellowship.scenarios.traces.listing import SORTS, Listed, Overview, Wanted
from fellowship.scenarios.traces.words import SPOKEN, is_searched, words_of

logs = st.builds(chatter, st.integers(0, 2**32), st.integers(1, 80))
ALL = Wanted(all_conversations=True)
MEMORY = Path("/dev/shm")  # noqa: S108 - nothing there waits for a disk
QUICK = MEMORY if MEMORY.is_dir() else None


@contextmanager
def written(said: list[Said]) -> Iterator[Path]:
    """Write a log of a run; its directory is gone afterwards."""
    with tempfile.TemporaryDirectory(dir=QUICK) as folder:
        yield put(Path(folder) / "run" / "run.db", said)


@contextmanager
def indexed(run: Path) -> Iterator[Index]:
    with Index(run, run / "index") as index:
        index.refresh()
        yield index


def tables(index: Index) -> dict[str, list[Any]]:
    """Return all that an index holds, and which messages each word is found in."""
    with closing(sqlite3.connect(index._tables.path)) as db:
        names = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        of = {name: f"SELECT * FROM {name}" for name in names if "found" not in name}  # noqa: S608 - our own names
        held = {name: sorted(db.execute(query), key=repr) for name, query in of.items()}
        db.execute("CREATE VIRTUAL TABLE temp.words USING fts5vocab(main, found, instance)")
        held["words"] = db.execute("SELECT * FROM temp.words").fetchall()
    return held


def rows(index: Index, wanted: Wanted = ALL) -> list[Listed]:
    return list(index.page(wanted, limit=10_000).rows)


def agrees(found: Overview, run: Path) -> None:
    """Look whether an overview says what the fold over the log says."""
    with LogReader(run / "run.db") as log:
        known = status(log, str(run))
    assert (found.items, found.done, found.failed) == (known.items, known.done, known.failed)
    assert (found.verdicts, found.failures) == (known.verdicts, known.failures)
    assert (found.unread_votes, found.dead_letters) == (known.unread_votes, known.dead_letters)
    assert (found.calls, found.calls_failed) == (known.calls, known.calls_failed)
    assert (found.input_tokens, found.output_tokens) == (known.input_tokens, known.output_tokens)
    assert sum(count for _, count in found.ended_per_minute) == known.done + known.failed
    assert (None if found.unpriced else found.cost_usd) == pytest.approx(known.cost_usd)
    for parts, key in ((found.models, "model"), (found.agents, "agent"), (found.rounds, "round")):
        spent = known.spend[key]  # type: ignore[index]  # one of its keys
        assert {name: part[:2] for name, part in parts.items()} == {
            name: (one.calls, one.input_tokens + one.output_tokens) for name, one in spent.items()
        }
        assert [part[2] for part in parts.values()] == pytest.approx([spent[name].cost_usd for name in parts])


# the folds


@settings(max_examples=40, deadline=None)
@given(logs)
def test_the_overview_says_of_any_run_what_status_says(said: list[Said]) -> None:
    with written(said) as run, indexed(run) as index:
        agrees(index.overview(), run)


@settings(max_examples=40, deadline=None)
@given(logs)
def test_an_items_conversations_have_its_outcome_and_together_what_it_took(said: list[Said]) -> None:
    with written(said) as run, indexed(run) as index:
        with LogReader(run / "run.db") as log:
            outcomes = [outcome for _, outcome in Fold(log).outcomes()]
        listed = rows(index)
        aside = {one.message.outcome for one in said if isinstance(one.message, OutcomeSetAside)}
        of_item = Counter(outcome.item for outcome in outcomes)
        for outcome in outcomes:
            mine = [row for row in listed if row.conversation.rpartition("~")[0] == outcome.item]
            calls = [one for one in said if one.conversation.rpartition("~")[0] == outcome.item]
            ends = [one.sequence for one in calls if isinstance(one.message, ItemFinished | ItemFailed)]
            end = max(set(ends) - aside)
            later = [one for one in calls if isinstance(one.message, ModelCalled) and one.sequence > end]
            if of_item[outcome.item] > 1 or later:
                continue  # its calls are divided among several outcomes, or go on
            assert sum(row.calls for row in mine) == outcome.calls
            assert sum(row.tokens for row in mine) == outcome.tokens
            costs = [row.cost_usd for row in mine]
            whole = None if None in costs else sum(cost for cost in costs if cost is not None)
            assert whole == pytest.approx(outcome.cost_usd)
            (one,) = [row for row in mine if row.state != "open"]
            assert (one.state, one.verdict, one.error) == (outcome.status, outcome.verdict, outcome.error)
            assert (one.correct, one.text) == (outcome.correct, outcome.text and outcome.text[:200])


@settings(max_examples=25, deadline=None)
@given(logs, st.lists(st.integers(1, 60), min_size=1, max_size=8), st.integers(0, 999))
def test_slices_of_a_growing_log_make_the_same_tables_as_the_whole_at_once(
    said: list[Said], sizes: list[int], seed: int
) -> None:
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory(dir=QUICK) as name:
        run = put(Path(name) / "run" / "run.db", said[:1])
        at = 1
        while at < len(said):
            size = rng.choice(sizes)
            put(run / "run.db", said[at : at + size])
            at += size
            with Index(run, Path(name) / "sliced") as index:
                while index.refresh(rng.choice(sizes)):
                    pass
        with Index(run, Path(name) / "sliced") as sliced, Index(run, Path(name) / "whole") as whole:
            sliced.refresh()
            assert whole.refresh() == len(said) == whole.taken_in
            assert tables(sliced) == tables(whole)


# pages


def begun(said: list[Said]) -> dict[str, int]:
    """Return the first event of each conversation."""
    return {one.conversation: one.sequence for one in reversed(said)}


def naive(said: list[Said], listed: list[Listed], wanted: Wanted) -> set[str]:
    """Return the conversations that are wanted, one condition after another."""
    called: dict[str, set[str]] = {}
    spoke: dict[str, set[str]] = {}
    for one in said:
        if isinstance(one.message, ModelCalled) and one.message.source != "earlier":
            called.setdefault(one.message.model, set()).add(one.conversation)
        elif one.message.kind in SPOKEN:
            spoke.setdefault(one.sender, set()).add(one.conversation)
    found = {
        row.conversation
        for row in listed
        if (not wanted.states or row.state in wanted.states)
        and (not wanted.verdicts or row.verdict in wanted.verdicts)
        and (wanted.failure is None or (row.error or "").startswith(f"{wanted.failure}:"))
        and (wanted.correct is None or row.correct is wanted.correct)
        and (wanted.variant is None or row.variant == wanted.variant)
        and (wanted.disagreement is None or (row.disagreement is not None and row.disagreement >= wanted.disagreement))
        and (wanted.cost is None or (row.cost_usd is not None and row.cost_usd >= wanted.cost))
        and (wanted.item is None or wanted.item in row.item)
    }
    if wanted.model is not None:
        found &= called.get(wanted.model, set())
    if wanted.agent is not None:
        found &= spoke.get(wanted.agent, set())
    if wanted.text is not None:
        hits = matching(said, wanted.text)
        found &= {one.conversation for one in said if one.sequence in hits}
    return {str(name) for name in found}


def maybe(*values: Any) -> st.SearchStrategy[Any]:
    return st.one_of(st.none(), st.none(), st.sampled_from(values))


conditions = st.builds(
    Wanted,
    states=st.sampled_from([(), (), ("done",), ("failed", "open")]),
    verdicts=st.sampled_from([(), (), ("a",), ("b", "tie")]),
    failure=maybe("Overloaded", "ContextTooLong"),
    correct=maybe(True, False),
    variant=maybe("", "one"),
    model=maybe("acme/one", "acme/none"),
    agent=maybe("critic", "public"),
    disagreement=maybe(0.0, 1 / 3, 0.5),
    cost=maybe(0.0, 1.0),
    text=maybe("because", "cafe -waves", '"the sky"', "-the", "%%"),
    item=maybe("i1", "one/", "%"),
    all_conversations=st.booleans(),
)


@settings(max_examples=40, deadline=None)
@given(logs, st.lists(conditions, min_size=1, max_size=12))
def test_conversations_that_are_wanted_are_those_that_hold_all_conditions(
    said: list[Said], wanted: list[Wanted]
) -> None:
    with written(said) as run, indexed(run) as index:
        current = {row.conversation for row in rows(index, Wanted())}
        for each in wanted:
            listed = [row for row in rows(index) if each.all_conversations or row.conversation in current]
            page = index.page(each, limit=10_000)
            assert {row.conversation for row in page.rows} == naive(said, listed, each)
            assert page.total == len(page.rows)


@settings(max_examples=30, deadline=None)
@given(logs, st.sampled_from(SORTS), st.booleans(), st.integers(1, 7))
def test_any_sort_is_total_the_same_by_pages_and_steps_from_one_to_the_next(
    said: list[Said], sort: str, down: bool, size: int
) -> None:
    def key(row: Listed) -> Any:
        margin = None if row.score_a is None or row.score_b is None else abs(row.score_a - row.score_b)
        special = {"cost": row.cost_usd, "margin": margin, "began": row.began_s}
        return special[sort] if sort in special else getattr(row, sort)

    wanted = replace(ALL, sort=sort, descending=down)
    first = begun(said)
    with written(said) as run, indexed(run) as index:
        found = rows(index, wanted)
        known = [row for row in rows(index) if key(row) is not None]
        unknown = [row for row in rows(index) if key(row) is None]
        known.sort(key=lambda row: (key(row), row.number, first[row.conversation]), reverse=down)
        unknown.sort(key=lambda row: (row.number, first[row.conversation]), reverse=down)
        assert found == known + unknown
        assert [row for at in range(0, len(found), size) for row in index.page(wanted, at, size).rows] == found
        names = [None, *(row.conversation for row in found), None]
        for (before, here), (_, after) in zip(pairwise(names), list(pairwise(names))[1:], strict=False):
            assert here is not None
            assert index.neighbours(here, wanted) == (before, after)
        assert index.neighbours(ConversationId("no such~1"), wanted) == (None, None)


def test_of_conversations_about_one_item_the_newest_counts_and_all_are_to_be_had() -> None:
    said = chatter(1, 60)
    opened = [one for one in said if isinstance(one.message, ItemOpened)]
    assert any(isinstance(one.message, ItemOpened) and one.message.over for one in opened)
    with written(said) as run, indexed(run) as index:
        for one in opened:
            assert isinstance(one.message, ItemOpened)
            mine = [other.conversation for other in opened if other.message.item.id == one.message.item.id]  # type: ignore[attr-defined]
            assert index.conversations(one.message.item.id) == tuple(mine)
            assert not {row.conversation for row in rows(index, Wanted())} & set(mine[:-1])
        assert index.conversations("nothing") == ()
        assert [index.conversation_of(one.sequence) or "" for one in said] == [one.conversation for one in said]
        assert index.conversation_of(len(said) + 1) is None
        with pytest.raises(DeclarationError, match="did you mean 'cost'"):
            index.page(Wanted(sort="costs"))


# search


def tokens(text: str) -> list[str]:
    """Return the words of a text: letters and digits, without case and accents."""
    plain = "".join(letter for letter in unicodedata.normalize("NFD", text) if not unicodedata.combining(letter))
    return re.findall(r"[^\W_]+", plain.lower())


def stands(term: str, text: list[str]) -> bool:
    beginning = term.endswith("*")
    wanted = tokens(term)
    for at in range(len(text) - len(wanted) + 1):
        here = text[at : at + len(wanted)]
        if here == wanted or (beginning and here[:-1] == wanted[:-1] and here[-1].startswith(wanted[-1])):
            return True
    return False


def terms_of(text: str) -> list[tuple[str, str]]:
    """Return the words that are looked for, each with its dash."""
    terms = [(dash, phrase or word) for dash, phrase, word in re.findall(r'(-?)(?:"([^"]*)"|(\S+))', text)]
    return [(dash, term) for dash, term in terms if tokens(term)]


def matching(said: list[Said], text: str) -> set[int]:
    """Return the messages in which words stand, one text after another."""
    terms = terms_of(text)
    found: set[int] = set()
    for one in said if terms else ():
        kind, content = one.message.kind, one.message.model_dump(exclude_none=True)
        if not one.conversation or not is_searched(kind) or (one.sender == CONDUCTOR and kind not in known_kinds()):
            continue
        words = tokens(words_of(kind, content))
        if all(stands(term, words) is not bool(dash) for dash, term in terms):
            found.add(one.sequence)
    return found


words = st.sampled_from(
    [*WORDS, "cafe", "bucher", "BECAUSE", "wav*", "sca*", '"the sky"', '"waves because"', "don", "low"]
)
queries = st.lists(st.tuples(st.sampled_from(["", "", "-"]), words), min_size=1, max_size=3).map(
    lambda parts: " ".join(f"{dash}{word}" for dash, word in parts)
)


@settings(max_examples=25, deadline=None)
@given(logs, st.lists(queries, min_size=1, max_size=8))
def test_search_finds_the_messages_in_which_all_words_stand_and_no_other(said: list[Said], asked: list[str]) -> None:
    with written(said) as run, indexed(run) as index:
        for text in asked:
            found = index.search(text, limit=10_000)
            assert {hit.sequence for hit in found.hits} == matching(said, text), text
            assert found.total == len(found.hits)
            for hit in found.hits:
                of = said[hit.sequence - 1]
                assert (hit.conversation, hit.speaker, hit.kind) == (of.conversation, of.sender, of.message.kind)
                for low, high in hit.marks:
                    assert 0 <= low < high <= len(hit.excerpt)
                assert bool(hit.marks) is any(not dash for dash, _ in terms_of(text))


@pytest.fixture(scope="module")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Index]:
    run = put(tmp_path_factory.mktemp("spoken") / "run" / "run.db", chatter(1, 60))
    with indexed(run) as index:
        yield index


@settings(max_examples=150, deadline=None)
@example('"')
@example("NEAR(a b, 2)")
@example("*")
@example("words:sky")
@example("AND OR NOT")
@example("-")
@example("^sky + because")
@example('because "the')
@example("{} () -() '; DROP TABLE talks; --")
@example("sky\0because")
@example("\ud800")
@example("because " * 3_000)
@example("-because " * 3_000)
@given(st.text(max_size=40))
def test_no_text_that_is_searched_for_is_a_mistake(spoken: Index, text: str) -> None:
    found = spoken.search(text)
    assert found.total >= len(found.hits)
    assert spoken.page(Wanted(text=text)).total <= spoken.page(Wanted()).total


def test_an_excerpt_shows_a_long_text_around_what_was_found(tmp_path: Path) -> None:
    said = chatter(2, 30)
    at = next(number for number, one in enumerate(said) if one.message.kind == "argument_made")
    text = f"{'before it ' * 400}<script>Heliotrope\x01 at\x02 dusk</script> {'after it ' * 400}"
    said[at] = replace(said[at], message=said[at].message.model_copy(update={"text": text}))
    with indexed(put(tmp_path / "run.db", said)) as index:
        (hit,) = index.search('"heliotrope at"').hits
        assert len(hit.excerpt) <= 240
        assert [hit.excerpt[low:high] for low, high in hit.marks] == ["Heliotrope\N{REPLACEMENT CHARACTER} at"]
        assert "before it" in hit.excerpt
        assert "after it" in hit.excerpt


# the file


def replaced(run: Path, said: list[Said]) -> None:
    """Put another log into the place of one, under the same id."""
    with closing(sqlite3.connect(run / "run.db")) as db, db:
        db.execute("DELETE FROM events")
    put(run / "run.db", said)


def test_a_log_that_is_not_the_one_that_was_taken_in_is_taken_in_anew(tmp_path: Path) -> None:
    run = put(tmp_path / "run" / "run.db", chatter(3, 40))
    with indexed(run) as index:
        for other in (chatter(4, 40), chatter(4, 20), chatter(5, 60)):
            replaced(run, other)
            assert index.refresh() == len(other)
            assert index.refresh() == 0
            agrees(index.overview(), run)
            assert index.search("sky").total == len(matching(other, "sky"))


@pytest.mark.parametrize("harm", ["garbage", "empty", "another version", "a page"])
def test_an_index_that_is_not_sound_is_made_anew(harm: str, tmp_path: Path) -> None:
    said = chatter(6, 80)
    run = put(tmp_path / "run" / "run.db", said)
    with indexed(run) as index:
        path, known = index._tables.path, (index.overview(), rows(index), index.search("sky -because"))
    content = path.read_bytes()
    if harm == "garbage":
        path.write_bytes(b"no database" * 1_000)
    elif harm == "empty":
        path.write_bytes(b"")
    elif harm == "a page":
        path.write_bytes(content[:8192] + b"\xff" * (len(content) - 16384) + content[-8192:])
    else:
        with closing(sqlite3.connect(path)) as db, db:
            db.execute("PRAGMA user_version = 99")
            db.execute("CREATE TABLE more (than, is_known)")
    with indexed(run) as index:
        assert (index.overview(), rows(index), index.search("sky -because")) == known
        assert index.taken_in == len(said)
    with Index(run, run / "index") as index:
        assert index.refresh() == 0


def test_an_index_that_breaks_while_it_is_open_is_made_anew(tmp_path: Path) -> None:
    run = put(tmp_path / "run" / "run.db", chatter(7, 80))
    with indexed(run) as index, indexed(run) as other:
        known = (index.overview(), rows(index))
        index._tables.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        size = index._tables.path.stat().st_size
        with index._tables.path.open("r+b") as file:
            file.seek(4096)
            file.write(b"\xff" * (size - 4096))
        for each in (index, other):
            each._tables.db.execute("PRAGMA shrink_memory")
            assert (each.overview(), rows(each)) == known
        assert index._tables.path == other._tables.path


def test_where_the_cache_cannot_be_written_an_index_is_in_a_temporary_file(tmp_path: Path) -> None:
    run = put(tmp_path / "run" / "run.db", chatter(8, 30))
    (tmp_path / "file").write_text("no folder")
    with Index(run, tmp_path / "file") as index:
        index.refresh()
        agrees(index.overview(), run)
        place = index._tables.path.parent
        assert place.is_dir()
    assert not place.exists()


def test_several_who_take_in_the_same_log_at_once_make_one_right_index(tmp_path: Path) -> None:
    said = chatter(9, 300)
    run = put(tmp_path / "run" / "run.db", said[:50])
    taken: list[int] = []
    wrong: list[BaseException] = []

    def work(place: int) -> None:
        try:
            with Index(run, tmp_path / "shared") as index:
                while index.taken_in < len(said):
                    taken.append(index.refresh(7 + place))
                    assert index.overview().messages >= 0
        except BaseException as error:  # noqa: BLE001 - told by the test
            wrong.append(error)

    threads = [threading.Thread(target=work, args=(place,)) for place in range(3)]
    for thread in threads:
        thread.start()
    put(run / "run.db", said[50:])
    for thread in threads:
        thread.join(30)
    assert not wrong
    assert sum(taken) == len(said)
    with Index(run, tmp_path / "shared") as shared, Index(run, tmp_path / "own") as own:
        own.refresh()
        assert tables(shared) == tables(own)


def test_indexes_that_nobody_uses_are_removed_and_the_oldest_where_all_are_too_large(tmp_path: Path) -> None:
    import os

    day_s = 86_400.0
    for name, days in (("old", 91), ("older", 60), ("young", 30), ("open", 0)):
        for end in (".db", ".db-wal", ".lock"):
            path = tmp_path / f"{name}{end}"
            path.write_bytes(b"." * 500)
            os.utime(path, (1e9 - days * day_s, 1e9 - days * day_s))
    assert tidy(tmp_path, now_s=1e9) == 1
    assert tidy(tmp_path, now_s=1e9, kept_bytes=3_000) == 1
    assert sorted(path.name for path in tmp_path.glob("*.db")) == ["open.db", "young.db"]
    assert tidy(tmp_path, now_s=1e9, kept_bytes=0) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["open.db", "open.db-wal", "open.lock"]


# runs


def poor() -> Any:
    """Return a model that refuses some."""
    answers = Opinions(unreadable=0.2, refused=0.3)

    def refusing(call: ModelCall) -> str | PromptTooLong:
        text = answers(call)
        return text if next(answers) is None else PromptTooLong("the prompt is too long")

    return refusing


@pytest.mark.parametrize("name", ["debate", "jury", "feedback-panel", "feedback-gated"])
async def test_a_run_that_is_broken_off_gone_on_with_and_retried_is_indexed_as_it_is_folded(
    name: str, tmp_path: Path
) -> None:
    changes = ("pick=judged", "rounds=3") if name == "feedback-gated" else ()
    run, made = tmp_path / "run", library(name, *changes)
    with_limits = Settings(client=ScriptedModel(poor()), limits=Limits(concurrency=4))
    await play(made, items(6), run, with_limits)
    with closing(sqlite3.connect(run / "run.db")) as db:
        last = int(db.execute("SELECT max(sequence) FROM events").fetchone()[0])
    with Index(run, tmp_path / "index") as index:
        index.refresh(last - 30)
        shutil.rmtree(tmp_path / "x", ignore_errors=True)
        with closing(sqlite3.connect(run / "run.db")) as db, db:
            db.execute("DELETE FROM events WHERE sequence > ?", (last - 30,))
        await play(made, items(6), run, with_limits)
        index.refresh()
        agrees(index.overview(), run)
        await retry(run, Settings(client=ScriptedModel(Opinions(unreadable=0))))
        index.refresh()
        found = index.overview()
        agrees(found, run)
        assert (found.done, found.failed, found.open) == (6, 0, 0)
        with LogReader(run / "run.db") as log:
            outcomes = {outcome.item: outcome for _, outcome in Fold(log).outcomes()}
        for row in rows(index, Wanted()):
            known = outcomes[row.item]
            mine = [each for each in rows(index) if each.item == row.item]
            assert (row.verdict, row.state) == (known.verdict, "done")
            assert (sum(each.calls for each in mine), sum(each.tokens for each in mine)) == (known.calls, known.tokens)
        with Index(run, tmp_path / "anew") as anew:
            anew.refresh()
            assert tables(anew) == tables(index)


@pytest.mark.parametrize("version", [1, 2, 3])
def test_a_log_of_an_earlier_version_is_indexed_as_the_present_one(version: int, tmp_path: Path) -> None:
    run = put(tmp_path / "run" / "run.db", chatter(12, 80))
    with indexed(run) as index:
        known = (index.overview(), rows(index), index.search("sky waves"))
    as_version(version, run / "run.db")
    with Index(run, tmp_path / "old") as index:
        index.refresh()
        assert (index.overview(), rows(index), index.search("sky waves")) == known


def test_a_log_with_gaps_is_indexed_as_far_as_it_goes(tmp_path: Path) -> None:
    said = chatter(13, 120)
    lost = random.Random(13).sample(said, 60)
    begun_there = [one for one in said if isinstance(one.message, ItemOpened)]
    left = [one for one in said if one not in (*lost, *begun_there[::2])]
    run = put(tmp_path / "run" / "run.db", left)
    with indexed(run) as index:
        agrees(index.overview(), run)
        assert {row.conversation for row in rows(index)} == {one.conversation for one in left if one.conversation}
        assert {hit.sequence for hit in index.search("sky", limit=999).hits} == matching(left, "sky")
