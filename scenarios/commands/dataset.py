"""The data sets that a run writes of itself as it ends."""

# ruff: noqa: PLC0415 - heavy modules are loaded where a run makes pairs
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..preferences.exported import Exported


@dataclass(frozen=True, slots=True)
class DataSets:
    """What was written."""

    to: Path
    exported: "Exported"

    def document(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {"to": str(self.to), **self.exported.model_dump(mode="json")}

    def show(self) -> None:
        """Print what was lost on the way, and where the folder lies."""
        from rich.text import Text

        from .. import terminal
        from ..tables.funnel import exported_tables
        from ..tables.shown import on_terminal

        terminal.out().print()
        terminal.out().print(on_terminal(exported_tables(self.exported)))
        terminal.out().print(Text(f"data sets  {self.to}"), soft_wrap=True)


def data_sets_of(run: Path) -> DataSets | None:
    """Write the data sets of a run that makes preference pairs; None where it makes none, or they cannot be written.

    What goes wrong is told: the run has come to what it has come to.
    """
    from rich.text import Text

    from ...runtime.printable import plain
    from .. import terminal
    from ..directory import DATASET

    try:
        if not _makes_pairs(run):
            return None
        from ..preferences.exporting import export_own

        return DataSets(run / DATASET, export_own(run))
    except Exception as error:  # noqa: BLE001 - whatever it is, a bug included, it is not the run's
        words = str(error) or type(error).__name__
        told = f"fellowship: the data sets were not written: {words}; `fellowship export` writes them elsewhere"
        terminal.err().print(Text(plain(told)), soft_wrap=True)
        return None


def _makes_pairs(run: Path) -> bool:
    import orjson

    from ...runtime.log import LogReader
    from ..directory import LOG
    from ..preferences.played import makes_pairs

    with LogReader(run / LOG) as log:
        played = log.meta("played")
    return played is not None and makes_pairs(orjson.loads(played))
