# Chromium without a window, told by its debugging pipe: messages of JSON that end with a zero, on the descriptors 3 and 4.
import itertools
import json
import os
import subprocess
import sys
import tempfile

URL = sys.argv[1]
OPTIONS = """--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking
    --disable-component-update --disable-sync --disable-default-apps --remote-debugging-pipe""".split()

from_us, commands = os.pipe()
events, from_it = os.pipe()
profile = tempfile.TemporaryDirectory()
browser = subprocess.Popen(
    ["bash", "-c", f'exec "$@" 3<&{from_us} 4>&{from_it}', "bash", "chromium", *OPTIONS, f"--user-data-dir={profile.name}"],
    pass_fds=(from_us, from_it),
    stdout=subprocess.DEVNULL,
)
os.close(from_us)
os.close(from_it)
numbers = itertools.count(1)
buffer = b""


def message():
    global buffer
    while b"\0" not in buffer:
        buffer += os.read(events, 65536) or sys.exit("the browser ended")
    text, buffer = buffer.split(b"\0", 1)
    return json.loads(text)


def ask(method, session=None, **parameters):
    number = next(numbers)
    question = {"id": number, "method": method, "params": parameters}
    if session:
        question["sessionId"] = session
    os.write(commands, json.dumps(question).encode() + b"\0")
    while (answer := message()).get("id") != number:
        if answer.get("method") == "Page.loadEventFired":
            loaded.append(answer)
    return answer.get("result", {})


loaded = []
target = ask("Target.createTarget", url="about:blank")["targetId"]
page = ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
ask("Page.enable", page)
print("ready", flush=True)
for visit, _ in enumerate(sys.stdin):
    loaded.clear()
    # Another page each time, so that none is cached.
    why = ask("Page.navigate", page, url=f"{URL}?{visit}").get("errorText")
    while not loaded and not why:
        if message().get("method") == "Page.loadEventFired":
            loaded.append(True)
    print(why or "ok", flush=True)
