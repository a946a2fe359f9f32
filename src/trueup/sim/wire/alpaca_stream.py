"""Alpaca's stream of trade updates: what happens while one listens; what happened before is never sent again."""

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable

from starlette.websockets import WebSocket, WebSocketDisconnect

from trueup.core.decimals import plain
from trueup.core.times import iso
from trueup.sim.exchange import Exchange, Fill, Order
from trueup.sim.wire.alpaca_rows import order_row
from trueup.sim.wire.desk import OPEN, SCOPE_KEY, Desk, Veil


def stream(desk: Desk) -> Callable[[WebSocket], Awaitable[None]]:
    """Return the WebSocket endpoint: authenticate, listen, then binary frames of JSON, as the real one sends them."""

    async def talk(socket: WebSocket) -> None:
        await socket.accept()
        with contextlib.suppress(WebSocketDisconnect):
            account = await _authenticate(desk, socket)
            if account is not None:
                await _serve(desk.exchange, socket, account)

    return talk


async def _send(socket: WebSocket, message: object) -> None:
    await socket.send_bytes(json.dumps(message, separators=(",", ":")).encode())


async def _receive(socket: WebSocket) -> dict[str, object]:
    message = await socket.receive()
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message.get("code", 1000))
    try:
        read = json.loads(message.get("text") or message.get("bytes") or "{}")
    except ValueError:
        return {}
    return read if isinstance(read, dict) else {}


async def _authenticate(desk: Desk, socket: WebSocket) -> str | None:
    message = await _receive(socket)
    given = message.get("data")
    data = given if isinstance(given, dict) else {"key_id": message.get("key"), "secret_key": message.get("secret")}
    veil = socket.scope.get(SCOPE_KEY)
    account = desk.holder(str(data.get("key_id")), veil if isinstance(veil, Veil) else OPEN)
    known = account is not None and account.secret == data.get("secret_key")
    status = "authorized" if known else "unauthorized"
    reply = {"stream": "authorization", "data": {"status": status, "action": "authenticate"}}
    await _send(socket, reply)
    if not known or account is None:
        await socket.close()
        return None
    return account.name


async def _serve(exchange: Exchange, socket: WebSocket, account: str) -> None:
    loop, queue = asyncio.get_running_loop(), asyncio.Queue[dict[str, object]]()

    def listen(what: str, order: Order, fill: Fill | None) -> None:
        if order.account == account:
            with contextlib.suppress(RuntimeError):  # the loop has ended, and with it the connection
                loop.call_soon_threadsafe(queue.put_nowait, update(exchange, what, order, fill))

    sending: asyncio.Task[None] | None = None
    try:
        while True:
            message = await _receive(socket)
            data = message.get("data")
            if message.get("action") == "listen" and isinstance(data, dict):
                streams = [name for name in data.get("streams", []) if name == "trade_updates"]
                await _send(socket, {"stream": "listening", "data": {"streams": streams}})
                if streams and sending is None:
                    exchange.listeners.append(listen)
                    sending = asyncio.create_task(_forward(socket, queue))
    finally:
        if sending is not None:
            exchange.listeners.remove(listen)
            sending.cancel()


async def _forward(socket: WebSocket, queue: "asyncio.Queue[dict[str, object]]") -> None:
    while True:
        await _send(socket, await queue.get())


def update(exchange: Exchange, what: str, order: Order, fill: Fill | None) -> dict[str, object]:
    """Return the message of an order's change; an execution names its price, quantity and the position after it."""
    now = iso(exchange.now_ms)
    data: dict[str, object] = {"event": what, "timestamp": now, "order": order_row(exchange, order)}
    if fill is not None:
        data |= {
            "execution_id": fill.id.partition("::")[2], "price": plain(fill.price), "qty": plain(fill.qty),
            "position_qty": plain(fill.after),
        }  # fmt: skip
    return {"stream": "trade_updates", "data": data}
