from libc.stdint cimport uint8_t, uint32_t, uint64_t

from .frame cimport axds_external


cdef extern from "include/lane.h" nogil:
    enum:
        AXDS_NEW
        AXDS_RUNNING
        AXDS_RESTARTING
        AXDS_CLOSING
        AXDS_CLOSED
        AXDS_FAILED
        AXDS_SLOTS
        AXDS_LANE_FORMAT
        AXDS_LANE_HEAD

    ctypedef struct axds_tally:
        uint64_t accepted[256]
        uint64_t dropped[256]
        uint64_t gapped[256]

    ctypedef struct axds_lane:
        uint64_t tail
        uint64_t head
        uint64_t taken
        uint64_t high_water
        uint64_t external_taken
        uint64_t external
        uint64_t put
        uint64_t put_bytes
        uint64_t drops
        uint64_t blocked_ns
        uint64_t reader
        axds_tally tally

    ctypedef struct axds_source:
        uint64_t written

    ctypedef struct axds_total:
        uint64_t put
        axds_tally tally

    ctypedef struct axds_hub:
        uint64_t queue_id
        uint32_t salt
        uint32_t format
        uint32_t drop_newest
        uint32_t slots
        uint32_t state
        uint32_t event_seq
        uint32_t event_waiting
        uint32_t next_claim
        uint32_t lanes_changed
        uint64_t consumer
        uint64_t caught_up_ns
        uint32_t restarts
        uint64_t notes[64]
        uint64_t retired
        axds_total *totals
        axds_source *sources
        uint32_t *lanes

    ctypedef struct axds_writer:
        axds_hub *hub
        axds_lane *lane
        uint64_t capacity
        uint64_t tail
        uint64_t largest
        uint32_t claim

    ctypedef struct axds_reader:
        axds_lane *lane
        uint64_t capacity
        uint64_t head
        uint64_t span_bytes
        uint64_t span_messages
        uint64_t next_seq
        uint64_t damaged_bytes
        uint32_t claim, salt
        int at_tail
        int external

    int axds_futex_off
    uint64_t axds_forks
    int axds_watch_forks()
    uint64_t axds_now_ns()

    uint64_t axds_load64 "axds_load"(uint64_t word)
    uint32_t axds_load32 "axds_load"(uint32_t word)
    void axds_store64 "axds_store"(uint64_t word, uint64_t value)
    void axds_store32 "axds_store"(uint32_t word, uint32_t value)
    void axds_count(uint64_t word, uint64_t by)

    void axds_lane_init(axds_lane *lane, uint64_t capacity)
    void axds_writer_init(axds_writer *writer, axds_hub *hub, axds_lane *lane, uint64_t capacity, uint32_t claim,
                          uint32_t salt)
    bint axds_writer_fits(axds_writer *writer, uint64_t need)
    uint64_t axds_placed(uint64_t capacity, uint64_t tail, uint32_t length)
    unsigned char *axds_payload_place(const axds_writer *writer, uint32_t length)
    uint64_t axds_message_needs(const axds_writer *writer, uint64_t length)
    void axds_write_gaps(axds_writer *writer)
    bint axds_put(axds_writer *writer, uint8_t source, uint64_t time, const unsigned char *payload, uint64_t length)
    uint64_t axds_put_rows(axds_writer *writer, uint8_t source, const uint64_t *times, const unsigned char *rows,
                           uint64_t length, uint64_t stride, uint64_t count)
    bint axds_put_external(axds_writer *writer, uint8_t source, uint64_t time, uint32_t length, uint32_t payload_check,
                           uint64_t number, uint64_t place)
    uint64_t axds_external_waiting(const axds_writer *writer)
    void axds_wait_for_space(axds_lane *lane, uint64_t capacity, uint64_t tail, uint64_t need, uint64_t slice_ns)
    void axds_wait_for_taking(axds_lane *lane, uint64_t taken_seen, uint64_t slice_ns)
    uint64_t axds_seal(axds_lane *lane, uint64_t position)

    void axds_reader_init(axds_reader *reader, axds_lane *lane, uint64_t capacity, uint32_t claim, uint32_t salt,
                          const uint32_t *state)
    uint64_t axds_readable_tail(axds_reader *reader)
    uint64_t axds_takeable(axds_reader *reader)
    bint axds_reader_done(axds_reader *reader)
    bint axds_mend_tail(axds_reader *reader)
    void axds_reader_span(axds_reader *reader, uint64_t max_bytes)
    bint axds_read_external(const axds_reader *reader, axds_external *external)
    bint axds_release(axds_reader *reader, uint64_t size)
    uint64_t axds_lane_queued(const axds_lane *lane, uint64_t capacity)
    bint axds_lane_damaged(const axds_lane *lane, uint64_t capacity)
    bint axds_lane_empty(const axds_lane *lane, uint64_t capacity)
    void axds_wait_for_records(axds_hub *hub, axds_reader **readers, uint64_t count, uint32_t lanes_seen,
                               uint32_t state_seen, uint64_t slice_ns)
    void axds_hub_wake(axds_hub *hub)
    int axds_change_state(axds_hub *hub, uint32_t before, uint32_t after)
    uint32_t axds_next_claim(axds_hub *hub)
    bint axds_register(axds_hub *hub, uint32_t claim)
    void axds_forget(axds_hub *hub, uint32_t claim)
    void axds_add_to_totals(axds_hub *hub, const axds_lane *lane, uint32_t claim)
    uint64_t axds_take_seat(uint64_t *seat, uint64_t dead, uint64_t mine)


cdef class Hub:
    cdef unsigned char[::1] memory
    cdef axds_hub *hub


cdef class Reader:
    cdef unsigned char[::1] memory
    cdef axds_reader reader
    cdef object ring
    cdef Hub hub
