"""Small messages and actors for tests of the runtime."""

import asyncio
from collections.abc import Callable
from typing import ClassVar, Literal

from fellowship.protocols.messages import Command, Fact
from fellowship.protocols.ports import Context


class Answered(Fact):
    kind: Literal["answered"] = "answered"
    text: str = ""

    def said(self) -> str:
        return self.text


class Noted(Fact):
    kind: Literal["noted"] = "noted"


class AskThing(Command[Answered]):
    wants: ClassVar[type[Fact]] = Answered
    kind: Literal["ask_thing"] = "ask_thing"
    text: str = ""


class Acting:
    """An actor made of one function."""

    def __init__(self, act: Callable[..., object]) -> None:
        self._act = act

    async def handle(self, message: object, context: Context) -> object:
        return await self._act(message, context)  # type: ignore[misc]


def acting(act: Callable[..., object]) -> Callable[[], Acting]:
    return lambda: Acting(act)


async def echo(message: object, context: Context) -> None:
    if isinstance(message, AskThing):
        await context.emit(Answered(text=message.text))


async def settle() -> None:
    """Let every task that can run do so until all wait."""
    for _ in range(50):
        await asyncio.sleep(0)
