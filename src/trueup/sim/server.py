"""An ASGI application on this machine's loopback, for as long as it is needed."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from trueup.core.forward import Forward

if TYPE_CHECKING:
    import uvicorn

    from trueup.sim.exchange import Exchange

HOST = "127.0.0.1"


def _configuration(app: Any, **more: Any) -> "uvicorn.Config":
    import uvicorn

    return uvicorn.Config(
        app, log_config=None, log_level="critical", access_log=False, lifespan="off", ws="websockets-sansio",
        timeout_graceful_shutdown=1,
        server_header=False, date_header=False, **more,
    )  # fmt: skip


@contextlib.contextmanager
def running(app: Any, port: int = 0) -> Iterator[str]:
    """Serve an ASGI application on the loopback and give its base URL; port 0 takes a free one."""
    import uvicorn

    listener = socket.create_server((HOST, port))
    server = uvicorn.Server(_configuration(app))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="sim", daemon=True)
    thread.start()
    try:
        yield f"http://{HOST}:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(timeout=10)
        listener.close()


def system_clock(exchange: "Exchange") -> Callable[[], None]:
    """Return what moves an exchange's clock on to the system's: the `before` of a wire whose clients live by that."""
    clock = Forward()
    return lambda: exchange.advance_to(clock.time(time.time_ns(), time.monotonic_ns()) // 1_000_000)


def serve(app: Any, port: int) -> None:
    """Serve an ASGI application on the loopback until the program is interrupted."""
    import uvicorn

    uvicorn.Server(_configuration(app, host=HOST, port=port)).run()
