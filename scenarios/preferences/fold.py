"""A fold over a run's log: every candidate for preference data, with its prompt, its texts and what judges said.

Held are the conversations that have no outcome yet, by the digests of their texts; texts are looked up where a
candidate is made of them. Of a run that compares answers that came with the data, each item is a candidate.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from hashlib import blake2b
from typing import Any, get_args

import orjson

from ...protocols.errors import DeclarationError, UnknownName
from ...protocols.pairing import Data, Filters
from ...runtime.log import LogReader
from ...runtime.log.faults import damaged
from ..directory import MARK
from .pair import Pair
from .played import Played
from .talk import Talk
from .verdicts import pair_of_verdict

KINDS = (
    "item_opened",
    "model_called",
    "draft_written",
    "feedback_given",
    "drafts_compared",
    "draft_scored",
    "vote_cast",
    "decision_made",
    "pairs_made",
    "item_finished",
    "item_failed",
)


def candidates(log: LogReader, *, variant: str | None = None, own_family: bool = False) -> "RunCandidates":
    """Return a run's candidates for preference data.

    Args:
        log: The run's.
        variant: The only one that is wanted, of a sweep.
        own_family: Of a run that compares answers that came with the data: whether a judge's word on its own family's
            answers counts. Of others the scenario says so.

    Raises:
        DeclarationError: the log does not say what was played, there is no such variant, the run makes no pairs, or
            own_family is said of a run whose scenario says so.
    """
    return RunCandidates(log, variant, own_family=own_family)


class RunCandidates:
    """The candidates of a run, as its conversations ended; counts are right once it was gone through."""

    def __init__(self, log: LogReader, variant: str | None, *, own_family: bool) -> None:
        """Look at what was played; see `candidates`."""
        self._log = log
        text = log.meta("played")
        if text is None:
            raise DeclarationError(f"{log.path.parent} does not say what was played")
        played: dict[str, Any] = orjson.loads(text)
        records: dict[str, dict[str, Any]] = played.get("variants", {"": played})
        if variant is not None and variant not in records:
            if "variants" not in played:
                raise DeclarationError(f"--variant {variant}: {log.path.parent} is no sweep")
            raise UnknownName("variant", variant, tuple(records))
        chosen = {variant: records[variant]} if variant is not None else records
        self._played = {name: Played.of(name, record) for name, record in chosen.items()}
        if own_family and not any(each.compares for each in self._played.values()):
            raise DeclarationError(
                "--own-family is said of runs that compare answers that came with the data; here the scenario's `pair` "
                "says own_family"
            )
        self._own_family = own_family
        self.run = _digest(played, log.meta(MARK))
        made = {data for each in self._played.values() for data in each.filters}
        self.data: tuple[Data, ...] = tuple(data for data in get_args(Data) if data in made)
        if not self.data:
            raise DeclarationError(
                f"{log.path.parent} makes no pairs: no step of its scenario has `pair`, and it gives no verdicts"
            )
        self.failed = 0
        self._finished = 0
        self._with: Counter[Data] = Counter()

    def asked(self, pair: Pair) -> Filters:
        """Return what the scenario asks of such a pair."""
        played = self._played[pair.variant or ""]
        return played.steps[pair.step] if pair.step else played.filters[pair.data]

    @property
    def items(self) -> int:
        """Return how many items the run has, those of every variant that is wanted."""
        started = self._log.newest("run_started")
        total = int(orjson.loads(started.body)["items"]) if started is not None else 0
        variants = len(orjson.loads(self._log.meta("played") or "{}").get("variants", {"": None}))
        return max(total * len(self._played) // variants, self._finished + self.failed)

    @property
    def open(self) -> int:
        """Return how many have no outcome yet."""
        return self.items - self._finished - self.failed

    @property
    def without(self) -> Mapping[Data, int]:
        """Return how many were played and made no candidate of a data set."""
        return {data: self._finished - self._with[data] for data in self.data}

    def __iter__(self) -> Iterator[Pair]:
        """Return all candidates of items that have an outcome, those dropped included.

        Raises:
            LogError: the log is damaged.
        """
        self.failed = self._finished = 0
        self._with.clear()
        last = self._log.last()
        set_aside = self._log.set_aside(last)
        talks: dict[str, Talk] = {}
        for sequence, conversation, sender, kind, body, digest in self._log.bodies(KINDS, until=last):
            try:
                content: dict[str, Any] = orjson.loads(body)
                if kind == "item_opened":
                    name = content["item"].get("variant") or ""
                    if name in self._played:
                        talks[conversation] = Talk(self._log, self._played[name], content)
                elif conversation not in talks:
                    continue  # of another variant; or a damaged log has lost its beginning
                elif kind not in ("item_finished", "item_failed"):
                    talks[conversation].take(sender, kind, content, digest)
                elif sequence not in set_aside:
                    yield from self._ended(talks.pop(conversation), failed=kind == "item_failed")
            except (ValueError, KeyError, TypeError) as error:
                raise damaged(self._log.path, f"event {sequence} is not what it was") from error

    def _ended(self, talk: Talk, *, failed: bool) -> Iterator[Pair]:
        if failed:
            self.failed += 1
            return
        self._finished += 1
        one = talk.played.compares
        found = [pair_of_verdict(talk, own_family=self._own_family)] if one else list(talk.pairs())
        self._with.update({pair.data for pair in found})
        yield from found


def _digest(played: dict[str, Any], mark: str | None) -> str:
    """Return a digest of what was played and of its data: the same for two runs that would say the same."""
    facts = {"played": played, "data": orjson.loads(mark) if mark else None}
    return blake2b(orjson.dumps(facts, option=orjson.OPT_SORT_KEYS), digest_size=12).hexdigest()
