"""ser push checkpoint=runs/... repo=USER/NAME"""  # noqa: D415

from ser import config, console
from ser.publish.push import push_run


def push(cfg: config.Push) -> None:
    """Send the checkpoint of a finished run to the hub, with a card that says what its number is worth."""
    console.start_logging()
    console.quiet_transformers()
    push_run(cfg)
