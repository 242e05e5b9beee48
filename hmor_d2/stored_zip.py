"""Zip files that hold their content as it is: no small file unpacks to a large one."""

import os
import zipfile

__all__ = ["require_unpacked"]


def require_unpacked(path: str | os.PathLike) -> None:
    """Look at a zip file before it is read: numpy's ``savez`` and PyTorch compress nothing.

    Raises:
        OSError: if the file cannot be opened.
        ValueError: for no zip file, a part that is compressed or encrypted, and parts that are
            longer than the file, as if they lay one in the other.
    """
    try:
        with zipfile.ZipFile(path) as file:
            parts = file.infolist()
    except OSError:
        raise
    except Exception as error:  # a broken zip file fails in a dozen ways
        raise ValueError(f"no whole zip file ({error})") from error
    for part in parts:
        if part.compress_type != zipfile.ZIP_STORED or part.flag_bits & 1:
            raise ValueError(f"a part '{part.filename[:80]}' that is compressed or encrypted")
        if part.file_size != part.compress_size:
            raise ValueError(f"a part '{part.filename[:80]}' of {part.file_size} bytes")
    size, found = os.path.getsize(path), sum(part.file_size for part in parts)
    if found > size:
        raise ValueError(f"parts of {found} bytes in a file of {size}")
