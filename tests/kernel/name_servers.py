"""Name servers that guests' servers ask, and questions of guests.

A server is a program of its own, which answers each question alike and notes
what it was asked; one that is silent notes it all the same.
"""

import contextlib
import ipaddress
import re
import subprocess
import sys

_PROGRAM = """
import json, socket, struct, sys
address, log, answers = sys.argv[1], sys.argv[2], sys.argv[3] == "answers"
serving = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
serving.bind((address, 53))
print(flush=True)
with open(log, "a", buffering=1) as noted:
    while True:
        question, whose = serving.recvfrom(4096)
        labels, rest = [], question[12:]
        while rest[0]:
            labels.append(rest[1 : rest[0] + 1].decode())
            rest = rest[rest[0] + 1 :]
        noted.write(json.dumps(".".join(labels)) + chr(10))
        if not answers:
            continue
        kind, = struct.unpack("!H", rest[1:3])
        known = kind == 1
        end = len(question) - len(rest) + 5
        body = question[2:2]
        head = question[:2] + struct.pack("!5H", 0x8180, 1, known, 0, 0)
        body = question[12:end]
        if known:
            body += struct.pack("!3HIH4B", 0xC00C, 1, 1, 9, 4, 192, 0, 2, 99)
        serving.sendto(head + body, whose)
"""


@contextlib.contextmanager
def name_server(namespace, address, log, *, answers=True):
    """A server of this address that answers, or is silent."""
    process = namespace.start(
        *(sys.executable, "-c", _PROGRAM, address, str(log)),
        "answers" if answers else "silent",
        stdout=subprocess.PIPE,
    )
    process.stdout.readline()
    try:
        yield
    finally:
        process.kill()
        process.wait()


def asked(guest, server, name):
    """What a guest is told: the code, and addresses or names."""
    with contextlib.suppress(ValueError):
        name = ipaddress.ip_address(name).reverse_pointer
    kind = "ptr" if name.endswith(".in-addr.arpa") else "a"
    text = guest.namespace.run(
        f"busybox nslookup -type={kind} {name}. {server}", check=False
    )
    refused = re.search(r"can't find .*: (\w+)", text)
    answer = text.partition("\n\n")[2]
    found = re.findall(r"(?:Address: |name = )(\S+)", answer)
    return refused[1] if refused else "NOERROR", found
