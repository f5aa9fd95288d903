# cython: language_level=3, boundscheck=False, wraparound=False, autotestdict=False
"""Members of an archive on their way in, as blocks of bytes to append, and the directory behind them."""

cimport cython
from cpython.bytearray cimport PyByteArray_AS_STRING, PyByteArray_FromStringAndSize, PyByteArray_Resize
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from cpython.unicode cimport PyUnicode_AsUTF8AndSize, PyUnicode_DecodeASCII
from libc.errno cimport errno
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from .crc cimport axds_crc_init
from .npy cimport AXDS_NPY_NAME_BYTES, axds_npy_name, axds_npy_parse_name
from .zipdir cimport axds_zip_member_span, axds_zip_put, axds_zip_put_entry, axds_zip_put_member

cdef extern from "include/members.h" nogil:
    enum:
        AXDS_FROM_FILE
        AXDS_FROM_ARCHIVE
        AXDS_FROM_JOURNAL
        AXDS_FROM_ELSEWHERE
        AXDS_PACK_FINE
        AXDS_PACK_FULL
        AXDS_PACK_ELSEWHERE
        AXDS_PACK_ERRNO
        AXDS_PACK_NO_MESSAGE
        AXDS_PACK_CHANGED
        AXDS_ZIP_LIMIT

    ctypedef struct axds_member:
        uint64_t time
        uint64_t place
        uint64_t size
        uint32_t crc
        uint32_t repeat
        uint8_t source
        uint8_t origin
        uint16_t volume
        uint8_t kept

    ctypedef struct axds_volume:
        const unsigned char *bytes
        uint64_t size

    int axds_pack(int folder, const axds_volume *volume, axds_member *members, uint64_t *next, uint64_t stop,
                  unsigned char *room, uint64_t size, uint64_t *used)
    bint axds_check(const axds_member *members, uint64_t *next, uint64_t stop, const unsigned char *packed,
                    uint64_t size, uint64_t *used)
    int axds_unlink(int folder, const axds_member *members, uint64_t *next, uint64_t stop)

axds_crc_init()

FROM_FILE = <int>AXDS_FROM_FILE
FROM_ARCHIVE = <int>AXDS_FROM_ARCHIVE
FROM_JOURNAL = <int>AXDS_FROM_JOURNAL
FROM_ELSEWHERE = <int>AXDS_FROM_ELSEWHERE
FINE = <int>AXDS_PACK_FINE
FULL = <int>AXDS_PACK_FULL
ELSEWHERE = <int>AXDS_PACK_ELSEWHERE
ERRNO = <int>AXDS_PACK_ERRNO
NO_MESSAGE = <int>AXDS_PACK_NO_MESSAGE
CHANGED = <int>AXDS_PACK_CHANGED

# The fields of a member, as numpy.dtype takes them; members.h explains them.
MEMBER = [
    ("time", "<u8"), ("place", "<u8"), ("size", "<u8"), ("crc", "<u4"), ("repeat", "<u4"), ("source", "u1"),
    ("origin", "u1"), ("volume", "<u2"), ("kept", "u1"), ("unused", "V3"),
]


cdef axds_member *_members(unsigned char[::1] rows, Py_ssize_t start, Py_ssize_t stop) except NULL:
    cdef Py_ssize_t count = rows.shape[0] // <Py_ssize_t>sizeof(axds_member)
    if not 0 <= start <= stop <= count or not count:
        raise IndexError(f"expected 0 <= start <= stop <= {count}, got {start} and {stop}")
    return <axds_member *>&rows[0]


def of_files(list names not None) -> tuple:
    """Return a member for each name that npy.file_name could have made, and the list of the other names."""
    cdef bytearray room = PyByteArray_FromStringAndSize(NULL, len(names) * <Py_ssize_t>sizeof(axds_member))
    cdef axds_member *row = <axds_member *>PyByteArray_AS_STRING(room)
    cdef list others = []
    cdef Py_ssize_t size, count = 0
    cdef const char *text
    cdef str name
    for name in names:
        memset(row, 0, sizeof(axds_member))
        if name.isascii():
            text = PyUnicode_AsUTF8AndSize(name, &size)
            if axds_npy_parse_name(text, <uint64_t>size, &row.source, &row.time, &row.repeat):
                row.place = row.repeat
                row += 1
                count += 1
                continue
        others.append(name)
    PyByteArray_Resize(room, count * <Py_ssize_t>sizeof(axds_member))
    return room, others


def file_names(unsigned char[::1] members not None, Py_ssize_t start, Py_ssize_t stop) -> list:
    """Return the names of the files among these members; of those that come FROM_FILE."""
    cdef axds_member *row = _members(members, start, stop)
    cdef char name[AXDS_NPY_NAME_BYTES]
    cdef list found = []
    cdef Py_ssize_t index, size
    for index in range(start, stop):
        if row[index].origin == AXDS_FROM_FILE:
            size = axds_npy_name(name, row[index].source, row[index].time, <uint32_t>row[index].place)
            found.append(PyUnicode_DecodeASCII(name, size, NULL))
    return found


def unlink(int folder, unsigned char[::1] members not None, Py_ssize_t start, Py_ssize_t stop) -> tuple:
    """Remove the members' files from a folder; return where it ended, and the errno of that file or 0."""
    cdef axds_member *first = _members(members, start, stop)
    cdef uint64_t following = <uint64_t>start
    cdef int error
    with nogil:
        error = axds_unlink(folder, first, &following, <uint64_t>stop)
    return following, error


def head(str name not None, uint32_t crc, uint64_t size) -> bytes:
    """Return what stands before the stored bytes of a member of any name."""
    cdef bytes text = name.encode()
    cdef bytearray room = PyByteArray_FromStringAndSize(NULL, <Py_ssize_t>axds_zip_member_span(len(text), 0))
    axds_zip_put_member(
        <unsigned char *>PyByteArray_AS_STRING(room), text, len(text), crc, size, not name.isascii())
    return bytes(room)


def check(unsigned char[::1] members not None, Py_ssize_t start, Py_ssize_t stop,
          const unsigned char[::1] packed not None) -> tuple:
    """Hold whole members in `packed` against their rows; return where it ended, the bytes seen, and if all is well.

    It ends before a member that does not fit in `packed` as a whole.
    """
    cdef axds_member *first = _members(members, start, stop)
    cdef uint64_t following = <uint64_t>start, used = 0
    cdef bint well = True
    if packed.shape[0]:
        with nogil:
            well = axds_check(first, &following, <uint64_t>stop, &packed[0], <uint64_t>packed.shape[0], &used)
    return following, used, well


def entries(
    unsigned char[::1] members not None, Py_ssize_t start, Py_ssize_t stop, uint64_t offset, dict names not None,
) -> tuple:
    """Return the entries of the directory for members that stand from `offset` on, and where the last one ends.

    `names` holds the names, with `.npy`, of the members whose name is not that of their source, time and repeat.
    """
    cdef axds_member *first = _members(members, start, stop)
    cdef Py_ssize_t index, size = 0, longest = AXDS_NPY_NAME_BYTES
    cdef char spelled[AXDS_NPY_NAME_BYTES]
    cdef bytes text
    for index in range(start, stop):
        size += 46 + 28 + (len(names[index].encode()) if index in names else longest)
    cdef bytearray room = PyByteArray_FromStringAndSize(NULL, size)
    cdef unsigned char *begin = <unsigned char *>PyByteArray_AS_STRING(room)
    cdef unsigned char *put = begin
    cdef axds_member *row
    cdef unsigned length
    for index in range(start, stop):
        row = first + index
        if names and index in names:
            text = names[index].encode()
            length = <unsigned>len(text)
            put = axds_zip_put_entry(put, text, length, row.crc, row.size, offset, not names[index].isascii(),
                                     row.kept)
        else:
            length = axds_npy_name(spelled, row.source, row.time, row.repeat)
            put = axds_zip_put_entry(put, spelled, length, row.crc, row.size, offset, False, row.kept)
        offset += axds_zip_member_span(length, row.size)
    PyByteArray_Resize(room, put - begin)
    return room, offset


def end(uint64_t count, uint64_t size, uint64_t offset) -> bytes:
    """Return the records behind the `count` entries that take `size` bytes from `offset` on."""
    cdef unsigned char room[98]
    cdef unsigned char *put = room
    if count > 0xffff or size > AXDS_ZIP_LIMIT or offset > AXDS_ZIP_LIMIT:
        memcpy(put, b"PK\6\6", 4)
        put = axds_zip_put(put + 4, 44, 8)
        put = axds_zip_put(put, 45 | 45 << 16, 4)
        put = axds_zip_put(put, 0, 8)
        for number in (count, count, size, offset):
            put = axds_zip_put(put, number, 8)
        memcpy(put, b"PK\6\7\0\0\0\0", 8)
        put = axds_zip_put(put + 8, offset + size, 8)
        put = axds_zip_put(put, 1, 4)
    memcpy(put, b"PK\5\6\0\0\0\0", 8)
    put = axds_zip_put(put + 8, min(count, 0xffffu), 2)
    put = axds_zip_put(put, min(count, 0xffffu), 2)
    put = axds_zip_put(put, min(size, 0xffffffffu), 4)
    put = axds_zip_put(put, min(offset, 0xffffffffu), 4)
    put = axds_zip_put(put, 0, 2)
    return room[:put - room]


@cython.auto_pickle(False)
@cython.final
cdef class Packer:
    """Packs members into blocks; borrows the folder's descriptor, the volumes and the rows, which it completes."""

    cdef int _folder
    cdef list _held
    cdef axds_volume *_volumes
    cdef unsigned char[::1] _rows

    def __cinit__(self):
        self._volumes = NULL

    def __init__(self, int folder, list volumes not None, unsigned char[::1] members not None):
        cdef const unsigned char[::1] volume
        cdef axds_member *row
        cdef Py_ssize_t index
        self._folder = folder
        self._rows = members
        self._held = []
        self._volumes = <axds_volume *>PyMem_Malloc((len(volumes) + 1) * sizeof(axds_volume))
        if self._volumes == NULL:
            raise MemoryError
        for index in range(len(volumes)):
            volume = volumes[index]
            self._held.append(volume)
            self._volumes[index].bytes = &volume[0] if volume.shape[0] else NULL
            self._volumes[index].size = <uint64_t>volume.shape[0]
        self._check_places(len(volumes))

    def __dealloc__(self):
        PyMem_Free(self._volumes)

    cdef object _check_places(self, Py_ssize_t volumes):
        cdef Py_ssize_t index, count = self._rows.shape[0] // <Py_ssize_t>sizeof(axds_member)
        cdef axds_member *row = _members(self._rows, 0, count) if count else NULL
        cdef uint64_t needed, lead
        for index in range(count):
            if row[index].origin != AXDS_FROM_ARCHIVE and row[index].origin != AXDS_FROM_JOURNAL:
                continue
            lead = 137 if row[index].origin == AXDS_FROM_JOURNAL else 0
            if row[index].volume >= volumes or row[index].size < lead:
                raise ValueError(f"member {index} lies in no volume")
            needed = row[index].size - lead
            if (row[index].place > self._volumes[row[index].volume].size
                    or needed > self._volumes[row[index].volume].size - row[index].place):
                raise ValueError(f"member {index} reaches beyond its volume")

    def pack(self, Py_ssize_t start, Py_ssize_t stop, unsigned char[::1] room not None) -> tuple:
        """Pack members until `room` is full; return where it ended, the bytes used, why it ended, and the errno."""
        cdef axds_member *first = _members(self._rows, start, stop)
        cdef uint64_t following = <uint64_t>start, used = 0, size = <uint64_t>room.shape[0]
        cdef int fault, error
        if not size:
            raise ValueError("expected room for members, got 0 bytes")
        with nogil:
            fault = axds_pack(self._folder, self._volumes, first, &following, <uint64_t>stop, &room[0], size, &used)
            error = errno
        return following, used, fault, error if fault == AXDS_PACK_ERRNO else 0
