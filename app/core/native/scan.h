/* JSON of one spelling, read without making objects of it.
 *
 * Strict where it reads, and never sure of more than it read: whatever is not plain (another name, an escape, broken
 * UTF-8, a value out of bounds, a number of many digits) is UNSURE, and Python decides what it is. So this file
 * holds no rule of what an event may be; names, kinds and bounds come from the types in Python (app/core/layout.py). */

#define SURE 0
#define UNSURE (-1)

enum kind { TEXT, REAL_NUMBER, WHOLE_NUMBER, CHOICE, TRUTH, MAP, GROUP };

#define MAX_LEVELS 8
#define MAX_NAMES 64 /* of one level: a bit each */
#define MAX_FIELDS 64
#define MAX_CHOICES 8

typedef struct {
    const char *at, *end;
} Cursor;

/* What stands in one place of an event. */
typedef struct {
    const char *text; /* UTF-8 */
    Py_ssize_t length;
    Py_ssize_t wide; /* how many of its bytes begin no character; 0: it may be ASCII */
    double number;
    int64_t whole;
} Value;

typedef struct {
    uint64_t given; /* a bit for every field that is there and not null */
    Value values[MAX_FIELDS];
} Answer;

typedef struct {
    const char *name;
    Py_ssize_t length;
    enum kind kind;
    int field; /* index of the value */
    int level; /* of a GROUP: what is in it */
    char nullable;
    double low, high; /* of a number; of a text its length; of a MAP the longest text and the number of entries */
    const char *choices[MAX_CHOICES];
    Py_ssize_t lengths[MAX_CHOICES];
    int n_choices;
    int next; /* the entry that came after this one the last time */
} Entry;

typedef struct {
    Entry entries[MAX_NAMES];
    int n;
    int first;         /* the entry that came first the last time */
    uint64_t required; /* a bit for every entry that must be there */
    char open;         /* other names are passed over */
} Level;

static inline void
skip_space(Cursor *c)
{
    while (c->at < c->end && (*c->at == ' ' || *c->at == '\n' || *c->at == '\r' || *c->at == '\t'))
        c->at++;
}

static inline int
take(Cursor *c, char expected)
{
    skip_space(c);
    if (c->at >= c->end || *c->at != expected)
        return UNSURE;
    c->at++;
    return SURE;
}

#define EACH 0x0101010101010101ULL
#define TOP 0x8080808080808080ULL

/* The first byte that is a quote, a backslash, a control character or not ASCII. */
static inline const char *
plain_end(const char *at, const char *end)
{
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    while (end - at >= 8) { /* eight bytes at once; Mycroft's test for a zero byte */
        uint64_t word;
        memcpy(&word, at, 8);
        uint64_t quote = word ^ (EACH * '"'), backslash = word ^ (EACH * '\\');
        uint64_t found = ((quote - EACH) & ~quote) | ((backslash - EACH) & ~backslash) | ((word - EACH * 32) & ~word);
        found = (found | word) & TOP;
        if (found)
            return at + (__builtin_ctzll(found) >> 3);
        at += 8;
    }
#endif
    while (at < end && *at != '"' && *at != '\\' && (unsigned char)(*at - 32) < 96)
        at++;
    return at;
}

/* The length of the well-formed UTF-8 sequence of two to four bytes at `at`; 0: there is none (Unicode, table 3-7). */
static int
utf8_length(const char *at, const char *end)
{
    const unsigned char *byte = (const unsigned char *)at;
    int length = byte[0] < 0xC2 ? 0 : byte[0] < 0xE0 ? 2 : byte[0] < 0xF0 ? 3 : byte[0] < 0xF5 ? 4 : 0;
    if (length == 0 || end - at < length)
        return 0;
    unsigned char least = byte[0] == 0xE0 ? 0xA0 : byte[0] == 0xF0 ? 0x90 : 0x80;
    unsigned char most = byte[0] == 0xED ? 0x9F : byte[0] == 0xF4 ? 0x8F : 0xBF;
    if (byte[1] < least || byte[1] > most)
        return 0;
    for (int i = 2; i < length; i++)
        if ((byte[i] & 0xC0) != 0x80)
            return 0;
    return length;
}

/* The text of a string whose opening quote was taken. */
static inline int
scan_text(Cursor *c, Value *value)
{
    const char *end = plain_end(c->at, c->end);
    value->text = c->at;
    value->wide = 0;
    while (end < c->end && (unsigned char)*end >= 0x80) {
        int length = utf8_length(end, c->end);
        if (length == 0)
            return UNSURE;
        value->wide += length - 1;
        end = plain_end(end + length, c->end);
    }
    if (end >= c->end || *end != '"')
        return UNSURE;
    value->length = end - c->at;
    c->at = end + 1;
    return SURE;
}

/* Its length as its bounds count it: in characters. */
static inline double
characters(const Value *value)
{
    return (double)(value->length - value->wide);
}

static const double POWERS[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

static inline int
is_digit(const Cursor *c)
{
    return c->at < c->end && (unsigned char)(*c->at - '0') < 10;
}

/* A number of many digits, by Python's own correctly rounded reader. */
static int
scan_long_number(const char *from, const char *to, double *number)
{
    char copy[64];
    if (to - from >= (Py_ssize_t)sizeof copy)
        return UNSURE;
    memcpy(copy, from, (size_t)(to - from));
    copy[to - from] = 0;
    *number = PyOS_string_to_double(copy, NULL, NULL);
    if (*number == -1.0 && PyErr_Occurred()) {
        PyErr_Clear();
        return UNSURE;
    }
    return SURE;
}

/* A number without a sign. `whole` is set, and `is_whole`, when it has neither point nor exponent. Exact: a mantissa
 * below 2^53 times or over a power of ten that a double holds is one correctly rounded operation (Clinger, 1990). */
static inline int
scan_number(Cursor *c, double *number, int64_t *whole, int *is_whole)
{
    const char *from = c->at;
    uint64_t mantissa = 0;
    int digits = 0, power = 0;
    if (!is_digit(c))
        return UNSURE;
    if (*c->at == '0') {
        c->at++;
        if (is_digit(c))
            return UNSURE;
    }
    for (; is_digit(c); c->at++, digits++)
        mantissa = mantissa * 10 + (uint64_t)(*c->at - '0');
    *is_whole = 1;
    if (c->at < c->end && *c->at == '.') {
        *is_whole = 0;
        c->at++;
        if (!is_digit(c))
            return UNSURE;
        for (; is_digit(c); c->at++, power--) {
            mantissa = mantissa * 10 + (uint64_t)(*c->at - '0');
            digits += mantissa != 0;
        }
    }
    if (c->at < c->end && (*c->at | 32) == 'e') {
        *is_whole = 0;
        c->at++;
        int sign = 1, exponent = 0, n = 0;
        if (c->at < c->end && (*c->at == '+' || *c->at == '-'))
            sign = *c->at++ == '-' ? -1 : 1;
        for (; is_digit(c) && n < 4; c->at++, n++)
            exponent = exponent * 10 + (*c->at - '0');
        if (n == 0 || n == 4)
            return UNSURE;
        power += sign * exponent;
    }
    if (*is_whole && digits > 18)
        return UNSURE;
    *whole = (int64_t)mantissa;
    if (digits > 19 || mantissa > (1ULL << 53) || power < -22 || power > 22)
        return scan_long_number(from, c->at, number);
    *number = power < 0 ? (double)mantissa / POWERS[-power] : (double)mantissa * POWERS[power];
    return SURE;
}

static inline int
scan_word(Cursor *c, const char *word, Py_ssize_t length)
{
    if (c->end - c->at < length || memcmp(c->at, word, (size_t)length) != 0)
        return UNSURE;
    c->at += length;
    return SURE;
}

/* A flat object of texts. */
static int
scan_map(Cursor *c, const Entry *entry)
{
    Value text;
    int n = 0;
    if (take(c, '{') < 0)
        return UNSURE;
    skip_space(c);
    if (c->at < c->end && *c->at == '}') {
        c->at++;
        return SURE;
    }
    do {
        if (take(c, '"') < 0 || scan_text(c, &text) < 0 || characters(&text) > entry->low)
            return UNSURE;
        if (take(c, ':') < 0 || take(c, '"') < 0 || scan_text(c, &text) < 0 || characters(&text) > entry->low)
            return UNSURE;
        if ((double)++n > entry->high)
            return UNSURE;
    } while (take(c, ',') == SURE);
    return take(c, '}');
}

/* A value under a name that nobody asked for: a text, a number without a sign, a word. */
static int
scan_other(Cursor *c)
{
    Value unused;
    int is_whole;
    skip_space(c);
    if (c->at >= c->end)
        return UNSURE;
    switch (*c->at) {
    case '"':
        c->at++;
        return scan_text(c, &unused);
    case 't':
        return scan_word(c, "true", 4);
    case 'f':
        return scan_word(c, "false", 5);
    case 'n':
        return scan_word(c, "null", 4);
    default:
        return scan_number(c, &unused.number, &unused.whole, &is_whole);
    }
}

static int scan_level(Level *levels, int at, Cursor *c, Answer *answer);

static inline int
is_choice(const Entry *entry, const Value *value)
{
    for (int i = 0; i < entry->n_choices; i++)
        if (value->length == entry->lengths[i] && memcmp(value->text, entry->choices[i], (size_t)value->length) == 0)
            return 1;
    return 0;
}

static inline int
scan_value(Level *levels, const Entry *entry, Cursor *c, Answer *answer)
{
    Value *value = answer->values + entry->field;
    int is_whole = 0;
    skip_space(c);
    if (c->at >= c->end)
        return UNSURE;
    if (*c->at == 'n')
        return entry->nullable ? scan_word(c, "null", 4) : UNSURE;
    answer->given |= 1ULL << entry->field;
    switch (entry->kind) {
    case TEXT:
    case CHOICE:
        if (*c->at++ != '"' || scan_text(c, value) < 0)
            return UNSURE;
        if (entry->kind == CHOICE)
            return is_choice(entry, value) ? SURE : UNSURE;
        return characters(value) >= entry->low && characters(value) <= entry->high ? SURE : UNSURE;
    case REAL_NUMBER:
    case WHOLE_NUMBER:
        if (scan_number(c, &value->number, &value->whole, &is_whole) < 0)
            return UNSURE;
        if (entry->kind == WHOLE_NUMBER) /* compared as it is: a double may round it down to its bound */
            return is_whole && value->whole >= (int64_t)entry->low && value->whole <= (int64_t)entry->high ? SURE : UNSURE;
        return value->number >= entry->low && value->number <= entry->high ? SURE : UNSURE;
    case TRUTH:
        value->whole = *c->at == 't';
        return value->whole ? scan_word(c, "true", 4) : scan_word(c, "false", 5);
    case MAP:
        return scan_map(c, entry);
    case GROUP:
        return scan_level(levels, entry->level, c, answer);
    }
    return UNSURE;
}

static inline int
is_named(const Entry *entry, const Cursor *c)
{
    return c->end - c->at > entry->length && c->at[entry->length] == '"' &&
           memcmp(c->at, entry->name, (size_t)entry->length) == 0;
}

/* The entry whose name stands at the cursor (after its quote), which then moves behind it; `level->n`: none. The one
 * that came there the last time is tried first: a producer writes its names in one order. */
static inline int
scan_name(Level *level, int expected, Cursor *c)
{
    int i = expected;
    if (i >= level->n || !is_named(level->entries + i, c))
        for (i = 0; i < level->n && !is_named(level->entries + i, c); i++)
            ;
    if (i < level->n)
        c->at += level->entries[i].length + 1;
    return i;
}

static int
scan_level(Level *levels, int at, Cursor *c, Answer *answer)
{
    Level *level = levels + at;
    uint64_t seen = 0;
    int *expected = &level->first;
    if (take(c, '{') < 0)
        return UNSURE;
    do {
        if (take(c, '"') < 0)
            return UNSURE;
        int i = scan_name(level, *expected, c);
        if (i == level->n) {
            Value name;
            if (!level->open || scan_text(c, &name) < 0 || take(c, ':') < 0 || scan_other(c) < 0)
                return UNSURE;
            continue;
        }
        if (seen >> i & 1)
            return UNSURE;
        seen |= 1ULL << i;
        *expected = i;
        expected = &level->entries[i].next;
        if (take(c, ':') < 0 || scan_value(levels, level->entries + i, c, answer) < 0)
            return UNSURE;
    } while (take(c, ',') == SURE);
    return (seen & level->required) == level->required ? take(c, '}') : UNSURE;
}

/* One event; everything after its object must be space. */
static inline int
scan_event(Level *levels, const char *text, Py_ssize_t length, Answer *answer)
{
    Cursor c = {text, text + length};
    answer->given = 0;
    if (scan_level(levels, 0, &c, answer) < 0)
        return UNSURE;
    skip_space(&c);
    return c.at == c.end ? SURE : UNSURE;
}

/* ---- times ---- */

#define TIME_LENGTH 19 /* YYYY-MM-DDTHH:MM:SS */

static inline int
two_digits(const char *at)
{
    unsigned char tens = (unsigned char)(at[0] - '0'), ones = (unsigned char)(at[1] - '0');
    return tens < 10 && ones < 10 ? tens * 10 + ones : -1;
}

/* Days since 1970-01-01 of the proleptic Gregorian calendar. */
static int64_t
days_of(int64_t year, int month, int day)
{
    year -= month <= 2;
    int64_t era = year / 400, of_era = year - era * 400;
    int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

/* Epoch second of a UTC time written out in 19 characters; UNSURE when it is none, or before 1970. */
static int64_t
second_of(const char *text)
{
    static const int DAYS[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int century = two_digits(text), years = two_digits(text + 2), month = two_digits(text + 5);
    int day = two_digits(text + 8), hour = two_digits(text + 11), minute = two_digits(text + 14);
    int second = two_digits(text + 17), year = century * 100 + years;
    if (text[4] != '-' || text[7] != '-' || text[10] != 'T' || text[13] != ':' || text[16] != ':')
        return UNSURE;
    if (century < 0 || years < 0 || year < 1970 || month < 1 || month > 12 || day < 1)
        return UNSURE;
    int leap = month == 2 && year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    if (day > DAYS[month - 1] + leap || hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 59)
        return UNSURE;
    return ((days_of(year, month, day) * 24 + hour) * 60 + minute) * 60 + second;
}

/* Whether `text` ends as UTC times do: nothing, or a fraction, and Z. */
static inline int
is_utc(const char *text, Py_ssize_t length)
{
    if (length <= TIME_LENGTH || text[length - 1] != 'Z')
        return 0;
    if (length == TIME_LENGTH + 1)
        return 1;
    if (text[TIME_LENGTH] != '.' || length == TIME_LENGTH + 2)
        return 0;
    for (Py_ssize_t i = TIME_LENGTH + 1; i < length - 1; i++)
        if ((unsigned char)(text[i] - '0') >= 10)
            return 0;
    return 1;
}
