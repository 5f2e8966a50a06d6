"""Prediction by the workers of a cluster: each decodes and predicts blocks of recordings, this process writes them."""

from collections.abc import Generator, Sequence
from dataclasses import replace
from functools import lru_cache, partial
from itertools import chain, repeat
from pathlib import Path

from ser import config, console
from ser.config import Ensemble
from ser.data.engines import MapInOrder
from ser.data.parallel import count_threads, use_threads
from ser.inference import blocks
from ser.inference.blocks import ADVICE, Block, decode, log_problems, predict_clips, predict_file, report_windows
from ser.inference.member import locate
from ser.inference.predictions import WindowPrediction
from ser.inference.predictor import Predictor, prepare_pytorch
from ser.inference.recordings import Recording, Recordings
from ser.inference.timeline_folder import TimelineFolder
from ser.inference.windows import chunks
from ser.out_of_memory import explaining_out_of_memory


def predict_on_workers(
    cfg: config.Predict,
    predictor: Predictor,
    recordings: Recordings,
    done: int,
    timelines: TimelineFolder | None,
    map_in_order: MapInOrder,
) -> Generator[Block, None, None]:
    """Yield the blocks of `predict_whole` or `predict_sliding`, with a progress bar."""
    size = blocks.recordings_at_once(predictor) if cfg.window is None else 1
    tasks = chunks(map(make_absolute, recordings[done:]), size)
    predicted = chain.from_iterable(map_in_order(partial(predict_task, send_config(cfg), count_threads()), tasks))
    with console.progress(predicted, "Predicting", len(recordings), done, "recordings") as shown:
        for number, some in enumerate(chunks(shown, size)):
            own = recordings[done + number * size :][: len(some)]
            if cfg.window is None:
                predictions = list(chain.from_iterable(some))
                log_problems(predictions)
                yield Block(own.names, predictions)
            else:
                yield Block(own.names, report_windows(own[0], some[0], timelines))


def make_absolute(recording: Recording) -> Recording:
    """Return a recording that another process finds, which has another current folder."""
    return replace(recording, path=Path.cwd() / recording.path)


def send_config(cfg: config.Predict) -> config.Predict:
    """Return the config with checkpoints that another process finds."""
    folders = [locate(given).absolute() for given in cfg.checkpoint]
    return replace(cfg, checkpoint=[str(folder) for folder in folders])


def predict_task(cfg: config.Predict, threads: int, recordings: Sequence[Recording]) -> list[list[WindowPrediction]]:
    """Return the predictions of each recording of a block, on a worker.

    Args:
        cfg: The config, with absolute paths.
        threads: Those of PyTorch in the local engine; with another number the last digits are others.
        recordings: The recordings, with absolute paths.
    """
    embeds, copies = cfg.embeddings is not None, cfg.test_time_copies
    predictor = open_predictor(tuple(cfg.checkpoint), cfg.ensemble, cfg.batch_size, embeds, copies, cfg.temperature)
    use_threads(threads)
    with explaining_out_of_memory(ADVICE.format(cfg.batch_size)):
        if cfg.window is not None:
            return [list(predict_file(cfg, predictor, recording)) for recording in recordings]
        decoded = list(map(decode, recordings, repeat(cfg.max_seconds)))
        return [[one] for one in predict_clips(predictor, decoded)]


@lru_cache(maxsize=1)
def open_predictor(
    checkpoints: tuple[str, ...], ensemble: Ensemble, batch_size: int, embeds: bool, copies: int, temperature: float
) -> Predictor:
    """Open checkpoints once in a worker, which predicts many blocks."""
    prepare_pytorch(checkpoints)
    return Predictor.from_checkpoints(checkpoints, ensemble, batch_size, embeds, copies, temperature)
