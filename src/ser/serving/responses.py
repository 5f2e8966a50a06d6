"""Error responses of the server: one line of JSON for every error."""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from ser.data.containers import UnreadableAudio
from ser.errors import UserError


class Refused(Exception):
    """A refused request; the message gives the reason in one line."""

    def __init__(self, status: int, reason: str, wait: int | None = None) -> None:
        super().__init__(reason)
        self.status = status
        self.headers = {} if wait is None else {"Retry-After": str(wait)}


def refusal(error: Refused | UnreadableAudio | UserError) -> JSONResponse:
    """Return the response for a refused request, unreadable audio or a user's error."""
    if isinstance(error, Refused):
        return JSONResponse({"error": str(error)}, error.status, error.headers)
    return JSONResponse({"error": str(error)}, 422 if isinstance(error, UnreadableAudio) else 400)


async def http_error(request: Request, error: Exception) -> JSONResponse:
    """Return the errors of Starlette and Gradio in the same format."""
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": " ".join(str(error.detail).split())}, error.status_code, error.headers)


async def form_error(request: Request, error: Exception) -> JSONResponse:
    """Return one line for a request that Gradio's models reject; FastAPI would return pages of reasons."""
    assert isinstance(error, RequestValidationError)
    return JSONResponse({"error": "this is no event of the page"}, 422)


async def server_error(request: Request, error: Exception) -> JSONResponse:
    """Return an error for a failure of the server; Starlette re-raises it, so uvicorn logs its traceback."""
    return JSONResponse({"error": "the server failed on this request; its log says why"}, 500)


Handler = Callable[[Request, Exception], Coroutine[Any, Any, Response]]

HANDLERS: dict[int | type[Exception], Handler] = {
    HTTPException: http_error,
    RequestValidationError: form_error,
    Exception: server_error,
}
"""Exception handlers for a Starlette or FastAPI application."""
