"""An export pushed to a hub: what arrives there, and what a user is told where it cannot."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from loopback_hub import TOKEN, LoopbackHub, loopback_hub

from fellowship.protocols.errors import DeclarationError
from fellowship.scenarios.preferences.push import push

CARD = """---
configs:
- config_name: generation-dpo
  data_files:
  - split: train
    path: generation-dpo/train.jsonl
  - split: test
    path: generation-dpo/test.parquet
---
# Pairs
"""


@pytest.fixture(scope="module")
def _hub_imported() -> None:
    import huggingface_hub.hf_api  # noqa: F401 - heavy; what it reads from the environment, it reads here


@pytest.fixture
def hub(_hub_imported: None) -> Iterator[LoopbackHub]:
    with loopback_hub() as found:
        yield found


@pytest.fixture(autouse=True)
def logged_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No token and no hub of the developer's."""
    import huggingface_hub.constants

    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(huggingface_hub.constants, "HF_TOKEN_PATH", str(tmp_path / "no-token"))


@pytest.fixture
def export(tmp_path: Path) -> Path:
    folder = tmp_path / "pairs"
    (folder / "generation-dpo").mkdir(parents=True)
    (folder / "README.md").write_text(CARD)
    (folder / "generation-dpo" / "train.jsonl").write_text('{"prompt": "ü"}\n' * 3)
    (folder / "generation-dpo" / "test.parquet").write_bytes(b"PAR1" + bytes(range(256)) * 40 + b"PAR1")
    (folder / "notes.txt").write_text("not yours")
    (folder / "generation-dpo" / "train.jsonl.part").write_text("half done")
    return folder


def files(folder: Path) -> dict[str, bytes]:
    names = ("README.md", "generation-dpo/train.jsonl", "generation-dpo/test.parquet")
    return {name: (folder / name).read_bytes() for name in names}


def refused(folder: Path, name: str, hub: LoopbackHub, *, token: str | None = TOKEN, private: bool = False) -> str:
    with pytest.raises(DeclarationError) as caught:
        push(folder, name, private=private, token=token, endpoint=hub.base_url)
    sentence = str(caught.value)
    assert TOKEN not in sentence
    assert "\n" not in sentence
    return sentence


@pytest.mark.parametrize("private", [True, False])
def test_the_hub_has_the_exports_own_files_byte_for_byte_and_no_other(
    export: Path, hub: LoopbackHub, private: bool
) -> None:
    url = push(export, "acme/pairs", private=private, token=TOKEN, endpoint=hub.base_url)
    repository = hub.repositories["acme/pairs"]
    assert repository.files == files(export)
    assert repository.private is private
    assert len(repository.commits) == 1
    assert url.startswith(f"{hub.base_url}/datasets/acme/pairs/commit/")
    assert len(hub.verified) == 1


def test_what_is_there_already_is_not_sent_again(export: Path, hub: LoopbackHub) -> None:
    first = push(export, "acme/pairs", private=True, token=TOKEN, endpoint=hub.base_url)
    begun = len(hub.asked)
    assert push(export, "acme/pairs", private=True, token=TOKEN, endpoint=hub.base_url) == first
    assert len(hub.repositories["acme/pairs"].commits) == 1
    assert not [line for line in hub.asked[begun:] if line.startswith("PUT") or "/commit/main" in line]


def test_what_has_changed_since_is_one_more_commit(export: Path, hub: LoopbackHub) -> None:
    push(export, "acme/pairs", private=False, token=TOKEN, endpoint=hub.base_url)
    hub.repositories["acme/pairs"].files["of-another.txt"] = b"kept"
    (export / "generation-dpo" / "train.jsonl").write_text('{"prompt": "new"}\n')
    push(export, "acme/pairs", private=False, token=TOKEN, endpoint=hub.base_url)
    repository = hub.repositories["acme/pairs"]
    assert repository.files == {**files(export), "of-another.txt": b"kept"}
    assert len(repository.commits) == 2


def test_a_name_without_an_owner_is_of_whoever_the_token_belongs_to(export: Path, hub: LoopbackHub) -> None:
    push(export, "pairs", private=False, token=TOKEN, endpoint=hub.base_url)
    assert list(hub.repositories) == ["acme/pairs"]


def test_token_and_hub_are_those_of_the_environment_at_the_time_of_the_push(
    export: Path, hub: LoopbackHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", hub.base_url + "/")
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    push(export, "acme/pairs", private=False)
    assert hub.repositories["acme/pairs"].files == files(export)


def test_the_librarys_own_login_will_do(export: Path, hub: LoopbackHub, tmp_path: Path) -> None:
    (tmp_path / "no-token").write_text(TOKEN)
    push(export, "acme/pairs", private=False, endpoint=hub.base_url)
    assert "acme/pairs" in hub.repositories


def test_the_library_is_left_as_it_was_found(export: Path, hub: LoopbackHub) -> None:
    import huggingface_hub as library

    before = library.constants.HF_HUB_DISABLE_XET, library.constants.HF_HUB_DISABLE_TELEMETRY
    bars, level = library.utils.are_progress_bars_disabled(), library.utils.logging.get_verbosity()
    push(export, "acme/pairs", private=False, token=TOKEN, endpoint=hub.base_url)
    assert before == (library.constants.HF_HUB_DISABLE_XET, library.constants.HF_HUB_DISABLE_TELEMETRY)
    assert (library.utils.are_progress_bars_disabled(), library.utils.logging.get_verbosity()) == (bars, level)


def test_the_hub_is_told_which_package_calls_and_nothing_of_who_calls_it(
    export: Path, hub: LoopbackHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AGENT", "somebody")
    push(export, "acme/pairs", private=False, token=TOKEN, endpoint=hub.base_url)
    assert any(agent.startswith("llm-fellowship/") for agent in hub.agents)
    assert not [agent for agent in hub.agents if "agent/" in agent]


def test_nothing_of_a_private_export_goes_where_everybody_can_see_it(export: Path, hub: LoopbackHub) -> None:
    push(export, "acme/open", private=False, token=TOKEN, endpoint=hub.base_url)
    (export / "README.md").write_text(CARD + "for us only\n")
    assert "acme/open is there already and everybody can see it" in refused(export, "acme/open", hub, private=True)
    assert b"for us only" not in hub.repositories["acme/open"].files["README.md"]


def test_without_a_token_the_user_is_told_where_one_comes_from(export: Path, hub: LoopbackHub) -> None:
    sentence = refused(export, "acme/pairs", hub, token=None)
    assert sentence.startswith(f"no token for {hub.base_url}: set HF_TOKEN, or log in with `hf auth login`")
    assert hub.asked == []


def test_a_token_that_is_not_accepted_is_named_as_that_and_not_shown(export: Path, hub: LoopbackHub) -> None:
    wrong = TOKEN[::-1]
    sentence = refused(export, "acme/pairs", hub, token=wrong)
    assert "does not accept the token" in sentence
    assert wrong not in sentence
    assert hub.repositories == {}


def test_an_owner_the_token_may_not_write_for_is_named(export: Path, hub: LoopbackHub) -> None:
    sentence = refused(export, "nobody/pairs", hub)
    assert sentence.startswith(f"the token may not write to nobody/pairs at {hub.base_url} (You don't have the rights")


@pytest.mark.parametrize(
    ("where", "status", "said"),
    [
        ("/commit/main", 403, "the token may not write to acme/pairs"),
        ("/store/", 403, "the token may not write to acme/pairs"),
        ("/commit/main", 500, "answered 500 (on fire)"),
        ("/preupload/", 404, "has no place for acme/pairs"),
        ("/validate-yaml", 400, "answered 400 (on fire): acme/pairs was not pushed"),
    ],
)
def test_a_hub_that_refuses_on_the_way_is_one_sentence(
    export: Path, hub: LoopbackHub, where: str, status: int, said: str
) -> None:
    hub.refuse[where] = (status, "on fire")
    assert said in refused(export, "acme/pairs", hub)
    assert hub.repositories["acme/pairs"].commits == []


def test_a_name_that_no_data_set_can_have_is_refused(export: Path, hub: LoopbackHub) -> None:
    assert "a b" in refused(export, "acme/a b", hub)
    assert hub.repositories == {}


def test_a_hub_that_is_not_there_is_one_sentence(export: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{unused.getsockname()[1]}"
        with pytest.raises(DeclarationError, match=f"^{address} cannot be reached: ConnectError"):
            push(export, "acme/pairs", private=False, token=TOKEN, endpoint=address)


def test_what_the_hub_says_of_a_card_is_told(
    export: Path, hub: LoopbackHub, capsys: pytest.CaptureFixture[str]
) -> None:
    hub.warn.append("empty or missing yaml metadata")
    push(export, "acme/pairs", private=False, token=TOKEN, endpoint=hub.base_url)
    captured = capsys.readouterr()
    assert "empty or missing yaml metadata" in captured.out + captured.err


def test_a_folder_that_is_no_export_is_refused(tmp_path: Path, hub: LoopbackHub) -> None:
    assert "is no export: it has no README.md" in refused(tmp_path, "acme/pairs", hub)
    (tmp_path / "README.md").write_text("# Notes\n")
    assert "is no card of an export" in refused(tmp_path, "acme/pairs", hub)
    assert hub.asked == []


def test_a_file_that_the_card_names_and_that_is_not_there_stops_the_push(export: Path, hub: LoopbackHub) -> None:
    (export / "generation-dpo" / "test.parquet").unlink()
    assert "there is no file generation-dpo/test.parquet: nothing was pushed" in refused(export, "acme/pairs", hub)
    assert hub.asked == []


@pytest.mark.parametrize("path", ["../secret.txt", "/etc/hostname", "link.jsonl"])
def test_no_file_outside_the_folder_is_pushed(export: Path, hub: LoopbackHub, path: str) -> None:
    (export.parent / "secret.txt").write_text("secret")
    (export / "link.jsonl").symlink_to(export.parent / "secret.txt")
    (export / "README.md").write_text(CARD.replace("generation-dpo/train.jsonl", path))
    assert "is not in the folder: nothing was pushed" in refused(export, "acme/pairs", hub)
    assert hub.asked == []
