/* The records of Kafka's record batches (message format v2) as columns, and their checksum.
 *
 * Layout: https://kafka.apache.org/documentation/#recordbatch. Read as aiokafka 0.14 reads them, which is the twin that
 * runs where this is not compiled: tests/adapters/kafka/test_record_batches.py compares the two.
 *
 * Bytes come from the network, so nothing in them is believed. A Cursor is the only way to read: it knows where its
 * bytes end, and every read that would pass that end fails. Lengths are compared with what is left, never added to a
 * position first, so no sum can overflow. A batch is parsed whole before the first object is made.
 *
 * No state but the tables of the checksum, which are written once, at import.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>
#include <string.h>

/* ---------------------------------------------------------------------------------------------------- CRC32C */

#define POLYNOMIAL 0x82F63B78u /* Castagnoli, bits reversed: RFC 3720, appendix B.4 */
#define BLOCK 1024             /* bytes; the processor's instruction works on three blocks side by side */

static uint32_t table[8][256]; /* table[k][b]: what byte b does to a checksum when k more zero bytes follow it */
static uint32_t skip[4][256];  /* skip[k][b]: what BLOCK zero bytes make of a checksum whose byte k is b, others 0 */

static uint32_t one_byte(uint32_t crc, uint8_t byte)
{
    return (crc >> 8) ^ table[0][(crc ^ byte) & 0xff];
}

static void make_tables(void)
{
    for (uint32_t byte = 0; byte < 256; byte++) {
        uint32_t crc = byte;
        for (int bit = 0; bit < 8; bit++)
            crc = (crc >> 1) ^ (crc & 1 ? POLYNOMIAL : 0);
        table[0][byte] = crc;
    }
    for (int k = 1; k < 8; k++)
        for (int byte = 0; byte < 256; byte++)
            table[k][byte] = one_byte(table[k - 1][byte], 0);
    for (int k = 0; k < 4; k++)
        for (uint32_t byte = 1; byte < 256; byte++) {
            uint32_t lowest = byte & (0u - byte), crc = lowest << (8 * k);
            if (byte == lowest)
                for (int i = 0; i < BLOCK; i++)
                    crc = one_byte(crc, 0);
            else /* checksums are linear: a byte does what its bits do */
                crc = skip[k][lowest] ^ skip[k][byte ^ lowest];
            skip[k][byte] = crc;
        }
}

/* Eight bytes a step ("slicing by 8"): for processors without an instruction. */
static uint32_t crc_by_tables(uint32_t crc, const uint8_t *at, size_t left)
{
    for (; left >= 8; at += 8, left -= 8) {
        crc ^= at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
        crc = table[7][crc & 0xff] ^ table[6][crc >> 8 & 0xff] ^ table[5][crc >> 16 & 0xff] ^ table[4][crc >> 24] ^
              table[3][at[4]] ^ table[2][at[5]] ^ table[1][at[6]] ^ table[0][at[7]];
    }
    for (; left; at++, left--)
        crc = one_byte(crc, *at);
    return crc;
}

#if defined(__x86_64__) && (defined(__GNUC__) || defined(__clang__))
#include <nmmintrin.h>
#define INSTRUCTION __attribute__((target("sse4.2")))
#define HAS_INSTRUCTION __builtin_cpu_supports("sse4.2")
#define STEP8(crc, bytes) _mm_crc32_u64((crc), (bytes))
#define STEP1(crc, byte) _mm_crc32_u8((uint32_t)(crc), (byte))
#elif defined(__ARM_FEATURE_CRC32) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#include <arm_acle.h>
#define INSTRUCTION
#define HAS_INSTRUCTION 1
#define STEP8(crc, bytes) __crc32cd((uint32_t)(crc), (bytes))
#define STEP1(crc, byte) __crc32cb((uint32_t)(crc), (byte))
#endif

#ifdef INSTRUCTION
static inline uint64_t eight(const uint8_t *at)
{
    uint64_t bytes;
    memcpy(&bytes, at, 8);
    return bytes;
}

static inline uint32_t skip_block(uint64_t crc)
{
    return skip[0][crc & 0xff] ^ skip[1][crc >> 8 & 0xff] ^ skip[2][crc >> 16 & 0xff] ^ skip[3][crc >> 24 & 0xff];
}

/* The instruction takes three cycles but one can begin in each, so three blocks keep it busy; then they are joined. */
INSTRUCTION static uint32_t crc_by_instruction(uint32_t start, const uint8_t *at, size_t left)
{
    uint64_t crc = start;
    for (; left >= 3 * BLOCK; at += 3 * BLOCK, left -= 3 * BLOCK) {
        uint64_t second = 0, third = 0;
        for (int i = 0; i < BLOCK; i += 8) {
            crc = STEP8(crc, eight(at + i));
            second = STEP8(second, eight(at + BLOCK + i));
            third = STEP8(third, eight(at + 2 * BLOCK + i));
        }
        crc = skip_block(skip_block(crc) ^ second) ^ third;
    }
    for (; left >= 8; at += 8, left -= 8)
        crc = STEP8(crc, eight(at));
    for (; left; at++, left--)
        crc = STEP1(crc, *at);
    return (uint32_t)crc;
}
#endif

static uint32_t crc_of(const uint8_t *at, size_t size, int tables_only)
{
#ifdef INSTRUCTION
    if (!tables_only && HAS_INSTRUCTION)
        return ~crc_by_instruction(~0u, at, size);
#endif
    (void)tables_only;
    return ~crc_by_tables(~0u, at, size);
}

/* --------------------------------------------------------------------------------------------------- parsing */

typedef struct {
    const uint8_t *at, *end;
} Cursor;

typedef struct {
    Cursor headers;       /* the header fields, without their count */
    const uint8_t *key;   /* the key as it was sent, with its length, */
    Py_ssize_t key_size;  /* so many bytes in all */
    const uint8_t *value; /* meaningful when value_size >= 0; -1 is null */
    Py_ssize_t value_size;
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
static inline int field(Cursor *from, const uint8_t **start, Py_ssize_t *size)
{
    int64_t length;
    if (varint(from, &length) < 0 || length > from->end - from->at)
        return -1;
    *start = from->at;
    *size = length < 0 ? -1 : (Py_ssize_t)length;
    if (length > 0)
        from->at += length;
    return 0;
}

/* The next record of a batch; NULL, or what is wrong with it. */
static const char *parse(Cursor *batch, int64_t base_offset, Record *record)
{
    int64_t length, unused, delta;
    const uint8_t *start;
    Py_ssize_t size;
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

/* --------------------------------------------------------------------------------------------------- columns */

static PyObject *bytes_or_none(const uint8_t *start, Py_ssize_t size)
{
    return size < 0 ? Py_NewRef(Py_None) : PyBytes_FromStringAndSize((const char *)start, size);
}

static PyObject *values_of(const Record *records, Py_ssize_t n)
{
    PyObject *values = PyList_New(n);
    for (Py_ssize_t i = 0; values != NULL && i < n; i++) {
        PyObject *value = bytes_or_none(records[i].value, records[i].value_size);
        if (value == NULL)
            Py_CLEAR(values);
        else
            PyList_SET_ITEM(values, i, value);
    }
    return values;
}

/* A range where there are no holes, as between records that were never compacted; else a list. */
static PyObject *offsets_of(const Record *records, Py_ssize_t n)
{
    int64_t first = n ? records[0].offset : 0, last = n ? records[n - 1].offset : -1;
    int sound = n == 0 || (first <= last && last < INT64_MAX);
    if (sound && (uint64_t)last - (uint64_t)first + 1 == (uint64_t)n)
        return PyObject_CallFunction((PyObject *)&PyRange_Type, "LL", (long long)first, (long long)last + 1);
    PyObject *offsets = PyList_New(n);
    for (Py_ssize_t i = 0; offsets != NULL && i < n; i++) {
        PyObject *offset = PyLong_FromLongLong(records[i].offset);
        if (offset == NULL)
            Py_CLEAR(offsets);
        else
            PyList_SET_ITEM(offsets, i, offset);
    }
    return offsets;
}

/* The keys one after the other as they were sent: few are ever looked at, and split() finds them. */
static PyObject *keys_of(const Record *records, Py_ssize_t n)
{
    Py_ssize_t size = 0;
    for (Py_ssize_t i = 0; i < n; i++)
        size += records[i].key_size; /* parts of one buffer: their sum is below its size */
    PyObject *keys = PyBytes_FromStringAndSize(NULL, size);
    if (keys == NULL)
        return NULL;
    char *to = PyBytes_AS_STRING(keys);
    for (Py_ssize_t i = 0; i < n; to += records[i].key_size, i++)
        memcpy(to, records[i].key, (size_t)records[i].key_size);
    return keys;
}

typedef struct {
    const uint8_t *start, *name, *value; /* start: where the length of the name is */
    Py_ssize_t name_size, value_size;    /* value_size -1: null */
} Header;

static int next_header(Cursor *from, Header *header)
{
    header->start = from->at;
    if (field(from, &header->name, &header->name_size) < 0 || header->name_size < 0)
        return -1;
    return field(from, &header->value, &header->value_size);
}

/* (name, value) of `header`, with `name` if it is known already; a value that is null reads as empty. */
static PyObject *pair_of(const Header *header, PyObject *name)
{
    PyObject *text = name ? Py_NewRef(name) : PyUnicode_DecodeUTF8((const char *)header->name, header->name_size, NULL);
    Py_ssize_t size = header->value_size < 0 ? 0 : header->value_size;
    PyObject *bytes = text ? PyBytes_FromStringAndSize((const char *)header->value, size) : NULL;
    PyObject *pair = bytes ? PyTuple_Pack(2, text, bytes) : NULL;
    Py_XDECREF(text);
    Py_XDECREF(bytes);
    return pair;
}

/* The headers of `record`. Those that the record before (`last`, of which `shared` was made) has at the same place, as
 * content types and versions are, become the same objects: most headers differ in an id and a time only. */
static PyObject *headers_of_one(const Record *record, const Record *last, PyObject *shared)
{
    Cursor from = record->headers, from_last = last ? last->headers : record->headers;
    Py_ssize_t n = (Py_ssize_t)record->n_headers, n_last = shared ? PyTuple_GET_SIZE(shared) : 0;
    PyObject *headers = PyTuple_New(n);
    for (Py_ssize_t i = 0; headers != NULL && i < n; i++) {
        Header header, other;
        PyObject *pair = NULL, *name = NULL;
        if (next_header(&from, &header) < 0 || (i < n_last && next_header(&from_last, &other) < 0))
            PyErr_SetString(PyExc_ValueError, "a header changed while it was read");
        else {
            Py_ssize_t size = from.at - header.start;
            PyObject *known = i < n_last ? PyTuple_GET_ITEM(shared, i) : NULL;
            if (known && size == from_last.at - other.start && memcmp(header.start, other.start, (size_t)size) == 0)
                pair = Py_NewRef(known);
            else {
                if (known && header.name_size == other.name_size &&
                    memcmp(header.name, other.name, (size_t)header.name_size) == 0)
                    name = PyTuple_GET_ITEM(known, 0);
                pair = pair_of(&header, name);
            }
        }
        if (pair == NULL)
            Py_CLEAR(headers);
        else
            PyTuple_SET_ITEM(headers, i, pair);
    }
    return headers;
}

/* None where no record has headers. */
static PyObject *headers_of(const Record *records, Py_ssize_t n)
{
    Py_ssize_t with = 0;
    while (with < n && records[with].n_headers == 0)
        with++;
    if (with == n)
        Py_RETURN_NONE;
    PyObject *headers = PyList_New(n);
    for (Py_ssize_t i = 0; headers != NULL && i < n; i++) {
        const Record *last = i ? &records[i - 1] : NULL;
        PyObject *one = headers_of_one(&records[i], last, last ? PyList_GET_ITEM(headers, i - 1) : NULL);
        if (one == NULL)
            Py_CLEAR(headers);
        else
            PyList_SET_ITEM(headers, i, one);
    }
    return headers;
}

static PyObject *columns_of(const Record *records, Py_ssize_t n)
{
    PyObject *values = values_of(records, n), *offsets = values ? offsets_of(records, n) : NULL;
    PyObject *keys = offsets ? keys_of(records, n) : NULL, *headers = keys ? headers_of(records, n) : NULL;
    PyObject *columns = headers ? PyTuple_Pack(4, values, offsets, keys, headers) : NULL;
    Py_XDECREF(values);
    Py_XDECREF(offsets);
    Py_XDECREF(keys);
    Py_XDECREF(headers);
    return columns;
}

/* --------------------------------------------------------------------------------------------------- batches */

typedef struct {
    Record *all;
    Py_ssize_t n, room;
} Records;

/* Adds the `count` records that fill `section`, but those before `position` if it lies within them: a fetch brings
 * whole batches. NULL, or what is wrong; "" when memory ran out. */
static const char *add(Records *to, Cursor section, int64_t count, int64_t base_offset, int64_t position)
{
    if (count > (section.end - section.at) / SMALLEST_RECORD)
        return "more records than can be in so few bytes";
    Py_ssize_t n = count < 0 ? 0 : (Py_ssize_t)count, kept = to->n;
    if (n > to->room - to->n) {
        Py_ssize_t room = to->n + n + to->n / 2; /* no more than bytes of the fetch / 7, twice: far from an overflow */
        Record *grown = PyMem_Realloc(to->all, (size_t)room * sizeof(Record));
        if (grown == NULL)
            return "";
        to->all = grown;
        to->room = room;
    }
    for (Py_ssize_t i = 0; i < n; i++) {
        const char *wrong = parse(&section, base_offset, &to->all[to->n + i]);
        if (wrong != NULL)
            return wrong;
    }
    if (section.at != section.end)
        return "bytes are left after its last record";
    if (n == 0 || to->all[to->n].offset >= position) {
        to->n += n;
        return NULL;
    }
    for (Py_ssize_t i = to->n; i < to->n + n; i++)
        if (to->all[i].offset >= position)
            to->all[kept++] = to->all[i];
    to->n = kept;
    return NULL;
}

static uint64_t big_endian(const uint8_t *at, int bytes)
{
    uint64_t number = 0;
    while (bytes--)
        number = number << 8 | *at++;
    return number;
}

#define INT32(at) ((int32_t)(uint32_t)big_endian((at), 4))
#define INT64(at) ((int64_t)big_endian((at), 8))

/* Where the fields of a record batch lie, from its first byte. */
enum { LENGTH = 8, MAGIC = 16, CRC = 17, ATTRIBUTES = 21, LAST_DELTA = 23, MAX_TIMESTAMP = 35, COUNT = 57, HEAD = 61 };
#define LENGTH_COUNTS_FROM 12
#define NOT_PLAIN 0x37 /* attributes: compression, transactional, control */

/* The end of the plain record batch at `at`; NULL when there is none, or the fetch cuts it off. */
static const uint8_t *plain_batch(const uint8_t *at, const uint8_t *end)
{
    if (end - at < HEAD || at[MAGIC] != 2 || at[ATTRIBUTES + 1] & NOT_PLAIN)
        return NULL;
    int64_t length = INT32(at + LENGTH);
    if (length < HEAD - LENGTH_COUNTS_FROM || length > end - at - LENGTH_COUNTS_FROM)
        return NULL;
    return at + LENGTH_COUNTS_FROM + length;
}

/* ---------------------------------------------------------------------------------------------------- module */

/* Whether start..stop lies in the buffer; sets ValueError when not. */
static int lies_in(const Py_buffer *data, Py_ssize_t start, Py_ssize_t stop)
{
    if (0 <= start && start <= stop && stop <= data->len)
        return 1;
    PyErr_Format(PyExc_ValueError, "%zd..%zd is not within %zd bytes", start, stop, data->len);
    return 0;
}

PyDoc_STRVAR(crc32c_doc, "crc32c(data, start, stop, tables_only=False, /)\n--\n\nCRC32C (Castagnoli) of a part of data.");

static PyObject *crc32c(PyObject *Py_UNUSED(module), PyObject *args)
{
    Py_buffer data;
    Py_ssize_t start, stop;
    int tables_only = 0;
    if (!PyArg_ParseTuple(args, "y*nn|p:crc32c", &data, &start, &stop, &tables_only))
        return NULL;
    PyObject *found = NULL;
    if (lies_in(&data, start, stop))
        found = PyLong_FromUnsignedLong(crc_of((const uint8_t *)data.buf + start, (size_t)(stop - start), tables_only));
    PyBuffer_Release(&data);
    return found;
}

/* Values, offsets, keys and headers; or the exception for what was wrong. */
static PyObject *result_of(const Records *records, const char *wrong)
{
    if (wrong == NULL)
        return columns_of(records->all, records->n);
    if (*wrong == 0)
        return PyErr_NoMemory();
    PyErr_SetString(PyExc_ValueError, wrong);
    return NULL;
}

PyDoc_STRVAR(read_doc, "read(data, start, stop, count, base_offset, position, /)\n--\n\n"
                       "Values, offsets, packed keys and headers of the `count` records that fill a part of data,\n"
                       "without those before `position`. ValueError when they are not so many whole records.");

static PyObject *read_records(PyObject *Py_UNUSED(module), PyObject *args)
{
    Py_buffer data;
    Py_ssize_t start, stop;
    long long count, base_offset, position;
    if (!PyArg_ParseTuple(args, "y*nnLLL:read", &data, &start, &stop, &count, &base_offset, &position))
        return NULL;
    PyObject *columns = NULL;
    if (lies_in(&data, start, stop)) {
        Records records = {NULL, 0, 0};
        Cursor section = {(const uint8_t *)data.buf + start, (const uint8_t *)data.buf + stop};
        columns = result_of(&records, add(&records, section, count, base_offset, position));
        PyMem_Free(records.all);
    }
    PyBuffer_Release(&data);
    return columns;
}

/* Appends (next offset, newest timestamp); -1 when that failed. */
static int add_segment(PyObject *segments, int64_t next_offset, int64_t timestamp)
{
    PyObject *segment = Py_BuildValue("LL", (long long)next_offset, (long long)timestamp);
    int failed = segment == NULL ? -1 : PyList_Append(segments, segment);
    Py_XDECREF(segment);
    return failed;
}

/* Reads plain batches from *at on into `records` and `segments`, and moves *at and *position past them. NULL, or what
 * is wrong with the batch at *at; "" when an exception is set. */
static const char *run_of(const uint8_t **at, const uint8_t *end, int64_t *position, Py_ssize_t limit, int check,
                          Records *records, PyObject *segments)
{
    const uint8_t *stop;
    for (; records->n < limit && (stop = plain_batch(*at, end)) != NULL; *at = stop) {
        const uint8_t *batch = *at;
        if (check && crc_of(batch + ATTRIBUTES, (size_t)(stop - batch - ATTRIBUTES), 0) != big_endian(batch + CRC, 4))
            return "bad checksum; check the disk";
        int64_t base = INT64(batch), next = (int64_t)((uint64_t)base + (uint64_t)INT32(batch + LAST_DELTA) + 1);
        const char *wrong = add(records, (Cursor){batch + HEAD, stop}, INT32(batch + COUNT), base, *position);
        if (wrong != NULL)
            return wrong;
        if (add_segment(segments, next, INT64(batch + MAX_TIMESTAMP)) < 0)
            return "";
        if (next > *position)
            *position = next;
    }
    return NULL;
}

PyDoc_STRVAR(run_doc, "run(data, start, position, limit, check, /)\n--\n\n"
                      "Reads the plain record batches (format v2, not compressed, transactional or control) that begin\n"
                      "at `start` and follow each other, up to the one that brings `limit` records; with `check` their\n"
                      "checksums are verified. Returns the columns as read() does, (next offset, newest timestamp) of\n"
                      "each batch, where the next batch starts, and the position after; None when there is no such batch\n"
                      "at `start`. ValueError for a bad one.");

static PyObject *run(PyObject *Py_UNUSED(module), PyObject *args)
{
    Py_buffer data;
    Py_ssize_t start, limit;
    long long from;
    int check;
    if (!PyArg_ParseTuple(args, "y*nLnp:run", &data, &start, &from, &limit, &check))
        return NULL;
    PyObject *columns = NULL, *all = NULL, *segments = NULL;
    if (!lies_in(&data, start, data.len))
        goto done;
    Records records = {NULL, 0, 0};
    const uint8_t *first = data.buf, *at = first + start, *end = first + data.len;
    int64_t position = from;
    if (plain_batch(at, end) == NULL)
        all = Py_NewRef(Py_None);
    else if ((segments = PyList_New(0)) != NULL) {
        const char *wrong = run_of(&at, end, &position, limit, check, &records, segments);
        columns = PyErr_Occurred() ? NULL : result_of(&records, wrong);
        if (columns != NULL)
            all = Py_BuildValue("OOnL", columns, segments, (Py_ssize_t)(at - first), (long long)position);
    }
    PyMem_Free(records.all);
done:
    Py_XDECREF(columns);
    Py_XDECREF(segments);
    PyBuffer_Release(&data);
    return all;
}

PyDoc_STRVAR(split_doc, "split(packed, count, /)\n--\n\nThe `count` keys that read() packed. ValueError when not so many.");

static PyObject *split(PyObject *Py_UNUSED(module), PyObject *args)
{
    Py_buffer data;
    Py_ssize_t count;
    if (!PyArg_ParseTuple(args, "y*n:split", &data, &count))
        return NULL;
    Cursor from = {(const uint8_t *)data.buf, (const uint8_t *)data.buf + data.len};
    PyObject *keys = NULL;
    if (count < 0 || count > data.len) /* each takes a byte or more */
        PyErr_SetString(PyExc_ValueError, "more keys than bytes");
    else
        keys = PyList_New(count);
    for (Py_ssize_t i = 0; keys != NULL && i < count; i++) {
        const uint8_t *start;
        Py_ssize_t size;
        PyObject *key = NULL;
        if (field(&from, &start, &size) < 0)
            PyErr_SetString(PyExc_ValueError, "a key ends after its bytes");
        else
            key = bytes_or_none(start, size);
        if (key == NULL)
            Py_CLEAR(keys);
        else
            PyList_SET_ITEM(keys, i, key);
    }
    PyBuffer_Release(&data);
    return keys;
}

static int prepare(PyObject *Py_UNUSED(module))
{
    make_tables(); /* the same bytes every time, so a second import in another interpreter changes nothing */
    return 0;
}

static PyMethodDef methods[] = {
    {"crc32c", crc32c, METH_VARARGS, crc32c_doc},
    {"read", read_records, METH_VARARGS, read_doc},
    {"run", run, METH_VARARGS, run_doc},
    {"split", split, METH_VARARGS, split_doc},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot slots[] = {{Py_mod_exec, prepare}, {0, NULL}};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT,
    .m_name = "_records",
    .m_doc = "Record batches of Kafka's message format v2 as columns, and their checksum.",
    .m_methods = methods,
    .m_slots = slots,
};

PyMODINIT_FUNC PyInit__records(void)
{
    return PyModuleDef_Init(&module);
}
