"""How well the judges of a run judge, on a benchmark that people have labelled."""

from pathlib import Path

import pytest
from playing import fellowship, items, library
from sklearn.metrics import cohen_kappa_score

from fellowship.protocols.errors import DeclarationError
from fellowship.protocols.items import HumanVote
from fellowship.runtime.testing import ScriptedModel
from fellowship.runtime.testing.opinions import Opinions
from fellowship.scenarios import Settings, play
from fellowship.scenarios.preferences.judges import measured
from fellowship.scenarios.ratings.source import open_ratings

GOLD = "aababbtaab"
VERDICTS = {"a": "a", "b": "b", "t": "tie", "u": "unread"}


def ratings(path: Path, **raters: str) -> Path:
    """Write a vote of each rater on each item; `openai/gpt-4o` is written openai__gpt_4o."""
    lines = ["item,rater,kind,verdict,model"]
    for rater, votes in {"ann": GOLD, **raters}.items():
        name, kind = rater.replace("__", "/").replace("_", "-"), "human" if rater == "ann" else "model"
        lines += [f"{item},{name},{kind},{VERDICTS[vote]}," for item, vote in enumerate(votes)]
    path.write_text("\n".join(lines) + "\n")
    return path


def test_a_judge_has_the_kappa_that_scikit_learn_finds_and_an_interval_around_it(tmp_path: Path) -> None:
    votes = "aabbbbtatu"
    (found,) = measured(ratings(tmp_path / "bench.csv", openai__gpt_4o=votes), {"judge": "openai/gpt-4o"})
    assert (found.judge, found.model, found.benchmark, found.rater) == (
        "judge",
        "openai/gpt-4o",
        "bench",
        "openai/gpt-4o",
    )
    assert (found.n, found.unread) == (9, 1)
    assert found.kappa == pytest.approx(cohen_kappa_score(list(GOLD[:9]), list(votes[:9])))
    assert found.accuracy == pytest.approx(7 / 9)
    assert found.kappa_ci is not None
    assert found.kappa_ci[0] < (found.kappa or 0) < found.kappa_ci[1]
    assert found.kappa_method


def test_the_same_model_is_known_whoever_serves_it_and_in_each_way_it_was_asked(tmp_path: Path) -> None:
    path = tmp_path / "bench.csv"
    ratings(path, azure__GPT_4o=GOLD, other__model=GOLD)
    with path.open("a") as file:
        file.write("".join(f"{item},direct:judge,model,a,openai/gpt-4o\n" for item in range(10)))
    found = measured(path, {"judge": "openai/gpt-4o"}, name="mine")
    assert [(each.rater, each.rater_model) for each in found] == [
        ("azure/GPT-4o", "azure/GPT-4o"),
        ("direct:judge", "openai/gpt-4o"),
    ]
    assert {each.benchmark for each in found} == {"mine"}
    assert [each.kappa for each in found] == [1.0, 0.0]


def test_a_judge_that_nobody_there_has_the_model_of_was_not_measured(tmp_path: Path) -> None:
    path = ratings(tmp_path / "bench.csv", openai__gpt_4o=GOLD)
    one, other = measured(path, {"one": "openai/gpt-4o", "other": "openai/gpt-4o-mini"})
    assert (one.rater, one.kappa) == ("openai/gpt-4o", 1.0)
    assert (other.judge, other.rater, other.kappa, other.kappa_ci, other.n) == ("other", None, None, None, 0)


def test_a_person_of_the_models_name_is_no_model(tmp_path: Path) -> None:
    path = ratings(tmp_path / "bench.csv", other=GOLD)
    assert measured(path, {"judge": "openai/ann"})[0].rater is None


async def test_a_jurys_own_verdict_is_measured_where_it_is_of_the_same_models(tmp_path: Path) -> None:
    said = (HumanVote(rater="ann", verdict="a"),)
    other = (HumanVote(rater="ann", verdict="b"),)
    labelled = [item.model_copy(update={"human": said if n % 3 else other}) for n, item in enumerate(items(12))]
    run = tmp_path / "bench-run"
    await play(library("jury"), labelled, run, Settings(client=ScriptedModel(Opinions(unreadable=0))))
    same = {"x": "other/m", "y": "acme/m", "z": "acme/m"}
    found = measured(run, same)
    assert found[-1].rater == "jury"
    assert found[-1].judge == "x+y+z"
    table = open_ratings(run)
    right, jury = table.reference("human"), table.panel(["jury"]).votes[:, 0]
    assert found[-1].kappa == pytest.approx(cohen_kappa_score(right, jury))
    assert found[-1].n == 12
    assert "jury" not in {each.rater for each in measured(run, {"x": "acme/m", "y": "acme/m"})}
    assert "jury" not in {each.rater for each in measured(run, {"x": "acme/m"})}
    assert {each.benchmark for each in found} == {"bench-run"}


def test_a_benchmark_without_people_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bench.csv"
    path.write_text("item,rater,kind,verdict\n1,gpt-4o,model,a\n")
    with pytest.raises(DeclarationError, match="no vote of a person"):
        measured(path, {"judge": "openai/gpt-4o"})


def test_the_published_accuracy_of_pandalm_comes_out(tmp_path: Path, shared_data: Path) -> None:
    """PandaLM-7B on PandaLM-Eval, 999 items, against the majority of three annotators: .6677 (Wang et al. 2023)."""
    path = tmp_path / "pandalm-eval.jsonl"
    assert fellowship("import", "pandalm", shared_data / "pandalm", "--to", path).exit_code == 0
    (found,) = measured(path, {"judge": "vllm/pandalm-7b"})
    assert (found.n, found.unread, found.benchmark) == (999, 0, "pandalm-eval")
    assert found.accuracy == pytest.approx(0.6677, abs=5e-5)
    table = open_ratings(path)
    right, votes = table.reference("human"), table.panel(["pandalm-7b"]).votes[:, 0]
    assert found.kappa == pytest.approx(cohen_kappa_score(right, votes))
