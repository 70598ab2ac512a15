"""The file of `--outputs`: a TOML whose tables are outputs, and their keys options of `glasseg whiten`."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any, Final

import click
import cloup

from glasseg.catalog.destinations import NAME
from glasseg.errors import GlassegError, PhotoError
from glasseg.storage.roots import open_source

_GROUPS: Final = ("Pictures", "Framing", "Print", "Marketplaces")
"""Options of these groups may differ between outputs, and those of `_ALSO`, but for `_NEVER`."""
_ALSO: Final = ("name", "export", "export-column")
_NEVER: Final = ("model",)


def read(uri: str, context: click.Context) -> dict[str, dict[str, Any]]:
    """For each output what its table sets: values by the names of the command's parameters.

    `uri`: a path or s3://; `context`: of the command. Raises GlassegError, as wrong usage but for a file that can't be
    read, for the first thing that is wrong in it.
    """
    tables = _parsed(uri, _fetched(uri, context.params.get("endpoint_url")))
    if not tables:
        raise GlassegError(f"{uri} names no output: give each a table, such as [web] with its options below", 2)
    options = _options(context.command)
    return {name: _values(f"{uri} [{name}]", table, options, context) for name, table in _named(uri, tables)}


def _fetched(uri: str, endpoint_url: str | None) -> bytes:
    root, names = open_source(uri, endpoint_url=endpoint_url)
    if not names:
        raise GlassegError(f"there is no file {uri} for --outputs")
    try:
        return root.read(names[0])[0]
    except PhotoError as error:
        raise GlassegError(f"--outputs can't be read: {error}") from error


def _parsed(uri: str, data: bytes) -> dict[str, Any]:
    try:
        return tomllib.loads(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise GlassegError(f"{uri} is not UTF-8: save it as that", 2) from error
    except tomllib.TOMLDecodeError as error:
        raise GlassegError(f"{uri} is not TOML: {error}", 2) from error


def _named(uri: str, tables: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The outputs of a file, each with its table."""
    for name, table in tables.items():
        if not isinstance(table, dict):
            raise GlassegError(f"{uri} has {name!r} outside of an output: put it below a table such as [web]", 2)
        if not re.fullmatch(NAME, name):
            raise GlassegError(
                f"{uri} [{name}]: the name of an output is that of its folder, of up to 64 of a-z, 0-9, - and _", 2
            )
        yield name, table


def _options(command: click.Command) -> dict[str, click.Option]:
    """The options that an output may set, by their keys."""
    assert isinstance(command, cloup.Command)
    groups = {option.name: group.title for group in command.option_groups for option in group.options}
    options = {
        max(option.opts, key=len).removeprefix("--"): option
        for option in command.params
        if isinstance(option, click.Option)
    }
    return {
        key: option
        for key, option in options.items()
        if key in _ALSO or (groups.get(option.name) in _GROUPS and key not in _NEVER)
    }


def _values(
    where: str, table: Mapping[str, Any], options: Mapping[str, click.Option], context: click.Context
) -> dict[str, Any]:
    """The values of a table by the names of the parameters."""
    found = {}
    for key, value in table.items():
        if key not in options:
            raise GlassegError(f"{where} {key}: {_why_not(key, options)}", 2)
        option = options[key]
        try:
            found[str(option.name)] = option.type_cast_value(context, _worded(option, value))
        except click.BadParameter as error:
            raise GlassegError(f"{where} {key}: {error.message.rstrip('.')}", 2) from error
    return found


def _why_not(key: str, options: Mapping[str, click.Option]) -> str:
    if close := get_close_matches(key.lower().replace("_", "-"), options, 1):
        return f"there is no such option for an output; is it {close[0]}?"
    return f"there is no such option for an output, only {', '.join(options)}"


def _worded(option: click.Option, value: Any) -> Any:
    """A value of TOML as the command line has it: a truth for a flag, words for anything else, a list where several may
    be given."""
    if option.is_flag:
        if isinstance(value, bool):
            return value
        raise click.BadParameter("it is true or false")
    if isinstance(value, list) and option.multiple:
        return [_word(one) for one in value]
    if isinstance(value, list) and option.type.name.count(","):  # a type of words with commas between them
        return ",".join(_word(one) for one in value)
    return [_word(value)] if option.multiple else _word(value)


def _word(value: Any) -> str:
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        return str(value)
    raise click.BadParameter("it is a text or a number")
