"""Taking an export to a hub of data sets: its own files and nothing else, in one commit."""

import os
import warnings
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

import yaml

from ...protocols.errors import DeclarationError
from ...runtime.secrecy import Secrets
from ...runtime.tracing import logger

CARD = "README.md"
LONGEST = 300
"""Characters of a hub's own words that are shown."""
QUIET = ("HF_HUB_DISABLE_XET", "HF_HUB_DISABLE_TELEMETRY")
"""Switches of the library that it reads from the environment when it is imported: without the first it loads an
engine of its own, which speaks to other addresses than the hub's; without the second it looks up who calls it."""


def push(folder: Path, name: str, *, private: bool, token: str | None = None, endpoint: str | None = None) -> str:
    """Upload an export's card and the data files that the card names; what lies beside them stays where it is.

    The data set is made where there is none; where there is, what is the same there already is not sent again, and its
    other files are left alone.

    Args:
        folder: The export's.
        name: ORGANISATION/NAME, or NAME in the space of whoever the token belongs to.
        private: Whether a data set that is made can be seen by its owners only; one that is there must then be so.
        token: Of the hub; by default HF_TOKEN, or that of the library's own login.
        endpoint: Address of the hub; by default HF_ENDPOINT, or the public one.

    Returns:
        The address of the commit, or of the last one where nothing was new.

    Raises:
        DeclarationError: there is no export, no token, no access, or no hub; or a data set of this name can be seen by
            everybody and was to be private. The token stands in none of its words.
    """
    files = tuple(files_of(folder))
    hub = _library()
    with _quiet(hub):
        address = (endpoint or os.environ.get("HF_ENDPOINT") or hub.constants.ENDPOINT).rstrip("/")
        secrets = Secrets()
        try:
            key = token or _token(hub, address)
            secrets.add(key)
            api = hub.HfApi(
                endpoint=address, token=key, library_name="llm-fellowship", library_version=version("llm-fellowship")
            )
            return _commit(hub, api, folder, files, name, private=private)
        except DeclarationError:
            raise
        except Exception as error:  # the library's errors, and those of the client below it, have no common class
            raise DeclarationError(secrets.hide_cut(_sentence(error, name, address))) from error


def _token(hub: Any, address: str) -> str:  # noqa: ANN401 - as _library
    found: str | None = hub.get_token()
    if not found:
        raise DeclarationError(
            f"no token for {address}: set HF_TOKEN, or log in with `hf auth login`; {address}/settings/tokens makes one"
        )
    return found


def files_of(folder: Path) -> Iterator[str]:
    """Return the files of an export, relative to its folder: its card, and the data files that the card names.

    Raises:
        DeclarationError: there is no card, it cannot be read, or a file that it names is not in the folder.
    """
    card = folder / CARD
    if not card.is_file():
        raise DeclarationError(f"{folder} is no export: it has no {CARD}")
    yield CARD
    for path in _named(card):
        file = folder / path
        if not file.resolve().is_relative_to(folder.resolve()):
            raise DeclarationError(f"{card}: {path} is not in the folder: nothing was pushed")
        if not file.is_file():
            raise DeclarationError(f"{card}: there is no file {path}: nothing was pushed")
        yield path


def _named(card: Path) -> Iterator[str]:
    try:
        _, front, _ = card.read_text(encoding="utf-8").split("---\n", maxsplit=2)
        document: Any = yaml.safe_load(front)
        for config in document["configs"]:
            for split in config["data_files"]:
                yield str(split["path"])
    except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError) as error:
        raise DeclarationError(f"{card} is no card of an export: it does not say what files there are") from error


def _library() -> Any:  # noqa: ANN401 - it is an extra, and looks its names up as they are used
    try:
        for part in ("constants", "utils"):  # which looking a name up in it does not load
            import_module(f"huggingface_hub.{part}")
        return import_module("huggingface_hub")
    except ImportError as error:
        raise DeclarationError("a push needs the extra `data`: pip install 'llm-fellowship[data]'") from error


@contextmanager
def _quiet(hub: Any) -> Generator[None, None, None]:  # noqa: ANN401 - as _library
    """Have the library draw no bars, tell nobody of us, and leave no connection open; its warnings become ours."""
    utils, constants = hub.utils, hub.constants
    before = {switch: getattr(constants, switch) for switch in QUIET}
    drawn, level = not utils.are_progress_bars_disabled(), utils.logging.get_verbosity()
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        for switch in QUIET:
            setattr(constants, switch, True)
        utils.disable_progress_bars()
        utils.logging.set_verbosity_error()
        try:
            yield
        finally:
            for switch, value in before.items():
                setattr(constants, switch, value)
            if drawn:
                utils.enable_progress_bars()
            utils.logging.set_verbosity(level)
            utils.close_session()
    for warning in said:
        if issubclass(warning.category, UserWarning):  # the others are about the library's own insides
            logger().warning("hub_warns", reason=" ".join(str(warning.message).split())[:LONGEST])


def _commit(
    hub: Any,  # noqa: ANN401 - as _library
    api: Any,  # noqa: ANN401 - as _library
    folder: Path,
    files: tuple[str, ...],
    name: str,
    *,
    private: bool,
) -> str:
    made: Any = api.create_repo(name, repo_type="dataset", private=private, exist_ok=True)
    if private and not api.repo_info(made.repo_id, repo_type="dataset").private:
        raise DeclarationError(
            f"{made.repo_id} is there already and everybody can see it: nothing was pushed; choose another name, or "
            "make it private first"
        )
    operations = [hub.CommitOperationAdd(path_in_repo=path, path_or_fileobj=str(folder / path)) for path in files]
    message = f"Preference data written by llm-fellowship {version('llm-fellowship')}"
    done: Any = api.create_commit(made.repo_id, operations, commit_message=message, repo_type="dataset")
    return str(done.commit_url)


def _sentence(error: Exception, name: str, address: str) -> str:
    """Return what went wrong, as one sentence."""
    cause: BaseException = error
    while getattr(cause, "response", None) is None and cause.__cause__ is not None:  # a file's upload wraps its error
        cause = cause.__cause__
    response = getattr(cause, "response", None)
    status = cast("int | None", getattr(response, "status_code", None))
    told = " ".join(str(getattr(cause, "server_message", None) or "").split())[:LONGEST]
    words = f" ({told.rstrip('.')})" if told else ""
    if status == 401:
        return f"{address} does not accept the token{words}: {address}/settings/tokens makes one that may write"
    if status in (402, 403):
        return (
            f"the token may not write to {name} at {address}{words}: is it one that may write, and is the owner of the "
            "data set right?"
        )
    if status == 404:
        return f"{address} has no place for {name}{words}: is the owner of the data set right?"
    if status is not None:
        again = ", the same command tries again" if status in (408, 429) or status >= 500 else ""
        return f"{address} answered {status}{words}: {name} was not pushed{again}"
    what = " ".join(str(cause).split())[:LONGEST]
    if type(cause).__module__.startswith("http"):
        return f"{address} cannot be reached: {type(cause).__name__}: {what}"
    return f"{name} cannot be pushed to {address}: {type(cause).__name__}: {what}"
