# cython: language_level=3, boundscheck=False, wraparound=False, autotestdict=False
"""Log archives: messages as .npy files, the archive's directory, and members on their way in.

include/npy.h, include/zipdir.h and include/members.h draw the layouts.
"""

cimport cython
from cpython.bytearray cimport PyByteArray_AS_STRING, PyByteArray_FromStringAndSize, PyByteArray_Resize
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from cpython.unicode cimport PyUnicode_AsUTF8AndSize, PyUnicode_DecodeASCII
from libc.errno cimport errno
from libc.stdint cimport uint16_t, uint32_t, uint64_t, uint8_t
from libc.string cimport memcmp, memcpy, memset

from .frame cimport axds_crc_use, crc_tables

cdef extern from "include/npy.h" nogil:
    enum:
        AXDS_NPY_HEADER_BYTES
        AXDS_NPY_STAMP_BYTES
        AXDS_NPY_PREFIX_BYTES
        AXDS_NPY_NAME_BYTES

    void axds_npy_header(unsigned char *room, uint64_t items)
    void axds_npy_prefix(unsigned char *room, uint8_t source, uint64_t time, uint64_t length)
    uint64_t axds_npy_time(const unsigned char *stamp)
    unsigned axds_npy_name(char *room, uint8_t source, uint64_t time, uint32_t repeat)
    bint axds_npy_parse_name(const char *name, uint64_t size, uint8_t *source, uint64_t *time, uint32_t *repeat)
    bint axds_npy_items(const unsigned char *bytes, uint64_t size, uint64_t *start, uint64_t *items)

cdef extern from "include/zipdir.h" nogil:
    enum:
        AXDS_ZIP_FINE
        AXDS_ZIP_OVERLAP
        AXDS_ZIP_OTHER_ARRAY
        AXDS_ZIP_SHORT
        AXDS_ZIP_STORED
        AXDS_ZIP_STORED
        AXDS_ZIP_DEFLATED
        AXDS_ZIP_BZIP2
        AXDS_ZIP_LZMA
        AXDS_ZIP_OURS
        AXDS_ZIP_ZERO
        AXDS_ZIP_UTF8
        AXDS_ZIP_KEPT
        AXDS_ZIP_ENTRY_BYTES
        AXDS_ZIP_MEMBER_BYTES
        AXDS_ZIP_MEMBER_EXTRA_BYTES

    ctypedef struct axds_zip_row:
        uint64_t offset
        uint64_t size
        uint64_t time
        uint64_t entry
        uint32_t crc
        uint32_t repeat
        uint16_t name_length
        uint8_t method
        uint8_t kind
        uint8_t source

    ctypedef struct axds_zip_end:
        uint64_t start
        uint64_t stop
        uint64_t count

    ctypedef struct axds_zip_span:
        uint64_t start
        uint64_t length
        uint64_t time

    int axds_zip_read_end(const unsigned char *bytes, uint64_t size, axds_zip_end *end)
    int axds_zip_read_entries(const unsigned char *bytes, const axds_zip_end *end, axds_zip_row *rows, uint64_t *bad,
                              bint *ordered)
    int axds_zip_read_entry(const unsigned char *bytes, const axds_zip_end *end, uint64_t *at, axds_zip_row *row,
                            uint64_t *unpacked)
    int axds_zip_locate(const unsigned char *bytes, uint64_t limit, const axds_zip_row *row, uint64_t *start)
    int axds_zip_message(const unsigned char *bytes, uint64_t limit, const axds_zip_row *row, bint check,
                         axds_zip_span *span)
    uint64_t axds_zip_member_span(uint64_t name_length, uint64_t size)
    unsigned char *axds_zip_put(unsigned char *room, uint64_t number, int count)
    unsigned char *axds_zip_put_member(unsigned char *room, const char *name, uint64_t name_length, uint32_t crc,
                                       uint64_t size, bint utf8)
    unsigned char *axds_zip_put_entry(unsigned char *room, const char *name, uint64_t name_length, uint32_t crc,
                                      uint64_t size, uint64_t offset, bint utf8, bint kept)

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

axds_crc_use(&crc_tables)


# Messages as .npy files.

HEADER_BYTES = <int>AXDS_NPY_HEADER_BYTES
STAMP_BYTES = <int>AXDS_NPY_STAMP_BYTES
PREFIX_BYTES = <int>AXDS_NPY_PREFIX_BYTES


def array_header(uint64_t items) -> bytes:
    """Return the header of a .npy file of a uint8 vector."""
    cdef bytes room = PyBytes_FromStringAndSize(NULL, AXDS_NPY_HEADER_BYTES)
    axds_npy_header(<unsigned char *>PyBytes_AS_STRING(room), items)
    return room


cdef void _fill(unsigned char *room, uint8_t source, uint64_t time, const unsigned char[::1] payload) noexcept:
    cdef size_t length = <size_t>payload.shape[0]
    axds_npy_prefix(room, source, time, length)
    if length:
        memcpy(room + AXDS_NPY_PREFIX_BYTES, &payload[0], length)


def fill_message(
    unsigned char[::1] room not None, uint8_t source, uint64_t time, const unsigned char[::1] payload not None,
    Py_ssize_t start=0,
) -> int:
    """Write the whole file of a message into `room` from `start` on; return where it ends."""
    cdef Py_ssize_t size = <Py_ssize_t>AXDS_NPY_PREFIX_BYTES + payload.shape[0]
    if start < 0 or start > room.shape[0] or size > room.shape[0] - start:
        raise ValueError(f"expected room for {size} bytes from {start} on, got {room.shape[0]} bytes in all")
    _fill(&room[start], source, time, payload)
    return start + size


def message_file(uint8_t source, uint64_t time, const unsigned char[::1] payload not None) -> bytes:
    """Return the whole file of a message."""
    cdef bytes room = PyBytes_FromStringAndSize(NULL, AXDS_NPY_PREFIX_BYTES + payload.shape[0])
    _fill(<unsigned char *>PyBytes_AS_STRING(room), source, time, payload)
    return room


def file_name(uint8_t source, uint64_t time, uint32_t repeat=0) -> str:
    """Return the name of a message's file; `repeat` counts the messages of one source and time from 0."""
    cdef char room[AXDS_NPY_NAME_BYTES]
    cdef unsigned size = axds_npy_name(room, source, time, repeat)
    return room[:size].decode("ascii")


def parse_name(str name not None) -> tuple | None:
    """Return source, time and repeat of a message's file name or archive key; None for any other spelling."""
    cdef Py_ssize_t size
    cdef uint8_t source
    cdef uint64_t time
    cdef uint32_t repeat
    if not name.isascii():  # a file name that is no text has no UTF-8
        return None
    cdef const char *text = PyUnicode_AsUTF8AndSize(name, &size)
    if not axds_npy_parse_name(text, <uint64_t>size, &source, &time, &repeat):
        return None
    return source, time, repeat


def array_items(const unsigned char[::1] file not None) -> tuple | None:
    """Return start and count of the items in a whole .npy file of a uint8 vector; None for any other header."""
    cdef uint64_t start, count
    if not file.shape[0] or not axds_npy_items(&file[0], <uint64_t>file.shape[0], &start, &count):
        return None
    return start, count


# The central directory.

OURS = <int>AXDS_ZIP_OURS
ZERO = <int>AXDS_ZIP_ZERO
UTF8 = <int>AXDS_ZIP_UTF8
KEPT = <int>AXDS_ZIP_KEPT
STORED = <int>AXDS_ZIP_STORED
DEFLATED = <int>AXDS_ZIP_DEFLATED
BZIP2 = <int>AXDS_ZIP_BZIP2
LZMA = <int>AXDS_ZIP_LZMA

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
    "the entry is compressed by a method other than deflate, bzip2 and LZMA",
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


# Members.

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


def members_of_files(list names not None) -> tuple:
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


def member_files(unsigned char[::1] members not None, Py_ssize_t start, Py_ssize_t stop) -> list:
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


def unlink_members(int folder, unsigned char[::1] members not None, Py_ssize_t start, Py_ssize_t stop) -> tuple:
    """Remove the members' files from a folder; return where it ended, and the errno of that file or 0."""
    cdef axds_member *first = _members(members, start, stop)
    cdef uint64_t following = <uint64_t>start
    cdef int error
    with nogil:
        error = axds_unlink(folder, first, &following, <uint64_t>stop)
    return following, error


def member_header(str name not None, uint32_t crc, uint64_t size) -> bytes:
    """Return what stands before the stored bytes of a member of any name."""
    cdef bytes text = name.encode()
    cdef bytearray room = PyByteArray_FromStringAndSize(NULL, <Py_ssize_t>axds_zip_member_span(len(text), 0))
    axds_zip_put_member(
        <unsigned char *>PyByteArray_AS_STRING(room), text, len(text), crc, size, not name.isascii())
    return bytes(room)


def check_members(unsigned char[::1] members not None, Py_ssize_t start, Py_ssize_t stop,
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


def directory_entries(
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


def end_records(uint64_t count, uint64_t size, uint64_t offset) -> bytes:
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
