"""A made-up export, as real ones are: two data sets in several formats, and what the run would say of it."""

import json
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path
from typing import Any

from fellowship.scenarios.measures.estimate import Estimate
from fellowship.scenarios.preferences.command import Command
from fellowship.scenarios.preferences.exported import Balance, Exported, Funnel, Margins, Options, Step, Written
from fellowship.scenarios.preferences.facts import Facts, Judge, Speaker
from fellowship.scenarios.preferences.judges import JudgeKappa

SCENARIO = """\
scenario: feedback-pairs
takes: instruction
models:
  writer: together/llama-3.1-8b
  reviewer: together/gemma-2-9b
  judge: openai/gpt-4o-mini
agents:
  writer: {role: generator, model: writer}
  reviewer: {role: reviewer, model: reviewer}
  judge: {role: judge, model: judge}
flow:
- {ask: writer, for: draft}
- repeat: 2
  do:
  - {ask: reviewer, for: feedback, hears: writer}
  - {ask: writer, for: draft, hears: reviewer}
- {pick: knock-out, by: judge}
gives: draft
"""


def speaker(agent: str, role: str, model: str, served_by: str, **settings: Any) -> Speaker:
    digest = blake2b(agent.encode(), digest_size=16).hexdigest()
    return Speaker(agent, role, model, {"temperature": 0.0, **settings}, digest, (served_by,))


def facts(**changes: Any) -> Facts:
    found = Facts(
        scenario="feedback-pairs",
        about="A writer answers, a reviewer gives feedback twice, and a judge compares all drafts. 11 calls an item.",
        text=SCENARIO,
        speakers=(
            speaker("writer", "generator", "together/llama-3.1-8b", "Meta-Llama-3.1-8B-Instruct-Turbo"),
            speaker("reviewer", "reviewer", "together/gemma-2-9b", "gemma-2-9b-it", max_tokens=512),
            speaker("judge", "judge", "openai/gpt-4o-mini", "gpt-4o-mini-2024-07-18"),
        ),
        judges=(
            Judge(
                agent="judge",
                model="openai/gpt-4o-mini",
                votes=1494,
                unread=3,
                flip_rate=Estimate(value=0.118, ci=(0.101, 0.137), n=1488),
                half_unread=3,
                kin=(),
            ),
        ),
        first_day="2026-11-19",
        last_day="2026-11-21",
        calls=5478,
        not_asked=0,
        input_tokens=4_913_402,
        output_tokens=1_204_991,
        cost_usd=3.4172,
        unpriced=0,
        seed=7,
        data="capybara.jsonl",
        data_digest=".jsonl 8f14e45fceea167a5a36dedd4bea2543",
        version="0.1.0",
        command=Command(
            (
                *("fellowship", "run", "feedback-pairs.yaml", "--data", "capybara.jsonl"),
                *("--model", "writer=together/llama-3.1-8b", "--model", "reviewer=together/gemma-2-9b"),
                *("--model", "judge=openai/gpt-4o-mini", "--seed", "7"),
            ),
            "feedback-pairs.yaml",
        ),
    )
    return replace(found, **changes)


def written(config: str, rows: dict[str, int], **more: Any) -> Written:
    data, target = config.split("-")
    files = {split: f"{config}/{split}.jsonl" for split in rows}
    return Written(
        **{"config": config, "data": data, "format": target, "files": files, "rows": rows, "prompts": rows, **more}
    )


def exported(*configs: Written, **changes: Any) -> Exported:
    steps = (
        Step(step="judged", lost=2, left=996, why="a judge could not be read"),
        Step(step="tie", lost=301, left=695),
        Step(step="margin", lost=120, left=575, why="scores less than 1 apart"),
        Step(step="quorum", lost=0, left=575),
        Step(step="duplicates", lost=4, left=571, why="the same prompt and texts as an earlier pair"),
    )
    funnel = Funnel(
        data="generation", items=500, items_failed=2, items_open=0, items_without=0, candidates=998, labels=0,
        steps=steps, kept=571,
    )  # fmt: skip
    margins = Margins(
        data="generation", n=571, scale=10, min=1, lower_quartile=1, median=1.5, upper_quartile=2.5, max=7,
        mean=1.93, mean_ci=(1.82, 2.04),
    )  # fmt: skip
    found = {
        "run": "3a7bd3e2360a3d29eea436fcfb7e44c7",
        "options": Options(margin=1, splits={"test": 0.1}, near_duplicates=0.8),
        "funnels": (funnel,),
        "margins": (margins,),
        "written": configs
        or (
            written("generation-dpo", {"train": 514, "test": 57}),
            written(
                "generation-kto",
                {"train": 1020, "test": 114},
                left_out={"contradictory": 8},
                balance=Balance(desirable=510, undesirable=624, desirable_weight=1.23, undesirable_weight=1),
            ),
        ),
    }
    return Exported(**{**found, **changes})


def row(target: str, prompt: str = "What is a haiku?", better: str = "Three lines.", worse: str = "A poem.") -> Any:
    def said(text: str) -> list[dict[str, str]]:
        return [{"role": "assistant", "content": text}]

    ballots = [
        {"judge": "judge", "model": "openai/gpt-4o-mini", "order": order, "verdict": "chosen", "score_chosen": 8.0,
         "score_rejected": 6.0}
        for order in ("chosen-first", "rejected-first")
    ]  # fmt: skip
    metadata = {
        "run": "3a7bd3e2360a3d29eea436fcfb7e44c7",
        "item": "12",
        "events": {"chosen": "writer/3", "rejected": "writer/1"},
        "scores": {"chosen": 8.0, "rejected": 6.0, "scale": 10},
        "margin": 2.0,
        "votes": {"chosen": 1, "tie": 0, "rejected": 0, "unread": 0},
        "ballots": ballots,
    }
    asked = {"prompt": [{"role": "user", "content": prompt}]}
    if target == "kto":
        return {**asked, "completion": said(better), "label": True, "metadata": metadata}
    return {**asked, "chosen": said(better), "rejected": said(worse), "metadata": metadata}


def kappas() -> tuple[JudgeKappa, ...]:
    return (
        JudgeKappa(
            judge="judge", model="openai/gpt-4o-mini", benchmark="mt-bench", rater="judge",
            rater_model="openai/gpt-4o-mini", n=1814, unread=2, kappa=0.388, kappa_ci=(0.357, 0.419),
            kappa_method="percentile bootstrap, 1,000 resamples of items", accuracy=0.652, accuracy_ci=(0.63, 0.674),
        ),
    )  # fmt: skip


def lay_out(folder: Path, found: Exported, readme: str) -> Path:
    """Write the files that an export says it has written."""
    folder.mkdir(exist_ok=True)
    (folder / "README.md").write_text(readme, encoding="utf-8")
    for config in found.written:
        for split, path in config.files.items():
            (folder / path).parent.mkdir(exist_ok=True)
            lines = [json.dumps(row(config.format, f"{split} {number}")) for number in range(config.rows[split])]
            (folder / path).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return folder
