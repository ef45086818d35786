"""Everything Narrows raises on purpose.

Exception
`-- NarrowsError                              exit code
    |-- UsageError         (ValueError)       2   an argument or option that cannot be
    |   |-- MissingExtra   (ImportError)      2   an optional package is not installed
    |   `-- OutputBusy                        2   another training writes to this output
    |-- InvalidData        (ValueError)       3   input that breaks a rule
    |   `-- DataChanged                       3   other data than the checkpoint was made of
    |-- ModelFileError     (ValueError)       4   corrupt or foreign model file
    |   `-- LaterFormat                       4   a file written by a later version
    |-- ResourceError      (OSError)          5   disk or memory
    `-- TrainingDiverged   (ArithmeticError)  6   the loss is not finite any more
Warning
|-- CopiesWarning          (UserWarning)          rows that measure are copies of rows trained on
|-- CopyingWarning         (UserWarning)          the code is wide enough to copy the input
|-- EmptyDocumentWarning   (UserWarning)          a text has no word of the vocabulary
|-- HeaderWarning          (UserWarning)          a line or column is taken for names or numbers
|-- HeldOutClassWarning    (UserWarning)          a classifier does not learn a class
|-- ImageShapeWarning      (UserWarning)          rows are read as images that they may not be
|-- LostColumnsWarning     (UserWarning)          columns vary by less than can be shown
|-- MissingFontWarning     (UserWarning)          no font has a letter of a figure
|-- NothingFlaggedWarning  (UserWarning)          no p-value can be as small as alpha
|-- OutdatedWarning        (UserWarning)          measurements of the net are out of date
|-- PairingWarning         (UserWarning)          images and masks go together by their order
|-- RangeWarning           (UserWarning)          rows are in other units than those of the fit
|-- UnknownWordsWarning    (UserWarning)          most words of a text are not in the vocabulary
`-- UnspacedTextWarning    (UserWarning)          texts without spaces are read by characters
"""

from __future__ import annotations

from collections.abc import Iterable

from narrows.near_names import did_you_mean

__all__ = [
    "CopiesWarning",
    "CopyingWarning",
    "DataChanged",
    "EmptyDocumentWarning",
    "HeaderWarning",
    "HeldOutClassWarning",
    "ImageShapeWarning",
    "InvalidData",
    "LaterFormat",
    "LostColumnsWarning",
    "MissingExtra",
    "MissingFontWarning",
    "ModelFileError",
    "NarrowsError",
    "NothingFlaggedWarning",
    "OutdatedWarning",
    "OutputBusy",
    "PairingWarning",
    "RangeWarning",
    "ResourceError",
    "TrainingDiverged",
    "UnknownWordsWarning",
    "UnspacedTextWarning",
    "UsageError",
    "unknown_name",
]


class NarrowsError(Exception):
    """Root of the tree; ``exit_code`` is what the command line leaves with."""

    exit_code = 1


class UsageError(NarrowsError, ValueError):
    """An argument or option whose value cannot be."""

    exit_code = 2


class MissingExtra(UsageError, ImportError):
    """An optional package is missing; the message is the line that installs it."""


class OutputBusy(UsageError):
    """Another training holds the lock on this output."""


class InvalidData(NarrowsError, ValueError):
    """Input that breaks a rule; the message names file, row or line, and rule."""

    exit_code = 3


class DataChanged(InvalidData):
    """The data are not those the checkpoint was made of."""


class ModelFileError(NarrowsError, ValueError):
    """A model file that is corrupt, foreign, or from a later version."""

    exit_code = 4


class LaterFormat(ModelFileError):
    """A model file in a format that a later version writes."""


class ResourceError(NarrowsError, OSError):
    """Disk or memory ran out, or a path cannot be written."""

    exit_code = 5


class TrainingDiverged(NarrowsError, ArithmeticError):
    """The training loss is not finite; the last good checkpoint stays."""

    exit_code = 6


class CopiesWarning(UserWarning):
    """Rows held out, or that p-values count among, are copies of rows trained on or judged."""


class CopyingWarning(UserWarning):
    """The code is at least as wide as the input: the net may learn to copy."""


class EmptyDocumentWarning(UserWarning):
    """A text has no word that the model counts: its code says nothing of it."""


class UnknownWordsWarning(UserWarning):
    """Most words of a text are not in the model's vocabulary: its code says little of it."""


class HeaderWarning(UserWarning):
    """A first line is taken for the names of the columns, or a first column for row numbers."""


class UnspacedTextWarning(UserWarning):
    """Texts of scripts without spaces between words are read by n-grams of characters."""


class HeldOutClassWarning(UserWarning):
    """All rows of a class are held out, so that a classifier does not learn it."""


class ImageShapeWarning(UserWarning):
    """Rows are read as images of a shape that they may not have."""


class LostColumnsWarning(UserWarning):
    """Columns vary by less than their scaled values can show: they are taken for constant."""


class MissingFontWarning(UserWarning):
    """No font on the machine has a letter of a figure, which is drawn as a box."""


class NothingFlaggedWarning(UserWarning):
    """A level for p-values is below the smallest one there can be: it flags no row."""


class OutdatedWarning(UserWarning):
    """Measurements of a net are dropped, because its weights have changed since."""


class PairingWarning(UserWarning):
    """Files are taken for pairs by their order, though their names do not say so."""


class RangeWarning(UserWarning):
    """Rows are far larger or smaller than those of the fit: they may be in other units."""


def unknown_name(slot: str, name: object, known: Iterable[str]) -> UsageError:
    """Return the error for a name that is not in a table, with the nearest one that is."""
    names = sorted(known)
    hint = did_you_mean(name, names)
    return UsageError(f"{slot}: unknown name {name!r}; choose from {', '.join(names)}.{hint}")
