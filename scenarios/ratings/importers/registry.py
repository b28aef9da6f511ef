"""Importers by name."""

from ....protocols.errors import UnknownName
from .alpaca_eval import ALPACA_EVAL
from .fellowship import FELLOWSHIP
from .importer import Importer
from .llmbar import LLMBAR
from .mt_bench import MT_BENCH
from .pandalm import PANDALM
from .preference import PREFERENCE

IMPORTERS: dict[str, Importer] = {
    importer.name: importer for importer in (PANDALM, MT_BENCH, FELLOWSHIP, ALPACA_EVAL, LLMBAR, PREFERENCE)
}


def importer_named(name: str) -> Importer:
    """Return the importer of a format; raises UnknownName."""
    if name not in IMPORTERS:
        raise UnknownName("format", name, IMPORTERS)
    return IMPORTERS[name]
