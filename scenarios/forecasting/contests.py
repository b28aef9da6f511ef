"""How often judges are asked in the steps that compare drafts: `pick` and `pair`."""

from collections.abc import Iterable, Sequence
from itertools import combinations, combinations_with_replacement
from math import comb

from ...protocols.selection import AS_PUBLISHED, PICKS
from ..steps import PairStep, PickStep
from .place import Place
from .ways import Draft, Span, Voting, Way

MOST_TOLD_APART = 64
"""Drafts up to which it is kept in mind which of them have met."""
Writers = frozenset[str]


class Contest:
    """One such step, on one way."""

    def __init__(self, step: PickStep | PairStep, way: Way, place: Place) -> None:
        self.step = step
        self.way = way
        self.place = place
        self.calls = step.jury.judging.calls
        """Calls of a judge for two drafts."""
        writers = place.names(step.writers)
        self.spans = {name: way.drafts[name] for name in way.drafts if name in writers and way.drafts[name][1]}
        """Versions that there are to compare, by writer."""
        self.most = sum(span[1] for span in self.spans.values())
        self._eligible = {
            frozenset(place.names(names)): frozenset(place.names(judges)) for names, judges in step.eligible.items()
        }
        self.judges = tuple(dict.fromkeys(place.names(step.jury.judges)))

    def drafts(self, end: int) -> list[Draft]:
        """Return the drafts: those that there surely are (0), or may be (1)."""
        return [(writer, version) for writer, span in self.spans.items() for version in range(1, span[end] + 1)]

    def may(self, judge: str, *writers: str) -> bool:
        """Whether a judge is asked about drafts of these writers."""
        allowed = self._eligible.get(frozenset(writers))
        return judge in self.judges if allowed is None else bool(self.judges) and judge in allowed

    def everyone(self) -> tuple[str, ...]:
        """Return whoever may be asked."""
        if not self.judges:
            return ()
        others = (judge for judges in self._eligible.values() for judge in sorted(judges))
        return tuple(dict.fromkeys((*self.judges, *others)))

    def voting(self, judge: str) -> Voting:
        """Return a judge, and how it compares here."""
        return judge, self.step.jury.judging

    # scores

    def scores(self) -> None:
        """Count that judges score each draft alone; none is scored twice by one judge."""
        spans: dict[str, Span] = {}
        for judge in self.everyone():
            sure = [(judge, draft) for draft in self.drafts(0) if self.may(judge, draft[0])]
            possible = [(judge, draft) for draft in self.drafts(1) if self.may(judge, draft[0])]
            least = sum(each not in self.way.perhaps_scored for each in sure)
            most = sum(each not in self.way.scored for each in possible)
            spans[judge] = (least, most)
            self.way.scored |= frozenset(sure)
            self.way.perhaps_scored |= frozenset(possible)
        self.way.count(self.place.round, spans)

    # comparisons

    def compare(self, wanted: "dict[str, int]") -> None:
        """Count that judges compare up to so many pairs of drafts each.

        None of it is sure: drafts that are word for word the same are not shown to anybody. What a judge has said of
        two drafts is not asked again, so that all pairs there are bound what is asked in all.
        """
        way, spans = self.way, dict[str, Span]()
        there = comb(sum(most for _, most in way.drafts.values()), 2)
        for judge, pairs in wanted.items():
            voting = self.voting(judge)
            for other in [each for each in way.used if each[0] == judge and each != voting]:
                # A judge's last word on two drafts counts: in another way they are compared anew.
                del way.used[other]
                way.compared.pop(other, None)
            before = way.used.get(voting, 0)
            new = max(0, min(pairs, there - before))
            way.used[voting] = before + new
            spans[judge] = (0, new * self.calls)
        way.count(self.place.round, spans)

    def every_two(self, judge: str) -> int:
        """Return the most pairs of all drafts that a judge is still to compare."""
        pairs = 0
        for one, other in combinations_with_replacement(self.spans, 2):
            if self.may(judge, one, other):
                most, more = self.spans[one][1], self.spans[other][1]
                pairs += comb(most, 2) if one == other else most * more
        return pairs - sum(self._counts(judge, pair) for pair in self._known(judge))

    def one_and_each(self, judge: str) -> int:
        """Return the most pairs of one draft, whichever it is, with the others, that a judge is still to compare."""
        if self.most < 2:
            return 0
        most = 0
        for one in self.spans:
            others = (self.spans[other][1] - (one == other) for other in self.spans if self.may(judge, one, other))
            most = max(most, sum(others))
        champion = self.way.champion
        if champion is not None and self.voting(judge) in champion[1]:
            most -= 1  # it has met one of them
        return min(most, self.every_two(judge))

    def within(self, judge: str, most: int, writer: str) -> int:
        """Return the most pairs of drafts of one writer, of so many wanted, that a judge is still to compare."""
        if not self.may(judge, writer):
            return 0
        known = sum(all(name == writer for name, _ in pair) for pair in self._known(judge))
        return max(0, min(most, comb(self.spans[writer][1], 2) - known))

    def met(self) -> None:
        """Keep in mind that every two of the drafts have met before all who may judge them."""
        if self.most > MOST_TOLD_APART:
            return
        for judge in self.everyone():
            pairs = frozenset(
                frozenset({one, other})
                for one, other in combinations(self.drafts(0), 2)
                if self.may(judge, one[0], other[0])
            )
            voting = self.voting(judge)
            self.way.compared[voting] = self.way.compared.get(voting, frozenset()) | pairs

    def _counts(self, judge: str, pair: Iterable[Draft]) -> bool:
        writers = [writer for writer, _ in pair]
        return all(writer in self.spans for writer in writers) and self.may(judge, *writers)

    def _known(self, judge: str) -> frozenset[frozenset[Draft]]:
        """Return pairs that a judge surely need not compare: it has, or has scored both alone and compared nothing."""
        known = self.way.compared.get(self.voting(judge), frozenset())
        if any(name == judge for name, _ in self.way.used):
            return known
        scored = [draft for name, draft in self.way.scored if name == judge]
        return known | frozenset(map(frozenset, combinations(scored, 2)))


def pick(step: PickStep, way: Way, place: Place) -> None:
    """Count a pick's calls."""
    contest = Contest(step, way, place)
    judges = contest.everyone()
    if step.pick.needs == "scores" and judges:
        contest.scores()
    met: frozenset[Voting] = frozenset()
    if step.pick.needs == "matches":
        chain = step.pick in (PICKS["knock-out"], AS_PUBLISHED)
        contest.compare({judge: _chained(contest, judge) if chain else contest.every_two(judge) for judge in judges})
        if step.pick == PICKS["round-robin"] or contest.most == 2:
            contest.met()
        if all(span[0] for span in contest.spans.values()) and len(contest.drafts(0)) > 1:
            pairs = list(combinations_with_replacement(contest.spans, 2))
            met = frozenset(contest.voting(judge) for judge in judges if all(contest.may(judge, *two) for two in pairs))
    way.picked = True
    way.champion = frozenset(place.names(step.writers)), met


def _chained(contest: Contest, judge: str) -> int:
    """Return the most matches of a knock-out that a judge is asked about.

    Each draft but the first comes in with a match of its own, which is not shown to who may not judge it.
    """
    if contest.most < 2:
        return 0
    barred = 0
    for writer, (_, most) in contest.spans.items():
        if not any(contest.may(judge, writer, other) for other in contest.spans):
            barred += most
    kept = contest.most - 1 - max(min(barred, 1), barred - 1)
    return max(0, min(kept, contest.every_two(judge)))


def pair(step: PairStep, way: Way, place: Place) -> None:
    """Count the calls of a step that makes preference pairs."""
    contest = Contest(step, way, place)
    judges = contest.everyone()
    if step.data == "workflow":
        contest.compare({judge: _revised(contest, judge) for judge in judges})
        return
    match step.selection.name:
        case "best-all" | "best-worst" | "all" as name:
            all_of_them = name != "best-all" or not _best_is_known(contest)
            if all_of_them:
                contest.compare({judge: contest.every_two(judge) for judge in judges})
                contest.met()
            else:
                contest.compare({judge: contest.one_and_each(judge) for judge in judges})
        case "consecutive" | "versions" as name:
            contest.compare({judge: _by_version(contest, judge, step.selection.versions) for judge in judges})
        case _:  # consensus asks nobody
            pass


def _best_is_known(contest: Contest) -> bool:
    """Whether a draft that counts here surely was picked, so that it is the best."""
    champion = contest.way.champion
    writers = frozenset(contest.place.names(contest.step.writers))
    return champion is not None and champion[0] <= writers


def _by_version(contest: Contest, judge: str, versions: Sequence[int] | None) -> int:
    found = 0
    for writer, (_, most) in contest.spans.items():
        wanted = most - 1 if versions is None else int(most >= max(versions))
        found += contest.within(judge, wanted, writer)
    return found


def _revised(contest: Contest, judge: str) -> int:
    """Return the most comparisons of drafts with what they revise, and of drafts that revise the same one."""
    found = 0
    for writer, (_, most) in contest.spans.items():
        # Once a draft was picked, it may be revised round after round: any two of its revisions are alternatives.
        others = comb(most - 1, 2) if contest.way.picked else contest.way.alternatives.get(writer, 0)
        found += contest.within(judge, most - 1 + others, writer)
    return found
