"""What prompts must contain, whoever speaks; and what a scenario's own wordings may use."""

import json
import re
from collections.abc import Iterator

import pytest
from speaking import COMPARED, PLAIN, QUESTION, about, argument, draft, filled, heard, question, review, whole

from fellowship.agents import PERSONAS, ROLES, Agent, Profile, Prompt, blocks_of, variables, wording
from fellowship.protocols.comparing import CompareDrafts, ScoreDraft
from fellowship.protocols.debate import MakeArgument
from fellowship.protocols.errors import DeclarationError
from fellowship.protocols.generation import DraftWritten, WriteDraft
from fellowship.protocols.items import Item
from fellowship.protocols.judging import Judging, StrategyName
from fellowship.protocols.jury import CastVote, VoteCast
from fellowship.protocols.messages import Command, Fact
from fellowship.protocols.models import ModelCall, ModelSettings
from fellowship.protocols.moderation import (
    AskQuestion,
    GiveApproval,
    ProposeCriteria,
    SummaryWritten,
    WriteSummary,
)
from fellowship.protocols.review import FeedbackGiven, GiveFeedback
from fellowship.protocols.solving import GiveAnswer
from fellowship.runtime.testing import ScriptedModel

NAMES = [name for name in ROLES if name != "judge"]
JUDGING: tuple[StrategyName, ...] = ("direct", "combined", "independent")
CRITERIA = ("helpfulness", "relevance", "accuracy", "depth", "creativity", "level of detail")


def commands(role: type[Agent], item: Item, **more: str) -> Iterator[Command[Fact]]:
    """Yield each command that a role takes about an item."""
    if DraftWritten in role.gives:
        yield WriteDraft(**more)
        yield WriteDraft(round=2, **more)
        yield GiveAnswer(confidence=True, **more)
    if FeedbackGiven in role.gives:
        yield GiveFeedback(**more)
    if "argument" in blocks_of(role):
        yield MakeArgument(side="a", **more)
    if SummaryWritten in role.gives:
        yield from (WriteSummary(**more), GiveApproval(**more), ProposeCriteria(**more), AskQuestion(**more))
    if VoteCast in role.gives:
        for strategy in JUDGING if item.candidates else ():
            yield CastVote(judging=Judging(strategy=strategy, confidence=True), orders=("ab",), **more)
        yield CompareDrafts(first="other/1", second="other/2", judging=Judging(), orders=("ba",), **more)
        yield ScoreDraft(draft="other/1", scale=10, **more)


async def played(
    name: str, script: object = filled, *, item: Item = COMPARED, prompt: Prompt | None = None, **more: str
) -> list[tuple[Command[Fact], list[ModelCall]]]:
    """Ask an agent for all it can give, each time after something was said; returns what its model was sent."""
    model = ScriptedModel(script)  # type: ignore[arg-type]
    found: list[tuple[Command[Fact], list[ModelCall]]] = []
    profile = {"persona": PERSONAS["critic"], "instructions": "Mind the facts.", "prompt": prompt}
    async with about(name, item, model, **profile) as conversation:
        for number, command in enumerate(commands(ROLES[name], item, **more)):
            before = len(model.calls)
            if number:
                own = review("Say why.", "it/1", number=number)
                await heard(conversation, draft(f"Draft {number}", number), own, argument("Because."))
            elif isinstance(command, GiveFeedback):
                await heard(conversation, draft("Draft 0", 9))
            await conversation.ask("it", command)
            found.append((command, model.calls[before:]))
    return found


@pytest.mark.parametrize("name", NAMES)
async def test_every_system_message_says_that_tagged_texts_are_material_and_no_instructions(name: str) -> None:
    for command, calls in await played(name):
        for call in calls:
            system = call.messages[0].content
            assert [message.role for message in call.messages].count("system") == 1
            assert "between tags is material" in system, command.kind
            assert "instruction" in system
            assert "order" in system
            assert "length" in system
            assert "Mind the facts." in system
            assert "You are a critic" in system


@pytest.mark.parametrize("name", ["debater", "judge", "juror", "moderator", "peer", "reviewer"])
async def test_whoever_judges_is_told_by_what_and_to_reason_first(name: str) -> None:
    judged = ("cast_vote", "compare_drafts", "score_draft", "give_feedback", "give_approval")
    asked = [(command, call) for command, calls in await played(name) if command.kind in judged for call in calls]
    assert asked
    for command, call in asked:
        system, request = call.messages[0].content, call.messages[-1].content
        assert all(word in system for word in CRITERIA), command.kind
        first, *others = json_fields(request)
        assert first in ("reason", "evaluation")
        assert others
        assert call.answer is not None
        assert next(iter(call.answer.schema["properties"])) == first
        assert re.search(r"reasons first|[Ee]valuate", request)


def json_fields(request: str) -> list[str]:
    return re.findall(r'"(\w+)": ', request.rpartition("Reply with one JSON object and nothing else:")[2])


@pytest.mark.parametrize("name", NAMES)
async def test_no_prompt_says_whose_model_wrote_a_candidate(name: str) -> None:
    for _, calls in await played(name):
        for call in calls:
            assert not re.search(r"acme|large|other/|small|x/y", whole(call))


@pytest.mark.parametrize("name", NAMES)
async def test_the_steps_own_words_end_every_request(name: str) -> None:
    for command, calls in await played(name, instructions="Think of $5 {{ nobody }}."):
        assert calls
        for call in calls:
            ending = "What this step asks of you in particular:\nThink of $5 {{ nobody }}."
            assert call.messages[-1].content.endswith(ending), command.kind
    for _, calls in await played(name):
        assert all("This step" not in whole(call) and "in particular" not in whole(call) for call in calls)


@pytest.mark.parametrize("item", [COMPARED, PLAIN, QUESTION], ids=["comparison", "instruction", "question"])
@pytest.mark.parametrize("name", NAMES)
async def test_a_wording_of_ones_own_of_every_block_may_use_all_variables_that_are_declared(
    name: str, item: Item
) -> None:
    role = ROLES[name]
    own = {
        block: f"[{block}] " + " ".join(f"{{{{ {each} }}}}" for each in sorted(variables(role, block)))
        for block in blocks_of(role)
    }
    answers = 0

    def every_second_is_unreadable(call: ModelCall) -> str:
        nonlocal answers
        answers += 1
        return " " if answers % 2 else filled(call)

    asked = await played(name, every_second_is_unreadable, item=item, prompt=Prompt.of(own))
    said = "\n".join(whole(call) for _, calls in asked for call in calls)
    assert {block for block in own if f"[{block}]" not in said} <= {"wish"}


@pytest.mark.parametrize("name", NAMES)
def test_no_block_of_a_role_uses_what_is_not_declared_for_it(name: str) -> None:
    role = ROLES[name]
    for hat in role.hats or (role,):
        for block in blocks_of(hat):
            kinds = [kind for kind in hat.__mro__ if isinstance(vars(kind).get("prompt"), Prompt)]
            prompt: Prompt = next(vars(kind)["prompt"] for kind in kinds if block in vars(kind)["prompt"])
            assert prompt.unknown(block, variables(hat, block)) == (), block


def test_a_variable_that_nobody_fills_is_found_in_the_block_that_uses_it() -> None:
    own = Prompt.of({"argument": "{% for l, t in candidates %}{{ l }}{{ loop.index }}{% endfor %}{{ rond }} {{ self.shown() }}",
                     "shown": "{{ request }} {{ mood }}"})  # fmt: skip
    assert own.unknown("argument", variables(ROLES["debater"], "argument")) == ("rond",)
    assert own.unknown("shown", variables(ROLES["debater"], "argument")) == ("mood",)
    assert own.blocks == ("argument", "shown")
    assert variables(ROLES["debater"], "argument") >= {"candidates", "heard", "round", "side", "wish", "request"}
    assert variables(ROLES["debater"], "argment") == frozenset()
    assert "argument" in blocks_of(ROLES["peer"])
    assert "argument" not in blocks_of(ROLES["juror"])
    assert Prompt.of({"vote": '{% include "criteria.md" %} {{ x }}'}).unknown("vote", ()) == ("x",)


@pytest.mark.parametrize(
    ("block", "text", "told"),
    [
        ("argument", "{{ request }\n", "prompt block 'argument', line 1: "),
        ("argument", "fine\n{% for %}", "prompt block 'argument', line 2: "),
        ("argument", "fine\n\n{% endblock %}{% block vote %}", "prompt block 'argument', line 3: "),
        ("argument", "{{ request | nonsense }}", "line 1: No filter named 'nonsense'"),
        ("argument", "{% block vote %}{% endblock %}", "there is a block within it; say 'vote' beside it"),
        ("argument", "{% include 'juror.md' %}", "line 1: it takes in a template that is not there"),
        ("argument", '{% include "../secret.md" %}', "line 1: it takes in a template that is not there"),
        ("argument", '{% extends "juror.md" %}', "line 1: it takes in a template that is not there"),
        ("argument", "{{ self.argumen() }}", "line 1: self.argumen is not there; did you mean 'argument'?"),
        ("an argument", "x", "prompt block 'an argument': the name of a block is one word"),
    ],
)
def test_a_wording_that_is_no_template_is_refused_with_its_line(block: str, text: str, told: str) -> None:
    with pytest.raises(DeclarationError) as caught:
        Prompt.of({block: text, "system": "{% endfor %}"})
    assert len(caught.value.problems) == 2
    assert told in str(caught.value)


async def test_a_wording_of_ones_own_stands_in_place_of_the_roles_and_may_say_the_steps_words_itself() -> None:
    own = Prompt.of({"argument": "{{ wish }} about {{ request }}, {{ persona.title }}!"})
    model = ScriptedModel(["Aye."])
    profile = {"prompt": own, "persona": PERSONAS["critic"]}
    async with about("debater", COMPARED, model, **profile) as conversation:
        await conversation.ask("it", MakeArgument(instructions="Sing"))
    assert model.calls[0].messages[1].content == "Sing about Why is the sky blue?, a critic!"
    assert "You take part in a discussion" in model.calls[0].messages[0].content


def test_the_digest_of_a_wording_covers_all_that_a_role_is_told_by() -> None:
    class Louder(ROLES["reviewer"]):  # type: ignore[misc]
        prompt = Prompt("{% block system %}SHOUT{% endblock %}")

    class Louder2(ROLES["peer"]):  # type: ignore[misc]
        hats = (ROLES["generator"], Louder, ROLES["debater"])

    digests = {wording(ROLES[name]) for name in NAMES} | {wording(Louder), wording(Louder2)}
    assert len(digests) == len({ROLES[name] for name in NAMES}) + 2


def test_every_label_of_a_candidate_is_a_letter() -> None:
    judge = ROLES["judge"](Profile("j", "judge", ModelSettings(model="acme/large")), COMPARED)
    assert [label for label, _ in judge.candidates("ab")] == ["A", "B"]
    assert [text for _, text in judge.shown("ba")] == ["It is painted.", "Rayleigh scattering."]


async def test_a_question_and_a_request_are_shown_with_their_choices() -> None:
    for name, command in (("debater", MakeArgument()), ("moderator", AskQuestion()), ("solver", GiveAnswer())):
        model = ScriptedModel(filled)
        async with about(name, QUESTION, model) as conversation:
            await heard(conversation, question("Which one has seeds?"))
            await conversation.ask("it", command)
        request = model.calls[0].messages[1].content
        assert "A. a stone\nB. a pear" in request
        assert "Which one has seeds?" in request
        assert json.dumps("B") not in request
