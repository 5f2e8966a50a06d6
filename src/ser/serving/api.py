"""POST /predict: a recording in, JSON out.

curl --data-binary @recording.wav 'http://127.0.0.1:7860/predict?window=4&hop=1'
"""

import json
from functools import partial

from starlette.datastructures import QueryParams
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from ser.data.audio import Content, UnreadableAudio
from ser.errors import UserError
from ser.files import printable
from ser.inference.predictions import Form
from ser.serving.body import Body
from ser.serving.memory import Holding, MemoryBudget
from ser.serving.queue import RequestQueue
from ser.serving.responses import Refused, refusal
from ser.serving.service import PredictionService

OPTIONS = ("window", "hop")


class PredictEndpoint:
    """Predictions for programs, as an ASGI application."""

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
        self.form = Form.of(service.predictor)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The body is the file; the answers have the form of the lines that `ser predict output=x.jsonl` writes."""
        body = Body(Request(scope, receive), self.max_megabytes, self.timeout)
        with self.budget.holding(body.evict) as holding:
            try:
                response = await self.response(Request(scope), body, holding)
            except ClientDisconnect:
                return
            except (Refused, UnreadableAudio, UserError) as error:
                holding.release()
                response = refusal(error)
            await body.discard()  # not above, where the error's traceback keeps what has been read
            await response(scope, receive, send)

    async def response(self, request: Request, body: Body, holding: Holding) -> Response:
        """Read the body, then wait for the prediction; the answer takes the place of the body in the budget."""
        stretches = stretches_of(request.query_params)
        if request.headers.get("content-type", "").startswith("multipart/"):
            raise Refused(415, "send the file itself as the body: curl --data-binary @recording.wav URL")
        work = partial(self.answer, await body.whole(holding), stretches)
        with self.queue.slot():
            content = await self.queue.submit(work)
        del work  # and the recording with it
        holding.resize(len(content))
        return Response(content, media_type="application/json")

    def answer(self, recording: Content, stretches: tuple[float, float] | None) -> bytes:
        """The JSON of the answers; made in the worker's thread, since an hour of windows takes a while."""
        answers = [self.service.whole(recording)] if stretches is None else self.service.windows(recording, *stretches)
        content = {"answers": [self.form.as_dict(answer) for answer in answers]}
        return json.dumps(content, ensure_ascii=False, allow_nan=False).encode()

    async def health(self, request: Request) -> Response:
        """That the server answers, which emotions it predicts, and how many requests it is busy with."""
        return JSONResponse({"emotions": self.form.labels, "busy": self.queue.taken})


def stretches_of(given: QueryParams) -> tuple[float, float] | None:
    """Window and hop of a query; None where the recording is to be answered as one.

    Raises:
        UserError: another option, one that is given twice, or one that is no number.
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
