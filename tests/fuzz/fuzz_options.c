/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_options.c: "name=value" lines through an option table with every type: whatever is accepted lies in its range,
 * prints, and reads back to equal fields. */
#include "fuzz.h"

typedef struct fields {
  int64_t whole, choice;
  double real;
  bool truth;
  const char *text;
  fv_int_list list;
} fields;

static const char *const choices[] = {"first", "second", "third", NULL};
static const fv_option table[] = {
    {.name = "whole", .type = FV_OPT_INT, .offset = offsetof(fields, whole), .def = "3", .min = -7, .max = 1e12,
     .doc = "a number"},
    {.name = "choice", .type = FV_OPT_ENUM, .offset = offsetof(fields, choice), .def = "second", .choices = choices,
     .doc = "a name"},
    {.name = "real", .type = FV_OPT_REAL, .offset = offsetof(fields, real), .def = "0.5", .min = -1e30, .max = 1e30,
     .doc = "a real"},
    {.name = "truth", .type = FV_OPT_BOOL, .offset = offsetof(fields, truth), .def = "yes", .doc = "yes or no"},
    {.name = "text", .type = FV_OPT_TEXT, .offset = offsetof(fields, text), .doc = "anything"},
    {.name = "list", .type = FV_OPT_INTS, .offset = offsetof(fields, list), .def = "1,2", .min = 0, .max = 1e6,
     .doc = "numbers"},
    {0}};

static fv_status round_trip(const fields *f, fv_arena *arena) {
  fields again;
  FV_TRY(fv_options_defaults(table, &again));
  for (const fv_option *o = table; o->name; o++) {
    fv_text value = {0};
    fv_options_print(o, f, &value);
    fv_status status = value.failed ? FV_FAIL(FV_ERR_MEMORY, "fuzz: no memory")
                                    : fv_options_set(table, &again, "again", o->name, value.s ? value.s : "", arena);
    fv_text_free(&value);
    if (status != FV_OK)
      return status == FV_ERR_MEMORY ? status : fv_error_prefix(FV_ERR_INTERNAL, "what was printed is refused");
  }
  FV_ASSERT(fv_options_equal(table, f, &again));
  FV_ASSERT(f->whole >= -7 && f->choice >= 0 && f->choice <= 2 && f->real >= -1e30 && f->real <= 1e30 &&
            f->list.n <= FV_MAX_LIST);
  return FV_OK;
}

fv_status fuzz_target(const uint8_t *bytes, size_t n) {
  fv_arena *arena = NULL;
  fields f;
  fv_status status = FV_OK;
  FV_TRY(fv_arena_new(&arena));
  FV_TRY_DONE(fv_options_defaults(table, &f));
  char *text = fv_arena_alloc(arena, n + 1), *save = NULL;
  FV_REQUIRE_DONE(text, FV_ERR_MEMORY, "fuzz: no memory");
  memcpy(text, bytes, n);
  for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
    char *equals = strchr(line, '=');
    FV_REQUIRE_DONE(equals, FV_ERR_REQUEST, "fuzz: expected name=value");
    *equals = 0;
    FV_TRY_DONE(fv_options_set(table, &f, "fuzz", line, equals + 1, arena));
  }
  FV_TRY_DONE(round_trip(&f, arena));
done:
  fv_arena_free(arena);
  return status;
}
