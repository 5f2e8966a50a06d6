"""Push files to the Hugging Face Hub.

huggingface_hub finds the token of `hf auth login` or HF_TOKEN. It is never requested or stored here, and it is removed
from the error messages of the hub.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from huggingface_hub import CommitOperationAdd, HfApi, get_token
from huggingface_hub.errors import (  # type: ignore[attr-defined]  # HTTPError: of httpx or httpx2, whichever it uses
    HfHubHTTPError,
    HFValidationError,
    HTTPError,
    LocalTokenNotFoundError,
)
from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]

from ser.errors import UserError
from ser.models.hub import NONSENSE, limit_silence, reason_of, root_cause
from ser.publish.repository import RepoFiles

log = logging.getLogger("ser")

LOGIN = "log in with `hf auth login` or set HF_TOKEN"
AGAIN = "give the command again: what has arrived is not uploaded twice"
PASSING = (409, 412, 429)
"""Conflicts and rate limits, which pass."""


def check_name(repo: str) -> None:
    """Raise a UserError for a name that no repository can have."""
    try:
        validate_repo_id(repo)
    except HFValidationError as error:
        raise UserError(f"repo={repo}: no repository can have this name; give USER/NAME") from error
    if repo.count("/") != 1:
        raise UserError(f"repo={repo}: give USER/NAME or ORGANISATION/NAME")


def check_login(repo: str) -> None:
    """Ask the hub who is logged in.

    Raises:
        UserError: nobody is, or the token may not write to `repo`, as far as the hub reports it beforehand.
    """
    with hub_errors_explained(repo):
        who = HfApi().whoami()
        name = who["name"]
    if who.get("auth", {}).get("accessToken", {}).get("role") == "read":
        raise UserError(f"repo={repo}: the token of {name} may only read; {LOGIN}, with a token that may write")
    owners = [name, *(organisation["name"] for organisation in who.get("orgs", []))]
    owner = repo.split("/")[0]
    if owner.lower() not in map(str.lower, owners):
        raise UserError(f"repo={repo}: {name} may not write for {owner}; choices: {', '.join(owners)}")


def push_files(files: RepoFiles, repo: str, private: bool) -> str:
    """Push all files in one commit; nothing that the hub has already is uploaded again.

    Args:
        files: by their names in the repository; its other files stay.
        repo: is created where it does not exist.
        private: whether only its owner may read it.

    Returns:
        The address of the repository.

    Raises:
        UserError: the hub refuses or cannot be reached; or a repository that should be private is public.
    """
    api = HfApi()
    with hub_errors_explained(repo):
        address = str(api.create_repo(repo, private=private, exist_ok=True))
        is_private = api.model_info(repo).private
    if private and not is_private:
        raise UserError(f"repo={repo}: it exists and is public; private=false pushes to it")
    if is_private and not private:
        log.warning("%s exists and is private: it stays so", repo)
    operations = [CommitOperationAdd(path_in_repo=name, path_or_fileobj=content) for name, content in files.items()]
    with hub_errors_explained(repo):
        api.create_commit(repo, operations, commit_message="A checkpoint of ser, with its card")
    return address


@contextmanager
def hub_errors_explained(repo: str) -> Iterator[None]:
    """Raise a UserError with one line where the hub refuses, is not reached or does not answer in a minute."""
    limit_silence()
    try:
        yield
    except (
        HTTPError,
        OSError,
        RuntimeError,
        ValueError,
        *NONSENSE,
    ) as error:  # the last ones: what the client raises for other errors
        # Without the cause: the chain of a protocol error quotes the header that holds the token.
        raise UserError(f"repo={repo}: {explain_refusal(error)}") from None


def explain_refusal(error: BaseException) -> str:
    """Return why the hub refuses, and what to do."""
    if isinstance(error, LocalTokenNotFoundError):
        return f"nobody is logged in to the hub; {LOGIN}"
    cause = root_cause(error)
    if isinstance(cause, HfHubHTTPError):
        status, words = cause.response.status_code, without_token(cause.server_message or "no reason given")
        if status == 401:
            return f"the hub does not know this token (401); {LOGIN}"
        if status == 403:
            return f"the hub does not let this token write there (403: {words})"
        return f"the hub refuses ({status}: {words})" + (f"; {AGAIN}" if status in PASSING or status >= 500 else "")
    if isinstance(error, NONSENSE):
        return f"the response of the hub cannot be read ({type(error).__name__}); {AGAIN}"
    if isinstance(error, UnicodeError):
        return f"the token holds characters that no token has; {LOGIN}"
    if type(error) is ValueError:  # an answer of the hub, in the client's words: of a full quota, of the card
        return f"the hub refuses ({without_token(str(error))})"
    return f"the hub cannot be reached ({without_token(reason_of(error))}); {AGAIN}"


def without_token(text: str) -> str:
    """Return a text as one short line without the token."""
    return " ".join(text.replace(get_token() or "\0", "(token)").split())[:300]
