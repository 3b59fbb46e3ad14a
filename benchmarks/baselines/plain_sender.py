"""The least that a server can do: for each POST it writes the same bytes to every stream, from one loop over sockets.

`python -m benchmarks.baselines.plain_sender PORT FRAME WIRE [PEER …]`. FRAME is a file with an event as CIN sent it on that
wire; what is written has another position and is the same else. Nothing is kept, parsed or encoded. Peers are ports of
others that do the same, and are told by a datagram. What a load generator measures here is what it and the system take
for themselves.
"""

import selectors
import socket
import sys
from pathlib import Path

from benchmarks.wires import WIRES

_SSE = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n9\r\nid: e-0\n\n\r\n"
_SOCKET = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n\x81\x1e"
    b'{"type":"position","id":"e-0"}'
)


def main() -> None:
    port, event = int(sys.argv[1]), Path(sys.argv[2]).read_bytes()
    (wire,) = (each for each in WIRES if each.name == sys.argv[3])
    selector = selectors.EpollSelector()
    listener = socket.create_server(("127.0.0.1", port), backlog=4096)
    selector.register(listener, selectors.EVENT_READ)
    peers = [("127.0.0.1", int(peer)) for peer in sys.argv[4:]]
    told = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    told.bind(("127.0.0.1", port))
    selector.register(told, selectors.EVENT_READ)
    streams: list[socket.socket] = []
    sent = 0

    def send() -> None:
        nonlocal sent
        sent += 1
        written = wire.numbered(event, sent)
        for stream in streams:
            stream.sendall(written)

    while True:
        for key, _ in selector.select():
            if key.fileobj is listener:
                selector.register(listener.accept()[0], selectors.EVENT_READ)
                continue
            if key.fileobj is told:
                told.recv(1)
                send()
                continue
            asking = key.fileobj
            assert isinstance(asking, socket.socket)
            request = asking.recv(1 << 16)
            if request.startswith((b"GET /stream", b"GET /ws")):
                streams.append(asking)
                asking.sendall(_SSE if request.startswith(b"GET /stream") else _SOCKET)
            elif request.startswith(b"POST"):
                for peer in peers:
                    told.sendto(b"!", peer)
                send()
                answer = b'{"id":"","position":"e-%d"}' % sent
                asking.sendall(b"HTTP/1.1 201 Created\r\ncontent-length: %d\r\n\r\n%s" % (len(answer), answer))
            elif not request:
                selector.unregister(asking)
                asking.close()
                streams = [each for each in streams if each is not asking]


if __name__ == "__main__":
    main()
