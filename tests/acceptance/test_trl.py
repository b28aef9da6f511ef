"""Exports as trl takes them: loaded by name, passed through its helpers, and trained on for a few steps."""

import json
import logging
import math
import os
import re
from collections.abc import Callable, Iterator
from hashlib import blake2b
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from playing import beside, fellowship

from fellowship.protocols.models import ModelCall
from fellowship.runtime.testing import LoopbackEndpoint

if not (find_spec("trl") and find_spec("torch")):
    pytest.skip("trl and torch are not installed: `make trl` does both", allow_module_level=True)

pytestmark = [
    pytest.mark.trl,
    # trl 1.16 says it as transformers had it before 5.23: nothing of ours
    pytest.mark.filterwarnings("ignore:.*gradient_checkpointing.* is deprecated:FutureWarning"),
]

PROMPTS = 40
DOCS = "\n".join(path.read_text() for path in (Path(__file__).parents[2] / "docs").glob("preferences*.md"))
FEW = 'output_dir="out", use_cpu=True, max_steps=2, per_device_train_batch_size=4, logging_steps=1, save_strategy="no", disable_tqdm=True'
PARTS = ("prompt", "chosen", "rejected", "completion")
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def speak(call: ModelCall) -> str:
    """Return an answer of one to ten facts; of a judge, as many points as an answer has, in whatever order."""
    asked = "\n".join(message.content for message in call.messages)
    chance = blake2b(asked.encode(), digest_size=8, key=call.settings.model.encode()).digest()
    if call.answer is None:
        return " ".join(f"Fact {byte}." for byte in (chance * 2)[: 1 + chance[0] % 10])
    fields = call.answer.schema["properties"]
    if "score_a" in fields:
        a, b = (text.count("Fact") for text in re.findall(r'name="[AB]">(.*?)</answer', asked, re.DOTALL)[-2:])
        return json.dumps({"reason": "It has more facts.", "score_a": a, "score_b": b})
    text = f"Say more of {chance.hex()}."
    return json.dumps({name: chance[1] % 10 if part["type"] == "number" else text for name, part in fields.items()})


class Exports:
    """Folders of one run's pairs, and the library that reads them."""

    def __init__(self, root: Path, datasets: Any) -> None:
        self.root = root
        self._datasets = datasets

    def written(self, folder: str = "jsonl") -> dict[str, Any]:
        """Return what export.json says of each configuration."""
        document = json.loads((self.root / folder / "export.json").read_text())
        return {each["config"]: each for each in document["written"]}

    def load(self, config: str, folder: str = "jsonl") -> Any:
        """Return the rows of a configuration, by split, as anybody would load them."""
        return self._datasets.load_dataset(str(self.root / folder), config)

    def rows(self, config: str, folder: str = "jsonl") -> list[dict[str, Any]]:
        return [row for split in self.load(config, folder).values() for row in split]


@pytest.fixture(scope="module")
def datasets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The library that loads, with a cache of its own, it and trl cut off from all but this machine."""
    import datasets
    import huggingface_hub.constants
    import transformers

    with pytest.MonkeyPatch.context() as patch, mock.patch.dict(os.environ):  # accelerate leaves its own there
        patch.setenv("TOKENIZERS_PARALLELISM", "false")
        for switch in (
            "HF_HUB_OFFLINE",
            "HF_HUB_DISABLE_TELEMETRY",
        ):  # not by the environment: it is read at import, for good
            patch.setattr(huggingface_hub.constants, switch, True)
        patch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
        patch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path_factory.mktemp("cache"))
        datasets.disable_progress_bars()
        transformers.utils.logging.disable_progress_bar()
        yield datasets
        datasets.enable_progress_bars()
        transformers.utils.logging.enable_progress_bar()


@pytest.fixture(scope="module")
def exports(tmp_path_factory: pytest.TempPathFactory, datasets: Any) -> Exports:
    """A run with both kinds of data and all sorts of pairs, exported in every way."""
    root = tmp_path_factory.mktemp("trl")
    prompts = [f"Question {number}: what of {blake2b(bytes([number])).hexdigest()[:12]}?" for number in range(PROMPTS)]
    (root / "d.jsonl").write_text("".join(json.dumps({"prompt": prompt}) + "\n" for prompt in prompts))
    models = [f"--model={alias}=acme/{alias}" for alias in ("writer", "reviewer", "single", "judge")]
    settings = [f"--set={each}" for each in ("review=both", "follow=best", "own_family=true")]
    with beside(LoopbackEndpoint(answer=speak)) as endpoint:
        played = fellowship(
            "run", "preference-pairs", "--data", root / "d.jsonl", "--out", root / "run", *models, *settings,
            "--base-url", endpoint.base_url,
        )  # fmt: skip
    assert played.exit_code == 0, played.stderr
    formats = [f"--format={each}" for each in ("dpo", "kto", "reward", "sft")]
    for folder, options in {
        "jsonl": formats,
        "parquet": [*formats, "--files=parquet"],
        "implicit": ["--format=dpo", "--implicit"],
    }.items():
        told = fellowship("export", root / "run", "--to", root / folder, "--split=test=0.2", *options)
        assert told.exit_code == 0, told.stderr
    return Exports(root, datasets)


@pytest.fixture(scope="module")
def data_card(exports: Exports) -> str:
    return (exports.root / "parquet" / "README.md").read_text()


@pytest.fixture(scope="module")
def model(exports: Exports) -> Path:
    """A model of one narrow layer with weights of chance, and a tokenizer that has read the export."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    pairs = Tokenizer(models.BPE())
    pairs.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    pairs.decoder = decoders.ByteLevel()
    bytewise = pre_tokenizers.ByteLevel.alphabet()
    special = pad, _, end = ["<|pad|>", "<|im_start|>", "<|im_end|>"]
    trainer = trainers.BpeTrainer(
        vocab_size=600, special_tokens=special, initial_alphabet=bytewise, show_progress=False
    )
    texts = (turn["content"] for row in exports.rows("workflow-dpo") for part in PARTS[:3] for turn in row[part])
    pairs.train_from_iterator(texts, trainer)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=pairs, pad_token=pad, eos_token=end)
    tokenizer.chat_template = TEMPLATE
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2,
        max_position_embeddings=1024, bos_token_id=None, eos_token_id=2, pad_token_id=0,
    )  # fmt: skip
    folder = exports.root / "model"
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
def tokenizer(model: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(model)


Build = Callable[..., Any]


@pytest.fixture
def build(exports: Exports, model: Path, tmp_path: Path) -> Build:
    """Makes the trainer of a block of Python out of Markdown, which is then to be trained."""

    def of(markdown: str, trainer: str, folder: str = "jsonl", **replaced: str) -> Any:
        blocks = re.findall(r"```python\n(.*?)\n```", markdown, re.DOTALL)
        (block,) = (each for each in blocks if f"{trainer}(" in each)
        block, end = block[: -len("trainer.train()")], block[-len("trainer.train()") :]
        assert end == "trainer.train()"
        few = FEW.replace('"out"', repr(str(tmp_path / "out")))
        names = {'output_dir="out"': few, '"MODEL"': repr(str(model)), '"NAME': f'"{exports.root / folder}', **replaced}
        for old, new in names.items():
            assert old in block
            block = block.replace(old, new)
        found: dict[str, Any] = {}
        exec(compile(block, trainer, "exec"), found)  # noqa: S102 - the documentation's own code is what is tested
        return found["trainer"]

    return of


def logged(trainer: Any) -> list[dict[str, float]]:
    """Return what a trainer logged at each of its steps."""
    return [step for step in trainer.state.log_history if "loss" in step]


def answered(row: dict[str, Any]) -> str:
    """Return prompt and answer of a KTO row as one text."""
    return json.dumps([row["prompt"], text_of(row["completion"])])


def text_of(messages: list[dict[str, str]]) -> str:
    (message,) = messages
    assert message["role"] == "assistant"
    return message["content"]


# as loaded


def test_datasets_loads_of_every_configuration_as_many_rows_as_the_export_says(exports: Exports) -> None:
    written = exports.written()
    assert list(written) == [
        "generation-dpo", "generation-kto", "generation-reward", "generation-sft",
        "workflow-dpo", "workflow-kto", "workflow-reward",
    ]  # fmt: skip
    for config, each in written.items():
        loaded = exports.load(config)
        assert {split: len(rows) for split, rows in loaded.items()} == each["rows"]
        assert min(each["rows"].values()) > 0
        assert loaded["train"].to_list() == exports.load(config, "parquet")["train"].to_list()
    sorts = {(row["metadata"]["of"], row["label"]) for row in exports.rows("workflow-kto")}
    assert sorts == {(of, label) for of in ("revision", "feedback") for label in (True, False)}


# through trl's helpers


def test_every_row_is_a_conversation_in_which_it_is_the_assistants_turn(exports: Exports) -> None:
    from trl import is_conversational, maybe_convert_to_chatml

    for config in exports.written():
        for row in exports.rows(config):
            parts = {part: row[part] for part in PARTS if part in row}
            assert all(is_conversational({part: messages}) for part, messages in parts.items())
            assert maybe_convert_to_chatml(dict(row)) == row
            assert all(messages[-1]["role"] == "assistant" for part, messages in parts.items() if part != "prompt")
            assert row.get("prompt", row.get("chosen", [])[:-1])[-1]["role"] == "user"


@pytest.mark.parametrize("config", ["generation-dpo", "workflow-dpo"])
def test_the_prompt_that_trl_finds_in_both_answers_is_the_one_of_its_own_column(exports: Exports, config: str) -> None:
    from trl import extract_prompt

    assert "prompt" not in exports.load(config, "implicit")["train"].column_names
    found = [extract_prompt(row) for row in exports.rows(config, "implicit")]
    assert found == [{part: row[part] for part in PARTS[:3]} for row in exports.rows(config)]


@pytest.mark.parametrize("data", ["generation", "workflow"])
def test_pairs_that_trl_takes_apart_are_the_rows_of_kto_but_for_single_labels(exports: Exports, data: str) -> None:
    from trl import unpair_preference_dataset

    taken_apart = [row for split in exports.load(f"{data}-dpo").values() for row in unpair_preference_dataset(split)]
    assert {tuple(sorted(row)) for row in taken_apart} == {("completion", "label", "metadata", "prompt")}
    labels: dict[str, set[bool]] = {}
    for row in taken_apart:
        labels.setdefault(answered(row), set()).add(row["label"])
    rows = exports.rows(f"{data}-kto")
    found = {answered(row): row["label"] for row in rows}
    assert len(found) == len(rows)
    of_pairs = labels.keys() & found.keys()
    assert all(labels[text] == {found[text]} for text in of_pairs)
    alone = [row for row in rows if answered(row) not in labels]
    assert all(None in row["metadata"]["events"].values() for row in alone)
    contradictory = exports.written()[f"{data}-kto"]["left_out"].get("contradictory", 0)
    assert contradictory >= 2 * len(labels.keys() - of_pairs)  # each is told once for good and once for bad, at least
    assert bool(alone) == bool(contradictory) == (data == "workflow")


def test_a_chat_template_makes_of_every_row_the_texts_that_were_said(exports: Exports, tokenizer: Any) -> None:
    from trl import apply_chat_template
    from trl.data_utils import maybe_apply_chat_template

    def rendered(messages: list[dict[str, str]]) -> str:
        return "".join(f"<|im_start|>{each['role']}\n{each['content']}<|im_end|>\n" for each in messages)

    for config in exports.written():
        for row in exports.load(config)["test"]:
            found = apply_chat_template(row, tokenizer)
            assert found == maybe_apply_chat_template(row, tokenizer)
            for part in PARTS:
                if part == "prompt" and part in row:
                    assert found[part] == rendered(row[part]) + "<|im_start|>assistant\n"
                elif part in row and "prompt" in row:
                    assert found[part] == text_of(row[part]) + "<|im_end|>\n"
                elif part in row:
                    assert found[part] == rendered(row[part])
            assert found.get("label") == row.get("label")


# by its trainers, as the documentation has it


@pytest.mark.parametrize("data", ["generation", "workflow"])
def test_dpo_trains_on_pairs_as_they_are_loaded(exports: Exports, build: Build, tokenizer: Any, data: str) -> None:
    trainer = build(DOCS, "DPOTrainer", **{"generation-": f"{data}-"})
    rows = exports.load(f"{data}-dpo")
    taken = trainer.train_dataset
    assert (len(taken), len(trainer.eval_dataset)) == (len(rows["train"]), len(rows["test"]))
    for row, ids in zip(rows["train"], taken, strict=True):
        for part in ("chosen", "rejected"):
            assert tokenizer.decode(ids[f"{part}_ids"]) == text_of(row[part]) + "<|im_end|>\n"
    trainer.train()
    first, second = logged(trainer)
    assert first["loss"] == pytest.approx(
        math.log(2), abs=1e-4
    )  # Rafailov et al. 2023, eq. 7, before a step: -log sigmoid(0)
    assert math.isfinite(second["loss"])
    assert second["rewards/margins"] != 0


@pytest.mark.parametrize("data", ["generation", "workflow"])
def test_dpo_takes_of_implicit_pairs_the_same_tokens(build: Build, data: str) -> None:
    explicit, implicit = (
        build(DOCS, "DPOTrainer", folder, **{"generation-": f"{data}-"}).train_dataset
        for folder in ("jsonl", "implicit")
    )
    for ids in ("prompt_ids", "chosen_ids", "rejected_ids"):
        assert explicit[ids] == implicit[ids]


@pytest.mark.parametrize("data", ["generation", "workflow"])
def test_kto_trains_on_single_labels_by_the_weights_that_the_export_suggests(
    exports: Exports, build: Build, caplog: pytest.LogCaptureFixture, data: str
) -> None:
    with caplog.at_level(logging.WARNING, "trl"):
        trainer = build(DOCS, "KTOTrainer", **{"generation-": f"{data}-"})
    assert "desirable_weight in" not in caplog.text
    balance = exports.written()[f"{data}-kto"]["balance"]
    labels = list(trainer.train_dataset["label"])
    assert (labels.count(True), labels.count(False)) == (balance["desirable"], balance["undesirable"])
    weights = {True: balance["desirable_weight"], False: balance["undesirable_weight"]}
    assert weights[True] > weights[False]
    batch = next(each for each in trainer.get_train_dataloader() if any(each["label"]))
    wanted = [
        weights[bool(label)] / 2 for label in batch["label"]
    ]  # Ethayarajh et al. 2024: weight * (1 - sigmoid(0)) before a step
    assert trainer.compute_loss(trainer.model, batch).item() == pytest.approx(sum(wanted) / len(wanted), rel=1e-4)
    trainer.train()
    assert all(math.isfinite(step["loss"]) for step in logged(trainer))


def test_trl_warns_of_other_weights_than_those_of_the_card(
    exports: Exports, data_card: str, build: Build, caplog: pytest.LogCaptureFixture
) -> None:
    balance = exports.written("parquet")["generation-kto"]["balance"]
    with caplog.at_level(logging.WARNING, "trl"):
        trainer = build(data_card, "KTOTrainer", "parquet")
        assert trainer.args.desirable_weight == pytest.approx(balance["desirable_weight"])
        assert "desirable_weight in" not in caplog.text
        build(data_card, "KTOTrainer", "parquet", **{f"desirable_weight={balance['desirable_weight']:g}": "beta=0.1"})
    assert "desirable_weight in" in caplog.text


@pytest.mark.parametrize("data", ["generation", "workflow"])
def test_a_reward_model_is_trained_with_the_margins_of_the_pairs(exports: Exports, build: Build, data: str) -> None:
    trainer = build(DOCS, "RewardTrainer", **{"generation-": f"{data}-"})
    rows = exports.load(f"{data}-reward")["train"]
    assert list(trainer.train_dataset["margin"]) == list(rows["margin"])
    batch = next(iter(trainer.get_train_dataloader()))
    loss, outputs = trainer.compute_loss(trainer.model, batch, return_outputs=True)
    chosen, rejected = (rewards.tolist() for rewards in outputs.logits.squeeze(-1).chunk(2))
    wanted = [
        math.log1p(
            math.exp(margin - better + worse)
        )  # -log sigmoid(chosen - rejected - margin): Touvron et al. 2023, eq. 2
        for better, worse, margin in zip(chosen, rejected, batch["margin"].tolist(), strict=True)
    ]
    assert loss.item() == pytest.approx(sum(wanted) / len(wanted), rel=1e-4)
    assert min(batch["margin"]) >= 1
    trainer.train()
    assert all(math.isfinite(step["loss"]) for step in logged(trainer))


def test_rows_that_are_too_long_are_left_out_by_trl_as_the_documentation_says(
    exports: Exports, build: Build, tokenizer: Any
) -> None:
    def tokens(messages: list[dict[str, str]], **more: bool) -> int:
        return len(tokenizer.apply_chat_template(messages, **more)["input_ids"])

    prompts = [tokens(row["prompt"], add_generation_prompt=True) for row in exports.load("workflow-dpo")["train"]]
    longest = [max(tokens(row["chosen"]), tokens(row["rejected"])) for row in exports.load("workflow-reward")["train"]]
    limit = sorted(longest)[len(longest) // 2]
    short = {"max_steps=2": f"max_steps=2, max_length={limit}", "generation-": "workflow-"}
    left = {
        "RewardTrainer": sum(each <= limit for each in longest),
        "DPOTrainer": sum(each < limit for each in prompts),
    }
    assert 0 < left["RewardTrainer"] < left["DPOTrainer"] < len(prompts)
    assert {trainer: len(build(DOCS, trainer, **short).train_dataset) for trainer in left} == left


def test_sft_trains_on_the_best_answers_and_not_on_their_prompts(
    exports: Exports, build: Build, tokenizer: Any
) -> None:
    trainer = build(DOCS, "SFTTrainer")
    rows = exports.load("generation-sft")["train"]
    for row, ids in zip(rows, trainer.train_dataset, strict=True):
        learned = [label for label in ids["labels"] if label != -100]
        assert tokenizer.decode(learned) == text_of(row["completion"]) + "<|im_end|>\n"
    trainer.train()
    assert all(math.isfinite(step["loss"]) for step in logged(trainer))


def test_the_block_of_the_data_card_trains_as_it_stands(exports: Exports, data_card: str, build: Build) -> None:
    trainer = build(data_card, "DPOTrainer", "parquet")
    assert len(trainer.train_dataset) == exports.written("parquet")["generation-dpo"]["rows"]["train"]
    trainer.train()
    assert len(logged(trainer)) == 2
