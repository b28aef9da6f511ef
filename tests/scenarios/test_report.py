"""Reports: what they say of a sweep, of a file, of a run that is not at its end; and the page they are written on."""

import json
import re
import sys
from collections import Counter
from functools import partial
from html.parser import HTMLParser
from pathlib import Path
from random import Random
from typing import Any
from xml.etree import ElementTree as ET

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from playing import fellowship, items, library
from sklearn.metrics import cohen_kappa_score

from fellowship.protocols.errors import Overloaded, QuotaExhausted
from fellowship.protocols.items import HumanVote, Item
from fellowship.protocols.models import ModelCall
from fellowship.runtime.testing import ScriptedModel
from fellowship.scenarios import Settings, load, play
from fellowship.scenarios.measures.distribution import distributions
from fellowship.scenarios.ratings import Rating, Ratings, write_ratings
from fellowship.scenarios.report.page import page
from fellowship.scenarios.report.paper import paper_on
from fellowship.scenarios.report.played import Played
from fellowship.scenarios.report.report import report, report_of
from fellowship.scenarios.spec import Sweep
from fellowship.scenarios.sweep import sweep

COUNT = 40
MODELS = ("good", "fair")
WAYS = {"direct": "direct", "independent /10": "independent", "combined /10": "combined"}
SWEEP = """
scenario: mine
about: Two <b>judges</b> & "three" strategies.
takes: comparison
models: {good: acme/good, fair: acme/fair}
sweep:
  - play: judge
    over: {models.judge: every, judging.strategy: [direct, independent, combined]}
  - play: judge
    set: {judging.orders: both}
    over: {models.judge: every, judging.scale: [5]}
  - play: debate
    over: {models.judge: every}
gives: verdict
"""
INJECTIONS = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    '$x_{1}$ id="q" 1.23456',
    "</svg></title>{{ 7*7 }}",
)
SCORES = {"a": (8, 5), "b": (5, 8), "tie": (6, 6)}


def chosen(*seed: object, right: float, label: str) -> str:
    rng = Random(repr(seed))
    return label if rng.random() < right else rng.choice(["a", "b", "tie"])


def label(number: int) -> str:
    return Random(number).choice(["a", "b", "tie"])


def opinion(model: str, strategy: str, number: int) -> str:
    """What a scripted judge says of an item by a strategy; debate is one of them."""
    return chosen(model, strategy, number, right={"good": 0.8, "fair": 0.4}[model], label=label(number))


def unread(model: str, strategy: str, number: int) -> bool:
    return (model, strategy) == ("fair", "direct") and number % 10 == 7


def answer(call: ModelCall) -> str:
    """Answer as the opinion is, in terms of what is shown first; in the order ba, follow the place now and then."""
    if call.answer is None:
        return "I think so."
    said = " ".join(message.content for message in call.messages)
    found = re.search(r"Question (\d+)\?", said)
    assert found is not None
    number, model = int(found[1]), call.settings.model.partition("/")[2]
    fields = call.answer.schema["properties"]
    numbers = [name for name, part in fields.items() if part.get("type") in ("number", "integer")]
    strategy = "debate" if "<turn" in said else ("direct", "independent", "combined")[len(numbers)]
    verdict = opinion(model, strategy, number)
    if unread(model, strategy, number):
        return "I would rather not say."
    turned = strategy != "independent" and said.rfind(f"Answer b{number}") < said.rfind(f"Answer a{number}")
    scores = SCORES[verdict][:: -1 if turned and number % 4 else 1]
    if strategy == "independent":
        scores = SCORES[verdict][f"Answer b{number}" in said :][:1]
    given = iter(
        scores if fields and all(fields[name].get("maximum", 10) > 5 for name in numbers) else [s / 2 for s in scores]
    )
    return json.dumps({name: next(given) if name in numbers else _word(part, verdict) for name, part in fields.items()})


def _word(part: dict[str, Any], verdict: str) -> str:
    return next((word for word in part.get("enum", ()) if word.lower() == verdict), "because")


def labelled(count: int = COUNT) -> list[Item]:
    return [
        item.model_copy(update={"human": (HumanVote(rater="ann", verdict=label(number)),)})  # type: ignore[arg-type]
        for number, item in enumerate(items(count))
    ]


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a run of the sweep."""
    folder = tmp_path_factory.mktemp("sweep")
    (folder / "mine.yaml").write_text(SWEEP)
    declared, source = load(str(folder / "mine.yaml"))
    assert isinstance(declared, Sweep)
    chosen_settings = Settings(client=ScriptedModel(answer), about={"data": "data/pandalm/testset-v1.json"})
    anyio.run(partial(play, sweep(declared, source=source), labelled(), folder / "run", chosen_settings))
    return folder / "run"


@pytest.fixture(scope="module")
def written(swept: Path) -> Path:
    """Return the folder of its report as JSON, Markdown and HTML."""
    result = fellowship(
        "report", swept, "--json", "--html", swept.parent / "r.html", "--markdown", swept.parent / "r.md"
    )
    assert result.exit_code == 0, result.stderr
    (swept.parent / "r.json").write_text(result.stdout)
    return swept.parent


@pytest.fixture(scope="module")
def told(written: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((written / "r.json").read_text(), parse_constant=pytest.fail)
    return found


def sklearn(model: str, strategy: str) -> float:
    numbers = [number for number in range(COUNT) if not unread(model, strategy, number)]
    return float(cohen_kappa_score([label(n) for n in numbers], [opinion(model, strategy, n) for n in numbers]))


def test_models_by_ways_of_judging_have_scikit_learns_kappas(told: dict[str, Any]) -> None:
    tables = {table["orders"]: table for table in told["strategies"]}
    assert {orders: table["ways"] for orders, table in tables.items()} == {"ab": list(WAYS), "both": ["combined /5"]}
    for row in tables["ab"]["rows"]:
        for way, cell in zip(WAYS, row["cells"], strict=True):
            assert cell["kappa"] == pytest.approx(sklearn(row["model"], WAYS[way]), abs=1e-12)
            missed = sum(unread(row["model"], WAYS[way], number) for number in range(COUNT))
            assert (cell["n"], cell["unread"], cell["missing"], cell["cost_usd"]) == (COUNT - missed, missed, 0, None)
            assert cell["kappa_ci"][0] < cell["kappa"] < cell["kappa_ci"][1]
    assert [row["model"] for row in tables["ab"]["rows"]] == list(MODELS)


def test_judge_jury_and_debate_of_a_model_stand_in_one_row(told: dict[str, Any]) -> None:
    assert [row["model"] for row in told["contests"]] == list(MODELS)
    for row in told["contests"]:
        debate = row["panels"]["debate"]
        judge, talked = sklearn(row["model"], "combined"), sklearn(row["model"], "debate")
        assert row["judge"]["kappa"] == pytest.approx(judge, abs=1e-12)
        assert debate["cell"]["kappa"] == pytest.approx(talked, abs=1e-12)
        assert debate["difference"] == pytest.approx(talked - judge, abs=1e-12)
        assert debate["difference_ci"][0] <= debate["difference"] <= debate["difference_ci"][1]
        assert row["jury"]["jurors"] == ["judge/good/combined", "judge/fair/combined"]


def test_juries_are_those_of_the_command_jury_on_the_exported_ratings(swept: Path, told: dict[str, Any]) -> None:
    ratings = swept.parent / "ratings.jsonl"
    assert fellowship("export", swept, "--format", "ratings", "--to", ratings).exit_code == 0
    assert [group["name"] for group in told["groups"]] == [
        "direct, ab",
        "independent /10, ab",
        "combined /10, ab",
        "combined /5, both",
    ]
    for group, strategy in zip(told["groups"], WAYS.values(), strict=False):
        names = ",".join(f"judge/{model}/{strategy}" for model in MODELS)
        alone = json.loads(fellowship("jury", ratings, "--jurors", names, "--json").stdout)
        assert group["juries"] == {key: alone[key] for key in group["juries"]}
        assert group["juries"]["best"]["honest_kappa"] is not None


def test_the_facts_of_the_run_come_first(told: dict[str, Any], written: Path) -> None:
    run = told["run"]
    assert (run["status"]["state"], run["data"], run["seed"]) == ("done", "data/pandalm/testset-v1.json", 0)
    assert (run["status"]["items"], told["items"]) == (10 * COUNT, COUNT)
    page_text = (written / "r.html").read_text()
    assert "400 (40 in 10 ways): 400 done, 0 failed" in page_text
    assert "not known: " in page_text


def test_two_orders_show_how_often_verdicts_flip(told: dict[str, Any], written: Path) -> None:
    flips = told["bias"]["raters"]["judge/good/5"]["position"]["flip_rate"]
    decided = [n for n in range(COUNT) if opinion("good", "combined", n) != "tie"]
    assert flips["value"] == pytest.approx(sum(n % 4 == 0 for n in decided) / COUNT)
    assert f"{100 * flips['value']:.1f} %" in (written / "r.html").read_text()


@pytest.mark.parametrize(
    ("path", "dataset", "column", "best"),
    [
        ("x/pandalm/testset-v1.json", "PandaLM-Eval", "Combined /10", 0.688),
        ("labels_fair-eval.json", "FairEval", "Debate", 0.404),
        ("hub:lmsys/mt_bench_human_judgments", "MT-Bench", "Combined /10", 0.410),
        ("Alpaca-Eval.jsonl", "Alpaca-Eval", "Combined /100", 0.401),
    ],
)
def test_the_papers_figures_are_those_of_the_data_set_that_is_named(
    path: str, dataset: str, column: str, best: float
) -> None:
    """GPT-4o's kappas in tables 2 and 3 of Arif et al. 2025."""
    found = paper_on(path)
    assert found is not None
    assert (found.dataset, found.rows[0].model) == (dataset, "GPT-4o")
    assert found.rows[0].kappas[found.ways.index(column)] == best


@pytest.mark.parametrize("path", [None, "mine.jsonl", "pandalm/old/data.jsonl", "mt-bench/pandalm.jsonl"])
def test_data_of_ones_own_have_no_published_figures(path: str | None) -> None:
    assert paper_on(path) is None


def test_published_figures_are_labelled_as_other_models(written: Path, told: dict[str, Any]) -> None:
    assert told["paper"]["jury_kappa"] == 0.673
    for ending in ("md", "html"):
        text = (written / f"r.{ending}").read_text()
        assert "Published: the paper's kappas on PandaLM-Eval" in text.replace("&#39;", "'")
        assert "For orientation: other models" in text


def ratings_file(path: Path, *, people: bool = True, names: tuple[str, ...] = ("x", "y", "z")) -> Path:
    votes = [
        Rating(
            item=f"i{n}",
            rater=name,
            kind="model",
            verdict=chosen(name, n, right=0.6, label=label(n)),
            length_a=n,
            length_b=9,
        )
        for n in range(30)
        for name in names
    ]
    votes += [Rating(item=f"i{n}", rater="ann", kind="human", verdict=label(n)) for n in range(30)] if people else []
    write_ratings(votes, path)
    return path


def test_a_file_of_ratings_has_a_report_that_is_readable_at_a_hundred_columns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    result = fellowship("report", ratings_file(tmp_path / "r.csv"))
    assert (result.exit_code, result.stderr) == (0, "No win rates: no vote says which models wrote the answers.\n")
    assert "Agreement with human, 30 items" in result.stdout
    assert "Best jury" in result.stdout
    assert "longer wins" in result.stdout
    assert max(len(line.rstrip()) for line in result.stdout.splitlines()) <= 100


def test_the_report_has_the_figures_of_the_commands(tmp_path: Path) -> None:
    path = ratings_file(tmp_path / "r.jsonl")
    found = report_of(path, "x").model_dump(mode="json")
    for name in ("agreement", "bias"):
        alone = json.loads(fellowship(name, path, "--reference", "x", "--json").stdout)
        assert found[name] == {key: alone[key] for key in found[name]}
    alone = json.loads(fellowship("jury", path, "--reference", "x", "--json").stdout)
    assert found["groups"][0]["juries"] == {key: alone[key] for key in found["groups"][0]["juries"]}


def test_models_that_wrote_the_answers_are_compared_by_people_and_by_everybody(tmp_path: Path) -> None:
    votes = [
        Rating(item=f"i{n}{m}", rater=name, kind=kind, verdict=label(n + place), model_a=m, model_b="alpaca-7b")  # type: ignore[arg-type]
        for n in range(20)
        for m in ("gpt-4", "llama-2")
        for place, (name, kind) in enumerate((("x", "model"), ("ann", "human"), ("bob", "human")))
    ]
    write_ratings(votes, tmp_path / "r.jsonl")
    found = report_of(tmp_path / "r.jsonl").model_dump(mode="json")
    everybody, people = found["win_rates"]
    for part, arguments in (
        (everybody, ("winrate",)),
        (people, ("winrate", "--rater", "human")),
        (found["ranking"], ("rank",)),
    ):
        alone = json.loads(fellowship(arguments[0], tmp_path / "r.jsonl", *arguments[1:], "--json").stdout)
        assert part == {key: alone[key] for key in part}
    assert "Ranking by Bradley-Terry" in fellowship("report", tmp_path / "r.jsonl").stdout


def test_what_an_item_costs_stands_beside_the_kappa_where_prices_are_known(tmp_path: Path) -> None:
    votes = [
        Rating(
            item=f"i{n}", rater=name, kind="model", verdict=chosen(name, n, right=0.7, label=label(n)), cost_usd=cost
        )
        for n in range(20)
        for name, cost in (("x", 0.25), ("y", 0.5))
    ]
    votes += [Rating(item=f"i{n}", rater="ann", kind="human", verdict=label(n)) for n in range(20)]
    ways = [
        Played(rater=name, play="judge", model=name, way="direct", orders="ab", alone=True, voters=(name,))
        for name in ("x", "y")
    ]
    found = report(Ratings.of(votes), played=tuple(ways))
    assert [cell.cost_usd for row in found.strategies[0].rows for cell in row.cells if cell] == [0.25, 0.5]
    assert found.groups[0].juries is not None
    assert found.groups[0].juries.cost == "cost_usd"
    assert "usd an item" in page(found)


def test_without_people_all_that_needs_none_is_told(tmp_path: Path) -> None:
    path = ratings_file(tmp_path / "r.jsonl", people=False)
    found = report_of(path)
    assert (found.reference, found.groups, found.agreement and found.agreement.raters) == (None, (), {})
    assert found.agreement is not None
    assert found.agreement.alpha is not None
    assert len(found.agreement.pairs) == 3
    result = fellowship("report", path, "--html", tmp_path / "r.html", "--markdown", "-")
    assert result.exit_code == 0
    assert "No person voted" in result.stdout
    assert "Two raters" in result.stdout
    assert "No person voted" in (tmp_path / "r.html").read_text()


def test_rows_that_are_no_votes_are_counted_and_told(tmp_path: Path) -> None:
    path = ratings_file(tmp_path / "r.jsonl")
    with path.open("a") as file:
        file.write('{"item": "i1", "rater": "x", "kind": "model", "verdict": "<i>yes</i>"}\n')
    result = fellowship("report", path, "--html", tmp_path / "r.html", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["bad_rows"][0]["line"] == 121
    text = (tmp_path / "r.html").read_text()
    assert "Rows that are no votes, left out: 1." in text
    assert "&lt;i&gt;yes" in text


class Failing(ScriptedModel):
    """Answers, refuses one question for good, and is spent after some."""

    def __init__(self, left: int) -> None:
        self.left = left
        super().__init__(self.say)

    def say(self, call: ModelCall) -> Any:
        self.left -= 1
        if self.left < 0:
            return QuotaExhausted("nothing left")
        return Overloaded("on fire") if "Question 1?" in call.messages[1].content else answer(call)


async def test_a_run_that_is_open_and_has_failed_items_says_so(tmp_path: Path) -> None:
    of = labelled(12)
    await play(library("judge", model="acme/good"), of, tmp_path / "run", Settings(client=Failing(8)))
    status = report_of(tmp_path / "run")
    assert status.run is not None
    left = status.run.still_open
    assert (status.run.status.failed, left > 0) == (1, True)
    shown = fellowship("report", tmp_path / "run", "--markdown", "-", "--html", tmp_path / "r.html")
    for text in (shown.stdout, (tmp_path / "r.html").read_text()):
        assert f"No outcome yet, and in no figure: {left} of 12 items" in text
        assert "Failed, counted as unread and in no kappa: 1 items (1 by Overloaded)" in text
    assert f"in no figure: {left} of 12 items" in fellowship("report", tmp_path / "run").stderr
    assert status.agreement is not None
    assert status.agreement.raters["judge"].unread == 1


async def test_a_run_without_votes_has_its_facts_and_says_why_there_is_nothing_else(tmp_path: Path) -> None:
    of = [item.model_copy(update={"candidates": ()}) for item in items(1)]
    await play(library("feedback-loop"), of, tmp_path / "drafts", Settings(client=ScriptedModel()))
    pairs = library("preference-pairs", "own_family=true")
    await play(pairs, of, tmp_path / "pairs", Settings(client=ScriptedModel()))
    await play(library("judge", model="acme/good"), labelled(2), tmp_path / "none", Settings(client=Failing(0)))
    said = (("drafts", "it gives drafts, and"), ("pairs", "it gives pairs, and"))
    for run, why in (*said, ("none", "no item has an outcome yet")):
        result = fellowship("report", tmp_path / run, "--html", tmp_path / "r.html", "--json")
        assert result.exit_code == 0
        assert why in json.loads(result.stdout)["missing"][0]
        assert why in (tmp_path / "r.html").read_text()


async def test_the_verdict_of_a_jury_sits_in_no_jury_of_its_jurors(tmp_path: Path) -> None:
    await play(
        library("jury", model="acme/good"), labelled(6), tmp_path / "run", Settings(client=ScriptedModel(answer))
    )
    found = report_of(tmp_path / "run")
    assert found.raters[0] == "jury"
    assert found.groups[0].juries is not None
    assert set(found.groups[0].juries.jurors) == {"jury:first", "jury:second", "jury:third"}


def test_more_judges_than_all_juries_of_them_can_be_reckoned_for_are_told_of(tmp_path: Path) -> None:
    names = tuple(f"m{number}" for number in range(12))
    found = report_of(ratings_file(tmp_path / "r.jsonl", names=names))
    assert found.groups[0].juries is not None
    assert found.groups[0].juries.sizes == (2, 2)
    assert any("12 judges make 4,083 juries; here are those of 2," in line for line in found.missing)


# the page

VOID = {"meta", "br", "img", "input", "hr", "link"}


class Page(HTMLParser):
    """Reads a page, and sees to it that every tag is closed where it was opened."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: Counter[str] = Counter()
        self.attributes: list[tuple[str, str, str]] = []
        self.text: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_startendtag(tag, attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def all(self, name: str) -> list[str]:
        return [value for _, attribute, value in self.attributes if attribute == name]


def assert_self_contained(found: Page) -> None:
    assert not {"script", "link", "img", "iframe", "object", "embed"} & set(found.tags)
    assert found.all("src") == []
    assert all(value.startswith("#") for name in ("href", "xlink:href") for value in found.all(name))
    assert not [name for _, name, _ in found.attributes if name.startswith("on")]
    ids = found.all("id")
    assert len(ids) == len(set(ids))
    used = [value[1:] for name in ("href", "xlink:href") for value in found.all(name)]
    used += re.findall(r"url\(#([^)]*)\)", " ".join(value for _, _, value in found.attributes))
    used += " ".join(found.all("aria-labelledby")).split()
    assert set(used) <= set(ids)


def test_the_page_is_well_formed_and_needs_nothing_from_elsewhere(written: Path) -> None:
    text = (written / "r.html").read_text()
    found = Page(text)
    assert_self_contained(found)
    assert "@import" not in text
    assert set(re.findall(r"url\((.)", text)) <= {"#"}
    assert found.tags["svg"] == found.tags["figure"] == 6
    assert len(text) < 400_000
    assert 'Two <b>judges</b> & "three" strategies.' in "".join(found.text)


def test_every_plot_is_an_image_with_a_name_in_the_colours_of_the_page(written: Path) -> None:
    text = (written / "r.html").read_text()
    drawn = re.findall(r"<svg.*?</svg>", text, flags=re.DOTALL)
    named = "{http://www.w3.org/2000/svg}"
    for svg in drawn:
        root = ET.fromstring(svg)  # noqa: S314 - our own
        assert root.get("role") == "img"
        assert [part.tag for part in root[:2]] == [f"{named}title", f"{named}desc"]
        assert all(part.text for part in root[:2])
        assert root.find(f".//{named}text") is not None
        assert root.get("width") is None
        assert not re.findall(r"(?:fill|stroke): #", svg)
        assert set(re.findall(r"var\((--\w+)\)", svg)) <= set(re.findall(r"(--\w+):", text))
    assert "prefers-color-scheme: dark" in text


def test_the_numbers_of_the_plots_are_in_the_tables(written: Path, told: dict[str, Any]) -> None:
    text = (written / "r.html").read_text()
    outside = re.sub(r"<svg.*?</svg>", "", text, flags=re.DOTALL)
    for name, rater in told["agreement"]["raters"].items():
        assert f"{rater['kappa']:.3f}" in outside
        assert name in outside


def test_the_same_ratings_give_the_same_bytes(tmp_path: Path) -> None:
    path = ratings_file(tmp_path / "r.jsonl")
    assert page(report_of(path)) == page(report_of(path))


def test_names_are_text_wherever_they_stand(tmp_path: Path) -> None:
    votes = [
        Rating(item=f"{INJECTIONS[0]}{n}", rater=name, kind="model", verdict=label(n + place), score_a=n % 11, score_b=5, order=order,
               model_a=INJECTIONS[1], model_b="llama-2")
        for n in range(12)
        for place, name in enumerate((*INJECTIONS, "\x1b[31mred\x00", "\N{OGHAM LETTER BEITH}" * 80))
        for order in ("ab", "ba")
    ]  # fmt: skip
    votes += [Rating(item=f"{INJECTIONS[0]}{n}", rater="<u>ann</u>", kind="human", verdict=label(n)) for n in range(12)]
    text = page(report(Ratings.of(votes, INJECTIONS[0])))
    found = Page(text)
    assert_self_contained(found)
    assert found.tags["u"] == found.tags["b"] - found.tags["figure"] == 0
    words = "".join(found.text)
    for name in INJECTIONS:
        assert name in words
    assert "\x1b" not in text
    assert "\x00" not in text
    drawn = [ET.fromstring(svg) for svg in re.findall(r"<svg.*?</svg>", text, flags=re.DOTALL)]  # noqa: S314 - our own
    assert '$x_{1}$ id="q" 1.23456' in "".join(drawn[0].itertext())


def test_markdown_has_every_section_and_no_markup_of_others(tmp_path: Path, written: Path) -> None:
    text = (written / "r.md").read_text()
    assert text.startswith("# mine, ")
    for title in ("Ways of judging", "Judge, jury, debate", "Agreement with human", "Juries", "Bias", "What it took"):
        assert f"\n## {title}\n" in text
    assert "Two \\<b>judges\\</b>" in text
    assert "<b>" not in text.replace("\\<b>", "")


def test_matplotlib_is_loaded_for_the_page_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = ratings_file(tmp_path / "r.jsonl")
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert fellowship("report", path, "--markdown", tmp_path / "r.md").exit_code == 0
    assert isinstance(fellowship("report", path, "--html", tmp_path / "r.html").exception, ImportError)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("no.jsonl",), "no.jsonl"),
        (("folder",), "folder is not a run: it has no run.db"),
        (("r.jsonl", "--reference", "an"), "did you mean 'ann'"),
        (("r.jsonl", "--json", "--markdown", "-"), "both want stdout"),
        (("r.jsonl", "--html", "folder"), "folder cannot be written"),
        (("r.jsonl", "--markdown", "r.jsonl/r.md"), "cannot be written"),
        (("alone.jsonl", "--reference", "human"), "no vote of a person"),
    ],
)
def test_wrong_use_ends_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    ratings_file(tmp_path / "r.jsonl")
    ratings_file(tmp_path / "alone.jsonl", people=False)
    result = fellowship("report", *arguments)
    assert result.exit_code == 2
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["alone.jsonl", "folder", "r.jsonl"]


@given(
    scores=st.lists(
        st.tuples(st.floats(0, 1000), st.floats(0, 1000)) | st.tuples(st.integers(0, 12), st.integers(0, 12)),
        min_size=1,
        max_size=60,
    )
)
@settings(max_examples=60, deadline=None)
def test_every_score_is_counted_in_one_bar(scores: list[tuple[float, float]]) -> None:
    votes = [
        Rating.model_validate({"item": f"i{place}", "rater": "x", "kind": "model", "score_a": a, "score_b": b})
        for place, (a, b) in enumerate(scores)
    ]
    found = distributions(Ratings.of(votes))["x"]
    assert sum(bar.count for bar in found.bars) == found.scores == 2 * len(scores)
    assert sum(found.verdicts.values()) == len(scores)
    assert all(bar.low <= bar.high for bar in found.bars)
    assert all(
        one.low < other.low and one.high <= other.high for one, other in zip(found.bars, found.bars[1:], strict=False)
    )
