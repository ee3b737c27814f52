"""As much of PostgreSQL's protocol as the measurements need: a client that does little itself."""
import asyncio, json, socket, struct, sys


def message(tag, body=b""):
    return tag + struct.pack(">I", len(body) + 4) + body


class Client:
    def __init__(self, port, database="postgres"):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.held = b""
        login = struct.pack(">I", 196608) + b"user\0postgres\0database\0" + database.encode() + b"\0\0"
        self.socket.sendall(struct.pack(">I", len(login) + 4) + login)
        self.until_ready()

    def until_ready(self):
        """Reads up to ReadyForQuery; the tags of what came."""
        tags = []
        while True:
            while len(self.held) >= 5 and len(self.held) > (length := struct.unpack(">I", self.held[1:5])[0]):
                tag, body, self.held = self.held[:1], self.held[5:length + 1], self.held[length + 1:]
                tags.append(tag)
                if tag == b"Z":
                    return tags
                if tag == b"E" and b"VFATAL" in body:
                    raise RuntimeError(body)
            self.held += self.receive()

    def receive(self):
        data = self.socket.recv(1 << 20)
        if not data:
            raise RuntimeError("the connection was closed")
        return data

    def query(self, sql):
        self.socket.sendall(message(b"Q", sql.encode() + b"\0"))
        return self.until_ready()

    def drain(self, sql):
        """Runs a statement, reads its result without looking at it, and tells its size in bytes."""
        self.socket.sendall(message(b"Q", sql.encode() + b"\0"))
        buffer, total, end = bytearray(1 << 20), 0, b""
        while not end.endswith(b"Z\0\0\0\5I"):
            got = self.socket.recv_into(buffer)
            if not got:
                raise RuntimeError("the connection was closed")
            total, end = total + got, (end + buffer[max(0, got - 6):got])[-6:]
        return total

    def copy_in(self, sql, line, size):
        self.socket.sendall(message(b"Q", sql.encode() + b"\0"))
        while b"G" not in self.held[:1]:
            self.held += self.receive()
        self.held = b""
        chunk, sent = message(b"d", line * 8) * 32, 0
        while sent < size:
            self.socket.sendall(chunk)
            sent += len(chunk)
        self.socket.sendall(message(b"c"))
        self.until_ready()
        return sent

    def flood(self, sql, count):
        """That many Queries without waiting for the answers in between."""
        batch = message(b"Q", sql.encode() + b"\0") * 1000
        for _ in range(count // 1000):
            self.socket.sendall(batch)
            seen, rest = 0, b""
            while seen < 1000:
                data = rest + self.receive()
                seen += data.count(b"Z\0\0\0\5")
                rest = data[-5:] if not data.endswith(b"Z\0\0\0\5I") else b""
                if rest.startswith(b"Z\0\0\0\5"):
                    seen -= 1

    def close(self):
        try:
            self.socket.sendall(message(b"X"))
        except OSError:
            pass
        self.socket.close()


def http_over_unix(path, method, target, body=None, meanwhile=None):
    """A request to the control socket; the answer's JSON. `meanwhile` is called when it has been sent."""
    text = json.dumps(body).encode() if body is not None else b""
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(str(path))
        head = f"{method} {target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\n"
        s.sendall(head.encode() + f"content-length: {len(text)}\r\n\r\n".encode() + text)
        if meanwhile:
            meanwhile()
        answer = b""
        while data := s.recv(65536):
            answer += data
    status, _, rest = answer.partition(b"\r\n\r\n")
    if b" 200 " not in status.split(b"\r\n")[0]:
        raise RuntimeError(answer)
    return json.loads(rest)


DONE = {b"Q": message(b"C", b"SET\0") + message(b"Z", b"I"), b"P": message(b"1"), b"B": message(b"2"), b"D": message(b"n"),
        b"E": message(b"C", b"SET\0"), b"C": message(b"3"), b"S": message(b"Z", b"I")}


async def answer(reader, writer):
    """One session of a server that has nothing: it lets everybody in, and says that each statement is done."""
    try:
        length = struct.unpack(">I", await reader.readexactly(4))[0]
        await reader.readexactly(length - 4)
        hello = message(b"R", b"\0\0\0\0")
        for name, value in (("server_version", "15.18"), ("client_encoding", "UTF8"), ("server_encoding", "UTF8"),
                            ("standard_conforming_strings", "on"), ("default_transaction_read_only", "off")):
            hello += message(b"S", f"{name}\0{value}\0".encode())
        writer.write(hello + message(b"K", struct.pack(">II", id(writer) & 0x7FFFFFFF, 1)) + message(b"Z", b"I"))
        while True:
            tag, length = struct.unpack(">cI", await reader.readexactly(5))
            await reader.readexactly(length - 4)
            if tag == b"X":
                break
            writer.write(DONE.get(tag, b""))
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    writer.close()


def serve_nothing(port):
    """For measuring very many connections, where as many real server processes would not fit the machine."""
    async def run():
        server = await asyncio.start_server(answer, "127.0.0.1", port, backlog=4096)
        await server.serve_forever()
    asyncio.run(run())


if __name__ == "__main__":
    serve_nothing(int(sys.argv[1]))
