"""The pages that are written from the code: the gallery and the words of the language."""

import re
from pathlib import Path

import pytest
from playing import content

from fellowship.scenarios import spec
from fellowship.scenarios.drawing import gallery, words
from fellowship.scenarios.loading import library

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of the pages, written where there was a picture of a scenario that is no more."""
    folder = tmp_path_factory.mktemp("docs")
    (folder / "gallery").mkdir()
    (folder / "gallery" / "gone.svg").write_text("")
    gallery.write(folder)
    return folder


@pytest.fixture(scope="module")
def page() -> str:
    return words.page()


def test_the_gallery_the_pictures_and_the_words_are_up_to_date(written: Path) -> None:
    made = content(written)
    stale = [path for path, text in made.items() if not (DOCS / path).is_file() or (DOCS / path).read_bytes() != text]
    gone = [path.name for path in (DOCS / "gallery").iterdir() if f"gallery/{path.name}" not in made]
    assert made.keys() > {"gallery.md", "words.md"}
    assert (stale, gone) == ([], []), "make docs writes them anew"


def test_the_gallery_shows_every_library_scenario_with_its_source_its_calls_and_its_command(written: Path) -> None:
    shown = (written / "gallery.md").read_text("utf-8")
    assert re.findall(r"^## (.*)$", shown, re.MULTILINE) == list(library())
    debate = shown.partition("## debate\n")[2].partition("\n## ")[0]
    for told in ("> Chan et al. 2023", "(gallery/debate.svg)", "9 calls an item", "fellowship run debate --data"):
        assert told in debate


def test_pictures_of_scenarios_that_are_no_more_are_removed(written: Path) -> None:
    assert sorted(path.stem for path in (written / "gallery").iterdir()) == sorted(library())


@pytest.mark.parametrize("heading", words.MODELS)
def test_the_page_of_words_has_every_key_of_every_model_with_what_it_says(heading: str, page: str) -> None:
    section = page.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    keys = re.findall(r"^\| `([^`]+)` \| .+ \| .* \| (.*) \|$", section, re.MULTILINE)
    model = words.MODELS[heading]
    wanted = {str(field.serialization_alias or name) for name, field in model.model_fields.items()}
    assert {key for key, _ in keys} == wanted
    assert all(told for _, told in keys), "every key says what it is"


def test_every_model_that_reads_a_part_of_a_file_has_a_table() -> None:
    declared = {each for each in vars(spec).values() if isinstance(each, type) and issubclass(each, spec.Declared)}
    told = {*words.MODELS.values()}
    assert {each.__name__ for each in declared - told} == {"Declared", "_Judged"}


def test_the_page_of_words_says_what_every_name_of_a_registry_is(page: str) -> None:
    for heading, registry in words.REGISTRIES.items():
        section = page.partition(f"## {heading}\n")[2].partition("\n## ")[0]
        found = dict(re.findall(r"^\| `([^`]+)` \| (.+) \|$", section, re.MULTILINE))
        assert list(found) == list(registry[0])
        assert all(len(told.split()) > 2 for told in found.values())


def test_links_within_the_page_of_words_lead_somewhere(page: str) -> None:
    headings = {each.lower().replace(" ", "-") for each in re.findall(r"^## (.*)$", page, re.MULTILINE)}
    assert set(re.findall(r"\(#([^)]+)\)", page)) <= headings
