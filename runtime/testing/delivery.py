"""How a reply goes over the wire, and the ways in which it does not arrive."""

import asyncio
import select
import socket
import struct
import sys
from itertools import chain, repeat

from aiohttp import web

from ..models.wire import LARGEST_REPLY
from .replies import Reply

DRIPS = 20
"""Pieces of a reply that drips."""
FILLING = b'"so it is", ' * 8192


async def send(request: web.BaseRequest, reply: Reply) -> web.StreamResponse:  # noqa: PLR0911 - a table
    """Send a reply, or what its fault lets through.

    Raises:
        ConnectionError: the client has gone before all was written.
    """
    if gone(request):
        raise ConnectionResetError("the client has gone")
    match reply.sort:
        case "stall":
            return await _forever()
        case "reset":
            return _reset(request)
        case "stall-after-headers":
            await _half(request, reply)
            return await _forever()
        case "truncated":
            response = await _half(request, reply)
            if request.transport is not None:
                request.transport.close()
            return response
        case "truncated-json":
            return await _whole(request, reply, _cut(reply))
        case "huge":
            return await _huge(request, reply)
        case "drip":
            return await _drip(request, reply)
        case _:
            return await _pieces(request, reply) if reply.streams else await _whole(request, reply, reply.pieces[0])


def gone(request: web.BaseRequest) -> bool:
    """Return whether the client has closed the connection, also where the event loop has not yet looked."""
    transport = request.transport
    if transport is None or transport.is_closing():
        return True
    if sys.platform != "linux":
        return False
    poll = select.poll()
    poll.register(transport.get_extra_info("socket").fileno(), select.POLLRDHUP)
    return bool(poll.poll(0))


async def _whole(request: web.BaseRequest, reply: Reply, body: bytes) -> web.StreamResponse:
    response = web.Response(
        body=body, status=reply.status, headers=reply.headers or None, content_type=reply.content_type
    )
    await response.prepare(request)
    await response.write_eof()
    return response


async def _begun(request: web.BaseRequest, reply: Reply, length: int | None) -> web.StreamResponse:
    """Send the head of a reply; without a length it is sent in chunks."""
    response = web.StreamResponse(status=reply.status, headers=reply.headers or None)
    response.content_type = reply.content_type
    response.content_length = length
    await response.prepare(request)
    return response


async def _pieces(request: web.BaseRequest, reply: Reply) -> web.StreamResponse:
    response = await _begun(request, reply, None)
    for piece in reply.pieces:
        await response.write(piece)
    await response.write_eof()
    return response


async def _drip(request: web.BaseRequest, reply: Reply) -> web.StreamResponse:
    body = b"".join(reply.pieces)
    size = -(-len(body) // DRIPS)
    pieces = [body[start : start + size] for start in range(0, len(body), size)]
    wait_s = reply.fault.over_s / max(1, len(pieces) - 1) if reply.fault else 0.0
    response = await _begun(request, reply, None if reply.streams else len(body))
    await response.write(pieces[0])
    for piece in pieces[1:]:
        await asyncio.sleep(wait_s)
        await response.write(piece)
    await response.write_eof()
    return response


async def _half(request: web.BaseRequest, reply: Reply) -> web.StreamResponse:
    """Announce a whole reply and send half of it."""
    length = sum(len(piece) for piece in reply.pieces)
    response = await _begun(request, reply, None if reply.streams else length)
    await response.write(_cut(reply))
    return response


async def _huge(request: web.BaseRequest, reply: Reply) -> web.StreamResponse:
    """Send JSON that is larger than a client takes, and ends well after that."""
    response = await _begun(request, reply, None)
    enough = repeat(FILLING, LARGEST_REPLY // len(FILLING) + 2)
    for piece in chain([b'{"choices": ['], enough, [b'"so it is"]}']):
        await response.write(piece)
    await response.write_eof()
    return response


def _reset(request: web.BaseRequest) -> web.StreamResponse:
    """Close a connection in the way that loses what is under way."""
    if request.transport is not None:
        at_once = struct.pack("ii", 1, 0)
        request.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
        request.transport.abort()
    return web.Response()


async def _forever() -> web.StreamResponse:
    await asyncio.Event().wait()
    raise AssertionError("nobody sets it")


def _cut(reply: Reply) -> bytes:
    body = b"".join(reply.pieces)
    return body[: len(body) // 2]
