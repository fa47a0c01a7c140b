"""Serves the pages: settings, security headers and the one function that starts the web server."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import duckdb  # noqa: F401  # heavy libraries come in before serving: no reader waits for them
import pandas as pd  # noqa: F401
import pyarrow as pa  # noqa: F401
import streamlit as st
from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dashboard import theme

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; script-src 'self' 'unsafe-inline' 'wasm-unsafe-eval'; "
        "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
        "font-src 'self' data:; connect-src 'self'; worker-src 'self' blob:; "
        "object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), usb=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
LOCAL = ("localhost", "127.0.0.1", "[::1]")


class SecurityHeaders:
    """Adds the headers to every answer, so that a page can load nothing from elsewhere."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on and mark its answer."""

        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        await self.app(scope, receive, marked)


def settings(
    address: str, port: int, *, open_browser: bool, names: Sequence[str] = ()
) -> dict[str, Any]:
    """Return the Streamlit settings: hardened, quiet, in the colours of the house.

    ``names`` are further host names under which readers reach the server.
    """
    return {
        "server.address": address,
        "server.port": port,
        "server.headless": not open_browser,
        "server.showEmailPrompt": False,
        "server.allowedHosts": [*LOCAL, address, socket.gethostname(), *names],
        "server.enableCORS": True,
        "server.enableXsrfProtection": True,
        "server.enableStaticServing": False,
        "server.enableAgentApi": False,
        "server.fileWatcherType": "none",
        "server.maxUploadSize": 1,
        "browser.gatherUsageStats": False,
        "client.toolbarMode": "minimal",
        "client.showErrorDetails": "none",
        "client.showErrorLinks": False,
        "client.disableDataExport": True,  # exports go through text.csv_cell instead
        "runner.magicEnabled": False,
        "global.showWarningOnDirectExecution": False,
        "logger.level": "warning",
        **theme.settings(),
    }


@asynccontextmanager
async def ready(app: st.App) -> AsyncIterator[dict[str, object]]:
    """Bring the pages' modules in when the server starts, so that the first reader does not wait.

    Not sooner: before a server runs, Streamlit's caches warn that there is none.
    """
    del app
    for name in ("dashboard.health", "dashboard.panels"):
        import_module(name)
    yield {}


def serve(
    store: Path,
    address: str = "127.0.0.1",
    port: int = 8501,
    open_browser: bool = True,  # noqa: FBT001, FBT002
    names: Sequence[str] = (),
) -> None:
    """Serve the findings in a store folder until stopped.

    The folder may be empty: the pages then tell which command fills it.
    """
    app = st.App(
        Path(__file__).with_name("app.py"),
        secrets={"store": str(store.resolve())},
        middleware=[Middleware(SecurityHeaders)],
        lifespan=ready,
    )
    app.run(config=settings(address, port, open_browser=open_browser, names=names))
