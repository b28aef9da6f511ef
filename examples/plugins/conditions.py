"""Conditions: a predicate that holds or does not, and a quantity that is compared."""

from fellowship import plugins
from fellowship.protocols.debate import ArgumentMade
from fellowship.protocols.opinions import Said
from fellowship.protocols.stopping import latest_votes


@plugins.predicate("landslide", feeds="ballot")
def landslide(said: Said) -> bool:
    """Whether at least three have voted, and all but one of them at the most for the same."""
    verdicts = [vote.verdict for vote in latest_votes(said) if vote.verdict != "unread"]
    most = max((verdicts.count(verdict) for verdict in set(verdicts)), default=0)
    return len(verdicts) >= 3 and most >= len(verdicts) - 1


@plugins.quantity("words", feeds="argument", range=(0, None))
def words(said: Said) -> float | None:
    """The mean length of the arguments, in words; none before the first."""
    lengths = [len(fact.text.split()) for _, fact in said if isinstance(fact, ArgumentMade)]
    return sum(lengths) / len(lengths) if lengths else None
