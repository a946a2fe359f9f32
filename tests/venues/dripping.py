"""A server that answers without end: a byte now and then, so that no read of it ever times out."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Event, Thread

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
BODIES = {
    "body": HEAD + b"Content-Length: 100000\r\n\r\n[",
    "body until the end": HEAD + b"Connection: close\r\n\r\n[",
    "headers": HEAD + b"X-Slow: ",
}
"""What comes at once; blanks follow."""


@contextmanager
def dripping(start: bytes, every_s: float = 0.05) -> Iterator[tuple[str, list[bytes]]]:
    """Serve drips on the loopback; give the address, and the connections that were made."""
    stopped, made = Event(), list[bytes]()

    def drip(client: socket.socket) -> None:
        with client, suppress(OSError):
            made.append(client.recv(65536))
            client.sendall(start)
            while not stopped.wait(every_s):
                client.sendall(b" ")

    with socket.create_server(("127.0.0.1", 0)) as server:
        threads: list[Thread] = []

        def accept() -> None:
            with suppress(OSError):
                while True:
                    client, _ = server.accept()
                    threads.append(Thread(target=drip, args=(client,), daemon=True))
                    threads[-1].start()

        door = Thread(target=accept, daemon=True)
        door.start()
        try:
            yield f"http://127.0.0.1:{server.getsockname()[1]}", made
        finally:
            stopped.set()
            server.shutdown(socket.SHUT_RDWR)
            door.join(5)
            for thread in threads:
                thread.join(5)
