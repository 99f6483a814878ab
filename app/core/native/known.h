/* The cells of an open minute by what answers say of themselves: a table from key to (service, cell, cell key).
 *
 * A key is a tuple in Python (app.core.usual.KEY) and here its bytes: each text with its length before it, None and a
 * segment as marks that no length is. Python and the loop below write the same bytes for the same key. */

#define MAX_KEY 2048 /* nine fields of at most 200 bytes and 2 for the length; one that is longer is not kept */
#define LONGEST_TEXT 0xFFF0
#define NONE_MARK 0xFFFF
#define SEGMENT_MARK 0xFFFE

typedef struct {
    char bytes[MAX_KEY];
    Py_ssize_t length;
} Key;

static inline int
key_mark(Key *key, unsigned int mark)
{
    if (key->length + 2 > MAX_KEY)
        return UNSURE;
    key->bytes[key->length++] = (char)(mark & 255);
    key->bytes[key->length++] = (char)(mark >> 8);
    return SURE;
}

static inline int
key_text(Key *key, const char *text, Py_ssize_t length)
{
    if (length > LONGEST_TEXT || key->length + 2 + length > MAX_KEY || key_mark(key, (unsigned int)length) < 0)
        return UNSURE;
    if (length)
        memcpy(key->bytes + key->length, text, (size_t)length);
    key->length += length;
    return SURE;
}

static inline int
key_whole(Key *key, int64_t number)
{
    char text[24];
    int at = sizeof text;
    do
        text[--at] = (char)('0' + number % 10);
    while ((number /= 10) > 0);
    return key_text(key, text + at, (Py_ssize_t)sizeof text - at);
}

static PyObject *PARTS[3]; /* the attributes of a segment */

static int key_object(Key *key, PyObject *item);

static int
key_segment(Key *key, PyObject *segment)
{
    int done = key_mark(key, SEGMENT_MARK);
    for (int i = 0; done == SURE && i < 3; i++) {
        PyObject *part = PyObject_GetAttr(segment, PARTS[i]);
        if (part == NULL)
            return UNSURE; /* with an exception */
        done = key_object(key, part);
        Py_DECREF(part);
    }
    return done;
}

/* Append one field of a Python key. UNSURE may come with an exception. */
static int
key_object(Key *key, PyObject *item)
{
    if (item == Py_None)
        return key_mark(key, NONE_MARK);
    if (PyUnicode_Check(item)) {
        Py_ssize_t length;
        const char *text = PyUnicode_AsUTF8AndSize(item, &length);
        return text == NULL ? UNSURE : key_text(key, text, length);
    }
    if (PyLong_Check(item)) {
        long long number = PyLong_AsLongLong(item);
        return number < 0 ? UNSURE : key_whole(key, number);
    }
    return key_segment(key, item);
}

static int
key_tuple(Key *key, PyObject *tuple)
{
    key->length = 0;
    if (!PyTuple_Check(tuple)) {
        PyErr_SetString(PyExc_TypeError, "a key is a tuple");
        return UNSURE;
    }
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(tuple); i++)
        if (key_object(key, PyTuple_GET_ITEM(tuple, i)) < 0)
            return UNSURE;
    return SURE;
}

typedef struct {
    Py_hash_t hash;
    size_t at; /* of the key in the text */
    Py_ssize_t length;
    PyObject *known; /* (Marked, Sums, cell key), as Python gave it; NULL: a free place */
} Place;

typedef struct {
    PyObject_HEAD
    Place *places;
    size_t mask, used;
    char *text; /* all keys, one after another */
    size_t text_size, text_room;
} Known;

static PyTypeObject KnownType;

#define FIRST_KNOWN 64

static PyObject *
known_new(PyTypeObject *type, PyObject *Py_UNUSED(args), PyObject *Py_UNUSED(kwargs))
{
    Known *self = (Known *)type->tp_alloc(type, 0);
    if (self == NULL)
        return NULL;
    self->places = PyMem_Calloc(FIRST_KNOWN, sizeof(Place));
    if (self->places == NULL) {
        Py_DECREF(self);
        return PyErr_NoMemory();
    }
    self->mask = FIRST_KNOWN - 1;
    return (PyObject *)self;
}

static void
known_dealloc(Known *self)
{
    for (size_t i = 0; self->places != NULL && i <= self->mask; i++)
        Py_XDECREF(self->places[i].known);
    PyMem_Free(self->places);
    PyMem_Free(self->text);
    Py_TYPE(self)->tp_free(self);
}

/* The place of a key: its own, or a free one. */
static inline Place *
known_place(const Known *self, const Key *key, Py_hash_t hash)
{
    size_t at = (size_t)hash & self->mask;
    for (;; at = (at + 1) & self->mask) {
        Place *place = self->places + at;
        if (place->known == NULL)
            return place;
        if (place->hash == hash && place->length == key->length &&
            memcmp(self->text + place->at, key->bytes, (size_t)key->length) == 0)
            return place;
    }
}

static int
known_grow(Known *self)
{
    size_t mask = 2 * self->mask + 1;
    Place *places = PyMem_Calloc(mask + 1, sizeof(Place));
    if (places == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    for (size_t i = 0; i <= self->mask; i++) {
        if (self->places[i].known == NULL)
            continue;
        size_t at = (size_t)self->places[i].hash & mask;
        while (places[at].known != NULL)
            at = (at + 1) & mask;
        places[at] = self->places[i];
    }
    PyMem_Free(self->places);
    self->places = places;
    self->mask = mask;
    return 0;
}

static int
known_keep_text(Known *self, const Key *key)
{
    size_t needed = self->text_size + (size_t)key->length;
    if (needed > self->text_room) {
        size_t room = needed * 2 + 1024;
        char *text = PyMem_Realloc(self->text, room);
        if (text == NULL) {
            PyErr_NoMemory();
            return -1;
        }
        self->text = text;
        self->text_room = room;
    }
    memcpy(self->text + self->text_size, key->bytes, (size_t)key->length);
    self->text_size = needed;
    return 0;
}

static int
is_known(PyObject *value)
{
    return PyTuple_Check(value) && PyTuple_GET_SIZE(value) == 3 &&
           PyObject_TypeCheck(PyTuple_GET_ITEM(value, 0), &MarkedType) &&
           PyObject_TypeCheck(PyTuple_GET_ITEM(value, 1), &SumsType) &&
           Py_IS_TYPE(((Sums *)PyTuple_GET_ITEM(value, 1))->histogram, &BucketsType);
}

static int
known_set(Known *self, PyObject *tuple, PyObject *value)
{
    Key key;
    if (value == NULL || !is_known(value)) {
        PyErr_SetString(PyExc_TypeError, "what is known is a (Marked, Sums with Buckets, cell key)");
        return -1;
    }
    if (key_tuple(&key, tuple) < 0)
        return PyErr_Occurred() ? -1 : 0; /* too long to be kept: it is looked for every time */
    if ((self->used + 1) * 5 > (self->mask + 1) * 3 && known_grow(self) < 0)
        return -1;
    Py_hash_t hash = hash_text(key.bytes, key.length);
    Place *place = known_place(self, &key, hash);
    if (place->known == NULL) {
        size_t at = self->text_size;
        if (known_keep_text(self, &key) < 0)
            return -1;
        *place = (Place){.hash = hash, .at = at, .length = key.length};
        self->used++;
    }
    Py_INCREF(value);
    Py_XSETREF(place->known, value);
    return 0;
}

static PyObject *
known_get(Known *self, PyObject *tuple)
{
    Key key;
    if (key_tuple(&key, tuple) < 0) {
        if (PyErr_Occurred())
            return NULL;
        Py_RETURN_NONE;
    }
    PyObject *found = known_place(self, &key, hash_text(key.bytes, key.length))->known;
    if (found == NULL)
        Py_RETURN_NONE;
    return Py_NewRef(found);
}

static Py_ssize_t
known_length(Known *self)
{
    return (Py_ssize_t)self->used;
}

static PyMethodDef known_methods[] = {
    {"get", (PyCFunction)known_get, METH_O, "What is known under a key, or None."},
    {NULL, NULL, 0, NULL},
};

static PyMappingMethods known_mapping = {
    .mp_length = (lenfunc)known_length,
    .mp_ass_subscript = (objobjargproc)known_set,
};

static PyTypeObject KnownType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "app.core.native._fold.Known",
    .tp_basicsize = sizeof(Known),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_doc = "Key tuple -> (Marked, Sums, cell key): ``known[key] = found``, ``get``, ``len``.",
    .tp_new = known_new,
    .tp_dealloc = (destructor)known_dealloc,
    .tp_methods = known_methods,
    .tp_as_mapping = &known_mapping,
};
