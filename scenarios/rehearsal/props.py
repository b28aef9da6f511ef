"""What a rehearsal is about: items out of mappings, and samples for those who name none."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...protocols.items import Item
from ..datasets import Dataset
from ..shapes import SHAPES
from ..spec import Each, Scenario, within

COMPARISONS: tuple[dict[str, Any], ...] = (
    {
        "id": "tea",
        "prompt": "How do I keep iced tea from going cloudy?",
        "a": "Let it cool to room temperature before it goes into the fridge; a splash of boiling water clears it.",
        "b": "Use less tea.",
    },
    {
        "id": "capital",
        "prompt": "What is the capital of Australia?",
        "a": "Sydney.",
        "b": "Canberra; Sydney is larger, but was never the capital.",
    },
    {
        "id": "haiku",
        "prompt": "Write a haiku about rain.",
        "a": "Rain upon the roof / a drum that nobody plays / and all of us hear",
        "b": "Grey morning window / the street is writing letters / in a hand of drops",
    },
)
INSTRUCTIONS: tuple[dict[str, Any], ...] = (
    {"id": "tea", "prompt": "How do I keep iced tea from going cloudy?"},
    {"id": "sky", "prompt": "Explain to a child of eight why the sky is blue."},
    {"id": "haiku", "prompt": "Write a haiku about rain."},
)
VALUES = ("the first of them", "the second")
"""Of a column that an `each` goes through."""
QUESTIONS: dict[str, tuple[dict[str, Any], ...]] = {
    "exact": (
        {"id": "australia", "prompt": "What is the capital of Australia?", "reference": "Canberra"},
        {"id": "gold", "prompt": "What is the chemical symbol of gold?", "reference": "Au"},
        {"id": "opposite", "prompt": "What is the opposite of north?", "reference": "south"},
    ),
    "numeric": (
        {"id": "eggs", "prompt": "A hen lays 3 eggs in 2 days. How many do 4 hens lay in 6 days?", "reference": "36"},
        {
            "id": "train",
            "prompt": "A train goes 90 km in 45 minutes. How many km does it go in 2 hours?",
            "reference": "240",
        },
        {"id": "change", "prompt": "Three pens cost 4.50. How much do 5 pens cost?", "reference": "7.50"},
    ),
    "choice": (
        {
            "id": "planet",
            "prompt": "Which planet is the largest?",
            "choices": ["Mars", "Jupiter", "Venus", "Earth"],
            "reference": "B",
        },
        {"id": "prime", "prompt": "Which of these is a prime number?", "choices": ["21", "27", "29"], "reference": "C"},
        {
            "id": "boil",
            "prompt": "Where does water boil at the lowest temperature?",
            "choices": ["on a high mountain", "at the sea", "in a deep mine"],
            "reference": "A",
        },
    ),
}


def sample(scenario: Scenario) -> tuple[dict[str, Any], ...]:
    """Return three rows that fit what a scenario takes, with the columns of data that its `each` goes through."""
    rows = {"comparison": COMPARISONS, "instruction": INSTRUCTIONS, "question": QUESTIONS[scenario.answers]}
    scenarios = (scenario, *scenario.used.values())
    steps = [step for each in scenarios for step in within(each.flow) if isinstance(step, Each)]
    columns = [
        step.of.removeprefix("data.") for step in steps if isinstance(step.of, str) and step.of.startswith("data.")
    ]
    return tuple({**row, **{name: list(VALUES) for name in columns}} for row in rows[scenario.takes])


def item_of(row: Mapping[str, Any] | Item, scenario: Scenario, number: int) -> Item:
    """Return the item of a row, read as a data file's: `prompt`, for comparisons `a` and `b`, and what else there is.

    Raises:
        DeclarationError: what it must have is missing, or is not what it must be.
    """
    if isinstance(row, Item):
        return row
    cells, takes = dict(row), scenario.takes
    shape = next((shape for shape in SHAPES if shape.fits(cells, takes)), None)
    answers = (scenario.answers,) if takes == "question" else ()
    mapping: Mapping[str, str] = shape.mapping if shape is not None else {}
    return Dataset(Path("item"), mapping, takes, shape=shape, answers=answers).item(cells, number + 1)
