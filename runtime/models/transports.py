"""The ways in which requests travel, by name: those that come along, and those that plugins bring."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import cast

from ...protocols.registry import Registry
from .endpoints import PROVIDERS, Endpoint, Provider, split
from .lean import LeanTransport
from .sdk import SdkTransport
from .wire import Transport

Maker = Callable[..., Transport]
"""Makes a transport, which may be an async context manager; takes `proxied` and `stream`, as LeanTransport does."""

TRANSPORTS: Registry[Maker] = Registry("transport", {"lean": LeanTransport, "sdk": SdkTransport})
SERVED: dict[str, str] = {}
"""Providers whose models are always reached by a transport of a plugin's: provider to transport."""


def serve(provider: str, transport: str) -> None:
    """Let the models `provider/...` be reached by a transport, with no address and no key.

    Raises:
        KeyError: the provider is known already.
    """
    if provider in PROVIDERS:
        raise KeyError(provider)
    # An address on this machine: what it answers costs nothing, and is not kept in place of what its next version says.
    PROVIDERS[provider] = Provider(f"http://localhost/{provider}", key_needed=False)
    SERVED[provider] = transport


def serve_no_more(provider: str) -> None:
    """Forget a provider that a transport served."""
    del PROVIDERS[provider], SERVED[provider]


def transport_of(endpoint: Endpoint) -> str | None:
    """Return the transport that alone reaches an endpoint; None where any does."""
    return SERVED.get(split(endpoint.name)[0])


async def opened(name: str, stack: AsyncExitStack, *, proxied: bool, stream: bool) -> Transport:
    """Return a transport, open; it is closed with the stack.

    Raises:
        UnknownName: there is none of that name.
    """
    made = TRANSPORTS[name](proxied=proxied, stream=stream)
    if isinstance(made, AbstractAsyncContextManager):
        return await stack.enter_async_context(cast("AbstractAsyncContextManager[Transport]", made))
    return made
