"""Plugins come from files that a command names, and from entry points of installed packages."""

import linecache
import re
import sys
import traceback
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from hashlib import blake2b
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType

from ...protocols.errors import DeclarationError, Problem
from ...runtime.secrecy import hide
from .plugin import Brought, Plugin
from .sorts import owner_of, register, take_back

GROUP = "fellowship.plugins"
"""The group of entry points."""

_loaded: dict[str, Plugin] = {}
_broken: dict[str, str] = {}
"""Entry points that could not be loaded, each with the sentence that says why."""
_known: dict[tuple[str, str], Plugin] = {}
"""What entry points have brought in this process: a module is run once, and may be wanted again."""
_loading: ContextVar[Plugin | None] = ContextVar("_loading", default=None)


@contextmanager
def loaded(*files: Path | str, packaged: bool = False) -> Generator[tuple[Plugin, ...], None, None]:
    """Load plugins, and take back all that was brought meanwhile.

    Args:
        files: Python files.
        packaged: Whether entry points of installed packages are loaded, too. One that cannot be is in `broken`.

    Raises:
        DeclarationError: a file cannot be read or run, or brings a name that is taken.
    """
    before = set(_loaded)
    try:
        for file in files:
            load(Path(file))
        if packaged:
            discover()
        yield plugins()
    finally:
        for name in reversed([name for name in _loaded if name not in before]):
            _unload(_loaded.pop(name))
        _broken.clear()


def plugins() -> tuple[Plugin, ...]:
    """Return all plugins that are loaded."""
    return tuple(_loaded.values())


def broken() -> tuple[str, ...]:
    """Return why entry points could not be loaded, a sentence each."""
    return tuple(_broken.values())


def plugin_of(name: str) -> Plugin | None:
    """Return a plugin that is loaded, by name."""
    return _loaded.get(name)


def why_broken(name: str) -> str | None:
    """Return why the entry point of a name could not be loaded."""
    return _broken.get(name)


def load(path: Path) -> Plugin:
    """Load a file; one that is loaded already stays as it is.

    Raises:
        DeclarationError: it cannot be read or run, or brings a name that is taken; file, line and reason are told.
    """
    place = str(path.resolve())
    other = _loaded.get(path.name)
    if other is not None and str(Path(other.origin).resolve()) == place:
        return other
    if other is not None:
        raise DeclarationError(f"two plugins are named {path.name}: {other.origin} and {path}")
    source = _source(path)
    plugin = Plugin(path.name, str(path), packaged=False, digest=_digest([source]))
    module = ModuleType(f"fellowship_plugin_{re.sub(r'[^0-9a-zA-Z]', '_', path.stem)}", f"The plugin {path}.")
    module.__file__ = str(path)
    with _collecting(plugin):
        sys.modules[module.__name__] = module  # dataclasses and pydantic look annotations up there
        linecache.checkcache(str(path))
        try:
            exec(compile(source, str(path), "exec"), vars(module))  # noqa: S102 - the file that the user names
        except DeclarationError:
            raise
        except (Exception, SystemExit) as error:
            raise DeclarationError([_told(error, path)]) from error
    return plugin


def discover() -> None:
    """Load the plugins of installed packages that are not loaded yet; what cannot be loaded is in `broken`."""
    for entry in entry_points(group=GROUP):
        if entry.name in _loaded or entry.name in _broken:
            continue
        package = f"{entry.dist.name} {entry.dist.version}" if entry.dist is not None else "of an unknown name"
        try:
            _load_entry(entry, package)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever it does when it is imported
            reason = str(error) if isinstance(error, DeclarationError) else f"{type(error).__name__}: {error}"
            _broken[entry.name] = f"the plugin {entry.name} of the package {package} cannot be loaded: {hide(reason)}"


def _load_entry(entry: EntryPoint, package: str) -> None:
    known = _known.get((package, entry.value))
    plugin = known or Plugin(entry.name, package, packaged=True)
    with _collecting(plugin):
        if known is not None:
            for each in known.brings:
                register(each, known.name)
            return
        entry.load()
        files = {each.file for each in plugin.brings} | {str(getattr(sys.modules.get(entry.module), "__file__", ""))}
        plugin.digest = _digest(Path(file).read_bytes() for file in sorted(files) if Path(file).is_file())
        _known[package, entry.value] = plugin


@contextmanager
def _collecting(plugin: Plugin) -> Generator[None, None, None]:
    """Take what is declared meanwhile for the plugin's; where that fails, nothing of it stays."""
    token = _loading.set(plugin)
    try:
        yield
    except BaseException:
        _unload(plugin)
        raise
    finally:
        _loading.reset(token)
    _loaded[plugin.name] = plugin


def _unload(plugin: Plugin) -> None:
    for each in reversed(plugin.brings):
        if owner_of(each.sort, each.name) == plugin.name:
            take_back(each)


def bring(brought: Iterable[Brought]) -> None:
    """Register what a decorator has found right, for the plugin that is being loaded, or for the module it stands in.

    Raises:
        DeclarationError: a name is taken; its place is told.
    """
    for each in brought:
        plugin = _loading.get() or _of_module(each.file)
        try:
            register(each, plugin.name)
        except DeclarationError as error:
            raise DeclarationError([Problem(str(error), each.file, each.line)]) from None
        plugin.brings.append(each)


def _of_module(file: str) -> Plugin:
    """Return the plugin that a module is which Python has imported by itself, such as a script with a decorator."""
    name = Path(file).name
    if name not in _loaded:
        path = Path(file)
        _loaded[name] = Plugin(
            name, file, packaged=False, digest=_digest([path.read_bytes()] if path.is_file() else [])
        )
    return _loaded[name]


def _source(path: Path) -> bytes:
    if path.suffix != ".py":
        raise DeclarationError(f"--plugin {path}: a plugin is a Python file, as in mine.py")
    if not path.is_file():
        raise DeclarationError(f"--plugin {path}: there is no such file")
    try:
        return path.read_bytes()
    except OSError as error:
        raise DeclarationError(f"--plugin {path} cannot be read: {error.strerror}") from error


def _digest(sources: Iterable[bytes]) -> str:
    found = blake2b(digest_size=8)
    for source in sources:
        found.update(source)
    return found.hexdigest()


def _told(error: BaseException, path: Path) -> Problem:
    """Return what went wrong as a file was run, and the line of the file at which it did."""
    if isinstance(error, SyntaxError) and error.filename == str(path):
        return Problem(f"{type(error).__name__}: {error.msg}", str(path), error.lineno, error.offset)
    words = " ".join(str(error).split())
    reason = hide(f"{type(error).__name__}: {words}" if words else type(error).__name__)
    return Problem(reason, str(path), next(reversed(list(lines_in(error, path))), None))


def lines_in(error: BaseException, path: Path) -> Iterator[int]:
    """Return the lines of a file that an error came through, the innermost last."""
    for frame in traceback.extract_tb(error.__traceback__):
        if frame.filename == str(path) and frame.lineno is not None:
            yield frame.lineno
