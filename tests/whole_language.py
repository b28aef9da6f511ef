"""Scenarios that together use every word of the language, as files beside one another; items and answers for them."""

import json
from collections.abc import Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Any

from telling import asked

from fellowship.protocols.identity import ItemId
from fellowship.protocols.items import Candidate, Item
from fellowship.protocols.models import ModelCall
from fellowship.scenarios import Plan, load, plan

FILES = {
    "people.yaml": """\
lawyer: {title: a patent lawyer, text: You doubt what is not proven.}
cook: {title: a cook, text: You care for what tastes.}
""",
    "branching.yaml": """\
scenario: branching
takes: comparison
judging: {confidence: true}
models: {planner: acme/planner, judge: {model: acme/judge, temperature: 0.5}, critic: acme/critic, meta: acme/meta}
personas: people.yaml
agents:
  planner: {role: moderator, model: planner}
  judge: {role: judge, model: judge, personas: [lawyer, cook]}
  critic: {role: debater, model: critic, prompt: {argument: "Argue about {{ request }} in one word."}}
  meta: {role: judge, model: meta}
flow:
  - {ask: planner, for: criteria, most: 2}
  - each: criterion
    of: criteria
    most: 2
    order: together
    do:
      - each: side
        of: candidates
        order: together
        do:
          - {ask: critic, for: argument, side: $side, instructions: "Think of $criterion."}
          - when: tokens >= 400
            do: [{ask: critic, for: argument, side: $side}]
      - {ask: judge, for: ballot, order: in-turn, hears: critic, samples: 2, instructions: "By $criterion alone."}
  - each: matter
    of: data.matters
    do:
      - {ask: judge, for: ballot, order: in-turn, until: confidence >= 0.8, instructions: "By $matter alone."}
  - {decide: meta-judge, by: meta}
gives: verdict
""",
    "talking.yaml": """\
scenario: talking
takes: comparison
models: {one: acme/one, two: acme/two, chair: acme/chair}
agents:
  one: {role: debater, model: one, count: 3}
  two: {role: debater, model: two, count: 3, persona: sceptic}
  chair: {role: moderator, model: chair}
groups: {all: [one, two]}
flow:
  - repeat: 2
    until: [approved, cost >= 2]
    do:
      - {ask: all, for: argument, hears: {graph: small-world, k: 2, rewired: 0.5}, anonymous: true}
      - {ask: [one, two], for: argument, order: alternating, blind: true, hears: {graph: random, k: 2}}
      - {ask: chair, for: summary, hears: all, replaces: true}
      - {ask: [one-1, two-1], for: argument, order: random, hears: chair, anonymous: true}
      - {ask: chair, for: approval, hears: everyone}
  - repeat: 3
    until: drift <= 0.5
    do:
      - {ask: all, for: ballot, hears: {graph: star, centre: two-2}, exclude: model}
  - when: disagreement
    do: [{ask: chair, for: summary}]
    else: [{decide: majority, ties: first}]
  - {decide: unique-mode, among: two, ties: random}
gives: verdict
""",
    "inner.yaml": """\
scenario: inner
takes: question
parameters: {agents: {default: 2, least: 2, most: 9}}
models: {solver: acme/solver, checker: acme/checker}
agents:
  solver: {role: solver, model: solver, count: $agents}
  checker: {role: reviewer, model: checker, prompt: {system: "You check strictly."}}
flow:
  - {use: society, set: {agents: 3, rounds: 2, models.solver: acme/society}, as: {solver: solver}}
  - {ask: solver, for: answer, hears: {graph: ring}}
  - {ask: checker, for: feedback, hears: solver}
  - {decide: unique-mode}
gives: answer
""",
    "solving.yaml": """\
scenario: solving
takes: question
judging: {confidence: true}
models: {examiner: acme/examiner, solver: acme/mine, apart: acme/apart, checker: acme/own}
agents:
  examiner: {role: moderator, model: examiner}
  mine: {role: solver, model: solver}
  apart: {role: solver, model: apart}
  checker: {role: reviewer, model: checker}
  helper: {role: reviewer, model: checker, count: 2}
flow:
  - {ask: examiner, for: question}
  - {use: inner.yaml, set: {agents: 3}, as: {checker: checker}}
  - {ask: mine, for: answer, hears: everyone}
  - each: way
    of: [Forwards., Backwards., Sideways.]
    sample: 2
    order: together
    do:
      - {ask: apart, for: answer, instructions: $way}
      - when: confidence < 0.9
        do: [{ask: helper, for: feedback, hears: apart, assign: random}, {ask: apart, for: answer, hears: helper}]
  - {decide: majority, ties: random}
  - {pair: generation, select: consensus}
gives: answer
""",
    "writing.yaml": """\
scenario: writing
takes: instruction
personas: people.yaml
models: {peer: acme/peer, other: acme/other, judge: acme/judge, first: acme/first}
agents:
  peer: {role: peer, model: peer, personas: [lawyer, cook]}
  other: {role: peer, model: other}
  judge: {role: judge, model: judge, count: 2}
  first: {role: judge, model: first}
  reader: {role: reviewer, model: first, count: 2}
groups: {writers: [peer, other], judges: [judge, first]}
flow:
  - {ask: writers, for: draft}
  - each: draft
    of: drafts
    order: together
    do:
      - {ask: reader, for: feedback, on: $draft, exclude: model, hears: writers}
  - each: draft
    of: drafts
    do:
      - {ask: writers, for: feedback, on: $draft, exclude: own, hears: everyone}
  - {ask: writers, for: draft, instructions: Revise.}
  - each: principle
    of: [Be kind., Be brief., Be true.]
    sample: 2
    do:
      - {ask: peer, for: feedback, assign: random, hears: other, instructions: $principle}
      - {ask: other, for: draft, hears: peer, instructions: $principle}
  - {pick: round-robin, by: judges, among: writers, orders: random, rule: majority}
  - {ask: other, for: draft, hears: everyone}
  - {pair: generation, by: judges, select: best-all, own_family: true, rule: mean-score}
gives: pairs
""",
}
PLAYED = ("branching", "talking", "solving", "writing")


def item(number: int) -> Item:
    return Item(
        id=ItemId(f"i{number}"),
        prompt=f"Question {number}?",
        candidates=(
            Candidate(slot="a", text=f"Answer a{number}", model="first/large"),
            Candidate(slot="b", text=f"Answer b{number}", model="second/small"),
        ),
        reference="4",
        metadata={"matters": ["tone", "length", "truth"]},
    )


def items(count: int) -> list[Item]:
    return [item(number) for number in range(count)]


def say(call: ModelCall) -> str:
    """Return an answer that follows from all that is asked, in the form that is asked for."""
    word = blake2b(repr(asked(call)).encode(), digest_size=4).hexdigest()
    if call.answer is None:
        return f"I say {word}. " * 6
    parts: Mapping[str, Any] = call.answer.schema["properties"]
    return json.dumps({name: _value(name, part, word) for name, part in parts.items()})


def _value(name: str, part: Mapping[str, Any], word: str) -> object:
    chosen = blake2b(f"{name} {word}".encode(), digest_size=2).digest()[0]
    if "enum" in part:
        return part["enum"][chosen % len(part["enum"])]
    match part["type"]:
        case "array":
            return [f"clarity {word}", f"depth {word}"]
        case "boolean":
            return chosen % 4 == 0
        case "number":
            return chosen / 255 if name == "confidence" else 1 + chosen % 5
        case _:
            return str(chosen % 3) if name == "answer" else f"because of {word}"


def files(folder: Path) -> Path:
    """Write all of them into a folder."""
    for name, text in FILES.items():
        (folder / name).write_text(text)
    return folder


def made(folder: Path, name: str, *changes: str) -> Plan:
    """Return the plan of one of them, as its file is now."""
    scenario, source = load(str(folder / f"{name}.yaml"), changes=changes)
    return plan(scenario, source=source)
