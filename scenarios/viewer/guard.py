"""Who may look: this machine alone, unless told; and what a page may do in a browser: nothing but show itself.

A page of any site can make a browser ask this server. So the Host must be one of ours (a foreign name that was bound to
this address is not), an Origin must be the Host, and nothing can be changed by asking. Model text may hold markup: a
page shows it as text, and the policy forbids every script and style that does not come from a file of ours.
"""

import hmac
import ipaddress
from dataclasses import dataclass
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from ...protocols.errors import DeclarationError, FellowshipError, UnknownName
from ...runtime.tracing import logger
from .rendering import page
from .runs import RUNS

COOKIE = "fellowship_token"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Server": "fellowship",
}
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True)
class Door:
    """Who is let in."""

    hosts: frozenset[str] = LOOPBACK
    """Names under which the server may be asked for, without port."""
    token: str | None = None
    """What must be known; none: nothing, for who reaches it is on this machine."""


def is_loopback(host: str) -> bool:
    """Whether an address reaches no further than this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def guarded(door: Door) -> Middleware:
    """Return the middleware that stands before every page."""

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        refusal = _refused(request, door)
        if refusal is not None:
            return refusal
        if door.token is not None and (let_in := _shown(request, door.token)) is not None:
            return let_in
        return await _answered(request, handler)

    return guard


async def prepare(request: web.Request, response: web.StreamResponse) -> None:
    """Put the policy into the head of every answer, streams and refusals included."""
    del request
    for name, value in HEADERS.items():
        response.headers[name] = value
    response.headers.setdefault("Cache-Control", "no-store")


def _refused(request: web.Request, door: Door) -> web.Response | None:
    if request.method not in ("GET", "HEAD"):
        return web.Response(status=405, text="this only shows; it takes nothing\n", headers={"Allow": "GET, HEAD"})
    if _host(f"//{request.headers.get('Host', '')}") not in door.hosts:
        return web.Response(status=421, text="this server is not asked for under that name\n")
    origin = request.headers.get("Origin")
    if origin is not None and urlsplit(origin).netloc != request.headers.get("Host"):
        return web.Response(status=403, text="a page of another site may not ask this server\n")
    if request.headers.get("Sec-Fetch-Site") == "cross-site" and request.headers.get("Sec-Fetch-Mode") != "navigate":
        return web.Response(status=403, text="a page of another site may not ask this server\n")
    return None


def _host(url: str) -> str:
    try:
        return (urlsplit(url).hostname or "").rstrip(".")
    except ValueError:
        return ""


def _shown(request: web.Request, token: str) -> web.Response | None:
    """Return the answer to whoever has not shown the token, or shows it in the address; None where the cookie does."""
    given = request.query.get("token")
    if given is not None and hmac.compare_digest(given.encode(), token.encode()):
        kept = str(request.rel_url.without_query_params("token")).lstrip("/")
        answer = web.Response(status=303, headers={"Location": f"/{kept}"})  # two slashes would lead to another site
        answer.set_cookie(COOKIE, token, httponly=True, samesite="Strict", path="/")
        return answer
    if hmac.compare_digest(request.cookies.get(COOKIE, "").encode(), token.encode()):
        return None
    return web.Response(status=401, text="open the address that `fellowship view` printed: it has a token in it\n")


async def _answered(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer, and turn what went wrong into a page that says so."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        return _failed(request, error.status, error.reason)
    except (UnknownName, DeclarationError) as error:
        return _failed(request, 404, str(error))
    except FellowshipError as error:
        return _failed(request, 500, str(error))
    except Exception:  # noqa: BLE001 - whatever it is, the others go on looking
        logger().exception("page_failed", path=request.path)
        return _failed(request, 500, "this page could not be made: the terminal says why")


def _failed(request: web.Request, status: int, what: str) -> web.Response:
    """Return a page that says what went wrong, with the way back to the run where there is one of that name."""
    name = request.match_info.get("run")
    run = next((each for each in request.app[RUNS] if each.name == name), None)
    return page("error.html", status=status, what=what, run=run)
