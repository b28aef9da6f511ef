"""A finished run of a thousand items, played again without a network."""

import asyncio
import socket
from pathlib import Path

import pytest
from playing import fellowship, items, library
from telling import speak

from fellowship.runtime.testing import ScriptedModel
from fellowship.scenarios import Settings, play


def test_a_jury_over_a_thousand_items_is_replayed_byte_for_byte_with_the_network_switched_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, again = tmp_path / "run", tmp_path / "again"
    status = asyncio.run(play(library("jury"), items(1000), run, Settings(client=ScriptedModel(speak))))
    assert (status.done, status.calls) == (1000, 3000)
    assert len(status.verdicts) > 1

    def switched_off(*_: object) -> None:
        raise OSError("the network is switched off")

    for name in ("connect", "connect_ex", "bind", "listen"):
        monkeypatch.setattr(socket.socket, name, switched_off)
    monkeypatch.setattr(socket, "getaddrinfo", switched_off)
    replayed = fellowship("replay", run, "--out", again)
    assert (replayed.exit_code, replayed.stdout) == (
        0,
        "1000 outcomes, 3000 recorded calls, none made: all as recorded\n",
    )
    assert (again / "results.jsonl").read_bytes() == (run / "results.jsonl").read_bytes()
    assert fellowship("diff", run, again).exit_code == 0
