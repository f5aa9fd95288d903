# cython: language_level=3, boundscheck=False, wraparound=False, autotestdict=False, cdivision=True
"""Where targets lie among sorted coordinates, compared exactly in their own type."""

from libc.math cimport NAN, isfinite, isinf
from libc.stdint cimport int64_t, uint64_t

ctypedef long double longdouble

ctypedef fused coordinate:
    int64_t
    uint64_t
    double
    longdouble

cdef inline Py_ssize_t locate(const coordinate *x, Py_ssize_t n, coordinate t, Py_ssize_t near) noexcept nogil:
    """Return how many coordinates are <= t, given that count for a target that mostly lies a little lower."""
    cdef Py_ssize_t low = near, high = n, reach = 4, middle
    if low and x[low - 1] > t:
        high, low = low, 0
    else:
        if low + 4 <= n:
            # Four compares without a branch: which one holds is a coin flip, and a wrong guess costs more than all.
            low += (x[low] <= t) + (x[low + 1] <= t) + (x[low + 2] <= t) + (x[low + 3] <= t)
            if low < near + 4:
                return low
        while low + reach <= n and x[low + reach - 1] <= t:
            low += reach
            reach *= 2
        high = min(n, low + reach - 1)
    while low < high:
        middle = (low + high) >> 1
        if x[middle] <= t:
            low = middle + 1
        else:
            high = middle
    return low


cdef inline double portion(coordinate low, coordinate t, coordinate high) noexcept nogil:
    """Return (t - low) / (high - low); a difference of integers is taken exactly and rounded once."""
    cdef double width
    if coordinate is double:
        width = high - low
        if isinf(width) and not (isinf(low) or isinf(high)):
            return (t * 0.5 - low * 0.5) / (high * 0.5 - low * 0.5)
        return (t - low) / width
    elif coordinate is longdouble:
        return <double>((t - low) / (high - low))
    else:
        return <double>(<uint64_t>t - <uint64_t>low) / <double>(<uint64_t>high - <uint64_t>low)


cdef inline double between(double low, double high, double part) noexcept nogil:
    """Return the value at a part of the way; where it is none from the low end, from the high one, as numpy.interp."""
    cdef double rise = high - low, found
    if isinf(rise) and not (isinf(low) or isinf(high)):
        return low * (1 - part) + high * part
    found = low + rise * part
    if found != found:
        found = high + rise * (part - 1)
        if found != found and low == high:
            return low
    return found


cdef inline double beside_infinity(double low, double high, bint is_low, bint is_high) noexcept nogil:
    """Return the value between coordinates of which one or both are infinite: the slope there is none."""
    if low == high:
        return low
    return NAN if not isfinite(high - low) or is_low == is_high else high if is_low else low


def is_ascending(const coordinate[::1] x) -> bool:
    """Return whether no coordinate is below the one before it, and none is NaN."""
    cdef Py_ssize_t i, n = x.shape[0], falls = 0
    if n == 0:
        return True
    if coordinate is double or coordinate is longdouble:
        if x[0] != x[0]:
            return False
    with nogil:
        for i in range(1, n):
            falls += not (x[i - 1] <= x[i])
    return falls == 0


def last_at_or_before(const coordinate[::1] x, const coordinate[::1] targets, int64_t[::1] found) -> None:
    """Find the last source at or before each target: the first if it is below all, the last if it is NaN."""
    cdef Py_ssize_t i, n = x.shape[0], near = 0
    cdef const coordinate *first = &x[0]
    with nogil:
        for i in range(targets.shape[0]):
            if coordinate is double or coordinate is longdouble:
                if targets[i] != targets[i]:
                    found[i] = n - 1
                    continue
            near = locate(first, n, targets[i], near)
            found[i] = near - 1 if near else 0


def linear(const coordinate[::1] x, const double[:, ::1] values, const coordinate[::1] targets,
           double[:, ::1] out) -> None:
    """Interpolate every channel (column) at each target, clamped to the first and last value."""
    cdef Py_ssize_t i, k, at, n = x.shape[0], channels = values.shape[1], near = 0
    cdef const coordinate *first = &x[0]
    cdef coordinate t
    cdef double part
    with nogil:
        for i in range(targets.shape[0]):
            t = targets[i]
            if coordinate is double or coordinate is longdouble:
                if t != t:
                    for k in range(channels):
                        out[i, k] = NAN
                    continue
            near = locate(first, n, t, near)
            at = near - 1 if near else 0
            if near == 0 or near == n or t == first[at]:
                for k in range(channels):
                    out[i, k] = values[at, k]
                continue
            if coordinate is double or coordinate is longdouble:
                if isinf(<double>first[at]) or isinf(<double>first[at + 1]):
                    for k in range(channels):
                        out[i, k] = beside_infinity(values[at, k], values[at + 1, k], isinf(<double>first[at]),
                                                    isinf(<double>first[at + 1]))
                    continue
            part = portion(first[at], t, first[at + 1])
            for k in range(channels):
                out[i, k] = between(values[at, k], values[at + 1, k], part)
