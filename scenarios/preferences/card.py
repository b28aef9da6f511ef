"""The data card of an export: what a reader has to know of a data set before training by it."""

from collections.abc import Iterator, Mapping, Sequence

from pydantic import JsonValue

from ...protocols.pairing import Data
from ..tables.shown import text
from ..tables.table import count
from .certainty import certainty
from .exported import Exported, Funnel, Written
from .facts import Facts
from .front import ASSUMED, front_matter, pretty_name
from .judges import JudgeKappa
from .making import making
from .markup import code, table
from .usage import TRAINERS, usage

DATA: dict[Data, str] = {
    "generation": "two answers to one prompt",
    "workflow": "two things that a role of the scenario said to one prompt",
}
MOST = 6
"""Models that the first sentence names."""
SOURCES = """\
- Arif, Farid, Azeemi, Athar, Raza 2025. The Fellowship of the LLMs: Multi-Model Workflows for Synthetic Preference \
Optimization Dataset Generation. GEM 2025, [arXiv 2408.08688](https://arxiv.org/abs/2408.08688): the feedback loop, \
judges, juries and debates.
- Rafailov et al. 2023. Direct Preference Optimization. [arXiv 2305.18290](https://arxiv.org/abs/2305.18290).
- Ethayarajh et al. 2024. KTO: Model Alignment as Prospect Theoretic Optimization. \
[arXiv 2402.01306](https://arxiv.org/abs/2402.01306)."""

LIMITS: tuple[str, ...] = (
    (
        "Every label is a model's judgement. Judges are known to be swayed by the order of answers, by length and "
        "style, and by their own family."
    ),
    "Ties and undecided comparisons are left out: these pairs are easier to tell apart than pairs at large.",
    "A margin is in points of a judge's own scale: points of two judges are not the same.",
    (
        "Names of hosted models outlive what is behind them: the days of the calls, and what the endpoint says it "
        "used, are above. What a cache or a recording answered may be older."
    ),
    "Texts are as models wrote them: nobody has looked for what is wrong, harmful or private in them.",
)


def card(
    exported: Exported,
    facts: Facts,
    measured: Sequence[JudgeKappa] = (),
    license: str | None = None,  # noqa: A002 - what the hub calls it
    example: Mapping[str, Mapping[str, JsonValue]] | None = None,
    *,
    languages: Sequence[str] | None = None,
) -> str:
    """Return the README.md of an export's folder; the same for the same run and export, whenever it is written.

    Args:
        exported: What was written.
        facts: What the run knows.
        measured: How its judges agree with people, where that was measured.
        license: As the hub names it, such as `cc-by-4.0`.
        example: A row of each configuration.
        languages: ISO 639 codes of the texts; without them English is assumed, and said to be so.
    """
    front = front_matter(exported, facts.scenario, license, languages or ASSUMED)
    parts = [
        f"# {text(pretty_name(facts.scenario))}",
        *_summary(exported, facts),
        *making(exported, facts, license),
        *certainty(exported, facts, measured),
        *_funnels(exported),
        *_balance(exported.written),
        *usage(exported, example or {}),
        *_limits(facts, license, assumed=not languages),
        *_sources(facts),
    ]
    written = front + "\n" + "\n\n".join(parts) + "\n"
    return written.encode("utf-8", "backslashreplace").decode()  # half a character cannot be written to a file


def _summary(exported: Exported, facts: Facts) -> Iterator[str]:
    cast = list(dict.fromkeys(f"{code(speaker.model)} ({text(speaker.role)})" for speaker in facts.speakers))
    if len(cast) > MOST:
        cast[MOST:] = [f"{count(len(cast) - MOST)} more"]
    of = f" on the prompts of {code(facts.data)}" if facts.data else ""
    yield (
        f"Preference data that language models made in the scenario {code(facts.scenario)}{of}: {', '.join(cast)}. "
        "Which text is better was said by models, not by people; below stands how sure that is."
    )
    splits = list(dict.fromkeys(split for written in exported.written for split in written.rows))
    yield table(
        ("configuration", "what is compared", "for", *(f"rows of {code(split)}" for split in splits), "prompts"),
        (
            (
                code(written.config),
                DATA[written.data],
                TRAINERS[written.format],
                *(count(written.rows.get(split, 0)) for split in splits),
                count(sum(written.prompts.values())),
            )
            for written in exported.written
        ),
        words=3,
    )
    if len(splits) > 1:
        yield "All rows of one prompt are in one split."
    told = {written.config: list(_notes(written)) for written in exported.written}
    if any(told.values()):
        yield "\n".join(f"- {code(config)}: {'; '.join(notes)}." for config, notes in told.items() if notes)


def _notes(written: Written) -> Iterator[str]:
    if written.implicit and any(written.rows.values()):
        yield "both answers begin with the same prompt, which has no column of its own"
    yield from map(text, written.notes)


def _funnels(exported: Exported) -> Iterator[str]:
    if exported.funnels:
        yield "## What was left out"
    for funnel in exported.funnels:
        yield _items(funnel)
        rows = [
            (text(step.step), text(step.why), count(step.lost), count(step.left))
            for step in funnel.steps
            if step.lost or step.why
        ]
        yield table(
            ("step", "", "lost", "left"),
            [("candidates", "pairs and single labels", "", count(funnel.candidates + funnel.labels)), *rows],
            words=2,
        )
        nothing = [text(step.step) for step in funnel.steps if not step.lost and not step.why]
        if nothing:
            yield f"Nothing was lost by: {', '.join(nothing)}."
    left_out = [
        f"- {code(written.config)}: {', '.join(f'{count(n)} {text(why)}' for why, n in written.left_out.items())}"
        for written in exported.written
        if any(written.left_out.values())
    ]
    if left_out:
        yield "Kept, and left out of a configuration that cannot say it:\n\n" + "\n".join(left_out)


def _items(funnel: Funnel) -> str:
    lost = [
        f"{count(number)} {what}"
        for number, what in (
            (funnel.items_failed, "failed"),
            (funnel.items_open, "have no outcome yet"),
            (funnel.items_without, "made no candidate"),
        )
        if number
    ]
    told = f" ({', '.join(lost)})" if lost else ""
    return (
        f"**{funnel.data}**: {count(funnel.items)} items{told} made "
        f"{count(funnel.candidates)} pairs and {count(funnel.labels)} single labels; {count(funnel.kept)} were kept."
    )


def _balance(written: Sequence[Written]) -> Iterator[str]:
    found = [(config.config, config.balance) for config in written if config.balance is not None]
    if not found:
        return
    yield "## Balance of labels"
    yield table(
        ("configuration", "desirable", "undesirable", "`desirable_weight`", "`undesirable_weight`"),
        (
            (
                code(name),
                count(balance.desirable),
                count(balance.undesirable),
                f"{balance.desirable_weight:g}",
                f"{balance.undesirable_weight:g}",
            )
            for name, balance in found
        ),
    )
    yield (
        "Of the rows to train by. The weights are suggested for `KTOConfig`: with them desirable completions weigh 1 "
        "to 4/3 times as much as undesirable ones (Ethayarajh et al. 2024)."
    )


def _limits(facts: Facts, licence: str | None, *, assumed: bool) -> Iterator[str]:
    limits = [*LIMITS]
    if not facts.judges:
        limits.append("No judge voted in this run.")
    if licence is None:
        limits.append(
            "No licence was given. The prompts' own licence, and the terms of the models that wrote, may bind."
        )
    if assumed:
        limits.append("The language is assumed to be English; nobody has measured it.")
    yield "## Limits"
    yield "\n".join(f"- {limit}" for limit in limits)


def _sources(facts: Facts) -> Iterator[str]:
    yield "## Sources"
    yield f"{SOURCES}\n- llm-fellowship {facts.version}, which played the scenario and wrote this card."
