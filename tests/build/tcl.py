"""Reads Tcl far enough for scripts without control flow: which commands, with which words.

Substitution, quoting and line joining are those of Tcl's manual page; ``tkinter`` is missing from
some installations of Python, so Tcl itself cannot be asked everywhere.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath

ENDS = {"{": "}", "[": "]"}


class TclError(ValueError):
    """The script is no Tcl, or uses what this reader does not know."""


class Reader:
    """Runs scripts from ``files``; commands it does not know are recorded in ``calls``."""

    def __init__(self, files: dict[str, str]) -> None:
        self.files, self.calls, self.variables = files, [], {}

    def run(self, name: str) -> list[tuple[str, ...]]:
        """Every unknown command of script ``name``, nested ones first."""
        self.evaluate(self.files[name])
        return self.calls

    def evaluate(self, text: str) -> str:
        """The result of the last command of ``text``."""
        text, at, result = re.sub(r"\\\n[ \t]*", " ", text), 0, ""
        while at < len(text):
            words, at = self._command(text, at)
            if words:
                result = self._call(tuple(words))
        return result

    def _command(self, text: str, at: int) -> tuple[list[str], int]:
        words: list[str] = []
        while at < len(text):
            if text[at] in "\n;":
                return words, at + 1
            if text[at] in " \t":
                at += 1
            elif text[at] == "#" and not words:
                at = (text + "\n").index("\n", at)
            else:
                word, at = self._word(text, at)
                words.append(word)
        return words, at

    def _word(self, text: str, at: int) -> tuple[str, int]:
        if text[at] == "{":
            end = _closing(text, at)
            word, at = text[at + 1 : end], end + 1
        elif text[at] == '"':
            word, at = self._substituted(text, at + 1, '"')
            if at >= len(text):
                raise TclError("a quote is not closed")
            at += 1
        else:
            return self._substituted(text, at, " \t\n;")
        if at < len(text) and text[at] not in " \t\n;":
            raise TclError(f"extra characters after a word: {text[at : at + 20]!r}")
        return word, at

    def _substituted(self, text: str, at: int, ends: str) -> tuple[str, int]:
        word = ""
        while at < len(text) and text[at] not in ends:
            if text[at] == "[":
                end = _closing(text, at)
                word, at = word + self.evaluate(text[at + 1 : end]), end + 1
            elif text[at] == "$":
                name = re.match(r"\w+", text[at + 1 :])
                if name is None or name[0] not in self.variables:
                    raise TclError(f"no such variable: {text[at : at + 20]!r}")
                word, at = word + self.variables[name[0]], at + 1 + len(name[0])
            elif text[at] == "\\":
                raise TclError("backslashes are for line ends only")
            else:
                word, at = word + text[at], at + 1
        return word, at

    def _call(self, words: tuple[str, ...]) -> str:
        match words:
            case ("set", name, value):
                self.variables[name] = value
                return value
            case ("source", name):
                return self.evaluate(self.files[name])
            case ("list", *elements):
                return " ".join(f"{{{e}}}" if re.search(r"\s", e) or not e else e for e in elements)
            case ("info", "script"):
                return "folder/script.tcl"
            case ("file", "normalize", path):
                return f"/{path}"
            case ("file", "dirname", path):
                return str(PurePosixPath(path).parent)
            case _:
                self.calls.append(words)
                return f"<{words[0]}>"


def _closing(text: str, at: int) -> int:
    """Where the brace or bracket that opens at ``at`` is closed."""
    depth, opening, closing = 0, text[at], ENDS[text[at]]
    for place in range(at, len(text)):
        depth += (text[place] == opening) - (text[place] == closing)
        if not depth:
            return place
    raise TclError(f"{opening!r} is not closed: {text[at : at + 20]!r}")


def elements(text: str) -> list[str]:
    """The elements of a list that holds nothing to substitute."""
    words, _ = Reader({})._command(" ".join(text.split("\n")), 0)
    return words
