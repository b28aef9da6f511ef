"""What is installed is what is meant to be, and it is quick to load."""

import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("agents", "protocols", "runtime", "scenarios")


def run(*command: object, **environment: str) -> str:
    done = subprocess.run(
        [str(word) for word in command],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={**os.environ, **environment},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--wheel", "--outdir", folder, ROOT)
    return next(folder.glob("*.whl"))


def tracked() -> set[str]:
    return set(run("git", "ls-files", *FOLDERS).splitlines())


def test_every_tracked_file_of_the_four_folders_is_in_the_wheel_under_fellowship_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    own = {"fellowship/__init__.py", "fellowship/__main__.py", "fellowship/plugins.py", "fellowship/py.typed"}
    assert {f"fellowship/{name}" for name in tracked()} <= names
    ours = {name for name in names if "__pycache__" not in name}
    assert {name.split("/")[0] for name in names} == {"fellowship"}
    untracked = ours - own - {f"fellowship/{name}" for name in tracked()}
    assert not untracked, "files that git does not know are in the wheel"


def test_the_links_of_the_source_tree_lead_to_the_folders() -> None:
    for folder in FOLDERS:
        link = ROOT / "src" / "fellowship" / folder
        assert link.is_symlink()
        assert link.resolve() == ROOT / folder


def test_a_wheel_beside_openai_agents_leaves_both_working(wheel: Path, tmp_path: Path) -> None:
    """openai-agents installs a package `agents`: ours must not touch it."""
    place = tmp_path / "venv"
    venv.create(place, with_pip=True, system_site_packages=False)
    python = place / "bin" / "python"
    try:
        run(python, "-m", "pip", "install", "--quiet", "--no-deps", "openai-agents")
    except AssertionError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"no package registry is reached: {str(error).splitlines()[-1]}")
    before = run(python, "-c", "import importlib.util as u; print(u.find_spec('agents').origin)")
    run(python, "-m", "pip", "install", "--quiet", "--no-compile", wheel)  # half a minute of bytecode that nobody runs
    after = run(python, "-c", "import importlib.util as u; print(u.find_spec('agents').origin)")
    assert before == after
    files = run(python, "-m", "pip", "show", "--files", "openai-agents")
    assert "agents/__init__.py" in files
    assert "judge" in run(place / "bin" / "fellowship", "list")
    lines = (
        "import fellowship.agents, importlib.metadata as m; print(m.version('openai-agents'), fellowship.agents.Juror)"
    )
    assert "fellowship.agents.juror.Juror" in run(python, "-c", lines)
    theirs = Path(after.strip())
    assert "fellowship" not in theirs.read_text()


HEAVY = ("aiohttp", "openai", "pydantic", "jinja2", "structlog", "yaml", "sqlite3", "xllamacpp", "pyarrow")
NUMERIC = ("numpy", "scipy", "sklearn", "statsmodels", "matplotlib", "pandas", "krippendorff", "choix")
MEASURING = ("agreement", "bias", "health", "import", "jury", "rank", "report", "reproduce", "winrate")


@pytest.mark.parametrize("statement", ["import fellowship", "import fellowship.scenarios.cli"])
def test_importing_loads_nothing_heavy(statement: str) -> None:
    code = f"import sys; {statement}; print(*[name for name in {HEAVY!r} if name in sys.modules])"
    assert run(sys.executable, "-c", code).strip() == ""


@pytest.mark.parametrize(
    ("commands", "heavy"), [([[]], (*HEAVY, *NUMERIC)), ([[name] for name in MEASURING], NUMERIC)], ids=["all", "each"]
)
def test_help_loads_nothing_heavy(commands: list[list[str]], heavy: tuple[str, ...]) -> None:
    code = (
        "import sys\nfrom fellowship.scenarios.cli import main\n"
        f"for words in {commands!r}:\n    sys.argv = ['fellowship', *words, '--help']\n"
        f"    try:\n        main()\n    except SystemExit:\n        pass\n"
        f"print('loaded:', *[n for n in {heavy!r} if n in sys.modules])"
    )
    shown = run(sys.executable, "-c", code)
    assert shown.count("Usage:") == len(commands)
    assert shown.strip().endswith("loaded:")


def test_measuring_ratings_loads_no_client_of_models(tmp_path: Path) -> None:
    votes = tmp_path / "votes.csv"
    votes.write_text("item,rater,kind,verdict\n1,ann,human,a\n1,m,model,a\n2,ann,human,b\n2,m,model,b\n")
    code = (
        "import sys\nfrom fellowship.scenarios.cli import main\n"
        f"sys.argv = ['fellowship', 'agreement', {str(votes)!r}, '--json']\n"
        "try:\n    main()\nexcept SystemExit:\n    print('loaded:', *[n for n in ('openai', 'aiohttp') if n in sys.modules])"
    )
    assert run(sys.executable, "-c", code).strip().endswith("loaded:")


def test_all_that_the_facade_names_is_there() -> None:
    import fellowship
    import fellowship.scenarios

    for module in (fellowship, fellowship.scenarios):
        assert all(getattr(module, name) is not None for name in module.__all__)
        with pytest.raises(AttributeError):
            module.nothing  # noqa: B018 - looking is what is tested


def test_no_file_names_a_machine_or_a_key() -> None:
    words = ["/" + name + "/" for name in ("work", "root")] + ["sk-" + "proj"]
    for name in run("git", "ls-files").splitlines():
        path = ROOT / name
        if path.is_symlink() or not path.is_file():
            continue
        text = path.read_text(errors="replace")
        assert not [word for word in words if f'"{word}' in text or f" {word}" in text], name
