"""The API: POST /predict takes a recording and returns JSON.

curl --data-binary @recording.wav 'http://127.0.0.1:7860/predict?window=4&hop=1'
"""

import json
from functools import partial

from starlette.datastructures import QueryParams
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from ser.data.audio_file import Content
from ser.data.containers import UnreadableAudio
from ser.errors import UserError
from ser.files import printable
from ser.inference.output_format import OutputFormat
from ser.serving.body import Body
from ser.serving.memory import Holding, MemoryBudget
from ser.serving.queue import RequestQueue
from ser.serving.responses import Refused, refusal
from ser.serving.service import PredictionService

OPTIONS = ("window", "hop")


class PredictEndpoint:
    """The ASGI application of the API."""

    def __init__(
        self,
        service: PredictionService,
        queue: RequestQueue,
        budget: MemoryBudget,
        max_megabytes: float,
        timeout: float,
    ) -> None:
        self.service = service
        self.queue = queue
        self.budget = budget
        self.max_megabytes = max_megabytes
        self.timeout = timeout
        self.output_format = OutputFormat.from_predictor(service.predictor)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Predict the file in the body; the response has the content that `ser predict output=x.jsonl` writes."""
        body = Body(Request(scope, receive), self.max_megabytes, self.timeout)
        with self.budget.holding(body.evict) as holding:
            try:
                response = await self.response(Request(scope), body, holding)
            except ClientDisconnect:
                return
            except (Refused, UnreadableAudio, UserError) as error:
                holding.release()
                response = refusal(error)
            await body.discard()  # not in the handler, where the error's traceback keeps the received data alive
            await response(scope, receive, send)

    async def response(self, request: Request, body: Body, holding: Holding) -> Response:
        """Read the body, then wait for the prediction; the response replaces the body in the memory budget."""
        window_and_hop = parse_window(request.query_params)
        if request.headers.get("content-type", "").startswith("multipart/"):
            raise Refused(415, "send the file itself as the body: curl --data-binary @recording.wav URL")
        work = partial(self.compute, await body.whole(holding), window_and_hop)
        with self.queue.slot():
            content = await self.queue.submit(work)
        del work  # which also releases the recording
        holding.resize(len(content))
        return Response(content, media_type="application/json")

    def compute(self, recording: Content, window_and_hop: tuple[float, float] | None) -> bytes:
        """Predict and return the JSON; runs in the worker thread, because encoding an hour of windows is slow."""
        if window_and_hop is None:
            windows = [self.service.predict(recording)]
        else:
            windows = self.service.predict_windows(recording, *window_and_hop)
        content = {"answers": [self.output_format.as_dict(window) for window in windows]}
        return json.dumps(content, ensure_ascii=False, allow_nan=False).encode()

    async def health(self, request: Request) -> Response:
        """Report the emotions, the number of requests in progress, and whether the network is loaded."""
        state = {"busy": self.queue.taken, "loaded": self.queue.is_loaded}
        return JSONResponse({"emotions": self.output_format.labels, **state})


def parse_window(given: QueryParams) -> tuple[float, float] | None:
    """Return window and hop of a query; None where the recording is predicted as a whole.

    Raises:
        UserError: An option is unknown, is given twice or is not a number.
    """
    if unknown := [name for name in given if name not in OPTIONS]:
        raise UserError(f"{printable(unknown[0])}: no such option; choices: {', '.join(OPTIONS)}")
    for name in given:
        if len(twice := given.getlist(name)) > 1:
            raise UserError(f"{name}={printable(','.join(twice))}: give it once")
    try:
        values = {name: float(value) for name, value in given.items()}
    except ValueError as error:
        raise UserError(f"{printable(str(given))}: window and hop are seconds") from error
    if "window" not in values:
        if values:
            raise UserError("hop needs a window, such as window=4")
        return None
    return values["window"], values.get("hop", values["window"])
