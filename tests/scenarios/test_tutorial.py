"""The tutorial: its files are written, its commands called, in the order of the page; and links of all pages resolve."""

import re
import shlex
from pathlib import Path

import pytest
from playing import MODEL, beside, fellowship
from plugged import INI, WITH_PLUGIN

from fellowship.runtime.testing import LoopbackEndpoint
from fellowship.runtime.testing.opinions import Opinions
from fellowship.scenarios import rehearse

pytest_plugins = ["pytester"]

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/tutorial.md").read_text()
BLOCKS = re.findall(r"```(\w*)\n(.*?)```", PAGE, re.DOTALL)
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")])
EMBEDDED = "local/smollm2-135m"


def called(command: str, base_url: str, pytester: pytest.Pytester) -> str:
    """Return what a command of the page prints; an endpoint beside it stands in for the embedded model."""
    words = shlex.split(command)
    if words[0] == "pytest":
        return pytester.runpytest_inprocess(*words[1:], *WITH_PLUGIN, "-p", "no:cacheprovider").stdout.str()
    assert words[0] == "fellowship"
    if words[1] == "run":
        words = [MODEL if word == EMBEDDED else word for word in words] + ["--base-url", base_url]
    result = fellowship(*words[1:])
    assert "Traceback" not in result.stderr
    assert (result.exit_code == 0) is ("slip.yaml" not in command), result.stderr
    return result.stdout + result.stderr


def test_who_follows_the_tutorial_sees_what_it_says(pytester: pytest.Pytester) -> None:
    pytester.makeini(INI)
    seen = 0
    with beside(LoopbackEndpoint(answer=Opinions(unreadable=0))) as endpoint:
        for language, block in BLOCKS:
            if language in ("yaml", "python"):
                name = re.match(r"# (\S+)\n", block)
                assert name is not None, block
                Path(name[1]).write_text(block)
            elif language == "console":
                for command, shown in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", block, re.MULTILINE):
                    printed = " ".join(called(command, endpoint.base_url, pytester).split())
                    for line in shown.splitlines():
                        for part in line.split("…"):
                            assert " ".join(part.split()) in printed, f"{command}: {line}"
                            seen += bool(part)
    assert seen > 20
    assert (pytester.path / "my-debate/my-debate.svg").read_text().startswith("<svg")


@pytest.mark.parametrize("number", range(3))
async def test_every_stage_of_the_debate_goes_through(number: int) -> None:
    stages = [block for _, block in BLOCKS if "scenario: my-debate\n" in block]
    assert len(stages) == 3
    played = await rehearse(stages[number])
    assert played.status == "done", played.error


def slug(heading: str) -> str:
    """Return the anchor that code hosts give a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])
def test_the_links_of_every_page_lead_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```|`[^`\n]*`", "", page.read_text(), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        found = (page.parent / path).resolve() if path else page
        assert found.exists(), f"{page.name}: {target}"
        if anchor:
            headings = re.findall(r"^#+ (.*)$", found.read_text(), re.MULTILINE)
            assert anchor in map(slug, headings), f"{page.name}: {target}"
