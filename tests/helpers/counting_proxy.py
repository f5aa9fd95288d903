"""A proxy on loopback that counts what a server sends: `counting_proxy.py HOST PORT FILE`, a process of its own.

It prints its port; the file holds the number of bytes so far.
"""

import contextlib
import os
import socket
import sys
import threading

_total = 0
_lock = threading.Lock()


def _pump(source, target, file):
    global _total  # noqa: PLW0603 one number for the process
    while True:
        try:
            data = source.recv(1 << 16)
            if file is not None and data:
                with _lock:
                    _total += len(data)
                    os.pwrite(file, b"%020d" % _total, 0)
            target.sendall(data)
        except OSError:
            return
        if not data:
            with contextlib.suppress(OSError):
                target.shutdown(socket.SHUT_WR)
            return


def main():
    host, port, path = sys.argv[1:]
    file = os.open(path, os.O_RDWR | os.O_CREAT)
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    while True:
        client, _ = listener.accept()
        server = socket.create_connection((host, int(port)))
        threading.Thread(target=_pump, args=(client, server, None), daemon=True).start()
        threading.Thread(target=_pump, args=(server, client, file), daemon=True).start()


if __name__ == "__main__":
    main()
