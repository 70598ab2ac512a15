"""What Excel shows of a number: names such as 00123 are often the number 123 with a format."""

from __future__ import annotations

import re
from datetime import datetime
from functools import cache
from typing import Final

# Whole numbers with leading zeros, perhaps between texts: 00000, "SKU-"0000, 0" pcs".
_LITERAL: Final = r'(?:"[^"]*"|\\.|[-+ ])*'
_WHOLE: Final = re.compile(rf"({_LITERAL})(#*0+|#)({_LITERAL})")
_COLOUR: Final = re.compile(r"\[(?:black|blue|cyan|green|magenta|red|white|yellow|color ?\d+)\]", re.IGNORECASE)
_MEASURE: Final = re.compile(r"\s*(\d{1,6})(?:\.(\d{1,15})|,(\d{1,2}))?\s*(?:mm)?\s*", re.IGNORECASE | re.ASCII)
_MOST_DIGITS: Final = 15  # that Excel keeps; it makes zeros of the others


def shown(number: float, code: str, epoch: datetime) -> tuple[str, str]:
    """`number` as Excel shows it in the format `code`, and why that is in doubt, "" if it is not.

    What is in doubt is given as a sheet holds it, and dates as in ISO 8601. A long number counts with all its digits,
    of which Excel shows a few (4.00638E+12). `epoch`: the day from which the workbook counts dates.
    """
    if _is_date(code):
        return _date(number, code, epoch)
    if abs(number) >= 10**_MOST_DIGITS:
        doubt = f"is a number of which Excel keeps {_MOST_DIGITS} digits: make the cells text, type it again"
        return held(number), doubt
    if code.lower() in {"general", "@", ""}:
        return held(number), ""
    text = _whole(number, code)
    doubt = f"holds {held(number)}, which Excel shows in the format {code}: make the cells text, type what is meant"
    return (held(number), doubt) if text is None else (text, "")


@cache
def _is_date(code: str) -> bool:
    from openpyxl.styles.numbers import is_date_format  # noqa: PLC0415

    return bool(is_date_format(code))


def _date(number: float, code: str, epoch: datetime) -> tuple[str, str]:
    from openpyxl.styles.numbers import is_timedelta_format  # noqa: PLC0415
    from openpyxl.utils.datetime import from_excel  # noqa: PLC0415

    try:
        date = from_excel(number, epoch, timedelta=is_timedelta_format(code))
    except (OverflowError, ValueError):
        return held(number), "is no date, and has the format of one"
    return str(date), "is a date to Excel, which makes one of names such as 1-2: make the cells text, type it again"


def held(number: float) -> str:
    """`number` in digits, without the noise of binary fractions and the .0 of whole numbers."""
    return str(int(number)) if float(number).is_integer() else f"{number:.{_MOST_DIGITS}g}"


def positive(text: str) -> float | None:
    """The number above 0 that a person wrote, with a point or a comma, perhaps in mm; None when it is none.

    A comma before three digits may part thousands, and so is none.
    """
    match = _MEASURE.fullmatch(text)
    return (float(f"{match[1]}.{match[2] or match[3] or 0}") or None) if match else None


def _whole(number: float, code: str) -> str | None:
    """A whole number in a format for such; None for all else."""
    match = _WHOLE.fullmatch(_COLOUR.sub("", code.partition(";")[0]))
    if not match or number < 0 or (";" in code and not number) or not float(number).is_integer():
        return None
    before, digits, after = match.groups()
    return f"{_unquoted(before)}{int(number):0{digits.count('0')}d}{_unquoted(after)}"


def _unquoted(literal: str) -> str:
    return re.sub(r'"([^"]*)"|\\(.)', lambda match: match[1] if match[1] is not None else match[2], literal)
