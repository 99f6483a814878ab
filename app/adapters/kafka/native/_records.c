/* The records of Kafka's record batches (message format v2) as columns, and their checksum.
 *
 * Layout: https://kafka.apache.org/documentation/#recordbatch. Read as aiokafka 0.14 reads them, which is the twin that
 * runs where this is not compiled: tests/adapters/kafka/test_record_batches.py compares the two. Batches are parsed
 * whole (records.h) before the first object is made of them.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "crc32c.h"
#include "records.h"

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
        Py_ssize_t room = to->n + n + to->n / 2;
        int sane = (size_t)room <= PY_SSIZE_T_MAX / sizeof(Record); /* not only on 64 bits */
        Record *grown = sane ? PyMem_Realloc(to->all, (size_t)room * sizeof(Record)) : NULL;
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
#define COMPRESSION 0x07 /* of the attributes' lower byte */

#define ENOUGH (256 << 10) /* bytes: objects are made of them before they leave the processor's cache */

typedef struct {
    const uint8_t *at, *end; /* the next batch, the end of the fetch */
    int64_t position;        /* the next offset wanted */
    int64_t bytes;           /* parsed so far, and not made objects of */
    int check, not_mine;     /* whether to verify checksums; attributes of batches that another reader takes */
    PyObject *decoders;      /* a tuple: what decompresses, by the number of the compression; None: another reader */
    PyObject *segments;      /* a list: (next offset, newest timestamp) of each batch */
    PyObject *unpacked;      /* a list: the decompressed bytes that records point into */
    Records records;
} Run;

/* The end of the batch at `run->at`; NULL when it is for another reader, or the fetch cuts it off. */
static const uint8_t *end_of_batch(const Run *run)
{
    const uint8_t *at = run->at;
    if (run->end - at < HEAD || at[MAGIC] != 2 || at[ATTRIBUTES + 1] & run->not_mine)
        return NULL;
    int compression = at[ATTRIBUTES + 1] & COMPRESSION;
    if (compression && (compression >= PyTuple_GET_SIZE(run->decoders) ||
                        PyTuple_GET_ITEM(run->decoders, compression) == Py_None))
        return NULL;
    int64_t length = INT32(at + LENGTH);
    if (length < HEAD - LENGTH_COUNTS_FROM || length > run->end - at - LENGTH_COUNTS_FROM)
        return NULL;
    return at + LENGTH_COUNTS_FROM + length;
}

/* Decompresses `section` and makes it point at the result, which `run` keeps; -1 with an exception. */
static int unpack(Run *run, int compression, Cursor *section)
{
    PyObject *decoder = PyTuple_GET_ITEM(run->decoders, compression);
    PyObject *bytes = PyObject_CallFunction(decoder, "y#", section->at, (Py_ssize_t)(section->end - section->at));
    int failed = bytes == NULL ? -1 : 0;
    if (bytes != NULL && !PyBytes_Check(bytes)) {
        PyErr_SetString(PyExc_TypeError, "a decoder must return bytes");
        failed = -1;
    }
    if (!failed && (failed = PyList_Append(run->unpacked, bytes)) == 0) {
        section->at = (const uint8_t *)PyBytes_AS_STRING(bytes);
        section->end = section->at + PyBytes_GET_SIZE(bytes);
    }
    Py_XDECREF(bytes);
    return failed;
}

/* Reads the batch from `run->at` to `stop`, and goes on behind it. NULL, or what is wrong; "" with an exception. */
static const char *read_batch(Run *run, const uint8_t *stop)
{
    const uint8_t *batch = run->at;
    if (run->check && crc_of(batch + ATTRIBUTES, (size_t)(stop - batch - ATTRIBUTES), 0) != big_endian(batch + CRC, 4))
        return "bad checksum; check the disk";
    int64_t base = INT64(batch), next = (int64_t)((uint64_t)base + (uint64_t)INT32(batch + LAST_DELTA) + 1);
    int compression = batch[ATTRIBUTES + 1] & COMPRESSION;
    Cursor section = {batch + HEAD, stop};
    if (compression && unpack(run, compression, &section) < 0)
        return "";
    run->bytes += section.end - section.at;
    const char *wrong = add(&run->records, section, INT32(batch + COUNT), base, run->position);
    if (wrong != NULL)
        return wrong;
    PyObject *segment = Py_BuildValue("LL", (long long)next, (long long)INT64(batch + MAX_TIMESTAMP));
    int failed = segment == NULL ? -1 : PyList_Append(run->segments, segment);
    Py_XDECREF(segment);
    run->at = stop;
    if (next > run->position)
        run->position = next;
    return failed ? "" : NULL;
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

PyDoc_STRVAR(read_doc,
             "read(data, start, position, limit, check, not_mine, decoders, /)\n--\n\n"
             "Reads the record batches of format v2 that begin at `start` and follow each other, up to the one that\n"
             "brings `limit` records or 256 KiB, one that has an attribute of `not_mine` or no decoder, or one cut off.\n"
             "Returns values, offsets, packed keys and headers (None: no record has any) of the records from `position`\n"
             "on, (next offset, newest timestamp) of each batch, where the next batch starts, and the position after;\n"
             "None when there is no batch to read at `start`. ValueError for bytes that are not what they say, and with\n"
             "`check` for a wrong checksum.");

static PyObject *read_batches(PyObject *Py_UNUSED(module), PyObject *args)
{
    Py_buffer data;
    Py_ssize_t start, limit;
    long long position;
    Run run = {0};
    if (!PyArg_ParseTuple(args, "y*nLnpiO!:read", &data, &start, &position, &limit, &run.check, &run.not_mine,
                          &PyTuple_Type, &run.decoders))
        return NULL;
    PyObject *columns = NULL, *result = NULL;
    const uint8_t *stop;
    const char *wrong = NULL;
    if (!lies_in(&data, start, data.len))
        goto done;
    run.at = (const uint8_t *)data.buf + start;
    run.end = (const uint8_t *)data.buf + data.len;
    run.position = position;
    if (end_of_batch(&run) == NULL) {
        result = Py_NewRef(Py_None);
        goto done;
    }
    run.segments = PyList_New(0);
    run.unpacked = PyList_New(0);
    if (run.segments == NULL || run.unpacked == NULL)
        goto done;
    while (wrong == NULL && run.records.n < limit && run.bytes < ENOUGH && (stop = end_of_batch(&run)) != NULL)
        wrong = read_batch(&run, stop);
    if (wrong == NULL)
        columns = columns_of(run.records.all, run.records.n);
    else if (*wrong)
        PyErr_SetString(PyExc_ValueError, wrong);
    else if (!PyErr_Occurred())
        PyErr_NoMemory();
    if (columns != NULL)
        result = Py_BuildValue("OOnL", columns, run.segments, (Py_ssize_t)(run.at - (const uint8_t *)data.buf),
                               (long long)run.position);
done:
    Py_XDECREF(columns);
    Py_XDECREF(run.segments);
    Py_XDECREF(run.unpacked);
    PyMem_Free(run.records.all);
    PyBuffer_Release(&data);
    return result;
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
    {"read", read_batches, METH_VARARGS, read_doc},
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
