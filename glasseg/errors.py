"""What can go wrong, in the user's words.

Three kinds: `GlassegError` ends the run with one line and an exit code, `PhotoError` becomes the row of one photo,
and anything else is a bug and shows its traceback.
"""

from __future__ import annotations

from typing import Final, Literal

ReviewCode = Literal[
    "no_glasses",
    "too_small",
    "fills_frame",
    "transparency",
    "sideways",
    "uncertain_mask",
    "ring_not_clean",
    "coverage_jump",
    "cut_off",
]
FailureCode = Literal[
    "unreadable",
    "empty",
    "transparent",
    "too_large",
    "side_too_long",
    "vanished",
    "denied",
    "unsafe_name",
    "too_long_name",
    "same_name",
    "read_error",
    "write_error",
    "foreign",
    "out_of_memory",
    "worker_died",
    "internal_error",
    "timeout",
]

REVIEW_CODES: Final[dict[ReviewCode, str]] = {
    "no_glasses": "no glasses were found in the photo",
    "too_small": "no glasses were found, and the photo is small: its longer side has less than 160 pixels",
    "fills_frame": "the glasses fill nearly the whole frame",
    "transparency": "the photo's own transparency hides glasses, or keeps much that is none",
    "sideways": "the glasses stand upright: the photo is probably stored sideways",
    "uncertain_mask": "the mask is mostly undecided, or its quality is low",
    "ring_not_clean": "the picture's outer ring is not all background: glasses cut off by the photo, or a leftover",
    "coverage_jump": "the mask covers far more or less of the photo than that of the picture it would replace",
    "cut_off": "the glasses reach the edge of the photo that was framed, and may go on beyond it",
}

FAILURE_CODES: Final[dict[FailureCode, str]] = {
    "unreadable": "the bytes are not a picture that can be decoded",
    "empty": "the file or object has no bytes",
    "transparent": "its own transparency hides all of it",
    "too_large": "more pixels than --max-pixels allows",
    "side_too_long": "a side is longer than the output format can hold",
    "vanished": "listed, but gone when it was read",
    "denied": "no permission to read this one",
    "unsafe_name": "the name would leave the destination or can't be a file name",
    "too_long_name": "the name is longer than the destination allows",
    "same_name": "its picture would be the same file as another photo's, or a file in the place of its folder",
    "read_error": "the storage could not deliver it",
    "write_error": "the storage did not take this output",
    "foreign": "in the place of its picture is a file that glasseg did not write",
    "out_of_memory": "working on it took more memory than a worker may have",
    "worker_died": "the process that worked on it died",
    "internal_error": "a fault of glasseg itself; please report it with the photo",
    "timeout": "it took too long",
}

ERROR_CODES: Final[dict[str, str]] = dict([*REVIEW_CODES.items(), *FAILURE_CODES.items()])
"""The closed list of `error_code` in the manifest, each with its meaning."""


class GlassegError(Exception):
    """The run can't start or has to stop; the message is one line that names the thing and the way out.

    `exit_code` is the process's exit code: 1 could not run or had to stop, 2 wrong usage.
    """

    exit_code = 1

    def __init__(self, message: str, exit_code: int = 1) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class DeniedError(GlassegError):
    """The storage allows other things, but not this."""


class PhotoError(Exception):
    """One photo can't be done; it becomes a row with `code` (a key of `FAILURE_CODES`) and the message.

    `size` is the photo's (height, width) in pixels as stored, where it is known.
    """

    def __init__(self, code: FailureCode, message: str, size: tuple[int, int] | None = None) -> None:
        if code not in FAILURE_CODES:
            raise ValueError(f"{code!r} is not in FAILURE_CODES")
        super().__init__(message)
        self.code: FailureCode = code
        self.size = size

    def __reduce__(self) -> tuple[type[PhotoError], tuple[FailureCode, str, tuple[int, int] | None]]:
        return PhotoError, (self.code, str(self), self.size)
