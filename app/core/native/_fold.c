/* The usual event's path through the fold, in C: what app/core/usual.py writes out in Python, for one spelling.
 *
 * Counts answers that are one more of a known cell, in the minute of the watermark, spelled as the one before, and stops
 * at the first that it is not sure of; app/core/fold.py then counts that one. It gives the same sums, bit for bit: same
 * operations, same order, no fused ones (deploy/native.py). The rare parts of an event are told to the cell's own
 * methods in Python. Mutable state: the objects it is given, and of a Layout what helps to guess the next name. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <structmember.h>

#include "scan.h"
#include "ids.h"
#include "sums.h"
#include "known.h"

/* Fields by index: those of the envelope, of Response, of SegmentParts. FIELDS has their names in Python. */
enum {
    SPECVERSION, ID, SOURCE, TYPE, TIME, DATA,
    SERVICE, MODEL, LATENCY, REQUEST_ID, ARM, SERVED_ARM, SEGMENT, SLICE, VERSION, SESSION_ID, SESSION_GROUP, PROVIDER,
    TTFT, INPUT, OUTPUT, CACHED, COST, STATUS, ERROR_TYPE, FINISH, RESPONSE_MODEL, FINGERPRINT, LIMIT, VALID_JSON,
    RETRY_OF, PROMPT, QUALITY, OWN_COST, LABELS, TENANT, TASK_TYPE, REGION, N_FIELDS
};

static const char *const FIELDS[] = {
    "specversion", "id", "source", "type", "time", "data",
    "service", "model", "latency_ms", "request_id", "arm", "served_arm", "segment", "slice", "version", "session_id",
    "session_group", "provider", "ttft_ms", "input_tokens", "output_tokens", "cached_tokens", "cost_usd", "status",
    "error_type", "finish_reason", "response_model", "fingerprint", "max_tokens", "valid_json", "retry_of",
    "prompt_hash", "quality", "own_cost_usd", "labels", "segment.tenant", "segment.task_type", "segment.region",
};
static const char *const KINDS[] = {"text", "real", "whole", "choice", "truth", "map", "group"};

static PyObject *ADD_MODEL, *ADD_WASTE, *CHANGE;

typedef struct {
    PyObject_HEAD
    PyObject *kept; /* what the names and choices below point into */
    Level levels[MAX_LEVELS];
    int n_levels;
    int key[16]; /* fields of the key */
    int n_key;
    const char *cut_off[MAX_CHOICES];
    Py_ssize_t cut_off_lengths[MAX_CHOICES];
    int n_cut_off;
    double floor, scale, log_floor;
    long lowest;
    char time[TIME_LENGTH]; /* the last time read, and its second */
    int64_t second;
} Layout;

#define GIVEN(answer, field) ((answer)->given >> (field) & 1)
#define WHOLE_OF(answer, field) (GIVEN(answer, field) ? (answer)->values[field].whole : 0)
#define LENGTH_OF(answer, field) (GIVEN(answer, field) ? (answer)->values[field].length : 0)

static inline int
is_text(const Answer *answer, int field, const char *text, Py_ssize_t length)
{
    const Value *value = answer->values + field;
    return value->length == length && memcmp(value->text, text, (size_t)length) == 0;
}

static inline int
is_failed(const Answer *answer)
{
    return GIVEN(answer, STATUS) && !is_text(answer, STATUS, "ok", 2);
}

/* ---- where an answer counts ---- */

static inline int
key_field(Key *key, const Answer *answer, int field)
{
    const Value *value = answer->values + field;
    if (field == SEGMENT) {
        static const int parts[] = {TENANT, TASK_TYPE, REGION};
        if (!GIVEN(answer, SEGMENT))
            return key_mark(key, NONE_MARK);
        if (key_mark(key, SEGMENT_MARK) < 0)
            return UNSURE;
        for (int i = 0; i < 3; i++)
            if (key_text(key, answer->values[parts[i]].text, LENGTH_OF(answer, parts[i])) < 0)
                return UNSURE;
        return SURE;
    }
    if (field == VERSION)
        return key_whole(key, WHOLE_OF(answer, VERSION));
    if (GIVEN(answer, field))
        return key_text(key, value->text, value->length);
    if (field == ARM)
        return key_mark(key, NONE_MARK);
    return field == SLICE ? key_text(key, "main", 4) : key_text(key, "", 0);
}

static inline PyObject *
find_known(const Layout *layout, const Known *known, const Answer *answer)
{
    Key key;
    key.length = 0;
    for (int i = 0; i < layout->n_key; i++)
        if (key_field(&key, answer, layout->key[i]) < 0)
            return NULL;
    return known_place(known, &key, hash_text(key.bytes, key.length))->known;
}

/* ---- the sums; what is rare is told to Python ---- */

static PyObject *
text_of(const Answer *answer, int field)
{
    return PyUnicode_DecodeUTF8(GIVEN(answer, field) ? answer->values[field].text : "", LENGTH_OF(answer, field), NULL);
}

/* NULL where a part could not be made; drops the parts. */
static int
told(PyObject *to, PyObject *method, PyObject **parts, int n)
{
    PyObject *made = NULL, *stack[8] = {to};
    int whole = 1;
    for (int i = 0; i < n; i++) {
        stack[i + 1] = parts[i];
        whole = whole && parts[i] != NULL;
    }
    if (whole)
        made = PyObject_VectorcallMethod(method, stack, (size_t)n + 1, NULL);
    for (int i = 0; i < n; i++)
        Py_XDECREF(parts[i]);
    Py_XDECREF(made);
    return made == NULL ? -1 : 0;
}

static inline int
is_same(PyObject *text, const Answer *answer, int field)
{
    Py_ssize_t length;
    const char *has = PyUnicode_AsUTF8AndSize(text, &length);
    return has != NULL && LENGTH_OF(answer, field) == length &&
           (length == 0 || memcmp(has, answer->values[field].text, (size_t)length) == 0);
}

static int
add_model(Sums *cell, const Answer *answer)
{
    if (is_same(cell->response_model, answer, RESPONSE_MODEL) && is_same(cell->fingerprint, answer, FINGERPRINT))
        return 0;
    PyObject *parts[] = {text_of(answer, RESPONSE_MODEL), text_of(answer, FINGERPRINT)};
    return told((PyObject *)cell, ADD_MODEL, parts, 2);
}

static inline int
is_cut_off(const Layout *layout, const Answer *answer)
{
    if (GIVEN(answer, FINISH))
        for (int i = 0; i < layout->n_cut_off; i++)
            if (is_text(answer, FINISH, layout->cut_off[i], layout->cut_off_lengths[i]))
                return 1;
    return 0;
}

static int
add_waste(const Layout *layout, Sums *cell, const Answer *answer, double cost)
{
    int invalid = GIVEN(answer, VALID_JSON) && !answer->values[VALID_JSON].whole;
    if (!invalid && !LENGTH_OF(answer, RETRY_OF) && !LENGTH_OF(answer, PROMPT) && !is_cut_off(layout, answer)) {
        if (GIVEN(answer, LIMIT)) { /* the usual: a limit was given, and kept */
            cell->limited++;
            cell->limits += answer->values[LIMIT].whole;
            cell->written += WHOLE_OF(answer, OUTPUT);
        }
        return 0;
    }
    PyObject *valid = !GIVEN(answer, VALID_JSON) ? Py_None : invalid ? Py_False : Py_True;
    PyObject *parts[] = {
        PyFloat_FromDouble(cost),
        text_of(answer, RETRY_OF),
        Py_NewRef(valid),
        GIVEN(answer, LIMIT) ? PyLong_FromLongLong(answer->values[LIMIT].whole) : Py_NewRef(Py_None),
        PyLong_FromLongLong(WHOLE_OF(answer, OUTPUT)),
        text_of(answer, PROMPT),
        text_of(answer, FINISH),
    };
    return told((PyObject *)cell, ADD_WASTE, parts, 7);
}

static int
add_grouped(Sums *cell, const Answer *answer, double log_latency, double cost)
{
    if (!GIVEN(answer, SESSION_GROUP) || !(cell->compared || LENGTH_OF(answer, SESSION_ID)))
        return 0;
    Group *group = group_of(cell, answer->values[SESSION_GROUP].whole);
    if (group == NULL)
        return -1;
    group_add(group, is_failed(answer), log_latency, cost, WHOLE_OF(answer, INPUT), WHOLE_OF(answer, OUTPUT),
              WHOLE_OF(answer, CACHED));
    if (GIVEN(answer, QUALITY))
        group_score(group, answer->values[QUALITY].number);
    return 0;
}

/* Products of token counts are at most 1e18, so exact as in Python, and rounded once when they are added. */
static void
add_unpriced(Sums *cell, const Answer *answer)
{
    int64_t a = WHOLE_OF(answer, INPUT), b = WHOLE_OF(answer, OUTPUT), c = WHOLE_OF(answer, CACHED);
    cell->unpriced_n++;
    cell->unpriced_input += a;
    cell->unpriced_output += b;
    cell->unpriced_cached += c;
    cell->unpriced_input_sq += (double)(a * a);
    cell->unpriced_output_sq += (double)(b * b);
    cell->unpriced_cached_sq += (double)(c * c);
    cell->unpriced_input_output += (double)(a * b);
    cell->unpriced_input_cached += (double)(a * c);
    cell->unpriced_output_cached += (double)(b * c);
}

static int
add_latency(const Layout *layout, Sums *cell, double latency, double *log_latency)
{
    long bucket = layout->lowest;
    *log_latency = layout->log_floor;
    if (latency > layout->floor) {
        *log_latency = log(latency);
        bucket = (long)ceil(*log_latency * layout->scale);
    }
    int64_t *count = buckets_at((Buckets *)cell->histogram, bucket);
    if (count == NULL)
        return -1;
    (*count)++;
    cell->latency += latency;
    cell->log_latency += *log_latency;
    cell->log_latency_sq += *log_latency * *log_latency;
    if (latency > cell->latency_max)
        cell->latency_max = latency;
    return 0;
}

static double
add_cost(Sums *cell, const Answer *answer, double tokens)
{
    if (!GIVEN(answer, COST)) {
        add_unpriced(cell, answer);
        return 0.0;
    }
    double cost = answer->values[COST].number;
    cell->cost += cost;
    cell->cost_sq += cost * cost;
    cell->input_cost += tokens * cost;
    return cost;
}

/* Count one answer: the lines of app.core.usual, in their order where the order shows. */
static int
add_answer(const Layout *layout, Sums *cell, const Answer *answer)
{
    double log_latency;
    int64_t input = WHOLE_OF(answer, INPUT);
    if (add_latency(layout, cell, answer->values[LATENCY].number, &log_latency) < 0)
        return -1;
    cell->n++;
    cell->input += input;
    cell->input_sq += (double)(input * input); /* at most 1e18: the product is exact, as in Python */
    cell->output += WHOLE_OF(answer, OUTPUT);
    cell->cached += WHOLE_OF(answer, CACHED);
    cell->errors += is_failed(answer);
    cell->in_session += LENGTH_OF(answer, SESSION_ID) > 0;
    if (GIVEN(answer, QUALITY)) {
        double quality = answer->values[QUALITY].number;
        cell->quality_n++;
        cell->quality += quality;
        cell->quality_sq += quality * quality;
    }
    if (GIVEN(answer, TTFT)) {
        cell->ttft_n++;
        cell->ttft += answer->values[TTFT].number;
    }
    if (GIVEN(answer, OWN_COST))
        cell->own_cost += answer->values[OWN_COST].number;
    double cost = add_cost(cell, answer, (double)input);
    if (add_model(cell, answer) < 0 || add_waste(layout, cell, answer, cost) < 0)
        return -1;
    return add_grouped(cell, answer, log_latency, cost);
}

/* ---- the loop ---- */

typedef struct {
    Known *known;
    Ids *ids;
    long long low, high, top; /* seconds: the minute's bounds, the watermark */
    Py_ssize_t repeats;
    int early;
} Run;

static int64_t
second_at(Layout *layout, const Value *time)
{
    if (!is_utc(time->text, time->length))
        return UNSURE;
    if (memcmp(layout->time, time->text, TIME_LENGTH) != 0) {
        layout->second = second_of(time->text);
        memcpy(layout->time, time->text, TIME_LENGTH);
    }
    return layout->second;
}

static int
change(PyObject *service, Sums *cell, PyObject *cell_key)
{
    PyObject *parts[] = {Py_NewRef(cell_key), Py_NewRef(cell)};
    return told(service, CHANGE, parts, 2);
}

enum { COUNTED, NOT_SURE, FAILED };

static int
count_one(Layout *layout, Run *run, PyObject *record, long long offset)
{
    Answer answer;
    if (!PyBytes_CheckExact(record) ||
        scan_event(layout->levels, PyBytes_AS_STRING(record), PyBytes_GET_SIZE(record), &answer) < 0)
        return NOT_SURE;
    const Value *source = answer.values + SOURCE, *id = answer.values + ID;
    if (!GIVEN(&answer, TIME) || source->wide || id->wide) /* Python hashes other texts not by their UTF-8 */
        return NOT_SURE;
    int64_t second = second_at(layout, answer.values + TIME);
    if (second < run->low || second > run->high)
        return NOT_SURE;
    PyObject *found = find_known(layout, run->known, &answer);
    if (found == NULL)
        return NOT_SURE;
    int is_new = ids_put(run->ids, hash_pair(source->text, source->length, id->text, id->length));
    if (is_new < 0)
        return FAILED;
    if (second > run->top)
        run->top = second;
    if (!is_new) {
        run->repeats++;
        return COUNTED;
    }
    PyObject *service = PyTuple_GET_ITEM(found, 0);
    Sums *cell = (Sums *)PyTuple_GET_ITEM(found, 1);
    ((Marked *)service)->hwm = offset;
    if (run->early && !cell->changed && change(service, cell, PyTuple_GET_ITEM(found, 2)) < 0)
        return FAILED;
    return add_answer(layout, cell, &answer) < 0 ? FAILED : COUNTED;
}

static PyObject *
layout_run(Layout *self, PyObject *args)
{
    PyObject *values, *offsets;
    Py_ssize_t at;
    long long first;
    Run run = {.repeats = 0};
    if (!PyArg_ParseTuple(args, "O!OLnO!O!LLLp", &PyList_Type, &values, &offsets, &first, &at, &KnownType, &run.known,
                          &IdsType, &run.ids, &run.low, &run.high, &run.top, &run.early))
        return NULL;
    if (at < 0 || (offsets != Py_None && !(PyList_Check(offsets) && PyList_GET_SIZE(offsets) == PyList_GET_SIZE(values)))) {
        PyErr_SetString(PyExc_ValueError, "offsets are None, or a list as long as the values");
        return NULL;
    }
    for (; at < PyList_GET_SIZE(values); at++) {
        long long offset = offsets == Py_None ? first + at : PyLong_AsLongLong(PyList_GET_ITEM(offsets, at));
        if (offset == -1 && PyErr_Occurred())
            return NULL;
        int done = count_one(self, &run, PyList_GET_ITEM(values, at), offset);
        if (done == FAILED)
            return NULL;
        if (done == NOT_SURE)
            break;
    }
    return Py_BuildValue("nLn", at, run.top, run.repeats);
}

/* ---- how a Layout is made ---- */

static int
index_of(const char *const *names, int n, const char *name)
{
    for (int i = 0; i < n; i++)
        if (strcmp(names[i], name) == 0)
            return i;
    PyErr_Format(PyExc_ValueError, "nothing is called %s", name);
    return -1;
}

/* The texts of a tuple, which must live as long as what points to them. */
static int
read_choices(PyObject *tuple, const char **texts, Py_ssize_t *lengths)
{
    Py_ssize_t n = PyTuple_GET_SIZE(tuple);
    if (n > MAX_CHOICES) {
        PyErr_Format(PyExc_ValueError, "more than %d choices", MAX_CHOICES);
        return -1;
    }
    for (Py_ssize_t i = 0; i < n; i++)
        if ((texts[i] = PyUnicode_AsUTF8AndSize(PyTuple_GET_ITEM(tuple, i), lengths + i)) == NULL)
            return -1;
    return (int)n;
}

static int
read_entry(Layout *self, Level *level, PyObject *given)
{
    const char *kind, *field;
    int nullable, required;
    PyObject *choices;
    Entry *entry = level->entries + level->n;
    if (!PyTuple_Check(given) ||
        !PyArg_ParseTuple(given, "s#ssddppO!i", &entry->name, &entry->length, &kind, &field, &entry->low, &entry->high,
                          &nullable, &required, &PyTuple_Type, &choices, &entry->level))
        return -1;
    int kind_at = index_of(KINDS, GROUP + 1, kind), field_at = index_of(FIELDS, N_FIELDS, field);
    if (kind_at < 0 || field_at < 0 || (entry->n_choices = read_choices(choices, entry->choices, entry->lengths)) < 0)
        return -1;
    if (kind_at == GROUP && (entry->level < 1 || entry->level >= self->n_levels)) {
        PyErr_Format(PyExc_ValueError, "there is no level %d", entry->level);
        return -1;
    }
    entry->kind = (enum kind)kind_at;
    entry->field = field_at;
    entry->nullable = (char)nullable;
    entry->next = level->n + 1; /* until it is known better: the order of the names as they were given */
    level->required |= (uint64_t)required << level->n;
    level->n++;
    return 0;
}

static int
read_levels(Layout *self, PyObject *levels)
{
    if (PyTuple_GET_SIZE(levels) < 1 || PyTuple_GET_SIZE(levels) > MAX_LEVELS) {
        PyErr_Format(PyExc_ValueError, "1 to %d levels", MAX_LEVELS);
        return -1;
    }
    self->n_levels = (int)PyTuple_GET_SIZE(levels);
    for (int i = 0; i < self->n_levels; i++) {
        PyObject *entries = PyTuple_GET_ITEM(levels, i);
        if (!PyTuple_Check(entries) || PyTuple_GET_SIZE(entries) > MAX_NAMES) {
            PyErr_Format(PyExc_ValueError, "a level is a tuple of at most %d entries", MAX_NAMES);
            return -1;
        }
        self->levels[i].open = i == 0;
        for (Py_ssize_t j = 0; j < PyTuple_GET_SIZE(entries); j++)
            if (read_entry(self, self->levels + i, PyTuple_GET_ITEM(entries, j)) < 0)
                return -1;
    }
    return 0;
}

static int
read_key(Layout *self, PyObject *key)
{
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(key); i++) {
        const char *name = PyUnicode_AsUTF8(PyTuple_GET_ITEM(key, i));
        if (name == NULL || i >= 16 || (self->key[i] = index_of(FIELDS, N_FIELDS, name)) < 0)
            return -1;
        self->n_key++;
    }
    return 0;
}

static void
layout_dealloc(Layout *self)
{
    Py_XDECREF(self->kept);
    Py_TYPE(self)->tp_free(self);
}

static PyObject *
layout_new(PyTypeObject *type, PyObject *args, PyObject *Py_UNUSED(kwargs))
{
    PyObject *levels, *key, *cut_off;
    Layout *self = (Layout *)type->tp_alloc(type, 0);
    if (self == NULL)
        return NULL;
    self->kept = Py_NewRef(args);
    if (!PyArg_ParseTuple(args, "O!O!O!dddl", &PyTuple_Type, &levels, &PyTuple_Type, &key, &PyTuple_Type, &cut_off,
                          &self->floor, &self->scale, &self->log_floor, &self->lowest) ||
        read_levels(self, levels) < 0 || read_key(self, key) < 0 ||
        (self->n_cut_off = read_choices(cut_off, self->cut_off, self->cut_off_lengths)) < 0) {
        Py_DECREF(self);
        return NULL;
    }
    return (PyObject *)self;
}

static PyMethodDef layout_methods[] = {
    {"run", (PyCFunction)layout_run, METH_VARARGS, "See _fold.pyi."},
    {NULL, NULL, 0, NULL},
};

static PyTypeObject LayoutType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "app.core.native._fold.Layout",
    .tp_basicsize = sizeof(Layout),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_doc = "Where a spelling has its fields; see _fold.pyi.",
    .tp_new = layout_new,
    .tp_dealloc = (destructor)layout_dealloc,
    .tp_methods = layout_methods,
};

/* ---- the module ---- */

static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, .m_name = "_fold", .m_size = -1};

static int
intern_names(void)
{
    return (ADD_MODEL = PyUnicode_InternFromString("add_model")) && (ADD_WASTE = PyUnicode_InternFromString("add_waste")) &&
           (CHANGE = PyUnicode_InternFromString("change")) && (PARTS[0] = PyUnicode_InternFromString("tenant")) &&
           (PARTS[1] = PyUnicode_InternFromString("task_type")) && (PARTS[2] = PyUnicode_InternFromString("region"));
}

/* Ids of this loop and of Python's are in one set, so both must hash alike. */
static int
hashes_as_python(void)
{
    PyObject *pair = Py_BuildValue("ss", "/source", "id-1");
    if (pair == NULL)
        return 0;
    Py_hash_t theirs = PyObject_Hash(pair);
    Py_DECREF(pair);
    if (theirs == hash_pair("/source", 7, "id-1", 4))
        return 1;
    PyErr_SetString(PyExc_ImportError, "this Python hashes tuples of texts in another way");
    return 0;
}

PyMODINIT_FUNC
PyInit__fold(void)
{
    PyTypeObject *types[] = {&LayoutType, &IdsType, &BucketsType, &SumsType, &MarkedType, &KnownType};
    PyObject *made = PyModule_Create(&module);
    if (made == NULL || !intern_names() || !hashes_as_python()) {
        Py_XDECREF(made);
        return NULL;
    }
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (PyModule_AddType(made, types[i]) < 0) {
            Py_DECREF(made);
            return NULL;
        }
    return made;
}
