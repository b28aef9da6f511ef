"""An agent of your own: a subclass says what it says otherwise, and takes the rest over."""

import sys
from pathlib import Path
from tempfile import mkdtemp

import anyio

from fellowship import Agent, Ask, Pick, Scenario, open_dataset, plan, play
from fellowship.agents import ROLES, Generator, Prompt
from fellowship.protocols.messages import Command, Fact
from fellowship.protocols.ports import Context


class Poet(Generator):
    """A generator that answers in verse, and counts what it has been asked."""

    prompt = Prompt("{% block system %}You answer every request in two rhyming lines.{% endblock %}")
    asked = 0

    async def answer(self, command: Command[Fact], context: Context) -> None:
        """Answer as a generator does."""
        Poet.asked += 1
        await super().answer(command, context)


verse = Scenario(
    scenario="verse",
    takes="instruction",
    models={"writer": sys.argv[1] if len(sys.argv) > 1 else "local/smollm2-135m"},
    agents={"poet": Agent(role="poet")},
    flow=(Ask(ask=("poet",), for_="draft"), Pick(pick="last")),
    gives="draft",
)

if __name__ == "__main__":
    data = open_dataset(Path(__file__).parent / "data.jsonl", takes="instruction", limit=1)
    made = plan(verse, roles=ROLES.extended(poet=Poet))
    status = anyio.run(play, made, data, Path(mkdtemp()) / "run")
    print(f"{status.done} done, {Poet.asked} asked")
