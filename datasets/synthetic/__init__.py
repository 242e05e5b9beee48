"""Embedded synthetic data: pictures of clothed people with exact 3D poses.  See ``scene``."""

if __name__ != "synthetic":
    # Numba's cache of compiled kernels knows its modules by one name alone.
    raise ImportError(
        f"found import as '{__name__}', expected 'synthetic': put the folder datasets/ on sys.path"
    )
