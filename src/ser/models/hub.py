"""Where a pretrained checkpoint comes from: a local folder, the cache of the hub, or the hub itself.

A repository of the hub is downloaded first and then read like any other local folder. Left to itself the library's
loader fetches file by file: it takes a hub that dies in between for a repository without weights, tries a dead one for
half a minute, and has a third party convert a repository without safetensors, in a thread that nobody asked for.
"""

import json
import logging
import pickle
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any
from zipfile import is_zipfile

from huggingface_hub import errors, get_session, hf_hub_download, snapshot_download
from huggingface_hub.errors import HTTPError  # type: ignore[attr-defined]  # of httpx or httpx2, whichever it uses
from safetensors import SafetensorError

from ser.errors import UserError
from ser.models.file_names import CONFIG, EXPORTED, PICKLED, SAFE, TEXTS, WEIGHTS, local_path

log = logging.getLogger("ser")

SILENCE = 60.0
"""Seconds without a response after which the hub counts as gone; its client sets no limit for some requests."""
NONSENSE = (AssertionError, AttributeError, KeyError, TypeError, json.JSONDecodeError)
"""Errors of the client for a malformed response."""


def load_pretrained(from_pretrained: Any, source: str, **options: Any) -> Any:
    """Call a loader of transformers; turn its errors into one line.

    Raises:
        UserError: no such folder, no such repository, no access, no network, or a broken file.
    """
    folder = local_path(source)
    if folder.is_dir():
        check_folder(folder)
    elif not is_hub_name(source):
        raise UserError(missing_folder_message("model.pretrained", source))
    else:
        # Only a loader that is handed a config reads weights: a wrong kind of model is refused before the gigabytes.
        folder = download(source, whole="config" in options, key="model.pretrained")
        source = f"{source} (in {folder})"
        check_config(folder)
    try:
        return from_pretrained(str(folder), trust_remote_code=False, **options)
    except SafetensorError as error:
        raise UserError(f"{source}: broken safetensors, or a git-lfs pointer ({error}); get them again") from error
    except (pickle.UnpicklingError, EOFError) as error:
        raise UserError(f"{source}: pytorch_model.bin is broken or holds more than tensors; it was not run") from error
    except (OSError, ValueError, errors.StrictDataclassError) as error:
        # Nearly always the checkpoint is at fault. Should it be the code, run.log has the traceback.
        log.error("%s: %s", source, type(error).__name__, exc_info=error, extra={"file_only": True})
        raise UserError(f"{source}: {' '.join(str(error).split()).split('. ')[0]}") from error


def find_checkpoint(given: str) -> Path:
    """Return the checkpoint in a run folder, or the folder itself.

    Raises:
        UserError: there is no such folder, or it holds several runs.
    """
    folder = local_path(given)
    if not folder.is_dir():
        raise UserError(missing_folder_message("checkpoint", given))
    if several := sorted(path.parent.name for path in folder.glob("[!.]*/checkpoint")):
        raise UserError(f"checkpoint={given}: it holds several runs; choices: {', '.join(several)} below it")
    if (folder / "checkpoint").is_dir():
        return folder / "checkpoint"
    if not (folder / CONFIG).is_file() and (steps := [path.name for path in folder.glob("checkpoint-*")]):
        raise UserError(f"checkpoint={given}: the run is not finished; choices: {', '.join(sorted(steps))} in it")
    return folder


def find_or_download_checkpoint(given: str) -> Path:
    """Return the checkpoint in a run folder, the folder itself, or where a repository of the hub is kept locally.

    Raises:
        UserError: there is no such folder, it holds several runs, or the hub does not give it.
    """
    return download(given, whole=True, key="checkpoint") if is_hub_name(given) else find_checkpoint(given)


def missing_folder_message(key: str, given: str) -> str:
    """Say that a folder is not there, and which one has nearly the same name."""
    path = local_path(given)
    beside = [entry.name for entry in path.parent.iterdir() if entry.is_dir()] if path.parent.is_dir() else []
    near = get_close_matches(path.name, beside, n=1)
    return f"{key}={given}: there is no such folder" + (f"; is it {path.parent / near[0]}?" if near else "")


def is_hub_name(given: str) -> bool:
    """Return whether a text that was typed names a repository of the hub.

    It looks like one, and neither it nor its first part is a local folder: `runs/misspelt` is not asked for elsewhere.
    """
    return looks_like_hub_name(given) and not Path(given.split("/")[0]).is_dir()


def looks_like_hub_name(given: str) -> bool:
    """Return whether a text could name a repository, whatever folders there are.

    >>> [looks_like_hub_name(text) for text in ("facebook/hubert-base-ls960", "./runs/x", "runs/x/", "~/x", "/data/x")]
    [True, False, False, False, False]
    """
    return given.count("/") == 1 and not given.startswith((".", "/", "~")) and not given.endswith("/")


def portable_source(given: str | None) -> str | None:
    """Return a hub name as it is, a folder as an absolute path: a relative one may look like a hub name elsewhere."""
    return given if given is None or is_hub_name(given) else str(local_path(given).absolute())


def check_folder(folder: Path) -> None:
    """Raise a UserError unless the folder has the two files that every checkpoint has."""
    check_config(folder)
    if not weight_files(folder):
        raise UserError(f"{folder}: no checkpoint, it has no {WEIGHTS}")
    if short := [path for path in weight_files(folder) if is_truncated(path)]:
        raise UserError(f"{short[0]}: broken, its end is missing; get it again")


def check_config(folder: Path) -> None:
    if (folder / EXPORTED).is_file():
        raise UserError(f"{folder}: an exported model, for `ser predict` and `ser serve`; give the run it was made of")
    if not (folder / CONFIG).is_file():
        raise UserError(f"{folder}: no checkpoint, it has no {CONFIG}")
    try:
        content = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{folder}: its {CONFIG} is not JSON ({error})") from error
    if not isinstance(content, dict):
        raise UserError(f"{folder}: its {CONFIG} holds no settings")


def weight_files(folder: Path) -> list[Path]:
    """Return the files that the loader of transformers reads: safetensors where there are any."""
    return [*folder.glob("model*.safetensors")] or [*folder.glob("pytorch_model*.bin")]


def is_truncated(path: Path) -> bool:
    """Return whether a file begins as an archive of `torch.save` and lacks the directory at its end."""
    with path.open("rb") as file:
        return file.read(2) == b"PK" and not is_zipfile(file)


@cache  # the hub is asked once for the texts and once for the whole, though three loaders read them
def download(repository: str, whole: bool, key: str) -> Path:
    """Return the folder of a repository in the local cache, its texts or all of it; download what is missing.

    Raises:
        UserError: neither the cache nor the hub has them.
    """
    if whole:
        log.info("%s: from the local cache, or else from the hub", repository)
    limit_silence()
    try:
        folder = Path(snapshot_download(repository, allow_patterns=[*TEXTS, *(SAFE if whole else ())]))
        if whole and not weight_files(folder):
            folder = Path(snapshot_download(repository, allow_patterns=[*TEXTS, *PICKLED]))
        # A file that is still missing is asked for by name: the answer tells a repository without it from a dead hub.
        if not (folder / CONFIG).is_file():
            hf_hub_download(repository, CONFIG)
        if whole and not weight_files(folder):
            hf_hub_download(repository, WEIGHTS)
    except (HTTPError, errors.LocalEntryNotFoundError, errors.HFValidationError, *NONSENSE) as error:
        what, advice = explain_hub_error(error, key)
        raise UserError(f"{repository}: not in the local cache, and the hub {what}; {advice}") from error
    return folder


def limit_silence() -> None:
    """Let the hub's client give up on a silent hub: it sets no limit for some requests."""
    session = get_session()
    hooks = session.event_hooks
    if with_limit not in hooks["request"]:
        session.event_hooks = {**hooks, "request": [*hooks["request"], with_limit]}


def with_limit(request: Any) -> None:
    """Put a limit where a request of the client has none."""
    given = request.extensions.get("timeout", {})
    limits = {kind: given.get(kind) or SILENCE for kind in ("connect", "read", "write", "pool")}
    request.extensions = {**request.extensions, "timeout": limits}


def explain_hub_error(error: BaseException, key: str) -> tuple[str, str]:
    """Return why a download failed and what to do; never the client's message, which may hold a token."""
    folder = f"give a local folder with {key}=PATH"
    first, error = error, root_cause(error)
    if isinstance(error, errors.RemoteEntryNotFoundError):
        return f"has no {str(error.response.url).rsplit('/')[-1]} in this repository", folder
    if isinstance(error, errors.HfHubHTTPError):
        status = error.response.status_code
        if status in (401, 403) or isinstance(error, errors.GatedRepoError):
            login = "log in with `hf auth login` or set HF_TOKEN"
            return f"gives no access ({status}: gated, private or misspelt)", f"{login}, or {folder}"
        return ("has no such repository (404)" if status == 404 else f"cannot be reached (it answers {status})"), folder
    if isinstance(error, errors.HFValidationError):
        return "can have no repository of this name", folder
    if isinstance(first, NONSENSE):
        return f"gives no answer that can be read ({type(first).__name__})", folder
    return f"cannot be reached ({reason_of(first)})", folder


def reason_of(error: BaseException) -> str:
    """Return why the hub cannot be reached, by the system's message: a protocol error quotes the token."""
    cause = root_cause(error)
    return " ".join(str(cause).split()) if isinstance(cause, OSError) else type(error).__name__


def root_cause(error: BaseException) -> BaseException:
    """Return the cause of an error: the hub's response, or the innermost error."""
    while not isinstance(error, errors.HfHubHTTPError) and (deeper := error.__cause__ or error.__context__):
        error = deeper
    return error
