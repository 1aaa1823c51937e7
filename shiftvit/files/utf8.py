"""Strict UTF-8: how every text from outside becomes a string, so that nothing is mangled. Standard library only."""

from pathlib import Path

from shiftvit.errors import DataError, UserError


def read(path: Path, error: type[UserError] = DataError) -> str:
    """Returns the text in a file; `decode` describes it.

    Raises:
        OSError: the file cannot be read.
        UserError: of the class `error`, if it is not UTF-8.
    """
    return decode(path.read_bytes(), path, error)


def decode(content: bytes, file: object, error: type[UserError] = DataError) -> str:
    r"""Returns text without a byte order mark, and with line feeds alone between lines.

    Args:
        content: of the file.
        file: its name, for the message.
        error: class of the error.

    Raises:
        UserError: of the class `error`, if it is not UTF-8. The message names the file and the offset in bytes.

    >>> decode(b"\xef\xbb\xbfpolar bear\r\n\xc3\xa9", "names.txt")
    'polar bear\né'
    >>> decode("étalon".encode("latin-1"), "names.txt")
    Traceback (most recent call last):
    shiftvit.errors.DataError: names.txt: not UTF-8 text: byte 0 is 0xe9; save the file as UTF-8
    """
    try:
        text = content.decode("utf-8")  # "utf-8-sig" would count offsets from behind the mark
    except UnicodeDecodeError as cause:
        place = f"byte {cause.start} is {content[cause.start]:#04x}"
        raise error(f"{file}: not UTF-8 text: {place}; save the file as UTF-8") from cause
    return text.removeprefix("\ufeff").replace("\r\n", "\n")
