"""The text editor tool of a model, on copies of the editable files: nothing else is there, and nothing is on disk."""

import io
from collections.abc import Mapping
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

TOOL: Final = "str_replace_based_edit_tool"  # the name that text_editor_20250728 has
_QUOTE_CAP = 60  # characters of a wrong path or tool that an answer repeats


class _Input(BaseModel):
    """What every command has. The commands and their fields: Anthropic's page "Text editor tool"."""

    model_config = ConfigDict(extra="forbid", strict=True)
    path: str


class _View(_Input):
    command: Literal["view"]
    view_range: Annotated[list[int], Field(min_length=2, max_length=2)] | None = None


class _Create(_Input):
    command: Literal["create"]
    file_text: str


class _Replace(_Input):
    command: Literal["str_replace"]
    old_str: str
    new_str: str = ""


class _Insert(_Input):
    command: Literal["insert"]
    insert_line: int
    insert_text: str


_Command = _View | _Create | _Replace | _Insert
_COMMAND: TypeAdapter[_Command] = TypeAdapter(Annotated[_Command, Field(discriminator="command")])


class ToolError(Exception):
    """A command that cannot be carried out; the model gets its text as the result of the tool."""


class TextEditor:
    """Files by path, in memory. A path is one of them, to the letter, or it is refused."""

    def __init__(self, files: Mapping[str, str], file_bytes: int) -> None:
        self._before, self._files, self._cap = dict(files), dict(files), file_bytes
        self.last_error = ""  # of the tool; empty where every use was carried out

    @property
    def changed(self) -> dict[str, str]:
        """Return the new texts of the files that are not as they were."""
        return {path: text for path, text in self._files.items() if text != self._before[path]}

    def execute(self, name: str, arguments: object) -> tuple[str, bool]:
        """Carry out one use of the tool. Returns the tool's result for the model, and whether it is an error."""
        try:
            return self._run(_parse(name, arguments)), False
        except ToolError as error:
            self.last_error = str(error)
            return self.last_error, True

    def _run(self, command: _Command) -> str:
        if command.path not in self._files:
            raise ToolError(
                f"{command.path[:_QUOTE_CAP]!r} cannot be seen or changed; editable, by exactly these names: "
                f"{', '.join(self._files)}"
            )
        text = self._files[command.path]
        match command:
            case _View():
                return _number_lines(text, command.view_range)
            case _Create():
                return self._put(command.path, command.file_text)
            case _Replace():
                return self._put(command.path, _replace(text, command))
            case _Insert():
                return self._put(command.path, _insert(text, command))

    def _put(self, path: str, text: str) -> str:
        try:
            size = len(text.encode())
        except UnicodeEncodeError:
            raise ToolError("the text is not Unicode: it holds half of a surrogate pair") from None
        if size > self._cap:
            raise ToolError(f"{path} would have {size:,} bytes, and it may have {self._cap:,}; it is unchanged")
        self._files[path] = text
        return f"{path} now has {len(_lines(text)):,} lines"


def _parse(name: str, arguments: object) -> _Command:
    if name != TOOL:
        raise ToolError(f"there is no tool {name[:_QUOTE_CAP]!r}; there is {TOOL}")
    try:
        return _COMMAND.validate_python(arguments)
    except ValidationError as error:
        first = error.errors()[0]
        raise ToolError(f"{'.'.join(map(str, first['loc']))[:_QUOTE_CAP]}: {first['msg'][:200]}") from None


def _lines(text: str) -> list[str]:
    """Lines with their ends; only a newline ends one, as in the editors that people count lines with."""
    return list(io.StringIO(text, newline="\n"))


def _number_lines(text: str, view_range: list[int] | None) -> str:
    lines = _lines(text)
    first, last = view_range or (1, -1)
    last = len(lines) if last == -1 else last
    if not 1 <= first <= max(1, last) or last > len(lines):
        raise ToolError(f"view_range {view_range} is not within lines 1 to {len(lines)}")
    return "".join(f"{number:6}\t{line}" for number, line in enumerate(lines[first - 1 : last], start=first))


def _replace(text: str, command: _Replace) -> str:
    count = text.count(command.old_str) if command.old_str else 0
    if count != 1:
        raise ToolError(f"old_str occurs {count} times in {command.path}, and it must occur exactly once")
    return text.replace(command.old_str, command.new_str)


def _insert(text: str, command: _Insert) -> str:
    lines = _lines(text)
    if not 0 <= command.insert_line <= len(lines):
        raise ToolError(f"insert_line {command.insert_line} is not within 0 to {len(lines)}")
    before, after = lines[: command.insert_line], lines[command.insert_line :]
    new = command.insert_text + ("" if command.insert_text.endswith("\n") else "\n")
    gap = ["\n"] if before and not before[-1].endswith("\n") else []
    return "".join([*before, *gap, new, *after])
