"""How the drawing's functions are compiled: by numba, without reordering floating-point sums.

No fastmath and no threads, so that the same input gives the same bytes.
"""

try:
    import numba
except ModuleNotFoundError as error:
    message = (
        "the synthetic data need numba: pip install 'hmor_d2[synthetic]' (or pip install numba)"
    )
    raise ModuleNotFoundError(message, name="numba") from error

# Numba counts references to every array at every call, by atomic operations, which costs more than
# shading a pixel; without its runtime it does not.  The kernels allocate nothing.
_OPTIONS = dict(error_model="numpy", nogil=True, _nrt=False)
# Unsigned indices in the kernels spare asking which of them count from the end.
kernel = numba.njit(cache=True, **_OPTIONS)
# For what a kernel does at every pixel: calls with many arrays cost as much as the rest, and keep
# the loop around them from computing several pixels at once.  The kernel's cache does not see a
# change of an inlined function in another file: touch the kernel's file, too.
inlined = numba.njit(inline="always", **_OPTIONS)
