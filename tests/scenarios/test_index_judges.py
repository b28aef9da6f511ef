"""How those who judged in a run have judged, out of its index: as `agreement` and `bias` of the same run say it."""

import asyncio
import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from indexing import Said, chatter, put
from playing import fellowship, items, library

from fellowship.protocols.comparing import DraftsCompared
from fellowship.protocols.items import HumanVote, Item
from fellowship.protocols.jury import VoteCast
from fellowship.protocols.review import FeedbackGiven
from fellowship.runtime.log import LogReader
from fellowship.runtime.recording.standing import sift
from fellowship.runtime.testing import ScriptedModel
from fellowship.runtime.testing.opinions import Opinions
from fellowship.scenarios import Settings, load, plan, play
from fellowship.scenarios.traces.index import Index
from fellowship.scenarios.traces.judged import Compared, Judged, Scores, Share
from fellowship.scenarios.traces.listing import Wanted

JURORS = {"first": "acme/one", "second": "acme/two", "third": "acme/three"}


def rated(count: int) -> list[Item]:
    """Return items about which some people voted, and of some of these as many one way as the other."""
    return [
        item.model_copy(
            update={
                "human": tuple(
                    HumanVote(rater=f"p{who}", verdict=("a", "b", "tie")[(number * (who + 1)) % 3])
                    for who in range(number % 4)
                )
            }
        )
        for number, item in enumerate(items(count))
    ]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Play a jury of three, each asked in both orders, some of whose answers cannot be read."""
    out = tmp_path_factory.mktemp("judges") / "run"
    scenario, source = load("jury", changes=["judging.orders=both"])
    made = plan(scenario, source=source, models=JURORS)
    asyncio.run(play(made, rated(40), out, Settings(client=ScriptedModel(Opinions(unreadable=0.35)))))
    return out


@contextmanager
def indexed(run: Path) -> Iterator[Index]:
    with Index(run, run / "index") as index:
        index.refresh()
        yield index


@pytest.fixture(scope="module")
def found(run: Path) -> Judged:
    with indexed(run) as index:
        return index.judges()


def same(mine: Compared | None, theirs: dict[str, Any]) -> None:
    assert mine is not None
    assert (mine.n, mine.agreed.share) == (theirs["n"], theirs["accuracy"])
    assert mine.agreed.interval == pytest.approx(theirs["accuracy_ci"])
    assert mine.kappa == pytest.approx(theirs["kappa"])


def test_voters_and_pairs_agree_as_far_as_the_command_agreement_says(run: Path, found: Judged) -> None:
    known = json.loads(fellowship("agreement", run, "--json").stdout)
    pairs = {(pair["a"], pair["b"]): pair for pair in known["pairs"]}
    assert [(voter.voter, voter.model) for voter in found.voters] == list(JURORS.items())
    for voter in found.voters:
        against = known["raters"][f"jury:{voter.voter}"]
        same(voter.human, against)
        assert voter.human is not None
        assert [list(row) for row in voter.human.confusion] == against["confusion"]
        assert voter.unread == against["unread"] > 0
        same(voter.decision, pairs[f"jury:{voter.voter}", "jury"])
    assert [(pair.a, pair.b) for pair in found.pairs] == [("first", "second"), ("first", "third"), ("second", "third")]
    for pair in found.pairs:
        same(pair.compared, pairs[f"jury:{pair.a}", f"jury:{pair.b}"])
        assert pair.compared.kappa_interval is not None


def test_flips_and_the_lean_to_the_first_are_what_the_command_bias_says(run: Path, found: Judged) -> None:
    known = json.loads(fellowship("bias", run, "--json").stdout)["raters"]
    for voter in found.voters:
        position = known[f"jury:{voter.voter}"]["position"]
        assert (voter.flips.n, voter.half_unread) == (position["both_orders"], position["half_unread"])
        assert voter.flips.share == position["flip_rate"]["value"]
        assert voter.flips.interval == pytest.approx(position["flip_rate"]["ci"])
        share = position["first"]["share"]
        assert (voter.first_won.n, voter.first_won.share) == (share["n"], share["value"])
        assert 0 < voter.flips.hits < voter.flips.n


def test_a_judges_scores_stand_in_bars_that_numpy_makes_as_well() -> None:
    rng = np.random.default_rng(1)
    for scale in (5, 10, 100):
        values = np.round(rng.uniform(0, scale, 200), 1)
        found = Scores.of([(float(value), scale) for value in values])
        assert found is not None
        assert (found.n, found.mean) == (200, pytest.approx(values.mean()))
        edges = np.arange(-0.5, scale + 1) if scale <= 20 else np.linspace(0, scale, 11)
        assert [bar.count for bar in found.bars] == np.histogram(values, edges)[0].tolist()
    mixed = Scores.of([(5.0, 5), (10.0, 10), (0.0, 5)])
    assert mixed is not None
    assert [bar.count for bar in mixed.bars] == [1, *[0] * 9, 2]
    assert Scores.of([]) is None
    assert Share.of(0, 0).share is None


def test_the_last_vote_of_each_voter_counts_with_its_changes_of_mind(tmp_path: Path) -> None:
    checked = [each for seed in range(24) for each in looked_at(chatter(seed, 60), tmp_path / str(seed))]
    assert len(checked) > 60
    assert sum(checked) > 5


def looked_at(said: list[Said], folder: Path) -> Iterator[int]:
    """Look at the votes of a log; return the changes of mind before each that was looked at."""
    with indexed(put(folder / "run.db", said)) as index:
        current = {row.conversation: row for row in index.page(Wanted(), limit=999).rows}
        known: dict[Any, list[Any]] = {}
        events = list(index.log.events())
        sifted = (sift(event for event in events if event.conversation == name) for name in current)
        standing = (event for each in sifted for event in each.standing())
        for one in (said[event.sequence - 1] for event in standing):
            if isinstance(one.message, VoteCast | DraftsCompared):
                on = (getattr(one.message, "first", None), getattr(one.message, "second", None))
                known.setdefault((one.conversation, one.sender, on), []).append(one)
        votes = {(vote.conversation, vote.voter, (vote.first, vote.second)): vote for vote in index.votes()}
        assert votes.keys() == known.keys()
        for key, cast in known.items():
            verdicts = [one.message.verdict for one in cast]
            changes = sum(one != other for one, other in pairwise(verdicts))
            vote = votes[key]
            assert (vote.sequence, vote.verdict, vote.changes) == (cast[-1].sequence, verdicts[-1], changes)
            assert [ballot.verdict for ballot in vote.ballots] == [each.verdict for each in cast[-1].message.ballots]
            yield changes
        for name, row in current.items():
            mine = [vote for vote in votes.values() if vote.conversation == name]
            assert (row.votes, row.unread) == (len(mine), sum(vote.verdict == "unread" for vote in mine))
            read = Counter(vote.verdict for vote in mine if vote.first is None and vote.verdict != "unread")
            expected = (read.total() - max(read.values())) / read.total() if read.total() > 1 else None
            assert row.disagreement == expected
        judged = index.judges()
        ended = [vote for vote in votes.values() if vote.state != "open"]
        for voters, on_drafts in ((judged.voters, False), (judged.on_drafts, True)):
            of_sort = [vote for vote in ended if (vote.first is not None) is on_drafts]
            assert sum(voter.votes for voter in voters) == len(of_sort)
            assert sum(voter.changes for voter in voters) == sum(vote.changes for vote in of_sort)


async def test_of_a_run_without_verdicts_those_who_judge_drafts_are_shown(tmp_path: Path) -> None:
    run = tmp_path / "run"
    made = library("feedback-gated", "pick=judged", "rounds=3")
    await play(made, items(5), run, Settings(client=ScriptedModel(Opinions())))
    with LogReader(run / "run.db") as log:
        messages = [(event.sender, event.message()) for event in log.events()]
    compared = Counter(who for who, message in messages if isinstance(message, DraftsCompared))
    given = [(who, message.score) for who, message in messages if isinstance(message, FeedbackGiven)]
    with indexed(run) as index:
        judged = index.judges()
    assert judged.voters == ()
    assert {voter.voter: voter.votes for voter in judged.on_drafts} == compared
    assert all(voter.human is None and voter.decision is None for voter in judged.on_drafts)
    scorers = {scorer.judge: scorer for scorer in judged.scorers if scorer.kind == "feedback_given"}
    assert scorers.keys() == {who for who, _ in given}
    for who, scorer in scorers.items():
        mine = [score for judge, score in given if judge == who]
        assert scorer.scores is not None
        assert (scorer.n, scorer.scores.mean) == (len(mine), pytest.approx(np.mean(mine)))
