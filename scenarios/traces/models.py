"""Which model speaks for each agent of a run, as it was noted when it began."""

from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from ...protocols.identity import places
from ...runtime.log import LogReader


class Models(Mapping[tuple[str, str], str]):
    """The model of each agent, by variant (empty where it is no sweep) and name; of branches, that of their place."""

    def __init__(self, known: Mapping[tuple[str, str], str]) -> None:
        self._known = known

    def __getitem__(self, key: tuple[str, str]) -> str:
        variant, agent = key
        for name in places(agent):
            if (variant, name) in self._known:
                return self._known[variant, name]
        raise KeyError(key)

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._known)

    def __len__(self) -> int:
        return len(self._known)


def models_of(log: LogReader) -> Models:
    """Return the model of each agent of a run; nothing of one that does not say what was played."""
    played: dict[str, Any] = orjson.loads(log.meta("played") or "{}")
    records: dict[str, dict[str, Any]] = played.get("variants", {"": played})
    return Models(
        {
            (variant, agent): str(settings["model"])
            for variant, record in records.items()
            for agent, settings in record.get("models", {}).items()
        }
    )
