"""How a data set was made: the part of its card that says who spoke, when, at what price, and by which commands."""

import json
import shlex
from collections.abc import Iterator

from pydantic import JsonValue

from ..tables.shown import text
from ..tables.table import NONE, count
from .exported import Exported, Options
from .facts import Facts, Speaker
from .markup import code, fenced, table


def making(exported: Exported, facts: Facts, licence: str | None = None) -> Iterator[str]:
    """Return the paragraphs of the part."""
    yield "## How it was made"
    if facts.about:
        yield text(facts.about)
    yield table(("", ""), _rows(exported, facts), words=2)
    yield table(
        ("agent", "role", "model", "asked with", "served by", "prompt"),
        (_speaker(speaker) for speaker in facts.speakers),
        words=6,
    )
    yield "`prompt` is the digest of the agent's prompt template, and of its persona where it has one."
    told = f"Save the scenario below as {code(facts.command.file)}; then" if facts.command.file else "The commands"
    yield f"{told} (RUN and DIR are folders of your choice):"
    yield fenced(f"{facts.command} --out RUN\n{export_command(exported, licence)}", "sh")
    yield f"<details><summary>The scenario, as it was played</summary>\n\n{fenced(facts.text, 'yaml')}\n\n</details>"


def export_command(exported: Exported, licence: str | None = None) -> str:
    """Return the command that writes the same data sets out of the same run."""
    written, options = exported.written, exported.options
    words = ["fellowship", "export", "RUN"]
    for target in dict.fromkeys(config.format for config in written):
        words += ["--format", target]
    data = list(dict.fromkeys(config.data for config in written))
    if len(data) == 1:
        words += ["--data", data[0]]
    words += _options(options)
    if any(config.implicit for config in written if config.format == "dpo"):
        words.append("--implicit")
    if any(path.endswith(".parquet") for config in written for path in config.files.values()):
        words += ["--files", "parquet"]
    if licence:
        words += ["--license", licence]
    for language in exported.about.languages:
        words += ["--language", language]
    for name, place in exported.about.benchmarks.items():
        words += ["--benchmark", f"{name}={place}"]
    return " ".join(shlex.quote(word) for word in (*words, "--to", "DIR"))


def _options(options: Options) -> Iterator[str]:
    for name in ("margin", "quorum", "agreement"):
        value = getattr(options, name)
        if value is not None:
            yield from (f"--{name}", f"{value:g}")
    for split, share in options.splits.items():
        yield from ("--split", f"{split}={share:g}")
    yield from ("--near-duplicates", "off" if options.near_duplicates is None else f"{options.near_duplicates:g}")
    for name in options.not_in:
        yield from ("--not-in", name)
    if options.variant:
        yield from ("--variant", options.variant)
    if options.own_family:
        yield "--own-family"
    if options.seed:
        yield from ("--seed", str(options.seed))


def _rows(exported: Exported, facts: Facts) -> Iterator[tuple[str, str]]:
    yield "scenario", code(facts.scenario)
    if exported.options.variant:
        yield "variant", f"{code(exported.options.variant)}; calls, tokens and cost below are those of the whole sweep"
    if facts.data:
        digest = facts.data_digest.rpartition(" ")[2] if facts.data_digest else ""
        yield "prompts", code(facts.data) + (f", blake2b {code(digest)}" if digest else "")
    if facts.first_day:
        until = f" to {facts.last_day}" if facts.last_day != facts.first_day else ""
        yield "called", f"{facts.first_day}{until} (UTC)"
    again = f", {count(facts.not_asked)} of them answered out of a cache or a recording" if facts.not_asked else ""
    yield "calls", f"{count(facts.calls)}{again}"
    yield "tokens", f"{count(facts.input_tokens)} in, {count(facts.output_tokens)} out"
    yield "cost", _cost(facts)
    yield "seed", str(facts.seed or 0)
    yield "written by", f"llm-fellowship {facts.version}"


def _cost(facts: Facts) -> str:
    if facts.cost_usd is None:
        return f"not known: {count(facts.unpriced)} of {count(facts.calls)} calls have no price"
    return f"{facts.cost_usd:,.{2 if facts.cost_usd >= 1 else 4}f} US dollars"


def _speaker(speaker: Speaker) -> tuple[str, ...]:
    asked = ", ".join(f"{name} {_value(value)}" for name, value in speaker.settings.items())
    return (
        code(speaker.agent),
        code(speaker.role),
        code(speaker.model),
        code(asked),
        ", ".join(map(code, speaker.served_by)) or NONE,
        code(speaker.prompt_digest) if speaker.prompt_digest else NONE,
    )


def _value(value: JsonValue) -> str:
    if value is None:
        return "left to the endpoint"
    return f"{value:g}" if isinstance(value, float) else json.dumps(value, ensure_ascii=False)
