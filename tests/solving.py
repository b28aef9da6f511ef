"""What tests of questions share: a scenario in which three solve them twice, and models that answer as they are told."""

import json
import re
from collections.abc import Callable, Mapping, Sequence

from fellowship.protocols.identity import ItemId
from fellowship.protocols.items import Item
from fellowship.protocols.models import ModelCall
from fellowship.runtime.testing import ScriptedModel
from fellowship.scenarios import Plan, plan
from fellowship.scenarios.loading import validate
from fellowship.scenarios.source import read

AGENTS = ("one", "two", "three")
SOCIETY = """\
scenario: society
takes: question
answers: numeric
models: {one: acme/one, two: acme/two, three: acme/three}
agents:
  one: {role: solver, model: one}
  two: {role: solver, model: two}
  three: {role: solver, model: three}
flow:
  - {ask: [one, two, three], for: answer}
  - {ask: [one, two, three], for: answer, hears: everyone}
  - {decide: unique-mode}
gives: answer
"""
ALONE = SOCIETY.replace("scenario: society", "scenario: alone").replace(
    "  - {ask: [one, two, three], for: answer, hears: everyone}\n", ""
)
Talk = tuple[Sequence[str], Sequence[str]]
"""What each of the three answers first, and then."""


def society(text: str = SOCIETY) -> Plan:
    source = read(text, "society.yaml")
    return plan(validate(source), source=source)  # type: ignore[arg-type]


def questions(known: Sequence[str | None]) -> list[Item]:
    """Return questions, each with its known answer."""
    return [Item(id=ItemId(f"q{n}"), prompt=f"Question {n}?", reference=answer) for n, answer in enumerate(known)]


def solver(talks: Mapping[int, Talk]) -> ScriptedModel:
    """Return a model that answers as the talks say."""
    return ScriptedModel(answers(talks))


def answers(talks: Mapping[int, Talk]) -> Callable[[ModelCall], str]:
    """Return what answers as the talks say: first, and then, once it has heard an answer; `hm` is none."""

    def answer(call: ModelCall) -> str:
        said = " ".join(message.content for message in call.messages)
        found = re.search(r"Question (\d+)\?", said)
        assert found is not None
        first, then = talks[int(found[1])]
        name = call.settings.model.partition("/")[2]
        given = (then if said.count("I say") else first)[AGENTS.index(name)]
        return given if given == "hm" else json.dumps({"reasoning": f"I say {given}.", "answer": given})

    return answer
