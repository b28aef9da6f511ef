"""An account's side of the Batch API, through the openai client. The one file of batches that knows that client."""

from collections.abc import AsyncGenerator, AsyncIterator, Generator
from contextlib import contextmanager
from io import BytesIO
from typing import Annotated, Any, cast

import aiohttp
import openai
from openai import AsyncOpenAI
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from ...protocols.errors import (
    CallTimedOut,
    ConnectionFailed,
    EndpointDown,
    MalformedReply,
    ModelError,
    TruncatedReply,
)
from .batch_lines import CHAT_COMPLETIONS, Problem
from .endpoints import Endpoint
from .wire import LARGEST_REPLY, clean, not_json, refusal

NONCE = "fellowship_nonce"
"""Key of a batch's metadata under which it can be found again."""
PAGE = 100
"""Batches listed at once: the most that the API allows."""
OVER = frozenset({"completed", "failed", "expired", "cancelled"})
"""States after which nothing more is done about a batch."""


class _Read(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class _Uploaded(_Read):
    id: str = Field(min_length=1)


class _Problem(_Read):
    code: str | None = None
    line: int | None = None
    message: str | None = None


class _Problems(_Read):
    data: tuple[_Problem, ...] | None = None


class _Counts(_Read):
    completed: int | None = None
    failed: int | None = None


class BatchState(_Read):
    """A batch as the provider sees it: what is needed of it, so that deviations elsewhere do no harm."""

    id: str = Field(min_length=1)
    status: Annotated[str, StringConstraints(to_lower=True)]
    input_file_id: str | None = None
    output_file_id: str | None = None
    error_file_id: str | None = None
    errors: _Problems | None = None
    request_counts: _Counts | None = None
    metadata: dict[str, Any] | None = None

    @property
    def over(self) -> bool:
        """Whether nothing more is done about it."""
        return self.status in OVER

    @property
    def counts(self) -> tuple[int, int]:
        """Calls that were answered, and that failed, as far as the provider says."""
        counts = self.request_counts or _Counts()
        return counts.completed or 0, counts.failed or 0

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What was found wrong with it."""
        found = (self.errors.data if self.errors else None) or ()
        return tuple(
            Problem(problem.line, {"message": problem.message or "", "code": problem.code or ""}) for problem in found
        )


class _Page(_Read):
    data: tuple[dict[str, Any], ...] = ()
    """Batches of anybody with this account: only the one that is looked for must make sense."""
    has_more: bool = False


class BatchAccount:
    """Files and batches of one account; every error is a ModelError, and nothing is tried twice here.

    Repeating is the caller's: it knows what may be done again. To make a batch is not among it, for the reply may be
    lost where the batch is not.
    """

    def __init__(self, endpoint: Endpoint, http: Any) -> None:  # noqa: ANN401 - an AsyncClient of whichever httpx openai uses
        """Make an account.

        Args:
            endpoint: One of its models.
            http: `openai.DefaultAioHttpClient`, shared by accounts and closed by whoever made it.
        """
        self._endpoint = endpoint
        self._headers: dict[str, str | openai.Omit] = {"Authorization": openai.Omit(), **endpoint.authorization}
        self._client = AsyncOpenAI(
            api_key=endpoint.key or "none",
            base_url=endpoint.base_url,
            max_retries=0,
            http_client=http,
        )
        # The client takes these from the environment; they would go to any address, and calls are sent without them.
        self._client.organization = self._client.project = None

    async def upload(self, content: BytesIO) -> str:
        """Upload the lines of a batch and return the file's id; raises ModelError."""
        with _translated(self._endpoint), _offered(self._endpoint):
            reply = await self._client.files.with_raw_response.create(
                file=("batch.jsonl", content, "application/jsonl"), purpose="batch", extra_headers=self._headers
            )
            return _Uploaded.model_validate_json(reply.content).id

    async def create(self, input_file_id: str, nonce: str) -> BatchState:
        """Have an uploaded file run; raises ModelError: after a retryable one but RateLimited it may run anyway."""
        with _translated(self._endpoint), _offered(self._endpoint):
            reply = await self._client.batches.with_raw_response.create(
                input_file_id=input_file_id,
                endpoint=CHAT_COMPLETIONS,
                completion_window="24h",
                metadata={NONCE: nonce},
                extra_headers=self._headers,
            )
            return BatchState.model_validate_json(reply.content)

    async def state(self, batch_id: str) -> BatchState:
        """Return a batch as it is now; raises ModelError."""
        with _translated(self._endpoint):
            reply = await self._client.batches.with_raw_response.retrieve(batch_id, extra_headers=self._headers)
            return BatchState.model_validate_json(reply.content)

    async def find(self, nonce: str, input_file_id: str) -> BatchState | None:
        """Return the batch that has this nonce, or this input file where metadata is not kept; raises ModelError."""
        after: str | openai.Omit = openai.omit
        while True:
            with _translated(self._endpoint):
                reply = await self._client.batches.with_raw_response.list(
                    after=after, limit=PAGE, extra_headers=self._headers
                )
                page = _Page.model_validate_json(reply.content)
                for batch in page.data:
                    if _is(batch, nonce, input_file_id):
                        return BatchState.model_validate(batch)
            last = str(page.data[-1].get("id")) if page.data else after
            if last == after or not page.has_more:
                return None
            after = last

    async def lines(self, file_id: str) -> AsyncGenerator[bytes, None]:
        """Return the lines of a file as they come in, empty ones left out; raises ModelError, at any line."""
        pending = bytearray()
        with _translated(self._endpoint):
            files = self._client.files.with_streaming_response
            async with files.content(file_id, extra_headers=self._headers) as response:
                content_type = response.headers.get("content-type", "")
                if "html" in content_type:
                    raise not_json(content_type)
                parts = response.iter_bytes()
                while (part := await self._next(parts)) is not None:
                    *ends, begun = part.split(b"\n")
                    for end in ends:
                        pending += end
                        if pending.strip():
                            yield bytes(pending)
                        pending.clear()
                    pending += begun
                    del pending[LARGEST_REPLY:]  # a line without end is one broken line, not all of the memory
        if pending.strip():
            yield bytes(pending)

    async def _next(self, parts: AsyncIterator[bytes]) -> bytes | None:
        try:
            return await anext(parts, None)
        except Exception as error:  # a stream breaks in the words of any of three libraries
            words = clean(f"{type(error).__name__}: {error}", self._endpoint)
            raise TruncatedReply(f"a file of {self._endpoint.name} broke off: {words}") from error


def _is(batch: dict[str, Any], nonce: str, input_file_id: str) -> bool:
    metadata: Any = batch.get("metadata")
    kept = isinstance(metadata, dict) and cast("dict[str, Any]", metadata).get(NONCE) == nonce
    return kept or batch.get("input_file_id") == input_file_id


@contextmanager
def _offered(endpoint: Endpoint) -> Generator[None, None, None]:
    """Say of an address that is not there that there is no Batch API: no call of a run can go that way."""
    try:
        yield
    except openai.APIStatusError as error:
        if error.status_code not in (404, 405, 501):
            raise
        raise EndpointDown(f"{endpoint.base_url} has no Batch API for {endpoint.name}: leave out --batch") from error


@contextmanager
def _translated(endpoint: Endpoint) -> Generator[None, None, None]:
    """Turn the errors of others into ModelErrors."""
    try:
        yield
    except ModelError:
        raise
    except openai.APIStatusError as error:
        raise refusal(error.status_code, error.response.content, error.response.headers, endpoint) from error
    except openai.APITimeoutError as error:
        raise CallTimedOut(f"{endpoint.name} gave no answer in time") from error
    except (openai.APIConnectionError, aiohttp.ClientError, OSError) as error:
        words = clean(f"{type(error).__name__}: {error.__cause__ or error}", endpoint)
        raise ConnectionFailed(f"no connection to {endpoint.base_url}: {words}") from error
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
        words = clean(f"{'.'.join(str(part) for part in problem['loc'])}: {problem['msg']}", endpoint)
        raise MalformedReply(f"{endpoint.name} answered with something else than a batch or a file: {words}") from error
