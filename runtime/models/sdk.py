"""The SDK transport: the openai package's clients, for Azure, for tokens that expire, for clients that users bring."""

import ssl
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, aclosing
from dataclasses import replace
from typing import Self, cast

import aiohttp
import httpx2
from openai import (
    APIConnectionError,
    APIStatusError,
    AsyncAzureOpenAI,
    AsyncOpenAI,
    AsyncStream,
    DefaultAioHttpClient,
    Omit,
    OpenAIError,
)

from ...protocols.errors import (
    CallRefused,
    ConnectionFailed,
    DeclarationError,
    TruncatedReply,
    Unauthorised,
)
from ...protocols.models import ModelCall, Tier
from ..secrecy import learn
from .endpoints import Endpoint
from .stream import Incoming, read
from .wire import LARGEST_REPLY, Hear, Reply, answer, body, clean, refusal, request, too_large

PATH = "/chat/completions"
NO_KEY = "none"
"""Stands where the SDK wants a key and the endpoint has none; it is never sent."""
UNAUTHORISED = {"Authorization": Omit(), "api-key": Omit()}
HEADERS: dict[str, str | Omit] = {
    "Accept": "application/json",
    "Content-Type": "application/json",
    "User-Agent": "llm-fellowship",
}
# Deadlines belong to the caller. Admission bounds what is in flight, so the pool must not; and it must be a number, for
# where there is none, aiohttp has a limit of its own.
TIMEOUT = httpx2.Timeout(None, connect=30)
LIMITS = httpx2.Limits(max_connections=2**20, max_keepalive_connections=2**20, keepalive_expiry=30)


class SdkTransport:
    """Sends calls through clients of the openai package; an async context manager."""

    def __init__(
        self,
        client: AsyncOpenAI | None = None,
        *,
        token: Callable[[], Awaitable[str]] | None = None,
        proxied: bool = False,
        stream: bool = False,
    ) -> None:
        """Make a transport.

        Args:
            client: Asks every endpoint, at its own address and in its own name, in place of clients made here; whoever
                made it closes it. For proxies, and for ways to authorise that are not known here.
            token: Gives the bearer token of a request, in place of the endpoint's key; as of Microsoft Entra at Azure.
            proxied: Whether to go through the proxies that the environment names.
            stream: Whether to receive answers word by word; it costs CPU with every word.

        Raises:
            DeclarationError: there are both.
        """
        if client is not None and token is not None:
            raise DeclarationError("a client brings its own credentials: give the token to the client")
        self._given = client
        self._token = token
        self._proxied = proxied
        self._stream = stream
        self._stack: AsyncExitStack | None = None
        self._clients: dict[tuple[str, str | None, str], AsyncOpenAI] = {}

    async def __aenter__(self) -> Self:
        self._stack = AsyncExitStack()
        self._trusted = ssl.create_default_context()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._stack is not None:
            await self._stack.aclose()
            self._stack = None
            self._clients.clear()

    async def send(self, endpoint: Endpoint, call: ModelCall, tier: Tier, hear: Hear | None = None) -> Reply:
        """Ask once; see Transport."""
        response = await self._answered(endpoint, call, tier)
        if self._given is not None or self._token is not None:
            learn(_key_in(response.request))  # its answer may repeat it
        form = tier if call.answer else None
        content_type = response.headers.get("Content-Type", "application/octet-stream").partition(";")[0]
        if self._stream and response.status_code == 200:
            incoming = Incoming(_as_sent(endpoint, response.request), response.headers, content_type, hear)
            await _streamed(response, incoming, endpoint)
            return Reply(incoming.completion(form), response.headers)
        try:
            raw = await _whole(response)
        except _BrokenOff as error:
            raise _truncated(error, _as_sent(endpoint, response.request)) from error
        if response.status_code != 200:
            raise refusal(response.status_code, raw, response.headers, _as_sent(endpoint, response.request))
        return Reply(answer(raw, content_type, form), response.headers)

    async def _answered(self, endpoint: Endpoint, call: ModelCall, tier: Tier) -> httpx2.Response:
        """Return a response whose body is still to come; raises ModelError when there is none."""
        try:
            return await self._post(endpoint, call, tier)
        except _Refused as refused:
            reply, raw = refused.response, refused.raw
        except APIStatusError as error:
            reply, raw = error.response, error.response.content
        except (_BrokenOff, httpx2.HTTPError) as error:  # the latter from the SDK, which reads a user's client's errors
            raise _truncated(error, endpoint) from error
        except APIConnectionError as error:
            raise _no_connection(error, _as_sent(endpoint, error.request)) from error
        except OpenAIError as error:
            raise CallRefused(f"the client of {endpoint.name} failed: {clean(str(error), endpoint)}") from error
        except (aiohttp.ClientError, OSError) as error:
            raise _no_connection(error, endpoint) from error
        raise refusal(reply.status_code, raw, reply.headers, _as_sent(endpoint, reply.request))

    async def _post(self, endpoint: Endpoint, call: ModelCall, tier: Tier) -> httpx2.Response:
        # `chat.completions.create` walks through every message; `post` takes the request as it is. With `stream` the
        # body is ours to read, and to stop reading.
        if self._stack is None:
            raise RuntimeError("the transport is not open: use it with `async with`")
        if self._given is not None:
            reply = await self._given.post(
                PATH,
                body=request(
                    endpoint, call, tier, stream=self._stream
                ),  # Azure's client and others find the address in it
                cast_to=httpx2.Response,
                options={"max_retries": 0, "timeout": TIMEOUT},
                stream=True,
                stream_cls=AsyncStream[object],
            )
        else:
            client = self._clients.get(endpoint.identity) or self._opened(self._stack, endpoint)
            reply = await client.post(
                PATH,
                content=body(endpoint, call, tier, stream=self._stream),
                cast_to=httpx2.Response,
                options={} if endpoint.key or self._token else {"headers": UNAUTHORISED},
                stream=True,
                stream_cls=AsyncStream[object],
            )
        return cast("httpx2.Response", reply)  # as cast_to asks; the SDK's types know streams of events only

    def _opened(self, stack: AsyncExitStack, endpoint: Endpoint) -> AsyncOpenAI:
        """Return a new client for an endpoint: accounts share no connection, and none of the cookies it collects."""
        http = DefaultAioHttpClient(
            verify=self._trusted,
            limits=LIMITS,
            timeout=TIMEOUT,
            follow_redirects=False,
            trust_env=self._proxied,
            event_hooks={"response": [_look]},
        )
        key = endpoint.key or NO_KEY
        if endpoint.dialect == "azure":
            client: AsyncOpenAI = _AzureClient(
                azure_endpoint=endpoint.base_url,
                azure_deployment=endpoint.model,
                api_version=endpoint.api_version,
                api_key=None if self._token else key,
                azure_ad_token_provider=self._fresh if self._token else None,
                max_retries=0,
                timeout=TIMEOUT,
                http_client=http,
            )
        else:
            client = _Client(
                base_url=endpoint.base_url,
                api_key=self._fresh if self._token else key,
                max_retries=0,
                timeout=TIMEOUT,
                http_client=http,
            )
        stack.push_async_callback(client.close)
        self._clients[endpoint.identity] = client
        return client

    async def _fresh(self) -> str:
        """Return a token; raises Unauthorised, in words that hold nothing of it."""
        assert self._token is not None  # noqa: S101 - clients are given this where there is a provider
        try:
            token = await self._token()
        except Exception as error:
            raise Unauthorised(f"no token could be had: {type(error).__name__}") from error
        if not token:
            raise Unauthorised("no token could be had: the one given is empty")
        return token


class _Client(AsyncOpenAI):
    """Sends the headers of a call and no others: no account, header or key that the environment has for the SDK."""

    @property
    def default_headers(self) -> dict[str, str | Omit]:
        return HEADERS


class _AzureClient(AsyncAzureOpenAI):
    """The same for Azure."""

    @property
    def default_headers(self) -> dict[str, str | Omit]:
        return HEADERS


class _Refused(Exception):
    """An answer other than 200; it leaves the SDK before that reads its body without bound and words its own error."""

    def __init__(self, response: httpx2.Response, raw: bytes) -> None:
        super().__init__()  # without the body, which may repeat the key
        self.response = response
        self.raw = raw


class _BrokenOff(Exception):
    """A body that ended before its end; its cause says how."""


async def _look(response: httpx2.Response) -> None:
    if response.status_code != 200:
        raise _Refused(response, await _whole(response))


async def _whole(response: httpx2.Response) -> bytes:
    """Return the body of a response and close it; raises _BrokenOff, and MalformedReply when it does not end."""
    whole = bytearray()
    try:
        async with aclosing(response.aiter_bytes()) as parts:
            async for part in parts:
                whole += part
                if len(whole) > LARGEST_REPLY:
                    raise too_large()
    except (httpx2.HTTPError, aiohttp.ClientError, OSError) as error:
        raise _BrokenOff from error
    return bytes(whole)


async def _streamed(response: httpx2.Response, incoming: Incoming, endpoint: Endpoint) -> None:
    """Read the body of a response as it comes, and close it; raises TruncatedReply, and as `read` does."""
    try:
        async with aclosing(response.aiter_bytes()) as parts:
            await read(parts, incoming)
    except (httpx2.HTTPError, aiohttp.ClientError, OSError) as error:
        raise _truncated(error, _as_sent(endpoint, response.request)) from error
    finally:
        await response.aclose()


def _as_sent(endpoint: Endpoint, sent: httpx2.Request) -> Endpoint:
    """Return the endpoint with the key that a request carried, whoever put it there, so that it can be kept secret."""
    key = _key_in(sent)
    return replace(endpoint, key=key) if key else endpoint


def _key_in(sent: httpx2.Request) -> str:
    return sent.headers.get("api-key") or sent.headers.get("Authorization", "").removeprefix("Bearer ")


def _no_connection(error: Exception, endpoint: Endpoint) -> ConnectionFailed:
    met = _met(error)
    words = clean(f"{type(met).__name__}: {met}", endpoint)
    sent = not isinstance(met, aiohttp.ClientConnectorError)
    return ConnectionFailed(f"no connection to {endpoint.base_url}: {words}", sent=sent)


def _truncated(error: Exception, endpoint: Endpoint) -> TruncatedReply:
    return TruncatedReply(f"the reply of {endpoint.name} broke off: {clean(str(_met(error)), endpoint)}")


def _met(error: BaseException) -> BaseException:
    """Return what the network did, out of what the SDK and its HTTP client made of it."""
    while isinstance(error, (APIConnectionError, httpx2.HTTPError, _BrokenOff)) and error.__cause__ is not None:
        error = error.__cause__
    return error
