"""Real log writers on loopback: Squid, BIND and dnsmasq, started, driven and stopped again.

Everything stays on 127.0.0.0/8, of which Linux answers every address, so each client of a test
has an address of its own. Squid finds its names in a hosts file and BIND serves no zone: no
packet leaves the machine. As root the servers run as ``nobody``; each is stopped by its own pid.
"""

from __future__ import annotations

import base64
import http.client
import os
import secrets
import shutil
import socket
import struct
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

DNS_TYPES = {"A": 1, "TXT": 16, "AAAA": 28, "HTTPS": 65}
START_SECONDS = 20.0
REPLY_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Ask:
    """One request of one client: a DNS question, or a page through the proxy."""

    client: str
    """Source address in 127.0.0.0/8."""
    host: str
    kind: str
    """A DNS type for a name server; ``GET`` or ``CONNECT`` for the proxy."""
    user: str | None = None
    """Proxy user name; None for DNS."""


@dataclass(frozen=True, slots=True)
class Server:
    """A server that is running, where to reach it and where it writes."""

    address: tuple[str, int]
    folder: Path
    pid: int


def find_program(name: str) -> Path | None:
    """Find an executable on PATH or in the sbin folders, which users seldom have on it."""
    found = shutil.which(name, path=os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin")))
    return None if found is None else Path(found)


@contextmanager
def _folder() -> Iterator[Path]:
    """Give a folder that the server's user can enter, which pytest's tmp_path is not."""
    folder = Path(tempfile.mkdtemp(prefix="sundial-server-"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _unconfined(program: Path, folder: Path) -> Path:
    """Copy a program into our folder: AppArmor ties its profiles to /usr/sbin, not to the file."""
    copy = folder / program.name
    shutil.copy(program, copy)
    copy.chmod(0o755)
    return copy


def _own(folder: Path) -> dict[str, Any]:
    """Hand the folder to ``nobody`` when we are root, and say how to start as that user."""
    if os.geteuid() != 0:
        return {}
    for path in (folder, *folder.iterdir()):
        shutil.chown(path, "nobody", "nogroup")
    return {"user": "nobody", "group": "nogroup", "extra_groups": []}


@contextmanager
def _running(argv: list[str], folder: Path, port: int, ready: tuple[Path, str]) -> Iterator[Server]:
    """Run a server until the block ends; ``ready`` is a file and the text it shows when up."""
    output = folder / "output.txt"
    with output.open("wb") as sink:
        process = subprocess.Popen(
            argv,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            # A server that writes local time without a zone must not depend on this machine's.
            env={"PATH": os.environ.get("PATH", ""), "TZ": "UTC"},
            **_own(folder),
        )
    try:
        wait_for_text(*ready, process)
        yield Server(("127.0.0.1", port), folder, process.pid)
    finally:
        process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_for_text(path: Path, text: str, process: subprocess.Popen[bytes] | None = None) -> None:
    """Wait until a file holds a text; raises RuntimeError with the server's output if it dies."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if path.exists() and text in path.read_text(errors="replace"):
            return
        if process is not None and process.poll() is not None:
            break
        time.sleep(0.02)
    shown = "\n".join(
        f"--- {name.name}\n{name.read_text(errors='replace')[-2000:]}"
        for name in sorted({path, path.parent / "output.txt"})
        if name.exists()
    )
    message = f"{text!r} did not appear in {path}\n{shown}"
    raise RuntimeError(message)


def wait_for_lines(path: Path, count: int) -> None:
    """Wait until a log holds ``count`` whole lines; raises RuntimeError if it never does."""
    deadline = time.monotonic() + REPLY_SECONDS
    while time.monotonic() < deadline:
        if path.exists() and path.read_bytes().count(b"\n") >= count:
            return
        time.sleep(0.02)
    message = f"{path} has fewer than {count} lines: {path.read_text() if path.exists() else None}"
    raise RuntimeError(message)


def free_port() -> int:
    """Find a port that is free for TCP and UDP on loopback at this moment."""
    while True:
        with closing(socket.socket(socket.AF_INET, socket.SOCK_STREAM)) as tcp:
            tcp.bind(("127.0.0.1", 0))
            port: int = tcp.getsockname()[1]
            with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as udp:
                try:
                    udp.bind(("127.0.0.1", port))
                except OSError:
                    continue
                return port


@contextmanager
def origin(body: bytes) -> Iterator[int]:
    """Serve ``body`` at every path of a loopback web server; yields its port."""

    class Page(BaseHTTPRequestHandler):
        """Answers every GET alike and writes nothing to stderr."""

        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (their name)
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def squid(program: Path, hosts: Iterable[str], refused: Iterable[str]) -> Iterator[Server]:
    """Run Squid with basic authentication; it writes ``access.log`` and ``combined.log``.

    Every one of ``hosts`` is 127.0.0.1 to it; ``refused`` domains get 403 and TCP_DENIED.
    """
    port = free_port()
    with _folder() as folder:
        (folder / "hosts").write_text(f"127.0.0.1 {' '.join(sorted(set(hosts)))}\n")
        conf = folder / "squid.conf"
        conf.write_text(f"""\
http_port 127.0.0.1:{port}
pid_filename none
max_filedescriptors 1024
cache deny all
cache_mem 8 MB
netdb_filename none
coredump_dir {folder}
cache_log {folder}/cache.log
access_log stdio:{folder}/access.log logformat=squid
access_log stdio:{folder}/combined.log logformat=combined
buffered_logs off
hosts_file {folder}/hosts
dns_nameservers 127.0.0.1
pinger_enable off
shutdown_lifetime 0 seconds
visible_hostname proxy.example
auth_param basic program {_fake_auth(program)}
auth_param basic children 1 startup=1
auth_param basic realm proxy
acl people proxy_auth REQUIRED
acl refused dstdomain {" ".join(f".{domain}" for domain in refused)}
http_access deny !people
http_access deny refused
http_access allow people
http_access deny all
""")
        ready = folder / "cache.log", "Accepting HTTP Socket connections"
        with _running([str(program), "-N", "-f", str(conf)], folder, port, ready) as server:
            yield server


def _fake_auth(program: Path) -> Path:
    """Find Squid's helper that believes every password; Debian has it in /usr/lib/squid."""
    places = [program.parent.parent / lib / "squid" for lib in ("lib", "lib64", "libexec")]
    for place in places:
        if (place / "basic_fake_auth").exists():
            return place / "basic_fake_auth"
    message = f"basic_fake_auth of Squid is in none of {', '.join(map(str, places))}"
    raise RuntimeError(message)


def fetch(proxy: tuple[str, int], ask: Ask, port: int) -> tuple[int, bytes]:
    """Get a page of ``ask.host`` through the proxy; returns the proxy's status and the body."""
    connection = http.client.HTTPConnection(
        *proxy, timeout=REPLY_SECONDS, source_address=(ask.client, 0)
    )
    headers = {}
    if ask.user is not None:
        token = base64.b64encode(f"{ask.user}:secret".encode()).decode()
        headers["Proxy-Authorization"] = f"Basic {token}"
    with closing(connection):
        if ask.kind == "GET":
            connection.request("GET", f"http://{ask.host}:{port}/a/path?q=1", headers=headers)
            response = connection.getresponse()
            return response.status, response.read()
        connection.set_tunnel(ask.host, port, headers)
        try:
            connection.request("GET", "/")
        except OSError as refused:  # the only place where http.client tells a tunnel's status
            return int(str(refused).split()[3]), b""
        return 200, connection.getresponse().read()


@contextmanager
def bind(
    program: Path, view: str | None = None, zone: tuple[str, str] | None = None
) -> Iterator[Server]:
    """Run BIND, which refuses every question and logs it to ``query.log`` and ``iso.log``.

    ``query.log`` has local time, category and severity; ``iso.log`` has only a time in UTC.
    A ``zone``, name and records, is answered for.
    """
    port = free_port()
    with _folder() as folder:
        served = ""
        if zone is not None:
            (folder / "zone").write_text(zone[1])
            served = f'zone "{zone[0]}" {{ type primary; file "zone"; }};'
        conf = folder / "named.conf"
        conf.write_text(f"""\
options {{
    directory "{folder}";
    listen-on port {port} {{ 127.0.0.1; }};
    listen-on-v6 {{ none; }};
    pid-file none;
    lock-file none;
    session-keyfile "{folder}/session.key";
    recursion no;
    allow-query {{ any; }};
    dnssec-validation no;
    empty-zones-enable no;
    querylog yes;
}};
controls {{ }};
logging {{
    channel general {{ file "general.log"; severity info; }};
    channel plain {{ file "query.log"; print-time yes; print-category yes; print-severity yes; }};
    channel iso {{ file "iso.log"; print-time iso8601-utc; }};
    category default {{ general; }};
    category queries {{ plain; iso; }};
}};
{f'view "{view}" {{ match-clients {{ any; }}; }};' if view else served}
""")
        argv = [str(_unconfined(program, folder)), "-f", "-n", "1", "-c", str(conf)]
        with _running(argv, folder, port, (folder / "general.log", "running")) as server:
            yield server


@contextmanager
def dnsmasq(
    program: Path,
    *,
    extra: bool,
    cname: tuple[str, str] | None = None,
    upstream: str | None = None,
) -> Iterator[Server]:
    """Run dnsmasq, which answers 127.0.0.1 to everything and logs to ``dnsmasq.log``.

    With ``cname`` the one name is answered by the other; with ``upstream`` (address and port with a
    # between) all is asked there.
    """
    answers = ["--address=/#/127.0.0.1"]
    if cname is not None:
        answers = [f"--cname={','.join(cname)}", f"--host-record={cname[1]},127.0.0.9"]
    if upstream is not None:
        answers = [f"--server={upstream}"]
    port = free_port()
    with _folder() as folder:
        log = folder / "dnsmasq.log"
        argv = [
            str(_unconfined(program, folder)),
            "--keep-in-foreground",
            "--conf-file=/dev/null",
            "--no-resolv",
            "--no-hosts",
            "--pid-file=",
            f"--port={port}",
            "--listen-address=127.0.0.1",
            "--bind-interfaces",
            *answers,
            "--log-queries=extra" if extra else "--log-queries",
            f"--log-facility={log}",
        ]
        with _running(argv, folder, port, (log, "started")) as server:
            yield server


def query(server: tuple[str, int], ask: Ask) -> int:
    """Ask a name server over UDP; returns the response code (0 no error, 5 refused)."""
    return answer(server, ask)[3] & 0x0F


def answer(server: tuple[str, int], ask: Ask) -> bytes:
    """Ask a name server over UDP; returns its message."""
    number = secrets.randbelow(1 << 16)
    labels = b"".join(bytes([len(label)]) + label.encode() for label in ask.host.split("."))
    header = struct.pack("!6H", number, 0x0100, 1, 0, 0, 0)
    packet = header + labels + b"\0" + struct.pack("!2H", DNS_TYPES[ask.kind], 1)
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as udp:
        udp.bind((ask.client, 0))
        udp.settimeout(REPLY_SECONDS)
        udp.sendto(packet, server)
        reply, _ = udp.recvfrom(4096)
    if reply[:2] != header[:2]:
        message = f"{server} answered another question than {ask}"
        raise RuntimeError(message)
    return reply
