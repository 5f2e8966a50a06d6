"""The page and the API as one application, from its first answer to Ctrl-C."""

import asyncio
import signal
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress

import gradio as gr
import uvicorn
from fastapi import FastAPI

from ser.serving.api import Api
from ser.serving.doors import App
from ser.serving.page import CSS, FONTS, MONO
from ser.serving.place import address_of
from ser.serving.uploads import FILE, Uploads

GRACE = 2
"""Seconds that open connections get at the end; a browser holds one for as long as it shows the page."""


def application(api: Api, uploads: Uploads, blocks: gr.Blocks) -> FastAPI:
    """The API, and below it Gradio's own application with everything off that the page does not need."""
    app = FastAPI(openapi_url=None, lifespan=swept(uploads))
    app.add_route("/predict", api.predict, methods=["POST"])
    app.add_route("/health", api.health, methods=["GET"])
    app.add_route(FILE + "{path:path}", uploads.played, methods=["GET"])
    gr.mount_gradio_app(
        app,
        blocks,
        path="/",
        footer_links=[],
        run_history=False,
        max_file_size=round(api.max_megabytes * 1e6),
        show_error=False,
        ssr_mode=False,
        enable_monitoring=False,
        pwa=False,
        mcp_server=False,
        theme=gr.themes.Base(font=FONTS, font_mono=MONO),
        css=CSS,
    )
    return app


def swept(uploads: Uploads) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    """Forget old uploads for as long as the application runs."""

    async def sweep() -> None:
        while True:
            uploads.sweep()
            await asyncio.sleep(uploads.patience / 2)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        task = asyncio.create_task(sweep())
        yield
        task.cancel()

    return lifespan


class Announced(uvicorn.Server):
    """Prints its address once it answers there."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start; only a program that waits for this line knows that it may ask."""
        await super().startup(sockets)
        assert sockets is not None
        print(address_of(sockets[0]), flush=True)


def run(app: App, listening: socket.socket) -> None:
    """Answer until Ctrl-C or SIGTERM, which both end it quietly and leave nothing behind."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    settings = uvicorn.Config(
        app,
        http="h11",
        log_level="error",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=GRACE,
        ws="none",
    )
    with suppress(KeyboardInterrupt):
        Announced(settings).run(sockets=[listening])
