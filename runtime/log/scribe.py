"""Putting messages down: the form in which a log keeps them, whichever process has it."""

from collections.abc import Callable

from ...protocols.identity import ConversationId
from ...protocols.lifecycle import ModelCalled
from ...protocols.messages import Message
from ...protocols.ports import Clock
from . import schema
from .texts import TEXT, digest_of, long_text

REMEMBERED_TEXTS = 4_096
"""Texts known to be kept; one that is forgotten is offered again, and ignored where it is there."""

Row = tuple[int, str, int | None, str, str, str, str, float, int | None, str | None]
"""Sequence, conversation, cause, sender, recipients with commas, kind, body and time of an event; whether it is a
landmark; and the digest of its text, where that lies apart."""
COLUMNS = 10


class Scribe:
    """Makes rows of messages, and gathers the texts that these name."""

    def __init__(self, clock: Clock, hide: Callable[[str], str] | None = None) -> None:
        self._clock = clock
        self._hide = hide
        self._texts: list[tuple[str, str]] = []
        self._known: dict[str, None] = {}

    def row(
        self,
        sequence: int,
        message: Message,
        sender: str,
        conversation: ConversationId,
        cause: int | None,
        recipients: tuple[str, ...],
    ) -> Row:
        """Return the row of a message."""
        if isinstance(message, ModelCalled) and message.logprobs:
            message = self._without_spelling(message)
        text, digest, to_json = long_text(message), None, message.__pydantic_serializer__.to_json
        if text is None:
            body = to_json(message, exclude_none=True).decode()  # half of model_dump_json
        else:
            text = text if self._hide is None else self._hide(text)
            digest = digest_of(text)
            body = to_json(message, exclude_none=True, exclude=TEXT).decode()
            self.keep(digest, text)
        if self._hide is not None:
            body = self._hide(body)
        landmark = 1 if message.kind in schema.LANDMARKS else None
        time_s, to = self._clock.now_s(), ",".join(recipients)
        return sequence, conversation, cause, sender, to, message.kind, body, time_s, landmark, digest

    def _without_spelling(self, called: ModelCalled) -> ModelCalled:
        """Return a call without the tokens of its text, where these spell what must not be written."""
        if self._hide is None or called.text is None or self._hide(called.text) == called.text:
            return called
        return called.model_copy(update={"logprobs": None})

    def keep(self, digest: str, text: str) -> None:
        """Gather a text under its digest, once; raises UnicodeEncodeError for one that cannot be written down."""
        if digest in self._known:
            return
        text.encode()  # a lone surrogate is its sayer's fault: in the writer it would be the end of the run
        if len(self._known) >= REMEMBERED_TEXTS:
            del self._known[next(iter(self._known))]
        self._known[digest] = None
        self._texts.append((digest, text if self._hide is None else self._hide(text)))

    def texts(self) -> list[tuple[str, str]]:
        """Return what was gathered since this was asked for last."""
        texts, self._texts = self._texts, []
        return texts
