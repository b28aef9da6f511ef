"""Who hears what is said in one conversation.

Topology is subscription: an agent listens to speakers, and what a speaker says goes to all who listen to it. Whoever
begins to listen late is caught up. While a round is blind, what is said is held back until the round closes.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ..protocols.hearing import Heard
from ..protocols.messages import Fact


@dataclass(slots=True)
class Utterance:
    """Something said: where it stands in the log, by whom, and what."""

    sequence: int
    speaker: str
    fact: Fact
    known_as: str | None = None
    """What those who hear it are told of the speaker's name; none: the name."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """What one listener is to be told."""

    listener: str
    utterance: Utterance

    def heard(self) -> Heard:
        """Return the letter's message."""
        utterance = self.utterance
        return Heard(speaker=utterance.speaker, fact=utterance.fact, known_as=utterance.known_as)


class Bus:
    """Subscriptions of one conversation, and what was said so far."""

    __slots__ = ("_heard", "_hears", "_held", "masks", "said", "secret")

    def __init__(self) -> None:
        self.said: list[Utterance] = []
        """Everything said, in order, and a blind round in that of its speakers; the flow of a scenario bounds it."""
        self.masks: Mapping[str, str] = {}
        """What those who speak now are known as to whoever hears it, where that is not their name."""
        self.secret = False
        """Whether nobody is told what is said now, nor ever will be."""
        self._hears: dict[str, tuple[str, ...]] = {}
        self._heard: dict[str, set[int]] = {}
        self._held: list[Utterance] | None = None

    def listeners(self, speaker: str) -> tuple[str, ...]:
        """Return who listens to a speaker now."""
        if not self._hears or self.secret:
            return ()
        return tuple(name for name, speakers in self._hears.items() if speaker in speakers)

    def hears(self, listener: str) -> tuple[str, ...] | None:
        """Return whom an agent listens to; None where nothing was ever said of it."""
        return self._hears.get(listener)

    def subscribe(self, listener: str, speakers: Sequence[str]) -> list[Delivery]:
        """Let an agent listen to these speakers, and only these, from now on.

        Returns:
            What they had said before and this listener has not heard, to be delivered now.
        """
        self._hears[listener] = tuple(speakers)
        held = {utterance.sequence for utterance in self._held or ()}
        return self._deliveries(listener, (u for u in self.said if u.sequence not in held and u.speaker in speakers))

    def publish(self, utterance: Utterance) -> list[Delivery]:
        """Take down what was said.

        Returns:
            What is to be delivered now; nothing while a round is blind.
        """
        if self.secret:
            return []
        utterance.known_as = self.masks.get(utterance.speaker)
        self.said.append(utterance)
        if self._held is not None:
            self._held.append(utterance)
            return []
        if not self._hears:
            return []
        return self._to_listeners(utterance)

    def hold(self) -> None:
        """Begin a blind round: nothing is delivered until it is released; raises RuntimeError within another."""
        if self._held is not None:
            raise RuntimeError("a blind round is under way already")
        self._held = []

    def release(self, order: Sequence[str]) -> list[Delivery]:
        """Close the blind round; for whoever listens later, too, it was held in the given order.

        Returns:
            What is to be delivered now, speakers in the given order, whoever was quickest.
        """
        held, self._held = self._held or [], None
        place = {name: index for index, name in enumerate(order)}
        held.sort(key=lambda utterance: place.get(utterance.speaker, len(place)))
        if held:  # the last that was said; whoever begins to listen later is told in this order, too
            self.said[-len(held) :] = held
        return [delivery for utterance in held for delivery in self._to_listeners(utterance)]

    def _to_listeners(self, utterance: Utterance) -> list[Delivery]:
        return [
            delivery
            for listener in self.listeners(utterance.speaker)
            for delivery in self._deliveries(listener, (utterance,))
        ]

    def _deliveries(self, listener: str, utterances: Iterable[Utterance]) -> list[Delivery]:
        heard = self._heard.setdefault(listener, set())
        fresh = [utterance for utterance in utterances if utterance.sequence not in heard]
        heard.update(utterance.sequence for utterance in fresh)
        return [Delivery(listener, utterance) for utterance in fresh]
