"""The pytest plugin: a fixture to test scenarios with. It loads nothing until a test asks for it."""

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .rehearsal import RehearsalRoom


@pytest.fixture
def fellowship_scenario(request: pytest.FixtureRequest) -> "RehearsalRoom":
    """Play a scenario in memory, by models that say what the test wants: no key, no network, milliseconds.

    `await fellowship_scenario("debate.yaml", item={...}, answers={"critic": ["I prefer A.", {"score_a": 8}]})`, or
    `fellowship_scenario.play(...)` in a test that is not async. See docs/testing.md.
    """
    from .rehearsal import RehearsalRoom  # noqa: PLC0415 - see above

    return RehearsalRoom(request.path.parent)
