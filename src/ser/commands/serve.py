"""ser serve checkpoint=runs/..."""

import logging
import socket
from pathlib import Path

from ser import config, console
from ser.extras import check_installed
from ser.inference.predictor import Predictor
from ser.models.arithmetic import faster_float32, few_kept_shapes
from ser.serving.place import address_of, bound, private_folder

log = logging.getLogger("ser")


def serve(cfg: config.Serve) -> None:
    """Answer recordings on a web page and by POST /predict, until Ctrl-C.

    Raises:
        UserError: no checkpoint, no free address, or no Gradio.
    """
    check_installed("serve", "gradio")
    console.start_logging()
    console.quiet_transformers()
    few_kept_shapes()
    faster_float32()
    with bound(cfg.host, cfg.port) as listening, private_folder() as folder:
        answer(cfg, Predictor.of(cfg.checkpoint, cfg.combine, cfg.batch_size), listening, folder)


def answer(cfg: config.Serve, predictor: Predictor, listening: socket.socket, folder: Path) -> None:
    """Put the page and the API together, and run them."""
    # Only now: they import Gradio.
    from ser.serving.api import Api
    from ser.serving.doors import Doors, is_local
    from ser.serving.evidence import evidence
    from ser.serving.listener import Listener
    from ser.serving.page import Page
    from ser.serving.server import application, run
    from ser.serving.turns import Turns
    from ser.serving.uploads import Uploads

    listener = Listener(predictor, cfg.longest, cfg.max_minutes)
    turns = Turns(cfg.queue)
    uploads = Uploads(folder, turns.places, cfg.patience)
    api = Api(listener, turns, cfg.max_megabytes, cfg.patience)
    page = Page(listener, turns, uploads, cfg.window, cfg.hop)
    blocks = page.blocks([evidence(member) for member in predictor.members], address_of(listening))
    doors = Doors(application(api, uploads, blocks), cfg.host, turns, uploads, cfg.max_megabytes)
    if not is_local(cfg.host):
        log.warning("host=%s: whoever reaches this address can ask; it has no password", cfg.host)
    run(doors, listening)
    turns.close()
