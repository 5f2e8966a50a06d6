"""ser serve checkpoint=runs/..."""

import logging
import socket
from functools import partial
from pathlib import Path

from ser import config, console
from ser.errors import Interrupted
from ser.extras import check_installed
from ser.garbage import keep_imported
from ser.inference.deferred_member import defer_checkpoints
from ser.inference.predictor import Predictor
from ser.serving.binding import address_of, bound, private_folder

log = logging.getLogger("ser")


def serve(cfg: config.Serve) -> None:
    """Answer recordings on a web page and by POST /predict, until Ctrl-C.

    Raises:
        UserError: no checkpoint, no free address, or no Gradio.
        Interrupted: Ctrl-C or SIGTERM before it answers; afterwards they are the way to end it.
    """
    check_installed("serve", "gradio")
    console.start_logging()
    try:
        with bound(cfg.host, cfg.port) as listening, private_folder() as folder:
            predictor = defer_checkpoints(cfg.checkpoint, cfg.ensemble, cfg.batch_size, cfg.temperature)
            answer(cfg, predictor, listening, folder)
    except KeyboardInterrupt as error:
        raise Interrupted("stopped before the server answered") from error
    log.info("stopped")


def answer(cfg: config.Serve, predictor: Predictor, listening: socket.socket, folder: Path) -> None:
    """Put the page and the API together, and run them."""
    with keep_imported():  # only now: they import Gradio
        from ser.serving.api import PredictEndpoint
        from ser.serving.hosts import Hosts, is_local
        from ser.serving.memory import MemoryBudget
        from ser.serving.middleware import SecurityMiddleware
        from ser.serving.model_summary import summarise
        from ser.serving.page import Page
        from ser.serving.queue import RequestQueue
        from ser.serving.server import application, run
        from ser.serving.service import PredictionService
        from ser.serving.uploads import Uploads

    queue = RequestQueue(cfg.queue)
    service = PredictionService(predictor, cfg.max_seconds, cfg.max_minutes, queue.stopping)
    budget = MemoryBudget(round(queue.slots * cfg.max_megabytes * 1e6))
    uploads = Uploads(folder / "gradio", budget, cfg.max_megabytes, cfg.timeout)
    predict = PredictEndpoint(service, queue, budget, cfg.max_megabytes, cfg.timeout)
    page = Page(service, queue, uploads, cfg.window, cfg.hop)
    public = f"https://{cfg.allowed_hosts[0]}" if cfg.allowed_hosts else address_of(listening)
    blocks = page.build([summarise(member) for member in predictor.members], public)
    hosts = Hosts.from_config(cfg.host, cfg.allowed_hosts)
    if not is_local(cfg.host):
        log.warning("host=%s: whoever reaches this address can ask; it has no password", cfg.host)
    app = SecurityMiddleware(application(predict, uploads, blocks), hosts, uploads, budget)
    run(app, listening, partial(queue.load, predictor.load))
    queue.close()
