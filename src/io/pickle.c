/* SPDX-License-Identifier: Apache-2.0 */
/* pickle.c: what Python's pickle of protocol 2 holds, as a tree of values. A pickle is a program for a machine with a
 * stack and a memo (PEP 307; opcodes: Lib/pickletools.py). Here nothing is ever called: what a class or a function
 * would have made is a value that names it, with its arguments and its state beside. Only the instructions that plain
 * data, NumPy arrays and SciPy matrices need are known. */
#include "io/io.h"

enum { MOST_BYTES = 64 << 20 };

typedef struct machine {
  const uint8_t *begin, *p, *end;
  const char *what;
  fv_arena *arena;
  fv_pickle **stack, **memo;
  int64_t *mark;
  int64_t n, room, n_memo, n_marks, marks_room;
} machine;

static fv_status corrupt(const machine *m, const char *expected) {
  return FV_FAIL(FV_ERR_CORRUPT, "%s (pickle): expected %s, got something else", m->what, expected);
}

static fv_status grow(void *array, int64_t *room, int64_t need, size_t size) {
  void **v = array;
  if (need <= *room) return FV_OK;
  const int64_t more = FV_MAX(2 * *room, need + 64);
  void *grown = fv_realloc(*v, (size_t)more * size);
  FV_REQUIRE(grown, FV_ERR_MEMORY, "pickle: out of memory");
  memset((char *)grown + (size_t)*room * size, 0, (size_t)(more - *room) * size);
  *v = grown;
  *room = more;
  return FV_OK;
}

/* ---- the stack --------------------------------------------------------------------------------------------------- */
static fv_status push(machine *m, fv_pickle_kind kind, fv_pickle **made) {
  fv_pickle *v = fv_arena_alloc(m->arena, sizeof *v);
  FV_REQUIRE(v, FV_ERR_MEMORY, "%s: out of memory", m->what);
  FV_TRY(grow(&m->stack, &m->room, m->n + 1, sizeof *m->stack));
  v->kind = kind;
  m->stack[m->n++] = *made = v;
  return FV_OK;
}

static int64_t floor_of(const machine *m) { return m->n_marks ? m->mark[m->n_marks - 1] : 0; }

static fv_status pop(machine *m, fv_pickle **v) {
  if (m->n <= floor_of(m)) return corrupt(m, "a value");
  *v = m->stack[--m->n];
  return FV_OK;
}

static fv_status append(machine *m, fv_pickle *list, fv_pickle *const *items, int64_t n) {
  if (list->n + n > list->room) {
    list->room = FV_MAX(2 * list->room, list->n + n);
    fv_pickle **item = fv_arena_alloc(m->arena, (size_t)list->room * sizeof *item);
    FV_REQUIRE(item, FV_ERR_MEMORY, "%s: out of memory", m->what);
    if (list->n) memcpy(item, list->item, (size_t)list->n * sizeof *item);
    list->item = item;
  }
  if (n) memcpy(list->item + list->n, items, (size_t)n * sizeof *items);
  list->n += n;
  return FV_OK;
}

/* The last n values become a list. */
static fv_status collect(machine *m, int64_t n) {
  fv_pickle *made;
  if (m->n - floor_of(m) < n) return corrupt(m, "values for a tuple");
  const int64_t first = m->n - n;
  FV_TRY(push(m, FV_PICKLE_LIST, &made));
  FV_TRY(append(m, made, m->stack + first, n));
  m->n = first;
  m->stack[m->n++] = made;
  return FV_OK;
}

/* Values after the last mark go to the value before it, which must be of that kind. */
static fv_status collect_into(machine *m, fv_pickle_kind kind, int64_t n) {
  if (m->n - floor_of(m) <= n || m->stack[m->n - n - 1]->kind != kind) return corrupt(m, "a list or dictionary");
  if (kind == FV_PICKLE_DICT && n % 2) return corrupt(m, "keys with values");
  m->n -= n;
  return append(m, m->stack[m->n - 1], m->stack + m->n, n);
}

static fv_status collect_dict(machine *m, int64_t n) {
  fv_pickle *to = m->n > n ? m->stack[m->n - n - 1] : NULL;
  if (to && to->kind == FV_PICKLE_OBJECT) to->kind = FV_PICKLE_DICT; /* a kind of dictionary: defaultdict */
  return collect_into(m, FV_PICKLE_DICT, n);
}

static fv_status to_mark(machine *m, int64_t *n) {
  if (!m->n_marks) return corrupt(m, "a mark");
  *n = m->n - m->mark[--m->n_marks];
  return FV_OK;
}

/* ---- instructions ------------------------------------------------------------------------------------------------ */
static fv_status take(machine *m, int64_t n, const uint8_t **bytes) {
  if (n < 0 || m->end - m->p < n) return corrupt(m, "more bytes");
  *bytes = m->p;
  m->p += n;
  return FV_OK;
}

static fv_status take_number(machine *m, int bytes, int64_t *v) {
  const uint8_t *b;
  FV_TRY(take(m, bytes, &b));
  uint32_t u = 0;
  for (int i = 0; i < bytes; i++) u |= (uint32_t)b[i] << 8 * i;
  *v = bytes == 4 ? (int32_t)u : (int64_t)u;
  return FV_OK;
}

static fv_status push_number(machine *m, int64_t v) {
  fv_pickle *made;
  FV_TRY(push(m, FV_PICKLE_NUMBER, &made));
  made->number = v;
  return FV_OK;
}

static fv_status push_int(machine *m, int bytes) {
  int64_t v;
  FV_TRY(take_number(m, bytes, &v));
  return push_number(m, v);
}

static fv_status push_text(machine *m, int bytes) {
  int64_t n;
  fv_pickle *made;
  const uint8_t *text;
  FV_TRY(take_number(m, bytes, &n));
  FV_TRY(take(m, n, &text));
  FV_TRY(push(m, FV_PICKLE_TEXT, &made));
  made->text = (const char *)text;
  made->size = n;
  return FV_OK;
}

static fv_status take_line(machine *m, const char **line, int *n) {
  const uint8_t *end = memchr(m->p, '\n', (size_t)(m->end - m->p));
  if (!end || end - m->p > 256) return corrupt(m, "a name");
  *line = (const char *)m->p;
  *n = (int)(end - m->p);
  m->p = end + 1;
  return FV_OK;
}

static fv_status push_global(machine *m) {
  const char *module, *name;
  int module_n, name_n;
  fv_pickle *made;
  FV_TRY(take_line(m, &module, &module_n));
  FV_TRY(take_line(m, &name, &name_n));
  FV_TRY(push(m, FV_PICKLE_OBJECT, &made));
  made->text = fv_arena_printf(m->arena, "%.*s.%.*s", module_n, module, name_n, name);
  FV_REQUIRE(made->text, FV_ERR_MEMORY, "%s: out of memory", m->what);
  made->size = (int64_t)strlen(made->text);
  return FV_OK;
}

/* class, arguments -> what it would make of them */
static fv_status reduce(machine *m) {
  fv_pickle *args, *of, *made;
  FV_TRY(pop(m, &args));
  FV_TRY(pop(m, &of));
  if (of->kind != FV_PICKLE_OBJECT || args->kind != FV_PICKLE_LIST) return corrupt(m, "a class and its arguments");
  FV_TRY(push(m, FV_PICKLE_OBJECT, &made));
  made->text = of->text;
  made->size = of->size;
  made->args = args;
  return FV_OK;
}

static fv_status build(machine *m) {
  fv_pickle *state;
  FV_TRY(pop(m, &state));
  if (m->n <= floor_of(m) || m->stack[m->n - 1]->kind != FV_PICKLE_OBJECT) return corrupt(m, "an object");
  m->stack[m->n - 1]->state = state;
  return FV_OK;
}

static fv_status remember(machine *m, int bytes) {
  int64_t i;
  FV_TRY(take_number(m, bytes, &i));
  if (i < 0 || i > m->end - m->begin || m->n <= floor_of(m)) return corrupt(m, "a place to keep");
  FV_TRY(grow(&m->memo, &m->n_memo, i + 1, sizeof *m->memo));
  m->memo[i] = m->stack[m->n - 1];
  return FV_OK;
}

static fv_status recall(machine *m, int bytes) {
  int64_t i;
  FV_TRY(take_number(m, bytes, &i));
  if (i < 0 || i >= m->n_memo || !m->memo[i]) return corrupt(m, "a value kept before");
  FV_TRY(grow(&m->stack, &m->room, m->n + 1, sizeof *m->stack));
  m->stack[m->n++] = m->memo[i];
  return FV_OK;
}

static fv_status set_mark(machine *m) {
  FV_TRY(grow(&m->mark, &m->marks_room, m->n_marks + 1, sizeof *m->mark));
  m->mark[m->n_marks++] = m->n;
  return FV_OK;
}

static fv_status step(machine *m, uint8_t op) {
  fv_pickle *made;
  int64_t n;
  switch (op) {
    case 0x80: return take_number(m, 1, &n);
    case 'c': return push_global(m);
    case 'N': return push(m, FV_PICKLE_NONE, &made);
    case 0x88: return push_number(m, 1);
    case 0x89: return push_number(m, 0);
    case 'K': return push_int(m, 1);
    case 'M': return push_int(m, 2);
    case 'J': return push_int(m, 4);
    case 'U': return push_text(m, 1);
    case 'T': return push_text(m, 4);
    case ')':
    case ']': return push(m, FV_PICKLE_LIST, &made);
    case '}': return push(m, FV_PICKLE_DICT, &made);
    case '(': return set_mark(m);
    case 't': FV_TRY(to_mark(m, &n)); return collect(m, n);
    case 0x85: return collect(m, 1);
    case 0x86: return collect(m, 2);
    case 0x87: return collect(m, 3);
    case 'a': return collect_into(m, FV_PICKLE_LIST, 1);
    case 'e': FV_TRY(to_mark(m, &n)); return collect_into(m, FV_PICKLE_LIST, n);
    case 's': return collect_dict(m, 2);
    case 'u': FV_TRY(to_mark(m, &n)); return collect_dict(m, n);
    case 'R':
    case 0x81: return reduce(m);
    case 'b': return build(m);
    case 'q': return remember(m, 1);
    case 'r': return remember(m, 4);
    case 'h': return recall(m, 1);
    case 'j': return recall(m, 4);
    default: break;
  }
  return FV_FAIL(FV_ERR_REQUEST, "%s (pickle): expected plain data of protocol 2, got instruction 0x%02x", m->what, op);
}

fv_status fv_pickle_parse(const void *bytes, size_t n, const char *what, fv_arena *arena, const fv_pickle **root) {
  machine m = {.begin = bytes, .p = bytes, .end = (const uint8_t *)bytes + n, .what = what, .arena = arena};
  fv_status status = FV_OK;
  fv_pickle *top;
  *root = NULL;
  FV_REQUIRE(n <= MOST_BYTES, FV_ERR_REQUEST, "%s: expected at most %d bytes, got %zu", what, MOST_BYTES, n);
  if (n < 2 || m.p[0] != 0x80 || m.p[1] != 2) return corrupt(&m, "protocol 2");
  while (m.p < m.end && *m.p != '.') FV_TRY_DONE(step(&m, *m.p++));
  if (m.p == m.end) FV_TRY_DONE(corrupt(&m, "an end"));
  FV_TRY_DONE(pop(&m, &top));
  *root = top;
done:
  fv_free(m.stack);
  fv_free(m.memo);
  fv_free(m.mark);
  return status;
}

/* ---- what is in it ----------------------------------------------------------------------------------------------- */
static bool is_text(const fv_pickle *v, const char *text) {
  return v && v->text && v->size == (int64_t)strlen(text) && !memcmp(v->text, text, (size_t)v->size);
}

const fv_pickle *fv_pickle_get(const fv_pickle *dict, const char *key) {
  for (int64_t i = 0; dict && dict->kind == FV_PICKLE_DICT && i + 1 < dict->n; i += 2)
    if (dict->item[i]->kind == FV_PICKLE_TEXT && is_text(dict->item[i], key)) return dict->item[i + 1];
  return NULL;
}

static const fv_pickle *item_of(const fv_pickle *v, int64_t i, fv_pickle_kind kind) {
  return v && v->kind == FV_PICKLE_LIST && i < v->n && v->item[i]->kind == kind ? v->item[i] : NULL;
}

bool fv_pickle_is(const fv_pickle *v, const char *name) { return v && v->kind == FV_PICKLE_OBJECT && is_text(v, name); }

/* State of an ndarray: version, shape, dtype, whether Fortran's order, bytes. */
fv_status fv_pickle_array(const fv_pickle *v, const char *what, fv_array *a) {
  static const struct { const char *name; fv_elem elem; } types[] = {
      {"i4", FV_ELEM_I32}, {"i8", FV_ELEM_I64}, {"f4", FV_ELEM_F32}, {"f8", FV_ELEM_F64}};
  const fv_pickle *state = fv_pickle_is(v, "numpy.core.multiarray._reconstruct") ? v->state : NULL;
  const fv_pickle *shape = item_of(state, 1, FV_PICKLE_LIST), *dtype = item_of(state, 2, FV_PICKLE_OBJECT);
  const fv_pickle *fortran = item_of(state, 3, FV_PICKLE_NUMBER), *bytes = item_of(state, 4, FV_PICKLE_TEXT);
  const fv_pickle *type = dtype ? item_of(dtype->args, 0, FV_PICKLE_TEXT) : NULL;
  *a = (fv_array){.elem = FV_ELEMS};
  for (size_t i = 0; type && i < FV_COUNT(types); i++)
    if (is_text(type, types[i].name)) a->elem = types[i].elem;
  const bool plain = shape && shape->n <= FV_ARRAY_DIMS && fortran && !fortran->number && bytes &&
                     a->elem != FV_ELEMS && is_text(item_of(dtype->state, 1, FV_PICKLE_TEXT), "<");
  FV_REQUIRE(plain, FV_ERR_CORRUPT, "%s (pickle): expected an array of plain numbers, got something else", what);
  a->ndim = (int)shape->n;
  for (int i = 0; i < a->ndim; i++) {
    const fv_pickle *dim = item_of(shape, i, FV_PICKLE_NUMBER);
    a->dim[i] = dim ? dim->number : -1;
  }
  FV_TRY(fv_array_measure(a, what));
  a->data = bytes->text;
  FV_REQUIRE((int64_t)a->bytes == bytes->size, FV_ERR_CORRUPT, "%s (pickle): expected %zu bytes of an array, got %lld",
             what, a->bytes, (long long)bytes->size);
  return FV_OK;
}
