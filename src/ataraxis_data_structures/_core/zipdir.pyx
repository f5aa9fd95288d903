# cython: language_level=3, boundscheck=False, wraparound=False, autotestdict=False
"""The central directory of a .npz archive, read from a buffer. The layout is drawn in zipdir.h."""

cimport cython
from cpython.bytearray cimport PyByteArray_AS_STRING, PyByteArray_FromStringAndSize
from cpython.unicode cimport PyUnicode_AsUTF8AndSize, PyUnicode_DecodeASCII
from libc.string cimport memcmp

axds_crc_init()

OURS = <int>AXDS_ZIP_OURS
ZERO = <int>AXDS_ZIP_ZERO
UTF8 = <int>AXDS_ZIP_UTF8
KEPT = <int>AXDS_ZIP_KEPT
DEFLATED = <int>AXDS_ZIP_DEFLATED

# The fields of a row of Directory.rows and of Directory.messages, as numpy.dtype takes them.
ROW = [
    ("offset", "<u8"), ("size", "<u8"), ("time", "<u8"), ("entry", "<u8"), ("crc", "<u4"), ("repeat", "<u4"),
    ("name_length", "<u2"), ("method", "u1"), ("kind", "u1"), ("source", "u1"), ("unused", "V3"),
]
SPAN = [("start", "<u8"), ("length", "<u8"), ("time", "<u8")]

# In the order of the enumeration in zipdir.h.
cdef tuple FAULTS = (
    "nothing is wrong",
    "expected a zip archive, found no end record",
    "expected an archive in one piece, found one of several disks",
    "the zip64 end record is damaged",
    "the central directory does not end at the end record: the archive is cut or has bytes before it",
    "the end record counts other entries than there are",
    "the entry in the central directory is damaged",
    "the extra field in the central directory is damaged",
    "the entry is encrypted",
    "the entry is compressed by a method other than deflate",
    "the entry reaches beyond the archive or claims an impossible size",
    "the entry overlaps another one",
    "the member's own header is damaged",
    "the member bears another name than the central directory says",
    "the stored bytes do not match their CRC-32",
    "the entry is too short for a message",
    "the entry is no one-dimensional array of uint8",
)


@cython.auto_pickle(False)
@cython.final
cdef class Directory:
    """The entries of an archive in a buffer, all checked to lie within it; ValueError says what is wrong."""

    cdef const unsigned char[::1] _bytes
    cdef bytearray _rows
    cdef axds_zip_row *_row
    cdef axds_zip_end _end
    cdef readonly bint ordered  # whether the members follow one another; if not, they may overlap

    def __init__(self, const unsigned char[::1] archive not None):
        cdef uint64_t bad = 0
        cdef int fault
        if not archive.shape[0]:
            raise ValueError(FAULTS[1])
        self._bytes = archive
        fault = axds_zip_read_end(&archive[0], <uint64_t>archive.shape[0], &self._end)
        if fault:
            raise ValueError(FAULTS[fault])
        self._rows = PyByteArray_FromStringAndSize(NULL, <Py_ssize_t>(self._end.count * sizeof(axds_zip_row)))
        self._row = <axds_zip_row *>PyByteArray_AS_STRING(self._rows)
        with nogil:
            fault = axds_zip_read_entries(&archive[0], &self._end, self._row, &bad, &self.ordered)
        if fault:
            raise ValueError(f"entry {bad}: {FAULTS[fault]}")

    @property
    def start(self) -> int:
        """Where the central directory starts, behind the last member."""
        return self._end.start

    def __len__(self):
        return <Py_ssize_t>self._end.count

    def rows(self) -> bytearray:
        """Return the rows of all entries, not a copy; ROW names the fields. They must not be changed."""
        return self._rows

    cdef axds_zip_row *at(self, Py_ssize_t index) except NULL:
        if index < 0 or <uint64_t>index >= self._end.count:
            raise IndexError(f"expected an entry from 0 to {self._end.count - 1}, got {index}")
        return self._row + index

    cdef str name(self, axds_zip_row *row):
        cdef const char *text = <const char *>&self._bytes[row.entry + AXDS_ZIP_ENTRY_BYTES]
        cdef Py_ssize_t length = row.name_length
        if length > 4 and not memcmp(text + length - 4, b".npy", 4):
            length -= 4
        if row.kind & AXDS_ZIP_OURS:
            return PyUnicode_DecodeASCII(text, length, NULL)
        return text[:length].decode("utf-8" if row.kind & AXDS_ZIP_UTF8 else "cp437", "replace")

    def key(self, Py_ssize_t index) -> str:
        """Return the key of an entry: its name without `.npy`."""
        return self.name(self.at(index))

    def keys(self, Py_ssize_t start, Py_ssize_t stop) -> list:
        """Return the keys of the entries from start to stop."""
        if start >= stop:
            return []
        self.at(start), self.at(stop - 1)
        return [self.name(self._row + index) for index in range(start, stop)]

    cpdef bint named(self, Py_ssize_t index, str key):
        """Tell whether the entry has this key, or this key with `.npy` at its end; False behind the last entry."""
        cdef Py_ssize_t length
        cdef const char *text
        if index < 0 or <uint64_t>index >= self._end.count:
            return False
        cdef axds_zip_row *row = self._row + index
        if key is None or not key.isascii():
            return key == self.name(row)
        text = PyUnicode_AsUTF8AndSize(key, &length)
        if length != row.name_length and length + 4 != row.name_length:
            return False
        cdef const unsigned char *name = &self._bytes[row.entry + AXDS_ZIP_ENTRY_BYTES]
        return not memcmp(name, text, length) and (
            length == row.name_length or not memcmp(name + length, b".npy", 4))

    def indices(self, list keys not None, Py_ssize_t hint) -> tuple:
        """Return the entries that have these keys in a row from `hint` on, as words, and how many do."""
        cdef Py_ssize_t count = len(keys), done = 0
        cdef bytearray room = PyByteArray_FromStringAndSize(NULL, count * <Py_ssize_t>sizeof(Py_ssize_t))
        cdef Py_ssize_t *index = <Py_ssize_t *>PyByteArray_AS_STRING(room)
        while done < count and self.named(hint + done, keys[done]):
            index[done] = hint + done
            done += 1
        return room, done

    def stored(self, Py_ssize_t index) -> tuple:
        """Return start and length of the stored bytes of an entry, and its length before compression."""
        cdef axds_zip_row *row = self.at(index)
        cdef axds_zip_row again
        cdef uint64_t start = 0, unpacked = 0, at = row.entry
        cdef int fault = axds_zip_read_entry(&self._bytes[0], &self._end, &at, &again, &unpacked)
        if not fault:
            fault = axds_zip_locate(&self._bytes[0], self._end.start, row, &start)
        if fault:
            raise ValueError(f"{self.name(row)}: {FAULTS[fault]}")
        return start, row.size, unpacked

    def starts(self, Py_ssize_t first, Py_ssize_t stop) -> bytearray:
        """Return where the stored bytes of some entries start, as words."""
        cdef Py_ssize_t index, count
        first = max(first, 0)
        count = max(min(stop, <Py_ssize_t>self._end.count) - first, 0)
        cdef bytearray room = PyByteArray_FromStringAndSize(NULL, count * <Py_ssize_t>sizeof(uint64_t))
        cdef uint64_t *start = <uint64_t *>PyByteArray_AS_STRING(room)
        cdef int fault
        for index in range(count):
            fault = axds_zip_locate(&self._bytes[0], self._end.start, self._row + first + index, start + index)
            if fault:
                raise ValueError(f"{self.name(self._row + first + index)}: {FAULTS[fault]}")
        return room

    def messages(self, const Py_ssize_t[::1] indices not None, *, bint check=True) -> tuple:
        """Return the spans of the payloads of these entries, as SPAN has them, how many there are, and why no more.

        The reason is empty at the end, "foreign" before an entry that only numpy or zlib can read, and otherwise
        says what is wrong with the next entry. `check` holds the stored bytes against their CRC-32.
        """
        cdef Py_ssize_t count = indices.shape[0], done = 0
        cdef bytearray room = PyByteArray_FromStringAndSize(NULL, count * <Py_ssize_t>sizeof(axds_zip_span))
        cdef axds_zip_span *span = <axds_zip_span *>PyByteArray_AS_STRING(room)
        cdef Py_ssize_t last = <Py_ssize_t>self._end.count - 1
        cdef int fault = AXDS_ZIP_FINE
        with nogil:
            while done < count and 0 <= indices[done] <= last:
                fault = axds_zip_message(&self._bytes[0], self._end.start, self._row + indices[done], check, span)
                if fault:
                    break
                done += 1
                span += 1
        if fault == AXDS_ZIP_OTHER_ARRAY:
            return room, done, "foreign"
        if fault:
            return room, done, FAULTS[fault]
        return room, done, "" if done == count else f"expected an entry from 0 to {last}, got {indices[done]}"
