/* What the fold adds to: the sums of a cell, the buckets of a histogram, the newest offset of a service.
 *
 * Types to be inherited in Python (app/core/open_pane.py), which sees every sum as an attribute and adds the rare things
 * itself. */

/* ---- Buckets: counts of a log-histogram, dense between the smallest and the largest bucket met ---- */

typedef struct {
    PyObject_HEAD
    int64_t *counts;
    long low; /* bucket of counts[0] */
    long size;
} Buckets;

static PyTypeObject BucketsType;

#define BUCKET_SLACK 16
#define BUCKET_BOUND 100000 /* of either sign; real ones end at 1,048 (app/core/sketch.py) */

static void
buckets_dealloc(Buckets *self)
{
    PyMem_Free(self->counts);
    Py_TYPE(self)->tp_free(self);
}

/* The place of a bucket, made if need be; NULL with an exception. */
static int64_t *
buckets_at(Buckets *self, long bucket)
{
    if (self->size && bucket >= self->low && bucket < self->low + self->size)
        return self->counts + (bucket - self->low);
    if (bucket < -BUCKET_BOUND || bucket > BUCKET_BOUND) {
        PyErr_Format(PyExc_ValueError, "no such bucket: %ld", bucket);
        return NULL;
    }
    long low = bucket - BUCKET_SLACK, high = bucket + BUCKET_SLACK;
    if (self->size) {
        low = low < self->low ? low : self->low;
        high = high > self->low + self->size ? high : self->low + self->size;
    }
    int64_t *counts = PyMem_Calloc((size_t)(high - low + 1), sizeof(int64_t));
    if (counts == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    if (self->size)
        memcpy(counts + (self->low - low), self->counts, (size_t)self->size * sizeof(int64_t));
    PyMem_Free(self->counts);
    self->counts = counts;
    self->low = low;
    self->size = high - low + 1;
    return counts + (bucket - low);
}

static PyObject *
buckets_get(Buckets *self, PyObject *key)
{
    long bucket = PyLong_AsLong(key);
    if (bucket == -1 && PyErr_Occurred())
        return NULL;
    int64_t *count = buckets_at(self, bucket);
    return count == NULL ? NULL : PyLong_FromLongLong(*count);
}

static int
buckets_set(Buckets *self, PyObject *key, PyObject *value)
{
    if (value == NULL) {
        PyErr_SetString(PyExc_TypeError, "buckets are not deleted");
        return -1;
    }
    long bucket = PyLong_AsLong(key);
    long long count = PyLong_AsLongLong(value);
    if (PyErr_Occurred())
        return -1;
    int64_t *place = buckets_at(self, bucket);
    if (place == NULL)
        return -1;
    *place = count;
    return 0;
}

static PyObject *
buckets_counts(Buckets *self, PyObject *Py_UNUSED(args))
{
    PyObject *found = PyDict_New();
    for (long i = 0; found != NULL && i < self->size; i++) {
        if (!self->counts[i])
            continue;
        PyObject *bucket = PyLong_FromLong(self->low + i), *count = PyLong_FromLongLong(self->counts[i]);
        if (bucket == NULL || count == NULL || PyDict_SetItem(found, bucket, count) < 0)
            Py_CLEAR(found);
        Py_XDECREF(bucket);
        Py_XDECREF(count);
    }
    return found;
}

static PyMethodDef buckets_methods[] = {
    {"counts", (PyCFunction)buckets_counts, METH_NOARGS, "The counts that are not 0, by bucket, in order."},
    {NULL, NULL, 0, NULL},
};

static PyMappingMethods buckets_mapping = {
    .mp_subscript = (binaryfunc)buckets_get,
    .mp_ass_subscript = (objobjargproc)buckets_set,
};

static PyTypeObject BucketsType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "app.core.native._fold.Buckets",
    .tp_basicsize = sizeof(Buckets),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_doc = "Counts by bucket; 0 where nothing was counted.",
    .tp_new = PyType_GenericNew,
    .tp_dealloc = (destructor)buckets_dealloc,
    .tp_methods = buckets_methods,
    .tp_as_mapping = &buckets_mapping,
};

/* ---- Sums: one cell, and the session groups in it ---- */

#define MAX_GROUPS 64

typedef struct {
    long long n, errors;
    double log_latency, cost;
    long long scores;
    double quality;
    long long input, output, cached;
} Group;

typedef struct {
    PyObject_HEAD
    PyObject *histogram, *response_model, *fingerprint;
    long long n, errors, ttft_n, quality_n, in_session, input, output, cached, limited, limits, written;
    long long unpriced_n, unpriced_input, unpriced_output, unpriced_cached;
    double unpriced_input_sq, unpriced_output_sq, unpriced_cached_sq;
    double unpriced_input_output, unpriced_input_cached, unpriced_output_cached;
    double input_sq, latency, latency_max, log_latency, log_latency_sq, ttft;
    double cost, cost_sq, input_cost, own_cost, quality, quality_sq;
    char changed, compared;
    Group *groups; /* those met, in the order in which they were */
    unsigned char n_groups, group_room;
    unsigned char slots[MAX_GROUPS]; /* 1 + the place in `groups`; 0: not met */
} Sums;

static PyTypeObject SumsType;

static int
sums_init(Sums *self, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"histogram", "compared", NULL};
    PyObject *histogram;
    int compared;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "Op", names, &histogram, &compared))
        return -1;
    PyObject *empty = PyUnicode_FromStringAndSize("", 0);
    if (empty == NULL)
        return -1;
    Py_INCREF(histogram);
    Py_XSETREF(self->histogram, histogram);
    Py_INCREF(empty);
    Py_XSETREF(self->response_model, empty);
    Py_XSETREF(self->fingerprint, empty);
    self->compared = (char)compared;
    return 0;
}

static void
sums_dealloc(Sums *self)
{
    Py_XDECREF(self->histogram);
    Py_XDECREF(self->response_model);
    Py_XDECREF(self->fingerprint);
    PyMem_Free(self->groups);
    Py_TYPE(self)->tp_free(self);
}

/* The sums of a group, made if need be; NULL with an exception. */
static Group *
group_of(Sums *self, long long number)
{
    if (number < 0 || number >= MAX_GROUPS) {
        PyErr_Format(PyExc_ValueError, "no such session group: %lld", number);
        return NULL;
    }
    if (self->slots[number])
        return self->groups + self->slots[number] - 1;
    if (self->n_groups == self->group_room) {
        unsigned char room = self->group_room ? (unsigned char)(2 * self->group_room) : 4;
        Group *groups = PyMem_Realloc(self->groups, room * sizeof(Group));
        if (groups == NULL) {
            PyErr_NoMemory();
            return NULL;
        }
        self->groups = groups;
        self->group_room = room;
    }
    Group *group = self->groups + self->n_groups;
    memset(group, 0, sizeof *group);
    self->slots[number] = ++self->n_groups;
    return group;
}

static inline void
group_score(Group *group, double quality)
{
    group->scores++;
    group->quality += quality;
}

static inline void
group_add(Group *group, int failed, double log_latency, double cost, int64_t input, int64_t output, int64_t cached)
{
    group->n++;
    group->errors += failed;
    group->log_latency += log_latency;
    group->cost += cost;
    group->input += input;
    group->output += output;
    group->cached += cached;
}

static PyObject *
sums_add_grouped(Sums *self, PyObject *args)
{
    long long number, input, output, cached;
    double log_latency, cost;
    const char *status;
    PyObject *quality;
    if (!PyArg_ParseTuple(args, "LdsdO(LLL)", &number, &log_latency, &status, &cost, &quality, &input, &output, &cached))
        return NULL;
    double score = quality == Py_None ? 0.0 : PyFloat_AsDouble(quality);
    Group *group = score == -1.0 && PyErr_Occurred() ? NULL : group_of(self, number);
    if (group == NULL)
        return NULL;
    group_add(group, strcmp(status, "ok") != 0, log_latency, cost, input, output, cached);
    if (quality != Py_None)
        group_score(group, score);
    Py_RETURN_NONE;
}

static PyObject *
sums_score_grouped(Sums *self, PyObject *args)
{
    long long number;
    double quality;
    if (!PyArg_ParseTuple(args, "Ld", &number, &quality))
        return NULL;
    Group *group = group_of(self, number);
    if (group == NULL)
        return NULL;
    group_score(group, quality);
    Py_RETURN_NONE;
}

static PyObject *
sums_group_sums(Sums *self, PyObject *Py_UNUSED(args))
{
    PyObject *found = PyList_New(0);
    for (int number = 0; found != NULL && number < MAX_GROUPS; number++) {
        if (!self->slots[number])
            continue;
        const Group *g = self->groups + self->slots[number] - 1;
        PyObject *one = Py_BuildValue("(i(LLddLdLLL))", number, g->n, g->errors, g->log_latency, g->cost, g->scores,
                                      g->quality, g->input, g->output, g->cached);
        if (one == NULL || PyList_Append(found, one) < 0)
            Py_CLEAR(found);
        Py_XDECREF(one);
    }
    return found;
}

static PyMethodDef sums_methods[] = {
    {"add_grouped", (PyCFunction)sums_add_grouped, METH_VARARGS, "See _fold.pyi."},
    {"score_grouped", (PyCFunction)sums_score_grouped, METH_VARARGS, "See _fold.pyi."},
    {"group_sums", (PyCFunction)sums_group_sums, METH_NOARGS, "See _fold.pyi."},
    {NULL, NULL, 0, NULL},
};

#define WHOLE(name) {#name, T_LONGLONG, offsetof(Sums, name), 0, NULL}
#define REAL(name) {#name, T_DOUBLE, offsetof(Sums, name), 0, NULL}

static PyMemberDef sums_members[] = {
    {"histogram", T_OBJECT_EX, offsetof(Sums, histogram), READONLY, NULL},
    {"response_model", T_OBJECT_EX, offsetof(Sums, response_model), 0, NULL},
    {"fingerprint", T_OBJECT_EX, offsetof(Sums, fingerprint), 0, NULL},
    {"changed", T_BOOL, offsetof(Sums, changed), 0, NULL},
    {"compared", T_BOOL, offsetof(Sums, compared), READONLY, NULL},
    WHOLE(n), WHOLE(errors), WHOLE(ttft_n), WHOLE(quality_n), WHOLE(in_session),
    WHOLE(input), WHOLE(output), WHOLE(cached), WHOLE(limited), WHOLE(limits), WHOLE(written),
    WHOLE(unpriced_n), WHOLE(unpriced_input), WHOLE(unpriced_output), WHOLE(unpriced_cached),
    REAL(unpriced_input_sq), REAL(unpriced_output_sq), REAL(unpriced_cached_sq),
    REAL(unpriced_input_output), REAL(unpriced_input_cached), REAL(unpriced_output_cached),
    REAL(input_sq), REAL(latency), REAL(latency_max), REAL(log_latency), REAL(log_latency_sq), REAL(ttft),
    REAL(cost), REAL(cost_sq), REAL(input_cost), REAL(own_cost), REAL(quality), REAL(quality_sq),
    {NULL, 0, 0, 0, NULL},
};

static PyTypeObject SumsType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "app.core.native._fold.Sums",
    .tp_basicsize = sizeof(Sums),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
    .tp_doc = "Sums(histogram, compared): the sums of a cell, all 0.",
    .tp_new = PyType_GenericNew,
    .tp_init = (initproc)sums_init,
    .tp_dealloc = (destructor)sums_dealloc,
    .tp_members = sums_members,
    .tp_methods = sums_methods,
};

/* ---- Marked: what has a newest source offset ---- */

typedef struct {
    PyObject_HEAD
    long long hwm;
} Marked;

static PyTypeObject MarkedType;

static PyMemberDef marked_members[] = {
    {"hwm", T_LONGLONG, offsetof(Marked, hwm), 0, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyTypeObject MarkedType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "app.core.native._fold.Marked",
    .tp_basicsize = sizeof(Marked),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
    .tp_doc = "Has ``hwm``, the source offset of the newest event counted.",
    .tp_new = PyType_GenericNew,
    .tp_members = marked_members,
};
