"""A page over a socket of aiohappyeyeballs, as docs/from/aiohappyeyeballs.md has it before connie."""

import asyncio
import socket
import sys

import aiohappyeyeballs


async def connect(host, port):
    loop = asyncio.get_running_loop()
    infos = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    connecting = aiohappyeyeballs.start_connection(infos, happy_eyeballs_delay=0.25)
    return await asyncio.open_connection(sock=await asyncio.wait_for(connecting, 10))


async def main(host, port):
    reader, writer = await connect(host, port)
    writer.write(f"GET / HTTP/1.0\r\nHost: {host}\r\n\r\n".encode())
    print((await reader.read()).decode(), end="")
    writer.close()


asyncio.run(main(sys.argv[1], int(sys.argv[2])))
