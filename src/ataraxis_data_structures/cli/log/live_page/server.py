"""The page's server: on loopback, for whoever has the token in the address, and for reading alone."""

import hmac
import json
import secrets
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from typing import Any
from urllib.parse import parse_qs, urlsplit

from .figures import LiveLog

_HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class LiveServer(ThreadingHTTPServer):
    """Serves the page of one log at a port of 127.0.0.1."""

    daemon_threads = True

    def __init__(self, log: LiveLog, port: int = 0) -> None:
        self.log = log
        self.lock = threading.Lock()
        self.token = secrets.token_urlsafe(32)
        super().__init__(("127.0.0.1", port), _Handler)

    @property
    def url(self) -> str:
        """The address with its token."""
        return f"http://127.0.0.1:{self.server_port}/?token={self.token}"

    @property
    def hosts(self) -> tuple[str, str]:
        """What a browser may call this server; any other name was made to lead here."""
        return f"127.0.0.1:{self.server_port}", f"localhost:{self.server_port}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Let a browser go that left amid an answer."""


class _Handler(BaseHTTPRequestHandler):
    server: LiveServer
    timeout = 10.0
    server_version = "axds"
    sys_version = ""

    def do_GET(self) -> None:
        address = urlsplit(self.path)
        if self.headers.get("Host") not in self.server.hosts:
            self._answer(HTTPStatus.FORBIDDEN, "text/plain", b"not under this name\n")
        elif not self._has_token(address.query):
            self._answer(HTTPStatus.FORBIDDEN, "text/plain", b"the token in the address is missing or wrong\n")
        elif address.path == "/":
            self._page()
        elif address.path == "/data.json":
            self._data()
        else:
            self._answer(HTTPStatus.NOT_FOUND, "text/plain", b"no such page\n")

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 the base class's name
        """Keep requests, which hold the token, off the terminal."""

    def _has_token(self, query: str) -> bool:
        given = parse_qs(query).get("token", [""])[0]
        return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), self.server.token.encode())

    def _page(self) -> None:
        nonce = secrets.token_urlsafe(16)
        page = files(__package__).joinpath("live.html").read_text(encoding="utf-8").replace("NONCE", nonce)
        policy = (
            f"default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; connect-src 'self'; "
            "img-src data:; base-uri 'none'; form-action 'none'"
        )
        self._answer(HTTPStatus.OK, "text/html; charset=utf-8", page.encode(), {"Content-Security-Policy": policy})

    def _data(self) -> None:
        try:
            with self.server.lock:  # two tabs: the reading end of the log is one
                document = self.server.log.document()
        except (OSError, ValueError) as error:  # the log was moved or removed
            self._answer(HTTPStatus.SERVICE_UNAVAILABLE, "text/plain", f"{error}\n".encode())
            return
        self._answer(HTTPStatus.OK, "application/json", json.dumps(document, allow_nan=False).encode())

    def _answer(self, status: HTTPStatus, kind: str, body: bytes, more: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (_HEADERS | (more or {})).items():
            self.send_header(name, value)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
