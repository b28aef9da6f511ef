"""The lean transport: aiohttp straight to /chat/completions."""

from typing import Self

import aiohttp

from ...protocols.errors import ConnectionFailed, TruncatedReply
from ...protocols.models import ModelCall, Tier
from .endpoints import Endpoint
from .stream import Incoming, read
from .wire import LARGEST_REPLY, Hear, Reply, answer, body, clean, refusal, too_large


class LeanTransport:
    """Sends calls over pooled connections; an async context manager."""

    def __init__(self, *, proxied: bool = False, stream: bool = False) -> None:
        """Make a transport.

        Args:
            proxied: Whether to go through the proxies that the environment names; it costs some CPU a call.
            stream: Whether to receive answers word by word; it costs CPU with every word.
        """
        self._proxied = proxied
        self._stream = stream
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        # Admission bounds what is in flight, so the pool must not; deadlines belong to the caller.
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ttl_dns_cache=300, keepalive_timeout=30),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=30),
            headers={
                "User-Agent": "llm-fellowship",
                "Content-Type": "application/json",
                "Accept-Encoding": "identity",  # answers are small: unpacking one costs 11 us
            },
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=self._proxied,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def send(self, endpoint: Endpoint, call: ModelCall, tier: Tier, hear: Hear | None = None) -> Reply:
        """Ask once; see Transport."""
        if self._session is None:
            raise RuntimeError("the transport is not open: use it with `async with`")
        content = body(endpoint, call, tier, stream=self._stream)
        try:
            response = await self._session.post(
                endpoint.url, data=content, headers=endpoint.authorization, allow_redirects=False
            )
            try:
                if self._stream and response.status == 200:
                    incoming = Incoming(endpoint, response.headers, response.content_type, hear)
                    await read(response.content.iter_any(), incoming)
                    return Reply(incoming.completion(tier if call.answer else None), response.headers)
                raw = await _whole(response)
            finally:
                response.release()
        except aiohttp.ClientPayloadError as error:
            raise TruncatedReply(f"the reply of {endpoint.name} broke off: {clean(str(error), endpoint)}") from error
        except (aiohttp.ClientError, ConnectionError, OSError) as error:
            words = clean(f"{type(error).__name__}: {error}", endpoint)
            sent = not isinstance(error, aiohttp.ClientConnectorError)
            raise ConnectionFailed(f"no connection to {endpoint.base_url}: {words}", sent=sent) from error
        if response.status != 200:
            raise refusal(response.status, raw, response.headers, endpoint)
        return Reply(answer(raw, response.content_type, tier if call.answer else None), response.headers)


async def _whole(response: aiohttp.ClientResponse) -> bytes:
    """Return the body of a response; raises MalformedReply when it does not end."""
    length = response.content_length
    if length is not None and length <= LARGEST_REPLY and "Content-Encoding" not in response.headers:
        return await response.read()
    parts = bytearray()
    async for part in response.content.iter_any():
        parts += part
        if len(parts) > LARGEST_REPLY:
            raise too_large()
    return bytes(parts)
