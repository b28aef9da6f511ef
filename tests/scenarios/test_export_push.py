"""An export that is pushed by the command line: what arrives, what is told, and how a push that failed is made up for."""

import json
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from loopback_hub import TOKEN, LoopbackHub, loopback_hub
from playing import fellowship, judged


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return judged(tmp_path_factory.mktemp("pushed"), 8)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopbackHub]:
    with loopback_hub() as found:
        monkeypatch.setenv("HF_ENDPOINT", found.base_url)
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        yield found


def test_a_pushed_export_arrives_private_and_its_address_is_told(run: Path, hub: LoopbackHub, tmp_path: Path) -> None:
    to = tmp_path / "d"
    pushed = fellowship("export", run, "--format", "dpo", "--to", to, "--push", "acme/pairs", "--json")
    assert pushed.exit_code == 0, pushed.stderr
    document = json.loads(pushed.stdout)
    assert document["pushed"].startswith(f"{hub.base_url}/datasets/acme/pairs/commit/")
    repository = hub.repositories["acme/pairs"]
    assert repository.private
    assert repository.files == {name: (to / name).read_bytes() for name in ("README.md", "generation-dpo/train.jsonl")}
    shown = fellowship("export", run, "--format", "dpo", "--to", to, "--push", "acme/open", "--public")
    assert not hub.repositories["acme/open"].private
    assert f"pushed: {hub.base_url}/datasets/acme/open/commit/" in shown.stdout


def test_what_could_not_be_pushed_is_kept_and_the_command_that_is_told_pushes_it(
    run: Path, hub: LoopbackHub, tmp_path: Path
) -> None:
    to = tmp_path / "d d"
    hub.refuse["/commit/main"] = (500, "on fire")
    failed = fellowship("export", run, "--format", "kto", "--to", to, "--push", "acme/pairs", "--public", "--json")
    assert (failed.exit_code, failed.stdout) == (2, "")
    assert "answered 500 (on fire)" in failed.stderr
    assert TOKEN not in failed.stderr
    before = {path: path.stat().st_mtime_ns for path in to.rglob("*") if path.is_file()}
    assert to / "generation-kto" / "train.jsonl" in before
    hub.refuse.clear()
    command = shlex.split(failed.stderr.split("`")[1])
    again = fellowship(*command[1:])
    assert again.exit_code == 0, again.stderr
    assert "generation-kto/train.jsonl" in hub.repositories["acme/pairs"].files
    assert before == {path: path.stat().st_mtime_ns for path in to.rglob("*") if path.is_file()}
    asked = len(hub.asked)
    assert fellowship(*command[1:]).stdout == again.stdout
    assert not [line for line in hub.asked[asked:] if "/commit/main" in line]


def test_a_folder_of_another_run_is_not_pushed(run: Path, hub: LoopbackHub, tmp_path: Path) -> None:
    to = tmp_path / "d"
    assert fellowship("export", run, "--format", "dpo", "--to", to).exit_code == 0
    text = (to / "export.json").read_text()
    (to / "export.json").write_text(text.replace(json.loads(text)["run"], "another"))
    refused = fellowship("export", run, "--to", to, "--push", "acme/pairs")
    assert refused.exit_code == 2
    assert "holds no export of this run" in refused.stderr
    assert hub.asked == []
