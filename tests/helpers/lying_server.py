"""A web server on loopback that answers as it is told to, and remembers what it was asked."""

import contextlib
import gzip
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

CONTENTS = bytes(range(256)) * 4096  # a MiB
ETAG = '"first"'


@dataclass
class Asked:
    path: str
    headers: dict


@dataclass
class Server:
    url: str
    asked: list = field(default_factory=list)
    answers: dict = field(default_factory=dict)  # path: a list of answers, the last of which stays

    def answer(self, path: str, *answers: Callable) -> str:
        """Set what a path is answered, request by request; returns its URL."""
        self.answers[path] = list(answers)
        return self.url + path

    def ranges(self):
        return [asked.headers.get("Range") for asked in self.asked]


class _Handler(BaseHTTPRequestHandler):
    server: "_Http"

    def do_GET(self):
        state = self.server.state
        path = self.path.partition("?")[0]
        state.asked.append(Asked(self.path, dict(self.headers)))
        answers = state.answers[path]
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        with contextlib.suppress(ConnectionError):
            answer(self)

    def log_message(self, *_):
        pass

    def reply(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()
        self.wfile.write(body)


class _Http(ThreadingHTTPServer):
    daemon_threads = False
    state: Server

    def handle_error(self, *_):
        pass


@contextlib.contextmanager
def running():
    """Give a server; its threads have ended when the block does."""
    http = _Http(("127.0.0.1", 0), _Handler)
    http.state = Server(f"http://127.0.0.1:{http.server_port}")
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield http.state
    finally:
        http.shutdown()
        thread.join()
        http.server_close()


def whole(contents=CONTENTS, etag=ETAG, *, ranges=True):
    """Answer as an honest server does."""

    def answer(handler):
        start = handler.headers.get("Range", "")
        known = {"ETag": etag} if etag else {}
        if ranges and start and handler.headers.get("If-Range") == etag:
            at = int(start.removeprefix("bytes=").removesuffix("-"))
            part = contents[at:]
            span = f"bytes {at}-{len(contents) - 1}/{len(contents)}"
            handler.reply(206, part, Content_Length=len(part), Content_Range=span, **known)
        else:
            handler.reply(200, contents, Content_Length=len(contents), **known)

    return answer


def status(code, **headers):
    return lambda handler: handler.reply(code, b"<html>an error page</html>", Content_Length=26, **headers)


def cut(at, contents=CONTENTS, etag=ETAG):
    """Promise all, send so many bytes and close the connection; a part goes on from where it was asked for."""

    def answer(handler):
        start = handler.headers.get("Range", "")
        known = {"ETag": etag} if etag else {}
        if start and etag:
            begin = int(start.removeprefix("bytes=").removesuffix("-"))
            span = f"bytes {begin}-{len(contents) - 1}/{len(contents)}"
            handler.reply(206, contents[begin:at], Content_Length=len(contents) - begin, Content_Range=span, **known)
        else:
            handler.reply(200, contents[:at], Content_Length=len(contents), **known)

    return answer


def stall(at, seconds, contents=CONTENTS):
    """Send so many bytes and nothing for a while."""

    def answer(handler):
        handler.reply(200, contents[:at], Content_Length=len(contents), ETag=ETAG)
        handler.wfile.flush()
        time.sleep(seconds)

    return answer


def drip(piece_bytes, pause_s, contents=CONTENTS):
    """Send all, slowly."""

    def answer(handler):
        handler.reply(200, Content_Length=len(contents), ETag=ETAG)
        for at in range(0, len(contents), piece_bytes):
            handler.wfile.write(contents[at : at + piece_bytes])
            time.sleep(pause_s)

    return answer


def claims(length, contents=CONTENTS):
    """State another length than is sent."""
    return lambda handler: handler.reply(200, contents, Content_Length=length, ETag=ETAG)


def redirect(location, code=302):
    return lambda handler: handler.reply(code, Location=location, Content_Length=0)


def gzipped(contents=CONTENTS, *, cut_at=None, behind=b"", encoding="gzip"):
    data = gzip.compress(contents)[:cut_at] + behind
    return lambda handler: handler.reply(200, data, Content_Length=len(data), Content_Encoding=encoding, ETag=ETAG)


def chunked(contents=CONTENTS, *, is_cut=False):
    def answer(handler):
        handler.protocol_version = "HTTP/1.1"
        handler.reply(200, Transfer_Encoding="chunked", Connection="close")
        for at in range(0, len(contents), 100_000):
            piece = contents[at : at + 100_000]
            handler.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
            if is_cut:
                return
        handler.wfile.write(b"0\r\n\r\n")

    return answer


def unsized(contents=CONTENTS):
    return lambda handler: handler.reply(200, contents, ETag=ETAG)
