"""The command `glasseg correct`: options in, a job called."""

from __future__ import annotations

from typing import Any

import cloup

from glasseg.config import CorrectConfig
from jobs.options import endpoint_url_option, photo_worker_options, verbose_option


@cloup.command(short_help="Publish masks that a person corrected, and remember them.")
@cloup.argument("dst")
@cloup.argument("file", required=False)
@cloup.option_group(
    "Photos",
    cloup.option(
        "--approve",
        metavar="LIST",
        help="Take the pictures of these photos as they are: a list such as the page exports.",
    ),
    cloup.option(
        "--withdraw",
        metavar="KEY|LIST",
        multiple=True,
        help="Forget what was said of this photo, or of those of a list, and do them anew.",
    ),
    cloup.option(
        "--model", help="Model folder, where that of the last run has moved.  [default: that of the last run]"
    ),
)
@photo_worker_options
@endpoint_url_option
@verbose_option
def correct(dst: str, file: str | None, **options: Any) -> None:
    """Publish the corrections of FILE in DST at full resolution, with the options of its last run.

    FILE is the zip that the editor exports (see `glasseg report --editor`); or masks from another tool, called
    NAME_mask.png or NAME.png, in a zip, a folder or s3://. A correction holds until its photo changes: whenever that
    is made again, it is applied. Where DST holds the outputs of `glasseg whiten --outputs`, it is published in each.

    \b
    Examples:
      glasseg correct white corrections-20261124T015142.892Z.zip
      glasseg correct s3://shop/white masks --workers 4
      glasseg correct white --approve right.csv
      glasseg correct white --withdraw "sunglasses/AB 12.jpg"
    """
    from jobs.correct.run import correct as run

    raise SystemExit(run(dst, file, CorrectConfig(**options)))
