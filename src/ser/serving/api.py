"""POST /predict: a recording in, JSON out.

curl --data-binary @recording.wav 'http://127.0.0.1:7860/predict?window=4&hop=1'
"""

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from ser.data.audio import UnreadableAudio
from ser.data.found import printable
from ser.errors import UserError
from ser.inference.answers import Answer, Form
from ser.serving.body import Body, Gone
from ser.serving.listener import Listener
from ser.serving.turns import Refused, Turns

OPTIONS = ("window", "hop")


class Api:
    """Answers programs."""

    def __init__(self, listener: Listener, turns: Turns, max_megabytes: float, patience: float) -> None:
        self.listener = listener
        self.turns = turns
        self.max_megabytes = max_megabytes
        self.patience = patience
        self.form = Form.of(listener.predictor)

    async def predict(self, request: Request) -> Response:
        """The body is the file; the answers have the form of the lines that `ser predict output=x.jsonl` writes."""
        body = Body(request.receive, self.max_megabytes, self.patience)
        try:
            with self.turns.place():
                answers = await self.answers(request, body)
        except Gone:
            return Response(status_code=400)  # nobody hears it
        except (Refused, UnreadableAudio, UserError) as error:
            await body.discard()
            return refusal(error)
        return JSONResponse({"answers": [self.form.as_dict(answer) for answer in answers]})

    async def answers(self, request: Request, body: Body) -> list[Answer]:
        stretches = stretches_of(request.query_params)
        if request.headers.get("content-type", "").startswith("multipart/"):
            raise Refused(415, "send the file itself as the body: curl --data-binary @recording.wav URL")
        recording = await body.whole()
        if stretches is None:
            return [await self.turns.run(lambda: self.listener.whole(recording))]
        window, hop = stretches
        return await self.turns.run(lambda: self.listener.windows(recording, window, hop))

    async def health(self, request: Request) -> Response:
        """That the server answers, what it can say, and how many requests it is busy with."""
        return JSONResponse({"emotions": self.form.labels, "busy": self.turns.taken})


def refusal(error: Refused | UnreadableAudio | UserError) -> JSONResponse:
    """Why there is no answer, in one line."""
    if isinstance(error, Refused):
        return JSONResponse({"error": str(error)}, error.status, error.headers)
    return JSONResponse({"error": str(error)}, 422 if isinstance(error, UnreadableAudio) else 400)


def stretches_of(given: QueryParams) -> tuple[float, float] | None:
    """Window and hop of a query; None where the recording is to be answered as one.

    Raises:
        UserError: another option, or one that is no number.
    """
    if unknown := [name for name in given if name not in OPTIONS]:
        raise UserError(f"{printable(unknown[0])}: no such option; choices: {', '.join(OPTIONS)}")
    try:
        values = {name: float(value) for name, value in given.items()}
    except ValueError as error:
        raise UserError(f"{given}: window and hop are seconds") from error
    if "window" not in values:
        if values:
            raise UserError("hop needs a window, such as window=4")
        return None
    return values["window"], values.get("hop", values["window"])
