"""`python -m jobs` is `glasseg`, also where the command itself is not on the path."""

from jobs.cli import main

main()
