"""Gnutella processes find their place: the way in, another ultrapeer when one dies, and who else knocks."""

import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from p2pswarm.formats.ids import Address
from p2pswarm.wire.gnutella.descriptor import Descriptor, Kind, read_datagram
from p2pswarm.wire.gnutella.endpoints import pack_endpoints
from p2pswarm.wire.gnutella.hit import QueryHit
from p2pswarm.wire.gnutella.pings import Pong
from p2pswarm.wire.gnutella.query import Query
from tests.support.mesh import PATIENCE, PORT, Mesh

ULTRAPEER = ("--gnutella-role", "ultrapeer")
LEAF = ("--gnutella-role", "leaf")


@contextmanager
def host_cache(host: str, known: Address) -> Iterator[None]:
    """It answers pings by UDP with the one host that it knows, and is no node."""
    with socket.socket(type=socket.SOCK_DGRAM) as door:
        door.bind((host, PORT))

        def answer() -> None:
            while True:
                data, asker = door.recvfrom(2048)
                if not data:
                    return
                ping = read_datagram(data)
                more = {"IPP": pack_endpoints([known]), "UDPHC": b""}
                pong = Pong(Address(host, PORT), 0, 0, more).encode()
                door.sendto(Descriptor(ping.guid, Kind.PONG, 1, 0, pong).encode(), asker)

        thread = threading.Thread(target=answer)
        thread.start()
        try:
            yield
        finally:
            with socket.socket(type=socket.SOCK_DGRAM) as end:
                end.sendto(b"", (host, PORT))
            thread.join()


@contextmanager
def full_host(host: str, known: Address) -> Iterator[None]:
    """It lets nobody in, and names the one host that it knows."""
    answer = f"GNUTELLA/0.6 503 Full\r\nX-Try-Ultrapeers: {known}\r\n\r\n"
    with socket.create_server((host, PORT)) as door:

        def refuse() -> None:
            while True:
                raw, _ = door.accept()
                with raw:
                    if not heard(raw, b"\r\n\r\n"):
                        return
                    raw.sendall(answer.encode())

        thread = threading.Thread(target=refuse)
        thread.start()
        try:
            yield
        finally:
            socket.create_connection((host, PORT)).close()
            thread.join()


@contextmanager
def knocking(mesh: Mesh, number: int, greeting: str) -> Iterator[socket.socket]:
    with socket.create_connection((mesh.ip(number), PORT), PATIENCE, (mesh.ip(100), 0)) as raw:
        raw.sendall(greeting.encode())
        yield raw


def heard(raw: socket.socket, end: bytes) -> bytes:
    """Until this, or until nothing more comes."""
    data = b""
    while end not in data and (more := raw.recv(1)):
        data += more
    return data


def test_the_host_cache_alone_is_a_way_in(mesh: Mesh) -> None:
    mesh.share({"blue moon.txt": b"1"}, (), *ULTRAPEER)
    mesh.share({"blue sky.txt": b"2"}, [0], *LEAF)
    mesh.joined(1)
    assert mesh.nodes[1].stop() == 0
    mesh.again(1, (), *LEAF)
    mesh.joined(1)
    mesh.find("blue", 2)
    rows, _ = mesh.find("blue", 2, connect=())
    assert len(rows) == 2


def test_a_leaf_that_lets_nobody_in_names_its_ultrapeers(mesh: Mesh) -> None:
    mesh.share({"blue moon.txt": b"1"}, (), *ULTRAPEER)
    mesh.share({"blue sky.txt": b"2"}, [0], *LEAF)
    mesh.joined(1)
    mesh.find("blue", 2, connect=[1])


def test_a_host_cache_by_udp_is_a_way_in(mesh: Mesh) -> None:
    mesh.share({"blue moon.txt": b"1"}, (), *ULTRAPEER).wait_for("network", within=PATIENCE)
    with host_cache(mesh.ip(60), Address.parse(mesh.host(0))):
        mesh.find("blue", 1, connect=[60])


def test_a_full_host_names_others(mesh: Mesh) -> None:
    mesh.share({"blue moon.txt": b"1"}, (), *ULTRAPEER).wait_for("network", within=PATIENCE)
    with full_host(mesh.ip(60), Address.parse(mesh.host(0))):
        mesh.find("blue", 1, connect=[60])


def test_leaves_find_another_ultrapeer_when_theirs_dies(mesh: Mesh) -> None:
    mesh.share({}, (), *ULTRAPEER)
    mesh.share({}, [0], *ULTRAPEER)
    for number in range(2, 5):
        mesh.share({f"blue moon {number}.txt": b"%d" % number}, [0], *LEAF)
    mesh.find("blue", 3)
    assert mesh.nodes[0].stop(signal.SIGKILL) == -signal.SIGKILL
    mesh.until(lambda: mesh.stands(1).get("leaves", 0) >= 3, "all have moved")
    rows, _ = mesh.find("blue", 3, connect=[1])
    assert len(rows) == 3


def test_one_of_the_leaves_becomes_an_ultrapeer_when_there_is_no_other(mesh: Mesh) -> None:
    mesh.share({}, (), *ULTRAPEER)
    for number in (1, 2):
        mesh.share({f"blue moon {number}.txt": b"%d" % number}, [0])
    mesh.find("blue", 2)
    assert mesh.nodes[0].stop(signal.SIGKILL) == -signal.SIGKILL
    mesh.find("blue", 2, connect=[1, 2])


def test_gnutella_0_4_is_spoken_where_it_is_wanted(mesh: Mesh) -> None:
    mesh.share({"blue moon.txt": b"1"}, (), *ULTRAPEER, "--gnutella-04")
    mesh.share({"blue sky.txt": b"2"}, (), *ULTRAPEER).wait_for("network", within=PATIENCE)
    mesh.find("blue moon", 1)  # it has looked into its folder
    with knocking(mesh, 0, "GNUTELLA CONNECT/0.4\n\n") as raw:
        assert heard(raw, b"\n\n") == b"GNUTELLA OK\n\n"
        question = Descriptor(b"\1" * 16, Kind.QUERY, 1, 0, Query("blue moon").encode())
        raw.sendall(question.encode())
        head = raw.recv(23, socket.MSG_WAITALL)
        while head[:17] != question.guid + bytes([Kind.HIT]):
            raw.recv(int.from_bytes(head[19:], "little"), socket.MSG_WAITALL)
            head = raw.recv(23, socket.MSG_WAITALL)
        hit = QueryHit.read(raw.recv(int.from_bytes(head[19:], "little"), socket.MSG_WAITALL))
        assert [result.name for result in hit.results] == ["blue moon.txt"]
    with knocking(mesh, 1, "GNUTELLA CONNECT/0.4\n\n") as raw:
        assert b"GNUTELLA OK" not in heard(raw, b"\n\n")


def test_a_crawler_hears_who_is_connected(mesh: Mesh) -> None:
    mesh.share({}, (), *ULTRAPEER)
    mesh.share({}, [0], *ULTRAPEER)
    mesh.share({}, [0], *LEAF)
    mesh.until(lambda: mesh.links()[0] == 2, "both are there")
    with knocking(mesh, 0, "GNUTELLA CONNECT/0.6\r\nCrawler: 0.1\r\n\r\n") as raw:
        lines = heard(raw, b"\r\n\r\n").decode().split("\r\n")
    assert lines[0] == "GNUTELLA/0.6 200 OK"
    assert {f"Peers: {mesh.host(1)}", f"Leaves: {mesh.host(2)}", "X-Ultrapeer: True"} <= {*lines}
