"""How a data set is used: the part of its card with examples, snippets and what the columns mean."""

from collections.abc import Iterator, Mapping

from pydantic import JsonValue

from .exported import Exported, Format, Written
from .markup import code, fenced, shown, table

TRAINERS: dict[Format, str] = {
    "dpo": "`DPOTrainer`; also CPO and ORPO, of `trl.experimental`",
    "kto": "`KTOTrainer`",
    "reward": "`RewardTrainer`",
    "sft": "`SFTTrainer`",
}
COLUMNS: dict[str, str] = {
    "prompt": "the messages that are answered",
    "chosen": "the better answer",
    "rejected": "the worse answer",
    "completion": "an answer",
    "label": "whether the completion is wanted",
    "margin": "how far the judges' mean scores lie apart; `RewardTrainer` wants rewards as far apart",
    "metadata": "where the row comes from",
}
METADATA: dict[str, str] = {
    "run": "digest of what was played and of its data",
    "number": "the item's place in the prompts' file, from 0",
    "item": "the item's id",
    "variant": "of a sweep: which variant",
    "data": "generation (answers to the prompt) or workflow (what roles said)",
    "of": "answer, revision or feedback",
    "prompt_id": "digest of the prompt",
    "events": "names of what was said: `writer/2` is the second draft of `writer`",
    "agents": "who said it",
    "models": "who wrote what, and who judged",
    "rounds": "round in which it was said, from 1; 0 of answers that came with the data",
    "cut_off": "whether its model stopped at the token limit",
    "prompt_digests": "digests of the agents' prompt templates",
    "scores": "the judges' mean scores, and the best score possible",
    "margin": "how far the scores lie apart",
    "votes": "judges for the chosen one, for a tie, for the rejected one, and unread",
    "ballots": "each judge's vote in each order",
}


def usage(exported: Exported, example: Mapping[str, Mapping[str, JsonValue]]) -> Iterator[str]:
    """Return the paragraphs of the part.

    Args:
        exported: What was written.
        example: A row of each configuration.
    """
    filled = [written for written in exported.written if any(written.rows.values())]
    if not filled:
        return
    yield "## How to use it"
    yield "`NAME` is this folder, or what it is called on the hub."
    yield fenced(_loading(filled[0]), "python")
    for snippet in (_training(target, filled) for target in ("dpo", "kto")):
        if snippet:
            yield fenced(snippet, "python")
    yield from _columns(example)
    yield from _examples(example)


def _split(written: Written) -> str:
    filled = [split for split, rows in written.rows.items() if rows]
    return "train" if "train" in filled else filled[0]


def _loading(written: Written) -> str:
    return (
        "from datasets import load_dataset\n\n"
        f'rows = load_dataset("NAME", "{written.config}", split="{_split(written)}")'
    )


def _training(target: str, written: list[Written]) -> str:
    """Return how trl trains by the first configuration of a format; empty where there is none."""
    config = next((each for each in written if each.format == target), None)
    if config is None:
        return ""
    name, weights = target.upper(), ""
    if config.balance is not None:
        up, down = config.balance.desirable_weight, config.balance.undesirable_weight
        weights = f", desirable_weight={up:g}, undesirable_weight={down:g}"
    return (
        "from datasets import load_dataset\n"
        f"from trl import {name}Config, {name}Trainer\n\n"
        f"trainer = {name}Trainer(\n"
        '    model="MODEL",\n'
        f'    args={name}Config(output_dir="out"{weights}),\n'
        f'    train_dataset=load_dataset("NAME", "{config.config}", split="{_split(config)}"),\n'
        ")\n"
        "trainer.train()"
    )


def _columns(example: Mapping[str, Mapping[str, JsonValue]]) -> Iterator[str]:
    columns = dict.fromkeys(column for row in example.values() for column in row)
    if not columns:
        return
    yield "### Columns"
    rows = [(code(column), COLUMNS.get(column, "")) for column in columns]
    for row in example.values():
        known = row.get("metadata")
        fields = list(known) if isinstance(known, dict) else []
        rows += [(code(f"metadata.{field}"), METADATA.get(field, "")) for field in fields]
        break  # it is the same in all
    yield table(("column", "what it is"), rows, words=2)
    yield (
        "In `metadata` null says that something is not known, or that there is none. The types of all columns stand in "
        "the front matter of this file, so load the folder by its name, as above: of a JSONL file alone `datasets` "
        "guesses them by its beginning."
    )


def _examples(example: Mapping[str, Mapping[str, JsonValue]]) -> Iterator[str]:
    if example:
        yield "### A row of each"
    for config, row in example.items():
        yield f"{code(config)}:\n\n{fenced(shown(row), 'json')}"
