"""A new debate in Python: the same models as in a file. Run it with a provider/model of your own, or as it is."""

import sys
from pathlib import Path
from tempfile import mkdtemp

import anyio

from fellowship import Agent, Ask, Decide, Repeat, Scenario, open_dataset, plan, play

debate = Scenario(
    scenario="sceptics",
    takes="comparison",
    models={"judge": sys.argv[1] if len(sys.argv) > 1 else "local/smollm2-135m"},
    agents={"sceptic": Agent(role="debater", persona="sceptic"), "editor": Agent(role="debater", persona="editor")},
    flow=(
        Repeat(repeat=1, do=(Ask(ask=("sceptic", "editor"), for_="argument", order="in-turn", hears=("everyone",)),)),
        Ask(ask=("sceptic", "editor"), for_="ballot"),
        Decide(decide="mean-score"),
    ),
    gives="verdict",
)

if __name__ == "__main__":
    data = open_dataset(Path(__file__).parent / "pairs.jsonl", takes="comparison", limit=1)
    print(anyio.run(play, plan(debate), data, Path(mkdtemp()) / "run").model_dump_json(indent=2))
