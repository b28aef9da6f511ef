"""What holds for every test: no network but loopback, no key of the developer's, no colour."""

import os
import socket
from pathlib import Path
from typing import Any

import pytest
from published import SHARED_DATA

from fellowship.scenarios import pytest_plugin


def pytest_configure(config: pytest.Config) -> None:
    """Register the package's own plugin where the installed entry points do not have it."""
    if not config.pluginmanager.is_registered(pytest_plugin):
        config.pluginmanager.register(pytest_plugin, "fellowship")


@pytest.fixture(autouse=True)
def only_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse connections to anywhere else."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6) and address[0] not in ("127.0.0.1", "::1", "localhost"):
            raise AssertionError(f"a test reached for {address}")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take away keys and options of whoever runs the tests; keep where weights are cached."""
    for name in list(os.environ):
        if name.endswith(("_API_KEY", "_BASE_URL")) or (name.startswith("FELLOWSHIP_") and name != "FELLOWSHIP_CACHE"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "120")


@pytest.fixture
def shared_data() -> Path:
    """Return the folder of human labels and recorded verdicts; skips, saying so, where it is not."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"the shared data is not here ({SHARED_DATA})")
    return SHARED_DATA
