"""Requests of http and https alone: a redirect leads to no other scheme, and credentials go to one host alone."""

import base64
import re
from collections.abc import Mapping
from http.client import HTTPException, HTTPResponse
from typing import cast
from urllib.error import URLError
from urllib.parse import SplitResult, quote, unquote, urljoin, urlsplit, urlunsplit
from urllib.request import HTTPHandler, HTTPSHandler, OpenerDirector, ProxyHandler, Request

from ..errors import DownloadError

FAILURES = (OSError, HTTPException)  # of a connection; URLError is an OSError

_MOST_REDIRECTS = 10
_REDIRECTS = (301, 302, 303, 307, 308)
_PORTS = {"http": 80, "https": 443}
_AGENT = "ataraxis-data-structures"
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")


def shown(url: str) -> str:
    """Return a URL as it may be recorded and printed: without credentials, query and fragment."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def open_url(url: str, headers: Mapping[str, str], private: Mapping[str, str], timeout_s: float) -> HTTPResponse:
    """Return the response to a GET, whatever its status, after redirects.

    Args:
        url: Its user and password, if it has them, are sent as basic authentication.
        headers: Sent to every host.
        private: Sent to the host of the URL alone, and no more once a redirect led elsewhere.
        timeout_s: The longest wait for the connection and for each piece of the answer.

    Raises:
        ValueError: The URL is neither http nor https, or a header can't be sent.
        DownloadError: A redirect leads to another scheme, or too many of them follow each other.
        OSError, HTTPException: The connection failed.
    """
    parts = _split(url)
    private = {**_user_of(parts), **private}
    _check_headers(private)
    home = _origin(parts)
    for _ in range(_MOST_REDIRECTS + 1):
        if private and not _is_same_host(home, _origin(parts)):
            private = {}
        response = _get(parts, {"User-Agent": _AGENT, **headers, **private}, timeout_s)
        if response.status not in _REDIRECTS:
            return response
        response.close()
        parts = _redirected(parts, response.headers.get("Location", ""))
    raise DownloadError(f"{shown(url)} leads to more than {_MOST_REDIRECTS} redirects")


def _get(parts: SplitResult, headers: Mapping[str, str], timeout_s: float) -> HTTPResponse:
    path = quote(parts.path, safe="%/:=&~+!$,;'@()*") or "/"
    query = quote(parts.query, safe="%/:=&?~+!$,;'@()*")
    target = urlunsplit((parts.scheme, _netloc(parts), path, query, ""))
    try:
        return cast("HTTPResponse", _opener().open(Request(target, headers=dict(headers)), timeout=timeout_s))  # noqa: S310 http(s) only
    except URLError as error:
        raise (error.reason if isinstance(error.reason, OSError) else OSError(str(error.reason))) from None


def _opener() -> OpenerDirector:
    """Return an opener that knows two schemes and the proxies of the environment, and follows no redirect."""
    opener = OpenerDirector()
    for handler in (ProxyHandler(), HTTPHandler(), HTTPSHandler()):
        opener.add_handler(handler)
    return opener


def _split(url: str) -> SplitResult:
    parts = urlsplit(url)
    if parts.scheme not in _PORTS or not parts.hostname:
        raise ValueError(f"expected an http or https URL, got {parts.scheme or 'no scheme'}: {shown(url)}")
    return parts


def _redirected(parts: SplitResult, location: str) -> SplitResult:
    target = urlsplit(urljoin(urlunsplit(parts), location))
    # To https from http is how servers move to it; the other way would give up the encryption.
    if target.scheme != parts.scheme and (parts.scheme, target.scheme) != ("http", "https"):
        raise DownloadError(f"{shown(urlunsplit(parts))} leads to another scheme: {target.scheme}")
    if not location or not target.hostname:
        raise DownloadError(f"{shown(urlunsplit(parts))} leads to a redirect without a place")
    return target


def _origin(parts: SplitResult) -> tuple[str, str, int]:
    return parts.scheme, (parts.hostname or "").lower(), parts.port or _PORTS[parts.scheme]


def _is_same_host(home: tuple[str, str, int], other: tuple[str, str, int]) -> bool:
    """Tell whether two origins are one server; https on its own port is http's, encrypted."""
    return home == other or (
        home[1] == other[1] and (home[0], home[2], other[0], other[2]) == ("http", 80, "https", 443)
    )


def _netloc(parts: SplitResult) -> str:
    return (
        parts.netloc.rpartition("@")[2].encode("idna").decode()
        if not parts.netloc.isascii()
        else (parts.netloc.rpartition("@")[2])
    )


def _user_of(parts: SplitResult) -> dict[str, str]:
    if parts.username is None:
        return {}
    return {"Authorization": basic(unquote(parts.username), unquote(parts.password or ""))}


def basic(user: str, password: str) -> str:
    """Return the value of a header that authenticates by name and password."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def _check_headers(headers: Mapping[str, str]) -> None:
    """Refuse what can't be sent, without printing it."""
    for name, value in headers.items():
        if not _HEADER_NAME.fullmatch(name) or not (value.isascii() and value.isprintable()):
            raise ValueError(f"expected a header of printable ASCII, got {name!r} with other characters")
