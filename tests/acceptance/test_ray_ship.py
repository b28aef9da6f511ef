"""What `--ship` takes to the nodes of a real Ray; the wheel is a small one, whose install needs no package index."""

import subprocess
import sys
from collections.abc import Generator
from os import environ, pathsep
from pathlib import Path
from zipfile import ZipFile

import pytest
from playing import MODEL, beside
from raying import PATIENCE_S, Nodes, needs_ray, nodes_started

from fellowship.runtime.testing import LoopbackEndpoint
from fellowship.runtime.testing.killing import write_data
from fellowship.runtime.testing.opinions import Opinions

pytestmark = [pytest.mark.ray, pytest.mark.ray_whole, needs_ray]

INFO = "fellowship_parcel-1.0.dist-info"
PARCEL = {
    "sitecustomize.py": "import os, pathlib\npathlib.Path(os.environ['PARCEL']).touch()\n",
    f"{INFO}/METADATA": "Metadata-Version: 2.1\nName: fellowship-parcel\nVersion: 1.0\n",
    f"{INFO}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    f"{INFO}/RECORD": "",
}
"""A package that leaves a mark when a process starts which has it."""


@pytest.fixture(scope="module")
def mark(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("parcel") / "mark"


@pytest.fixture(scope="module")
def ray(mark: Path) -> Generator[Nodes, None, None]:
    path = pathsep.join((str(Path(sys.executable).parent), environ["PATH"]))  # a node installs by the `pip` it finds
    with nodes_started({"PARCEL": str(mark), "PATH": path}) as nodes:
        yield nodes


def wheel(folder: Path, files: dict[str, str]) -> Path:
    path = folder / "fellowship_parcel-1.0-py3-none-any.whl"
    with ZipFile(path, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return path


def judged(folder: Path, *options: object) -> "subprocess.CompletedProcess[str]":
    words = ["run", "judge", "--data", write_data(folder / "data.jsonl", 4), "--out", folder / "run", *options]
    line = [sys.executable, "-m", "fellowship", *(str(word) for word in words)]
    return subprocess.run(line, capture_output=True, text=True, check=False, timeout=PATIENCE_S)


def test_a_wheel_is_installed_for_the_workers_of_a_run(tmp_path: Path, ray: Nodes, mark: Path) -> None:
    with beside(LoopbackEndpoint(Opinions())) as endpoint:
        there = ("--model", MODEL, "--base-url", endpoint.base_url, *ray.play(1))
        done = judged(tmp_path, *there, "--ship", wheel(tmp_path, PARCEL))
    assert done.returncode == 0, done.stderr
    assert mark.exists()


def test_a_wheel_that_cannot_be_installed_ends_the_run_with_a_sentence(tmp_path: Path, ray: Nodes) -> None:
    there = ("--model", MODEL, "--base-url", "http://127.0.0.1:9/v1", *ray.play(1))
    done = judged(tmp_path, *there, "--ship", wheel(tmp_path, {"of": "nothing"}))
    assert done.returncode == 2, done.stderr
    assert "what --ship names cannot be installed on a node" in done.stderr
    assert "Traceback" not in done.stderr
