"""A page over a connection of connie, as docs/from/aiohappyeyeballs.md has it."""

import asyncio
import sys

import connie

# For all connections of the program.
MEMORY = connie.Memory()


async def connect(host, port):
    return await connie.open_connection(host, port, timeout=10, memory=MEMORY)


async def main(host, port):
    reader, writer = await connect(host, port)
    writer.write(f"GET / HTTP/1.0\r\nHost: {host}\r\n\r\n".encode())
    print((await reader.read()).decode(), end="")
    writer.close()


asyncio.run(main(sys.argv[1], int(sys.argv[2])))
