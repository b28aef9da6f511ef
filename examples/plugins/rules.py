"""Rules: how votes become a verdict, and which of several drafts is picked."""

from collections.abc import Sequence

from fellowship import plugins
from fellowship.protocols.aggregation import Voted
from fellowship.protocols.judging import Verdict
from fellowship.protocols.selection import Picking, Scores


@plugins.rule("unanimous")
def unanimous(votes: Sequence[Voted]) -> Verdict:
    """What all say; a tie as soon as one says otherwise."""
    first = votes[0].verdict
    return first if all(vote.verdict == first for vote in votes) else "tie"


@plugins.pick("middle")
def middle(drafts: Sequence[str], scores: Scores) -> Picking:
    """The draft in the middle of those written, whatever reviewers thought of it."""
    del scores
    return drafts[len(drafts) // 2]
    yield  # no match is asked for
