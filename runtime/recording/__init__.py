"""What was recorded, given back: to go on with a conversation, to replay it, and as a model in tests."""

from .cassette import Cassette, Parcel, RecordedRun
from .file import FileCassette
from .recall import Recall
from .recollection import Recollection
from .standing import Sifted, sift
from .tape import Fit, Tape

__all__ = [
    "Cassette",
    "FileCassette",
    "Fit",
    "Parcel",
    "Recall",
    "Recollection",
    "RecordedRun",
    "Sifted",
    "Tape",
    "sift",
]
