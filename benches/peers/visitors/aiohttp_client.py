# aiohttp, one session for all visits.
import asyncio
import sys

import aiohttp


async def main():
    # Each visit is a look-up, over a connection of its own.
    connector = aiohttp.TCPConnector(force_close=True, use_dns_cache=False)
    async with aiohttp.ClientSession(connector=connector) as session:
        print("ready", flush=True)
        while await asyncio.to_thread(sys.stdin.readline):
            try:
                async with session.get(sys.argv[1]) as answer:
                    await answer.read()
                print("ok", flush=True)
            except (OSError, aiohttp.ClientError) as error:
                print(error, flush=True)


asyncio.run(main())
