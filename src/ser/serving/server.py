"""The page and the API as one application, served until Ctrl-C."""

import asyncio
import logging
import socket
from collections.abc import Callable
from contextlib import suppress

import gradio as gr
import uvicorn
from fastapi import FastAPI
from starlette.routing import Route
from starlette.types import ASGIApp

from ser.serving.api import PredictEndpoint
from ser.serving.binding import address_of
from ser.serving.connections import HEADER_BYTES, BoundedProtocol
from ser.serving.page import CSS, FONTS, MONO
from ser.serving.responses import HANDLERS
from ser.serving.uploads import FILE, Uploads

GRACE = 2
"""Seconds that open connections get at shutdown; a browser keeps one open while it shows the page."""
SESSIONS = 100
"""Open pages whose latest panel Gradio keeps in memory, perhaps with a figure; Gradio's default is 10 000."""


def application(predict: PredictEndpoint, uploads: Uploads, blocks: gr.Blocks) -> FastAPI:
    """Return the application: the API, and Gradio's application without the features that the page does not need."""
    app = FastAPI(openapi_url=None, exception_handlers=HANDLERS)
    app.router.routes.append(Route("/predict", predict))
    app.add_route("/health", predict.health, methods=["GET"])
    app.add_route("/gradio_api/upload", uploads.receive, methods=["POST"])
    app.add_route("/gradio_api/upload_progress", uploads.progress, methods=["GET"])
    app.add_route(FILE + "{path:path}", uploads.play, methods=["GET"])
    blocks.state_session_capacity = SESSIONS
    gr.mount_gradio_app(
        app,
        blocks,
        path="/",
        app_kwargs={"exception_handlers": HANDLERS},
        footer_links=[],
        run_history=False,
        max_file_size=round(uploads.max_megabytes * 1e6),
        show_error=False,
        ssr_mode=False,
        enable_monitoring=False,
        pwa=False,
        mcp_server=False,
        theme=gr.themes.Base(font=FONTS, font_mono=MONO),
        css=CSS,
    )
    # The page sends requests to the address in the browser, as in Colab, instead of the one behind a proxy.
    blocks.config["is_colab"] = True
    return app


Load = Callable[[Callable[[], None]], None]
"""Begins to load the network; it calls the given function where that fails."""


class Announced(uvicorn.Server):
    """A uvicorn server that prints its address once it accepts requests, and shuts down without tracebacks."""

    def __init__(self, settings: uvicorn.Config, load: Load) -> None:
        super().__init__(settings)
        self.load = load

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start and print the address, so that a program can wait for this line before its first request."""
        await super().startup(sockets)
        assert sockets is not None
        print(address_of(sockets[0]), flush=True)
        self.load(self.stop)

    def stop(self) -> None:
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop without uvicorn's log, which would have a traceback for each aborted request."""
        logging.getLogger("uvicorn.error").disabled = True
        await super().shutdown(sockets)


def run(app: ASGIApp, listening: socket.socket, load: Load) -> None:
    """Serve until Ctrl-C or SIGTERM, or until the network cannot be loaded.

    Args:
        app: The application.
        listening: The bound socket.
        load: Called when the server accepts requests: imports in two threads at once would delay the first answer.
    """
    settings = uvicorn.Config(
        app,
        http=BoundedProtocol,
        h11_max_incomplete_event_size=HEADER_BYTES,
        proxy_headers=False,  # any client can send them
        log_level="error",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=GRACE,
        ws="none",
    )
    with suppress(KeyboardInterrupt, asyncio.CancelledError):
        Announced(settings, load).run(sockets=[listening])
