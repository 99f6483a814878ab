/* The records inside a record batch: where their fields lie. Nothing of Python here.
 *
 * Bytes come from the network, so nothing in them is believed. A Cursor is the only way to read: it knows where its
 * bytes end, and every read that would pass that end fails. Lengths are compared with what is left, never added to a
 * position first, so no sum can overflow.
 */
#include <stddef.h>
#include <stdint.h>

typedef struct {
    const uint8_t *at, *end;
} Cursor;

typedef struct {
    Cursor headers;       /* the header fields, without their count */
    const uint8_t *key;   /* the key as it was sent, with its length, */
    ptrdiff_t key_size;  /* so many bytes in all */
    const uint8_t *value; /* meaningful when value_size >= 0; -1 is null */
    ptrdiff_t value_size;
    int64_t n_headers, offset;
} Record;

#define SMALLEST_RECORD 7 /* bytes: length, attributes, both deltas, no key, no value, no headers */

/* A zigzag varint of at most ten bytes; -1 when it is longer, or the bytes end within it. */
static inline int varint(Cursor *from, int64_t *found)
{
    uint64_t bits = 0;
    for (int shift = 0; shift < 70 && from->at < from->end; shift += 7) {
        uint8_t byte = *from->at++;
        bits |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *found = (int64_t)(bits >> 1) ^ -(int64_t)(bits & 1);
            return 0;
        }
    }
    return -1;
}

/* A length and so many bytes; any negative length is null (size -1). -1 when they end early. */
static inline int field(Cursor *from, const uint8_t **start, ptrdiff_t *size)
{
    int64_t length;
    if (varint(from, &length) < 0 || length > from->end - from->at)
        return -1;
    *start = from->at;
    *size = length < 0 ? -1 : (ptrdiff_t)length;
    if (length > 0)
        from->at += length;
    return 0;
}

/* The next record of a batch; NULL, or what is wrong with it. */
static const char *parse(Cursor *batch, int64_t base_offset, Record *record)
{
    int64_t length, unused, delta;
    const uint8_t *start;
    ptrdiff_t size;
    if (varint(batch, &length) < 0 || length < 0 || length > batch->end - batch->at)
        return "a record ends after its batch";
    Cursor from = {batch->at, batch->at + length};
    batch->at = from.end;
    /* attributes (aiokafka reads them as a varint; all are unused) and the timestamp, which the lane does not use */
    if (varint(&from, &unused) < 0 || varint(&from, &unused) < 0 || varint(&from, &delta) < 0)
        return "a record ends within its deltas";
    record->offset = (int64_t)((uint64_t)base_offset + (uint64_t)delta);
    record->key = from.at;
    if (field(&from, &start, &size) < 0)
        return "a key ends after its record";
    record->key_size = from.at - record->key;
    if (field(&from, &record->value, &record->value_size) < 0)
        return "a value ends after its record";
    if (varint(&from, &record->n_headers) < 0 || record->n_headers < 0)
        return "a record has an impossible number of headers";
    record->headers = from;
    for (int64_t i = 0; i < record->n_headers; i++) /* each takes two bytes or more, so the bytes bound the loop */
        if (field(&from, &start, &size) < 0 || size < 0 || field(&from, &start, &size) < 0)
            return "a header ends after its record";
    return from.at == from.end ? NULL : "a record is longer than its fields";
}
