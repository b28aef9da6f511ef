"""Long texts lie once, beside the events that say them: an argument is in a reply, in a fact, and in prompts after it.

The `text` of a message goes into the table of texts under its digest, as prompts do, and the event names the digest.
Whoever reads the event gets it back.
"""

from functools import cache, lru_cache
from hashlib import blake2b

import orjson

from ...protocols.lifecycle import ModelCalled
from ...protocols.messages import Message
from ..secrecy import MARK

LONG = 100
"""Characters from which on a text lies apart: a digest that is kept twice costs some 80 bytes."""
DIGEST = 32
"""Letters of a digest."""
TEXT = {"text"}
STRINGS: tuple[object, ...] = (str, str | None)


@cache
def may_lie_apart(kind: type[Message]) -> bool:
    """Return whether a class of messages has a field `text` that is a string and is written down as it is."""
    field = kind.model_fields.get("text")
    changed = kind.__pydantic_decorators__
    return (
        field is not None and field.annotation in STRINGS and not changed.field_serializers | changed.model_serializers
    )


def long_text(message: Message) -> str | None:
    """Return the text of a message that is to lie apart, if there is one."""
    if not may_lie_apart(type(message)) or (isinstance(message, ModelCalled) and message.answer is not None):
        return None  # an answer of a form, such as a ballot, is said once: to lay it apart costs more than it saves
    text: str | None = message.__dict__["text"]
    return text if text is not None and len(text) > LONG else None


def is_own(digest: str, text: str) -> bool:
    """Return whether a text is what it was when kept, as far as its digest tells; taking out a secret changes it."""
    return len(digest) != DIGEST or MARK[:-1] in text or blake2b(text.encode(), digest_size=16).hexdigest() == digest


@lru_cache(maxsize=64)  # a reply's text is the text of the fact that comes next
def digest_of(text: str) -> str:
    """Return the digest of a text, the same as a ChatMessage's; raises UnicodeEncodeError for lone surrogates."""
    return blake2b(text.encode(), digest_size=16).hexdigest()


def whole(body: str, text: str) -> str:
    """Return the body of a message with its text, which lay apart."""
    return f'{body[:-1]},"text":{orjson.dumps(text).decode()}}}'
