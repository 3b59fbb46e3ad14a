"""The least that a server can do: for each POST it writes the same bytes to every stream, from one loop over sockets.

`python -m benchmarks.baselines.plain_sender PORT FRAME`. FRAME is a file with an event as CIN sent it; what is written
has another number in its `id:` line and is the same else. Nothing is kept, parsed or encoded. What a load generator
measures here is what it and the system take for themselves.
"""

import selectors
import socket
import sys
from pathlib import Path

_HELLO = b"retry: 2000\nevent: hello\ndata: {}\n\nid: e-0\n\n"
_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


def main() -> None:
    port, frame = int(sys.argv[1]), Path(sys.argv[2]).read_bytes()
    rest = frame.partition(b"\n")[2]
    selector = selectors.EpollSelector()
    listener = socket.create_server(("127.0.0.1", port), backlog=4096)
    selector.register(listener, selectors.EVENT_READ)
    streams: list[socket.socket] = []
    sent = 0
    while True:
        for key, _ in selector.select():
            if key.fileobj is listener:
                selector.register(listener.accept()[0], selectors.EVENT_READ)
                continue
            asking = key.fileobj
            assert isinstance(asking, socket.socket)
            request = asking.recv(1 << 16)
            if request.startswith(b"GET /stream"):
                streams.append(asking)
                asking.sendall(_HEAD + chunk(_HELLO))
            elif request.startswith(b"POST"):
                sent += 1
                written = chunk(b"id: e-%d\n%s" % (sent, rest))
                for stream in streams:
                    stream.sendall(written)
                answer = b'{"id":"","position":"e-%d"}' % sent
                asking.sendall(b"HTTP/1.1 201 Created\r\ncontent-length: %d\r\n\r\n%s" % (len(answer), answer))
            else:
                selector.unregister(asking)
                asking.close()
                streams = [each for each in streams if each is not asking]


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


if __name__ == "__main__":
    main()
