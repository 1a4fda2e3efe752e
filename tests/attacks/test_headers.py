"""Tests of attacks with HTTP framing, chunks, targets, methods, headers and other protocols."""

from __future__ import annotations

import gzip
import http.client
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from tests.attacks.server import MARK, TargetServer
from tools.plain_pictures import plain

PHOTO = plain()
HOST = b"Host: x\r\n"
CLOSE = b"Connection: close\r\n"
# A proxy takes this for the body of the request. A vulnerable server takes it for a second
# request.
HIDDEN = b"GET /hidden HTTP/1.1\r\nHost: x\r\n\r\n"


def post(headers: bytes, body: bytes = b"", path: bytes = b"/predict") -> bytes:
    """Return a raw POST request."""
    return (
        b"POST "
        + path
        + b" HTTP/1.1\r\n"
        + HOST
        + b"Content-Type: image/jpeg\r\n"
        + headers
        + b"\r\n"
        + body
    )


def get(path: bytes, headers: bytes = b"", version: bytes = b"HTTP/1.1") -> bytes:
    """Return a raw GET request with `Connection: close`."""
    return b"GET " + path + b" " + version + b"\r\n" + HOST + CLOSE + headers + b"\r\n"


SMUGGLED = {
    "length and chunks": post(
        b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", b"0\r\n\r\n" + HIDDEN
    ),
    "chunks and length": post(
        b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", b"0\r\n\r\n" + HIDDEN
    ),
    "an unknown transfer coding": post(
        b"Content-Length: 5\r\nTransfer-Encoding: xchunked\r\n", b"0\r\n\r\n" + HIDDEN
    ),
    "two transfer codings": post(
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", b"0\r\n\r\n" + HIDDEN
    ),
    "chunks and gzip": post(b"Transfer-Encoding: gzip, chunked\r\n", b"0\r\n\r\n" + HIDDEN),
    "chunks after a tab": post(
        b"Transfer-Encoding:\tchunked\r\nContent-Length: 5\r\n", b"0\r\n\r\n" + HIDDEN
    ),
    "a space before the colon": post(
        b"Transfer-Encoding : chunked\r\nContent-Length: 5\r\n", b"0\r\n\r\n" + HIDDEN
    ),
    "two lengths": post(b"Content-Length: 0\r\nContent-Length: %d\r\n" % len(HIDDEN), HIDDEN),
    "a list of lengths": post(b"Content-Length: 0, %d\r\n" % len(HIDDEN), HIDDEN),
    "a length with a sign": post(b"Content-Length: +%d\r\n" % len(HIDDEN), HIDDEN),
    "a negative length": post(b"Content-Length: -1\r\n", HIDDEN),
    "a length in hex": post(b"Content-Length: 0x5\r\n", HIDDEN),
    "a length in a superscript digit": post(b"Content-Length: \xb2\r\n", HIDDEN),
    "a length of 100 digits": post(b"Content-Length: " + b"9" * 100 + b"\r\n", HIDDEN),
    "a folded header": post(b"X: y\r\n Content-Length: 0\r\n z", HIDDEN),
    "a bare carriage return": post(b"X: y\rContent-Length: 0\r\n", HIDDEN),
    "a bare line feed": post(b"X: y\nContent-Length: 0\n", HIDDEN),
    "NUL in a header": post(b"X: a\0b\r\n", HIDDEN),
    "a chunk's size with a sign": post(
        b"Transfer-Encoding: chunked\r\n", b"+5\r\nabcde\r\n0\r\n\r\n"
    ),
    "a chunk's size in 0x": post(b"Transfer-Encoding: chunked\r\n", b"0x5\r\nabcde\r\n0\r\n\r\n"),
    "a chunk's size with underscores": post(
        b"Transfer-Encoding: chunked\r\n", b"1_0\r\n" + b"a" * 16 + b"\r\n0\r\n\r\n"
    ),
    "a chunk longer than it says": post(
        b"Transfer-Encoding: chunked\r\n", b"3\r\nabcde\r\n0\r\n\r\n"
    ),
    "a chunk of 2^64 bytes": post(b"Transfer-Encoding: chunked\r\n", b"FFFFFFFFFFFFFFFF\r\nabc"),
    "a header of 40 kB": post(b"X: " + b"y" * 40_000 + b"\r\n"),
    "20,000 headers": post(b"X: y\r\n" * 20_000),
    "9 MB of a first line": b"GET /" + b"x" * 9_000_000,
    "no request target": b"GET\r\n\r\n",
    "an unknown version": b"GET / HTTP/1.1x\r\n\r\n",
    "control characters in the method": b"G\x01T / HTTP/1.1\r\nHost: x\r\n\r\n",
    "a method in lower case": b"get / HTTP/1.1\r\nHost: x\r\n\r\n",
    "a space in the target": get(b"/health/live x"),
    "an overlong line feed in a header name": post(b"X\xe0\x80\x8a: y\r\n"),
}


@pytest.mark.parametrize("name", SMUGGLED)
def test_request_smuggling_is_refused_and_the_connection_is_closed(
    server: TargetServer, name: str
) -> None:
    """Check that the bytes after the refused request get no response."""
    replies = server.send_raw_all(SMUGGLED[name])
    assert len(replies) == 1
    reply = replies[0]
    assert 400 <= reply.status < 500 or reply.status == 501, reply.raw
    reply.check(reply.status, reply.body["code"])
    assert reply.status != 404


CHUNKED = b"Transfer-Encoding: chunked\r\n" + CLOSE
IN_CHUNKS = b"".join(
    b"1;" + MARK.encode() * 10 + b"\r\n" + PHOTO[at : at + 1] + b"\r\n" for at in range(len(PHOTO))
)


@pytest.mark.parametrize(
    ("name", "body", "status"),
    [
        ("chunks of one byte, each with an extension", IN_CHUNKS + b"0\r\n\r\n", 200),
        (
            "trailers",
            b"%x\r\n" % len(PHOTO) + PHOTO + b"\r\n0\r\nX-Evil: 1\r\nContent-Length: 3\r\n\r\n",
            200,
        ),
        ("no content", b"0\r\n\r\n", 400),
        (
            "16 MB",
            b"100000\r\n" * 1
            + bytes(1 << 20)
            + b"\r\n"
            + (b"100000\r\n" + bytes(1 << 20) + b"\r\n") * 15
            + b"0\r\n\r\n",
            413,
        ),
    ],
)
def test_chunked_body_gets_the_expected_status(
    server: TargetServer, name: str, body: bytes, status: int
) -> None:
    reply = server.send_raw(post(CHUNKED, body))
    reply.check(status, None if status == 200 else reply.body["code"])


FLOODS_OF_CHUNKS = {
    "1,500,000 chunks of a byte": b"1\r\n\0\r\n" * 1_500_000 + b"0\r\n\r\n",
    "blank lines instead of chunks": b"\r\n" * 4_500_000,
    "endless trailers": b"0\r\n" + b"X: y\r\n" * 1_500_000,
    "9 MB of a chunk's size": b"0" * 9_000_000,
    "9 MB of a chunk's extension": b"5;" + b"x" * 9_000_000,
}


@pytest.mark.parametrize("name", FLOODS_OF_CHUNKS)
def test_connection_with_a_flood_of_chunks_is_closed(server: TargetServer, name: str) -> None:
    """Accept a refusal or no response.

    The refusal is lost if the kernel resets the connection while the client still sends.
    """
    for reply in server.send_raw_all(post(CHUNKED, FLOODS_OF_CHUNKS[name])):
        reply.check(400, "bad_request")
    server.check_reads_photo()


def test_gzip_bomb_is_refused_at_the_body_limit(server: TargetServer) -> None:
    """Check that the body limit applies to the inflated body, and that only gzip is accepted."""
    compressed = gzip.compress(bytes(100_000_000), 9)
    for kind in ("image/jpeg", "application/json", "multipart/form-data; boundary=b"):
        server.post(compressed, kind, Content_Encoding="gzip").check(413, "image_too_large")
        for coding in ("deflate, gzip", "gzip, gzip", "br", "zstd", "x" * 9000):
            reply = server.post(compressed, kind, Content_Encoding=coding)
            assert "Content-Encoding" in reply.check(415, "unsupported_image_type")["error"]


def test_photo_with_expect_100_continue_is_read(server: TargetServer) -> None:
    connection = server.connect()
    connection.putrequest("POST", "/predict")
    for name, value in (
        ("Content-Type", "image/jpeg"),
        ("Content-Length", str(len(PHOTO))),
        ("Expect", "100-continue"),
    ):
        connection.putheader(name, value)
    connection.endheaders()
    connection.send(PHOTO)
    assert connection.getresponse().status == 200
    connection.close()


PATHS = {
    b"/../../etc/passwd": 404,
    b"/docs/files/../../../../etc/passwd": 404,
    b"/docs/files/..%2f..%2f..%2fetc%2fpasswd": 404,
    b"/docs/files/%2e%2e/%2e%2e/%2e%2e/api.py": 404,
    b"/docs/files/..\\..\\..\\app.py": 404,
    b"/docs/files/%00": 404,
    b"/docs/files/" + b"a/" * 4000: 404,
    b"/docs/files/" + b"a" * 4000: 404,
    b"/predict%00": 404,
    b"/%c0%ae%c0%ae/": 404,
    b"/predict;x=1": 404,
    b"//predict": 405,
    b"/docs/files//etc/passwd": 404,
    b"/./health": 404,
    b"/health/../metrics": 404,
    b"/%2e%2e/metrics": 404,
    b"/\xff\xfe": 400,
    b"/%ff%fe": 404,
    b"/" + MARK.encode(): 404,
    b"/%0d%0aX-Evil:%201": 404,
    b"*": 404,
}


@pytest.mark.parametrize("path", PATHS, ids=range(len(PATHS)))
def test_path_attack_gets_the_expected_status(server: TargetServer, path: bytes) -> None:
    reply = server.send_raw(get(path))
    assert reply.status == PATHS[path], reply.raw
    reply.check(reply.status, reply.body["code"])
    assert "x-evil" not in reply.headers and MARK not in str(reply.headers)


def test_absolute_request_target_is_not_forwarded(server: TargetServer) -> None:
    for target in (
        b"http://169.254.169.254/latest/meta-data",
        b"http://evil.example/health/live",
        b"https://x:443/metrics",
    ):
        reply = server.send_raw(get(target))
        assert reply.status in (200, 401, 403, 404), reply.raw
        assert b"evil" not in reply.raw


METHODS = [
    b"TRACE",
    b"CONNECT",
    b"PUT",
    b"DELETE",
    b"PATCH",
    b"PROPFIND",
    b"X" * 300,
    b"GETPOST",
    b"DEBUG",
]


@pytest.mark.parametrize("method", METHODS, ids=range(len(METHODS)))
def test_unknown_method_is_refused(server: TargetServer, method: bytes) -> None:
    reply = server.send_raw(
        method
        + b" /predict HTTP/1.1\r\n"
        + HOST
        + CLOSE
        + b"X-Mark: "
        + MARK.encode()
        + b"\r\n\r\n"
    )
    assert reply.status in (400, 404, 405), reply.raw
    reply.check(reply.status, reply.body["code"])


@pytest.mark.parametrize("header", ["X-HTTP-Method-Override", "X-Method-Override", "X-HTTP-Method"])
def test_method_override_header_has_no_effect(server: TargetServer, header: str) -> None:
    assert server.request("GET", "/predict", headers={header: "POST"}).status == 405
    assert server.post(PHOTO, **{header.replace("-", "_"): "DELETE"}).status == 200


HEADERS: dict[str, str | bytes] = {
    "Accept": "*/*;q=" + "9" * 500 + "," * 5000,
    "Accept-Language": ",;=" * 3000,
    "Accept-Encoding": "gzip;q=nan, *;q=-1",
    "Range": "bytes=0-0," * 3000 + "1-2",
    "If-Range": MARK,
    "If-None-Match": '"' * 9000,
    "If-Modified-Since": "Thu, 99 Foo 99999 99:99:99 GMT",
    "If-Match": "*",
    "Cookie": "a=b;" * 6000,
    "Authorization": "Basic " + "=" * 9000,
    "Cache-Control": "max-age=" + "9" * 5000 + ", x=" + '"' * 3000,
    "Referer": MARK * 900,
    "User-Agent": f"${{jndi:ldap://x/{MARK}}}<script>",
    "X-Forwarded-For": "1.2.3.4," * 3000,
    "X-Forwarded-Host": MARK,
    "X-Forwarded-Proto": "javascript",
    "Forwarded": "for=_;" * 4000,
    "X-Request-Id": MARK,
    "X-Original-URL": "/metrics",
    "X-Rewrite-URL": "/metrics",
    "traceparent": "00-" + "f" * 9000,
    "Origin": f"https://{MARK}.example",
    "Upgrade": "h2c, websocket",
    "Content-Language": b"\xff\xfe\x80",
    "Content-MD5": "x",
    "Host": MARK,
}


@pytest.mark.parametrize("name", HEADERS)
def test_hostile_header_has_no_effect_and_is_not_echoed(server: TargetServer, name: str) -> None:
    value = HEADERS[name]
    sent = value.encode("latin-1") if isinstance(value, str) else value
    line = name.encode() + b": " + sent + b"\r\n"
    request = b"POST /predict HTTP/1.1\r\n" + (b"" if name == "Host" else HOST) + line + CLOSE
    reply = server.send_raw(
        request + b"Content-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(PHOTO) + PHOTO
    )
    if name == "Origin":
        # The CORS header must echo the origin. No other header may contain it.
        reply = type(reply)(
            reply.status,
            {k: v for k, v in reply.headers.items() if k != "access-control-allow-origin"},
            reply.raw,
        )
    assert reply.check(200)["bitting"] == "2,5,4,7,3"
    assert len(reply.headers["x-request-id"]) == 8


@pytest.mark.parametrize(
    "value",
    [
        "nan",
        "inf",
        "-1",
        "1e999",
        "0x10",
        "\u0665".encode().decode("latin-1"),
        "9" * 9000,
        "1_0",
        " 1 2",
        "",
    ],
)
def test_invalid_request_timeout_is_ignored_or_refused(server: TargetServer, value: str) -> None:
    reply = server.post(PHOTO, X_Request_Timeout=value)
    assert reply.status in (200, 400), reply.raw
    reply.check(reply.status, None if reply.status == 200 else "bad_request")


OTHER_PROTOCOLS = {
    "HTTP/2": b"PRI * HTTP/2.0\r\nConnection: close\r\n\r\nSM\r\n\r\n",
    "TLS hello": bytes.fromhex("16030100c8010000c40303") + bytes(200) + b"\r\n\r\n",
    "SSH": b"SSH-2.0-x\r\n\r\n",
    "SOCKS": b"\5\1\0\r\n\r\n",
    "SMTP": b"EHLO x\r\n\r\n",
    "Redis": b"*1\r\n$4\r\nPING\r\n\r\n",
    "HTTP/0.9": b"GET /\r\n\r\n",
    "noise": bytes(range(256)) * 300,
}


@pytest.mark.parametrize("name", OTHER_PROTOCOLS)
def test_other_protocol_gets_a_json_error(server: TargetServer, name: str) -> None:
    replies = server.send_raw_all(OTHER_PROTOCOLS[name])
    assert replies[0].status in (200, 400, 404), replies[0].raw
    assert replies[0].headers["content-type"] == "application/json"


def test_pipelined_requests_get_their_responses_in_order(server: TargetServer) -> None:
    replies = server.send_raw_all(
        post(b"Content-Length: %d\r\n" % len(PHOTO), PHOTO) + get(b"/nowhere")
    )
    assert [reply.status for reply in replies] == [200, 404]


@pytest.mark.parametrize(
    ("name", "flood"),
    [
        ("blank lines", b"\r\n" * 4_500_000),
        ("requests", b"GET /health/live HTTP/1.1\r\n\r\n" * 300_000),
        ("broken requests", b"x\r\n\r\n" * 1_800_000),
    ],
)
def test_flood_on_one_connection_does_not_block_other_connections(
    server: TargetServer, name: str, flood: bytes
) -> None:
    """Check that one connection cannot block the event loop, which serves all connections."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as line:
        for at in range(0, len(flood), 1 << 20):
            with suppress(BrokenPipeError, ConnectionResetError):
                line.sendall(flood[at : at + (1 << 20)])
            server.check_reads_photo()


def test_incomplete_bodies_do_not_block_other_requests(server: TargetServer) -> None:
    connections: list[http.client.HTTPConnection] = []
    for _ in range(50):
        connection = server.connect()
        connection.putrequest("POST", "/predict")
        connection.putheader("Content-Length", "9000000")
        connection.endheaders()
        connection.send(PHOTO)
        connections.append(connection)
    server.check_reads_photo()
    for connection in connections:
        connection.close()


def test_server_is_healthy_after_all_attacks(server: TargetServer) -> None:
    server.check_healthy(max_peak_mb=150)


def test_concurrent_gzip_bombs_share_one_memory_limit(server: TargetServer) -> None:
    """Check the memory of 80 concurrent bodies that inflate to 15 MB each."""
    server.reset_memory()
    compressed = gzip.compress(PHOTO + bytes(15_000_000 - len(PHOTO)), 9)
    with ThreadPoolExecutor(40) as clients:
        replies = list(
            clients.map(
                lambda at: server.post(compressed, "image/jpeg", Content_Encoding="gzip"),
                range(80),
            )
        )
    assert {reply.status for reply in replies} <= {413, 503}
    server.check_reads_photo()
    # The bodies of all requests together may take 300 MB. The rest of the growth is for decoding.
    assert server.grown_mb()[0] < 450
