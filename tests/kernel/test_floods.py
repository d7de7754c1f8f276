"""While one guest floods, what others ask of the host still works."""

import socket
import sys
import threading
import time

import pytest
from filtered import plan
from frames import bootp, ether, ip, udp
from namespaces import enter
from segment import guest, segment

GATEWAY = "10.0.0.1"
SECONDS = 10
# Counts what it gets and answers a question for `good`; like a dnsmasq whose
# server is silent it keeps the others waiting.
NAME_SERVER = """
import socket, sys
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
udp.bind(("10.0.0.1", int(sys.argv[1])))
print("ready", flush=True)
count = 0
while True:
    data, peer = udp.recvfrom(2048)
    count += 1
    if data.endswith(b"good"):
        udp.sendto(str(count).encode(), peer)
"""


@pytest.fixture(scope="module")
def net():
    with segment() as built:
        plan(
            built,
            (guest(1), guest(2), guest(3)),
            allow_same_net_traffic=False,
        )
        yield built


def asked(space, port, *, begin, question=b"good"):
    """Ask until there is an answer; return how many were counted."""

    def ask():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as own:
            own.bind(("", begin))
            own.settimeout(0.2)
            for _ in range(50):
                own.sendto(question, (GATEWAY, port))
                try:
                    return int(own.recv(100))
                except TimeoutError:
                    continue
        raise AssertionError("no answer")

    return space.call(ask)


def server(net, port):
    command = (sys.executable, "-c", NAME_SERVER, str(port))
    started = net.node.start(*command, stdout=-1, bufsize=0)
    assert started.stdout.readline() == b"ready\n"
    return started


def flood(space, port, number, *, begin=0):
    def send():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as own:
            if begin:
                own.bind(("", begin))
            for _ in range(number):
                own.sendto(b"bad", (GATEWAY, port))

    space.call(send)


def test_questions_for_names(net):
    """400 at once had filled the 150 places of dnsmasq."""
    started = server(net, 53)
    begun = time.monotonic()
    flood(net.guests[1].namespace, 53, 3000)
    count = asked(net.guests[2].namespace, 53, begin=5353)
    # 200 at once and 50 a second, and what the other one asked.
    most = 200 + 50 * (time.monotonic() - begun) + 50
    started.kill()
    assert 100 < count <= most


def test_dhcp_messages(net):
    started = server(net, 67)
    frame = ether(
        "ff:ff:ff:ff:ff:ff",
        guest(1).mac,
        0x0800,
        ip(
            "10.0.0.2",
            GATEWAY,
            17,
            udp(68, 67, bootp(guest(1).mac, b"bad")),
        ),
    )
    begun = time.monotonic()
    net.guests[1].send(*(frame,) * 1000)
    question = bootp(guest(2).mac, b"good")
    count = asked(net.guests[2].namespace, 67, begin=68, question=question)
    most = 40 + 5 * (time.monotonic() - begun) + 50
    started.kill()
    # Not all of the flood, and the other one was answered.
    assert 10 < count <= most


def test_idle_connections_to_the_name_server(net):
    """25 of them had taken all the places that dnsmasq has for TCP."""

    def listen():
        return socket.create_server((GATEWAY, 53), backlog=100)

    def connected(space, number, held):
        enter(space.name)
        sockets = []
        for _ in range(number):
            each = socket.socket()
            each.setblocking(False)
            each.connect_ex((GATEWAY, 53))
            sockets.append(each)
        deadline = time.monotonic() + 2
        open_ones = set()
        while time.monotonic() < deadline and len(open_ones) < held:
            for each in sockets:
                try:
                    each.getpeername()
                    open_ones.add(each)
                except OSError:
                    continue
            time.sleep(0.01)
        return len(open_ones), sockets

    def hold():
        with listen():
            first, kept = connected(net.guests[1].namespace, 25, 5)
            second, more = connected(net.guests[2].namespace, 3, 3)
            for each in (*kept, *more):
                each.close()
            return first, second

    assert net.node.call(hold) == (4, 3)


def test_all_at_once_for_a_while(net):
    """What a guest is allowed comes back: nothing is used up for ever."""
    plan(net, (guest(1), guest(2), guest(3)), allow_same_net_traffic=False)
    started = server(net, 53)
    ended = threading.Event()
    space = net.guests[1].namespace

    def keep_on():
        while not ended.is_set():
            flood(space, 53, 500)

    thread = threading.Thread(target=keep_on)
    thread.start()
    try:
        for _ in range(5):
            asked(net.guests[2].namespace, 53, begin=5353)
            assert net.guests[3].reaches(("udp", "192.0.2.9", 80))
    finally:
        ended.set()
        thread.join()
    asked(space, 53, begin=5353)
    started.kill()
