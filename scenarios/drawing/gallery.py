"""The pages that are written from the code itself: the gallery of the library, and the words of the language.

`python -m fellowship.scenarios.drawing.gallery docs` writes them all anew.
"""

import re
import sys
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

from ..console import plan_of
from ..loading import library, load
from ..spec import Document
from .chart import pictures
from .svg import svg
from .words import page

ONE_SENTENCE = re.compile(r"(?<=[.])\s+")
DATA = {"comparison": "examples/pairs.jsonl", "instruction": "examples/data.jsonl", "question": "questions.jsonl"}
HEAD = """\
# Gallery

The scenarios that come with the package, and how each goes. Columns are who takes part, time goes down. A line leads
from the dots of those who are heard to the arrows of those who hear them; a dashed one from the second round on.
`fellowship draw SCENARIO` draws your own. `make docs` writes this page.
"""


def documents() -> dict[str, str]:
    """Return all that is written: the text of each file, by its path from the folder of the docs."""
    found = {f"gallery/{name}.svg": svg(pictures(plan_of(name, None, None))) for name in library()}
    return {**found, "gallery.md": gallery(), "words.md": page()}


def gallery() -> str:
    """Return the page that shows the library."""
    return "\n".join([HEAD, *(line for name in library() for line in _shown(name))])


def _shown(name: str) -> Iterator[str]:
    document, _ = load(name)
    sentences = ONE_SENTENCE.split(document.about)
    calls = [each for each in sentences if "calls" in each or "call " in each]
    yield f"## {name}\n"
    yield f"{' '.join(each for each in sentences if each not in calls)}\n"
    yield from (f"> {line}  " for line in _comment(name))
    yield ""
    yield f"![The flow of {name}](gallery/{name}.svg)\n"
    if calls:
        yield f"Calls: {' '.join(calls)}\n"
    yield f"```\n{_command(document)}\n```\n"


def _comment(name: str) -> Iterator[str]:
    """Return the lines at the head of a scenario's file: where it is from, and when to use it."""
    scenarios = files((__package__ or "").rpartition(".")[0])
    for line in (scenarios / "library" / f"{name}.yaml").read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            return
        yield line.removeprefix("#").strip()


def _command(document: Document) -> str:
    return f"fellowship run {document.scenario} --data {DATA[document.takes]}"


def write(folder: Path) -> None:
    """Write all documents into a folder; pictures of scenarios that are no more are removed."""
    made = documents()
    (folder / "gallery").mkdir(parents=True, exist_ok=True)
    for path, text in made.items():
        (folder / path).write_text(text, encoding="utf-8")
    for drawn in sorted((folder / "gallery").glob("*.svg")):
        if f"gallery/{drawn.name}" not in made:
            drawn.unlink()


if __name__ == "__main__":
    write(Path(sys.argv[1]))
