"""Small corpora that a user describes: recordings below a folder, and their configs."""

import soundfile
from conftest import composed, tone

from ser import config
from ser.data.preparation import prepare

EMOTIONS = ("angry", "happy", "sad")


def write_recordings(root, speakers=("anna", "ben", "carl", "dora"), emotions=EMOTIONS, takes=2, rate=16000):
    """`SPEAKER/EMOTION/TAKE.wav`, each of another frequency; the paths relative to `root`."""
    paths = []
    for number, speaker in enumerate(speakers):
        for pitch, emotion in enumerate(emotions):
            for take in range(takes):
                path = root / speaker / emotion / f"{take}.wav"
                path.parent.mkdir(parents=True, exist_ok=True)
                frequency = 150 + 90 * pitch + 11 * number + 5 * take
                soundfile.write(path, tone(0.3 + 0.01 * number + 0.02 * take, rate, frequency), rate)
                paths.append(path.relative_to(root).as_posix())
    return paths


def folders(name="folders"):
    """The config of a corpus whose folders are emotions, below a folder for each speaker."""
    return config.Corpus(name, reader="folders", speaker="^([^/]+)/")


def prepare_folders(base, name, **options):
    """Write recordings, and prepare them into `base/NAME`."""
    write_recordings(base / f"{name}-recordings", **options)
    protocol = composed("train", "protocol=random", "protocol.test_fraction=0.3", "protocol.validation_fraction=null")
    prepare(folders(name), protocol.protocol, str(base / f"{name}-recordings"), str(base / name), config.Audit.warn)
    return base / name
