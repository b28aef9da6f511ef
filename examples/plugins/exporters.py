"""Exporters: rows of a format of one's own, or files of any sort."""

from collections.abc import Iterable, Iterator
from html import escape
from pathlib import Path
from typing import Any

from fellowship import plugins
from fellowship.scenarios.preferences.pair import Pair


@plugins.exporter("ranked")
def ranked(pairs: Iterable[Pair]) -> Iterator[dict[str, Any]]:
    """Rows with a prompt, its answers from the best to the worst, and by how much the first is better."""
    for pair in pairs:
        if pair.chosen is not None and pair.rejected is not None:
            yield {
                "prompt": pair.prompt[-1].content,
                "answers": [pair.chosen.text, pair.rejected.text],
                "margin": pair.margin,
            }


@plugins.exporter("pages")
def pages(pairs: Iterable[Pair], folder: Path) -> None:
    """A page for each prompt, to be read by people."""
    for number, pair in enumerate(pairs, start=1):
        sides = [("chosen", pair.chosen), ("rejected", pair.rejected)]
        parts = [f"<h2>{name}</h2><p>{escape(side.text)}</p>" for name, side in sides if side is not None]
        page = f"<h1>{escape(pair.prompt[-1].content)}</h1>{''.join(parts)}"
        (folder / f"{number:04}.html").write_text(page, encoding="utf-8")
