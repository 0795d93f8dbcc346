"""What is written in one turn of the loop arrives, whole and in order; and what was written before a close, too."""

import asyncio
from typing import cast

from hansa.apps.web.serve import _Together
from loops import run_loop


class Answering(asyncio.Protocol):
    """Writes an answer's head and body apart, then a second answer a turn later, then closes at once."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.together = _Together(cast(asyncio.Transport, transport))
        self.together.write(b"head ")
        self.together.write(bytearray(b"body "))
        asyncio.get_running_loop().call_later(0.02, self.finish)

    def finish(self) -> None:
        self.together.write(memoryview(b"second "))
        self.together.write(b"x" * 1_000_000)
        self.together.close()
        self.together.write(b"too late")


def test_every_part_arrives_in_order_also_those_before_a_close() -> None:
    async def ask() -> bytes:
        server = await asyncio.get_running_loop().create_server(Answering, "127.0.0.1", 0)
        async with server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            found = await asyncio.wait_for(reader.read(), 60)
            writer.close()
            return found

    assert run_loop(ask()) == b"head body second " + b"x" * 1_000_000
