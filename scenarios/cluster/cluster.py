"""Which cluster a run is played on."""

from dataclasses import dataclass
from pathlib import Path

HERE = "local"
"""The address of a Ray that is started on this machine for the run."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """Which Ray, and how much of it."""

    address: str = HERE
    """`auto` for the cluster that this machine is part of, HOST:PORT, or `local` for one that is started here."""
    workers: int | None = None
    """Processes that play; None: as many as make sense."""
    wheel: Path | None = None
    """A wheel of this package, for nodes that have none."""
