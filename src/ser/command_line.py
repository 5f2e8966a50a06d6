"""Translation of a command line into Hydra's grammar.

Hydra has a grammar for values: commas, brackets, `=`, spaces and letters beyond ASCII have a meaning there, or are
syntax errors. A path is quoted here, so that it is taken literally, unless it is written in that grammar on purpose.
"""

import os
import re
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from glob import has_magic, iglob
from typing import Any, NoReturn

from hydra._internal.utils import get_args_parser
from omegaconf import OmegaConf

from ser import error_line
from ser.completion import key_of
from ser.config.nested import nested_keys
from ser.config.old_keys import RENAMED, current_word
from ser.config.paths import home_for_tilde, mapping_keys, path_keys
from ser.errors import UserError, shortens, suggest

PLAIN = re.compile(r"(?!(?i:true|false|null|inf|nan)$)[A-Za-z_/][A-Za-z0-9_/.-]*")
"""Text that Hydra reads literally without quotes."""
QUOTED = r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\""""
ELEMENT = re.compile(rf"\s*({QUOTED}|\[[^\[\]]*\]|[^,]*?)\s*,", re.DOTALL)
BESIDE = ("experiment", "hydra")
"""Config groups that are not keys of `ser`."""
FUNCTION = re.compile(r"(?:choice|range|interval|glob|shuffle|sort|tag)\(.*\)", re.DOTALL)
INTERPOLATION = re.compile(r"(\\*)\$\{([^{}]*)")


def hydra_words(words: Sequence[str], schema: type[Any]) -> list[str]:
    """Return the words after the subcommand in Hydra's grammar: overrides first, with their paths quoted.

    A path may be given as `key=PATH` or as `--key PATH`; the PATH of the second form is always taken literally. A key
    that takes several paths also takes them one after the other: `--runs A B`, `runs=A runs=B`.

    Args:
        words: The words that the shell passes.
        schema: The dataclass of the subcommand.

    Raises:
        UserError: An option does not exist, a word is neither an override nor an option, a path is empty, or a key has
            been removed.
    """
    line = Line(schema, sweeping=bool({"--multirun", "-m"} & set(words)), completing="-sc" in words)
    rest = deque(words)
    while rest:
        line.take(rest.popleft(), rest)
    overrides = [f"{key}={line.value(key)}" for key in line.paths] + line.others
    check([*overrides, *line.options], line.keys)
    return [*overrides, *line.options]


@dataclass
class Line:
    """The state of parsing a command line."""

    schema: type[Any]
    sweeping: bool
    completing: bool
    paths: dict[str, list[str]] = field(default_factory=dict)
    """The values given for each path key, in Hydra's grammar."""
    others: list[str] = field(default_factory=list)
    options: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.several = path_keys(self.schema)
        self.keys = [entry.name for entry in fields(self.schema)]
        self.mappings = mapping_keys(self.schema)
        self.old_names: set[str] = set()

    def take(self, word: str, rest: deque[str]) -> None:
        """Read a word, and the words of `rest` that belong to it."""
        word = self.rename_old_key(word)
        name, equals, text = word.partition("=")
        key, option = key_of(name), name.startswith("--")
        if option and key in self.several:
            texts = [text] if equals else self.following(key, rest)
            self.add(key, [literal(filled(f"--{key}", text)) for text in texts])
        elif equals and key in self.several:
            self.add(key, self.written(key, filled(key, text)))
        elif not option and (equals or word.startswith("~")):
            self.check(name)
            self.others.append(f"++{name}={quote_entries(text)}" if self.adds_to_mapping(name, text) else word)
        else:
            self.options.append(word)

    def adds_to_mapping(self, name: str, text: str) -> bool:
        """Return whether a word gives entries of a mapping, which Hydra takes as new keys only behind `++`."""
        if name != key_of(name) or self.completing:
            return False
        inside = any(name.startswith(f"{mapping}.") for mapping in self.mappings)
        return inside or (name in self.mappings and text.lstrip().startswith("{"))

    def rename_old_key(self, word: str) -> str:
        """Return a word with the current name of its key, and print one line for each old name."""
        current = current_word(word, self.schema)
        if current != word and not self.completing:
            old, new = (key_of(one.partition("=")[0]) for one in (word, current))
            if old not in self.old_names:
                error_line.say(f"{old} is called {new} now; the next release no longer takes the old name")
            self.old_names.add(old)
        return current

    def check(self, name: str) -> None:
        """Raise a UserError for a key that does not exist; Hydra would check its value first."""
        key = re.split(r"[./@]", name.lstrip("+~"))[0]
        if not self.completing and key not in (*self.keys, *BESIDE):
            near = suggest(key, self.keys) or suggest_inside(key, self.schema)
            raise UserError(f"Key '{key}' not in '{self.schema.__name__}'{near}; choices: {', '.join(self.keys)}")

    def following(self, key: str, rest: deque[str]) -> list[str]:
        """Return the paths after `--key`."""
        texts = [rest.popleft()] if rest else []
        while self.several[key] and rest and not self.is_next(rest[0]):
            texts.append(rest.popleft())
        return texts or [""]

    def is_next(self, word: str) -> bool:
        return word.startswith("--") or re.split(r"[.=]", word.lstrip("+~"))[0] in (*self.keys, *RENAMED)

    def add(self, key: str, values: list[str]) -> None:
        before = self.paths.get(key, []) if self.several[key] else []
        self.paths[key] = [*before, *values]

    def value(self, key: str) -> str:
        values = self.paths[key]
        return values[0] if len(values) == 1 else f"[{','.join(values)}]"

    def written(self, key: str, text: str) -> list[str]:
        """Return the values of `key=TEXT` in Hydra's grammar; a TEXT that exists as a path is taken literally."""
        if os.path.lexists(home_for_tilde(text)):
            return [literal(text)]
        if self.sweeping:
            swept = [text] if FUNCTION.fullmatch(text) else [self.element(key, entry) for entry in elements(text)]
            return [",".join(swept)]
        if self.several[key] and text.startswith("[") and text.endswith("]"):
            return [self.element(key, entry) for entry in elements(text[1:-1])]
        if not self.several[key] or "," not in text or (has_magic(text) and any(iglob(text))):
            return [self.element(key, text)]
        return [self.element(key, entry) for entry in elements(text)]

    def element(self, key: str, text: str) -> str:
        """Return one path in Hydra's grammar, or a list of paths where the key takes a list."""
        if self.several[key] and text.startswith("[") and text.endswith("]"):
            return f"[{','.join(self.element(key, entry) for entry in elements(text[1:-1]))}]"
        if text.lower() == "null" or re.fullmatch(QUOTED, filled(key, text), re.DOTALL):
            return text
        return literal(text, self.is_reference)

    def is_reference(self, inside: str) -> bool:
        """Return whether `${inside}` refers to another value of the config or to a resolver."""
        name, colon, _ = inside.partition(":")
        return OmegaConf.has_resolver(name) if colon else re.split(r"[.\[]", name)[0] in self.keys


def elements(text: str) -> list[str]:
    """Split a text at the commas outside quotes and brackets.

    >>> elements("a,'b,c', [d,e],it's")
    ['a', "'b,c'", '[d,e]', "it's"]
    """
    return ELEMENT.findall(f"{text},") if text.strip() else []


def quote_entries(text: str) -> str:
    """Quote the keys and values of a flat mapping that hold letters beyond ASCII, which Hydra's grammar lacks.

    >>> quote_entries("{emotion: GEFÜHL, path: file}")
    "{emotion: 'GEFÜHL', path: file}"
    """
    inside = text.strip()
    if inside.isascii() or not (inside.startswith("{") and inside.endswith("}")):
        return text if inside.isascii() or re.fullmatch(QUOTED, inside) else literal(inside)
    pairs = [[part.strip() for part in entry.partition(":")[::2]] for entry in elements(inside[1:-1])]
    quoted = [[part if part.isascii() or part[:1] in "'\"[{" else literal(part) for part in pair] for pair in pairs]
    return "{" + ", ".join(": ".join(pair) for pair in quoted) + "}"


def filled(key: str, text: str) -> str:
    """Return the text; raise a UserError where it is empty, as with a shell variable that is not set."""
    if not text.strip():
        raise UserError(f"{key}: its value is empty; give a path, or leave {key} out")
    return text


def literal(text: str, is_reference: Callable[[str], bool] = lambda inside: False) -> str:
    r"""Quote a text so that Hydra reads it literally, except for each `${...}` that refers to another value.

    A backslash is an escape before `${` (OmegaConf) and before a quote, such as the closing one (Hydra).

    >>> print(literal("runs/a"), literal("it's"), literal("100 %"))
    runs/a 'it\'s' '100 %'
    """
    if PLAIN.fullmatch(text):
        return text

    def escaped(match: re.Match[str]) -> str:
        return match[1] * 2 + "\\" * (not is_reference(match[2])) + "${" + match[2]

    text = INTERPOLATION.sub(escaped, text)
    inside = re.sub(r"(\\*)('|$)", lambda match: match[1] * 2 + match[2].replace("'", "\\'"), text)
    return f"'{inside}'"


def suggest_inside(name: str, schema: type[Any]) -> str:
    """Return a suggestion of the keys inside parts of the config that a name without its part may stand for.

    >>> from ser.config import Train
    >>> suggest_inside("learning_rate", Train)
    '; did you mean trainer.learning_rate?'
    """
    dotted = [(key.rpartition(".")[2], key) for key in nested_keys(schema)]
    near = [key for last, key in dotted if last == name] or [key for last, key in dotted if shortens(name, last)]
    return f"; did you mean {' or '.join(near)}?" if near else ""


def check(words: list[str], keys: list[str]) -> None:
    """Raise a UserError where Hydra would exit with its usage message, or would unpickle a file."""

    def refuse(message: str) -> NoReturn:
        _, _, option = message.partition("unrecognized arguments: ")
        raise UserError(message + suggest(key_of(option.partition("=")[0].split(" ")[0]), keys, "{}="))

    parser = get_args_parser()
    parser.error = refuse  # type: ignore[method-assign]
    given = parser.parse_args(words)
    if stray := [word for word in given.overrides if "=" not in word and not word.startswith("~")]:
        raise UserError(f"{stray[0]}: values are given as key=value")
    if given.experimental_rerun is not None:
        raise UserError("--experimental-rerun: it is switched off, since it unpickles a file")
    actions = {"--run": given.run, "--multirun": given.multirun, "--cfg": given.cfg, "--info": given.info}
    if len(asked := [name for name, value in actions.items() if value]) > 1:
        raise UserError(f"{' and '.join(asked)} exclude each other: give one of them")
    if given.resolve and not (given.cfg or given.help):
        raise UserError("--resolve: it needs --cfg job")
