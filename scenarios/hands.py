"""Which version of each draft is in hand: the one that its writer goes on from, and that others review."""

from collections.abc import Sequence

from ..protocols.generation import DraftWritten
from ..protocols.lifecycle import DraftPicked
from ..protocols.messages import Fact, named
from ..protocols.review import FeedbackGiven
from ..runtime.bus import Bus


class Hands:
    """The versions in hand in one conversation: the last that was written, where no other one was picked."""

    def __init__(self, said: Sequence[tuple[str, Fact]], bus: Bus) -> None:
        """Begin with nothing in hand.

        Args:
            said: Speaker and fact, in the order they were said; it grows.
            bus: Says who listens to whom.
        """
        self._said = said
        self._bus = bus
        self._versions: dict[str, int] = {}
        """By writer, where it need not be the last."""

    def pick(self, picked: DraftPicked) -> None:
        """Take a draft that was picked in hand."""
        self._versions[picked.writer] = picked.version

    def wrote(self, writer: str, draft: DraftWritten, *, apart: bool) -> None:
        """Take a new draft in hand; of several that a writer wrote apart, reviewers are told one."""
        self._versions.pop(writer, None)
        if apart:
            self._versions[writer] = draft.version

    def chosen(self, writer: str) -> int | None:
        """Return the version in hand where it need not be the writer's last; else None."""
        return self._versions.get(writer)

    def version(self, writer: str) -> int | None:
        """Return the version that a writer is to revise; None where it has written none."""
        versions = [draft.version for draft in self._drafts(writer)]
        return self._versions.get(writer, versions[-1] if versions else None)

    def names(self, said: Sequence[tuple[str, Fact]]) -> tuple[str, ...]:
        """Return the drafts in hand, by name, of all that was said; solutions that are unread are none."""
        last = {who: fact for who, fact in said if isinstance(fact, DraftWritten) and not fact.unread}
        return tuple(named(who, self._versions.get(who, draft.version)) for who, draft in last.items())

    def reviewers(self, writer: str, version: int | None) -> list[str]:
        """Return those whose feedback on a version the writer hears and has not followed in a draft of its own yet."""
        if version is None:
            return []
        draft, heard = named(writer, version), self._bus.hears(writer) or ()
        followed = {name for draft in self._drafts(writer) for name in draft.by or ()}
        fresh = [
            who
            for who, fact in self._said
            if isinstance(fact, FeedbackGiven)
            and who in heard
            and draft in (fact.on or ())
            and (fact.number is None or named(who, fact.number) not in followed)
        ]
        return list(dict.fromkeys(fresh))

    def reviewed(self, reviewer: str) -> str | None:
        """Return the draft that a reviewer is to review, where it need not be the last one it has heard."""
        heard = self._bus.hears(reviewer) or ()
        drafts = [named(writer, version) for writer, version in self._versions.items() if writer in heard]
        return drafts[0] if len(drafts) == 1 else None

    def _drafts(self, writer: str) -> list[DraftWritten]:
        return [fact for who, fact in self._said if who == writer and isinstance(fact, DraftWritten)]
