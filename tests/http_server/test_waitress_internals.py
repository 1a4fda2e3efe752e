"""Tests that the internals of waitress that keylike.http_server uses are unchanged.

A failure after an upgrade of waitress means that one of them has changed. Read the change, adapt
keylike/http_server if necessary, then update `PINNED` and
docs/decisions/0021-waitress-internals.md.
"""

from __future__ import annotations

import ast
import hashlib
import inspect
import re
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from waitress import wasyncore
from waitress.adjustments import Adjustments
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser, ParsingError
from waitress.receiver import ChunkedReceiver, FixedStreamReceiver
from waitress.server import TcpWSGIServer
from waitress.task import ErrorTask, ThreadedTaskDispatcher, WSGITask
from waitress.utilities import BadRequest

from keylike.http_server.tasks import CLIENT_DISCONNECTED_KEY

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "decisions" / "0021-waitress-internals.md"
PACKAGE = ROOT / "keylike" / "http_server"
# Attributes of keylike.http_server and of sockets that have the same name as one in waitress.
OWN_ATTRIBUTES = {
    "add",
    "bind",
    "family",
    "getfile",
    "getsockname",
    "getsockopt",
    "read",
    "recv",
    "run",
    "select",
    "send",
    "shutdown",
    "threads",
}

# Each internal of waitress that is used, with its description. Of a function that is the signature
# and a hash of the source. Of an attribute it is the default of the class, or the type of the value
# in an instance.
PINNED: dict[str, str] = {
    "wasyncore.loop": "(timeout=30.0, use_poll=False, map=None, count=None) 9c04aac11e1c",
    "wasyncore.close_all": "(map=None, ignore_all=False) 6b588549e991",
    "TcpWSGIServer.__init__": (
        "(self, application, map=None, _start=True, _sock=None, dispatcher=None, adj=None, "
        "sockinfo=None, bind_socket=True, **kw) e70a16b5b63c"
    ),
    "TcpWSGIServer.channel_class": "HTTPChannel",
    "TcpWSGIServer._map": "instance: dict",
    "TcpWSGIServer.accept": "(self) f74c690fd884",
    "TcpWSGIServer.accepting": "False",
    "TcpWSGIServer.active_channels": "instance: dict",
    "TcpWSGIServer.add_task": "(self, task) 19e994eb9cc9",
    "TcpWSGIServer.adj": "instance: Adjustments",
    "TcpWSGIServer.del_channel": "(self, map=None) adbc7e4cb5fc",
    "TcpWSGIServer.effective_port": "instance: str",
    "TcpWSGIServer.getsockname": "(self) a5b0971a52f7",
    "TcpWSGIServer.handle_accept": "(self) 69bfcf0fc140",
    "TcpWSGIServer.maintenance": "(self, now) 4ab5b7f595bc",
    "TcpWSGIServer.pull_trigger": "(self) bf12fa7216ed",
    "TcpWSGIServer.readable": "(self) 4eea9c1036b5",
    "TcpWSGIServer.set_socket_options": "(self, conn) 50d6e1ffff09",
    "TcpWSGIServer.socket": "instance: socket",
    "TcpWSGIServer.task_dispatcher": "instance: ThreadedTaskDispatcher",
    "ThreadedTaskDispatcher.shutdown": "(self, cancel_pending=True, timeout=5) f2550ddbfb8d",
    "HTTPChannel.__init__": "(self, server, sock, addr, adj, map=None) a194769af3fd",
    "HTTPChannel.parser_class": "HTTPRequestParser",
    "HTTPChannel.task_class": "WSGITask",
    "HTTPChannel.error_task_class": "ErrorTask",
    "HTTPChannel.adj": "instance: Adjustments",
    "HTTPChannel.check_client_disconnected": "(self) bc2391224c85",
    "HTTPChannel.close_when_flushed": "False",
    "HTTPChannel.connected": "False",
    "HTTPChannel.del_channel": "(self, map=None) a018ed85e5e5",
    "HTTPChannel.handle_close": "(self) 8f59b9aaa455",
    "HTTPChannel.handle_read": "(self) 5f1fb08c95aa",
    "HTTPChannel.handle_write": "(self) 6c900f395b30",
    "HTTPChannel.last_activity": "0",
    "HTTPChannel.outbuf_lock": "instance: Condition",
    "HTTPChannel.readable": "(self) e4722238ce60",
    "HTTPChannel.received": "(self, data) 08d6df73fb69",
    "HTTPChannel.request": "None",
    "HTTPChannel.requests": "instance: list",
    "HTTPChannel.requests_lock": "instance: lock",
    "HTTPChannel.server": "instance: SimpleNamespace",
    "HTTPChannel.service": "(self) f73afa13748e",
    "HTTPChannel.socket": "instance: socket",
    "HTTPChannel.total_outbufs_len": "0",
    "HTTPChannel.will_close": "False",
    "HTTPChannel.writable": "(self) d0cbd4ae1b3b",
    "HTTPRequestParser.__init__": "(self, adj) d43d0602efd2",
    "HTTPRequestParser.adj": "instance: Adjustments",
    "HTTPRequestParser.body_bytes_received": "0",
    "HTTPRequestParser.body_rcv": "None",
    "HTTPRequestParser.chunked": "False",
    "HTTPRequestParser.close": "(self) a29926ca4e2d",
    "HTTPRequestParser.command": "instance: str",
    "HTTPRequestParser.completed": "False",
    "HTTPRequestParser.error": "None",
    "HTTPRequestParser.expect_continue": "False",
    "HTTPRequestParser.get_body_stream": "(self) b85b308c5e42",
    "HTTPRequestParser.headers": "instance: dict",
    "HTTPRequestParser.parse_header": "(self, header_plus) c2c093b90178",
    "HTTPRequestParser.path": "instance: str",
    "HTTPRequestParser.received": "(self, data) b466c02de37d",
    "HTTPRequestParser.version": "'1.0'",
    "FixedStreamReceiver.buf": "instance: NoneType",
    "FixedStreamReceiver.getbuf": "(self) 415620d07790",
    "FixedStreamReceiver.received": "(self, data) 832afec9259f",
    "ChunkedReceiver.__len__": "(self) a4d0c6dd2eda",
    "ChunkedReceiver.buf": "instance: NoneType",
    "ChunkedReceiver.chunk_remainder": "0",
    "ChunkedReceiver.getbuf": "(self) 415620d07790",
    "ChunkedReceiver.received": "(self, s) ce28c1acbffe",
    "WSGITask.build_response_header": "(self) 2cf70b88816f",
    "WSGITask.channel": "instance: HTTPChannel",
    "WSGITask.get_environment": "(self) 3bb57be6c7db",
    "WSGITask.request": "instance: HTTPRequestParser",
    "WSGITask.set_close_on_finish": "(self) -> None 90433a0ffcaf",
    "ErrorTask.channel": "instance: HTTPChannel",
    "ErrorTask.content_length": "None",
    "ErrorTask.execute": "(self) 4abe3262db04",
    "ErrorTask.request": "instance: HTTPRequestParser",
    "ErrorTask.response_headers": "instance: list",
    "ErrorTask.set_close_on_finish": "(self) -> None 90433a0ffcaf",
    "ErrorTask.status": "'200 OK'",
    "ErrorTask.write": "(self, data) f9a97135b3b5",
    "BadRequest.code": "400",
}


@contextmanager
def instances() -> Iterator[dict[str, Any]]:
    """Yield one object of each used class of waitress, by class name."""
    with ExitStack() as stack:
        ours, _ = (stack.enter_context(each) for each in socket.socketpair())
        bound = stack.enter_context(socket.socket())
        bound.bind(("127.0.0.1", 0))
        adjustments = Adjustments(threads=0)
        server = SimpleNamespace(active_channels={}, adj=adjustments, effective_port=1)
        server.server_name = "x"
        channel = HTTPChannel(server, ours, ("", 0), adjustments, map={})
        parser = HTTPRequestParser(adjustments)
        parser.received(b"POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\n")
        listener = TcpWSGIServer(
            lambda environ, start: [],
            {},
            _sock=bound,
            adj=adjustments,
            sockinfo=(bound.family, bound.type, bound.proto, bound.getsockname()),
            bind_socket=False,
        )
        stack.callback(listener.trigger.close)
        yield {
            "wasyncore": wasyncore,
            "HTTPChannel": channel,
            "HTTPRequestParser": parser,
            "ParsingError": ParsingError(""),
            "FixedStreamReceiver": FixedStreamReceiver(1, None),
            "ChunkedReceiver": ChunkedReceiver(None),
            "TcpWSGIServer": listener,
            "ThreadedTaskDispatcher": ThreadedTaskDispatcher(),
            "WSGITask": WSGITask(channel, parser),
            "ErrorTask": ErrorTask(channel, parser),
            "BadRequest": BadRequest(""),
        }


def describe(name: str) -> str:
    """Describe an internal of the installed waitress, such as `HTTPChannel.received`."""
    owner, attribute = name.split(".")
    with instances() as objects:
        holder = objects[owner]
        value = getattr(holder if owner == "wasyncore" else type(holder), attribute, None)
        if callable(value) and not inspect.isclass(value):
            source = hashlib.sha256(inspect.getsource(value).encode()).hexdigest()
            return f"{inspect.signature(value)} {source[:12]}"
        if attribute in dir(type(holder)):
            return value.__name__ if inspect.isclass(value) else repr(value)
        return f"instance: {type(getattr(holder, attribute)).__name__}"


def attributes_in_use() -> set[str]:
    """Return the names of all attributes and methods in the source of keylike.http_server."""
    names = set()
    for path in PACKAGE.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute):
                names.add(node.attr)
            elif isinstance(node, ast.ClassDef):
                for each in node.body:
                    if isinstance(each, ast.FunctionDef):
                        names.add(each.name)
                    elif isinstance(each, ast.Assign):
                        names.update(n.id for n in each.targets if isinstance(n, ast.Name))
    return names


@pytest.mark.parametrize("name", PINNED)
def test_waitress_internal_is_unchanged(name: str) -> None:
    assert describe(name) == PINNED[name], f"waitress has changed {name}; see {PAGE.name}"


def test_decision_page_lists_exactly_the_pinned_internals() -> None:
    rows = [line for line in PAGE.read_text().splitlines() if line.startswith("| `")]
    listed = [name for row in rows for name in re.findall(r"`(\w+\.\w+)`", row.split(" | ")[0])]
    assert sorted(listed) == sorted(PINNED)


def test_every_used_internal_of_waitress_is_pinned() -> None:
    with instances() as objects:
        known = {name for each in objects.values() for name in dir(each)}
    known -= set(dir(Exception())) | set(dir(object()))
    pinned = {name.split(".")[1] for name in PINNED}
    assert (attributes_in_use() & known) - OWN_ATTRIBUTES - pinned == set()


def test_waitress_environment_has_the_keys_that_the_application_uses() -> None:
    with instances() as objects:
        environ = objects["WSGITask"].get_environment()
    assert environ["wsgi.input_terminated"] is True
    assert environ[CLIENT_DISCONNECTED_KEY]() is False
