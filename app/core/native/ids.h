/* The event ids of an open minute: a set of 64-bit hashes, 13 to 27 bytes each (a Python set of ints: 80 to 150).
 *
 * Holds what Python's ``hash((source, id))`` gives, so that Python may ask and add, too. Open addressing with linear
 * steps, at most 60 % full; the hashes are mixed well already, so their low bits choose the place. 0 marks a free
 * place, so the hash 0 is kept apart. */

typedef struct {
    PyObject_HEAD
    Py_hash_t *places;
    size_t mask; /* number of places - 1; a power of two */
    size_t used;
    char has_zero;
} Ids;

static PyTypeObject IdsType;

#define FIRST_PLACES 1024

static PyObject *
ids_new(PyTypeObject *type, PyObject *Py_UNUSED(args), PyObject *Py_UNUSED(kwargs))
{
    Ids *self = (Ids *)type->tp_alloc(type, 0);
    if (self == NULL)
        return NULL;
    self->places = PyMem_Calloc(FIRST_PLACES, sizeof(Py_hash_t));
    if (self->places == NULL) {
        Py_DECREF(self);
        return PyErr_NoMemory();
    }
    self->mask = FIRST_PLACES - 1;
    return (PyObject *)self;
}

static void
ids_dealloc(Ids *self)
{
    PyMem_Free(self->places);
    Py_TYPE(self)->tp_free(self);
}

static inline int
ids_has(const Ids *self, Py_hash_t hash)
{
    if (hash == 0)
        return self->has_zero;
    for (size_t at = (size_t)hash & self->mask; self->places[at]; at = (at + 1) & self->mask)
        if (self->places[at] == hash)
            return 1;
    return 0;
}

static int
ids_grow(Ids *self)
{
    size_t mask = 2 * self->mask + 1;
    Py_hash_t *places = PyMem_Calloc(mask + 1, sizeof(Py_hash_t));
    if (places == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    for (size_t i = 0; i <= self->mask; i++) {
        if (!self->places[i])
            continue;
        size_t at = (size_t)self->places[i] & mask;
        while (places[at])
            at = (at + 1) & mask;
        places[at] = self->places[i];
    }
    PyMem_Free(self->places);
    self->places = places;
    self->mask = mask;
    return 0;
}

/* 1: it was new; 0: it was there; -1: no memory, with an exception. */
static int
ids_put(Ids *self, Py_hash_t hash)
{
    if (hash == 0) {
        int was = self->has_zero;
        self->has_zero = 1;
        return !was;
    }
    if ((self->used + 1) * 5 > (self->mask + 1) * 3 && ids_grow(self) < 0)
        return -1;
    size_t at = (size_t)hash & self->mask;
    for (; self->places[at]; at = (at + 1) & self->mask)
        if (self->places[at] == hash)
            return 0;
    self->places[at] = hash;
    self->used++;
    return 1;
}

static Py_ssize_t
ids_length(Ids *self)
{
    return (Py_ssize_t)(self->used + (size_t)self->has_zero);
}

static int
ids_contains(Ids *self, PyObject *number)
{
    Py_hash_t hash = PyLong_AsSsize_t(number);
    return hash == -1 && PyErr_Occurred() ? -1 : ids_has(self, hash);
}

static PyObject *
ids_add(Ids *self, PyObject *number)
{
    Py_hash_t hash = PyLong_AsSsize_t(number);
    if ((hash == -1 && PyErr_Occurred()) || ids_put(self, hash) < 0)
        return NULL;
    Py_RETURN_NONE;
}

static PyMethodDef ids_methods[] = {
    {"add", (PyCFunction)ids_add, METH_O, "Remember a hash."},
    {NULL, NULL, 0, NULL},
};

static PySequenceMethods ids_sequence = {
    .sq_length = (lenfunc)ids_length,
    .sq_contains = (objobjproc)ids_contains,
};

static PyTypeObject IdsType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "app.core.native._fold.Ids",
    .tp_basicsize = sizeof(Ids),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_doc = "A set of 64-bit hashes: ``in``, ``add``, ``len``.",
    .tp_new = ids_new,
    .tp_dealloc = (destructor)ids_dealloc,
    .tp_methods = ids_methods,
    .tp_as_sequence = &ids_sequence,
};

/* ---- Python's hash of (source, id), for ASCII texts; checked against Python's own when the module is imported ---- */

#define PRIME_1 11400714785074694791ULL
#define PRIME_2 14029467366897019727ULL
#define PRIME_5 2870177450012600261ULL

#if PY_VERSION_HEX >= 0x030D0000 && PY_VERSION_HEX < 0x030E0000
PyAPI_FUNC(Py_hash_t) _Py_HashBytes(const void *, Py_ssize_t); /* exported, but no longer declared for extensions */
#endif

static inline Py_hash_t
hash_text(const char *text, Py_ssize_t length)
{
#if PY_VERSION_HEX >= 0x030E0000
    return Py_HashBuffer(text, length);
#else
    return _Py_HashBytes(text, length);
#endif
}

static inline uint64_t
hash_mix(uint64_t so_far, Py_hash_t hash)
{
    so_far += (uint64_t)hash * PRIME_2;
    so_far = (so_far << 31) | (so_far >> 33);
    return so_far * PRIME_1;
}

static inline Py_hash_t
hash_pair(const char *one, Py_ssize_t one_length, const char *other, Py_ssize_t other_length)
{
    uint64_t mixed = hash_mix(hash_mix(PRIME_5, hash_text(one, one_length)), hash_text(other, other_length));
    mixed += 2 ^ (PRIME_5 ^ 3527539ULL);
    return mixed == (uint64_t)-1 ? 1546275796 : (Py_hash_t)mixed;
}
